"""Commit, log, diff, merge, revert, cherry-pick."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server import changes, commits, refs, staging, trees
from ft_resources.lakefs.server.calls import USER, Call, route
from ft_resources.lakefs.server.commits import NS, Commit, Text
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import BadRequest, MergeConflict
from ft_resources.lakefs.server.events import Apply, Operation
from ft_resources.lakefs.server.keys import parse_key, parse_prefix
from ft_resources.lakefs.server.listing import Page, Query, list_page, walk_sorted
from ft_resources.lakefs.server.merge import Strategy, incoming
from ft_resources.lakefs.server.paging import amount, key_query, page, page_of
from ft_resources.lakefs.server.routes_refs import BRANCH
from ft_resources.lakefs.server.routes_repositories import REPOSITORY
from ft_resources.lakefs.server.store import Session

MAX_DATE = 2**63 // NS - 1  # what nanoseconds in 63 bits can hold, in Unix seconds
Differences = list[tuple[bytes, tuple[str, bytes | None]]]  # key, (type, record id)


def view(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "parents": list(commit.parents),
        "committer": commit.committer,
        "message": commit.message,
        "creation_date": commit.created_ns // NS,
        "meta_range_id": commit.tree.hex(),
        "metadata": commit.metadata,
        "generation": commit.generation,
        "version": 1,
    }


def commit_branch(call: Call) -> Response:
    if call.query("source_metarange"):
        raise BadRequest("source_metarange is not available; upload the objects")
    date = call.number("date")
    if date is not None and not 0 <= date <= MAX_DATE:
        raise BadRequest(f"date must be 0 to {MAX_DATE} seconds, got {date}")
    text = Text(call.text("message"), call.texts("metadata"), USER, date)
    branch, allow_empty = call.path("branch"), call.flag("allow_empty")
    operation = _operation(call, "commit", branch, text)
    return _made(
        call, operation, lambda session: changes.commit(session, branch, text, allow_empty).id
    )


def _operation(call: Call, kind: str, source_ref: str, text: Text, merged: str = "") -> Operation:
    return call.operation(
        kind,
        source_ref,
        branch=call.path("branch"),
        message=text.message,
        metadata=text.metadata,
        merge_source=merged,
    )


def _made(call: Call, operation: Operation, apply: Apply) -> Response:
    commit_id = call.perform(operation, apply)
    with call.repository.read() as session:
        return JSONResponse(view(commits.get(session, commit_id)), status_code=201)


def get_commit(call: Call) -> Response:
    with call.repository.read() as session:
        return JSONResponse(view(refs.resolve_commit(session, call.path("ref"))))


def log_commits(call: Call) -> Response:
    limit = amount(call)
    with call.repository.read() as session:
        found = list(islice(_log(session, call), limit + 1))
    if call.asks("limit"):
        found = found[:limit]
    return page_of([view(commit) for commit in found], limit)


def _log(session: Session, call: Call) -> Iterator[Commit]:
    """The log as asked for. A filter by path leaves out merges and the first commit."""
    query = call.request.query_params
    keys = [parse_key(text) for text in query.getlist("objects")]
    prefixes = [parse_prefix(text) for text in query.getlist("prefixes")]
    since = _since(call.query("since"))
    start = refs.resolve_commit(session, call.path("ref"))
    last = refs.resolve_commit(session, query["stop_at"]).id if call.query("stop_at") else None
    after = call.query("after")
    for commit in commits.log(session, start, call.asks("first_parent")):
        if commit.created_ns < since:
            return
        if after:
            after = "" if commit.id == after else after
        elif not (keys or prefixes) or _touches(session, commit, keys, prefixes):
            yield commit
        if commit.id == last:
            return


def _since(text: str) -> int:
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"since must be an ISO 8601 time, got {text!r}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * NS)


def _touches(session: Session, commit: Commit, keys: list[bytes], prefixes: list[bytes]) -> bool:
    if len(commit.parents) != 1:
        return False
    parent = commits.get(session, commit.parents[0]).tree
    return any(trees.diff(session, parent, commit.tree, prefix) for prefix in prefixes) or any(
        change.key == key
        for key in keys
        for change in trees.diff(session, parent, commit.tree, key)
    )


def diff_branch(call: Call) -> Response:
    """Uncommitted changes; a removed object has size 0, as in lakeFS."""
    branch, query = call.path("branch"), key_query(call)
    rows = []
    with call.repository.read() as session:
        tree = refs.head(session, branch).tree
        staged = [(key, (entry,)) for key, entry in staging.changes(session, branch, query.prefix)]
        found = list_page(walk_sorted(staged), query)
        for key, row in found.rows:
            if row is None:
                rows.append(_prefix_row(key))
            elif row[0] is None:
                rows.append(_object_row("removed", key, None))
            else:
                kind = "added" if trees.find(session, tree, key) is None else "changed"
                rows.append(_object_row(kind, key, row[0]))
    return page(rows, found.has_more, "path")


def diff_refs(call: Call) -> Response:
    query, kind = key_query(call), call.query("type", "three_dot")
    with call.repository.read() as session:
        left = refs.resolve_commit(session, call.path("left"))
        right = refs.resolve_commit(session, call.path("right"))
        match kind:
            case "two_dot":
                found = _two_dot(session, left.tree, right.tree, query)
            case "three_dot":
                found = _three_dot(session, left, right, query)
            case _:
                raise BadRequest(f"type must be two_dot or three_dot, got {kind!r}")
        return _diff_page(session, list_page(walk_sorted(found), query), call)


def _two_dot(session: Session, left: bytes, right: bytes, query: Query) -> Differences:
    found = trees.diff(session, left, right, query.prefix)
    return [(change.key, (kind_of(change), change.right or change.left)) for change in found]


def _three_dot(session: Session, left: Commit, right: Commit, query: Query) -> Differences:
    """What merging right into left would bring; conflicts are marked."""
    base = commits.merge_base(session, left, right)
    return [
        (change.key, ("conflict" if disputed else kind_of(change), change.right or change.left))
        for change, disputed in incoming(session, base.tree, left.tree, right.tree, query.prefix)
    ]


def kind_of(change: trees.Change) -> str:
    if change.left is None:
        return "added"
    return "removed" if change.right is None else "changed"


def _diff_page(session: Session, found: Page[tuple[str, bytes | None]], call: Call) -> JSONResponse:
    entries = session.entries(row[1] for _, row in found.rows if row is not None and row[1])
    right_stats = call.asks("include_right_stats")
    rows = []
    for key, row in found.rows:
        if row is None:
            rows.append(_prefix_row(key))
            continue
        kind, record = row
        entry = entries[record] if record is not None else None
        shown = _object_row(kind, key, entry)
        if right_stats and entry is not None and kind != "removed":
            shown["right"] = {
                "checksum": entry.checksum,
                "mtime": entry.mtime,
                "content_type": entry.content_type,
                "metadata": entry.metadata,
            }
        rows.append(shown)
    return page(rows, found.has_more, "path")


def _object_row(kind: str, key: bytes, entry: Entry | None) -> dict[str, Any]:
    size = 0 if entry is None else entry.size
    return {"type": kind, "path": key.decode(), "path_type": "object", "size_bytes": size}


def _prefix_row(key: bytes) -> dict[str, Any]:
    return {
        "type": "prefix_changed",
        "path": key.decode(),
        "path_type": "common_prefix",
        "size_bytes": 0,
    }


def merge(call: Call) -> Response:
    source, branch = call.path("source"), call.path("branch")
    strategy = call.text("strategy", "") or Strategy.NONE.value
    if strategy not in {known.value for known in Strategy}:
        raise BadRequest(f"strategy must be source-wins or dest-wins, got {strategy!r}")
    message = call.text("message", "") or f"Merge {source!r} into {branch!r}"
    text = Text(message, call.texts("metadata"), USER)
    allow_empty = call.flag("allow_empty") or call.flag("force")
    squash = call.flag("squash_merge")
    theirs = _commit_id(call, source)  # once: hooks must see what is merged in the end

    def apply(session: Session) -> str:
        return changes.merge(
            session, theirs, branch, text, Strategy(strategy), allow_empty, squash
        ).id

    try:
        commit_id = call.perform(_operation(call, "merge", theirs, text, source), apply)
    except MergeConflict:
        return JSONResponse({"reference": ""}, status_code=409)
    return JSONResponse({"reference": commit_id})


def _commit_id(call: Call, expression: str) -> str:
    with call.repository.read() as session:
        return refs.resolve_commit(session, expression).id


def find_merge_base(call: Call) -> Response:
    with call.repository.read() as session:
        source = refs.resolve_commit(session, call.path("source"))
        destination = refs.resolve_commit(session, call.path("branch"))
        base = commits.merge_base(session, source, destination)
    return JSONResponse(
        {
            "source_commit_id": source.id,
            "destination_commit_id": destination.id,
            "base_commit_id": base.id,
        }
    )


def revert(call: Call) -> Response:
    ref, overrides = call.text("ref"), call.part("commit_overrides")
    message = overrides.text("message", "") or f"Revert {ref}"
    text = Text(message, overrides.texts("metadata"), USER)
    branch, parent, empty = (
        call.path("branch"),
        call.number("parent_number"),
        call.flag("allow_empty"),
    )
    undone = _commit_id(call, ref)

    def apply(session: Session) -> str:
        return changes.revert(session, branch, undone, parent or 0, text, empty).id

    call.perform(_operation(call, "revert", undone, text), apply)
    return Response(status_code=204)


def cherry_pick(call: Call) -> Response:
    overrides = call.part("commit_overrides")

    def text(picked: Commit) -> Text:
        origin = {"cherry-pick-origin": picked.id, "cherry-pick-committer": picked.committer}
        message = overrides.text("message", "") or picked.message
        return Text(message, {**picked.metadata, **overrides.texts("metadata"), **origin}, USER)

    branch, parent = call.path("branch"), call.number("parent_number")
    with call.repository.read() as session:
        picked = refs.resolve_commit(session, call.text("ref"))

    def apply(session: Session) -> str:
        return changes.cherry_pick(session, branch, picked.id, parent, text).id

    return _made(call, _operation(call, "cherry-pick", picked.id, text(picked)), apply)


MERGE = f"{REPOSITORY}/refs/{{source:path}}/merge/{{branch}}"
ROUTES = [
    Route(f"{BRANCH}/commits", route(commit_branch), methods=["POST"]),
    Route(f"{BRANCH}/diff", route(diff_branch)),
    Route(f"{BRANCH}/revert", route(revert), methods=["POST"]),
    Route(f"{BRANCH}/cherry-pick", route(cherry_pick), methods=["POST"]),
    Route(f"{REPOSITORY}/commits/{{ref:path}}", route(get_commit)),
    Route(f"{REPOSITORY}/refs/{{ref:path}}/commits", route(log_commits)),
    Route(f"{REPOSITORY}/refs/{{left:path}}/diff/{{right:path}}", route(diff_refs)),
    Route(MERGE, route(find_merge_base)),
    Route(MERGE, route(merge), methods=["POST"]),
]
