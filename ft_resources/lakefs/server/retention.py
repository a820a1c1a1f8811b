"""Which commits of a repository keep their contents, by its retention rules.

lakeFS's meaning: a commit counts while it was the head of its branch within the last days that the
branch's rule, or the default, gives. Heads and tagged commits always count. Commits that no branch
has on its line of first parents (of deleted branches, and merged ones) count for the default days.
A repository without rules keeps everything.
"""

from dataclasses import dataclass

from ft_resources.lakefs.server import commits
from ft_resources.lakefs.server.commits import NS, Commit
from ft_resources.lakefs.server.errors import BadRequest
from ft_resources.lakefs.server.store import Session

SETTING = "gc_rules"
DAY_NS = 24 * 3600 * NS
MAX_DAYS = 36_500


@dataclass(frozen=True)
class Rules:
    default_days: int
    branch_days: dict[str, int]

    def to_json(self) -> dict[str, object]:
        return {
            "default_retention_days": self.default_days,
            "branches": [
                {"branch_id": name, "retention_days": days}
                for name, days in self.branch_days.items()
            ],
        }


def parse(body: object) -> Rules:
    """Raises BadRequest where the body is not lakeFS's form of the rules."""
    told = "the body must have default_retention_days, and branches with branch_id, retention_days"
    if not isinstance(body, dict):
        raise BadRequest(told)
    branches = body.get("branches")
    if not isinstance(branches, list) or not all(isinstance(rule, dict) for rule in branches):
        raise BadRequest(told)
    named = {rule.get("branch_id"): rule.get("retention_days") for rule in branches}
    if not all(isinstance(name, str) and name for name in named):
        raise BadRequest(told)
    return Rules(
        _days(body.get("default_retention_days")),
        {name: _days(days) for name, days in named.items()},
    )


def _days(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_DAYS:
        raise BadRequest(f"retention days must be whole numbers, 1 to {MAX_DAYS}, got {number!r}")
    return number


def rules(session: Session) -> Rules | None:
    stored = session.setting(SETTING)
    return None if stored is None else parse(stored)


@dataclass(frozen=True)
class Retained:
    contents: list[Commit]  # commits whose objects can be read
    unreachable: list[str]  # ids of expired commits that no branch or tag leads to


def retained(session: Session, now_ns: int) -> Retained:
    history = {commit.id: commit for commit in commits.all_of(session)}
    found = rules(session)
    if found is None:
        return Retained(list(history.values()), [])
    branches = dict(session.db.execute("SELECT name, head FROM branch").fetchall())
    tagged = {target for (target,) in session.db.execute("SELECT target FROM tag")}
    kept = set(tagged) | set(branches.values())
    for branch, head in branches.items():
        days = found.branch_days.get(branch, found.default_days)
        kept |= _line(history, head, now_ns - days * DAY_NS)
    first_parents = {commit.parents[0] for commit in history.values() if commit.parents}
    since = now_ns - found.default_days * DAY_NS
    for tip in history.keys() - first_parents - set(branches.values()):
        if history[tip].created_ns >= since:
            kept |= _line(history, tip, since)
    reachable = _ancestors(history, tagged | set(branches.values()))
    return Retained(
        [history[commit_id] for commit_id in kept], sorted(history.keys() - reachable - kept)
    )


def _line(history: dict[str, Commit], head: str, since_ns: int) -> set[str]:
    """The commits that were the head within the window: the last one may be older than it."""
    found = {head}
    commit = history[head]
    while commit.parents and commit.created_ns >= since_ns:
        commit = history[commit.parents[0]]
        found.add(commit.id)
    return found


def _ancestors(history: dict[str, Commit], heads: set[str]) -> set[str]:
    found, todo = set(heads), list(heads)
    while todo:
        new = [p for p in history[todo.pop()].parents if p not in found]
        found.update(new)
        todo += new
    return found
