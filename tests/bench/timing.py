"""Two pieces of work timed in turn, and the line of the table that the comparison becomes.

Absolute times belong to the machine of the day. A ratio of medians over interleaved runs moves far
less: whatever else the machine does, it does to both sides.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NotRequired, TypedDict

ROUNDS = 3

Work = Callable[[], Any]


class Measure(TypedDict):
    measure: str
    ours: float | None  # None: it could not be measured here, see `note`
    peer: float | None
    unit: str
    ratio: float | None  # which way round, and from where it is good: see `goal`
    goal: str  # such as "peer / ours >= 50"; "" for a figure without a target
    holds: bool | None  # None without a goal
    note: NotRequired[str]


def seconds(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved(ours: Work, peer: Work, rounds: int = ROUNDS) -> tuple[float, float]:
    """Median seconds of each; every round runs one after the other."""
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, got {rounds}")
    times = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def faster(
    measure: str, ours: float, peer: float, at_least: float | None = None, unit: str = "s"
) -> Measure:
    """How many times less ours takes: peer / ours."""
    ratio = peer / ours
    goal = "" if at_least is None else f"peer / ours >= {at_least:g}"
    return _line(measure, ours, peer, unit, ratio, goal, at_least is None or ratio >= at_least)


def costs(
    measure: str, ours: float, peer: float, at_most: float | None = None, unit: str = "s"
) -> Measure:
    """How many times more ours takes than a floor or a smaller job: ours / peer."""
    ratio = ours / peer
    goal = "" if at_most is None else f"ours / peer <= {at_most:g}"
    return _line(measure, ours, peer, unit, ratio, goal, at_most is None or ratio <= at_most)


def ahead(measure: str, ours: float, peer: float, at_least: float | None, unit: str) -> Measure:
    """How many times the rate of the peer: ours / peer."""
    ratio = ours / peer
    goal = "" if at_least is None else f"ours / peer >= {at_least:g}"
    return _line(measure, ours, peer, unit, ratio, goal, at_least is None or ratio >= at_least)


def floor(
    measure: str, ours: float, peer: float, at_least: float, unit: str, note: str = ""
) -> Measure:
    """A rate that has to reach a number of its own; the peer is there to judge it by."""
    goal = f"ours >= {at_least:g}"
    line = _line(measure, ours, peer, unit, ours / peer, goal, ours >= at_least)
    return {**line, "note": note} if note else line


def missing(measure: str, unit: str, goal: str, why: str) -> Measure:
    """A measure whose peer is not installed here; it does not hold. `why` says what to install."""
    return {
        **_line(measure, None, None, unit, None, goal, False),
        "holds": False,
        "note": why,
    }


def _line(
    measure: str,
    ours: float | None,
    peer: float | None,
    unit: str,
    ratio: float | None,
    goal: str,
    holds: bool,
) -> Measure:
    return {
        "measure": measure,
        "ours": ours,
        "peer": peer,
        "unit": unit,
        "ratio": ratio,
        "goal": goal,
        "holds": holds if goal else None,
    }
