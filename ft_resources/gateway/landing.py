"""Interactions to the landing zone: durable before they are acknowledged, findable for feedback.

One thread writes. It takes what has gathered meanwhile, appends it, calls fsync once per file, and
only then reports success: a synced append alone costs 5 ms, sixty in a group hardly more.
A line is never changed. Feedback appends the whole row again with its fields filled in and a
feedback_seq that has grown: by one, or to the order that the client gave. So the last row of an
event_id is the current one, and a report of an older order undoes nothing. Which row that
is, an index says (id, file, offset: no text); it is made from the files, so it may lag after a
crash and catches up at the next start.
A line that a crash cut short is closed by a newline, so that the next one stays readable.
"""

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ft_resources.gateway.durable import sync_folder

ENCODE = msgspec.json.Encoder().encode
MAX_GROUP = 256  # rows of one fsync
# What a row holds of people's reactions; rows of earlier versions lack the later ones.
FEEDBACK = (
    *("thumb", "rating", "correction", "comment", "edit_share"),
    *("regenerated", "clicked", "copied", "abandoned"),
)
FIELDS = frozenset(
    {"event_id", "ts", "domain", "user_id", "session_id", "turn", "prompt", "response"}
    | {"model_version", "rating", "thumb", "correction", "regenerated", "clicked", "latency_ms"}
)

SEQUENCE = "feedback_seq"  # changes of an answer's feedback so far; a row without it has none

Row = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeedbackResult:
    before: Row
    after: Row

    @property
    def changed(self) -> bool:
        return any(self.before.get(name) != self.after.get(name) for name in FEEDBACK)


def _all_domains(_: str) -> bool:
    return True


@dataclass(eq=False)
class _Task:
    future: "Future[Any]"
    row: Row | None = None  # an interaction
    event_id: str = ""  # feedback on it
    fields: Row = field(default_factory=dict)
    order: int | None = None
    may_use: Callable[[str], bool] = _all_domains
    result: Any = None


class Landing:
    def __init__(self, folder: Path, index: Path, domains: Iterable[str]) -> None:
        self._folder = folder
        self._index_file = index
        self._domains = tuple(domains)
        self._wake = threading.Condition()
        self._tasks: deque[_Task] = deque()
        self._stopping = False
        self._files: dict[Path, int] = {}  # open descriptors, appending
        self._thread = threading.Thread(target=self._run, name="landing", daemon=True)
        self.error: str | None = None  # of the last write

    def start(self) -> None:
        """Bring the index up to the files, then write."""
        self._index = sqlite3.connect(self._index_file, check_same_thread=False)
        # Losing the last entries is fine: the files have them. A broken index would not be.
        self._index.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, file TEXT, at INT, size INT);"
            "CREATE TABLE IF NOT EXISTS files (file TEXT PRIMARY KEY, size INT);"
        )
        self._catch_up()
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        for handle in self._files.values():
            os.close(handle)
        self._index.close()

    def append(self, row: Row) -> "Future[None]":
        """Done when the row is on disk; OSError when it could not be written."""
        return self._put(_Task(Future(), row=row))

    def feedback(
        self,
        event_id: str,
        fields: Row,
        order: int | None = None,
        may_use: Callable[[str], bool] = _all_domains,
    ) -> "Future[FeedbackResult]":
        """Append the row again with these fields; what says nothing new appends nothing.

        LookupError for an unknown id, and for one of a domain that `may_use` refuses; OSError when
        it could not be written.
        """
        return self._put(_Task(Future(), None, event_id, fields, order, may_use))

    def _put(self, task: _Task) -> "Future[Any]":
        # A caller that leaves is cancelled and cancels what it awaits; a cancelled future refuses
        # its result, which would end the thread.
        task.future.set_running_or_notify_cancel()
        with self._wake:
            if self._stopping:
                raise ConnectionError("the gateway is stopping")
            self._tasks.append(task)
            self._wake.notify()
        return task.future

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        group: list[_Task] = []
        try:
            while True:
                with self._wake:
                    while not self._tasks and not self._stopping:
                        self._wake.wait()
                    count = min(MAX_GROUP, len(self._tasks))
                    group = [self._tasks.popleft() for _ in range(count)]
                if not group:
                    return
                self._write_group(group)
        finally:
            # Reached with tasks left only when the thread dies: nobody may wait for ever.
            with self._wake:
                self._stopping = True
                left = [*group, *self._tasks]
            for task in left:
                if not task.future.done():
                    task.future.set_exception(ConnectionError("the landing zone has stopped"))

    def _write_group(self, group: list[_Task]) -> None:
        fresh: dict[str, Row] = {}  # rows of this group: not on disk yet
        lines: dict[Path, list[tuple[_Task, str, bytes]]] = {}
        for task in group:
            try:
                row = self._row_to_write(task, fresh)
            except (LookupError, OSError) as error:
                task.future.set_exception(error)
                continue
            except sqlite3.Error as error:
                task.future.set_exception(OSError(f"index: {type(error).__name__}"))
                continue
            if row is None:
                task.future.set_result(task.result)
                continue
            fresh[row["event_id"]] = row
            line = ENCODE(row) + b"\n"
            file = self._file_of_today(row["domain"])
            lines.setdefault(file, []).append((task, row["event_id"], line))
        for file, entries in lines.items():
            try:
                start = self._append(file, b"".join(line for _, _, line in entries))
                self._index_rows(file, start, [(i, len(line)) for _, i, line in entries])
                self.error = None
            except (OSError, sqlite3.Error) as error:
                self.error = f"{file.name}: {type(error).__name__} {getattr(error, 'errno', '')}"
                log.error("landing zone not writable: %s", self.error)
                for task, _, _ in entries:
                    task.future.set_exception(OSError(self.error))
            else:
                for task, _, _ in entries:
                    task.future.set_result(task.result)

    def _row_to_write(self, task: _Task, fresh: dict[str, Row]) -> Row | None:
        if task.row is not None:
            return task.row
        before = fresh.get(task.event_id) or self._read(task.event_id)
        if not task.may_use(before["domain"]):
            raise LookupError(f"the answer {task.event_id!r} is of another domain")
        after = with_feedback(before, task.fields, task.order)
        task.result = FeedbackResult(before, after)
        return None if after == before else after

    def _file_of_today(self, domain: str) -> Path:
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        return self._folder / domain / "logs" / f"gateway-{day}.jsonl"

    def _append(self, file: Path, data: bytes) -> int:
        """Return the offset at which the data begins."""
        handle = self._files.get(file)
        if handle is not None and not _is_at(file, handle):
            os.close(self._files.pop(file))
            handle = None
        if handle is None:
            for old in list(self._files):
                if old.parent == file.parent:  # of another day
                    os.close(self._files.pop(old))
            handle = self._files[file] = _open(file)
        start = os.fstat(handle).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(handle, data[written:])
            os.fsync(handle)
        except OSError:
            # A full disk takes half a line; the next one must not be glued to it.
            with contextlib.suppress(OSError):
                os.ftruncate(handle, start)
            raise
        return start

    def _read(self, event_id: str) -> Row:
        found = self._index.execute(
            "SELECT file, at, size FROM rows WHERE id = ?", (event_id,)
        ).fetchone()
        if found is None:
            raise LookupError(f"no answer with the id {event_id!r}")
        name, at, size = found
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(at)
                row = json.loads(file.read(size))
        except (FileNotFoundError, ValueError):
            row = None
        if not isinstance(row, dict) or not row.keys() >= FIELDS or row["event_id"] != event_id:
            raise LookupError(f"the answer {event_id!r} is no longer in the landing zone")
        return row

    def _index_rows(self, file: Path, start: int, rows: list[tuple[str, int]]) -> None:
        name, entries, at = str(file.relative_to(self._folder)), [], start
        for event_id, size in rows:
            entries.append((event_id, name, at, size))
            at += size
        with self._index:
            self._index.executemany("INSERT OR REPLACE INTO rows VALUES (?,?,?,?)", entries)
            self._index.execute("INSERT OR REPLACE INTO files VALUES (?,?)", (name, at))

    def _catch_up(self) -> None:
        known = dict(self._index.execute("SELECT file, size FROM files").fetchall())
        for domain in self._domains:
            for file in sorted((self._folder / domain / "logs").glob("gateway-*.jsonl")):
                size, done = file.stat().st_size, known.get(str(file.relative_to(self._folder)), 0)
                if size != done:
                    self._index_file_from(file, done if done < size else 0)

    def _index_file_from(self, file: Path, start: int) -> None:
        rows: list[tuple[str, int]] = []
        with file.open("rb") as lines:
            lines.seek(start)
            for line in lines:
                rows.append((_event_id(line), len(line)))
                if len(rows) == 10_000:
                    self._index_rows(file, start, rows)
                    start, rows = lines.tell(), []
        self._index_rows(file, start, rows)


def with_feedback(before: Row, fields: Row, order: int | None) -> Row:
    """The row after a report; the same row when it says nothing new.

    Without an order a report is the newest. One that is not after what the row knows is late, or
    has come before: it fills in what nobody has said yet.
    """
    known = before.get(SEQUENCE, 0)
    if order is not None and order <= known:
        fields = {n: said for n, said in fields.items() if said is True or before.get(n) is None}
        order = known
    after = {**before, **fields}
    if after == before and (order is None or order == known):
        return before
    after[SEQUENCE] = known + 1 if order is None else order
    return after


def _open(file: Path) -> int:
    new = not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        os.write(handle, b"\n")
    if new:
        for folder in (file.parent, file.parent.parent, file.parent.parent.parent):
            sync_folder(folder)
    return handle


def _is_at(file: Path, handle: int) -> bool:
    """False when the file was moved away or replaced: rows written to it then would be lost."""
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _event_id(line: bytes) -> str:
    """The id of a line; "" for one that is broken, so that its length still counts."""
    try:
        row = json.loads(line)
    except ValueError:
        return ""
    event_id = row.get("event_id") if isinstance(row, dict) else None
    return event_id if isinstance(event_id, str) else ""
