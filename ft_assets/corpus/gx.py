"""Run a suite of expectations with Great Expectations 1.x and keep the counts alone.

Great Expectations puts offending values into its results ("partial_unexpected_list",
"observed_value", tracebacks). They are texts of people here, so only names and numbers are taken.
dagster-ge is not used: it needs Great Expectations 0.x.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

Derive = Callable[[pd.DataFrame], pd.Series]


class Severity(StrEnum):
    ERROR = "error"  # blocks
    WARNING = "warning"


@dataclass(frozen=True)
class Expectation:
    """One expectation by Great Expectations' name, such as "expect_column_values_to_be_unique"."""

    type: str
    column: str | None = None  # None: about the table
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = Severity.ERROR


@dataclass(frozen=True)
class Suite:
    expectations: Sequence[Expectation]
    # Columns to compute before looking: name -> (columns that it needs, function of the table).
    derived: Mapping[str, tuple[Sequence[str], Derive]] = field(default_factory=dict)


@dataclass(frozen=True)
class ExpectationResult:
    type: str
    column: str | None
    severity: str
    success: bool
    element_count: int
    unexpected_count: int | None = None  # None: the expectation counts nothing, or did not run
    unexpected_percent: float | None = None
    problem: str = ""  # why it did not run


@dataclass(frozen=True)
class SuiteResult:
    suite: str
    success: bool  # no expectation of severity error failed
    expectations: list[ExpectationResult]


def validate(table: pd.DataFrame, suite_name: str, suite: Suite) -> SuiteResult:
    """Return one result per expectation; a column that is not there fails its expectations."""
    for name, (needed, derive) in suite.derived.items():
        if set(needed) <= set(table.columns):
            table = table.assign(**{name: derive(table)})
    present = {
        place: expectation
        for place, expectation in enumerate(suite.expectations)
        if expectation.column is None or expectation.column in table.columns
    }
    outcomes = _validate(table, present) if present else {}
    results = [
        _result(expectation, outcomes.get(place), len(table))
        for place, expectation in enumerate(suite.expectations)
    ]
    blocking = [r for r in results if r.severity == Severity.ERROR and not r.success]
    return SuiteResult(suite_name, not blocking, results)


def _validate(
    table: pd.DataFrame, expectations: Mapping[int, Expectation]
) -> dict[int, Mapping[str, Any]]:
    """Return Great Expectations' results by place; they hold offending values."""
    with warnings.catch_warnings():
        # It imports modules that Python 3.11 deprecates (sre_constants, sre_parse).
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.expectations as gxe
        from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    suite = gx.ExpectationSuite(name="suite")
    for place, expectation in expectations.items():
        kind = getattr(gxe, expectation.type.title().replace("_", ""), None)
        if kind is None:
            raise ValueError(f"Great Expectations knows no expectation {expectation.type!r}")
        column = {} if expectation.column is None else {"column": expectation.column}
        suite.add_expectation(kind(**column, **expectation.arguments, meta={"place": place}))
    validated = batch.validate(suite, result_format="BASIC")
    outcomes: list[Any] = [result.to_json_dict() for result in validated.results]
    return {outcome["expectation_config"]["meta"]["place"]: outcome for outcome in outcomes}


def _result(
    expectation: Expectation, outcome: Mapping[str, Any] | None, rows: int
) -> ExpectationResult:
    facts: Mapping[str, Any] = {}
    problem = ""
    if outcome is None:
        problem = "no such column"
    elif "raised_exception" not in outcome["exception_info"]:
        problem = "could not be computed"  # the exception is left out: it may quote a value
    else:
        facts = outcome["result"]
    return ExpectationResult(
        type=expectation.type,
        column=expectation.column,
        severity=str(expectation.severity),
        success=bool(outcome and outcome["success"]),
        element_count=facts.get("element_count", rows),
        unexpected_count=facts.get("unexpected_count"),
        unexpected_percent=facts.get("unexpected_percent"),
        problem=problem,
    )
