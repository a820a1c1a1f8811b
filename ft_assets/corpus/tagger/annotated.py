"""Annotated text to learn from: which token is what, and what was not annotated at all.

A set is JSON lines: {"text": str, "spans": [[start, end, type], ...], "source": str}, offsets in
code points. A source that annotates no dates says nothing about its dates: there a token without a
span may still be one, and learning treats it so, but near digits only, or a source that is silent
on addresses would teach that all its words may be one. Types that begin with "_" are unclear:
nothing is learned from their tokens. Types we do not look for are outside.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.labels import LABELS, NUMBER, OUTSIDE, our_type
from ft_assets.corpus.tagger.tokens import Tokens

ANYTHING = (1 << len(LABELS)) - 1
_NEAR = 2  # tokens


class AnnotationError(ValueError):
    """A line of an annotated set is not what it must be."""


@dataclass(frozen=True)
class Annotated:
    text: str
    spans: tuple[Span, ...]  # of our types, and unclear ones ("_...")
    source: str
    silent: int = 0  # labels that this source does not annotate, as bits by their number

    def allowed(self, tokens: Tokens) -> list[int]:
        """For each token the labels it may have, as bits by their number."""
        outside = 1 << NUMBER[OUTSIDE]
        allowed = [outside] * len(tokens.words)
        for place, word in enumerate(tokens.words):
            if word[0].isdecimal():
                for near in range(max(0, place - _NEAR), min(len(allowed), place + _NEAR + 1)):
                    allowed[near] = outside | self.silent
        for span in self.spans:
            first = np.searchsorted(tokens.ends, span.start, side="right")
            last = np.searchsorted(tokens.starts, span.end, side="left")
            unclear = span.type.startswith("_")
            label = ANYTHING if unclear else 1 << NUMBER[span.type]
            allowed[first:last] = [label] * int(last - first)
        return allowed


def read_annotated(files: Iterable[Path]) -> list[Annotated]:
    """All rows of the files (gzip is told by its name), with what each source leaves out.

    Raises AnnotationError naming file and line, never the text.
    """
    rows = [row for file in files for row in _read(file)]
    annotates: dict[str, int] = defaultdict(int)
    for row in rows:
        for span in row.spans:
            annotates[row.source] |= 0 if span.type.startswith("_") else 1 << NUMBER[span.type]
    outside = 1 << NUMBER[OUTSIDE]
    return [
        Annotated(row.text, row.spans, row.source, ANYTHING & ~annotates[row.source] & ~outside)
        for row in rows
    ]


def _read(file: Path) -> Iterator[Annotated]:
    compressed = file.suffix == ".gz"
    with (gzip.open if compressed else open)(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _row(json.loads(line), file.name)
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise AnnotationError(
                        f"{file}: line {number} is not an object with `text` and `spans` of "
                        "[start, end, type] inside the text"
                    ) from None


def _row(row: dict[str, Any], file: str) -> Annotated:
    text, spans = row["text"], []
    if not isinstance(text, str):
        raise TypeError("text is no string")
    for start, end, kind in row["spans"]:
        if not 0 <= start < end <= len(text):
            raise ValueError("a span outside its text")
        kind = kind if kind.startswith("_") else our_type(kind)
        if kind != OUTSIDE:
            spans.append(Span(start, end, kind))
    return Annotated(text, tuple(spans), row.get("source", file))
