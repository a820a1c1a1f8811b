"""When an effect is an alarm: a budget of false alarms, limits from weeks without change, a lower
limit at which an alarm ends, and what is to be done about it.

Budget. Every week one test per stream and domain is made; each has the level

    budget / (52 x domains x streams)

so the expected number of false alarms in a year, over all domains and streams together, is at most
the budget, however the tests hang together (union bound). A week that is looked at again because
more of it arrived spends its level over the looks (6 / pi^2 k^2 of it for look k).

Limit. An effect must be larger than `floor`, below which nobody wants to hear of it, and than what
a week without change reaches at that level: the one-sided prediction limit for one more value,
mean + t s sqrt(1 + 1/n), over the effects that weeks of the baseline have against the others
(Hahn and Meeker, Statistical Intervals). Few weeks tell little of how they scatter, so s is
moderated by what chance alone makes (as in Smyth 2004): the variance of the weeks is averaged with
that of random draws of conversations, or, of shares, with that of the binomial formula with its
design effect, each weighted by its degrees of freedom.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from ft_assets.monitoring.effects import SHARES, WORDS, Stream

WEEKS_A_YEAR = 52
MOST_LEVEL = 0.05  # of one test, however large the budget
PRIOR = 8  # degrees of freedom that the formula of a share counts for
SMALL_H = 0.2  # Cohen 1988: a small effect
MOST = {True: 0.99, False: math.pi}  # an effect beyond which there is none
SHAPE_FLOOR = 0.1  # Jensen-Shannon distance; Evidently's own default


class State(StrEnum):
    QUIET = "quiet"
    ALARM = "alarm"
    HELD = "held"  # below the limit, above the lower one: an alarm that has not ended
    UNSEEN = "unseen"  # too few rows, no words, or nothing to compare with


class Remedy(StrEnum):
    NONE = "none"
    TELL = "tell"
    RELABEL = "relabel"
    RETRAIN = "retrain"


@dataclass(frozen=True)
class Policy:
    domains: int
    false_alarms_per_year: float = 4.0
    score_limit: float = 0.6  # AUC
    clears_at: float = 0.6  # of the way from normal to the limit
    min_rows: int = 50  # of a week and of its baseline
    max_rows: int = 2_000  # of either; more are sampled

    def __post_init__(self) -> None:
        if not 0.5 < self.score_limit < 1:
            raise ValueError(f"score_limit must lie between 0.5 and 1, got {self.score_limit}")
        if not 0 < self.clears_at < 1:
            raise ValueError(f"clears_at must lie between 0 and 1, got {self.clears_at}")
        if not self.false_alarms_per_year > 0:
            raise ValueError(
                f"false_alarms_per_year must be above 0, got {self.false_alarms_per_year}"
            )
        if not 10 <= self.min_rows <= self.max_rows:
            raise ValueError(
                "min_rows must be 10 or more and at most max_rows, "
                f"got {self.min_rows} and {self.max_rows}"
            )

    def level(self, look: int = 1) -> float:
        """Of one test, at the look-th look at a week (from 1)."""
        tests = WEEKS_A_YEAR * max(1, self.domains) * len(Stream)
        return min(MOST_LEVEL, self.false_alarms_per_year / tests) * 6 / (math.pi * look) ** 2

    def floor(self, stream: Stream) -> float:
        if stream in WORDS:
            return self.score_limit
        return SMALL_H if stream in SHARES else SHAPE_FLOOR


@dataclass(frozen=True)
class Limit:
    raised: float  # an alarm above it
    cleared: float  # and its end below this one


@dataclass(frozen=True)
class Finding:
    """One stream in one week."""

    stream: Stream
    state: State
    effect: float | None
    limit: float | None
    cleared: float | None
    rows: int  # of the week
    compared: int  # rows of the baseline
    why: str = ""  # of a stream that is not seen

    @property
    def on(self) -> bool:
        return self.state in (State.ALARM, State.HELD)


@dataclass(frozen=True)
class Normal:
    """Effects when nothing changed; of shares in deviations of chance."""

    weeks: tuple[float, ...]  # of weeks of the baseline, each against the others
    drawn: tuple[float, ...]  # of random draws of its conversations; none of shares


def limit_of(stream: Stream, normal: Normal, chance: float, policy: Policy, look: int) -> Limit:
    """`chance` is the deviation of the share that is judged, and 1 for other streams."""
    from scipy.special import stdtrit

    groups = [group for group in (normal.weeks, normal.drawn) if group]
    centre = fmean(groups[0]) * chance if groups else 0.0
    squares = sum((value - fmean(group)) ** 2 for group in groups for value in group)
    degrees = sum(len(group) - 1 for group in groups)
    if stream in SHARES:
        squares, degrees = squares + PRIOR, degrees + PRIOR
    raised = MOST[stream in WORDS]
    if degrees > 0:
        spread = math.sqrt(squares / degrees * (1 + 1 / max(1, len(groups[0] if groups else ()))))
        noise = float(stdtrit(degrees, 1 - policy.level(look))) * spread * chance
        raised = min(raised, max(policy.floor(stream), centre + noise))
    return Limit(raised, centre + policy.clears_at * (raised - centre))


def state_of(effect: float, limit: Limit, was_on: bool) -> State:
    if effect > limit.raised:
        return State.ALARM
    return State.HELD if was_on and effect > limit.cleared else State.QUIET


def remedy_for(on: Collection[Stream]) -> tuple[Remedy, str]:
    """What is to be done about the streams that are in alarm, and why."""
    names = ", ".join(sorted(on))
    worse = sorted(set(on) & {*SHARES, Stream.ANSWER_WORDS})
    if Stream.PROMPT_WORDS in on:
        also = f"; changed with it: {', '.join(worse)}" if worse else ""
        return Remedy.RETRAIN, (
            f"people ask for other things than the model was trained on{also}: train it on the "
            "weeks since"
        )
    if set(on) & set(SHARES):
        return Remedy.RELABEL, (
            f"prompts did not change, what people make of the answers did ({names}): the corpus "
            "teaches what is no longer wanted, so have answers corrected before training on them"
        )
    if Stream.ANSWER_WORDS in on:
        return Remedy.RELABEL, (
            "the same model answers the same prompts in other words: look at the answers, and "
            "have them corrected if the older ones no longer hold"
        )
    if on:
        return Remedy.TELL, f"only the form changed ({names}), not what is asked or how it is taken"
    return Remedy.NONE, "no stream is above its limit"
