"""One line a request: route, status, time, and what answered; never what was said.

Lines are gathered and written together: a record of `logging` and a write for each were a fifth of
the time of a request. A gateway that is killed loses the lines of its last moment, no answers.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GATHER_SECONDS = 0.05
ID_BYTES = 16
READ_IDS = 256  # of which the randomness is read at once

Lines = Callable[[bytes], Any]
_encode = msgspec.json.Encoder().encode


class AccessLines:
    """Lines that wait to be written. Only the event loop's thread may use it."""

    def __init__(self, write: Lines | None = None) -> None:
        self._write = write or _to_stdout
        self._waiting: list[bytes] = []

    def add(self, line: dict[str, Any]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        self._waiting.append(_encode(line))

    def flush(self) -> None:
        if self._waiting:
            self._waiting.append(b"")
            data = b"\n".join(self._waiting)
            self._waiting.clear()
            self._write(data)


class RandomIds:
    """128 random bits as hexadecimal digits; a system call for each would hand on the GIL."""

    def __init__(self) -> None:
        self._bytes, self._at = b"", 0

    def __call__(self) -> str:
        if self._at == len(self._bytes):
            self._bytes, self._at = os.urandom(ID_BYTES * READ_IDS), 0
        self._at += ID_BYTES
        return self._bytes[self._at - ID_BYTES : self._at].hex()


class AccessLog:
    """Gives each request an id and logs it."""

    def __init__(self, app: ASGIApp, lines: AccessLines) -> None:
        self._app = app
        self._lines = lines
        self._new_id = RandomIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, request_id = time.perf_counter(), 0, f"req_{self._new_id()}"

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = (b"x-request-id", request_id.encode())
                message["headers"] = [*message.get("headers", ()), named]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            line = {
                "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": "info",
                "event": "request",
                "request": request_id,
                "method": scope["method"],
                # The template, not the path: a path is a text of the caller.
                "route": getattr(scope.get("route"), "path", None),
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
            line.update(scope.get("state", {}).get("note", ()))
            self._lines.add(line)


def _to_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
