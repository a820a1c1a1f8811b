"""Whether a text is another domain's: word statistics of the domains' own static text.

A multinomial model (naive Bayes) over hashed words and pairs of words, one class per domain, fitted
on documents and examples of all domains. Logs are not looked at: what customers write may drift,
and a word that no domain's static text has counts for nobody. So a row is refused only when its
words are another domain's by a margin that the domain's own static text, held out in turn, hardly
ever reaches. Texts of few known words have no score, nor has any text where there is one domain.
"""

import io
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

import numpy as np

BUCKETS = 1 << 17
MIN_KNOWN = 8  # different words or pairs that some domain has
SMOOTHING = 0.5
FOLDS = 5
# The margin leaves this share of a domain's own held-out texts beyond it.
OWN_BEYOND = 0.001
# Logs are worded more loosely than documents and examples: with the margin alone two domains of
# four lost 0.5 % of their own rows, with this factor less than 0.2 %.
LOOSENESS = 1.5
MIN_MARGIN = 4.5
MAX_WORDS = 400

_WORD = re.compile(r"[^\W\d_]{2,}")
_PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*(?:_\d+)?>")
FORMAT = 1


@dataclass(frozen=True)
class DomainProfiles:
    domains: tuple[str, ...]  # sorted
    log_probabilities: np.ndarray  # float32 [domains, BUCKETS]
    known: np.ndarray  # bool [BUCKETS]: some domain has it
    margins: tuple[float, ...]  # per domain

    @classmethod
    def fit(cls, texts: Mapping[str, Sequence[str]]) -> Self:
        """Texts by domain. The order of texts and domains plays no part."""
        names = tuple(sorted(name for name, found in texts.items() if found))
        features = {name: _distinct(texts[name]) for name in names}
        if len(names) < 2:
            empty = np.zeros((len(names), 0), dtype=np.float32)
            return cls(names, empty, np.zeros(0, dtype=bool), (MIN_MARGIN,) * len(names))
        folds = [
            [_counts(found[fold::FOLDS]) for name, found in features.items()]
            for fold in range(FOLDS)
        ]
        total = [np.sum([fold[i] for fold in folds], axis=0) for i in range(len(names))]
        own: list[list[float]] = [[] for _ in names]
        for fold in range(FOLDS):
            rest = [total[i] - folds[fold][i] for i in range(len(names))]
            table, known = _log_probabilities(rest)
            for i, name in enumerate(names):
                own[i] += [_evidence(table, known, i, f) for f in features[name][fold::FOLDS]]
        margins = tuple(
            max(MIN_MARGIN, LOOSENESS * float(np.quantile(found, 1 - OWN_BEYOND)))
            if found
            else MIN_MARGIN
            for found in own
        )
        return cls(names, *_log_probabilities(total), margins)

    def score(self, domain: str, text: str) -> float:
        """How far the text's words are another domain's, in margins; 0 and below: they are not.

        0 too for a domain without static text, and where there is no other.
        """
        if domain not in self.domains or len(self.domains) < 2:
            return 0.0
        place = self.domains.index(domain)
        return (
            _evidence(self.log_probabilities, self.known, place, _features(text))
            / (self.margins[place])
        )

    def to_bytes(self) -> bytes:
        """The same profiles give the same bytes."""
        buckets = np.flatnonzero(self.known).astype(np.uint32)
        buffer = io.BytesIO()
        for array in (
            np.array([FORMAT, BUCKETS], dtype=np.uint32),
            np.array("\n".join(self.domains)),
            np.array(self.margins, dtype=np.float64),
            buckets,
            self.log_probabilities[:, buckets],
        ):
            np.save(buffer, array, allow_pickle=False)
        return zlib.compress(buffer.getvalue(), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises ValueError when the bytes are of another format."""
        buffer = io.BytesIO(zlib.decompress(data))
        version, buckets_total = np.load(buffer, allow_pickle=False).tolist()
        if (version, buckets_total) != (FORMAT, BUCKETS) and buckets_total:
            raise ValueError(
                f"domain profiles of format {version}, {buckets_total} buckets; expected "
                f"{FORMAT}, "
                f"{BUCKETS}: materialize domain_profiles again"
            )
        names = tuple(filter(None, str(np.load(buffer, allow_pickle=False)).split("\n")))
        margins = tuple(np.load(buffer, allow_pickle=False).tolist())
        buckets = np.load(buffer, allow_pickle=False)
        values = np.load(buffer, allow_pickle=False)
        if len(names) < 2:
            return cls(names, values, np.zeros(0, dtype=bool), margins)
        table = np.zeros((len(names), BUCKETS), dtype=np.float32)
        table[:, buckets] = values
        known = np.zeros(BUCKETS, dtype=bool)
        known[buckets] = True
        return cls(names, table, known, margins)


def _evidence(table: np.ndarray, known: np.ndarray, place: int, features: np.ndarray) -> float:
    """Log-odds of the best other domain against this one, per square root of known features.

    Sums grow with the length, and means give a short text as much weight as a long one; the square
    root makes texts of all lengths comparable when their words were drawn independently.
    """
    found = features[known[features]]
    if len(found) < MIN_KNOWN:
        return 0.0
    sums = table[:, found].sum(axis=1)
    others = np.delete(sums, place)
    return float((others.max() - sums[place]) / np.sqrt(len(found)))


def _counts(texts: Sequence[np.ndarray]) -> np.ndarray:
    counts = np.zeros(BUCKETS, dtype=np.float64)
    for features in texts:
        counts[features] += 1
    return counts


def _log_probabilities(counts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    known = np.sum(counts, axis=0) > 0
    vocabulary = int(known.sum())
    rows = [
        np.log((c + SMOOTHING) / (c.sum() + SMOOTHING * vocabulary)).astype(np.float32)
        for c in counts
    ]
    return np.stack(rows), known


def _distinct(texts: Iterable[str]) -> list[np.ndarray]:
    return [_features(text) for text in sorted(set(texts))]


def _features(text: str) -> np.ndarray:
    """Buckets of the different words and pairs of neighbouring words, ascending."""
    words = _WORD.findall(_PLACEHOLDER.sub(" ", text).lower())[:MAX_WORDS]
    pairs = [f"{one} {other}" for one, other in pairwise(words)]
    return np.unique(np.fromiter(map(_bucket, (*words, *pairs)), dtype=np.int64))


@lru_cache(maxsize=200_000)
def _bucket(feature: str) -> int:
    return zlib.crc32(feature.encode("utf-8", "surrogatepass")) & (BUCKETS - 1)
