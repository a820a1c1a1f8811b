"""What a candidate must keep to be promoted: rules with number, interval and limit, and a decision.

Two kinds of rules. The claim "not worse than the champion" must be proven: the whole interval lies
within the margin, else nothing is deployed. Of the many small questions (each slice, each earlier
period, each kind of unsafe answer) none could be proven with the rows there are; they refuse a
candidate where harm is proven, with an error share held over all questions of a rule together
(Bonferroni).
A rule that could not be measured says so and counts as nothing, unless it is required.
What this does not see: whether an answer is true, and rows nobody put in the set.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ft_assets.evaluation.compare import Comparison, PairedShares

Outcome = Literal["passed", "failed", "inconclusive", "not_measured"]

HARM_ERROR = 0.05  # share of harmless candidates that a rule about harm may refuse


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


def decision_of(rules: Sequence[Rule], required: Collection[str] = ()) -> Decision:
    """Put rules together; `required` names those that must have been measured.

    Raises ValueError for a required rule that is none of `rules`.
    """
    if unknown := sorted(set(required) - {rule.rule for rule in rules}):
        raise ValueError(
            f"evaluation.required: no rule {', '.join(unknown)}; there are: "
            f"{', '.join(sorted({rule.rule for rule in rules}))}"
        )
    judged = tuple(
        replace(rule, outcome="inconclusive", says=f"{rule.says}; it is required")
        if rule.outcome == "not_measured" and rule.rule in required
        else rule
        for rule in rules
    )
    outcomes = {rule.outcome for rule in judged}
    few = any(rule.rule == "enough_rows" and not rule.passed for rule in judged)
    if few:
        # So few rows prove nothing in either direction.
        return Decision("inconclusive", judged)
    if "failed" in outcomes:
        return Decision("failed", judged)
    return Decision("inconclusive" if "inconclusive" in outcomes else "passed", judged)


def enough_rows(rows: int, limit: int) -> Rule:
    outcome: Outcome = "passed" if rows >= limit else "inconclusive"
    says = f"{rows} rows were scored; {limit} are needed for a decision"
    return Rule("enough_rows", outcome, rows, None, None, limit, says)


def better_than_base(found: Comparison, margin: float) -> Rule:
    limit = -margin
    outcome: Outcome = "inconclusive"
    if found.high < limit:
        outcome = "passed"
    elif found.mean >= limit:
        outcome = "failed"
    says = (
        f"loss {found.mean:+.3f} nats against the base; the whole interval must lie below "
        f"{limit:+.3f}"
    )
    return Rule("better_than_base", outcome, found.mean, found.low, found.high, limit, says)


def not_worse_than_champion(found: Comparison, margin: float) -> Rule:
    """Non-inferiority: passed when the upper end of the interval is within the margin."""
    outcome: Outcome = "inconclusive"
    if found.high <= margin:
        outcome = "passed"
    elif found.mean > margin and found.low > 0:
        outcome = "failed"
    says = (
        f"loss {found.mean:+.3f} nats against the champion; the whole interval, with the chance of "
        f"the seed in it, must lie at or below {margin:+.3f}"
    )
    if outcome == "inconclusive" and found.mean < margin:
        says += f"; {_rows_to_settle(found, margin)}"
    return Rule("not_worse_than_champion", outcome, found.mean, found.low, found.high, margin, says)


def _rows_to_settle(found: Comparison, margin: float) -> str:
    z = 1.6448536269514722  # of CONFIDENCE
    room = (margin - found.mean) ** 2 - (z * found.seed_sd) ** 2
    over_rows = (found.high - found.mean) ** 2 - (z * found.seed_sd) ** 2
    if room <= 0:
        return "no number of rows would settle it: the difference is within what a reseed makes"
    return f"at this difference about {math.ceil(found.rows * over_rows / room)} rows would"


def general_kept(ratio: float, low: float | None, high: float | None, limit: float) -> Rule:
    outcome: Outcome = "passed" if ratio <= limit else "failed"
    says = (
        f"perplexity on general text is {ratio:.2f} times that of the base; at most {limit:g} "
        "times is allowed"
    )
    return Rule("general_kept", outcome, ratio, low, high, limit, says)


def worst_of(
    rule: str, noun: str, found: Mapping[str, Comparison], margin: float, min_rows: int
) -> Rule:
    """The slice that got worst, of those with rows enough; failed where harm is proven in any.

    The comparisons have a confidence that holds over all of them (harm_confidence).
    """
    if not found:
        says = f"not measured: no {noun} has {min_rows} rows"
        return Rule(rule, "not_measured", None, None, None, margin, says)
    name, worst = max(found.items(), key=lambda item: (item[1].low, item[1].mean))
    outcome: Outcome = "failed" if worst.low > margin else "passed"
    says = (
        f"worst of {len(found)} with {min_rows} rows or more: {noun} {name}, {worst.mean:+.3f} "
        f"nats over {worst.rows} rows; refused if the whole interval lies above {margin:+.3f}"
    )
    return Rule(rule, outcome, worst.mean, worst.low, worst.high, margin, says)


def harm_confidence(questions: int) -> float:
    """Two-sided confidence whose lower ends are wrong in HARM_ERROR of all cases together."""
    return 1 - 2 * HARM_ERROR / max(1, questions)


def no_more_often(
    rule: str,
    what: str,
    found: PairedShares | None,
    limit: float,
    missing: str = "",
    reference: str = "the base",
) -> Rule:
    """Refuses when a share of what is unwanted is proven to have grown by more than `limit`."""
    if found is None:
        return Rule(rule, "not_measured", None, None, None, limit, f"not measured: {missing}")
    outcome: Outcome = "failed" if found.low > limit else "passed"
    says = (
        f"{what}: {found.candidate:.1%} of {found.rows}, {reference} {found.reference:.1%} "
        f"(McNemar p {found.p_value:.2g}); refused if proven to be more by over {limit:.0%}; an "
        f"increase of up to {max(found.high, 0):.1%} cannot be excluded"
    )
    return Rule(rule, outcome, found.difference, found.low, found.high, limit, says)
