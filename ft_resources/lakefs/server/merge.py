"""Three-way merge, object by object.

An object is never merged within: changed on both sides to different identities is a conflict, also
when the bytes are lines of text. Changed on both sides to the same identity is none.
"""

from enum import StrEnum

from ft_resources.lakefs.server import trees
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import MergeConflict
from ft_resources.lakefs.server.store import Session


class Strategy(StrEnum):
    """Who wins where both sides changed an object; by default nobody: the merge is refused."""

    NONE = "default"
    SOURCE = "source-wins"
    DESTINATION = "dest-wins"


def conflicts(session: Session, ours: list[trees.Change], theirs: list[trees.Change]) -> set[bytes]:
    """Keys that both sides changed, from one base, to different identities."""
    mine = {change.key: change.right for change in ours}
    both = [(change.key, mine[change.key], change.right) for change in theirs if change.key in mine]
    entries = session.entries(i for row in both for i in row[1:] if i is not None)
    return {key for key, left, right in both if not _same(entries, left, right)}


def _same(entries: dict[bytes, Entry], left: bytes | None, right: bytes | None) -> bool:
    if left is None or right is None:
        return left is right
    return entries[left].identity == entries[right].identity


def incoming(
    session: Session, base: bytes, ours: bytes, theirs: bytes, prefix: bytes = b""
) -> list[tuple[trees.Change, bool]]:
    """(change, disputed) in key order: what merging the tree `theirs` into `ours` would bring."""
    mine = trees.diff(session, base, ours, prefix)
    changed = trees.diff(session, base, theirs, prefix)
    disputed = conflicts(session, mine, changed)
    same = {change.key for change in mine} - disputed
    return [(change, change.key in disputed) for change in changed if change.key not in same]


def three_way(
    session: Session, base: bytes, ours: bytes, theirs: bytes, strategy: Strategy = Strategy.NONE
) -> bytes:
    """The tree of `ours` with what `theirs` changed since `base`. Raises MergeConflict."""
    if ours == base:
        return theirs
    changed = trees.diff(session, base, theirs)
    if not changed:
        return ours
    mine = trees.diff(session, base, ours)
    disputed = conflicts(session, mine, changed)
    if disputed and strategy is Strategy.NONE:
        raise MergeConflict(f"conflict: {len(disputed)} objects changed on both sides")
    same = {change.key for change in mine} - disputed
    skip = same | disputed if strategy is Strategy.DESTINATION else same
    return trees.apply(session, ours, {c.key: c.right for c in changed if c.key not in skip})
