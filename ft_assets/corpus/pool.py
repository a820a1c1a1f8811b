"""The rows that a corpus is chosen from, in columns, with the reason that drops each.

A batch is the rows of one artifact (a week of logs, the examples, the documents) with their
fingerprints, which were made when the batch was. A pool is all batches of a domain, one under the
other. Columns stay in Arrow until a decision needs them, so an old row costs microseconds.
"""

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from ft_assets.corpus.chunk import passages
from ft_assets.corpus.fingerprints import (
    Fingerprints,
    Texts,
    fingerprint_pairs,
    fingerprint_texts,
    from_files,
    joined_prints,
    to_files,
)

pc: Any = pyarrow.compute  # makes its functions at import, so a type checker finds none

Row = Mapping[str, Any]

GROUP_ROWS = 4_000  # rows whose n-grams (about 1 KB each) are in memory at once

COLUMNS = {
    "key": pa.string(),
    "kind": pa.string(),  # log | annotation | correction | document
    "domain": pa.string(),
    "week": pa.string(),  # "" where the source has none
    "prompt": pa.string(),
    "response": pa.string(),
    "task": pa.string(),
    "source_file": pa.string(),
    "source_line": pa.int64(),
    "source_id": pa.string(),
    "license": pa.string(),
    "user": pa.string(),
    "conversation": pa.string(),
    "event_id": pa.string(),
    "thumb": pa.string(),
    "rating": pa.int64(),
    "regenerated": pa.bool_(),
    "corrected": pa.bool_(),  # by the user: `response` is the correction
    "access": pa.string(),
}


@dataclass(frozen=True)
class Batch:
    """`table` has COLUMNS and a row for each of `prints`, in its order."""

    table: pa.Table
    prints: Fingerprints


def log_batch(logs: pa.Table, prints: Fingerprints | None = None) -> Batch:
    """Interactions; without `prints` they are made here."""
    correction = _column(logs, "correction", pa.string())
    corrected = pc.fill_null(pc.greater(pc.utf8_length(correction), 0), False)
    response = pc.if_else(corrected, correction, _column(logs, "response", pa.string()))
    table = _table(
        logs,
        key=pc.binary_join_element_wise("log", _column(logs, "event_id", pa.string()), ":"),
        kind=pa.scalar("log"),
        response=pc.fill_null(response, ""),
        source_id=_column(logs, "event_id", pa.string()),
        corrected=corrected,
        task=pa.scalar("log"),
    )
    times = _column(logs, "ts", pa.string())
    return Batch(table, prints if prints is not None else fingerprint_rows(table, times))


def example_batch(examples: pa.Table, prints: Fingerprints | None = None) -> Batch:
    """Annotations and corrections; `timed` gives them owners and times."""
    kind, name = (_column(examples, n, pa.string()) for n in ("kind", "example_id"))
    table = _table(
        examples,
        key=pc.binary_join_element_wise(kind, name, ":"),
        source_id=name,
    )
    times = pa.array([""] * len(table))
    return Batch(table, prints if prints is not None else fingerprint_rows(table, times))


def passage_batch(
    documents: pa.Table, passage_chars: int, prints: Fingerprints | None = None
) -> Batch:
    """Passages of documents; `source_id` is the document."""
    rows, keys, prompts, texts = [], [], [], []
    columns = [_column(documents, n, pa.string()).to_pylist() for n in ("doc_id", "title", "text")]
    for row, (name, title, text) in enumerate(zip(*columns, strict=True)):
        parts = passages(text, passage_chars)
        for number, part in enumerate(parts, start=1):
            rows.append(row)
            keys.append(f"document:{name}:{number:04d}")
            prompts.append(_passage_prompt(title, number, len(parts)))
            texts.append(part)
    taken = documents.take(pa.array(rows, pa.int64()))
    table = _table(
        taken,
        key=pa.array(keys, pa.string()),
        kind=pa.scalar("document"),
        prompt=pa.array(prompts, pa.string()),
        response=pa.array(texts, pa.string()),
        source_id=_column(taken, "doc_id", pa.string()),
    )
    # The prompts differ by their numbering: passages are compared by their text.
    return Batch(table, prints or fingerprint_texts(keys, [""] * len(keys), texts))


ROWS_FILE = "rows.arrow"


def batch_files(batch: Batch) -> dict[str, bytes]:
    """A batch as files: its rows in the columns that a pool reads, and its fingerprints."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, batch.table.schema) as writer:
        writer.write_table(batch.table.combine_chunks())
    return {ROWS_FILE: sink.getvalue(), **to_files(batch.prints)}


def batch_from(read: Callable[[str], bytes]) -> Batch:
    """The batch that `batch_files` wrote; `read` gives a file by name."""
    table = pa.ipc.open_file(pa.py_buffer(read(ROWS_FILE))).read_all()
    return Batch(table, from_files(read, table_texts(table)))


def grouped(batches: Sequence[Batch]) -> list[Batch]:
    """The same rows in fewer batches: the work per batch is then small against that per row."""
    groups: list[list[Batch]] = []
    rows = GROUP_ROWS
    for batch in batches:
        if rows + len(batch.prints) > GROUP_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(batch)
        rows += len(batch.prints)
    return [_merged(group) for group in groups]


def _merged(group: list[Batch]) -> Batch:
    if len(group) == 1:
        return group[0]
    return Batch(
        pa.concat_tables([batch.table for batch in group]),
        joined_prints([batch.prints for batch in group]),
    )


def fingerprint_rows(table: pa.Table, times: pa.Array | pa.ChunkedArray) -> Fingerprints:
    found = fingerprint_pairs(
        table["key"].to_pylist(),
        times.to_pylist(),
        table["prompt"].to_pylist(),
        table["response"].to_pylist(),
    )
    return dataclasses.replace(found, texts=table_texts(table))


def table_texts(table: pa.Table) -> Texts:
    """Prompt and response of the rows of a table, read when asked for."""

    def texts(rows: np.ndarray) -> list[tuple[str, str]]:
        taken = table.select(list(TEXTS)).take(pa.array(rows))
        return list(zip(*(taken[name].to_pylist() for name in TEXTS), strict=True))

    return texts


def timed(examples: Batch, logs: Sequence[Batch]) -> Batch:
    """Examples with owner and time of the event they correct; without one they are before all."""
    events = pa.concat_arrays([_one_array(batch.table["event_id"]) for batch in logs] or [_none()])
    place = pc.index_in(_one_array(examples.table["event_id"]), value_set=events)
    place = pc.if_else(pc.is_null(examples.table["event_id"]), None, place)
    table = examples.table
    for name in ("user", "conversation"):
        of_event = pa.concat_arrays([_one_array(b.table[name]) for b in logs] or [_none()])
        at = table.column_names.index(name)
        table = table.set_column(at, name, of_event.take(place))
    times = np.concatenate([batch.prints.times for batch in logs] or [np.zeros(0, "U1")])
    chosen = place.to_numpy(zero_copy_only=False)
    known = ~np.isnan(chosen.astype(float))
    found = np.zeros(len(table), times.dtype)
    found[known] = times[chosen[known].astype(int)]
    return Batch(table, dataclasses.replace(examples.prints, times=found))


class Pool:
    """All rows of the batches. `reason` holds why a row is not used, "" while it is."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = grouped([batch for batch in batches if len(batch.prints)])
        empty = pa.table({name: pa.array([], kind) for name, kind in COLUMNS.items()})
        self.table = pa.concat_tables([empty, *(batch.table for batch in self.batches)])
        prints = [batch.prints for batch in self.batches]
        self.keys = np.concatenate([np.zeros(0, "U1"), *(p.keys for p in prints)])
        self.times = np.concatenate([np.zeros(0, "U1"), *(p.times for p in prints)])
        self.digests = np.concatenate([np.zeros(0, "S16"), *(p.digests for p in prints)])
        self.reason = np.full(len(self), "", object)
        self.group = np.full(len(self), "")  # set by who judges the rows, as are the sides
        self.side = np.zeros(len(self), np.int8)  # place in split.SIDES
        self.chars = self.numbers(pc.add(*(pc.utf8_length(self.table[n]) for n in TEXTS)))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def live(self) -> np.ndarray:
        return self.reason == ""

    def texts(self, name: str) -> np.ndarray:
        """A column of strings, "" for null."""
        column = pc.fill_null(self.table[name], "").combine_chunks()
        return column.to_numpy(zero_copy_only=False)

    def numbers(self, values: pa.ChunkedArray) -> np.ndarray:
        return values.combine_chunks().to_numpy(zero_copy_only=False)

    def drop(self, which: np.ndarray, reason: str | np.ndarray) -> None:
        """Set the reason of rows that have none."""
        now = which & self.live
        self.reason[now] = reason[now] if isinstance(reason, np.ndarray) else reason

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Drop rows by name, each for its own reason."""
        if reasons:
            found = np.array([reasons.get(key, "") for key in self.keys.tolist()], object)
            self.drop(found != "", found)

    def spans(self) -> list[tuple[Batch, slice]]:
        ends = np.cumsum([len(batch.prints) for batch in self.batches]).tolist()
        return [
            (batch, slice(end - len(batch.prints), end))
            for batch, end in zip(self.batches, ends, strict=True)
        ]

    def place_of(self, keys: np.ndarray) -> np.ndarray:
        """Per key its row. Raises ValueError when a row of the pool is missing in `keys`."""
        places = pd.Index(self.keys).get_indexer(pd.Index(keys))
        if (places < 0).any() or len(places) != len(self):
            raise ValueError(
                f"the duplicate clusters are of {len(keys)} rows, the pool has {len(self)}; "
                "materialize duplicate_clusters again"
            )
        return places


TEXTS = ("prompt", "response")


def _passage_prompt(title: str, number: int, total: int) -> str:
    return f'What does "{title}" say?' + (f" (part {number} of {total})" if total > 1 else "")


def _table(rows: pa.Table, **columns: Any) -> pa.Table:
    arrays = {}
    for name, kind in COLUMNS.items():
        column = columns.get(name)
        if isinstance(column, pa.Scalar):
            column = pa.repeat(column, rows.num_rows)
        arrays[name] = _column(rows, name, kind) if column is None else column.cast(kind)
    return pa.table(arrays)


def _column(rows: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    if name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, kind)])
    return rows[name].cast(kind)


def _one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _none() -> pa.Array:
    return pa.array([], pa.string())
