"""What the adapters of a domain cost and gained, one after the other, and a picture of it.

A point is one per cent by which perplexity fell on the held-out rows, against the champion of that
day, or against the base where there was none. Points of different adapters are not added up: each
is measured against another reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ft_assets.adapters.cost import per_point, points_gained

BARS = 24  # the newest adapters drawn
ROOM, HEIGHT, FLOOR, TOP = 44, 190, 150, 16  # px: of a bar, of the picture, of its floor and top


@dataclass(frozen=True)
class Spent:
    """One training."""

    at: float  # seconds since 1970
    adapter: str
    cost: Mapping[str, Any]  # of adapters/cost.py
    against: str  # champion | base
    points: float | None  # None where it was never evaluated
    outcome: str  # of its gate

    @property
    def per_point(self) -> float | None:
        return per_point(self.cost["money"], self.points)

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "cost": dict(self.cost), "money_per_point": self.per_point}


def spent(at: float, made: Mapping[str, Any], report: Mapping[str, Any] | None) -> Spent:
    """From the facts of a lora_adapter event, and of the eval_report of the same adapter."""
    report = report or {}
    against = "champion" if report.get("perplexity_champion") is not None else "base"
    points = points_gained(report.get(f"perplexity_{against}"), report.get("perplexity_candidate"))
    outcome = str(report.get("gate", "not evaluated"))
    return Spent(at, made["adapter"], made["cost"], against, points, outcome)


def totals(trainings: Sequence[Spent]) -> dict[str, float]:
    """Sums over all trainings, those whose adapter was refused among them."""
    names = ("tokens", "seconds", "cpu_seconds", "gpu_seconds", "kwh", "co2e_grams", "money")
    return {name: sum(one.cost[name] for one in trainings) for name in names}


def cost_chart(trainings: Sequence[Spent]) -> str:
    """SVG: a bar of Wh (estimate) per training, oldest first, its points above it; "" for none.

    A bar of an adapter that its gate did not pass is grey.
    """
    shown = trainings[-BARS:]
    if not shown:
        return ""
    most = max(one.cost["kwh"] for one in shown) or 1.0
    width = ROOM * len(shown) + 20
    bars = "".join(_bar(place, one, most) for place, one in enumerate(shown))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'width="{width}" height="{HEIGHT}" role="img" aria-label="cost of each training" '
        f'font-size="10" font-family="sans-serif" fill="#777">'
        f'<path d="M10 {FLOOR}H{width - 10}" stroke="#999"/>{bars}'
        f'<text x="10" y="{HEIGHT - 4}">Wh per training (estimate); above: points gained</text>'
        "</svg>"
    )


def _bar(place: int, one: Spent, most: float) -> str:
    height = max(1.0, (FLOOR - TOP - 14) * one.cost["kwh"] / most)
    left = 14 + ROOM * place
    points = "-" if one.points is None else f"{one.points:+.0f}"
    colour = "#4c8bf5" if one.outcome == "passed" else "#999"
    return (
        f"<g><title>{escape(one.adapter)}</title>"
        f'<rect x="{left}" y="{FLOOR - height:.1f}" width="{ROOM - 12}" height="{height:.1f}" '
        f'fill="{colour}"/>'
        f'<text x="{left + 2}" y="{FLOOR - height - 4:.1f}">{points}</text>'
        f'<text x="{left + 2}" y="{FLOOR + 12}">{one.cost["kwh"] * 1000:.2g}</text></g>'
    )
