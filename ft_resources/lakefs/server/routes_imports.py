"""Imports: start one, ask how far it is, cancel it."""

from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server import changes, commits, refs
from ft_resources.lakefs.server.calls import USER, Call, route
from ft_resources.lakefs.server.commits import Text
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import BadRequest
from ft_resources.lakefs.server.imports import Import, Source
from ft_resources.lakefs.server.protection import check_committable
from ft_resources.lakefs.server.routes_commits import view
from ft_resources.lakefs.server.routes_refs import BRANCH
from ft_resources.lakefs.server.store import Session


def _sources(call: Call) -> list[Source]:
    paths = call.body.get("paths")
    if not isinstance(paths, list) or not paths or not all(isinstance(p, dict) for p in paths):
        raise BadRequest("field 'paths' of the body must be a list of sources")
    parts = [Call(call.request, path) for path in paths]
    return [
        call.server.imports.source(part.text("type"), part.text("path"), part.text("destination"))
        for part in parts
    ]


def start(call: Call) -> Response:
    sources, part = _sources(call), call.part("commit")
    text = Text(part.text("message", "") or "Import objects", part.texts("metadata"), USER)
    branch, allow_empty, force = call.path("branch"), part.flag("allow_empty"), call.flag("force")
    repository = call.repository

    def check(session: Session) -> None:
        changes.clean_head(session, branch)
        if not force:
            check_committable(session, branch)

    with repository.read() as session:
        check(session)
    prefixes = [source.destination for source in sources if source.is_prefix]
    operation = call.operation(
        "commit", branch, branch=branch, message=text.message, metadata=text.metadata
    )
    server = call.server

    def commit(entries: dict[bytes, Entry]) -> str:
        def apply(session: Session) -> str:
            check(session)
            # A long import may outlast the grace period; nobody collects while this is open.
            for entry in entries.values():
                server.blobs.check(entry.address)
            return changes.replace_objects(session, branch, prefixes, entries, text, allow_empty).id

        return server.events.perform(repository, operation, apply)

    job = server.imports.start(call.path("repository"), branch, sources, commit)
    return JSONResponse({"id": job.id}, status_code=202)


def _job(call: Call) -> Import:
    branch = call.path("branch")
    with call.repository.read() as session:
        refs.head(session, branch)
    return call.server.imports.find(call.path("repository"), branch, call.query("id"))


def status(call: Call) -> Response:
    job = _job(call)
    shown: dict[str, Any] = {
        "completed": bool(job.commit_id),
        "update_time": datetime.fromtimestamp(job.updated, UTC).isoformat(),
        "ingested_objects": job.objects,
    }
    if job.commit_id:
        with call.repository.read() as session:
            commit = commits.get(session, job.commit_id)
        shown |= {"commit": view(commit), "metarange_id": commit.tree.hex()}
    if job.error:
        shown["error"] = {"message": job.error}
    return JSONResponse(shown)


def cancel(call: Call) -> Response:
    job = _job(call)
    call.server.imports.cancel(*job.branch, job.id)
    return Response(status_code=204)


IMPORT = f"{BRANCH}/import"
ROUTES = [
    Route(IMPORT, route(start), methods=["POST"]),
    Route(IMPORT, route(status)),
    Route(IMPORT, route(cancel), methods=["DELETE"]),
]
