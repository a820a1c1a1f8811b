"""Columns that a suite may name though no asset stores them: computed before it is looked at.

What Great Expectations cannot say about one column becomes a column here: 0 where a row is as it
must be, or a number of which the mean or median is watched. They stand above the stages: any pure
function of a stage may be used.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ft_assets.corpus.decontaminate import prompt_key
from ft_assets.corpus.shingles import pair_digest

PARTITION = "partition"  # the key "domain" or "domain|week" that a row was read from


@dataclass(frozen=True)
class Given:
    """What an expectation may need besides the table."""

    min_rows: int = 1
    eval_prompts: frozenset[str] = frozenset()  # as prompt_key has them
    shared_events: frozenset[str] = frozenset()  # ids that several partitions of one run have

    @classmethod
    def of(cls, min_rows: int = 1, eval_rows: Iterable[Mapping[str, Any]] = ()) -> "Given":
        return cls(max(1, min_rows), frozenset(prompt_key(row["prompt"]) for row in eval_rows))


@dataclass(frozen=True)
class Derived:
    needs: tuple[str, ...]
    compute: Callable[[pd.DataFrame, Given], pd.Series]


def derive(table: pd.DataFrame, names: Iterable[str], given: Given) -> pd.DataFrame:
    """The table with those of the named columns that can be computed from it."""
    found = {
        name: DERIVED[name].compute(table, given)
        for name in names
        if name in DERIVED
        and name not in table.columns
        and set(DERIVED[name].needs) <= set(table.columns)
    }
    return table.assign(**found)


def _per_row(function: Any, *columns: pd.Series) -> pd.Series:
    values = [function(*row) for row in zip(*columns, strict=True)]
    return pd.Series(values, index=columns[0].index, dtype=object if not values else None)


def _outside_partition(table: pd.DataFrame, _: Given) -> pd.Series:
    key = table["domain"].astype(str)
    if (
        "week" in table.columns
        and table[PARTITION].astype(str).str.contains("|", regex=False).any()
    ):
        key = key + "|" + table["week"].astype(str)
    return (key != table[PARTITION]).astype(int)


def _on_two_sides(key: pd.Series, split: pd.Series) -> pd.Series:
    return (split.groupby(key).transform("nunique") > 1).astype(int)


def _messages_differ(messages: str, prompt: str, response: str) -> int:
    """1 unless the messages are the prompt and the response; broken JSON is a difference."""
    wanted = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    try:
        return int(json.loads(messages) != wanted)
    except (TypeError, ValueError):
        return 1


def _chars(column: str) -> Derived:
    return Derived((column,), lambda t, _: t[column].str.len().astype(float))


def _repeated(*columns: str) -> Derived:
    """1.0 for every row that an earlier one equals in these columns; its mean is their share."""
    return Derived(columns, lambda t, _: t.duplicated(list(columns)).astype(float))


def _empty(column: str) -> Derived:
    def compute(table: pd.DataFrame, _: Given) -> pd.Series:
        return (table[column].fillna("").astype(str).str.strip() == "").astype(float)

    return Derived((column,), compute)


DERIVED: dict[str, Derived] = {
    "outside_partition": Derived((PARTITION, "domain"), _outside_partition),
    "in_another_partition": Derived(
        ("event_id",), lambda t, given: t["event_id"].isin(given.shared_events).astype(int)
    ),
    "pair": Derived(
        ("prompt", "response"), lambda t, _: _per_row(pair_digest, t["prompt"], t["response"])
    ),
    "group_on_two_sides": Derived(
        ("group", "split"), lambda t, _: _on_two_sides(t["group"], t["split"])
    ),
    "prompt_on_two_sides": Derived(
        ("prompt", "split"),
        lambda t, _: _on_two_sides(_per_row(prompt_key, t["prompt"]), t["split"]),
    ),
    "messages_differ": Derived(
        ("messages", "prompt", "response"),
        lambda t, _: _per_row(_messages_differ, t["messages"], t["prompt"], t["response"]),
    ),
    "overlaps_evaluation": Derived(
        ("prompt",),
        lambda t, given: _per_row(lambda p: int(prompt_key(p) in given.eval_prompts), t["prompt"]),
    ),
    "is_validation": Derived(("split",), lambda t, _: (t["split"] == "validation").astype(float)),
    "thumb_is_up": Derived(
        ("thumb",), lambda t, _: t["thumb"].map({"up": 1.0, "down": 0.0}).astype(float)
    ),
    "consents": Derived(
        ("training_consent",), lambda t, _: t["training_consent"].map(float).astype(float)
    ),
    "pair_is_repeated": _repeated("prompt", "response"),
    "text_is_repeated": _repeated("text"),
    "prompt_chars": _chars("prompt"),
    "response_chars": _chars("response"),
    "text_chars": _chars("text"),
    "response_is_empty": _empty("response"),
    "text_is_empty": _empty("text"),
}
