"""Runs of actions: one for each event that had hooks, and one for each hook in it.

Ids fall as time goes on, as in lakeFS, so that the byte order of a list shows the newest first.
"""

import secrets
import time
from dataclasses import dataclass

from ft_resources.lakefs.server.errors import NotFound
from ft_resources.lakefs.server.store import Session

LAST_NS = 2**63 - 1
COLUMNS = "id, branch, event, commit_id, started_ns, ended_ns, passed"
HOOK_COLUMNS = "id, action, hook, started_ns, ended_ns, passed"


@dataclass(frozen=True)
class Run:
    id: str
    branch: str
    event: str
    commit_id: str
    started_ns: int
    ended_ns: int
    passed: bool


@dataclass(frozen=True)
class HookRun:
    id: str
    action: str
    hook: str
    started_ns: int
    ended_ns: int
    passed: bool


def new_id() -> str:
    return f"{LAST_NS - time.time_ns():016x}{secrets.token_hex(4)}"


def add(session: Session, run: Run, hooks: list[tuple[HookRun, str]]) -> None:
    """Keep a run with its hooks, each with its output."""
    session.db.execute(
        f"INSERT INTO run ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (our own words)
        (run.id, run.branch, run.event, run.commit_id, run.started_ns, run.ended_ns, run.passed),
    )
    session.db.executemany(
        f"INSERT INTO hook_run (run, {HOOK_COLUMNS}, output) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [
            (run.id, h.id, h.action, h.hook, h.started_ns, h.ended_ns, h.passed, output)
            for h, output in hooks
        ],
    )


def set_commit(session: Session, run_id: str, commit_id: str) -> None:
    """A run before a commit learns its id when there is one."""
    session.db.execute("UPDATE run SET commit_id = ? WHERE id = ?", (commit_id, run_id))


def find(session: Session, run_id: str) -> Run:
    query = f"SELECT {COLUMNS} FROM run WHERE id = ?"  # noqa: S608 (our own words)
    row = session.db.execute(query, (run_id,)).fetchone()
    if row is None:
        raise NotFound(f"no run {run_id!r}")
    return Run(*row[:-1], passed=bool(row[-1]))


def page(session: Session, branch: str, commit_id: str, after: str, amount: int) -> list[Run]:
    """Newest first; an empty branch or commit id matches all."""
    rows = session.db.execute(
        f"SELECT {COLUMNS} FROM run WHERE id > ? AND ? IN ('', branch)"  # noqa: S608 (our own words)
        " AND ? IN ('', commit_id) ORDER BY id LIMIT ?",
        (after, branch, commit_id, amount),
    )
    return [Run(*row[:-1], passed=bool(row[-1])) for row in rows]


def hooks(session: Session, run_id: str, after: str, amount: int) -> list[HookRun]:
    """In the order they ran."""
    find(session, run_id)
    rows = session.db.execute(
        f"SELECT {HOOK_COLUMNS} FROM hook_run WHERE run = ? AND id > ? ORDER BY id LIMIT ?",  # noqa: S608
        (run_id, after, amount),
    )
    return [HookRun(*row[:-1], passed=bool(row[-1])) for row in rows]


def output(session: Session, run_id: str, hook_run_id: str) -> str:
    query = "SELECT output FROM hook_run WHERE run = ? AND id = ?"
    row = session.db.execute(query, (run_id, hook_run_id)).fetchone()
    if row is None:
        raise NotFound(f"no hook run {hook_run_id!r} in run {run_id!r}")
    return row[0]
