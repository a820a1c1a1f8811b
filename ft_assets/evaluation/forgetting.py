"""Does a new adapter still know what earlier ones learned: losses by period, adapter by adapter.

R[i, j] is the loss of adapter i on period j (weeks of the logs; slices.periods_of). Its rows are
the held-out interactions of the evaluation set: no adapter ever learned from them, for a row never
changes sides. Backward transfer (Lopez-Paz & Ranzato 2017, arXiv 1706.08840) is the mean over
earlier periods of what the newest adapter gained there since the adapter that had just learned the
period; below 0 it forgot. The paper counts accuracy; here losses fall, so the sign is turned.
Losses of earlier adapters are those recorded at their time: rows that a domain lost since, by
consent or erasure, are still in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ft_assets.evaluation.compare import Comparison
from ft_assets.evaluation.judge import Limits, compare_slices
from ft_assets.evaluation.rules import Rule, worst_of

KEPT = 12  # adapters in the matrix
GENERAL = "general"


@dataclass(frozen=True)
class MatrixRow:
    adapter: str
    last_week: str  # of its corpus; "" for the base
    losses: dict[str, float]  # by period, mean over its rows of nats per token; and "general"

    def to_dict(self) -> dict[str, Any]:
        return {"adapter": self.adapter, "last_week": self.last_week, "losses": self.losses}


@dataclass(frozen=True)
class Forgetting:
    periods: tuple[str, ...]  # in order of time
    rows: tuple[MatrixRow, ...]  # the candidate last
    backward_transfer: float | None  # nats; None: no earlier period, or nobody who had learned it
    by_period: dict[str, Comparison]  # candidate against champion
    rule: Rule | None  # None: there is no champion to compare with

    def to_dict(self) -> dict[str, Any]:
        return {
            "periods": list(self.periods),
            "rows": [row.to_dict() for row in self.rows],
            "backward_transfer": self.backward_transfer,
            "by_period": {name: c.to_dict() for name, c in self.by_period.items()},
        }


def forgetting(
    losses: Mapping[str, np.ndarray],
    general: Mapping[str, float | None],
    periods: Sequence[str],
    names: Mapping[str, str],
    last_weeks: Mapping[str, str],
    earlier: Sequence[Mapping[str, Any]],
    limits: Limits,
) -> Forgetting:
    """The matrix of a candidate.

    `losses` per row by arm, `general` mean loss by arm, `periods` of each row ("" for none),
    `names` and `last_weeks` of the arms, `earlier` rows as the last report recorded them.
    """
    columns = tuple(sorted({period for period in periods if period}))
    fresh = [
        MatrixRow(
            names[arm], last_weeks.get(arm, ""), _by_period(losses[arm], periods, general.get(arm))
        )
        for arm in ("base", "champion", "candidate")
        if arm in losses
    ]
    known = {row.adapter for row in fresh}
    kept = [MatrixRow(**row) for row in earlier if row["adapter"] not in known]
    rows = (fresh[0], *kept[-KEPT:], *fresh[1:])
    by_period: dict[str, Comparison] = {}
    rule = None
    if "champion" in losses:
        # What the champion has not seen is no question of forgetting.
        seen = [p if first_week(p) <= last_weeks["champion"] else "" for p in periods]
        # A single period is one too: give the column a second value.
        slices = {"period": [*seen, "-"]}
        by_period = {
            name.removeprefix("period "): found
            for name, found in compare_slices(
                np.append(losses["candidate"], 0.0),
                np.append(losses["champion"], 0.0),
                slices,
                limits,
            ).items()
        }
        rule = worst_of(
            "worst_period", "period", by_period, limits.slice_margin, limits.min_slice_rows
        )
    return Forgetting(columns, rows, backward_transfer(columns, rows), by_period, rule)


def backward_transfer(periods: Sequence[str], rows: Sequence[MatrixRow]) -> float | None:
    """Nats gained (above 0) or lost on earlier periods since they were learned; see the module."""
    *before, newest = rows
    gains = []
    for period in periods:
        learned = [
            row
            for row in before
            if period in row.losses and row.last_week and row.last_week >= last_week(period)
        ]
        if learned and period in newest.losses:
            first = min(learned, key=lambda row: row.last_week)
            gains.append(first.losses[period] - newest.losses[period])
    return float(np.mean(gains)) if gains else None


def first_week(period: str) -> str:
    return period.split("..")[0]


def last_week(period: str) -> str:
    return period.split("..")[-1]


def _by_period(
    losses: np.ndarray, periods: Sequence[str], general: float | None
) -> dict[str, float]:
    of_row = np.array(periods)
    found = {p: float(losses[of_row == p].mean()) for p in sorted(set(periods)) if p}
    return found | ({GENERAL: general} if general is not None else {})
