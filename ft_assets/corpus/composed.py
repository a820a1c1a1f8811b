"""What a composition gives: the rows that are used, and a count for every one that is not."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ft_assets.corpus.pool import Pool
from ft_assets.corpus.split import SIDES

ROWS_AT_ONCE = 1_000  # as Python strings

pc: Any = pyarrow.compute  # makes its functions at import, so a type checker finds none


class Reason(StrEnum):
    """Why a row is not used; a row that has several counts under the first in this order.

    The reasons of the screening count as they are called there, after permission.
    """

    ERASURE_REQUESTED = "erasure_requested"
    NO_CONSENT = "no_consent"  # refused, or the user is not known
    SUPERSEDED_BY_CORRECTION = "superseded_by_correction"
    THUMBS_DOWN = "thumbs_down"
    LOW_RATING = "low_rating"
    REGENERATED = "regenerated"  # the user asked for another answer
    RESTRICTED_DOCUMENT = "restricted_document"
    EMPTY_TEXT = "empty_text"
    TOO_LONG = "too_long"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    SPLIT_CONVERSATION = "split_conversation"  # began on another side; see split.py
    SPLIT_CLUSTER = "split_cluster"  # a copy of a copy of a row on another side
    HELD_OUT = "held_out"
    NOT_HELD_OUT = "not_held_out"  # of compose_eval: the row is for training
    CONTAMINATED = "contaminated"  # overlaps an evaluation row
    OVERLAPS_VALIDATION = "overlaps_validation"  # for training, but a validation row gives it away
    CONTAMINATED_BENCHMARK = "contaminated_benchmark"  # overlaps a row of a configured benchmark
    NOT_REPLAYED = "not_replayed"  # of an older week, and not among those trained on again
    OVER_USER_SHARE = "over_user_share"  # its user has more of the corpus than one may have
    OVER_DOCUMENT_SHARE = "over_document_share"
    OVER_MIXTURE = "over_mixture"  # more than the weight of its kind allows


class CorpusRow(TypedDict):
    row_id: str
    kind: str  # log | annotation | correction | document
    domain: str
    week: str  # "" where the source has none
    group: str
    split: str  # train | validation
    messages: str  # JSON
    prompt: str
    response: str
    source_file: str
    source_line: int
    source_id: str
    license: str
    replayed: bool  # of an older week


class EvalRow(TypedDict):
    row_id: str
    origin: str  # own | held_out
    task: str
    topic: str  # "" where the source has none
    week: str  # the same
    prompt: str
    response: str
    messages: str  # JSON
    source_id: str


@dataclass(frozen=True)
class Counts:
    rows_in: int
    rows_out: int
    dropped: dict[str, int]
    by_kind: dict[str, int]  # rows out
    dropped_by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    by_split: dict[str, int] = field(default_factory=dict)  # rows out; of an EvalSet by origin
    documents_in: int = 0
    documents_used: int = 0  # with at least one passage in the corpus
    largest_group: int = 0  # rows out of the user or document with the most
    by_week: dict[str, int] = field(default_factory=dict)  # rows out
    replayed: int = 0  # rows out of older weeks
    replayed_char_share: float = 0.0
    contaminated: dict[str, int] = field(default_factory=dict)  # rows by benchmark


@dataclass(frozen=True)
class Corpus:
    table: pa.Table  # columns of CorpusRow
    counts: Counts

    @cached_property
    def rows(self) -> list[CorpusRow]:
        return self.table.to_pylist()


@dataclass(frozen=True)
class EvalSet:
    table: pa.Table  # columns of EvalRow
    counts: Counts

    @cached_property
    def rows(self) -> list[EvalRow]:
        return self.table.to_pylist()


def _messages(rows: pa.Table) -> pa.ChunkedArray:
    """The conversations in chat form, as JSON."""
    dump = json.JSONEncoder(ensure_ascii=False).encode
    return pa.chunked_array(
        [
            [
                f'[{{"role": "user", "content": {dump(prompt)}}}, '
                f'{{"role": "assistant", "content": {dump(response)}}}]'
                for prompt, response in zip(
                    batch["prompt"].to_pylist(), batch["response"].to_pylist(), strict=True
                )
            ]
            for batch in rows.select(["prompt", "response"]).to_batches(ROWS_AT_ONCE)
        ],
        pa.string(),
    )


def corpus_table(pool: Pool, older: np.ndarray) -> pa.Table:
    kept = np.flatnonzero(pool.live)
    rows = pool.table.take(pa.array(kept))
    columns = {
        "row_id": rows["key"],
        "group": pa.array(pool.group[kept].tolist(), pa.string()),
        "split": pa.array([str(SIDES[place]) for place in pool.side[kept].tolist()], pa.string()),
        "messages": _messages(rows),
        "week": pc.fill_null(rows["week"], ""),
        "license": pc.fill_null(rows["license"], ""),
        "replayed": pa.array(older[kept]),
    }
    return pa.table(
        {name: columns.get(name, _or(rows, name)) for name in CorpusRow.__annotations__}
    )


def eval_table(
    pool: Pool, kept: np.ndarray, origin: str, topics: Mapping[str, str] | None = None
) -> pa.Table:
    """`topics` by key of the row; a row that is not there has none."""
    rows = pool.table.take(pa.array(kept))
    found = [(topics or {}).get(key, "") for key in rows["key"].to_pylist()]
    columns = {
        "row_id": rows["key"],
        "origin": pa.array([origin] * len(kept), pa.string()),
        "task": pc.coalesce(rows["task"], rows["kind"]),
        "topic": pa.array(found, pa.string()),
        "week": pc.fill_null(rows["week"], ""),
        "messages": _messages(rows),
    }
    return pa.table({name: columns.get(name, _or(rows, name)) for name in EvalRow.__annotations__})


def _or(rows: pa.Table, name: str) -> pa.ChunkedArray | None:
    return rows[name] if name in rows.column_names else None


def training_counts(
    pools: Sequence[Pool], table: pa.Table, documents_in: int, contaminated: dict[str, int]
) -> Counts:
    count = {name: Counter(table[name].to_pylist()) for name in ("kind", "split", "week", "group")}
    chars = np.concatenate([pool.chars[pool.live] for pool in pools])
    replayed = table["replayed"].combine_chunks().to_numpy(zero_copy_only=False)
    used = pc.filter(table["source_id"], pc.equal(table["kind"], "document"))
    return Counts(
        rows_in=sum(map(len, pools)),
        rows_out=len(table),
        by_kind=dict(count["kind"]),
        by_split=dict(count["split"]),
        documents_in=documents_in,
        documents_used=len(used.unique()),
        largest_group=max((n for name, n in count["group"].items() if name), default=0),
        by_week={week: n for week, n in sorted(count["week"].items()) if week},
        replayed=int(replayed.sum()),
        replayed_char_share=round(float(chars[replayed].sum() / max(chars.sum(), 1)), 4),
        contaminated=contaminated,
        **drops(pools),
    )


def drops(pools: Sequence[Pool]) -> dict[str, Any]:
    found = Counter()
    for pool in pools:
        out = ~pool.live
        found.update(zip(pool.texts("kind")[out].tolist(), map(str, pool.reason[out]), strict=True))
    total: Counter[str] = Counter()
    by_kind: dict[str, dict[str, int]] = {}
    for (kind, reason), number in found.items():
        total[reason] += number
        by_kind.setdefault(kind, {})[reason] = number
    places = {str(reason): place for place, reason in enumerate(Reason)}
    names = sorted(total, key=lambda reason: (places.get(reason, -1), reason))
    return {"dropped": {name: total[name] for name in names}, "dropped_by_kind": by_kind}
