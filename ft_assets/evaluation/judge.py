"""From losses of the arms to rules: the part of the gate that a simulation can run."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ft_assets.evaluation.compare import Comparison, compare
from ft_assets.evaluation.rules import (
    Decision,
    Rule,
    better_than_base,
    decision_of,
    enough_rows,
    general_kept,
    harm_confidence,
    not_worse_than_champion,
    worst_of,
)

FEW_SHOT = "base_few_shot"  # the base with examples; it scores a sample of the rows
COMPARED = ("base", "champion", "candidate")  # the arms that score every row
MAX_SLICES = 24  # the largest; more would leave each a bound that no resample reaches


@dataclass(frozen=True)
class Limits:
    margin: float  # nats per token; docs/decisions/0005-gate.md
    seed_sd: float  # nats; of the difference that a mere reseed makes
    slice_margin: float  # nats; by which no slice and no period may be proven worse
    min_rows: int
    min_slice_rows: int
    max_general_ratio: float  # general perplexity, candidate / base
    resamples: int
    seed: int
    required: tuple[str, ...] = ()  # rules that may not go unmeasured

    def compare(
        self,
        candidate: np.ndarray,
        reference: np.ndarray,
        confidence: float | None = None,
        seed_sd: float = 0.0,
    ) -> Comparison:
        chosen = {} if confidence is None else {"confidence": confidence}
        return compare(
            candidate,
            reference,
            resamples=self.resamples,
            seed=self.seed,
            seed_sd=seed_sd,
            **chosen,
        )


@dataclass(frozen=True)
class Judged:
    rules: list[Rule]
    comparisons: dict[str, Comparison]  # by reference arm
    slices: dict[str, Comparison] = field(default_factory=dict)  # "column value"
    reference: str = "base"  # of the slices


def judge(
    arms: Mapping[str, Mapping[str, Any]],
    slices: Mapping[str, Sequence[str]],
    limits: Limits,
    extra: Sequence[Rule] = (),
) -> tuple[Decision, Judged]:
    """Judge the arms of one score file; `extra` are rules that were measured elsewhere."""
    losses = {name: row_losses(arm) for name, arm in arms.items() if name in COMPARED}
    judged = judge_losses(losses, slices, limits)
    if FEW_SHOT in arms:
        asked = [row["row_id"] for row in arms[FEW_SHOT]["rows"]]
        places = {row["row_id"]: n for n, row in enumerate(arms["candidate"]["rows"])}
        same = losses["candidate"][[places[row_id] for row_id in asked]]
        judged.comparisons[FEW_SHOT] = limits.compare(same, row_losses(arms[FEW_SHOT]))
    rules = [*judged.rules, *judge_general(arms, limits), *extra]
    return decision_of(rules, limits.required), judged


def judge_losses(
    losses: Mapping[str, np.ndarray], slices: Mapping[str, Sequence[str]], limits: Limits
) -> Judged:
    """Judge the losses per row of "base", "candidate" and, where there is one, "champion".

    `slices`: by column the value of each row; "" for none.
    """
    candidate, base = losses["candidate"], losses["base"]
    comparisons = {"base": limits.compare(candidate, base)}
    rules = [
        enough_rows(len(candidate), limits.min_rows),
        better_than_base(comparisons["base"], limits.margin),
    ]
    reference = "champion" if "champion" in losses else "base"
    if reference == "champion":
        found = limits.compare(candidate, losses["champion"], seed_sd=limits.seed_sd)
        comparisons["champion"] = found
        rules.append(not_worse_than_champion(found, limits.margin))
    by_slice = compare_slices(candidate, losses[reference], slices, limits)
    rules.append(
        worst_of("worst_slice", "slice", by_slice, limits.slice_margin, limits.min_slice_rows)
    )
    return Judged(rules, comparisons, by_slice, reference)


def compare_slices(
    candidate: np.ndarray,
    reference: np.ndarray,
    slices: Mapping[str, Sequence[str]],
    limits: Limits,
) -> dict[str, Comparison]:
    """The difference in each slice of `min_slice_rows` or more rows, by "column value".

    Their lower ends hold together. A column whose rows all have one value is no slice.
    """
    counts = {
        (column, value): count
        for column, values in slices.items()
        if len(set(values)) > 1
        for value, count in Counter(values).items()
        if value and count >= limits.min_slice_rows
    }
    largest = sorted(counts, key=lambda key: (-counts[key], key))[:MAX_SLICES]
    confidence = harm_confidence(len(largest))
    found = {}
    for column, value in sorted(largest):
        of_slice = np.array([each == value for each in slices[column]])
        found[f"{column} {value}"] = limits.compare(
            candidate[of_slice], reference[of_slice], confidence, limits.seed_sd
        )
    return found


def judge_general(arms: Mapping[str, Mapping[str, Any]], limits: Limits) -> list[Rule]:
    """Of score arms: how much perplexity on general text has risen; nothing without such text."""
    general, base = arms["candidate"]["general"], arms["base"]["general"]
    if not general:
        return []
    losses = [
        np.array(found["windows"]) / np.array(found["window_tokens"]) for found in (general, base)
    ]
    found = limits.compare(*losses)
    ratio = general["perplexity"] / base["perplexity"]
    low, high = float(np.exp(found.low)), float(np.exp(found.high))
    return [general_kept(ratio, low, high, limits.max_general_ratio)]


def general_loss(arm: Mapping[str, Any]) -> float | None:
    """Mean loss per token on general text, in nats; None where there is no such text."""
    return math.log(arm["general"]["perplexity"]) if arm["general"] else None


def row_losses(arm: Mapping[str, Any]) -> np.ndarray:
    """Return the mean loss per token of each row of a score arm, in the order of the rows."""
    return np.array([row["nll"] / row["tokens"] for row in arm["rows"]])
