"""Bodies of requests, read up to a limit, and JSON bodies of answers."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ft_resources.gateway.chat import Refusal

ENCODE = msgspec.json.Encoder().encode

MAX_BODY = 1024 * 1024  # bytes of a request of a caller


async def read_body(request: Request, limit: int) -> bytes:
    too_large = Refusal(413, f"the body may have {limit} bytes", "too_large")
    if declared_length(request) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def declared_length(request: Request) -> int:
    declared = request.headers.get("content-length", "0")
    return int(declared) if declared.isdecimal() else 0


def json_reply(
    content: object, headers: dict[str, str] | None = None, status: int = 200
) -> Response:
    return Response(ENCODE(content), status, headers, "application/json")
