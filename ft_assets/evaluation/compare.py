"""Is the candidate better, worse, or is the evidence too thin: a paired bootstrap and three rules.

Two adapters answer the same rows, so rows are compared one by one: the difference of the mean loss
per token of a row, in nats, candidate minus reference; below 0 the candidate is better. The
interval is the percentile bootstrap over rows (Efron 1979).
The bootstrap knows nothing of the chance in training: two seeds of one recipe on one corpus already
differ by more than their interval. So every rule has a margin, measured from such pairs
(docs/decisions/0005-gate.md), and a difference within it counts as none.
What this does not see: whether an answer is true, safe or polite, and rows nobody put in the set.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

CONFIDENCE = 0.95
CHUNK = 250  # resamples drawn at once: bounds the memory at CHUNK x rows numbers

Outcome = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True)
class Comparison:
    """Mean difference in nats per token, candidate minus reference, with its interval."""

    mean: float
    low: float
    high: float
    rows: int
    resamples: int
    seed: int
    confidence: float = CONFIDENCE

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    rule: str
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    limit: float
    says: str

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


@dataclass(frozen=True)
class Decision:
    """Passed when every rule is; failed when any is; else inconclusive."""

    outcome: Outcome
    rules: tuple[Rule, ...]

    def to_dict(self) -> dict[str, Any]:
        rules = [{**asdict(rule), "passed": rule.passed} for rule in self.rules]
        return {"outcome": self.outcome, "rules": rules}


def compare(
    candidate: Sequence[float], reference: Sequence[float], *, resamples: int, seed: int
) -> Comparison:
    """Bootstrap the mean of candidate - reference; both are mean losses per row, in one order.

    Raises ValueError for different lengths, no rows, or a loss that is not finite.
    """
    if len(candidate) != len(reference):
        raise ValueError(
            f"{len(candidate)} candidate rows, {len(reference)} reference rows: score both on the "
            "same rows"
        )
    difference = np.asarray(candidate, dtype=float) - np.asarray(reference, dtype=float)
    if not len(difference):
        raise ValueError("no rows to compare")
    bad = np.flatnonzero(~np.isfinite(difference))
    if len(bad):
        raise ValueError(f"{len(bad)} losses are not finite, the first in row {bad[0]}")
    generator = np.random.default_rng(seed)
    means: list[np.ndarray] = []
    for start in range(0, resamples, CHUNK):
        shape = (min(CHUNK, resamples - start), len(difference))
        means.append(difference[generator.integers(0, len(difference), shape)].mean(axis=1))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Comparison(
        float(difference.mean()), float(low), float(high), len(difference), resamples, seed
    )


def decide(
    base_vs_candidate: Comparison,
    champion_vs_candidate: Comparison | None,
    *,
    margin: float,
    min_rows: int,
    general_ratio: float | None = None,
    max_general_ratio: float = math.inf,
) -> Decision:
    """Judge a candidate. `margin` is in nats per token; `general_ratio` is the perplexity on
    general text, candidate over base. Without a champion, without general text, their rule is
    left out."""
    rules = [
        _enough_rows(base_vs_candidate.rows, min_rows),
        _better_than_base(base_vs_candidate, margin),
    ]
    if champion_vs_candidate is not None:
        rules.append(_not_worse_than_champion(champion_vs_candidate, margin))
    if general_ratio is not None:
        rules.append(_general_kept(general_ratio, max_general_ratio))
    outcomes = {rule.outcome for rule in rules}
    if rules[0].outcome == "inconclusive":
        # So few rows prove nothing in either direction.
        return Decision("inconclusive", tuple(rules))
    outcome: Outcome = "passed"
    if "failed" in outcomes:
        outcome = "failed"
    elif "inconclusive" in outcomes:
        outcome = "inconclusive"
    return Decision(outcome, tuple(rules))


def judge(
    arms: Mapping[str, Mapping[str, Any]],
    *,
    margin: float,
    min_rows: int,
    max_general_ratio: float,
    resamples: int,
    seed: int,
) -> tuple[Decision, dict[str, Comparison]]:
    """Judge the arms of one score file: "base" and "candidate", and "champion" where there is one.

    Returns the decision and the comparisons it rests on, named by the reference arm.
    """
    losses = {name: row_losses(arm) for name, arm in arms.items()}
    comparisons = {
        name: compare(losses["candidate"], losses[name], resamples=resamples, seed=seed)
        for name in ("base", "champion")
        if name in losses
    }
    base_general, general = arms["base"]["general"], arms["candidate"]["general"]
    ratio = general["perplexity"] / base_general["perplexity"] if general else None
    decision = decide(
        comparisons["base"],
        comparisons.get("champion"),
        margin=margin,
        min_rows=min_rows,
        general_ratio=ratio,
        max_general_ratio=max_general_ratio,
    )
    return decision, comparisons


def row_losses(arm: Mapping[str, Any]) -> list[float]:
    """Return the mean loss per token of each row of an arm, in the order of the rows."""
    return [row["nll"] / row["tokens"] for row in arm["rows"]]


def _enough_rows(rows: int, limit: int) -> Rule:
    outcome: Outcome = "passed" if rows >= limit else "inconclusive"
    says = f"{rows} rows were scored; {limit} are needed for a decision"
    return Rule("enough_rows", outcome, rows, None, None, limit, says)


def _better_than_base(found: Comparison, margin: float) -> Rule:
    limit = -margin
    outcome: Outcome = "inconclusive"
    if found.high < limit:
        outcome = "passed"
    elif found.mean >= limit:
        outcome = "failed"
    says = (
        f"loss {found.mean:+.3f} nats against the base; the whole interval must lie below "
        f"{limit:+.3f}, the difference that a mere reseed makes"
    )
    return Rule("better_than_base", outcome, found.mean, found.low, found.high, limit, says)


def _not_worse_than_champion(found: Comparison, margin: float) -> Rule:
    outcome: Outcome = "inconclusive"
    if found.high <= margin:
        outcome = "passed"
    elif found.mean > margin and found.low > 0:
        outcome = "failed"
    says = (
        f"loss {found.mean:+.3f} nats against the champion; the whole interval must lie at or "
        f"below {margin:+.3f}"
    )
    if outcome == "inconclusive" and found.mean < margin:
        needed = found.rows * ((found.high - found.mean) / (margin - found.mean)) ** 2
        says += f"; at this difference about {math.ceil(needed)} rows would settle it"
    return Rule("not_worse_than_champion", outcome, found.mean, found.low, found.high, margin, says)


def _general_kept(ratio: float, limit: float) -> Rule:
    outcome: Outcome = "passed" if ratio <= limit else "failed"
    says = (
        f"perplexity on general text is {ratio:.2f} times that of the base; at most {limit:g} "
        "times is allowed"
    )
    return Rule("general_kept", outcome, ratio, None, None, limit, says)
