"""Rows of Parquet and Arrow files, a batch at a time, with the values that JSON has.

A null, and NaN, which is how pandas writes one, is a field that is not there. Times keep their zone
and get none; whole decimals are integers; what JSON has no word for is left as it is, and refused.
"""

import io
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import KEPT_OF_TOO_LONG, Line

BATCH_ROWS = 256


def read_parquet(stream: io.BufferedIOBase, max_line_bytes: int) -> Iterator[Line]:
    """Pages are read as they are needed. A file that is no Parquet is one unreadable line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(stream, pre_buffer=False, buffer_size=2**16) as file:
            yield from file.iter_batches(BATCH_ROWS)

    return _lines(batches(), max_line_bytes)


def read_arrow(stream: io.BufferedIOBase, max_line_bytes: int) -> Iterator[Line]:
    """Arrow's file format and its stream format, which `datasets` writes."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        magic = stream.read(6)
        stream.seek(0)
        if magic == b"ARROW1":
            with pa.ipc.open_file(stream) as file:
                for index in range(file.num_record_batches):
                    yield from _slices(file.get_batch(index))
        else:
            with pa.ipc.open_stream(stream) as file:
                for batch in file:
                    yield from _slices(batch)

    return _lines(batches(), max_line_bytes)


def _slices(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _lines(batches: Iterator[Any], max_line_bytes: int) -> Iterator[Line]:
    import pyarrow as pa

    number = 0
    try:
        for batch in batches:
            for row in _rows(batch):
                number += 1
                if row is None:
                    yield Line(number, b"", Reason.NOT_UTF8)
                else:
                    yield table_line(number, row, max_line_bytes)
    except (pa.ArrowException, OSError, KeyError):
        yield Line(number + 1, b"", Reason.UNREADABLE_FILE)


def _rows(batch: Any) -> Iterator[dict[str, Any] | None]:
    """None for a row with a text that is no UTF-8."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="strict")
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield from batch.slice(index, 1).to_pylist(maps_as_pydicts="strict")
            except UnicodeDecodeError:
                yield None


def table_line(number: int, row: dict[str, Any], max_line_bytes: int) -> Line:
    """A row of a table as a line: without its nulls, refused when its texts exceed the limit."""
    fields = {name: plain(value) for name, value in row.items()}
    if sum(map(_text_length, fields.values())) > max_line_bytes:
        shown = repr(fields)[:KEPT_OF_TOO_LONG].encode("utf-8", "backslashreplace")
        return Line(number, shown, Reason.LINE_TOO_LONG)
    return Line(number, b"", None, {k: value for k, value in fields.items() if value is not None})


def plain(value: Any) -> Any:
    """A cell as JSON has it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        if value.is_nan():
            return None
        return int(value) if value.is_finite() and value == int(value) else float(value)
    if isinstance(value, UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | memoryview):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return bytes(value)
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _text_length(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(len(name) + _text_length(item) for name, item in value.items())
    if isinstance(value, list):
        return sum(map(_text_length, value))
    return 8
