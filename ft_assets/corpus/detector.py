"""Find personal data in documents: patterns, and a tagger for names where there is one.

A document is the texts that belong together: the turns of a conversation, title and body. Without a
tagger only identifiers with a structure are found (detect.py says which).
"""

from collections.abc import Sequence
from typing import Protocol

from ft_assets.corpus import detect
from ft_assets.corpus.detect import Span, find_many

NAMES = frozenset({"PERSON", "LOCATION", "ORG"})  # what only a tagger finds
TYPES = detect.TYPES | NAMES


class Tagger(Protocol):
    def find_in(
        self, documents: Sequence[Sequence[str]], found: Sequence[Sequence[Sequence[Span]]]
    ) -> list[list[list[Span]]]:
        """Spans of each text of each document that overlap none of `found`, those of patterns."""
        ...


class Detector:
    def __init__(self, tagger: Tagger | None = None) -> None:
        self._tagger = tagger

    def find_in(
        self, documents: Sequence[Sequence[str]], types: frozenset[str] = TYPES
    ) -> list[list[list[Span]]]:
        """The spans of each text of each document: in code points, sorted, without overlaps.

        Raises ValueError on a type that is none of TYPES; never on any str.
        """
        if unknown := types - TYPES:
            raise ValueError(f"unknown types {sorted(unknown)}; known are {sorted(TYPES)}")
        texts = [text for document in documents for text in document]
        spans = find_many(texts, types & detect.TYPES)
        found = [[next(spans) for _ in document] for document in documents]
        if self._tagger is None:
            return found
        tagged = self._tagger.find_in(documents, found)
        return [
            [
                sorted([*one, *(span for span in more if span.type in types)])
                for one, more in zip(*document, strict=True)
            ]
            for document in zip(found, tagged, strict=True)
        ]
