"""Run a suite of expectations with Great Expectations 1.x and keep the counts alone.

Great Expectations puts offending values into its results ("partial_unexpected_list",
"observed_value", tracebacks). They are texts of people here, so only names and numbers are taken.
dagster-ge is not used: it needs Great Expectations 0.x.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from ft_assets.expectations.known import ROW_COUNT
from ft_assets.expectations.suite import PARAMETER, Expectation, Severity, Suite
from ft_assets.expectations.usual import Band, Earlier, Figure, figures, limits


class Outcome(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class ExpectationResult:
    expectation: Expectation
    outcome: Outcome
    element_count: int
    unexpected_count: int | None = None  # None: the expectation counts nothing, or did not run
    unexpected_percent: float | None = None
    figure: Figure | None = None  # what is compared with earlier weeks, where it is
    band: Band | None = None
    problem: str = ""  # why it could not be judged or computed

    @property
    def fails(self) -> bool:
        return self.outcome is Outcome.FAILS


@dataclass(frozen=True)
class SuiteResult:
    suite: str
    rows: int
    expectations: list[ExpectationResult]
    figures: dict[str, Figure]  # for later weeks

    def of(self, severity: Severity) -> list[ExpectationResult]:
        return [r for r in self.expectations if r.expectation.severity is severity]

    @property
    def failed(self) -> list[ExpectationResult]:
        """What blocks."""
        return [r for r in self.of(Severity.CRITICAL) if r.fails]

    @property
    def unusual(self) -> list[ExpectationResult]:
        return [r for r in self.of(Severity.WARNING) if r.fails]

    @property
    def success(self) -> bool:
        return not self.failed


def validate(
    table: pd.DataFrame,
    suite: Suite,
    parameters: Mapping[str, float] | None = None,
    earlier: Sequence[Earlier] = (),
    complete: bool = True,
) -> SuiteResult:
    """One result per expectation, in their order; a column that is not there fails what needs it.

    `parameters` are the numbers of `{$PARAMETER: name}`. `complete`: no more rows will come, so few
    of them are worth a word.
    """
    now = figures(table, suite)
    asked: dict[int, Mapping[str, Any]] = {}  # place -> arguments of what can be validated
    results: dict[int, ExpectationResult] = {}
    for place, expectation in enumerate(suite.expectations):
        figure = now.get(expectation.key)
        found = _arguments(table, expectation, parameters or {}, figure, earlier, complete)
        if isinstance(found, str):
            missing_column = found == NO_COLUMN and not expectation.if_present
            outcome = Outcome.FAILS if missing_column else Outcome.NOT_JUDGED
            results[place] = ExpectationResult(
                expectation, outcome, len(table), figure=figure, problem=found
            )
        else:
            asked[place] = found
    outcomes = _validate(table, suite, asked) if asked else {}
    for place, outcome in outcomes.items():
        expectation = suite.expectations[place]
        figure = now.get(expectation.key)
        results[place] = _result(expectation, outcome, len(table), figure, asked[place])
    ordered = [results[place] for place in range(len(suite.expectations))]
    return SuiteResult(suite.name, len(table), ordered, now)


NO_COLUMN = "no such column"


def _arguments(
    table: pd.DataFrame,
    expectation: Expectation,
    parameters: Mapping[str, float],
    figure: Figure | None,
    earlier: Sequence[Earlier],
    complete: bool,
) -> Mapping[str, Any] | str:
    """Great Expectations' arguments, or why it is not asked."""
    if expectation.columns and table.empty:
        return "no rows"
    if not set(expectation.columns) <= set(table.columns):
        return NO_COLUMN
    given = {name: _value(value, parameters) for name, value in expectation.arguments.items()}
    if expectation.usual is None:
        return given
    found = limits(expectation, figure, earlier)
    if isinstance(found, str):
        return found
    if isinstance(found, Band):
        low = found.low if complete or expectation.type != ROW_COUNT else None
        if low is None and found.high is None:
            return "more rows may come"
        return {**given, "min_value": low, "max_value": found.high, BAND: found}
    return {**given, **found}


BAND = "band"  # travels with the arguments; Great Expectations does not see it


def _value(value: Any, parameters: Mapping[str, float]) -> Any:
    if isinstance(value, dict) and PARAMETER in value:
        name = value[PARAMETER]
        if name not in parameters:
            raise ValueError(f"the suite needs parameter {name!r}; got {sorted(parameters)}")
        return parameters[name]
    return value


def _validate(
    table: pd.DataFrame, suite: Suite, asked: Mapping[int, Mapping[str, Any]]
) -> dict[int, Mapping[str, Any]]:
    """Return Great Expectations' results by place; they hold offending values."""
    with warnings.catch_warnings():
        # It imports modules that Python 3.11 deprecates (sre_constants, sre_parse).
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig
        from great_expectations.expectations.registry import get_expectation_impl

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    run = gx.ExpectationSuite(name="suite")
    for place, arguments in asked.items():
        expectation = suite.expectations[place]
        given = {name: value for name, value in arguments.items() if name != BAND}
        if expectation.column is not None:
            given["column"] = expectation.column
        kind = get_expectation_impl(expectation.type)
        run.add_expectation(kind(**given, meta={"place": place}))
    validated = batch.validate(run, result_format="BASIC")
    outcomes: list[Any] = [result.to_json_dict() for result in validated.results]
    return {outcome["expectation_config"]["meta"]["place"]: outcome for outcome in outcomes}


def _result(
    expectation: Expectation,
    outcome: Mapping[str, Any],
    rows: int,
    figure: Figure | None,
    arguments: Mapping[str, Any],
) -> ExpectationResult:
    computed = "raised_exception" in outcome["exception_info"]
    facts: Mapping[str, Any] = outcome["result"] if computed else {}
    return ExpectationResult(
        expectation,
        Outcome.HOLDS if outcome["success"] else Outcome.FAILS,
        element_count=facts.get("element_count", rows),
        unexpected_count=facts.get("unexpected_count"),
        unexpected_percent=facts.get("unexpected_percent"),
        figure=figure,
        band=arguments.get(BAND),
        # The exception is left out: it may quote a value.
        problem="" if computed else "could not be computed",
    )
