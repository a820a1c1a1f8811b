"""Trees against a plain dictionary: whatever the keys, both must agree."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ft_resources.lakefs.server import trees
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import MergeConflict
from ft_resources.lakefs.server.listing import Query, list_page
from ft_resources.lakefs.server.merge import Strategy, three_way
from ft_resources.lakefs.server.repositories import Repositories
from ft_resources.lakefs.server.store import Session

PARTS = [b"", b"a", b"b", b"a!", b".git", b"..", "é".encode(), b"\x02", b"zz"]
Content = dict[bytes, str]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    repositories = Repositories(tmp_path)
    repositories.create("trees", "local://x", "main", "me")
    with repositories.get("trees").write() as session:
        yield session
    repositories.close()


def random_key(rng: random.Random) -> bytes:
    return b"/".join(rng.choice(PARTS) for _ in range(rng.randint(1, 4))) or b"x"


def record(session: Session, content: str, mtime: int) -> bytes:
    return session.add_entry(Entry("0" * 64, 1, content, "t", {}, mtime))


def build(session: Session, content: Content, mtime: int = 0) -> bytes:
    changes = {key: record(session, value, mtime) for key, value in content.items()}
    return trees.apply(session, trees.EMPTY_TREE, changes)


def read(session: Session, tree: bytes, start: bytes = b"") -> list[tuple[bytes, str]]:
    rows = list(trees.walk(session, tree, start))
    entries = session.entries(i for _, i in rows)
    return [(key, entries[i].checksum) for key, i in rows]


def change(rng: random.Random, content: Content) -> Content:
    new = dict(content)
    for _ in range(rng.randint(0, 6)):
        key = rng.choice(list(new)) if new and rng.random() < 0.5 else random_key(rng)
        if rng.random() < 0.3:
            new.pop(key, None)
        else:
            new[key] = rng.choice("xyz")
    return new


@pytest.mark.parametrize("seed", range(40))
def test_apply_walk_find(session, seed):
    rng = random.Random(seed)
    content: Content = {}
    tree = trees.EMPTY_TREE
    for step in range(6):
        new = change(rng, content)
        changes = {
            key: record(session, new[key], step) if key in new else None
            for key in content.keys() | new.keys()
            if content.get(key) != new.get(key)
        }
        changes |= {b"never/there": None}
        tree, content = trees.apply(session, tree, changes), new
        assert read(session, tree) == sorted(content.items())
        start = random_key(rng)
        assert read(session, tree, start) == sorted(
            (k, v) for k, v in content.items() if k >= start
        )
        for key in [*content, random_key(rng)]:
            assert (trees.find(session, tree, key) is None) == (key not in content)
    emptied = trees.apply(session, tree, dict.fromkeys(content))
    assert emptied == trees.EMPTY_TREE


@pytest.mark.parametrize("seed", range(40))
def test_diff(session, seed):
    rng = random.Random(seed)
    left = change(rng, change(rng, change(rng, {})))
    right = change(rng, left)
    # Another mtime makes other records everywhere, and no difference.
    left_tree, right_tree = build(session, left, 1), build(session, right, 2)
    keys = sorted(k for k in left.keys() | right.keys() if left.get(k) != right.get(k))
    assert [c.key for c in trees.diff(session, left_tree, right_tree)] == keys
    for prefix in (b"a", b"a/", b"/", b"", b".git/a"):
        found = [c.key for c in trees.diff(session, left_tree, right_tree, prefix)]
        assert found == [key for key in keys if key.startswith(prefix)]
    for c in trees.diff(session, left_tree, right_tree):
        assert ((c.left is None), (c.right is None)) == (c.key not in left, c.key not in right)


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("seed", range(40))
def test_three_way(session, seed, strategy):
    rng = random.Random(seed)
    base = change(rng, change(rng, {}))
    ours, theirs = change(rng, base), change(rng, base)
    expected, conflict = dict(ours), False
    for key in base.keys() | ours.keys() | theirs.keys():
        b, o, t = base.get(key), ours.get(key), theirs.get(key)
        if t in (b, o):
            continue
        conflict |= o != b
        if o == b or strategy is Strategy.SOURCE:
            expected.pop(key, None) if t is None else expected.update({key: t})
    built = [build(session, side, mtime) for mtime, side in enumerate((base, ours, theirs))]
    if conflict and strategy is Strategy.NONE:
        with pytest.raises(MergeConflict):
            three_way(session, *built, strategy)
    else:
        merged = three_way(session, *built, strategy)
        assert read(session, merged) == sorted(expected.items())


@pytest.mark.parametrize("seed", range(40))
def test_pages(session, seed):
    rng = random.Random(seed)
    content = change(rng, change(rng, change(rng, change(rng, {}))))
    tree = build(session, content)
    for delimiter in (b"", b"/", b"a", b"/a"):
        for prefix in (b"", b"a", b"a/", b"/"):
            expected = group(sorted(content), prefix, delimiter)
            for amount in (1, 3, 1000):
                assert all_pages(session, tree, prefix, delimiter, amount) == expected


def group(keys: list[bytes], prefix: bytes, delimiter: bytes) -> list[bytes]:
    names = []
    for key in keys:
        if key.startswith(prefix):
            rest = key[len(prefix) :]
            head, found, _ = rest.partition(delimiter) if delimiter else (rest, b"", b"")
            names.append(prefix + head + found)
    return list(dict.fromkeys(names))


def all_pages(
    session: Session, tree: bytes, prefix: bytes, delimiter: bytes, amount: int
) -> list[bytes]:
    found: list[bytes] = []
    while True:
        after = found[-1] if found else b""
        query = Query(prefix, after, delimiter, amount)
        page = list_page(lambda start: trees.walk(session, tree, start), query)
        assert len(page.rows) == amount or not page.has_more
        found += [key for key, _ in page.rows]
        if not page.has_more:
            return found


def test_unchanged_folders_are_shared(session):
    content = {b"p%03d/%03d" % (n // 50, n): "x" for n in range(2000)}
    tree = build(session, content)
    count = "SELECT count(*) FROM tree"
    before = session.db.execute(count).fetchone()[0]
    trees.apply(session, tree, {b"p000/000": record(session, "y", 0)})
    assert session.db.execute(count).fetchone()[0] == before + 2  # its folder and the root
