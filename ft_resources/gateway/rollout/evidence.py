"""Is the canary worse, or not worse by more than the margin? Bets against both, at any time of
looking.

One unit is one conversation that was drawn into the test: A = 1 with the known probability pi, else
0, and Y in [0, 1] how its people took the answers. With m the mean of the Y before it,

    X = (A / pi - (1 - A) / (1 - pi)) * (Y - m),    E[X | what was before] = p_canary - p_control,

whatever the base rate does meanwhile and however pi changes between units. A conversation without
any reaction counts as one of mean m: X = 0. Wealth that bets on X < 0 is a martingale or falls
while the canary is not worse; by Ville's inequality it ever reaches 1 / a with probability a at
most (Waudby-Smith and Ramdas 2024; Ramdas et al. 2023). So

    rollback:   sum_k w_k prod (1 - l_k X)        reaches 1 / a   (null: p_canary >= p_control)
    promotion:  sum_k w_k prod (1 + l_k (X + d))  reaches 1 / a   (null: p_canary <= p_control - d)

where d, the margin, counts for conversations with a reaction only. A bet l_k is a fixed share of
what the next X could cost, so wealth stays positive. The ratio of the arms is tested the same way.

Units come as arrays whose last axis is time, mostly of length 1; before it every array has the same
leading shape: () for a rollout, (n,) for n rollouts that are simulated.
Not covered: an effect of one arm on the other's people, and a draw that is not random.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Shares of the largest bet, and how much is staked on each at the start. The largest ones find a
# 20-point loss; the small ones are for a few points, which need many conversations anyway.
BETS = np.array([0.8, 0.35, 0.15, 0.07, 0.035])
STAKES = np.log(np.array([0.1, 0.5, 0.2, 0.1, 0.1]))
SIDES = np.array([0.25, 0.0625, -0.25, -0.0625])
EQUAL_SIDES = np.full(len(SIDES), -math.log(len(SIDES)))
PRIOR_MEAN, PRIOR_WEIGHT = 0.5, 1.0  # of m before the first reaction
WATCH_BET = 0.5  # of the e-CUSUM after promotion


@dataclass(frozen=True)
class Bounds:
    """How often the decision may be wrong, and what "not worse" means."""

    false_promotion: float = 0.05
    false_rollback: float = 0.05  # by people's reactions and guardrails together
    guardrail_part: float = 0.2  # of false_rollback, shared by all guardrails
    margin: float = 0.05  # of the mean reaction, 0 to 1
    false_ratio_alarm: float = 0.001
    min_reactions: int = 50  # canary conversations with a reaction, before a promotion

    def __post_init__(self) -> None:
        for name in ("false_promotion", "false_rollback", "guardrail_part", "false_ratio_alarm"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if not 0 < self.margin < 1:
            raise ValueError(f"margin must be between 0 and 1, got {self.margin}")

    @property
    def log_promote(self) -> float:
        return -math.log(self.false_promotion)

    @property
    def log_rollback(self) -> float:
        return -math.log(self.false_rollback * (1 - self.guardrail_part))

    @property
    def log_ratio(self) -> float:
        return -math.log(self.false_ratio_alarm)

    def log_guardrail(self, guardrails: int) -> float:
        """Bonferroni: each of the guardrails has its part of the error."""
        return math.log(guardrails) - math.log(self.false_rollback * self.guardrail_part)


def log_mean(log_wealth: Floats, log_stakes: Floats) -> Floats:
    """log of sum_k stake_k * wealth_k, over the last axis."""
    terms = log_wealth + log_stakes
    top = terms.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(terms - top).sum(axis=-1))


@dataclass(frozen=True)
class Path:
    """Log evidence after each of the units that were taken up together, shape + (time,)."""

    rollback: Floats
    promote: Floats
    ratio: Floats
    canary_reactions: Floats


@dataclass
class Evidence:
    """What people's reactions say so far. Arrays; see the module."""

    margin: float
    shape: tuple[int, ...] = ()
    rollback: Floats = field(init=False)  # log wealth, shape + (len(BETS),)
    promote: Floats = field(init=False)
    ratio: Floats = field(init=False)  # shape + (len(SIDES),)
    units: Floats = field(init=False)  # conversations, shape + (2,): control, canary
    reactions: Floats = field(init=False)  # those with a reaction
    total: Floats = field(init=False)  # sum of their Y

    def __post_init__(self) -> None:
        self.rollback = np.zeros((*self.shape, len(BETS)))
        self.promote = np.zeros((*self.shape, len(BETS)))
        self.ratio = np.zeros((*self.shape, len(SIDES)))
        for name in ("units", "reactions", "total"):
            setattr(self, name, np.zeros((*self.shape, 2)))

    def observe(
        self,
        canary: ArrayLike,
        pi: ArrayLike,
        score: ArrayLike,
        reacted: ArrayLike,
        counted: ArrayLike,
    ) -> Path:
        """Take up units: arm (1 canary, 0 control), P(canary), Y; 0 in `reacted` for one without a
        reaction, 0 in `counted` for one that is left out. All of shape + (time,).
        """
        canary, pi, score, counted = (np.asarray(v, float) for v in (canary, pi, score, counted))
        reacted = np.asarray(reacted, float) * counted
        arms = np.stack([1 - canary, canary], axis=-1) * counted[..., None]
        reactions = _run(self.reactions, arms * reacted[..., None])
        total = _run(self.total, arms * (reacted * score)[..., None])
        bets, x = contrast(canary, pi, score * reacted, reacted, total, reactions)
        rollback = _run(self.rollback, np.log1p(-bets * x[..., None]))
        gain = np.log1p(bets * (x + self.margin * reacted)[..., None])
        promote = _run(self.promote, gain)
        lean = counted * (canary - pi) / np.maximum(pi, 1 - pi)
        ratio = _run(self.ratio, np.log1p(SIDES * lean[..., None]))
        self.units = self.units + arms.sum(axis=-2)
        for name, path in (
            ("rollback", rollback),
            ("promote", promote),
            ("ratio", ratio),
            ("reactions", reactions),
            ("total", total),
        ):
            setattr(self, name, path[..., -1, :])
        return Path(
            log_mean(rollback[..., 1:, :], STAKES),
            log_mean(promote[..., 1:, :], STAKES),
            log_mean(ratio[..., 1:, :], EQUAL_SIDES),
            reactions[..., 1:, 1],
        )

    @property
    def log_rollback(self) -> Floats:
        return log_mean(self.rollback, STAKES)

    @property
    def log_promote(self) -> Floats:
        return log_mean(self.promote, STAKES)

    @property
    def log_ratio(self) -> Floats:
        return log_mean(self.ratio, EQUAL_SIDES)

    def to_dict(self) -> dict[str, Any]:
        names = ("rollback", "promote", "ratio", "units", "reactions", "total")
        return {name: getattr(self, name).tolist() for name in names}

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Of simulated rollouts: go on with these."""
        for name in ("rollback", "promote", "ratio", "units", "reactions", "total"):
            setattr(self, name, getattr(self, name)[rows])
        self.shape = (len(rows),)


def contrast(
    canary: Floats,
    pi: Floats,
    score: Floats,
    reacted: Floats,
    total: Floats,
    reactions: Floats,
) -> tuple[Floats, Floats]:
    """(bets, X). `total` and `reactions` of both arms from before the first unit on; m of a unit is
    of what was before it. No bet can lose more than its share, whatever comes next.
    """
    before = (PRIOR_WEIGHT + reactions.sum(axis=-1))[..., :-1]
    mean = (PRIOR_MEAN * PRIOR_WEIGHT + total.sum(axis=-1))[..., :-1] / before
    largest = np.maximum(1 / pi, 1 / (1 - pi)) * np.maximum(mean, 1 - mean)
    x = (canary / pi - (1 - canary) / (1 - pi)) * (score - mean * reacted)
    return BETS / largest[..., None], x


def _run(start: Floats, steps: Floats) -> Floats:
    """The running sum from `start` on: time is the last axis but one, one longer than `steps`."""
    return np.cumsum(np.concatenate([start[..., None, :], steps], axis=-2), axis=-2)


@dataclass
class Guardrail:
    """A share of answers that must stay below a limit: bets that it is above.

    Log-likelihood ratios of larger shares against the limit; while the true share is at most the
    limit, each is a supermartingale.
    """

    limit: float
    shape: tuple[int, ...] = ()
    alternatives: Floats = field(init=False)
    wealth: Floats = field(init=False)  # log, shape + (len(alternatives),)
    answers: Floats = field(init=False)
    bad: Floats = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.limit < 1:
            raise ValueError(f"the limit of a guardrail must be between 0 and 1, got {self.limit}")
        # Doubling odds, until nearly every answer is bad.
        odds = [self.limit / (1 - self.limit) * 2**k for k in range(1, 16)]
        shares = [o / (1 + o) for o in odds]
        self.alternatives = np.array([s for s in shares if s < 0.97] or [(1 + self.limit) / 2])
        self.wealth = np.zeros((*self.shape, len(self.alternatives)))
        self.answers, self.bad = np.zeros(self.shape), np.zeros(self.shape)

    def observe(self, bad: ArrayLike, counted: ArrayLike) -> Floats:
        """Take up answers, shape + (time,): 1 for a bad one; `counted` 0 stands for no answer.

        Return the log evidence after each.
        """
        bad, counted = np.asarray(bad, float), np.asarray(counted, float)
        won = np.log(self.alternatives / self.limit)
        lost = np.log((1 - self.alternatives) / (1 - self.limit))
        steps = counted[..., None] * np.where(bad[..., None] > 0, won, lost)
        path = _run(self.wealth, steps)
        self.wealth = path[..., -1, :]
        self.answers = self.answers + counted.sum(axis=-1)
        self.bad = self.bad + (counted * bad).sum(axis=-1)
        return log_mean(path[..., 1:, :], self._stakes)

    @property
    def _stakes(self) -> Floats:
        return np.full(len(self.alternatives), -math.log(len(self.alternatives)))

    @property
    def log_evidence(self) -> Floats:
        return log_mean(self.wealth, self._stakes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "limit": self.limit,
            "wealth": self.wealth.tolist(),
            "answers": float(self.answers),
            "bad": float(self.bad),
        }

    def keep(self, rows: NDArray[np.int64]) -> None:
        for name in ("wealth", "answers", "bad"):
            setattr(self, name, getattr(self, name)[rows])
        self.shape = (len(rows),)


@dataclass
class Watch:
    """After a promotion: an e-CUSUM against the old champion, which keeps a share of the traffic.

    While the new one is not worse, the mean number of reactions until it alarms is at least
    exp(log limit) (e-detectors: Shin, Ramdas and Rinaldo 2023).
    """

    log_wealth: float = 0.0
    total: Floats = field(default_factory=lambda: np.zeros(2))
    reactions: Floats = field(default_factory=lambda: np.zeros(2))

    def observe(self, canary: bool, pi: float, score: float, reacted: bool) -> None:
        """Take up one unit; `canary` is the new champion."""
        if not reacted:
            return
        arms = np.array([[float(not canary), float(canary)]])
        total, reactions = _run(self.total, arms * score), _run(self.reactions, arms)
        told = (np.array([float(v)]) for v in (canary, pi, score, reacted))
        bets, x = contrast(*told, total, reactions)
        bet = float(bets[0, 0] / BETS[0]) * WATCH_BET
        self.log_wealth = max(self.log_wealth, 0.0) + math.log1p(-bet * float(x[0]))
        self.total, self.reactions = total[-1], reactions[-1]
