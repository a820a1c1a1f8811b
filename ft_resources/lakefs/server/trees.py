"""Trees of object keys: find, walk, change, compare.

A tree is named by its 20-byte git id; unchanged folders are shared between commits, so the cost of
a commit follows what changed. The exception is one huge folder: a change in it rewrites its tree
(about 40 bytes an object), so partition keys into folders below some 20,000 objects.

Comparing uses libgit2's tree diff, never its merge or rename detection: those look into contents
and would join two edits of one object line by line.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import pygit2
from pygit2.enums import FileMode

from ft_resources.lakefs.server.keys import LEAF, LEAF_BYTE, folder_names, key_of, tree_names
from ft_resources.lakefs.server.store import Session

EMPTY_TREE = bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904")


class Change(NamedTuple):
    """One key that differs; an id is None on the side that lacks the key."""

    key: bytes
    left: bytes | None
    right: bytes | None


def load(session: Session, tree: bytes) -> Any:
    return session.git[pygit2.Oid(raw=tree)]


def write_empty(session: Session) -> bytes:
    return session.git.TreeBuilder().write().raw


def find(session: Session, tree: bytes, key: bytes) -> bytes | None:
    """The record id of a key, or None."""
    root = load(session, tree)
    try:
        return root["/".join(tree_names(key))].id.raw
    except KeyError:
        return None


def walk(session: Session, tree: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """(key, record id) of every key >= start, in byte order of keys."""
    return _walk(session, load(session, tree), b"", start)


def _walk(
    session: Session, tree: Any, prefix: bytes, start: bytes
) -> Iterator[tuple[bytes, bytes]]:
    for index in range(_first(tree, prefix, start), len(tree)):
        node = tree[index]
        name = node.raw_name
        if name.endswith(LEAF_BYTE):
            yield prefix + name[1:-1], node.id.raw
        else:
            yield from _walk(session, session.git[node.id], prefix + name[1:] + b"/", start)


def _first(tree: Any, prefix: bytes, start: bytes) -> int:
    """Index of the first node of `tree` that can hold a key >= start."""
    if start <= prefix:
        return 0
    low, high = 0, len(tree)
    while low < high:
        middle = (low + high) // 2
        name = tree[middle].raw_name
        if name.endswith(LEAF_BYTE):
            reached = prefix + name[1:-1] >= start
        else:
            folder = prefix + name[1:] + b"/"
            reached = folder >= start or start.startswith(folder)
        low, high = (low, middle) if reached else (middle + 1, high)
    return low


def apply(session: Session, tree: bytes, changes: Mapping[bytes, bytes | None]) -> bytes:
    """The tree with keys set to record ids, or removed where the id is None."""
    if not changes:
        return tree
    items = [(tree_names(key), changes[key]) for key in sorted(changes)]
    return _apply(session, load(session, tree), items, 0) or write_empty(session)


def _apply(
    session: Session, old: Any, items: list[tuple[list[str], bytes | None]], level: int
) -> bytes | None:
    """Id of the changed tree, None when nothing is left in it."""
    builder = session.git.TreeBuilder() if old is None else session.git.TreeBuilder(old)
    for name, group in groupby(items, lambda item: item[0][level]):
        inner = list(group)
        if name.endswith(LEAF):
            new, mode = inner[0][1], FileMode.BLOB
        else:
            below = old[name] if old is not None and name in old else None
            new, mode = _apply(session, below, inner, level + 1), FileMode.TREE
        if new is not None:
            builder.insert(name, pygit2.Oid(raw=new), mode)
        elif builder.get(name) is not None:
            builder.remove(name)
    return builder.write().raw if len(builder) else None


def diff(session: Session, left: bytes, right: bytes, prefix: bytes = b"") -> list[Change]:
    """What differs by identity between two trees, in key order."""
    if left == right:
        return []
    names = folder_names(prefix)
    old, new = _folder(session, left, names), _folder(session, right, names)
    if old.id == new.id:
        return []
    above = b"".join(name[1:].encode() + b"/" for name in names)
    found = []
    for delta in old.diff_to_tree(new).deltas:
        key = above + key_of(delta.new_file.raw_path)
        if key.startswith(prefix):
            kind = delta.status_char()
            found.append(
                Change(
                    key,
                    None if kind == "A" else delta.old_file.id.raw,
                    None if kind == "D" else delta.new_file.id.raw,
                )
            )
    found.sort()
    return _by_identity(session, found)


def _folder(session: Session, tree: bytes, names: list[str]) -> Any:
    root = load(session, tree)
    if not names:
        return root
    try:
        return root["/".join(names)]
    except KeyError:
        return load(session, EMPTY_TREE)


def _by_identity(session: Session, changes: list[Change]) -> list[Change]:
    both = [i for change in changes if change.left and change.right for i in change[1:]]
    entries = session.entries(i for i in both if i is not None)
    return [
        change
        for change in changes
        if change.left is None
        or change.right is None
        or entries[change.left].identity != entries[change.right].identity
    ]
