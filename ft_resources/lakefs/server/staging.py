"""Uncommitted changes of a branch, on top of its head.

Staging belongs to the branch, so all writers of a branch share it. Only real changes are kept: an
upload equal to the committed object is dropped, and so is the removal of an object that the head
does not have. So "nothing staged" and "no changes" are the same, and every staged row is a change.
"""

from collections.abc import Iterator

from ft_resources.lakefs.server import trees
from ft_resources.lakefs.server.commits import Commit
from ft_resources.lakefs.server.entries import Entry, decode, encode
from ft_resources.lakefs.server.errors import NotFound
from ft_resources.lakefs.server.keys import after_prefix
from ft_resources.lakefs.server.refs import Place
from ft_resources.lakefs.server.store import Session

UPSERT = "INSERT OR REPLACE INTO staged VALUES (?, ?, ?)"
IDS_AT_ONCE = 200


def put(session: Session, branch: str, head: Commit, key: bytes, entry: Entry) -> Entry:
    """Stage an object; the entry now read at the key."""
    committed = _committed(session, head.tree, key)
    if committed is not None and committed.identity == entry.identity:
        unstage(session, branch, key)
        return committed
    session.db.execute(UPSERT, (branch, key, encode(entry)))
    return entry


def remove(session: Session, branch: str, head: Commit, key: bytes) -> None:
    """Stage a removal; no effect when there is no such object."""
    if trees.find(session, head.tree, key) is None:
        unstage(session, branch, key)
    else:
        session.db.execute(UPSERT, (branch, key, None))


def unstage(session: Session, branch: str, key: bytes) -> None:
    session.db.execute("DELETE FROM staged WHERE branch = ? AND key = ?", (branch, key))


def unstage_prefix(session: Session, branch: str, prefix: bytes) -> None:
    stop = after_prefix(prefix)
    session.db.execute(
        "DELETE FROM staged WHERE branch = ? AND key >= ? AND (? IS NULL OR key < ?)",
        (branch, prefix, stop, stop),
    )


def is_clean(session: Session, branch: str) -> bool:
    query = "SELECT 1 FROM staged WHERE branch = ? LIMIT 1"
    return session.db.execute(query, (branch,)).fetchone() is None


def changes(session: Session, branch: str, prefix: bytes = b"") -> list[tuple[bytes, Entry | None]]:
    """(key, entry) in key order; None for a removal."""
    return [
        (key, None if data is None else decode(data))
        for key, data in _rows(session, branch, prefix, after_prefix(prefix))
    ]


def take(session: Session, branch: str) -> dict[bytes, bytes | None]:
    """Store the staged entries as records and clear the staging area; key -> record id."""
    rows = list(_rows(session, branch, b"", None))
    ids = iter(session.add_records(data for _, data in rows if data is not None))
    session.db.execute("DELETE FROM staged WHERE branch = ?", (branch,))
    return {key: None if data is None else next(ids) for key, data in rows}


def find(session: Session, place: Place, key: bytes) -> Entry | None:
    """The object a reader of `place` sees at a key."""
    if place.staged_on is not None:
        query = "SELECT data FROM staged WHERE branch = ? AND key = ?"
        row = session.db.execute(query, (place.staged_on, key)).fetchone()
        if row is not None:
            return None if row[0] is None else decode(row[0])
    return _committed(session, place.commit.tree, key)


def get(session: Session, place: Place, key: bytes) -> Entry:
    entry = find(session, place, key)
    if entry is None:
        raise NotFound(f"no object at {key.decode()!r}")
    return entry


def walk(
    session: Session, place: Place, start: bytes, stop: bytes | None
) -> Iterator[tuple[bytes, Entry]]:
    """(key, entry) from start on as a reader of `place` sees them; staged keys end before stop."""
    committed = _with_entries(session, trees.walk(session, place.commit.tree, start))
    if place.staged_on is None:
        return committed
    return _overlay(committed, _rows(session, place.staged_on, start, stop))


def _overlay(
    committed: Iterator[tuple[bytes, Entry]], staged: Iterator[tuple[bytes, bytes | None]]
) -> Iterator[tuple[bytes, Entry]]:
    below, above = next(committed, None), next(staged, None)
    while below is not None or above is not None:
        if above is None or (below is not None and below[0] < above[0]):
            assert below is not None  # noqa: S101 (for the type checker; the loop says so)
            yield below
            below = next(committed, None)
            continue
        if below is not None and below[0] == above[0]:
            below = next(committed, None)
        if above[1] is not None:
            yield above[0], decode(above[1])
        above = next(staged, None)


def _with_entries(
    session: Session, keys: Iterator[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, Entry]]:
    """Read the records in growing batches: a listing with groups looks at one key at a time."""
    size = 1
    while batch := [pair for _, pair in zip(range(size), keys, strict=False)]:
        entries = session.entries(record for _, record in batch)
        yield from ((key, entries[record]) for key, record in batch)
        size = min(size * 4, IDS_AT_ONCE)


def _rows(
    session: Session, branch: str, start: bytes, stop: bytes | None
) -> Iterator[tuple[bytes, bytes | None]]:
    return session.db.execute(
        "SELECT key, data FROM staged WHERE branch = ? AND key >= ? AND (? IS NULL OR key < ?)"
        " ORDER BY key",
        (branch, start, stop, stop),
    )


def _committed(session: Session, tree: bytes, key: bytes) -> Entry | None:
    record = trees.find(session, tree, key)
    return None if record is None else session.entries([record])[record]
