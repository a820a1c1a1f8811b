"""An upload's body on its way to a blob: streamed, never held as a whole.

Batches of some MB are written while the next one arrives; per-chunk threads would cost more than
the disk.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from ft_resources.lakefs.server.blobs import Blob, Blobs, BlobWriter
from ft_resources.lakefs.server.errors import BadRequest

BATCH_BYTES = 4 * 1024 * 1024
MULTIPART_FIELD = "content"
MAX_TEXT_PART_BYTES = 64 * 1024 * 1024  # of a part without a file name, which is held in memory
DEFAULT_TYPE = "application/octet-stream"


async def receive(request: Request, blobs: Blobs) -> tuple[Blob, str]:
    """(blob, content type) of a raw body, or of the field `content` of a multipart body."""
    content_type = request.headers.get("content-type") or DEFAULT_TYPE
    if not content_type.lower().startswith("multipart/form-data"):
        return await store(request.stream(), blobs), content_type
    async with request.form(max_files=1, max_part_size=MAX_TEXT_PART_BYTES) as form:
        part = form.get(MULTIPART_FIELD)
        if part is None:
            raise BadRequest(f"the multipart body has no field {MULTIPART_FIELD!r}")
        if isinstance(part, UploadFile):
            return await store(_chunks(part), blobs), part.content_type or DEFAULT_TYPE
        return await store(_single(part.encode()), blobs), DEFAULT_TYPE


async def store(chunks: AsyncIterator[bytes], blobs: Blobs) -> Blob:
    """The chunks as one content, durable when it returns."""
    writer: BlobWriter | None = None
    writing: asyncio.Task[None] | None = None
    pending = bytearray()

    async def abandon() -> None:
        if writing is not None:
            await asyncio.wait([writing])
        if writer is not None:
            await run_in_threadpool(writer.discard)

    async with AsyncExitStack() as undo:
        undo.push_async_callback(abandon)
        async for chunk in chunks:
            pending += chunk
            if len(pending) >= BATCH_BYTES:
                writer = writer or await run_in_threadpool(blobs.writer)
                if writing is not None:
                    await writing
                writing = asyncio.create_task(run_in_threadpool(writer.write, pending))
                pending = bytearray()
        if writing is not None:
            await writing
        blob = await run_in_threadpool(_finish, writer, blobs, pending)
        undo.pop_all()
        return blob


def _finish(writer: BlobWriter | None, blobs: Blobs, rest: bytearray) -> Blob:
    writer = writer or blobs.writer()
    try:
        writer.write(rest)
        return writer.finish()
    except OSError:
        writer.discard()
        raise


async def _chunks(part: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await part.read(BATCH_BYTES):
        yield chunk


async def _single(data: bytes) -> AsyncIterator[bytes]:
    yield data
