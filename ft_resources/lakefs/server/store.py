"""One repository in one SQLite file: trees, records, commits, refs and staging together.

A commit is objects + branch + staging in one transaction, so a process killed at any moment leaves
either all of it or nothing. WAL with synchronous=FULL: what was answered is on disk.

Git trees come from libgit2 through an object backend that reads and writes this file. Records of
objects bypass libgit2: written in bulk, read with one SELECT. Commits are rows, since git has no
metadata map and only whole seconds. Never run `git gc` here: git knows none of the refs.

A session (connection + libgit2 repository) belongs to one thread at a time. Readers run side by
side; writers take turns within the process, and SQLite's own lock keeps a second process out.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import ObjectType, Option

from ft_resources.lakefs.server.entries import Entry, decode, encode, record_id
from ft_resources.lakefs.server.errors import Busy, NotFound

SCHEMA_VERSION = 2
BUSY_SECONDS = 30
IDS_PER_SELECT = 500  # below SQLite's limit of variables
SCHEMA = """
CREATE TABLE tree (id BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE record (id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
  id TEXT PRIMARY KEY, tree BLOB NOT NULL, created_ns INTEGER NOT NULL,
  generation INTEGER NOT NULL, payload TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE branch (
  name TEXT PRIMARY KEY, head TEXT NOT NULL, hidden INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tag (name TEXT PRIMARY KEY, target TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE staged (
  branch TEXT NOT NULL, key BLOB NOT NULL, data BLOB,
  PRIMARY KEY (branch, key)) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# Since version 2: what hooks did (runs.py).
RUNS_SCHEMA = """
CREATE TABLE run (
  id TEXT PRIMARY KEY, branch TEXT NOT NULL, event TEXT NOT NULL, commit_id TEXT NOT NULL,
  started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, passed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE hook_run (
  run TEXT NOT NULL, id TEXT NOT NULL, action TEXT NOT NULL, hook TEXT NOT NULL,
  started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, passed INTEGER NOT NULL,
  output TEXT NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;
"""

# libgit2 would look up every record that a tree names; records are not its objects.
pygit2.option(Option.ENABLE_STRICT_OBJECT_CREATION, False)
# By default trees above 4 kB are parsed anew for every look-up: 1.9 ms in a folder of 10,000.
pygit2.option(Option.SET_CACHE_OBJECT_LIMIT, ObjectType.TREE, 8 * 1024 * 1024)


class _TreeBackend(pygit2.OdbBackend):
    """libgit2's view of the table `tree`. KeyError is how a backend says "not here"."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__()
        self._db = db

    def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        row = self._db.execute("SELECT data FROM tree WHERE id = ?", (oid.raw,)).fetchone()
        if row is None:
            raise KeyError(str(oid))
        return ObjectType.TREE, row[0]

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        kind, data = self.read_cb(oid)
        return kind, len(data)

    def write_cb(self, oid: pygit2.Oid, data: bytes, kind: int) -> None:
        self._db.execute("INSERT OR IGNORE INTO tree VALUES (?, ?)", (oid.raw, bytes(data)))

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        query = "SELECT 1 FROM tree WHERE id = ?"
        return self._db.execute(query, (oid.raw,)).fetchone() is not None

    def read_prefix_cb(self, oid: pygit2.Oid) -> tuple[int, bytes, pygit2.Oid]:
        raise KeyError(str(oid))

    def exists_prefix_cb(self, oid: pygit2.Oid) -> pygit2.Oid:
        raise KeyError(str(oid))

    def refresh_cb(self) -> None:
        """Nothing is cached here."""

    def __iter__(self) -> Any:
        return iter(())


class Session:
    """One open view of a repository, inside a transaction."""

    def __init__(self, file: Path) -> None:
        self.db = sqlite3.connect(
            file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self._backend = _TreeBackend(self.db)  # libgit2 keeps no reference of its own
        odb = pygit2.Odb()
        odb.add_backend(self._backend, 1)
        self.git: Any = pygit2.Repository()
        self.git.set_odb(odb)

    def close(self) -> None:
        self.db.close()

    def add_records(self, records: Iterable[bytes]) -> list[bytes]:
        """Store encoded entries; their ids in the same order."""
        rows = [(record_id(record), record) for record in records]
        self.db.executemany("INSERT OR IGNORE INTO record VALUES (?, ?)", rows)
        return [row[0] for row in rows]

    def add_entry(self, entry: Entry) -> bytes:
        return self.add_records([encode(entry)])[0]

    def entries(self, ids: Iterable[bytes]) -> dict[bytes, Entry]:
        wanted = list(dict.fromkeys(ids))
        found: dict[bytes, Entry] = {}
        for start in range(0, len(wanted), IDS_PER_SELECT):
            part = wanted[start : start + IDS_PER_SELECT]
            marks = ",".join("?" * len(part))
            query = f"SELECT id, data FROM record WHERE id IN ({marks})"  # noqa: S608 (only marks)
            found.update((row[0], decode(row[1])) for row in self.db.execute(query, part))
        return found

    def setting(self, name: str) -> Any:
        """A stored JSON value, None when it was never set."""
        row = self.db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_setting(self, name: str, value: object) -> None:
        self.db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def drop_setting(self, name: str) -> None:
        self.db.execute("DELETE FROM setting WHERE name = ?", (name,))


class Repository:
    """Sessions on one file, handed out to readers and to one writer at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._idle: list[Session] = []
        self._in_use = 0
        self._closed = False
        self._changed = threading.Condition()
        self._writer = threading.Lock()
        self._held: set[str] = set()  # branches that hooks are looking at

    @contextlib.contextmanager
    def read(self) -> Generator[Session]:
        """A view of one moment: commits that land meanwhile are not seen."""
        with self._session() as session:
            session.db.execute("BEGIN")
            try:
                yield session
            finally:
                session.db.execute("ROLLBACK")

    @contextlib.contextmanager
    def write(self, branch: str | None = None) -> Generator[Session]:
        """All or nothing; durable when it returns. Raises Busy when the branch is held."""
        with self._writer, self._session() as session:
            self._check_free(branch)
            session.db.execute("BEGIN IMMEDIATE")
            try:
                yield session
                session.db.execute("COMMIT")
            finally:
                # A full disk makes SQLite roll back by itself, or fails the COMMIT alone.
                if session.db.in_transaction:
                    session.db.execute("ROLLBACK")

    @contextlib.contextmanager
    def hold(self, branch: str) -> Generator[None]:
        """Refuse `write(branch)`, while reads go on. The holder uses `write()`.

        Refused and not made to wait: a hook that writes to its own branch would wait for itself.
        """
        with self._writer:
            self._check_free(branch)
            self._held.add(branch)
        try:
            yield
        finally:
            self._held.discard(branch)

    def _check_free(self, branch: str | None) -> None:
        if branch and branch in self._held:
            raise Busy(f"branch {branch!r} is currently locked: its hooks are running; try again")

    def close(self) -> None:
        """Wait for running reads and writes, then let nobody in again.

        SQLite removes `-wal` by name when the last connection closes; one that outlived its file
        would take the log of a new repository of the same name.
        """
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._in_use == 0)
            while self._idle:
                self._idle.pop().close()

    @contextlib.contextmanager
    def _session(self) -> Generator[Session]:
        with self._changed:
            if self._closed:
                raise NotFound(f"repository {self._file.stem} was deleted")
            self._in_use += 1
            session = self._idle.pop() if self._idle else None
        try:
            session = session or Session(self._file)
            yield session
        finally:
            with self._changed:
                self._in_use -= 1
                if session is not None:
                    self._idle.append(session)
                self._changed.notify_all()


def create_schema(session: Session) -> None:
    for statement in (SCHEMA + RUNS_SCHEMA).split(";"):
        session.db.execute(statement)
    session.db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def upgrade(session: Session) -> None:
    """From version 1 to 2, which only adds."""
    for statement in RUNS_SCHEMA.split(";"):
        session.db.execute(statement)
    session.db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def schema_version(file: Path) -> int:
    """0 for a file whose creation never finished."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]
