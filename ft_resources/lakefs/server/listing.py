"""Pages of a sorted key space, with keys grouped at a delimiter.

Objects and groups come in one list in byte order. After a group the walk is started anew behind it,
so listing a folder costs what it shows, not what lies below it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ft_resources.lakefs.server.keys import after_prefix

T = TypeVar("T")
Walk = Callable[[bytes], Iterator[tuple[bytes, T]]]  # from a start key on, in byte order


@dataclass(frozen=True)
class Query:
    prefix: bytes
    after: bytes  # exclusive; b"" for the beginning
    delimiter: bytes  # b"" for none
    amount: int


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows of (key, value); value None marks a group, whose key ends with the delimiter."""

    rows: list[tuple[bytes, T | None]]
    has_more: bool


def list_page(walk: Walk[T], query: Query) -> Page[T]:
    rows: list[tuple[bytes, T | None]] = []
    start: bytes | None = max(query.prefix, query.after + b"\0" if query.after else b"")
    while start is not None:
        resume = None
        for key, value in walk(start):
            if not key.startswith(query.prefix):
                break
            group = _group(key, query)
            if group is None or group > query.after:
                if len(rows) == query.amount:
                    return Page(rows, has_more=True)
                rows.append((key, value) if group is None else (group, None))
            if group is not None:
                resume = after_prefix(group)
                break
        start = resume
    return Page(rows, has_more=False)


def _group(key: bytes, query: Query) -> bytes | None:
    if not query.delimiter:
        return None
    at = key.find(query.delimiter, len(query.prefix))
    return None if at < 0 else key[: at + len(query.delimiter)]


def walk_sorted(rows: Sequence[tuple[bytes, T]]) -> Walk[T]:
    """A walk over rows in memory, sorted by key."""
    keys = [row[0] for row in rows]
    return lambda start: iter(rows[bisect_left(keys, start) :])
