"""How often the gate is wrong: the real rules on simulated pairs of candidate and champion.

A pair is drawn from what was measured (measured_rows.py): a domain, two of its adapters, and rows
of its evaluation set with replacement. The difference of the two adapters in each row, its mean
taken away, keeps its heavy tails and its tie to short answers; to it the simulated effect is added
and the chance of a seed, normal with the measured standard deviation. So the truth is known: what
the recipe and the data did is the effect, nothing else.
Losses per row are means over its tokens as everywhere, so a short answer counts as a long one.
Not simulated: rows of one conversation that err together, and general text and safety, whose rules
do not look at these losses.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ft_assets.evaluation.judge import Limits, judge_losses
from ft_assets.evaluation.measured_rows import Measured
from ft_assets.evaluation.rules import decision_of

OTHER_SHARE = 4  # of the pairs; one in so many at sample sizes other than the default
EFFECTS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # in margins; above 0 the candidate is worse


@dataclass(frozen=True)
class Cell:
    """What the gate said to `pairs` candidates that all have one effect."""

    rows: int
    effect_nats: float  # above 0: the candidate is worse
    pairs: int
    passed: float  # share of the pairs, 0 to 1
    inconclusive: float
    failed: float
    refused_by_slice: float  # share in which a slice was held to be proven worse


@dataclass(frozen=True)
class Simulation:
    """`false_promotion` and `missed_equal_or_better` are at `rows`, the default sample size."""

    rows: int
    pairs: int
    seed: int
    limits: Limits
    measured_seed_sd: float  # nats
    cells: tuple[Cell, ...]

    @property
    def false_promotion(self) -> float:
        """Share of candidates worse by the margin that are promoted."""
        return self._cell(self.limits.margin).passed

    @property
    def missed_equal_or_better(self) -> float:
        """Share of candidates that are not worse and are not promoted: of equal ones, the worst
        case."""
        return max(
            1 - cell.passed
            for cell in self.cells
            if cell.rows == self.rows and cell.effect_nats <= 0
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "false_promotion": self.false_promotion,
            "missed_equal_or_better": self.missed_equal_or_better,
            "rows": self.rows,
            "pairs": self.pairs,
            "seed": self.seed,
            "measured_seed_sd": self.measured_seed_sd,
            "limits": asdict(self.limits),
            "cells": [asdict(cell) for cell in self.cells],
        }

    def as_text(self) -> str:
        lines = [
            f"{self.pairs} pairs for each line at {self.rows} rows; margin {self.limits.margin:g} "
            f"nats; seed chance {self.limits.seed_sd:g} nats, {self.measured_seed_sd:.4f} measured",
            "rows  candidate worse by   promoted   inconclusive   failed   of these by a slice",
        ]
        for cell in self.cells:
            margins = cell.effect_nats / self.limits.margin
            lines.append(
                f"{cell.rows:4}  {cell.effect_nats:+.3f} ({margins:+.1f} m)    "
                f"{cell.passed:8.1%}   {cell.inconclusive:12.1%}   {cell.failed:6.1%}   "
                f"{cell.refused_by_slice:6.1%}"
            )
        return "\n".join(
            [
                *lines,
                f"false promotion at {self.rows} rows (worse by the margin): "
                f"{self.false_promotion:.1%}",
                f"missed equal or better at {self.rows} rows: {self.missed_equal_or_better:.1%}",
            ]
        )

    def _cell(self, effect: float) -> Cell:
        [found] = [
            c for c in self.cells if c.rows == self.rows and abs(c.effect_nats - effect) < 1e-12
        ]
        return found


def simulate(
    measured: Sequence[Measured],
    limits: Limits,
    *,
    rows: int,
    other_rows: Sequence[int] = (),
    pairs: int = 1000,
    seed: int = 0,
) -> Simulation:
    """Judge `pairs` pairs for each effect at `rows` rows, and a quarter as many at `other_rows`.

    Raises ValueError when nothing was measured or a domain has fewer than two adapters.
    """
    if not measured:
        raise ValueError("no measured rows to draw from; run python -m tests.measure_gate --write")
    for one in measured:
        if len(one.arms) < 3:
            raise ValueError(f"{one.source}: two adapters are needed, got {len(one.arms) - 1}")
    seed_sd = measured_seed_sd(measured)
    cells = []
    for size in (rows, *(n for n in other_rows if n != rows)):
        for effect in EFFECTS:
            # The same pairs for every effect: the columns of the table differ by it alone.
            dice = np.random.default_rng([seed, size])
            nats = effect * limits.margin
            count = pairs if size == rows else max(1, pairs // OTHER_SHARE)
            cells.append(_cell(measured, limits, dice, size, count, nats, seed_sd))
    return Simulation(rows, pairs, seed, limits, seed_sd, tuple(cells))


def measured_seed_sd(measured: Sequence[Measured]) -> float:
    """Standard deviation, in nats, of the difference between two seeds of one recipe.

    Of the difference on all rows there could be, not on those measured: the variance that drawing
    rows explains is taken away. From the adapters named "now-...", over all domains.
    """
    squares, sampling = [], []
    for one in measured:
        same = [place for place, arm in enumerate(one.arms) if arm.startswith("now-")]
        for a, b in combinations(same, 2):
            difference = one.losses[:, a].astype(float) - one.losses[:, b]
            squares.append(difference.mean() ** 2)
            sampling.append(difference.var(ddof=1) / len(difference))
    if not squares:
        raise ValueError("no two adapters that differ in their seed alone were measured")
    return float(max(np.mean(squares) - np.mean(sampling), 0.0) ** 0.5)


def _cell(
    measured: Sequence[Measured],
    limits: Limits,
    dice: np.random.Generator,
    rows: int,
    pairs: int,
    effect: float,
    seed_sd: float,
) -> Cell:
    outcomes: Counter[str] = Counter()
    by_slice = 0
    for _ in range(pairs):
        one = measured[int(dice.integers(len(measured)))]
        candidate, champion = dice.choice(np.arange(1, len(one.arms)), 2, replace=False)
        drawn = dice.integers(len(one.losses), size=rows)
        difference = one.losses[:, candidate].astype(float) - one.losses[:, champion]
        difference += effect + dice.normal(0.0, seed_sd) - difference.mean()
        reference = one.losses[drawn, champion].astype(float)
        losses = {
            "base": one.losses[drawn, 0].astype(float),
            "champion": reference,
            "candidate": reference + difference[drawn],
        }
        slices = {"task": [one.slices[place] for place in drawn]}
        found = judge_losses(losses, slices, limits)
        outcomes[decision_of(found.rules).outcome] += 1
        by_slice += any(r.rule == "worst_slice" and r.outcome == "failed" for r in found.rules)
    share = {name: outcomes[name] / pairs for name in ("passed", "inconclusive", "failed")}
    return Cell(rows, effect, pairs, **share, refused_by_slice=by_slice / pairs)
