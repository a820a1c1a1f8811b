"""The `Range` header: one range of bytes, as object readers ask for it."""

import re

from ft_resources.lakefs.server.errors import RangeNotSatisfiable

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, stop) with stop exclusive; None for the whole object.

    Several ranges and malformed ones are refused like those beyond the end: a reader that asks for
    zero bytes sends `bytes=5-4`, and must get none rather than all.
    """
    if header is None:
        return None
    match = RANGE.fullmatch(header.strip())
    first, last = match.groups() if match else ("", "")
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(size - int(last), 0) if last else size, size
    if start >= stop:
        raise RangeNotSatisfiable(size)
    return start, stop
