"""Calls that lakeFS calls internal and its older clients still make: the same rules elsewhere.

Statistics that clients send are dropped; nothing leaves this machine.
"""

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server import protection, refs, staging
from ft_resources.lakefs.server.auth import API
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.errors import Conflict, NotFound
from ft_resources.lakefs.server.gc import GRACE_SECONDS
from ft_resources.lakefs.server.keys import parse_key
from ft_resources.lakefs.server.routes_repositories import (
    REPOSITORY,
    delete_gc_rules,
    get_gc_rules,
    get_protection,
    set_gc_rules,
)


def add_protection(call: Call) -> Response:
    pattern = call.text("pattern")
    with call.repository.write() as session:
        patterns = protection.rules(session)
        if pattern in patterns:
            raise Conflict(f"a rule for {pattern!r} is there already")
        protection.set_rules(session, [*patterns, pattern], None)
    return Response(status_code=204)


def remove_protection(call: Call) -> Response:
    pattern = call.text("pattern")
    with call.repository.write() as session:
        patterns = protection.rules(session)
        if pattern not in patterns:
            raise NotFound(f"no rule for {pattern!r}")
        protection.set_rules(session, [one for one in patterns if one != pattern], None)
    return Response(status_code=204)


def collection(call: Call) -> Response:
    return JSONResponse({"grace_period": GRACE_SECONDS})


def underlying_properties(call: Call) -> Response:
    key = parse_key(call.query("path"))
    with call.repository.read() as session:
        staging.get(session, refs.resolve(session, call.path("ref")), key)
    return JSONResponse({"storage_class": None})  # a file on this machine has none


def usage(call: Call) -> Response:
    return JSONResponse({"installation_id": "", "reports": []})


def accept_statistics(call: Call) -> Response:
    return Response(status_code=204)


def refuse_setup(call: Call) -> Response:
    raise Conflict("lakeFS is already initialized; its keys are given where it is started")


RULES = f"{REPOSITORY}/branch_protection"
GC_RULES = f"{REPOSITORY}/gc/rules"
ROUTES = [
    Route(RULES, route(get_protection)),
    Route(RULES, route(add_protection), methods=["POST"]),
    Route(RULES, route(remove_protection), methods=["DELETE"]),
    Route(GC_RULES, route(get_gc_rules)),
    Route(GC_RULES, route(set_gc_rules), methods=["POST"]),
    Route(GC_RULES, route(delete_gc_rules), methods=["DELETE"]),
    Route(f"{API}/config/garbage-collection", route(collection)),
    Route(
        f"{REPOSITORY}/refs/{{ref:path}}/objects/underlyingProperties",
        route(underlying_properties),
    ),
    Route(f"{API}/usage-report/summary", route(usage)),
    Route(f"{API}/statistics", route(accept_statistics), methods=["POST"]),
    Route(f"{API}/setup_lakefs", route(refuse_setup), methods=["POST"]),
    Route(f"{API}/setup_comm_prefs", route(refuse_setup), methods=["POST"]),
]
