"""Tokenized rows, kept in an Arrow file that is mapped and not read, under what they depend on.

The name of the file is a digest of the corpus, the tokenizer, the chat template and of which rows
were read: if any of them is another one, so is the file. A file appears whole or not at all, and
two processes that make the same one write the same bytes. The folder of a domain holds the tokens
of one corpus: those of an earlier one go when a later one is written, with the rows of whoever was
erased in between.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

ROWS_AT_ONCE = 1024  # rows in memory while a file is written

SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),  # -100 where no loss is taken
    ]
)


@dataclass(frozen=True)
class CacheKey:
    corpus: str  # digest of the rows
    tokenizer: str  # digest of the tokenizer
    template: str  # digest of the text of the chat template
    split: str
    train_on: str  # responses | all
    seed: int  # of the order of the rows
    tokens: int  # at least so many are there, or all

    @property
    def name(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return f"{self._corpus_name}-{digest[:32]}.arrow"

    @property
    def _corpus_name(self) -> str:
        return f"tokens-{hashlib.sha256(self.corpus.encode()).hexdigest()[:16]}"

    def is_of_another_corpus(self, file: Path) -> bool:
        return not file.name.startswith(f"{self._corpus_name}-")


TokenRow = tuple[list[int], list[int]]  # ids and labels, of the same length


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
            _write(part, tokenize())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        for other in folder.glob("tokens-*"):
            if key.is_of_another_corpus(other):
                other.unlink(missing_ok=True)
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def _write(file: Path, rows: Iterable[TokenRow]) -> None:
    left = enumerate(rows)
    with file.open("wb") as sink:
        with pa.ipc.new_file(sink, SCHEMA) as writer:
            while chunk := list(islice(left, ROWS_AT_ONCE)):
                writer.write_batch(_batch(chunk))
        sink.flush()
        os.fsync(sink.fileno())


def _batch(rows: list[tuple[int, TokenRow]]) -> pa.RecordBatch:
    for number, (ids, labels) in rows:
        if len(ids) != len(labels):
            raise ValueError(f"row {number}: {len(ids)} tokens but {len(labels)} labels")
    columns = zip(*(row for _, row in rows), strict=True)
    return pa.record_batch(list(map(list, columns)), schema=SCHEMA)
