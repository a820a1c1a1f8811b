"""Great Expectations results as blocking asset checks. Counts only: never the offending text."""

import dagster as dg

from ft_assets.corpus.gx import SuiteResult
from ft_assets.publishing import markdown_table
from ft_resources.lakefs.client import Draft

EXPECTATIONS = "great_expectations"


def expectations_check(asset: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        EXPECTATIONS,
        asset=asset,
        blocking=True,
        description="Nothing is merged into main unless every expectation holds.",
    )


def check_result(suite: SuiteResult, draft: Draft) -> dg.AssetCheckResult:
    failed = [e for e in suite.expectations if not e.success]
    return dg.AssetCheckResult(
        check_name=EXPECTATIONS,
        passed=suite.success,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "suite": suite.suite,
            "expectations": len(suite.expectations),
            "failed": len(failed),
            "results": markdown_table(
                ["expectation", "column", "holds", "rows", "unexpected"],
                [
                    [
                        e.type,
                        e.column or "",
                        "yes" if e.success else f"no ({e.severity})",
                        e.element_count,
                        e.unexpected_count,
                    ]
                    for e in suite.expectations
                ],
            ),
            "branch": dg.MetadataValue.url(draft.url),
        },
    )


def refuse(asset: str, suite: SuiteResult, draft: Draft) -> dg.Failure:
    """The failure of an asset whose data did not meet its suite; main is as it was."""
    failed = sum(1 for e in suite.expectations if not e.success)
    return dg.Failure(
        f"{asset}: {failed} expectations of suite {suite.suite!r} do not hold; nothing was merged, "
        f"the data is on branch {draft.branch}",
        metadata={"branch": dg.MetadataValue.url(draft.url)},
        allow_retries=False,
    )
