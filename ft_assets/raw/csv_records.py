"""Records of a CSV file, one after the other, whatever is wrong with some of them.

The first record names the columns. A quote that is never closed would swallow the rest of the file:
a record of several lines that is no valid one loses its first line alone, and reading goes on with
the second.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator

from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import BOM, KEPT_OF_TOO_LONG, Line, pieces

DELIMITERS = ",;\t|"
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of such bytes
MAX_CELL_CHARS = 2**31 - 1  # the module's own limit is 128 KiB; records are bounded here


class _TooLong(Exception):
    """The record has not ended within the limit."""


def read_csv(stream: io.BufferedIOBase, max_line_bytes: int) -> Iterator[Line]:
    """Records as fields of text; an empty cell is "". Numbers are those of the first line of each.

    A header that cannot be read, or names a column twice, gives one line marked unreadable.
    """
    lines = _Lines(stream, max_line_bytes)
    delimiter = _delimiter(lines.peek())
    header = None
    for number, data, cells in _records(lines, delimiter):
        if header is None:
            if isinstance(cells, Reason) or not _is_header(cells):
                yield Line(number, data[:KEPT_OF_TOO_LONG], Reason.UNREADABLE_FILE)
                return
            header = [cell.strip() for cell in cells]
        elif isinstance(cells, Reason):
            yield Line(number, data, cells)
        elif len(cells) != len(header):
            yield Line(number, data, Reason.COLUMN_COUNT)
        else:
            yield Line(number, b"", None, dict(zip(header, cells, strict=True)))


def _is_header(cells: list[str]) -> bool:
    names = [cell.strip() for cell in cells]
    return all(names) and len(set(names)) == len(names)


class _Lines:
    """Physical lines of the stream that can be put back; too long ones are cut and marked."""

    def __init__(self, stream: io.BufferedIOBase, max_line_bytes: int) -> None:
        self.limit = max_line_bytes
        self._pieces = pieces(stream, max_line_bytes)
        self._back: deque[tuple[int, bytes, bool]] = deque()
        self._number = 0

    def take(self) -> tuple[int, bytes, bool] | None:
        """Number, bytes without line end, whether it is longer than the limit."""
        if self._back:
            return self._back.popleft()
        piece = next(self._pieces, None)
        if piece is None:
            return None
        self._number += 1
        data = piece.data.removeprefix(BOM) if self._number == 1 else piece.data
        return self._number, data, piece.too_long

    def put_back(self, lines: list[tuple[int, bytes, bool]]) -> None:
        self._back.extendleft(reversed(lines))

    def peek(self) -> bytes:
        first = self.take()
        if first is None:
            return b""
        self.put_back([first])
        return first[1]


def _delimiter(header: bytes) -> str:
    """The sign that cuts the first line into most columns; a comma when none does."""
    text = header.decode("utf-8", "replace")
    columns = {sign: len(next(csv.reader([text], delimiter=sign), [])) for sign in DELIMITERS}
    return max(DELIMITERS, key=lambda sign: columns[sign])


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, bytes, list[str] | Reason]]:
    """Number, bytes and cells of each record, or what is wrong with it. Blank lines are none."""
    csv.field_size_limit(MAX_CELL_CHARS)
    while True:
        used: list[tuple[int, bytes, bool]] = []
        reader = csv.reader(_texts(lines, used), delimiter=delimiter, strict=True)
        problem = None
        try:
            cells = next(reader, None)
        except csv.Error:
            cells, problem = [], Reason.NOT_CSV
        except _TooLong:
            cells, problem = [], Reason.LINE_TOO_LONG
        if cells is None:
            return
        number, first, _ = used[0]
        if problem:
            if len(used) > 1:
                problem = Reason.NOT_CSV
                lines.put_back(used[1:])
            kept = first if problem is Reason.NOT_CSV else first[:KEPT_OF_TOO_LONG]
            yield number, kept, problem
            continue
        data = b"\n".join(line for _, line, _ in used)
        if not data.strip():
            continue
        if not data.isascii() and any(map(_NOT_UTF8.search, cells)):
            yield number, data, Reason.NOT_UTF8
        else:
            yield number, data, cells


def _texts(lines: _Lines, used: list[tuple[int, bytes, bool]]) -> Iterator[str]:
    """Lines for one record, noted in `used`. Bytes that are no UTF-8 become lone surrogates."""
    length = 0
    while (line := lines.take()) is not None:
        used.append(line)
        length += len(line[1]) + 1
        if line[2] or length > lines.limit + 1:
            raise _TooLong
        yield line[1].decode("utf-8", "surrogateescape") + "\n"
