"""Text with personal data that nobody ever wrote: sentences, letters, notes and records.

Templates are in the .txt files beside this one, records are put together by records.py. It teaches
what names look like and where they stand; how people of one house write, annotated sets teach.
"""

import random
from functools import cache
from pathlib import Path

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.annotated import Annotated
from ft_assets.corpus.tagger.generated import plain
from ft_assets.corpus.tagger.generated.records import filled, record
from ft_assets.corpus.tagger.generated.values import Piece, Pieces, Values

SOURCE = "generated"
_MIX = {
    "en": 31,
    "other": 14,
    "notes": 5,
    "records": 20,
    "sentences": 22,
    "prose": 8,
}  # of 100 texts
_MAKERS = {"records": record, "sentences": plain.sentences, "prose": plain.prose}
_SAME_COUNTRY = 8  # texts in a row from one country


def generate(number: int, seed: int) -> list[Annotated]:
    """`number` texts with their spans; the same seed gives the same texts."""
    values = Values(random.Random(seed))
    texts = []
    for place in range(number):
        if place % _SAME_COUNTRY == 0:
            values.move()
        change = values.random.choices([str, str.lower, str.upper], [90, 5, 5])[0]
        texts.append(_joined([Piece(change(text), kind) for text, kind in _one(values)]))
    return texts


def _one(values: Values) -> Pieces:
    kind = values.random.choices(list(_MIX), list(_MIX.values()))[0]
    if kind in _MAKERS:
        return _MAKERS[kind](values)
    pieces = filled(values, values.random.choice(_templates()[kind]))
    # Sentences also come one after the other.
    while kind != "notes" and values.chance(0.25):
        pieces += filled(
            values, values.pick([" ", "\n"]) + values.random.choice(_templates()[kind])
        )
    return pieces


@cache
def _templates() -> dict[str, list[str]]:
    folder = Path(__file__).parent
    lines = {
        kind: [
            line.replace("\\n", "\n")
            for line in (folder / f"sentences_{kind}.txt").read_text("utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        for kind in ("en", "other")
    }
    notes = (folder / "notes.txt").read_text("utf-8").split("\n", 2)[2]
    return {**lines, "notes": [note.strip("\n") for note in notes.split("\n---\n")]}


def _joined(pieces: Pieces) -> Annotated:
    text, spans = "", []
    for piece in pieces:
        if piece.type and piece.text:
            spans.append(Span(len(text), len(text) + len(piece.text), piece.type))
        text += piece.text
    return Annotated(text, tuple(spans), SOURCE)
