"""Branches and tags."""

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server import changes, refs, staging
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.errors import BadRequest, NotFound
from ft_resources.lakefs.server.keys import parse_key, parse_prefix
from ft_resources.lakefs.server.paging import amount, page_of
from ft_resources.lakefs.server.protection import check_writable
from ft_resources.lakefs.server.routes_repositories import REPOSITORY
from ft_resources.lakefs.server.store import Session

BRANCH = f"{REPOSITORY}/branches/{{branch}}"


def view(name: str, commit_id: str) -> dict[str, str]:
    return {"id": name, "commit_id": commit_id}


def list_branches(call: Call) -> Response:
    limit = amount(call)
    with call.repository.read() as session:
        rows = refs.list_branches(
            session,
            call.query("prefix"),
            call.query("after"),
            limit + 1,
            call.asks("show_hidden"),
        )
    return page_of([view(*row) for row in rows], limit)


def create_branch(call: Call) -> Response:
    name, hidden = call.text("name"), call.flag("hidden")
    source = _commit_of(call, call.text("source"))
    operation = call.operation("create-branch", source, branch=name, commit_id=source)
    commit_id = call.perform(
        operation, lambda session: refs.create_branch(session, name, source, hidden).id
    )
    # The id alone, as text/html: what lakeFS answers and its client expects.
    return PlainTextResponse(commit_id, status_code=201, media_type="text/html")


def get_branch(call: Call) -> Response:
    with call.repository.read() as session:
        return JSONResponse(view(call.path("branch"), refs.head(session, call.path("branch")).id))


def delete_branch(call: Call) -> Response:
    branch = call.path("branch")
    with call.repository.read() as session:
        head = refs.head(session, branch).id

    def apply(session: Session) -> str:
        refs.delete_branch(session, branch)
        return head

    call.perform(call.operation("delete-branch", head, branch=branch, commit_id=head), apply)
    return Response(status_code=204)


def reset_branch(call: Call) -> Response:
    kind, branch = call.text("type"), call.path("branch")
    with call.repository.write(branch) as session:
        refs.head(session, branch)
        check_writable(session, branch)
        match kind:
            case "object":
                staging.unstage(session, branch, parse_key(call.text("path")))
            case "common_prefix":
                staging.unstage_prefix(session, branch, parse_prefix(call.text("path")))
            case "reset":
                staging.unstage_prefix(session, branch, b"")
            case _:
                raise BadRequest(f"type must be object, common_prefix or reset, got {kind!r}")
    return Response(status_code=204)


def hard_reset_branch(call: Call) -> Response:
    branch = call.path("branch")
    with call.repository.write(branch) as session:
        changes.reset_hard(session, branch, call.query("ref"))
    return Response(status_code=204)


def list_tags(call: Call) -> Response:
    limit = amount(call)
    with call.repository.read() as session:
        rows = refs.list_tags(session, call.query("prefix"), call.query("after"), limit + 1)
    return page_of([view(*row) for row in rows], limit)


def create_tag(call: Call) -> Response:
    name = call.text("id")
    source = _commit_of(call, call.text("ref"))
    operation = call.operation("create-tag", source, tag=name, commit_id=source)
    commit_id = call.perform(operation, lambda session: refs.create_tag(session, name, source).id)
    return JSONResponse(view(name, commit_id), status_code=201)


def get_tag(call: Call) -> Response:
    return JSONResponse(view(call.path("tag"), _tagged(call)))


def _tagged(call: Call) -> str:
    name = call.path("tag")
    with call.repository.read() as session:
        target = refs.find_tag(session, name)
    if target is None:
        raise NotFound(f"no tag {name!r}")
    return target


def _commit_of(call: Call, expression: str) -> str:
    """The commit now, so that hooks see the one that is taken in the end."""
    with call.repository.read() as session:
        return refs.resolve_commit(session, expression).id


def delete_tag(call: Call) -> Response:
    name, target = call.path("tag"), _tagged(call)

    def apply(session: Session) -> str:
        refs.delete_tag(session, name)
        return target

    call.perform(call.operation("delete-tag", target, tag=name, commit_id=target), apply)
    return Response(status_code=204)


TAG = f"{REPOSITORY}/tags/{{tag:path}}"
ROUTES = [
    Route(f"{REPOSITORY}/branches", route(list_branches)),
    Route(f"{REPOSITORY}/branches", route(create_branch), methods=["POST"]),
    Route(BRANCH, route(get_branch)),
    Route(BRANCH, route(delete_branch), methods=["DELETE"]),
    Route(BRANCH, route(reset_branch), methods=["PUT"]),
    Route(f"{BRANCH}/hard_reset", route(hard_reset_branch), methods=["PUT"]),
    Route(f"{REPOSITORY}/tags", route(list_tags)),
    Route(f"{REPOSITORY}/tags", route(create_tag), methods=["POST"]),
    Route(TAG, route(get_tag)),
    Route(TAG, route(delete_tag), methods=["DELETE"]),
]
