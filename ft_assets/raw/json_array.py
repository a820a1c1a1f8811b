"""Elements of a JSON array, read as a stream: cut apart here, parsed by whoever wants them.

An element that is broken inside does not end the reading: a string ends at the line's end at the
latest (JSON has no line feed in strings), so a forgotten quote spoils the elements of its line.
"""

import io
import re
from collections.abc import Iterator

from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import BOM, KEPT_OF_TOO_LONG, Line

BLOCK = 2**20
_STRING = rb'"[^"\\\n]*"|"'  # without escapes at once, which most are
_OUTSIDE = re.compile(_STRING + rb"|[\[\]{},]")
_DEEP = re.compile(_STRING + rb"|[\[\]{}]")  # within an element
_INSIDE = re.compile(rb'[\n"]|\\.', re.DOTALL)


def read_array(stream: io.BufferedIOBase, max_line_bytes: int) -> Iterator[Line]:
    """Elements as lines, numbered from 1. An array that does not end, and what follows its end, are
    a line each; a file that is no array is one element.
    """
    first = stream.read(BLOCK).removeprefix(BOM).lstrip()
    if first[:1] != b"[":
        data = first + stream.read(max(0, max_line_bytes + 1 - len(first)))
        too_long = len(data) > max_line_bytes
        kept = data[:KEPT_OF_TOO_LONG] if too_long else data.rstrip()
        if kept:
            yield Line(1, kept, Reason.LINE_TOO_LONG if too_long else None)
        return
    elements = _elements(first, stream, max_line_bytes)
    for number, (data, length, problem) in enumerate(elements, start=1):
        if length > max_line_bytes:
            yield Line(number, data[:KEPT_OF_TOO_LONG], Reason.LINE_TOO_LONG)
        else:
            yield Line(number, data.strip(), problem)


def _elements(
    first: bytes, stream: io.BufferedIOBase, max_bytes: int
) -> Iterator[tuple[bytes, int, Reason | None]]:
    """Bytes (at most one more than the limit), length in the stream, and a problem if there is."""
    buffer, at = first, 1  # 1: behind the bracket
    begin = at  # of what is not in `kept` yet
    kept, length = bytearray(), 0
    depth, inside, any_yet = 0, False, False

    def keep(part: bytes) -> None:
        nonlocal length
        length += len(part)
        kept.extend(part[: max_bytes + 1 - len(kept)])

    while True:
        match = (_INSIDE if inside else _DEEP if depth else _OUTSIDE).search(buffer, at)
        if match is None:
            # An escape may be cut in two by the end of the block.
            end = len(buffer) - (inside and buffer.endswith(b"\\"))
            keep(buffer[begin:end])
            block = stream.read(BLOCK)
            if not block:
                yield bytes(kept), length, Reason.UNREADABLE_FILE
                return
            buffer, at, begin = buffer[end:] + block, 0, 0
            continue
        sign, at = match[0], match.end()
        if inside:
            inside = sign not in (b'"', b"\n")
        elif sign[:1] == b'"':
            inside = len(sign) == 1  # else it is a whole string
        elif sign in b"[{":
            depth += 1
        elif depth:
            depth -= 1
        elif sign in b",]":
            keep(buffer[begin : match.start()])
            if sign == b"," or any_yet or kept.strip():
                yield bytes(kept), length, None
            kept, length, any_yet, begin = bytearray(), 0, True, at
            if sign == b"]":
                break
    rest = buffer[at:].strip() or stream.read(BLOCK).strip()
    if rest:
        yield rest[:KEPT_OF_TOO_LONG], 0, Reason.NOT_JSON
