"""Find personal data in documents: patterns, and a trained tagger for names where there is one.

A document is the texts that belong together: the turns of a conversation, title and body. Without a
tagger only identifiers with a structure are found (detect.py says which).
"""

from collections.abc import Sequence

from ft_assets.corpus import detect
from ft_assets.corpus.detect import Span, find_many

NAMES = frozenset({"PERSON", "LOCATION", "ORG"})  # what only a tagger finds
TYPES = detect.TYPES | NAMES


class Detector:
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
        return [[next(spans) for _ in document] for document in documents]
