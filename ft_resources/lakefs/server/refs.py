"""Branches, tags, and ref expressions: `main`, `v1`, `3f2a`, `main@`, `main~2`, `topic^2~1`.

A bare branch name, or `branch$`, reads the branch with what is staged on it; `branch@`, a tag, a
commit id and anything with `~` or `^` read a commit. A name is looked up as a branch, then as a
tag, then as the beginning of a commit id.
"""

import re
from dataclasses import dataclass

from ft_resources.lakefs.server import commits
from ft_resources.lakefs.server.commits import Commit
from ft_resources.lakefs.server.errors import BadRequest, Conflict, Forbidden, NotFound
from ft_resources.lakefs.server.keys import after_prefix, check_branch_name, check_tag_name
from ft_resources.lakefs.server.store import Session

EXPRESSION = re.compile(r"([^~^@$]+)((?:[@$]|[~^]\d{0,18})*)")
MODIFIER = re.compile(r"([@$~^])(\d*)")
COMMIT_PREFIX = re.compile(r"[0-9a-f]{1,64}")
MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class Place:
    """What a ref expression names: a commit, and a branch when staged changes are on top."""

    commit: Commit
    staged_on: str | None


def resolve(session: Session, expression: str) -> Place:
    match = EXPRESSION.fullmatch(expression)
    if match is None:
        raise BadRequest(f"{expression!r} is not a ref; use a branch, tag or commit id")
    name, modifiers = match.groups()
    branch = find_branch(session, name)
    staged_on = name if branch is not None else None
    commit = commits.get(session, branch or _tag_or_commit(session, name))
    for kind, number in MODIFIER.findall(modifiers):
        if kind == "$":
            if staged_on is None:
                raise BadRequest(f"{expression!r}: only a branch has staged changes")
            continue
        staged_on = None
        if kind != "@":
            commit = _step(session, commit, kind, int(number or 1), expression)
    return Place(commit, staged_on)


def resolve_commit(session: Session, expression: str) -> Commit:
    """The commit of an expression; a branch gives its head."""
    if expression.endswith("$"):
        raise BadRequest(f"{expression!r} names staged changes, not a commit; leave out the '$'")
    return resolve(session, expression).commit


def _step(session: Session, commit: Commit, kind: str, number: int, expression: str) -> Commit:
    missing = NotFound(f"{expression!r} goes beyond the first commit or a commit's parents")
    if kind == "^":
        if number > len(commit.parents):
            raise missing
        return commits.get(session, commit.parents[number - 1]) if number else commit
    if number >= commit.generation or number > MAX_STEPS:
        raise missing
    for _ in range(number):
        if not commit.parents:
            raise missing
        commit = commits.get(session, commit.parents[0])
    return commit


def _tag_or_commit(session: Session, name: str) -> str:
    target = find_tag(session, name)
    if target is not None:
        return target
    if COMMIT_PREFIX.fullmatch(name):
        query = "SELECT id FROM history WHERE id >= ? AND id < ? LIMIT 2"
        found = session.db.execute(query, (name, name + "g")).fetchall()
        if len(found) == 1:
            return found[0][0]
        if found:
            raise NotFound(f"{name!r} is the beginning of several commit ids; give more of it")
    raise NotFound(f"no branch, tag or commit {name!r}")


def find_branch(session: Session, name: str) -> str | None:
    """The id of the head commit, or None."""
    row = session.db.execute("SELECT head FROM branch WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def head(session: Session, branch: str) -> Commit:
    found = find_branch(session, branch)
    if found is None:
        raise NotFound(f"no branch {branch!r}")
    return commits.get(session, found)


def create_branch(session: Session, name: str, source: str, hidden: bool) -> Commit:
    check_branch_name(name)
    commit = resolve_commit(session, source)
    if find_branch(session, name) is not None:
        raise Conflict(f"branch {name!r} already exists")
    session.db.execute("INSERT INTO branch VALUES (?, ?, ?)", (name, commit.id, int(hidden)))
    return commit


def move_branch(session: Session, name: str, expected: Commit, to: Commit) -> None:
    """Set the head, if it is still the expected one."""
    moved = session.db.execute(
        "UPDATE branch SET head = ? WHERE name = ? AND head = ?", (to.id, name, expected.id)
    )
    if moved.rowcount != 1:
        raise Conflict(f"branch {name!r} was moved meanwhile; try again")


def delete_branch(session: Session, name: str) -> None:
    head(session, name)
    if name == session.setting("repository")["default_branch"]:
        raise Forbidden(f"branch {name!r} is the default branch and cannot be deleted")
    session.db.execute("DELETE FROM staged WHERE branch = ?", (name,))
    session.db.execute("DELETE FROM branch WHERE name = ?", (name,))


def list_branches(
    session: Session, prefix: str, after: str, amount: int, hidden: bool
) -> list[tuple[str, str]]:
    """(name, head) in byte order of names."""
    stop = _stop(prefix)
    return session.db.execute(
        "SELECT name, head FROM branch WHERE name > ? AND name >= ? AND (? IS NULL OR name < ?)"
        " AND hidden <= ? ORDER BY name LIMIT ?",
        (after, prefix, stop, stop, int(hidden), amount),
    ).fetchall()


def find_tag(session: Session, name: str) -> str | None:
    row = session.db.execute("SELECT target FROM tag WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def create_tag(session: Session, name: str, source: str) -> Commit:
    check_tag_name(name)
    commit = resolve_commit(session, source)
    if find_tag(session, name) is not None:
        raise Conflict(f"tag already exists: {name!r}")
    session.db.execute("INSERT INTO tag VALUES (?, ?)", (name, commit.id))
    return commit


def delete_tag(session: Session, name: str) -> None:
    if session.db.execute("DELETE FROM tag WHERE name = ?", (name,)).rowcount == 0:
        raise NotFound(f"no tag {name!r}")


def list_tags(session: Session, prefix: str, after: str, amount: int) -> list[tuple[str, str]]:
    stop = _stop(prefix)
    return session.db.execute(
        "SELECT name, target FROM tag WHERE name > ? AND name >= ? AND (? IS NULL OR name < ?)"
        " ORDER BY name LIMIT ?",
        (after, prefix, stop, stop, amount),
    ).fetchall()


def _stop(prefix: str) -> str | None:
    """The end of a prefix among names, which are ASCII."""
    stop = after_prefix(prefix.encode())
    return None if stop is None else stop.decode(errors="replace")
