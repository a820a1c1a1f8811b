"""Two adapters on the same rows: how far apart are they, and how sure is that.

Losses are compared row by row: the difference of the mean loss per token of a row, in nats,
candidate minus reference; below 0 the candidate is better. The interval is the bias-corrected and
accelerated bootstrap over rows (Efron 1987), which follows the skew of losses, with expanded
percentiles, without which it is too narrow for few rows (Hesterberg 2015, section 3.3). Yes and no
(a flagged answer, a passed test case) get the exact McNemar test and the score interval of Tango
(1998) for the difference of two paired shares.

What intervals over rows do not see: the chance in training. Two seeds of one recipe on one corpus
already differ by more than their interval. `seed_sd` widens it by that chance, which is measured
(docs/decisions/0005-gate.md).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

CONFIDENCE = 0.90  # two-sided: each end is a bound that is wrong in 5 % of the cases


@dataclass(frozen=True)
class Comparison:
    """Mean difference in nats per token, candidate minus reference, with its interval."""

    mean: float
    low: float
    high: float
    rows: int
    resamples: int
    seed: int
    seed_sd: float = 0.0  # nats; of the chance in training that the interval includes
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PairedShares:
    """Shares of rows with "yes" of two arms on the same rows, and their difference."""

    candidate: float
    reference: float
    low: float  # of candidate - reference
    high: float
    p_value: float  # exact McNemar, two-sided
    rows: int
    candidate_only: int  # rows with yes of the candidate alone
    reference_only: int
    confidence: float = CONFIDENCE

    @property
    def difference(self) -> float:
        return self.candidate - self.reference

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "difference": self.difference}


def compare(
    candidate: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    *,
    resamples: int,
    seed: int,
    seed_sd: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Bootstrap the mean of candidate - reference; both are losses per row, in one order.

    `seed_sd`: standard deviation, in nats, of the difference that a mere reseed makes. Raises
    ValueError for different lengths, no rows, or a loss that is not finite.
    """
    difference = _differences(candidate, reference)
    mean = float(difference.mean())
    low, high = _bca(difference, resamples, seed, confidence)
    chance = seed_sd * _z(0.5 + confidence / 2)
    return Comparison(
        mean,
        mean - math.hypot(mean - low, chance),
        mean + math.hypot(high - mean, chance),
        len(difference),
        resamples,
        seed,
        seed_sd,
        confidence,
    )


def compare_shares(
    candidate: Sequence[bool], reference: Sequence[bool], confidence: float = CONFIDENCE
) -> PairedShares:
    """Compare yes and no of two arms on the same rows. Raises ValueError as compare() does."""
    from scipy.stats import binomtest

    _differences([float(c) for c in candidate], [float(r) for r in reference])
    got, had = np.asarray(candidate, bool), np.asarray(reference, bool)
    rows, more, less = len(got), int((got & ~had).sum()), int((had & ~got).sum())
    p_value = float(binomtest(more, more + less).pvalue) if more + less else 1.0
    low, high = _tango(more, less, rows, confidence)
    shares = float(got.mean()), float(had.mean())
    return PairedShares(*shares, low, high, p_value, rows, more, less, confidence)


def _differences(
    candidate: Sequence[float] | np.ndarray, reference: Sequence[float] | np.ndarray
) -> np.ndarray:
    if len(candidate) != len(reference):
        raise ValueError(
            f"{len(candidate)} candidate rows, {len(reference)} reference rows: score both on the "
            "same rows"
        )
    difference = np.asarray(candidate, dtype=float) - np.asarray(reference, dtype=float)
    if not len(difference):
        raise ValueError("no rows to compare")
    bad = np.flatnonzero(~np.isfinite(difference))
    if len(bad):
        raise ValueError(f"{len(bad)} losses are not finite, the first in row {bad[0]}")
    return difference


@lru_cache(maxsize=256)
def _draws(rows: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row is in each resample, as a share of all: float32 [resamples, rows]."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(rows, np.full(rows, 1 / rows), resamples)
    return (drawn / rows).astype(np.float32)


def _bca(
    difference: np.ndarray, resamples: int, seed: int, confidence: float
) -> tuple[float, float]:
    mean = difference.mean()
    apart = difference - mean
    squares = float((apart**2).sum())
    # What is equal in all rows but for rounding has no spread to bootstrap.
    if squares <= 1e-18 * max(1.0, float((difference**2).sum())):
        return float(mean), float(mean)
    # Not `@`: the threads of a small BLAS product wait for each other when the cores are busy.
    draws = _draws(len(difference), resamples, seed)
    means = np.sort(np.einsum("ij,j->i", draws, apart.astype(np.float32)))
    below = (np.searchsorted(means, 0.0) + np.searchsorted(means, 0.0, "right")) / 2
    bias = _z(min(max(below / resamples, 1 / resamples), 1 - 1 / resamples))
    # The jackknife's acceleration has a closed form for a mean.
    acceleration = float((apart**3).sum()) / (6 * squares**1.5)
    wide = _expanded(0.5 + confidence / 2, len(difference))
    ends = []
    for end in (-wide, wide):
        shifted = bias + end
        ends.append(mean + _quantile(means, _phi(bias + shifted / (1 - acceleration * shifted))))
    return min(float(ends[0]), float(mean)), max(float(ends[1]), float(mean))


def _quantile(ordered: np.ndarray, share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def _tango(more: int, less: int, rows: int, confidence: float) -> tuple[float, float]:
    from scipy.optimize import brentq

    z = _z(0.5 + confidence / 2)

    def score(delta: float) -> float:
        a = 2 * rows
        b = -more - less + (2 * rows - more + less) * delta
        c = -less * delta * (1 - delta)
        q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = rows * (2 * q + delta * (1 - delta))
        return (more - less - rows * delta) / math.sqrt(max(variance, 1e-12))

    found, edge = (more - less) / rows, 1 - 1e-9
    low = -1.0 if score(-edge) <= z else float(brentq(lambda d: score(d) - z, -edge, found))
    high = 1.0 if score(edge) >= -z else float(brentq(lambda d: score(d) + z, found, edge))
    return low, high


@lru_cache(maxsize=256)
def _z(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


@lru_cache(maxsize=4096)
def _expanded(share: float, rows: int) -> float:
    """The normal quantile that stands for Student's t of so many rows, and for dividing by n."""
    from scipy.special import stdtrit

    return float(stdtrit(rows - 1, share)) * math.sqrt(rows / (rows - 1))


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
