"""One request as the routes see it: path, query and JSON fields by name, typed or refused.

Routes are plain functions that run in a thread, because what they do is SQLite and files. Only the
JSON body is read before; uploads, which stream, are asynchronous routes of their own.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ft_resources.lakefs.server.auth import Keys
from ft_resources.lakefs.server.blobs import Blobs
from ft_resources.lakefs.server.errors import BadRequest, TooLarge
from ft_resources.lakefs.server.events import Apply, Events, Operation
from ft_resources.lakefs.server.imports import Imports
from ft_resources.lakefs.server.repositories import Repositories
from ft_resources.lakefs.server.store import Repository

MAX_JSON_BYTES = 16 * 1024 * 1024  # a list of 1000 keys has at most 6 MB, all escaped
ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
REPLACEMENT = "\ufffd"
USER = "admin"  # the one user, and the committer of every commit


@dataclass(frozen=True)
class Server:
    repositories: Repositories
    blobs: Blobs
    keys: Keys
    started: int  # Unix seconds
    events: Events
    imports: Imports


class Call:
    def __init__(self, request: Request, body: dict[str, Any]) -> None:
        self.request = request
        self.body = body

    @property
    def server(self) -> Server:
        return self.request.app.state.server

    @property
    def repository(self) -> Repository:
        return self.server.repositories.get(self.path("repository"))

    def operation(self, kind: str, source_ref: str, **known: Any) -> Operation:
        return Operation(kind, self.path("repository"), source_ref, USER, **known)

    def perform(self, operation: Operation, apply: Apply) -> str:
        """Do it with its hooks; the id of the commit that `apply` returned."""
        return self.server.events.perform(self.repository, operation, apply)

    def path(self, name: str) -> str:
        return self.request.path_params[name]

    def query(self, name: str, default: str = "") -> str:
        value = self.request.query_params.get(name, default)
        if REPLACEMENT in value and not self._query_is_utf8():
            raise BadRequest(f"{name} is not valid UTF-8")
        return value

    def _query_is_utf8(self) -> bool:
        """Starlette reads wrong bytes as U+FFFD: two different keys would become one."""
        try:
            parse_qsl(self.request.scope["query_string"].decode("latin-1"), errors="strict")
        except UnicodeDecodeError:
            return False
        return True

    def asks(self, name: str, default: bool = False) -> bool:
        """A yes or no of the query; clients send `true` and `True`."""
        value = self.query(name, str(default)).lower()
        if value not in ("true", "false", "1", "0"):
            raise BadRequest(f"{name} must be true or false, got {value!r}")
        return value in ("true", "1")

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A text of the body; required without a default."""
        value = self.body.get(name)
        if value is None:
            value = default
        if not isinstance(value, str):
            raise BadRequest(f"field {name!r} of the body must be a text")
        return value

    def flag(self, name: str) -> bool:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadRequest(f"field {name!r} of the body must be true or false")
        return bool(value)

    def number(self, name: str) -> int | None:
        value = self.body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise BadRequest(f"field {name!r} of the body must be a whole number")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """A map of texts; empty when missing."""
        value = self.body.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise BadRequest(f"field {name!r} of the body must be an object of texts")
        return value

    def part(self, name: str) -> "Call":
        """The same call, seen from an object within the body."""
        value = self.body.get(name) or {}
        if not isinstance(value, dict):
            raise BadRequest(f"field {name!r} of the body must be an object")
        return Call(self.request, value)


def route(function: Callable[[Call], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(function, Call(request, await _read_json(request)))

    return endpoint


async def _read_json(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_JSON_BYTES:
            raise TooLarge(f"the body has more than {MAX_JSON_BYTES} bytes")
    if not data:
        return {}
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not valid JSON") from None
    if ESCAPED_SURROGATE.search(data) and not _is_utf8(body):
        raise BadRequest("the body has a text that is not valid Unicode")
    # Some settings are lists; their routes read them under this name.
    return body if isinstance(body, dict) else {"": body}


def _is_utf8(body: object) -> bool:
    """Half a surrogate pair could be stored, and would then break every answer that holds it."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
