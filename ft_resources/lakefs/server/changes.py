"""Operations that give a branch a new head: commit, merge, revert, cherry-pick, import, reset.

Each runs inside one write transaction. All but commit refuse a branch with uncommitted changes,
because those would silently undo what the operation brings.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ft_resources.lakefs.server import commits, refs, staging, trees
from ft_resources.lakefs.server.commits import Commit, Text
from ft_resources.lakefs.server.entries import Entry, encode
from ft_resources.lakefs.server.errors import BadRequest, Conflict
from ft_resources.lakefs.server.merge import Strategy, three_way
from ft_resources.lakefs.server.protection import check_committable, check_writable
from ft_resources.lakefs.server.store import Session

STRATEGY_KEY = ".lakefs.merge.strategy"  # the metadata key lakeFS writes


def commit(session: Session, branch: str, text: Text, allow_empty: bool) -> Commit:
    head = refs.head(session, branch)
    check_committable(session, branch)
    tree = trees.apply(session, head.tree, staging.take(session, branch))
    if tree == head.tree and not allow_empty:
        raise BadRequest(f"commit: no changes on branch {branch!r}")
    return _advance(session, branch, head, tree, [head], text)


def merge(
    session: Session,
    source: str,
    branch: str,
    text: Text,
    strategy: Strategy,
    allow_empty: bool,
    squash: bool,
) -> Commit:
    """Always a new commit with parents [branch, source]; [branch] alone when squashed."""
    head = clean_head(session, branch)
    theirs = refs.resolve_commit(session, source)
    base = commits.merge_base(session, head, theirs)
    if not allow_empty and not trees.diff(session, base.tree, theirs.tree):
        raise BadRequest(f"merge: no changes in {source!r} since its merge base with {branch!r}")
    tree = three_way(session, base.tree, head.tree, theirs.tree, strategy)
    parents = [head] if squash else [head, theirs]
    text = replace(text, metadata={**text.metadata, STRATEGY_KEY: strategy.value})
    return _advance(session, branch, head, tree, parents, text)


def revert(
    session: Session, branch: str, ref: str, parent_number: int, text: Text, allow_empty: bool
) -> Commit:
    """Undo what a commit changed relative to a parent. Parents count from 1; 0 is the only one."""
    undone = refs.resolve_commit(session, ref)
    if len(undone.parents) > 1 and parent_number <= 0:
        raise Conflict(f"{ref!r} is a merge; give parent_number, 1 for the branch merged into")
    head = clean_head(session, branch)
    parent = _parent_tree(session, undone, max(parent_number, 1), parent_number > 0)
    tree = three_way(session, undone.tree, head.tree, parent)
    if not allow_empty and not trees.diff(session, head.tree, tree):
        raise BadRequest(f"revert: no changes; {branch!r} has nothing of {ref!r}")
    return _advance(session, branch, head, tree, [head], text)


def cherry_pick(
    session: Session,
    branch: str,
    ref: str,
    parent_number: int | None,
    text: Callable[[Commit], Text],
) -> Commit:
    """Apply what a commit changed relative to a parent."""
    picked = refs.resolve_commit(session, ref)
    if len(picked.parents) > 1 and parent_number is None:
        raise BadRequest(f"{ref!r} is a merge; give parent_number, 1 for the branch merged into")
    head = clean_head(session, branch)
    number = 1 if parent_number is None else parent_number
    parent = _parent_tree(session, picked, number, parent_number is not None)
    tree = three_way(session, parent, head.tree, picked.tree)
    if not trees.diff(session, head.tree, tree):
        raise BadRequest(f"cherry-pick: no changes; {branch!r} already has those of {ref!r}")
    return _advance(session, branch, head, tree, [head], text(picked))


def replace_objects(
    session: Session,
    branch: str,
    prefixes: list[bytes],
    entries: Mapping[bytes, Entry],
    text: Text,
    allow_empty: bool,
) -> Commit:
    """Make the prefixes hold exactly the entries; entries elsewhere are put there as well."""
    head = clean_head(session, branch)
    changed: dict[bytes, bytes | None] = {}
    for prefix in prefixes:
        for key, _ in trees.walk(session, head.tree, prefix):
            if not key.startswith(prefix):
                break
            changed[key] = None
    ids = session.add_records(encode(entry) for entry in entries.values())
    changed.update(zip(entries, ids, strict=True))
    tree = trees.apply(session, head.tree, changed)
    if not allow_empty and not trees.diff(session, head.tree, tree):
        raise BadRequest(f"import: no changes; branch {branch!r} has these objects already")
    return _advance(session, branch, head, tree, [head], text)


def reset_hard(session: Session, branch: str, ref: str) -> None:
    head = clean_head(session, branch)
    check_committable(session, branch)
    check_writable(session, branch)
    refs.move_branch(session, branch, head, refs.resolve_commit(session, ref))


def clean_head(session: Session, branch: str) -> Commit:
    head = refs.head(session, branch)
    if not staging.is_clean(session, branch):
        raise BadRequest(
            f"branch {branch!r} has uncommitted changes (dirty branch); commit or reset them first"
        )
    return head


def _parent_tree(session: Session, commit: Commit, number: int, asked: bool) -> bytes:
    if not commit.parents and not asked:
        return trees.EMPTY_TREE
    if not 1 <= number <= len(commit.parents):
        raise BadRequest(f"parent {number} is out of range; the commit has {len(commit.parents)}")
    return commits.get(session, commit.parents[number - 1]).tree


def _advance(
    session: Session, branch: str, head: Commit, tree: bytes, parents: list[Commit], text: Text
) -> Commit:
    new = commits.add(session, tree, parents, text)
    refs.move_branch(session, branch, head, new)
    return new
