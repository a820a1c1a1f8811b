"""What a presigned URL leads to: reading a content, or writing a file to be linked afterwards."""

import base64

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ft_resources.lakefs.server.auth import PRESIGNED
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.presigned import entry_of, file_name_of
from ft_resources.lakefs.server.receive import store
from ft_resources.lakefs.server.routes_objects import OBJECT_HEADERS, send


def read(call: Call) -> Response:
    entry = entry_of(call)
    return send(call, entry, entry.content_type, OBJECT_HEADERS)


async def write(request: Request) -> Response:
    """The body as it is, as stores do it; type and metadata are told when it is linked."""
    call = Call(request, {})
    name = file_name_of(call)
    blob = await store(request.stream(), call.server.blobs)
    await run_in_threadpool(call.server.blobs.fill, name, blob)
    md5 = base64.b64encode(bytes.fromhex(blob.checksum)).decode()
    return Response(headers={"ETag": f'"{blob.checksum}"', "Content-MD5": md5})


PATH = f"{PRESIGNED}{{token}}/{{name:path}}"
ROUTES = [Route(PATH, route(read)), Route(PATH, write, methods=["PUT"])]
