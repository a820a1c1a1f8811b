"""Calls about the server itself: health, configuration, login, user.

The version must be plain x.y.z: lakefs-spec turns its parts into numbers.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ft_resources.lakefs.server.auth import API
from ft_resources.lakefs.server.calls import USER, Call, route
from ft_resources.lakefs.server.errors import NotEmbedded

VERSION = "1.88.0"  # the lakeFS release whose API this server follows
NAMESPACE = "^[a-z][a-z0-9+.-]*://"
STORAGE = {
    "blockstore_type": "local",
    "blockstore_namespace_example": "local://example-bucket/",
    "blockstore_namespace_ValidityRegex": NAMESPACE,
    "default_namespace_prefix": "local://",
    "pre_sign_support": False,
    "pre_sign_support_ui": False,
    "pre_sign_multipart_upload": False,
}
# What lakeFS has and this server has not, by a part of its path; the first one that fits.
MISSING = {
    "/pulls": "pull requests are",
    "/auth/external": "external principals are",
    "/external/principals": "external principals are",
    "/sts/": "STS login is",
    "/auth/": "users, groups and policies are",
    "/staging/pmpu": "presigned multipart uploads are",
    "/symlink": "symlink files are",
    "/dump": "dumping refs is",
    "/restore": "restoring refs is",
    "/metadata/": "reading meta ranges is",
    "/gc/prepare": "garbage collection by Spark (`ft lakefs gc` does it here) is",
    "/objects": "staging an object by its address is",
    "/commits": "creating commit records is",
}


def health(call: Call) -> Response:
    return Response(status_code=204)


def _storage(call: Call) -> dict[str, object]:
    supported = call.server.imports.supported
    regex = "^(local|file)://" if supported else "^$"
    return {**STORAGE, "import_support": supported, "import_validity_regex": regex}


def config(call: Call) -> Response:
    return JSONResponse({"version_config": {"version": VERSION}, "storage_config": _storage(call)})


def config_version(call: Call) -> Response:
    return JSONResponse({"version": VERSION})


def config_storage(call: Call) -> Response:
    return JSONResponse(_storage(call))


def setup_state(call: Call) -> Response:
    return JSONResponse({"state": "initialized", "comm_prefs_missing": False})


def login(call: Call) -> Response:
    keys = call.server.keys
    keys.check_pair(call.text("access_key_id"), call.text("secret_access_key"))
    token, expires = keys.new_token()
    return JSONResponse({"token": token, "token_expiration": expires})


def user(call: Call) -> Response:
    return JSONResponse({"user": {"id": USER, "creation_date": call.server.started}})


async def not_embedded(request: Request) -> Response:
    path = request.url.path
    missing = next((what for part, what in MISSING.items() if part in path), None)
    raise NotEmbedded(missing or f"{request.method} {path} is")


ROUTES = [
    Route(f"{API}/healthcheck", route(health)),
    Route(f"{API}/config", route(config)),
    Route(f"{API}/config/version", route(config_version)),
    Route(f"{API}/config/storage", route(config_storage)),
    Route(f"{API}/setup_lakefs", route(setup_state)),
    Route(f"{API}/auth/login", route(login), methods=["POST"]),
    Route(f"{API}/user", route(user)),
]
ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
# Last in the table: what lakeFS has and this server has not.
REST = [Route(f"{API}/{{rest:path}}", not_embedded, methods=ALL_METHODS)]
