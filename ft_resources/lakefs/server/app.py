"""The embedded lakeFS server: what the clients `lakefs`, `lakefs-sdk` and lakefs-spec need.

It keeps everything below one folder, described in repositories.py, and is made for one machine: no
users or policies, presigned multipart uploads, pull requests, Lua or S3 gateway. Calls for those
are answered with 501 and a message, never silently ignored. Its pages (routes_pages.py) show what
is there; lakeFS's own also change it.

Source of the contract: lakeFS's API as its Python clients 0.16 and 1.88 speak it,
https://docs.lakefs.io/reference/api/.
"""

import contextlib
import fcntl
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ft_resources.lakefs.server import (
    routes_actions,
    routes_commits,
    routes_compare,
    routes_imports,
    routes_internal,
    routes_objects,
    routes_pages,
    routes_presigned,
    routes_refs,
    routes_repositories,
    routes_server,
)
from ft_resources.lakefs.server.auth import Authentication, Keys, is_page
from ft_resources.lakefs.server.blobs import Blobs
from ft_resources.lakefs.server.calls import Server
from ft_resources.lakefs.server.errors import Refused, answer
from ft_resources.lakefs.server.events import Events
from ft_resources.lakefs.server.hooks import Hooks
from ft_resources.lakefs.server.imports import Imports
from ft_resources.lakefs.server.options import Options
from ft_resources.lakefs.server.pages import error_page, refused_page
from ft_resources.lakefs.server.repositories import Repositories


def create_app(
    root: Path, access_key_id: str, secret_access_key: str, options: Options | None = None
) -> Starlette:
    """Open the folder, making it if it is not there. Raises OSError when a server runs on it."""
    keys = Keys(access_key_id, secret_access_key)
    options = options or Options()
    root = root.resolve()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as opening:
        lock = opening.enter_context(_lock(root))
        repositories = Repositories(root)
        blobs = Blobs(root / "blobs", keys.derived("reserved names"))
        events = Events(Hooks(options.functions, options.hook_hosts), blobs)
        imports = Imports(options.import_root, blobs)
        opening.pop_all()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        yield
        imports.close()
        events.close()
        repositories.close()
        lock.close()

    app = Starlette(
        routes=[
            *routes_server.ROUTES,
            *routes_repositories.ROUTES,
            *routes_refs.ROUTES,
            *routes_commits.ROUTES,
            *routes_objects.ROUTES,
            *routes_actions.ROUTES,
            *routes_imports.ROUTES,
            *routes_presigned.ROUTES,
            *routes_internal.ROUTES,
            *routes_server.REST,
            *routes_compare.ROUTES,
            *routes_pages.ROUTES,
        ],
        middleware=[Middleware(Authentication, keys=keys)],
        exception_handlers={
            Refused: _refused,
            HTTPException: _http_error,
            Exception: _server_error,
        },
        lifespan=lifespan,
    )
    app.state.server = Server(repositories, blobs, keys, int(time.time()), events, imports)
    return app


def _lock(root: Path) -> IO[str]:
    """Held as long as the server lives: a second one would sweep away the uploads of the first."""
    lock = (root / "server.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise OSError(
            f"another lakeFS server runs on {root}; stop it, or use another folder"
        ) from None
    return lock


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 (registered for it)
    return refused_page(error) if is_page(request.scope["path"]) else answer(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
    if is_page(request.scope["path"]):
        return error_page(error.status_code, error.detail, error.headers)
    return JSONResponse({"message": error.detail}, error.status_code, error.headers)


async def _server_error(request: Request, error: Exception) -> Response:
    message = f"internal error: {type(error).__name__}"
    if is_page(request.scope["path"]):
        return error_page(500, message)
    return JSONResponse({"message": message}, 500)
