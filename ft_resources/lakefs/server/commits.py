"""Commits: the record, the log, the merge base.

A commit id is the sha256 of the commit, opaque to clients. Times are kept in nanoseconds, because
commits of one second must still come out of the log in order; clients see whole seconds.
"""

import hashlib
import heapq
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ft_resources.lakefs.server.errors import BadRequest, NotFound
from ft_resources.lakefs.server.store import Session

NS = 1_000_000_000


@dataclass(frozen=True)
class Commit:
    id: str
    tree: bytes
    parents: tuple[str, ...]
    message: str
    metadata: dict[str, str]
    committer: str
    created_ns: int
    generation: int  # 1 for the first commit; greater than that of every ancestor


@dataclass(frozen=True)
class Text:
    """What a person sees of a commit."""

    message: str
    metadata: dict[str, str]
    committer: str
    created_s: int | None = None  # None for now


def add(session: Session, tree: bytes, parents: list[Commit], text: Text) -> Commit:
    created_ns = time.time_ns() if text.created_s is None else text.created_s * NS
    generation = max((parent.generation for parent in parents), default=0) + 1
    payload = json.dumps(
        {
            "parents": [parent.id for parent in parents],
            "message": text.message,
            "metadata": text.metadata,
            "committer": text.committer,
        },
        sort_keys=True,
    )
    identity = f"{tree.hex()} {created_ns} {generation} {payload}"
    commit_id = hashlib.sha256(identity.encode()).hexdigest()
    session.db.execute(
        "INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?)",
        (commit_id, tree, created_ns, generation, payload),
    )
    return get(session, commit_id)


def get(session: Session, commit_id: str) -> Commit:
    query = "SELECT id, tree, created_ns, generation, payload FROM history WHERE id = ?"
    row = session.db.execute(query, (commit_id,)).fetchone()
    if row is None:
        raise NotFound(f"no commit {commit_id}")
    return _commit(row)


def all_of(session: Session) -> Iterator[Commit]:
    """Every commit there is, in no particular order."""
    query = "SELECT id, tree, created_ns, generation, payload FROM history"
    yield from map(_commit, session.db.execute(query))


def _commit(row: tuple[str, bytes, int, int, str]) -> Commit:
    payload = json.loads(row[4])
    return Commit(
        id=row[0],
        tree=row[1],
        parents=tuple(payload["parents"]),
        message=payload["message"],
        metadata=payload["metadata"],
        committer=payload["committer"],
        created_ns=row[2],
        generation=row[3],
    )


def log(session: Session, start: Commit, first_parent: bool = False) -> Iterator[Commit]:
    """Every ancestor, itself first: newest first, and never a parent before its child."""
    seen = {start.id}
    queue = [(-start.created_ns, -start.generation, start.id, start)]
    while queue:
        *_, commit = heapq.heappop(queue)
        yield commit
        for parent_id in commit.parents[:1] if first_parent else commit.parents:
            if parent_id not in seen:
                seen.add(parent_id)
                parent = get(session, parent_id)
                heapq.heappush(queue, (-parent.created_ns, -parent.generation, parent.id, parent))


def merge_base(session: Session, left: Commit, right: Commit) -> Commit:
    """A best common ancestor: none of its descendants is common.

    Commits leave the queue by falling generation, so all descendants of a commit come before it,
    and the first one reached from both sides is the best.
    """
    sides = {left.id: 1}
    sides[right.id] = sides.get(right.id, 0) | 2
    queue = [
        (-commit.generation, commit.id, commit)
        for commit in {left.id: left, right.id: right}.values()
    ]
    heapq.heapify(queue)
    while queue:
        _, commit_id, commit = heapq.heappop(queue)
        if sides[commit_id] == 3:
            return commit
        for parent_id in commit.parents:
            if parent_id not in sides:
                parent = get(session, parent_id)
                heapq.heappush(queue, (-parent.generation, parent.id, parent))
            sides[parent_id] = sides.get(parent_id, 0) | sides[commit_id]
    raise BadRequest(f"{left.id} and {right.id} have no common ancestor")
