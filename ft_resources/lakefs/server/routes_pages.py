"""Pages for a browser, at the addresses of lakeFS's own: what asset metadata links to. Read only.

Stored HTML is shown with its scripts, since that is what an evaluation or drift report is, but in
a sandbox: without an origin it reads neither these pages nor the API, whatever it contains. It can
still take the reader to another site, and what it holds with them.
"""

import json
from collections.abc import Iterator
from itertools import islice
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from ft_resources.lakefs.server import commits, refs, staging, trees
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.commits import NS, Commit
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import NotFound
from ft_resources.lakefs.server.keys import after_prefix, parse_key, parse_prefix
from ft_resources.lakefs.server.listing import Page, Query, list_page, walk_sorted
from ft_resources.lakefs.server.pages import (
    SAFETY,
    Html,
    address,
    el,
    join,
    link,
    moment,
    names,
    quiet,
    render,
    size,
    table,
)
from ft_resources.lakefs.server.refs import Place
from ft_resources.lakefs.server.routes_commits import kind_of
from ft_resources.lakefs.server.routes_objects import send
from ft_resources.lakefs.server.store import Session

ROWS = 1000  # objects or changes on one page
COMMITS = 100  # on one page
NAMES = 1000  # branches or tags listed on one page
SHORT = 12  # digits of a commit id where it is a link
FOLDER = b"/"
HTML_TYPES = ("html", "htm")
TEXT_TYPES = ("txt", "md", "json", "jsonl", "csv", "yaml", "yml", "log")
# Scripts in the file itself and what they make, and nothing from anywhere: Evidently's reports and
# plotly's charts run (WebGL traces compile code: unsafe-eval). No allow-same-origin, ever.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:;"
    " style-src 'unsafe-inline' data: blob:; img-src data: blob:; font-src data: blob:;"
    " media-src data: blob:; connect-src data: blob:; worker-src data: blob:"
)
TEXT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
LINK_KEY = "[url:ui]"  # lakeFS's mark of metadata that is a link
INPUTS_KEY = "inputs"  # a JSON object of name -> lakefs:// address, written with every asset
SCHEME = "lakefs://"


def list_repositories(call: Call) -> Response:
    infos = call.server.repositories.infos()
    rows = [
        (
            link(info.id, address("repositories", info.id)),
            info.default_branch,
            info.storage_namespace,
            moment(info.creation_date),
        )
        for info in infos
    ]
    head = ("Name", "Default branch", "Storage namespace", "Created")
    return render("Repositories", table(head, rows) if rows else quiet("No repositories yet."))


def list_objects(call: Call) -> Response:
    name, ref = ref_of(call)
    folder, after = call.query("path"), call.query("after")
    prefix = parse_prefix(folder)
    query = Query(prefix, parse_prefix(after), FOLDER, ROWS)
    stop = after_prefix(prefix)
    with call.repository.read() as session:
        place = refs.resolve(session, ref)
        found = list_page(lambda start: staging.walk(session, place, start, stop), query)
        shown = state(session, name, place)
        lists = list(_names(session, name))
    if folder and not found.rows and not after:
        raise NotFound(f"nothing below {folder!r} at {ref!r} of {name}")
    rows = [_object_row(name, ref, prefix, key, entry) for key, entry in found.rows]
    return render(
        f"Objects of {name}",
        el("p", *_steps(name, ref, folder)),
        shown,
        table(("Name", "Size", "Changed"), rows, numbers=(1,)) if rows else quiet("No objects."),
        more(found, "repositories", name, "objects", ref=ref, path=folder),
        *lists,
        tabs=tabs(name, ref),
    )


def _object_row(
    name: str, ref: str, prefix: bytes, key: bytes, entry: Entry | None
) -> tuple[str, str, str]:
    # A key may end where the folder does; then it is shown whole.
    shown, path = (key.removeprefix(prefix) or key).decode(), key.decode()
    if entry is None:
        return link(shown, address("repositories", name, "objects", ref=ref, path=path)), "", ""
    return object_link(name, ref, path, shown), size(entry.size), moment(entry.mtime)


def object_link(name: str, ref: str, path: str, shown: str) -> Html:
    return link(shown, address("repositories", name, "object", ref=ref, path=path))


def _steps(name: str, ref: str, folder: str) -> Iterator[Html]:
    """The way from the top to the folder, each step a link."""
    yield link(f"{name} @ {ref}", address("repositories", name, "objects", ref=ref))
    above = ""
    for part in folder.split("/")[:-1]:
        above += part + "/"
        yield join(" / ", link(part or "(empty)", _folder(name, ref, above)))
    if rest := folder.rpartition("/")[2]:
        yield join(" / ", rest, "*")


def _folder(name: str, ref: str, path: str) -> str:
    return address("repositories", name, "objects", ref=ref, path=path)


def state(session: Session, name: str, place: Place) -> Html:
    dirty = place.staged_on is not None and not staging.is_clean(session, place.staged_on)
    message = place.commit.message.partition("\n")[0]
    return el(
        "p",
        "Commit ",
        _commit_link(name, place.commit.id),
        f" {message}",
        el("strong", ", and uncommitted changes") if dirty else None,
        class_="quiet",
    )


def _names(session: Session, name: str) -> Iterator[Html]:
    branches = refs.list_branches(session, "", "", NAMES + 1, hidden=False)
    tags = refs.list_tags(session, "", "", NAMES + 1)
    for kind, rows in (("Branches", branches), ("Tags", tags)):
        count = str(len(rows)) if len(rows) <= NAMES else f"the first {NAMES}"
        if rows:
            yield names(f"{kind} ({count})", [_ref_links(name, row[0]) for row in rows[:NAMES]])


def _ref_links(name: str, ref: str) -> Html:
    log = address("repositories", name, "commits", ref=ref)
    return join(link(ref, _folder(name, ref, "")), " (", link("log", log), ")")


def list_commits(call: Call) -> Response:
    name, ref = ref_of(call)
    after = call.query("after")
    with call.repository.read() as session:
        start = refs.resolve_commit(session, ref)
        log = commits.log(session, start)
        if after:
            # Consumes the log up to the last commit of the page before.
            next((commit for commit in log if commit.id == after), None)
        found = list(islice(log, COMMITS + 1))
        lists = list(_names(session, name))
    rows = [
        (
            _commit_link(name, commit.id),
            commit.message.partition("\n")[0],
            commit.committer,
            moment(commit.created_ns / NS),
        )
        for commit in found[:COMMITS]
    ]
    older = None
    if len(found) > COMMITS:
        last = found[COMMITS - 1].id
        older = link("Older commits", address("repositories", name, "commits", ref=ref, after=last))
    head = ("Commit", "Message", "Committer", "Date")
    return render(
        f"Commits of {name} @ {ref}",
        table(head, rows) if rows else quiet("No older commits."),
        older,
        *lists,
        tabs=tabs(name, ref),
    )


def _commit_link(name: str, commit_id: str) -> Html:
    short = el("code", commit_id[:SHORT])
    return link(short, address("repositories", name, "commits", commit_id))


def show_commit(call: Call) -> Response:
    name, ref, after = call.path("repository"), call.path("ref"), call.query("after")
    query = Query(b"", parse_prefix(after), b"", ROWS)
    with call.repository.read() as session:
        commit = refs.resolve_commit(session, ref)
        parent = commits.get(session, commit.parents[0]) if commit.parents else None
        changes = trees.diff(session, parent.tree if parent else trees.EMPTY_TREE, commit.tree)
        found = list_page(walk_sorted([(change.key, change) for change in changes]), query)
        shown = [change for _, change in found.rows if change is not None]
        entries = session.entries(change.right or change.left or b"" for change in shown)
    rows = []
    for change in shown:
        # What was removed is still at the parent.
        at = parent.id if parent is not None and change.right is None else commit.id
        path = change.key.decode()
        entry = entries[change.right or change.left or b""]
        rows.append((kind_of(change), object_link(name, at, path, path), size(entry.size)))
    return render(
        f"Commit {commit.id[:SHORT]} of {name}",
        el("pre", commit.message),
        _facts(name, commit),
        el("h2", "Metadata"),
        _metadata(commit.metadata),
        el("h2", f"Changes against the first parent ({len(changes)})"),
        table(("Change", "Object", "Size"), rows, numbers=(2,)) if rows else quiet("No changes."),
        more(found, "repositories", name, "commits", commit.id),
        tabs=tabs(name, commit.id),
    )


def _facts(name: str, commit: Commit) -> Html:
    parents = [
        join(_commit_link(name, parent), " (", _against(name, parent, commit.id), ") ")
        for parent in commit.parents
    ]
    rows = [
        ("Commit", el("code", commit.id)),
        ("Committer", commit.committer),
        ("Date", moment(commit.created_ns / NS)),
        ("Parents", join(*parents) if parents else "none"),
    ]
    return _pairs(rows)


def _against(name: str, parent: str, commit_id: str) -> Html:
    query = {"ref": parent, "compare": commit_id}
    return link("compare", address("repositories", name, "compare", **query))


def _pairs(rows: list[tuple[str, str]]) -> Html:
    return el("table", *(el("tr", el("th", key), el("td", value)) for key, value in rows))


def _metadata(metadata: dict[str, str]) -> Html:
    if not metadata:
        return quiet("No metadata.")
    return _pairs([(key, _value(key, metadata[key])) for key in sorted(metadata)])


def _value(key: str, value: str) -> str:
    if key.endswith(LINK_KEY) and value.lower().startswith(("http://", "https://")):
        return link(value, value)
    return _inputs(value) if key == INPUTS_KEY else value


def _inputs(text: str) -> str:
    try:
        inputs = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(inputs, dict) or not all(isinstance(v, str) for v in inputs.values()):
        return el("pre", json.dumps(inputs, indent=2, ensure_ascii=False))
    return _pairs([(name, _ref_link(uri)) for name, uri in inputs.items()]) if inputs else "none"


def _ref_link(uri: str) -> str:
    """A lakefs:// address as a link to its folder; anything else as it is."""
    if not uri.startswith(SCHEME):
        return uri
    name, _, rest = uri.removeprefix(SCHEME).partition("/")
    commit, _, path = rest.partition("/")
    return link(uri, _folder(name, commit, path)) if name and commit else uri


def show_object(call: Call) -> Response:
    """The object itself: HTML in a sandbox, text as text, everything else to be saved."""
    key = parse_key(call.query("path"))
    _, ref = ref_of(call)
    with call.repository.read() as session:
        entry = staging.get(session, refs.resolve(session, ref), key)
    name = key.decode().rpartition("/")[2]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending in HTML_TYPES:
        kind, headers = "text/html", {"Content-Security-Policy": REPORT_POLICY}
    elif ending in TEXT_TYPES:
        kind, headers = "text/plain", {"Content-Security-Policy": TEXT_POLICY}
    else:
        saved = f"attachment; filename*=UTF-8''{quote(name or 'object', safe='')}"
        headers = {"Content-Disposition": saved, "Content-Security-Policy": TEXT_POLICY}
        return send(call, entry, "application/octet-stream", SAFETY | headers)
    return send(call, entry, f"{kind}; charset=utf-8", SAFETY | headers)


def missing(call: Call) -> Response:
    raise NotFound(f"no page {call.request.scope['path']!r}")


def ref_of(call: Call) -> tuple[str, str]:
    """(repository, ref); without a ref the default branch."""
    name = call.path("repository")
    return name, call.query("ref") or call.server.repositories.info(name).default_branch


def tabs(name: str, ref: str) -> tuple[Html, ...]:
    return (
        link(name, address("repositories", name)),
        link("Objects", address("repositories", name, "objects", ref=ref)),
        link("Commits", address("repositories", name, "commits", ref=ref)),
        link("Compare", address("repositories", name, "compare", ref=ref)),
    )


def more(found: Page, *parts: str, **query: str) -> Html | None:
    if not found.has_more:
        return None
    return el("p", link("Next page", address(*parts, **query, after=found.rows[-1][0].decode())))


REPOSITORY = "/repositories/{repository}"
ROUTES = [
    Route("/", route(list_repositories)),
    Route("/repositories", route(list_repositories)),
    Route(REPOSITORY, route(list_objects)),
    Route(f"{REPOSITORY}/objects", route(list_objects)),
    Route(f"{REPOSITORY}/object", route(show_object)),
    Route(f"{REPOSITORY}/commits", route(list_commits)),
    Route(f"{REPOSITORY}/commits/{{ref:path}}", route(show_commit)),
    Route("/{rest:path}", route(missing)),
]
