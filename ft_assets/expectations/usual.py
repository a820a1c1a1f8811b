"""What is usual, from the same figure in earlier weeks: a band around their median.

The band is as wide as the suite says at least (`within`), and wider where the weeks themselves
differ more (median absolute deviation) or where a week has so few rows that chance alone moves the
figure (standard error). Medians, so that one odd week neither moves the band nor widens it. Fewer
than MIN_WEEKS earlier weeks are no history: nothing is judged. Rates of false alarms and of what is
found: docs/decisions/0014-usual-weeks.md.

A slow drift of many weeks moves the band along and is not found here (see monitoring/drift.py).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ft_assets.expectations.known import KL_DIVERGENCE, ROW_COUNT
from ft_assets.expectations.suite import Expectation, Reference, Suite, Usual

WINDOW = 8  # earlier weeks
MIN_WEEKS = 4
DEVIATIONS = 3  # half-width of the band, in standard deviations
MAD_TO_SD = 1.4826  # of a normal distribution
IQR_TO_SD_OF_MEDIAN = 0.93  # 1.2533 / 1.349, of a normal distribution
MIN_ROWS = 5  # fewer are no figure: the mean of one row would be that row's value
MAX_MIX = 50  # labels kept; the rest counts as OTHER
OTHER = "other"

Figure = dict[str, Any]  # {"value", "spread", "n"} or {"mix": {label: rows}}, plain JSON
Figures = Mapping[str, Figure]  # by expectation


@dataclass(frozen=True)
class Earlier:
    label: str  # a week, or what else tells the versions apart
    figures: Figures


@dataclass(frozen=True)
class Band:
    low: float | None
    high: float | None
    usual: float


def figures(table: pd.DataFrame, suite: Suite) -> dict[str, Figure]:
    """What to remember of a table for later weeks: numbers, and labels of closed vocabularies."""
    found = {}
    for expectation in suite.expectations:
        if expectation.usual and set(expectation.columns) <= set(table.columns):
            figure = _figure(table, expectation)
            if figure is not None:
                found[expectation.key] = figure
    return found


def _figure(table: pd.DataFrame, expectation: Expectation) -> Figure | None:
    """Value, spread of one row, and rows; None where there is nothing to measure."""
    if expectation.type == ROW_COUNT:
        return {"value": len(table), "spread": math.sqrt(len(table)), "n": 1}
    column = table[expectation.column]
    if expectation.type == KL_DIVERGENCE:
        return _mix(column.dropna().astype(str))
    measured = column if "non_null" in expectation.type else column.dropna()
    if len(measured) < MIN_ROWS:
        return None
    value, spread = _measure(expectation.type, measured)
    return {"value": round(value, 6), "spread": round(spread, 6), "n": len(measured)}


def _measure(kind: str, column: pd.Series) -> tuple[float, float]:
    if "proportion" in kind:
        share = column.notna().mean() if "non_null" in kind else column.nunique() / len(column)
        return float(share), math.sqrt(share * (1 - share))
    if "median" in kind:
        low, middle, high = column.quantile([0.25, 0.5, 0.75])
        return float(middle), float(high - low) * IQR_TO_SD_OF_MEDIAN
    return float(column.mean()), float(column.std(ddof=0))


def _mix(labels: pd.Series) -> Figure | None:
    counts = labels.value_counts()
    kept = {str(label): int(n) for label, n in counts.head(MAX_MIX).items()}
    rest = int(counts.iloc[MAX_MIX:].sum())
    return {"mix": kept | ({OTHER: rest} if rest else {})} if kept else None


def earlier_weeks(key: str, known: Mapping[str, Figures]) -> list[Earlier]:
    """The last weeks before a "domain|week" key, oldest first; `known` has such keys."""
    domain, _, week = key.partition("|")
    before = sorted(
        (other.partition("|")[2], found)
        for other, found in known.items()
        if other.partition("|")[0] == domain and other.partition("|")[2] < week
    )
    return [Earlier(label, found) for label, found in before[-WINDOW:]]


def history(expectation: Expectation, earlier: Sequence[Earlier]) -> list[tuple[str, Figure]]:
    return [(e.label, e.figures[expectation.key]) for e in earlier if expectation.key in e.figures]


def limits(
    expectation: Expectation, now: Figure | None, earlier: Sequence[Earlier]
) -> Band | dict[str, Any] | str:
    """The band of a figure, the arguments of a mix, or why nothing can be said."""
    usual = expectation.usual
    if usual is None:
        raise ValueError(f"{expectation.key} takes no limits from earlier weeks")
    if now is None:
        return "no value to compare"
    before = [figure for _, figure in history(expectation, earlier)]
    if usual.reference == Reference.LAST:
        return _since_last(usual, before[-1]) if before else "no version to compare with"
    if len(before) < MIN_WEEKS:
        return f"fewer than {MIN_WEEKS} earlier weeks"
    if expectation.type == KL_DIVERGENCE:
        return _usual_mix(usual, now, before)
    return band(usual, now, before)


def _since_last(usual: Usual, last: Figure) -> Band:
    fall = usual.within * last["value"] if usual.relative else usual.within
    return Band(last["value"] - fall, None, last["value"])


def band(usual: Usual, now: Figure, before: Sequence[Figure]) -> Band:
    """Around the median of the earlier values; by ratio where the suite says per cent."""
    values = [figure["value"] for figure in before]
    spread = max(now["spread"], statistics.median(figure["spread"] for figure in before))
    error = spread / math.sqrt(now["n"])
    middle = statistics.median(values)
    if not usual.relative:
        half = max(usual.within, DEVIATIONS * max(_scatter(values), error))
        return Band(max(0.0, middle - half), middle + half, middle)  # none of them is negative
    # As a ratio, so that the lower limit stays above zero and a lost week is always outside.
    ratios = [math.log(max(value, 0.5) / max(middle, 0.5)) for value in values]
    noise = DEVIATIONS * max(_scatter(ratios), error / max(middle, 0.5))
    low = middle * min(1 - min(usual.within, 0.99), math.exp(-noise))
    return Band(low, middle * max(1 + usual.within, math.exp(noise)), middle)


def _scatter(values: Sequence[float]) -> float:
    """Standard deviation by the median absolute deviation, more for few values: it errs low."""
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values)
    return MAD_TO_SD * deviation * (1 + 2 / len(values))


def usual_shares(before: Sequence[Figure]) -> dict[str, float]:
    """The mean share of each label in earlier weeks, each week counting alike."""
    shares: dict[str, float] = {}
    for figure in before:
        rows = sum(figure["mix"].values())
        for label, count in figure["mix"].items():
            shares[label] = shares.get(label, 0.0) + count / rows / len(before)
    return shares


def _usual_mix(usual: Usual, now: Figure, before: Sequence[Figure]) -> dict[str, Any]:
    """Great Expectations' arguments: the earlier shares, and how far is far."""
    shares = usual_shares(before)
    rows, labels = sum(now["mix"].values()), len(shares.keys() | now["mix"].keys())
    # 2 n times the divergence is chi-squared with one degree of freedom less than labels.
    noise = (labels - 1 + DEVIATIONS * math.sqrt(2 * (labels - 1))) / (2 * rows)
    return {
        "partition_object": {"values": list(shares), "weights": list(shares.values())},
        "threshold": max(usual.within, noise),
        "tail_weight_holdout": 0.01,  # for languages that no earlier week had
        "internal_weight_holdout": 0.0,
    }
