import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from ft_assets.corpus.compose import CorpusRow
from ft_assets.corpus.expectations import anonymized_logs_suite, training_corpus_suite
from ft_assets.corpus.gx import Expectation, Severity, Suite, SuiteResult, validate

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


def failed(result: SuiteResult) -> set[tuple[str | None, str]]:
    return {(e.column, e.severity) for e in result.expectations if not e.success}


def test_good_logs_pass():
    result = validate(logs(), "anonymized_logs", anonymized_logs_suite())
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
    result = validate(logs(**columns), "anonymized_logs", anonymized_logs_suite())
    assert failed(result) == {(column, "error") for column in wrong}
    assert not result.success


def test_a_warning_does_not_block():
    result = validate(logs(latency_ms=[-1, 1, 1]), "anonymized_logs", anonymized_logs_suite())
    assert failed(result) == {("latency_ms", "warning")}
    assert result.success


def test_columns_without_a_single_value_are_fine():
    empty = logs(thumb=[None] * 3, rating=[None] * 3)
    assert validate(empty, "anonymized_logs", anonymized_logs_suite()).success


def test_a_good_corpus_passes():
    evaluation = [{"prompt": "Something else"}]
    result = validate(corpus(), "training_corpus", training_corpus_suite(3, evaluation))
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
    suite = training_corpus_suite(1, [{"prompt": "Evaluation question"}])
    result = validate(corpus(**columns), "training_corpus", suite)
    assert {column for column, severity in failed(result) if severity == "error"} == wrong.keys()
    assert not result.success


def test_too_few_rows_fail():
    result = validate(corpus(), "training_corpus", training_corpus_suite(min_rows=4))
    assert (None, "error") in failed(result)
    assert not result.success


@pytest.mark.parametrize(
    ("table", "suite"),
    [
        (pd.DataFrame(), anonymized_logs_suite()),
        (logs().iloc[:0], anonymized_logs_suite(min_rows=0)),
        (pd.DataFrame(columns=list(CorpusRow.__annotations__)), training_corpus_suite()),
        (corpus().iloc[:0], training_corpus_suite(min_rows=0)),
    ],
)
def test_an_empty_table_fails_and_does_not_raise(table: pd.DataFrame, suite: Suite):
    result = validate(table, "s", suite)
    assert not result.success
    assert len(result.expectations) == len(suite.expectations)


def test_a_missing_column_fails_what_needs_it():
    result = validate(logs().drop(columns=["rating", "week"]), "s", anonymized_logs_suite())
    assert failed(result) == {(c, "error") for c in ("rating", "week", "outside_partition")}
    assert {e.problem for e in result.expectations if not e.success} == {"no such column"}


def test_what_cannot_be_computed_fails_without_its_exception():
    suite = Suite([Expectation("expect_column_values_to_be_between", "a", {"min_value": 0})])
    result = validate(pd.DataFrame({"a": [PLANTED, 3]}), "s", suite)
    assert not result.success
    assert result.expectations[0].problem == "could not be computed"
    assert PLANTED not in repr(result)


def test_no_offending_text_leaves_great_expectations(capfd: pytest.CaptureFixture[str]):
    """Every kind of expectation that could quote a value, failing on a planted one."""
    table = corpus(prompt=[PLANTED, PLANTED, "x"], split=[PLANTED] * 3, kind=[PLANTED] * 3)
    table["row_id"] = PLANTED
    suite = training_corpus_suite()
    extra = [
        Expectation("expect_column_values_to_not_match_regex", "prompt", {"regex": "@"}),
        Expectation("expect_column_values_to_be_null", "prompt", severity=Severity.WARNING),
        Expectation("expect_column_most_common_value_to_be_in_set", "prompt", {"value_set": [1]}),
        Expectation("expect_column_mean_to_be_between", "prompt", {"min_value": 0}),
    ]
    result = validate(table, "s", Suite([*suite.expectations, *extra], suite.derived))
    assert not result.success
    counts = {e.column: e.unexpected_count for e in result.expectations if e.unexpected_count}
    assert counts["split"] == counts["row_id"] == 3
    written = capfd.readouterr()
    for place in (repr(result), json.dumps(asdict(result)), written.out, written.err):
        assert "jane.roe" not in place


def test_nothing_is_drawn_on_the_terminal(capfd: pytest.CaptureFixture[str]):
    validate(logs(), "s", anonymized_logs_suite())
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_counts_are_those_of_the_rows():
    table = logs(thumb=["maybe", "up", None])
    result = validate(table, "s", anonymized_logs_suite())
    (thumb,) = [e for e in result.expectations if e.column == "thumb"]
    assert (thumb.element_count, thumb.unexpected_count, thumb.unexpected_percent) == (3, 1, 50.0)


def test_results_come_in_the_order_of_the_suite():
    suite = anonymized_logs_suite()
    result = validate(logs(), "s", suite)
    assert [(e.type, e.column) for e in result.expectations] == [
        (e.type, e.column) for e in suite.expectations
    ]


def test_an_unknown_expectation_is_an_error():
    with pytest.raises(ValueError, match="knows no expectation 'expect_luck'"):
        validate(logs(), "s", Suite([Expectation("expect_luck", "turn")]))


def test_the_tables_index_does_not_matter():
    table = logs(turn=[0, -1, 2])
    table.index = pd.Index([5, 5, 5])
    result = validate(table, "s", anonymized_logs_suite())
    assert failed(result) == {("turn", "error")}


def test_the_modules_load_without_great_expectations():
    code = (
        "import sys, ft_assets.corpus.gx, ft_assets.corpus.expectations;"
        "import ft_assets.monitoring.drift;"
        "sys.exit(any(m in sys.modules for m in ('great_expectations', 'evidently', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
