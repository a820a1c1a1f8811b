"""How often a canary is decided wrongly, and how soon rightly, by simulated rollouts.

Each rollout goes through the ledger and the evidence that a real one goes through; thousands of
them are judged at once, row by row of the same arrays. Only conversations with a reaction are
simulated: the others change nothing. The guardrails run along with answers that are bad exactly as
often as their limits allow, so that the bound holds for both together.

    equal      canary = control                   false rollback
    worse      canary = control - margin          false promotion
    broken     canary = control - 0.20            canary feedbacks until the rollback
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ft_resources.gateway.rollout.evidence import Bounds, Evidence, Guardrail
from ft_resources.gateway.rollout.ledger import Ledger

CHUNK = 64  # conversations drawn at a time
BROKEN = 0.2
KINDS = ("equal", "worse", "broken")
SCENARIOS = ("iid", "drifting_base_rate", "heavy_users", "changing_shares", "duplicates")
DRIFT, PERIOD = 0.15, 800  # of the base rate: amplitude, and conversations of one wave
USERS = 300  # of a rollout with heavy users; the first ones talk most
SHARES = (0.05, 0.1, 0.25, 0.5)  # P(canary) in turn, when it changes
SHARE_CONVERSATIONS = 300
WINDOW = 40  # conversations that begin before a window is over
LATE = 0.1  # of the reactions come after their window
VOTES = 3  # of a user

Arrays = tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class Trial:
    """What is simulated."""

    bounds: Bounds = field(default_factory=Bounds)
    guardrails: Mapping[str, float] = field(default_factory=lambda: {"errors": 0.01})
    rollouts: int = 2000
    horizon: int = 6000  # conversations with a reaction, both arms; then it is inconclusive
    base_rate: float = 0.8  # mean reaction to the control
    seed: int = 0

    def __post_init__(self) -> None:
        if not BROKEN < self.base_rate < 1:
            raise ValueError(f"the base rate must be over {BROKEN} and below 1: {self.base_rate}")
        if self.rollouts < 1 or self.horizon < 1:
            raise ValueError("rollouts and horizon must be at least 1")
        if self.bounds.margin >= self.base_rate:
            raise ValueError(f"margin {self.bounds.margin} must be below the base rate")


@dataclass(frozen=True)
class Outcomes:
    """Of rollouts of one kind: shares, and canary feedbacks until the decision."""

    promoted: float
    rolled_back: float
    promote_p50: float  # infinite where fewer came so far
    promote_p90: float
    rollback_p50: float
    rollback_p90: float

    @property
    def inconclusive(self) -> float:
        return 1 - self.promoted - self.rolled_back


@dataclass(frozen=True)
class Scenario:
    scenario: str
    bounds: Bounds
    rollouts: int
    equal: Outcomes
    worse: Outcomes
    broken: Outcomes

    @property
    def within_bounds(self) -> bool:
        return all(
            share <= bound + 2 * math.sqrt(bound * (1 - bound) / self.rollouts)
            for share, bound in (
                (self.worse.promoted, self.bounds.false_promotion),
                (self.equal.rolled_back, self.bounds.false_rollback),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON knows no infinity: null stands for "not within the horizon"."""
        finite = {
            name: {k: v if math.isfinite(v) else None for k, v in asdict(outcomes).items()}
            for name, outcomes in (
                ("equal", self.equal),
                ("worse_by_margin", self.worse),
                ("worse_by_20_points", self.broken),
            )
        }
        caught = self.broken.rollback_p90
        return {
            "scenario": self.scenario,
            "false_promotion": self.worse.promoted,
            "false_rollback": self.equal.rolled_back,
            "bound": max(self.bounds.false_promotion, self.bounds.false_rollback),
            "bound_false_promotion": self.bounds.false_promotion,
            "bound_false_rollback": self.bounds.false_rollback,
            "p90_feedbacks_20_points": caught if math.isfinite(caught) else None,
            "rollouts": self.rollouts,
            "outcomes": finite,
        }


def simulate(trial: Trial, scenario: str) -> Scenario:
    """Raises ValueError for an unknown scenario."""
    outcomes = [simulate_kind(trial, scenario, kind) for kind in KINDS]
    return Scenario(scenario, trial.bounds, trial.rollouts, *outcomes)


def simulate_kind(trial: Trial, scenario: str, kind: str) -> Outcomes:
    """Rollouts of one of KINDS, which are independent of those of the others.

    Raises ValueError for an unknown scenario or kind.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario must be one of {', '.join(SCENARIOS)}, got {scenario!r}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    seed = [trial.seed, SCENARIOS.index(scenario), KINDS.index(kind)]
    loss = {"equal": 0.0, "worse": trial.bounds.margin, "broken": BROKEN}[kind]
    stream = STREAMS[scenario](trial, loss, np.random.default_rng(seed))
    return judge(trial, stream, at_limit=kind != "broken", seed=[*seed, 1])


class Stream:
    """Conversations of all rollouts, a chunk at a time: everybody reacts once, in time."""

    def __init__(self, trial: Trial, loss: float, random: np.random.Generator) -> None:
        self.trial, self.loss, self.random = trial, loss, random
        self.rollouts = np.arange(trial.rollouts)
        self.at = 0

    def keep(self, rows: NDArray[np.int64]) -> None:
        self.rollouts = self.rollouts[rows]

    def next(self) -> Arrays:
        """(canary, pi, score, reacted, counted), each float [rollouts left, CHUNK]."""
        shape = (len(self.rollouts), CHUNK)
        places = self.at + np.arange(CHUNK)
        self.at += CHUNK
        pi = np.broadcast_to(self.shares(places), shape)
        canary = (self.random.random(shape) < pi).astype(float)
        good = self.base(places, shape) - self.loss * canary
        score = (self.random.random(shape) < good).astype(float)
        return self.settle(canary, pi, score)

    def shares(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.full(len(places), 0.5)

    def base(self, places: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.float64]:
        return np.full(shape, self.trial.base_rate)

    def settle(
        self, canary: NDArray[np.float64], pi: NDArray[np.float64], score: NDArray[np.float64]
    ) -> Arrays:
        return canary, pi, score, np.ones_like(score), np.ones_like(score)


class Drifting(Stream):
    def base(self, places: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.float64]:
        room = min(DRIFT, 1 - self.trial.base_rate, self.trial.base_rate - BROKEN)
        wave = np.sin(2 * np.pi * places / PERIOD)
        return np.broadcast_to(self.trial.base_rate + room * wave, shape)


class ChangingShares(Drifting):
    """And the base rate drifts: pooled over the steps, equal arms would look unequal."""

    def shares(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array(SHARES)[np.minimum(places // SHARE_CONVERSATIONS, len(SHARES) - 1)]


class Told(Stream):
    """Reactions told as events, through a ledger for each rollout."""

    def __init__(self, trial: Trial, loss: float, random: np.random.Generator) -> None:
        super().__init__(trial, loss, random)
        self.ledgers = [Ledger(WINDOW, VOTES) for _ in range(trial.rollouts)]
        self.pending: list[dict[int, list[tuple[int, float]]]] = [{} for _ in range(trial.rollouts)]

    def keep(self, rows: NDArray[np.int64]) -> None:
        super().keep(rows)
        self.ledgers = [self.ledgers[i] for i in rows]
        self.pending = [self.pending[i] for i in rows]

    def users(self, shape: tuple[int, int]) -> list[list[int]]:
        return [[0] * shape[1]] * shape[0]  # without a name

    def tellings(self, shape: tuple[int, int]) -> list[list[tuple[int, ...]]]:
        """After how many further conversations each reaction arrives; more than one: again."""
        return [[(0,)] * shape[1]] * shape[0]

    def settle(
        self, canary: NDArray[np.float64], pi: NDArray[np.float64], score: NDArray[np.float64]
    ) -> Arrays:
        first, closed = self.at - CHUNK, []
        users, tellings = self.users(score.shape), self.tellings(score.shape)
        for row, ledger in enumerate(self.ledgers):
            arms, odds, scores = canary[row].tolist(), pi[row].tolist(), score[row].tolist()
            pending = self.pending[row]
            for i, delays in enumerate(tellings[row]):
                now = first + i
                for key, value in pending.pop(now, ()):
                    ledger.react(now, key, value)
                ledger.begin(now, now, users[row][i], arms[i] > 0, odds[i])
                ledger.answered(now, now, now)
                for delay in delays:
                    if delay:
                        pending.setdefault(now + delay, []).append((now, scores[i]))
                    else:
                        ledger.react(now, now, scores[i])
            closed.append(ledger.take())
        told = np.array(closed, float)
        return tuple(told[:, :, column] for column in range(told.shape[2]))


class HeavyUsers(Told):
    """Few users talk most, and each has a temper of their own (correlation within 0.2 or so)."""

    def __init__(self, trial: Trial, loss: float, random: np.random.Generator) -> None:
        super().__init__(trial, loss, random)
        activity = 1 / np.arange(1, USERS + 1)
        self.activity = np.cumsum(activity / activity.sum())
        room = 0.9 * min(1 - trial.base_rate, trial.base_rate - max(loss, BROKEN))
        self.temper = random.choice([-room, room], (trial.rollouts, USERS))
        self.drawn = np.zeros((0, 0), int)

    def base(self, places: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.float64]:
        self.drawn = np.searchsorted(self.activity, self.random.random(shape))
        rows = self.rollouts[:, None]
        return self.trial.base_rate + self.temper[rows, np.minimum(self.drawn, USERS - 1)]

    def users(self, shape: tuple[int, int]) -> list[list[int]]:
        # Every name returns as somebody new after a while: else all would have voted.
        age = self.at // (2 * USERS)
        return (1 + age * (USERS + 1) + self.drawn).tolist()


class Duplicates(Told):
    """A third is told again, most out of order, and a tenth only after its window."""

    def tellings(self, shape: tuple[int, int]) -> list[list[tuple[int, ...]]]:
        delays = self.random.integers(1, WINDOW - 8, (*shape, 2))
        delays[self.random.random(shape) < LATE] += WINDOW
        again = self.random.random(shape) < 1 / 3
        return [
            [(a, b) if twice else (a,) for (a, b), twice in zip(row, marks, strict=True)]
            for row, marks in zip(delays.tolist(), again.tolist(), strict=True)
        ]


STREAMS: dict[str, Callable[[Trial, float, np.random.Generator], Stream]] = {
    "iid": Stream,
    "drifting_base_rate": Drifting,
    "heavy_users": HeavyUsers,
    "changing_shares": ChangingShares,
    "duplicates": Duplicates,
}


def judge(trial: Trial, stream: Stream, at_limit: bool, seed: list[int]) -> Outcomes:
    """Follow all rollouts until each is decided or the horizon is reached."""
    count, bounds = trial.rollouts, trial.bounds
    random = np.random.default_rng(seed)
    evidence = Evidence(bounds.margin, (count,))
    guards = [Guardrail(limit, (count,)) for limit in trial.guardrails.values()]
    log_guardrail = bounds.log_guardrail(len(guards)) if guards else math.inf
    feedbacks = {"promoted": np.full(count, np.inf), "rolled_back": np.full(count, np.inf)}
    while stream.at < trial.horizon and len(stream.rollouts):
        canary, pi, score, reacted, counted = stream.next()
        path = evidence.observe(canary, pi, score, reacted, counted)
        back = path.rollback >= bounds.log_rollback
        for guard in guards:
            bad = random.random(canary.shape) < (guard.limit if at_limit else 0.0)
            back |= guard.observe(bad, canary) >= log_guardrail
        up = (
            (path.promote >= bounds.log_promote)
            & (path.canary_reactions >= bounds.min_reactions)
            & (path.ratio < bounds.log_ratio)
        )
        crossed = back | up
        decided, first = crossed.any(axis=1), crossed.argmax(axis=1)
        rows = np.arange(len(first))
        worse = back[rows, first]  # a rollback stands before a promotion
        for name, chosen in (
            ("rolled_back", decided & worse),
            ("promoted", decided & ~worse),
        ):
            count_then = path.canary_reactions[rows, first]
            feedbacks[name][stream.rollouts[chosen]] = count_then[chosen]
        if decided.any():
            going_on = np.flatnonzero(~decided)
            for part in (evidence, *guards, stream):
                part.keep(going_on)
    return _outcomes(feedbacks)


def _outcomes(feedbacks: Mapping[str, NDArray[np.float64]]) -> Outcomes:
    def at(name: str, share: float) -> float:
        return float(np.quantile(feedbacks[name], share, method="higher"))

    promoted, back = (np.isfinite(feedbacks[n]) for n in ("promoted", "rolled_back"))
    return Outcomes(
        float(promoted.mean()),
        float(back.mean()),
        at("promoted", 0.5),
        at("promoted", 0.9),
        at("rolled_back", 0.5),
        at("rolled_back", 0.9),
    )
