"""How well personal data is found: recall and precision by type, and documents left clean.

A span is found when every letter and digit of it is covered, by spans of whatever type: that is
what masking is for. Precision counts a span right that touches any annotated one; where a source
does not annotate a type, finds of that type are not judged. Measures as in Pilan et al. 2022
(arXiv:2202.00443), without its weights.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.annotated import Annotated
from ft_assets.corpus.tagger.labels import NUMBER

if TYPE_CHECKING:
    from rich.table import Table

# What names a person by itself; places, dates and ages do so together.
DIRECT = frozenset(
    {"PERSON", "USERNAME", "EMAIL", "PHONE", "STREET_ADDRESS", "CREDIT_CARD", "IBAN", "SSN", "IP",
     "URL", "ID"}
)  # fmt: skip
STRUCTURED = DIRECT - {"PERSON", "USERNAME", "STREET_ADDRESS"}
# Types that are taken for each other: an address is not told apart from its town by all.
_NEAR = ({"STREET_ADDRESS", "LOCATION", "ZIP"}, {"PERSON", "USERNAME"}, {"ID", "PHONE", "SSN"})


@dataclass
class Score:
    annotated: int = 0
    found: int = 0  # wholly covered
    given: int = 0
    right: int = 0

    @property
    def recall(self) -> float | None:
        return self.found / self.annotated if self.annotated else None

    @property
    def precision(self) -> float | None:
        return self.right / self.given if self.given else None


@dataclass
class Scores:
    by_type: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    documents: int = 0
    clean: int = 0  # with every direct identifier covered

    def of(self, types: Iterable[str]) -> Score:
        parts = [self.by_type[kind] for kind in sorted(types) if kind in self.by_type]
        return Score(*(sum(getattr(p, name) for p in parts) for name in Score.__annotations__))

    @property
    def clean_share(self) -> float | None:
        return self.clean / self.documents if self.documents else None


def score(texts: Sequence[Annotated], found: Sequence[Sequence[Span]]) -> dict[str, Scores]:
    """Scores by source; `found` has the spans of each text."""
    scores: dict[str, Scores] = defaultdict(Scores)
    for text, spans in zip(texts, found, strict=True):
        _add(scores[text.source], text, spans)
    return dict(scores)


def _add(scores: Scores, text: Annotated, found: Sequence[Span]) -> None:
    covered = bytearray(len(text.text))
    for span in found:
        covered[span.start : span.end] = b"\x01" * (span.end - span.start)
    clean = True
    for start, end, kind in text.spans:
        if kind.startswith("_"):
            continue
        place = scores.by_type[kind]
        whole = all(covered[at] or not text.text[at].isalnum() for at in range(start, end))
        place.annotated += 1
        place.found += whole
        clean = clean and (whole or kind not in DIRECT)
    scores.documents += 1
    scores.clean += clean
    for span in found:
        touched = [s for s in text.spans if s.start < span.end and s.end > span.start]
        if all(s.type.startswith("_") for s in touched) and touched:
            continue
        if not touched and not _judged(span.type, text.silent):
            continue
        scores.by_type[span.type].given += 1
        scores.by_type[span.type].right += bool(touched)


def _judged(kind: str, silent: int) -> bool:
    near = next((group for group in _NEAR if kind in group), {kind})
    return any(not silent >> NUMBER[one] & 1 for one in near)


def facts(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """The numbers of each source: recall and precision of direct identifiers and of all, clean."""
    table = {}
    for source, one in sorted(scores.items()):
        direct, everything = one.of(DIRECT), one.of(one.by_type)
        values = {
            "documents": one.documents,
            "direct_recall": direct.recall,
            "direct_precision": direct.precision,
            "recall": everything.recall,
            "precision": everything.precision,
            "clean": one.clean_share,
        }
        table[source] = {
            name: round(value, 4) for name, value in values.items() if value is not None
        }
    return table


def table(scores: Mapping[str, Scores]) -> "Table":
    """One row per source and type, with the sums over direct and structured identifiers."""
    from rich.table import Table

    rows = Table(box=None)
    for column in ("source", "type", "annotated", "recall", "found", "precision", "clean"):
        rows.add_column(column, justify="left" if column in ("source", "type") else "right")
    for source, one in sorted(scores.items()):
        sums = {"direct": one.of(DIRECT), "structured": one.of(STRUCTURED)}
        for kind, value in (*sums.items(), *sorted(one.by_type.items())):
            clean = _written(one.clean_share) if kind == "direct" else ""
            numbers = str(value.annotated), _written(value.recall), str(value.given)
            rows.add_row(source, kind, *numbers, _written(value.precision), clean)
    return rows


def _written(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"
