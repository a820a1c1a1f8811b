"""The promotion gate as a blocking asset check: each rule with number, interval and limit."""

import dagster as dg

from ft_assets.evaluation.report import RULE_HEADS, rule_cells
from ft_assets.evaluation.rules import Decision
from ft_assets.publishing import markdown_table

GATE = "promotion_gate"

GATE_CHECK = dg.AssetCheckSpec(
    GATE,
    asset="eval_report",
    blocking=True,
    description="Better than the base, not worse than the champion, general English kept.",
)


def gate_result(adapter: str, decision: Decision) -> dg.AssetCheckResult:
    """Inconclusive does not pass: without proof what serves today stays."""
    return dg.AssetCheckResult(
        check_name=GATE,
        passed=decision.outcome == "passed",
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"adapter": adapter, "outcome": decision.outcome, "rules": rules(decision)},
    )


def rules(decision: Decision) -> dg.MetadataValue:
    return markdown_table(RULE_HEADS, [rule_cells(rule) for rule in decision.rules])
