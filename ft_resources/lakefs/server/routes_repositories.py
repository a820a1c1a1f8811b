"""Repositories, and their settings: metadata, branch protection, retention rules."""

import re
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server import protection, retention, samples
from ft_resources.lakefs.server.auth import API
from ft_resources.lakefs.server.calls import USER, Call, route
from ft_resources.lakefs.server.errors import BadRequest, NotEmbedded, NotFound
from ft_resources.lakefs.server.paging import amount, page_of
from ft_resources.lakefs.server.repositories import Info
from ft_resources.lakefs.server.routes_server import NAMESPACE

REPOSITORY = f"{API}/repositories/{{repository}}"
METADATA = "metadata"


def view(info: Info) -> dict[str, Any]:
    return {
        "id": info.id,
        "creation_date": info.creation_date,
        "default_branch": info.default_branch,
        "storage_id": "",
        "storage_namespace": info.storage_namespace,
        "read_only": False,
    }


def list_repositories(call: Call) -> Response:
    prefix, after, limit = call.query("prefix"), call.query("after"), amount(call)
    search = call.query("search")
    infos = [
        view(info)
        for info in call.server.repositories.infos()
        if info.id.startswith(prefix) and info.id > after and search in info.id
    ]
    return page_of(infos, limit)


def create_repository(call: Call) -> Response:
    if call.asks("bare"):
        raise NotEmbedded("bare repositories are")
    if call.flag("read_only"):
        raise NotEmbedded("read-only repositories are")
    if call.text("storage_id", ""):
        raise BadRequest(f"unknown storage_id {call.text('storage_id')!r}; leave it empty")
    namespace = call.text("storage_namespace")
    if not re.match(NAMESPACE, namespace):
        raise BadRequest(
            f"storage_namespace must be a URI such as local://bucket/path, got {namespace!r}"
        )
    default_branch = call.text("default_branch", "main") or "main"
    with_samples = call.flag("sample_data")
    info = call.server.repositories.create(call.text("name"), namespace, default_branch, USER)
    if with_samples:
        repository = call.server.repositories.get(info.id)
        samples.add(repository, call.server.blobs, default_branch, USER)
    return JSONResponse(view(info), status_code=201)


def get_repository(call: Call) -> Response:
    return JSONResponse(view(call.server.repositories.info(call.path("repository"))))


def delete_repository(call: Call) -> Response:
    call.server.repositories.delete(call.path("repository"))
    return Response(status_code=204)


def get_metadata(call: Call) -> Response:
    with call.repository.read() as session:
        return JSONResponse(session.setting(METADATA) or {})


def set_metadata(call: Call) -> Response:
    new = call.texts("metadata")
    with call.repository.write() as session:
        session.set_setting(METADATA, {**(session.setting(METADATA) or {}), **new})
    return Response(status_code=201)


def delete_metadata(call: Call) -> Response:
    keys = call.body.get("keys")
    if not isinstance(keys, list):
        raise BadRequest("field 'keys' of the body must be a list")
    with call.repository.write() as session:
        old = session.setting(METADATA) or {}
        session.set_setting(METADATA, {k: v for k, v in old.items() if k not in keys})
    return Response(status_code=204)


def get_protection(call: Call) -> Response:
    with call.repository.read() as session:
        patterns = protection.rules(session)
    headers = {"ETag": f'"{protection.etag(patterns)}"'}
    return JSONResponse([{"pattern": pattern} for pattern in patterns], headers=headers)


def set_protection(call: Call) -> Response:
    rules = call.body.get("", [] if not call.body else None)
    patterns = [rule.get("pattern") for rule in rules or [] if isinstance(rule, dict)]
    if (
        rules is None
        or len(patterns) != len(rules)
        or not all(isinstance(p, str) and p for p in patterns)
    ):
        raise BadRequest('the body must be a list of {"pattern": "branch name or glob"}')
    with call.repository.write() as session:
        protection.set_rules(session, patterns, call.header("if-match"))
    return Response(status_code=204)


def get_gc_rules(call: Call) -> Response:
    with call.repository.read() as session:
        rules = retention.rules(session)
    if rules is None:
        raise NotFound("no garbage collection rules are set")
    return JSONResponse(rules.to_json())


def set_gc_rules(call: Call) -> Response:
    rules = retention.parse(call.body)
    with call.repository.write() as session:
        session.set_setting(retention.SETTING, rules.to_json())
    return Response(status_code=204)


def delete_gc_rules(call: Call) -> Response:
    with call.repository.write() as session:
        session.drop_setting(retention.SETTING)
    return Response(status_code=204)


def allowed(call: Call) -> Response:
    """May the caller set this? The one user may do all that there is."""
    call.server.repositories.get(call.path("repository"))
    return Response(status_code=204)


PROTECTION_PATH = f"{REPOSITORY}/settings/branch_protection"
GC_PATH = f"{REPOSITORY}/settings/gc_rules"
ROUTES = [
    Route(f"{API}/repositories", route(list_repositories)),
    Route(f"{API}/repositories", route(create_repository), methods=["POST"]),
    Route(REPOSITORY, route(get_repository)),
    Route(REPOSITORY, route(delete_repository), methods=["DELETE"]),
    Route(f"{REPOSITORY}/metadata", route(get_metadata)),
    Route(f"{REPOSITORY}/metadata", route(set_metadata), methods=["POST"]),
    Route(f"{REPOSITORY}/metadata", route(delete_metadata), methods=["DELETE"]),
    Route(PROTECTION_PATH, route(get_protection)),
    Route(PROTECTION_PATH, route(set_protection), methods=["PUT"]),
    Route(f"{REPOSITORY}/branch_protection/set_allowed", route(allowed)),
    Route(GC_PATH, route(get_gc_rules)),
    Route(GC_PATH, route(set_gc_rules), methods=["PUT"]),
    Route(GC_PATH, route(delete_gc_rules), methods=["DELETE"]),
    Route(f"{REPOSITORY}/gc/rules/set_allowed", route(allowed)),
]
