"""The page that compares two refs, at the address of lakeFS's own: what a merge would bring."""

from collections import Counter
from collections.abc import Iterator

from starlette.responses import Response
from starlette.routing import Route

from ft_resources.lakefs.server import commits, refs
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.keys import parse_prefix
from ft_resources.lakefs.server.listing import Query, list_page, walk_sorted
from ft_resources.lakefs.server.merge import incoming
from ft_resources.lakefs.server.pages import (
    Html,
    address,
    el,
    link,
    names,
    quiet,
    render,
    size,
    table,
)
from ft_resources.lakefs.server.routes_commits import kind_of
from ft_resources.lakefs.server.routes_pages import (
    NAMES,
    REPOSITORY,
    ROWS,
    more,
    object_link,
    ref_of,
    state,
    tabs,
)
from ft_resources.lakefs.server.store import Session
from ft_resources.lakefs.server.trees import Change

SIGNS = {"added": "+", "removed": "-", "changed": "~", "conflict": "!"}


def compare(call: Call) -> Response:
    """Changes of `compare` since its merge base with `ref`, as the API's three-dot diff has them.

    What is staged on a branch is not compared; the page says where something is.
    """
    name, ref = ref_of(call)
    other = call.query("compare") or call.server.repositories.info(name).default_branch
    prefix = call.query("prefix")
    query = Query(parse_prefix(prefix), parse_prefix(call.query("after")), b"", ROWS)
    with call.repository.read() as session:
        left, right = (refs.resolve(session, one) for one in (ref, other))
        base = commits.merge_base(session, left.commit, right.commit)
        changes = incoming(session, base.tree, left.commit.tree, right.commit.tree, query.prefix)
        kinds = {c.key: "conflict" if disputed else kind_of(c) for c, disputed in changes}
        found = list_page(walk_sorted([(change.key, change) for change, _ in changes]), query)
        shown = [change for _, change in found.rows if change is not None]
        entries = session.entries(i for c in shown for i in (c.left, c.right) if i is not None)
        states = [state(session, name, place) for place in (left, right)]
        lists = list(_others(session, name, ref))
    rows = [
        _row(name, kinds[change.key], change, entries, (base.id, right.commit.id))
        for change in shown
    ]
    head = ("Change", "Object", "Before", "After")
    swapped = _address(name, ref=other, compare=ref, prefix=prefix)
    return render(
        f"{other} compared with {ref} of {name}",
        el("h2", f"Base: {ref}"),
        states[0],
        el("h2", f"Compared: {other}"),
        states[1],
        el("p", link("The other way round", swapped)),
        el("h2", f"What merging {other} into {ref} would change ({len(changes)})"),
        quiet(_summary(kinds)) if kinds else quiet("No changes."),
        table(head, rows, numbers=(2, 3)) if rows else None,
        more(found, "repositories", name, "compare", ref=ref, compare=other, prefix=prefix),
        *lists,
        tabs=tabs(name, ref),
    )


def _row(
    name: str, kind: str, change: Change, entries: dict[bytes, Entry], ids: tuple[str, str]
) -> tuple[str, str, str, str]:
    """The object leads to its newest state there is, the sizes to what they are the sizes of."""
    path, (base, right) = change.key.decode(), ids

    def sized(record: bytes | None, at: str) -> str:
        return "" if record is None else object_link(name, at, path, size(entries[record].size))

    at = base if change.right is None else right
    return (
        f"{SIGNS[kind]} {kind}",
        object_link(name, at, path, path),
        sized(change.left, base),
        sized(change.right, right),
    )


def _summary(kinds: dict[bytes, str]) -> str:
    counts = Counter(kinds.values())
    return ", ".join(f"{counts[kind]} {kind}" for kind in SIGNS if counts[kind])


def _others(session: Session, name: str, ref: str) -> Iterator[Html]:
    """Every branch and tag to compare the base with."""
    branches = refs.list_branches(session, "", "", NAMES, hidden=False)
    for kind, rows in (("Branches", branches), ("Tags", refs.list_tags(session, "", "", NAMES))):
        links = [link(row[0], _address(name, ref=ref, compare=row[0])) for row in rows]
        if links:
            yield names(f"Compare {ref} with: {kind}", links)


def _address(name: str, **query: str) -> str:
    return address("repositories", name, "compare", **query)


ROUTES = [Route(f"{REPOSITORY}/compare", route(compare))]
