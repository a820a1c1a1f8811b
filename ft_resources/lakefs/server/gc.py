"""Garbage collection: contents and rows that nothing names any more.

Mark: the objects of every commit that retention keeps (retention.py), and everything staged, in all
repositories of the folder. Sweep: contents that nobody marked and that are older than the grace
period; expired commits that no ref leads to, with the trees and records that only they name.

It is a process of its own and may run beside the server. It marks without stopping anybody; then it
holds every repository's write lock, marks what was added meanwhile, and removes. A content that was
uploaded and is not staged yet is protected by the grace period alone.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ft_resources.lakefs.server import retention
from ft_resources.lakefs.server.blobs import NAMES_LOCK
from ft_resources.lakefs.server.commits import NS
from ft_resources.lakefs.server.durable import locked
from ft_resources.lakefs.server.entries import decode
from ft_resources.lakefs.server.keys import LEAF_BYTE
from ft_resources.lakefs.server.repositories import FILES_LOCK
from ft_resources.lakefs.server.store import (
    SCHEMA_VERSION,
    Repository,
    Session,
    schema_version,
)

GRACE_SECONDS = 3600
# Above what a writer waits for a lock, with an upload that is written but not staged.
MIN_GRACE_SECONDS = 60
SWEPT_AT_ONCE = 10_000  # contents removed while writers wait
ID_BYTES = 20


@dataclass
class Report:
    repositories: int = 0
    contents_kept: int = 0
    contents: int = 0  # removed, or to be removed
    content_bytes: int = 0
    recent: int = 0  # unnamed, and kept by the grace period
    commits: int = 0
    trees: int = 0
    records: int = 0


@dataclass
class _Marks:
    """What one repository names. Only ever grows, so a second pass walks what is new."""

    trees: set[bytes] = field(default_factory=set)  # of commits that keep their contents
    records: set[bytes] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)


def collect(
    root: Path, apply: bool, grace_s: float = GRACE_SECONDS, now: float | None = None
) -> Report:
    """Say what is garbage, and with `apply` remove it.

    Raises FileNotFoundError where no server has ever run, and ValueError for a grace period that
    would endanger uploads or a repository of another version.
    """
    if grace_s < MIN_GRACE_SECONDS:
        raise ValueError(f"the grace period must be at least {MIN_GRACE_SECONDS} s, got {grace_s}")
    if not (root / "blobs").is_dir():
        raise FileNotFoundError(f"{root} is not the folder of a lakeFS server")
    now = time.time() if now is None else now
    with locked(root / FILES_LOCK), contextlib.ExitStack() as opened:
        repositories = [Repository(file) for file in _files(root)]
        for repository in repositories:
            opened.callback(repository.close)
        return _collect(root, repositories, apply, now, now - grace_s)


def _files(root: Path) -> list[Path]:
    found = []
    for file in sorted(root.glob("*.sqlite")):
        version = schema_version(file)
        if version == 0:
            continue  # being created: it names nothing yet
        if version != SCHEMA_VERSION:
            raise ValueError(
                f"{file} has format {version}, this version reads {SCHEMA_VERSION}; start the "
                "server once, or use the version that wrote it"
            )
        found.append(file)
    return found


def _collect(
    root: Path, repositories: list[Repository], apply: bool, now: float, cutoff: float
) -> Report:
    marks = [_Marks() for _ in repositories]
    report = Report(repositories=len(repositories))
    for repository, found in zip(repositories, marks, strict=True):
        with repository.read() as session:
            expired = retention.retained(session, int(now * NS)).unreachable
            _mark(session, found, now)
            if not apply:
                _count(report, expired, _only_theirs(session, expired))
    garbage = _unnamed(root, marks, cutoff, report)
    if not apply:
        return report
    report.contents = report.content_bytes = 0  # from here on what is removed
    while True:
        part, garbage = garbage[:SWEPT_AT_ONCE], garbage[SWEPT_AT_ONCE:]
        with contextlib.ExitStack() as writing:
            for repository, found in zip(repositories, marks, strict=True):
                session = writing.enter_context(repository.write())
                _mark(session, found, now)
                expired = retention.retained(session, int(now * NS)).unreachable
                rows = _only_theirs(session, expired)
                _delete(session, expired, rows)
                _count(report, expired, rows)
            _sweep(root, part, marks, cutoff, report)
        if not garbage:
            return report


def _mark(session: Session, marks: _Marks, now: float) -> None:
    for commit in retention.retained(session, int(now * NS)).contents:
        records = _walk(session, commit.tree, marks.trees) - marks.records
        marks.records |= records
        marks.addresses |= {entry.address for entry in session.entries(records).values()}
    staged = session.db.execute("SELECT data FROM staged WHERE data IS NOT NULL")
    marks.addresses |= {decode(data).address for (data,) in staged}


def _walk(session: Session, tree: bytes, seen: set[bytes]) -> set[bytes]:
    """Ids of the records below a tree, without those below trees in `seen`, which grows."""
    records, todo = set(), [tree]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        row = session.db.execute("SELECT data FROM tree WHERE id = ?", (current,)).fetchone()
        # libgit2 knows the empty tree without being told, and never stores it.
        for name, node in _nodes(row[0]) if row else ():
            if name.endswith(LEAF_BYTE):
                records.add(node)
            else:
                todo.append(node)
    return records


def _nodes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, id) of a git tree: `mode name NUL id` one after the other."""
    at = 0
    while at < len(data):
        blank = data.index(b" ", at)
        end = data.index(b"\0", blank)
        yield data[blank + 1 : end], data[end + 1 : end + 1 + ID_BYTES]
        at = end + 1 + ID_BYTES


class _Rows(NamedTuple):
    trees: list[bytes]
    records: list[bytes]


def _only_theirs(session: Session, expired: list[str]) -> _Rows:
    """The trees and records that no commit but the expired ones names."""
    if not expired:
        return _Rows([], [])
    trees: set[bytes] = set()
    records: set[bytes] = set()
    gone = set(expired)
    for commit_id, tree in session.db.execute("SELECT id, tree FROM history").fetchall():
        if commit_id not in gone:
            records |= _walk(session, tree, trees)
    return _Rows(_others(session, "tree", trees), _others(session, "record", records))


def _others(session: Session, table: str, named: set[bytes]) -> list[bytes]:
    ids = session.db.execute(f"SELECT id FROM {table}")  # noqa: S608 (our own words)
    return [one for (one,) in ids if one not in named]


def _delete(session: Session, commits: list[str], rows: _Rows) -> None:
    for table, ids in (("history", commits), ("tree", rows.trees), ("record", rows.records)):
        query = f"DELETE FROM {table} WHERE id = ?"  # noqa: S608 (our own words)
        session.db.executemany(query, [(one,) for one in ids])


def _count(report: Report, commits: list[str], rows: _Rows) -> None:
    report.commits += len(commits)
    report.trees += len(rows.trees)
    report.records += len(rows.records)


def _unnamed(root: Path, marks: list[_Marks], cutoff: float, report: Report) -> list[Path]:
    found = []
    for file in _contents(root):
        if _is_named(file.name, marks):
            report.contents_kept += 1
            continue
        status = file.stat()
        if status.st_mtime >= cutoff:
            report.recent += 1
        else:
            found.append(file)
            report.contents += 1
            report.content_bytes += status.st_size
    return found


def _contents(root: Path) -> Iterator[Path]:
    for folder in sorted((root / "blobs").glob("[0-9a-f][0-9a-f]")):
        with os.scandir(folder) as files:
            yield from sorted(Path(file.path) for file in files)


def _is_named(address: str, marks: list[_Marks]) -> bool:
    return any(address in found.addresses for found in marks)


def _sweep(
    root: Path, files: list[Path], marks: list[_Marks], cutoff: float, report: Report
) -> None:
    """Remove contents that are still unnamed and old. Nobody can stage one meanwhile."""
    with locked(root / "blobs" / NAMES_LOCK):
        for file in files:
            status = file.stat()
            if not _is_named(file.name, marks) and status.st_mtime < cutoff:
                file.unlink()
                report.contents += 1
                report.content_bytes += status.st_size
