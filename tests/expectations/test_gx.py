import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from ft_assets.corpus.composed import CorpusRow
from ft_assets.expectations.derived import Given, derive
from ft_assets.expectations.gx import Outcome, SuiteResult, validate
from ft_assets.expectations.known import EXPECTATIONS, KL_DIVERGENCE
from ft_assets.expectations.suite import Expectation, Severity, Suite, load_suite

PLANTED = "jane.roe@example.org"


def logs(**columns: Any) -> pd.DataFrame:
    rows = 3
    table = {
        "event_id": ["e1", "e2", "e3"],
        "ts": ["2026-08-31T10:00:00+00:00"] * rows,
        "week": ["2026-08-31"] * rows,
        "domain": ["finance"] * rows,
        "user": ["0123456789abcdef"] * rows,
        "conversation": ["fedcba9876543210"] * rows,
        "turn": [0, 1, 2],
        "prompt": ["Hello", "Please", "Thanks"],
        "response": ["Hi", "Sure", ""],
        "correction": [None, None, "Welcome"],
        "model_version": ["m-1"] * rows,
        "rating": [None, 1, 5],
        "thumb": [None, "up", "down"],
        "regenerated": [False] * rows,
        "clicked": [True] * rows,
        "latency_ms": [10, 20, 30],
        "identifiers_left": [0] * rows,
        "source_file": ["logs.jsonl"] * rows,
        "source_line": [1, 2, 3],
        "partition": ["finance|2026-08-31"] * rows,
    }
    return pd.DataFrame(table | columns)


def corpus(**columns: Any) -> pd.DataFrame:
    prompts, responses = ["Hello", "Please", "Thanks"], ["Hi", "Sure", "Welcome"]
    table = {
        "row_id": ["log:1", "log:2", "document:3"],
        "kind": ["log", "log", "document"],
        "domain": ["finance"] * 3,
        "week": ["2026-08-31", "2026-08-31", ""],
        "group": ["user:1", "user:2", "document:3"],
        "split": ["train", "validation", "train"],
        "prompt": prompts,
        "response": responses,
        "source_file": ["logs.jsonl"] * 3,
        "source_line": [1, 2, 3],
        "source_id": ["1", "2", "3"],
        "license": [""] * 3,
    } | columns
    table.setdefault(
        "messages",
        [
            json.dumps([{"role": "user", "content": p}, {"role": "assistant", "content": r}])
            for p, r in zip(table["prompt"], table["response"], strict=True)
        ],
    )
    return pd.DataFrame(table)


LOGS, CORPUS = load_suite("anonymized_logs"), load_suite("training_corpus")


def judge(
    table: pd.DataFrame,
    suite: Suite,
    min_rows: int = 1,
    evaluation: Sequence[Mapping[str, Any]] = (),
    given: Given | None = None,
) -> SuiteResult:
    given = given or Given.of(min_rows, evaluation)
    columns = {column for e in suite.expectations for column in e.columns}
    return validate(derive(table, columns, given), suite, {"min_rows": given.min_rows})


def failed(result: SuiteResult) -> set[tuple[str | None, str]]:
    return {(r.expectation.column, r.expectation.severity) for r in result.expectations if r.fails}


def test_good_logs_pass():
    result = judge(logs(), LOGS)
    assert failed(result) == set()
    assert (result.success, result.suite) == (True, "anonymized_logs")


GOOD_HASH = "0123456789abcdef"


@pytest.mark.parametrize(
    "wrong",  # column that fails -> columns of the table that make it fail
    [
        {
            "event_id": {"event_id": ["e1", "e1", "e2"]},
            "ts": {"ts": [None, "a", "b"]},
            "user": {"user": ["jane", GOOD_HASH, GOOD_HASH]},
            "thumb": {"thumb": ["maybe", None, None]},
            "rating": {"rating": [None, 0, 5]},
            "turn": {"turn": [0, -1, 2]},
            "prompt": {"prompt": ["", "a", "b"]},
            "identifiers_left": {"identifiers_left": [0, 1, 0]},
            "outside_partition": {"week": ["2026-09-07"] * 3},
            "source_line": {"source_line": [1, None, 3]},
        },
        {
            "conversation": {"conversation": ["c1", "c2", "c3"]},
            "rating": {"rating": [None, 6, 5]},
            "prompt": {"prompt": ["x" * 1_000_001, "a", "b"]},
            "response": {"response": [None, "a", "b"]},
            "outside_partition": {"domain": ["legal"] * 3},
        },
    ],
)
def test_wrong_logs_fail_where_they_are_wrong(wrong: dict[str, dict[str, Any]]):
    columns = {name: values for change in wrong.values() for name, values in change.items()}
    result = judge(logs(**columns), LOGS)
    assert failed(result) == {(column, "critical") for column in wrong}
    assert not result.success


def test_a_warning_does_not_block():
    result = judge(logs(latency_ms=[-1, 1, 1]), LOGS)
    assert failed(result) == {("latency_ms", "warning")}
    assert result.success


def test_columns_without_a_single_value_are_fine():
    empty = logs(thumb=[None] * 3, rating=[None] * 3)
    assert judge(empty, LOGS).success


def test_a_good_corpus_passes():
    evaluation = [{"prompt": "Something else"}]
    result = judge(corpus(), CORPUS, 3, evaluation)
    # One of three rows is for validation: worth a warning, not a refusal.
    assert failed(result) == {("is_validation", "warning")}
    assert result.success


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "row_id": {"row_id": ["a", "a", "b"]},
            "kind": {"kind": ["log", "log", "poem"]},
            "split": {"split": ["train", "validation", "held_out"]},
            "response": {"response": ["", "a", "b"]},
            "source_file": {"source_file": ["", "a", "b"]},
            "source_id": {"source_id": ["1", None, "3"]},
            "source_line": {"source_line": [0, 1, 2]},
            "group_on_two_sides": {"group": ["user:1"] * 3},
            "overlaps_evaluation": {"prompt": ["evaluation question?", "a", "b"]},
            "messages_differ": {"messages": ["not json", "[1]", "3"]},
        },
        {
            "prompt_on_two_sides": {"prompt": ["HELLO!", "Hello", " hello"]},
            "pair": {"response": ["Hi", "a", "HI"], "prompt": ["Hello", "hello", " hello"]},
        },
        {
            "prompt": {"prompt": ["", "a", "b"]},
            "split": {"split": ["validation"] * 3},
            "messages_differ": {"messages": ["[]"] * 3},
        },
    ],
)
def test_a_wrong_corpus_fails_where_it_is_wrong(wrong: dict[str, dict[str, Any]]):
    columns = {name: values for change in wrong.values() for name, values in change.items()}
    result = judge(corpus(**columns), CORPUS, 1, [{"prompt": "Evaluation question"}])
    assert {column for column, severity in failed(result) if severity == "critical"} == wrong.keys()
    assert not result.success


def test_too_few_rows_fail():
    result = judge(corpus(), CORPUS, min_rows=4)
    assert (None, "critical") in failed(result)
    assert not result.success


@pytest.mark.parametrize("table", [pd.DataFrame(), logs().iloc[:0]])
def test_a_week_without_rows_is_told_and_stops_no_other_week(table: pd.DataFrame):
    result = judge(table, LOGS)
    assert result.success
    assert failed(result) == {(None, "warning")}


@pytest.mark.parametrize(
    "table", [pd.DataFrame(columns=list(CorpusRow.__annotations__)), corpus().iloc[:0]]
)
def test_an_empty_corpus_fails_and_does_not_raise(table: pd.DataFrame):
    result = judge(table, CORPUS, min_rows=0)
    assert not result.success
    assert len(result.expectations) == len(CORPUS.expectations)


def test_a_missing_column_fails_what_needs_it():
    result = judge(logs().drop(columns=["rating", "domain"]), LOGS)
    # `rating` is named by an expectation that blocks and by two that warn.
    assert failed(result) == {
        *((column, "critical") for column in ("rating", "domain", "outside_partition")),
        ("rating", "warning"),
    }
    assert {r.problem for r in result.expectations if r.fails} == {"no such column"}


def test_a_column_that_need_not_be_there_is_not_judged():
    [language] = [r for r in judge(logs(), LOGS).expectations if r.expectation.if_present]
    assert (language.outcome, language.problem) == (Outcome.NOT_JUDGED, "no such column")


def test_a_table_of_weeks_without_its_week_is_outside_its_partition():
    result = judge(logs().drop(columns=["week"]), LOGS)
    assert failed(result) == {("week", "critical"), ("outside_partition", "critical")}


def test_what_cannot_be_computed_fails_without_its_exception():
    expectation = Expectation("expect_column_values_to_be_between", "a", {"min_value": 0})
    result = validate(pd.DataFrame({"a": [PLANTED, 3]}), Suite("s", [expectation]))
    assert not result.success
    assert result.expectations[0].problem == "could not be computed"
    assert PLANTED not in repr(result)


def test_no_offending_text_leaves_great_expectations(capfd: pytest.CaptureFixture[str]):
    """Every kind of expectation that could quote a value, failing on a planted one."""
    table = corpus(prompt=[PLANTED, PLANTED, "x"], split=[PLANTED] * 3, kind=[PLANTED] * 3)
    table["row_id"] = PLANTED
    extra = [
        Expectation("expect_column_values_to_not_match_regex", "prompt", {"regex": "@"}),
        Expectation("expect_column_values_to_be_null", "prompt", severity=Severity.WARNING),
        Expectation("expect_column_most_common_value_to_be_in_set", "prompt", {"value_set": [1]}),
        Expectation("expect_column_mean_to_be_between", "prompt", {"min_value": 0}),
    ]
    result = judge(table, Suite("s", [*CORPUS.expectations, *extra]))
    assert not result.success
    counts = {
        r.expectation.column: r.unexpected_count for r in result.expectations if r.unexpected_count
    }
    assert counts["split"] == counts["row_id"] == 3
    written = capfd.readouterr()
    for place in (repr(result), json.dumps(asdict(result)), written.out, written.err):
        assert "jane.roe" not in place


def test_nothing_is_drawn_on_the_terminal(capfd: pytest.CaptureFixture[str]):
    judge(logs(), LOGS)
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_counts_are_those_of_the_rows():
    table = logs(thumb=["maybe", "up", None])
    result = judge(table, LOGS)
    thumb = next(r for r in result.expectations if r.expectation.column == "thumb")
    assert (thumb.element_count, thumb.unexpected_count, thumb.unexpected_percent) == (3, 1, 50.0)


def test_results_come_in_the_order_of_the_suite():
    result = judge(logs(), LOGS)
    assert [r.expectation for r in result.expectations] == list(LOGS.expectations)


def test_a_parameter_that_is_not_given_is_an_error():
    with pytest.raises(ValueError, match="needs parameter 'min_rows'"):
        validate(corpus(), CORPUS)


def test_an_event_that_two_partitions_have_fails():
    result = judge(logs(), LOGS, given=Given(shared_events=frozenset(["e2"])))
    [shared] = result.failed
    assert (shared.expectation.column, shared.unexpected_count) == ("in_another_partition", 1)


def test_the_limits_of_the_list_of_expectations_are_those_of_the_library():
    """What a suite may name exists in Great Expectations, with these arguments and no other."""
    import great_expectations.expectations  # noqa: F401
    from great_expectations.expectations.expectation import Expectation as Base
    from great_expectations.expectations.registry import get_expectation_impl

    shared = {*Base.__fields__}
    shared |= {"batch_id", "row_condition", "condition_parser", "library_metadata"}
    for name, arguments in EXPECTATIONS.items():
        offered = {*get_expectation_impl(name).__fields__} - shared
        known = set(arguments)
        if name == KL_DIVERGENCE:
            offered -= {"min_value", "max_value"}  # it has them and compares with `threshold`
        assert known == offered, name


def test_the_tables_index_does_not_matter():
    table = logs(turn=[0, -1, 2])
    table.index = pd.Index([5, 5, 5])
    result = judge(table, LOGS)
    assert failed(result) == {("turn", "critical")}
