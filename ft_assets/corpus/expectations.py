"""What must hold of the anonymized logs and of the training corpus before they are merged.

Nearly all of it is data; what Great Expectations cannot say about one column is computed first (the
derived columns). Every suite asks for at least one row, so an empty table fails instead of passing
for want of a counterexample.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ft_assets.corpus.decontaminate import prompt_key
from ft_assets.corpus.gx import Expectation, Severity, Suite
from ft_assets.corpus.shingles import pair_digest

# A character limit that says "this is no message": nothing a person types or a model answers.
MAX_TEXT_CHARS = 1_000_000
# Few users make the shares jump, so only a split that starves training is worth a word.
MAX_VALIDATION_SHARE = 0.3


def anonymized_logs_suite(min_rows: int = 1) -> Suite:
    """Of one or more partitions; `partition` is the key "domain|week" that a row was read from."""
    return Suite(
        expectations=[
            *_rows_at_least(min_rows),
            *_present("event_id", "ts", "week", "domain", "user", "conversation", "model_version"),
            *_present("source_file", "source_line", "prompt", "response"),
            _unique("event_id"),
            _among("thumb", ["up", "down"]),
            _between("rating", 1, 5),
            _between("turn", 0),
            _between("latency_ms", 0, severity=Severity.WARNING),
            _length("prompt", 1, MAX_TEXT_CHARS),
            # Empty where the user's correction is all that is left of the answer.
            _length("response", 0, MAX_TEXT_CHARS),
            _matches("user", r"^[0-9a-f]{16}$"),
            _matches("conversation", r"^[0-9a-f]{16}$"),
            _zero("identifiers_left"),
            _zero("outside_partition"),
        ],
        derived={
            "outside_partition": (
                ("partition", "domain", "week"),
                lambda t: ((t["domain"] + "|" + t["week"]) != t["partition"]).astype(int),
            )
        },
    )


def training_corpus_suite(min_rows: int = 1, eval_rows: Iterable[Mapping[str, Any]] = ()) -> Suite:
    eval_prompts = frozenset(prompt_key(row["prompt"]) for row in eval_rows)
    return Suite(
        expectations=[
            *_rows_at_least(min_rows),
            *_present("row_id", "kind", "domain", "group", "split", "messages"),
            *_present("source_file", "source_line", "source_id"),
            _unique("row_id"),
            _among("kind", ["log", "annotation", "correction", "document"]),
            _among("split", ["train", "validation"]),
            _length("prompt", 1, MAX_TEXT_CHARS),
            _length("response", 1, MAX_TEXT_CHARS),
            _length("source_file", 1),
            _length("source_id", 1),
            _between("source_line", 1),
            _unique("pair"),
            _zero("group_on_two_sides"),
            _zero("prompt_on_two_sides"),
            _zero("messages_differ"),
            _zero("overlaps_evaluation"),
            Expectation(
                "expect_column_distinct_values_to_contain_set", "split", {"value_set": ["train"]}
            ),
            Expectation(
                "expect_column_distinct_values_to_contain_set",
                "split",
                {"value_set": ["validation"]},
                Severity.WARNING,
            ),
            Expectation(
                "expect_column_mean_to_be_between",
                "is_validation",
                {"max_value": MAX_VALIDATION_SHARE},
                Severity.WARNING,
            ),
        ],
        derived={
            "pair": (
                ("prompt", "response"),
                lambda t: _per_row(pair_digest, t["prompt"], t["response"]),
            ),
            "group_on_two_sides": (
                ("group", "split"),
                lambda t: _on_two_sides(t["group"], t["split"]),
            ),
            "prompt_on_two_sides": (
                ("prompt", "split"),
                lambda t: _on_two_sides(_per_row(prompt_key, t["prompt"]), t["split"]),
            ),
            "messages_differ": (
                ("messages", "prompt", "response"),
                lambda t: _per_row(_differ, t["messages"], t["prompt"], t["response"]),
            ),
            "overlaps_evaluation": (
                ("prompt",),
                lambda t: _per_row(lambda p: int(prompt_key(p) in eval_prompts), t["prompt"]),
            ),
            "is_validation": (("split",), lambda t: (t["split"] == "validation").astype(float)),
        },
    )


def _rows_at_least(count: int) -> list[Expectation]:
    wanted = {"min_value": max(1, count)}
    return [Expectation("expect_table_row_count_to_be_between", None, wanted)]


def _present(*columns: str) -> list[Expectation]:
    return [Expectation("expect_column_values_to_not_be_null", column) for column in columns]


def _unique(column: str) -> Expectation:
    return Expectation("expect_column_values_to_be_unique", column)


def _among(column: str, values: list[str]) -> Expectation:
    return Expectation("expect_column_values_to_be_in_set", column, {"value_set": values})


def _matches(column: str, pattern: str) -> Expectation:
    return Expectation("expect_column_values_to_match_regex", column, {"regex": pattern})


def _between(
    column: str, low: float, high: float | None = None, severity: Severity = Severity.ERROR
) -> Expectation:
    limits = {"min_value": low} if high is None else {"min_value": low, "max_value": high}
    return Expectation("expect_column_values_to_be_between", column, limits, severity)


def _length(column: str, low: int, high: int | None = None) -> Expectation:
    limits = {"min_value": low} if high is None else {"min_value": low, "max_value": high}
    return Expectation("expect_column_value_lengths_to_be_between", column, limits)


def _zero(column: str) -> Expectation:
    return Expectation("expect_column_values_to_be_in_set", column, {"value_set": [0]})


def _per_row(function: Any, *columns: pd.Series) -> pd.Series:
    values = [function(*row) for row in zip(*columns, strict=True)]
    return pd.Series(values, index=columns[0].index, dtype=object if not values else None)


def _on_two_sides(key: pd.Series, split: pd.Series) -> pd.Series:
    return (split.groupby(key).transform("nunique") > 1).astype(int)


def _differ(messages: str, prompt: str, response: str) -> int:
    """1 unless the messages are the prompt and the response; broken JSON is a difference."""
    wanted = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    try:
        return int(json.loads(messages) != wanted)
    except (TypeError, ValueError):
        return 1
