"""Tokenized rows, kept in an Arrow file that is mapped and not read, under what they depend on.

The name of the file is a digest of the corpus, the tokenizer, the chat template, the cut and what
is labelled: if any of them is another one, so is the file. A file appears whole or not at all, and
two processes that make the same one write the same bytes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

ROWS_AT_ONCE = 1024  # rows in memory while a file is written

SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("prompt_length", pa.int32()),  # tokens before the first that has a label
    ]
)
IGNORED = -100  # label of a token without a loss


@dataclass(frozen=True)
class CacheKey:
    corpus: str  # digest of the rows
    tokenizer: str  # digest of the tokenizer's files
    template: str  # digest of the text of the chat template
    max_tokens: int  # longer rows are cut
    train_on: str = "responses"

    @property
    def name(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return f"tokens-{hashlib.sha256(text.encode()).hexdigest()[:32]}.arrow"


@dataclass(frozen=True)
class TokenRow:
    row_id: str
    input_ids: list[int]
    labels: list[int]  # of the same length


def cached_tokens(
    folder: Path, key: CacheKey, tokenize: Callable[[], Iterable[TokenRow]]
) -> pa.Table:
    """Return the rows of the cache, mapped from disk; `tokenize` is called only to make it.

    Raises ValueError when a row has not as many labels as tokens; no file is left then.
    """
    file = folder / key.name
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".writing-{os.getpid()}")
        try:
            _write(part, tokenize(), key.max_tokens)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def _write(file: Path, rows: Iterable[TokenRow], max_tokens: int) -> None:
    with file.open("wb") as sink:
        with pa.ipc.new_file(sink, SCHEMA) as writer:
            for chunk in _chunks(rows):
                writer.write_batch(_batch(chunk, max_tokens))
        sink.flush()
        os.fsync(sink.fileno())


def _chunks(rows: Iterable[TokenRow]) -> Iterable[list[TokenRow]]:
    left = iter(rows)
    while chunk := list(islice(left, ROWS_AT_ONCE)):
        yield chunk


def _batch(rows: list[TokenRow], max_tokens: int) -> pa.RecordBatch:
    for row in rows:
        if len(row.input_ids) != len(row.labels):
            raise ValueError(
                f"row {row.row_id}: {len(row.input_ids)} tokens but {len(row.labels)} labels"
            )
    return pa.record_batch(
        [
            [row.row_id for row in rows],
            [row.input_ids[:max_tokens] for row in rows],
            [row.labels[:max_tokens] for row in rows],
            [_prompt_length(row.labels[:max_tokens]) for row in rows],
        ],
        schema=SCHEMA,
    )


def _prompt_length(labels: list[int]) -> int:
    labelled = np.flatnonzero(np.array(labels) != IGNORED)
    return int(labelled[0]) if len(labelled) else len(labels)
