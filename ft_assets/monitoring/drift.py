"""Judge every week after those a model was trained on, each by itself, in its first week.

Prompts are compared with the weeks that the champion was trained on. Answers and reactions are
compared with the first weeks that the same model answered, since another model may well answer
otherwise; the model that answered most of a week is the one that is looked at.

Weeks are judged in order, so that an alarm lasts until a week is below its lower limit. Same rows,
order and seed give the same verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd

from ft_assets.monitoring.alarms import (
    Finding,
    Limit,
    Normal,
    Policy,
    Remedy,
    State,
    limit_of,
    remedy_for,
    state_of,
)
from ft_assets.monitoring.effects import (
    OF_PROMPTS,
    SHARES,
    Stream,
    cut,
    main_model,
    measure,
    usable,
)

BASELINE_WEEKS = 8  # the newest trained ones, or the first of a model
MIN_WEEKS = 4  # of a baseline, for its weeks to say how weeks scatter
MIN_ANSWERED_WEEKS = 2  # of a model, before its answers and their reactions are judged
DRAWS = 8  # random ones of a baseline's conversations, to tell what chance makes
MIN_PART = 10  # rows
STEP = 1.25  # between the numbers of rows that weeks are cut to, so that few limits are computed


class Verdict(StrEnum):
    DRIFTED = "drifted"  # something is to be done
    CHANGED = "changed"  # nothing but to know it
    STABLE = "stable"
    TOO_FEW_ROWS = "too_few_rows"
    NO_SCORE = "no_score"  # no words to compare
    NOTHING_NEW = "nothing_new"  # no champion with known weeks, or no week after them


@dataclass(frozen=True)
class Judged:
    """One week."""

    week: str
    verdict: Verdict
    remedy: Remedy
    why: str
    findings: tuple[Finding, ...]

    def of(self, stream: Stream) -> Finding:
        return next(found for found in self.findings if found.stream is stream)

    def to_dict(self) -> dict[str, object]:
        return {
            "week": self.week,
            "verdict": str(self.verdict),
            "remedy": str(self.remedy),
            "why": self.why,
            "findings": [vars(found) | {"stream": str(found.stream)} for found in self.findings],
        }


@dataclass
class Baseline:
    """Weeks in which nothing changed, and what one of them reaches against the others."""

    table: pd.DataFrame
    seed: int
    _normal: dict[tuple[Stream, int], Normal] = field(default_factory=dict)

    @property
    def weeks(self) -> list[str]:
        return sorted(self.table["week"].unique())

    def normal(self, stream: Stream, rows: int, max_rows: int) -> Normal:
        """What weeks and draws of `rows` rows reach against all others."""
        if (stream, rows) not in self._normal:
            random = np.random.RandomState(self.seed)
            table = usable(self.table, stream)
            parts = {True: self._weeks(table), False: self._draws(table, rows, random)}
            if stream in SHARES:
                parts[False] = []
            found: dict[bool, list[float]] = {True: [], False: []}
            for whole, masks in parts.items():
                for mask in masks:
                    effect = measure(
                        stream,
                        cut(table[~mask], max_rows, random),
                        cut(table[mask], rows, random),
                        random,
                    )
                    if effect.value is not None:
                        found[whole].append(effect.value / effect.chance)
            self._normal[stream, rows] = Normal(tuple(found[True]), tuple(found[False]))
        return self._normal[stream, rows]

    def _weeks(self, table: pd.DataFrame) -> list[np.ndarray]:
        """Masks of its weeks, where there are enough of them."""
        sizes = table["week"].value_counts()
        weeks = sorted(sizes.index[sizes >= MIN_PART])
        if len(weeks) < MIN_WEEKS:
            return []
        return [(table["week"] == week).to_numpy() for week in weeks]

    def _draws(
        self, table: pd.DataFrame, rows: int, random: np.random.RandomState
    ) -> list[np.ndarray]:
        """Masks of random conversations, of `rows` rows or half of what there is."""
        codes, names = pd.factorize(table["conversation"].astype(str))
        sizes = np.bincount(codes)
        wanted = min(rows, len(table) // 2)
        masks = []
        for _ in range(DRAWS):
            order = random.permutation(len(names))
            taken = order[: 1 + int(np.searchsorted(np.cumsum(sizes[order]), wanted))]
            mask = np.isin(codes, taken)
            if min(mask.sum(), (~mask).sum()) >= MIN_PART:
                masks.append(mask)
        return masks


def judge_weeks(
    table: pd.DataFrame,
    trained: Sequence[str],
    current: Sequence[str],
    policy: Policy,
    seed: int,
    looks: Mapping[str, int] | None = None,
) -> list[Judged]:
    """Judge the weeks `current`, oldest first.

    `table` is that of effects.observed over all weeks. `looks` says that a week is judged for the
    second time (2), the third, because its content is another than before.
    """
    asked = Baseline(_newest_weeks(table, trained), seed)
    answered: dict[tuple[str, ...], Baseline] = {}
    main = {str(week): main_model(part) for week, part in table.groupby("week")}
    on: set[Stream] = set()
    changed: dict[Stream, set[str]] = {stream: set() for stream in Stream}
    judged = []
    for week in sorted(current):
        rows = table[table["week"] == week]
        model = main[week]

        def baseline_of(stream: Stream, week: str = week, model: str = model) -> Baseline:
            if stream in OF_PROMPTS:
                return asked
            weeks = [w for w, m in main.items() if m == model and w < week]
            weeks = [w for w in sorted(weeks) if w not in changed[stream]][:BASELINE_WEEKS]
            key = (model, *weeks)
            if key not in answered:
                own = table["week"].isin(weeks) & (table["model_version"] == model)
                answered[key] = Baseline(table[own], seed)
            return answered[key]

        look = (looks or {}).get(week, 1)
        findings = tuple(
            _finding(
                stream,
                rows if stream in OF_PROMPTS else rows[rows["model_version"] == model],
                baseline_of,
                stream in on,
                policy,
                look,
            )
            for stream in Stream
        )
        on = {f.stream for f in findings if f.on} | {
            f.stream for f in findings if f.state is State.UNSEEN and f.stream in on
        }
        for stream in on:
            changed[stream].add(week)
        judged.append(_judged(week, findings))
    return judged


def _finding(
    stream: Stream,
    rows: pd.DataFrame,
    baseline_of: Callable[[Stream], Baseline],
    was_on: bool,
    policy: Policy,
    look: int,
) -> Finding:
    baseline = baseline_of(stream)
    before, now = usable(baseline.table, stream), usable(rows, stream)

    def unseen(why: str) -> Finding:
        return Finding(stream, State.UNSEEN, None, None, None, len(now), len(before), why)

    if stream not in OF_PROMPTS and len(baseline.weeks) < MIN_ANSWERED_WEEKS:
        return unseen(f"fewer than {MIN_ANSWERED_WEEKS} earlier weeks of the same model")
    if min(len(before), len(now)) < policy.min_rows:
        return unseen(f"fewer than {policy.min_rows} rows")
    random = np.random.RandomState(baseline.seed)
    size = len(now) if stream in SHARES else _size(min(len(now), policy.max_rows))
    effect = measure(stream, cut(before, policy.max_rows, random), cut(now, size, random), random)
    if effect.value is None:
        return unseen("no words to compare")
    normal = baseline.normal(stream, _size(min(len(now), policy.max_rows)), policy.max_rows)
    limit: Limit = limit_of(stream, normal, effect.chance, policy, look)
    state = state_of(effect.value, limit, was_on)
    return Finding(stream, state, effect.value, limit.raised, limit.cleared, len(now), len(before))


def _judged(week: str, findings: tuple[Finding, ...]) -> Judged:
    remedy, why = remedy_for({found.stream for found in findings if found.on})
    words = next(found for found in findings if found.stream is Stream.PROMPT_WORDS)
    if remedy in (Remedy.RETRAIN, Remedy.RELABEL):
        return Judged(week, Verdict.DRIFTED, remedy, why, findings)
    if words.state is State.UNSEEN:
        few = "rows" in words.why
        verdict = Verdict.TOO_FEW_ROWS if few else Verdict.NO_SCORE
        why = f"{words.rows} prompts against {words.compared}: {words.why}; nothing can be said"
        return Judged(week, verdict, Remedy.TELL, why, findings)
    verdict = Verdict.CHANGED if remedy is Remedy.TELL else Verdict.STABLE
    return Judged(week, verdict, remedy, why, findings)


def _newest_weeks(table: pd.DataFrame, weeks: Sequence[str]) -> pd.DataFrame:
    return table[table["week"].isin(sorted(weeks)[-BASELINE_WEEKS:])]


def _size(rows: int) -> int:
    """The next step down."""
    return int(STEP ** int(np.log(rows) / np.log(STEP) + 1e-9))
