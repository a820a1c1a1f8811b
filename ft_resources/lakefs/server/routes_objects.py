"""Objects: upload, read, list, copy, delete, and linking of files that a local job wrote."""

import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ft_resources.lakefs.server import refs, staging
from ft_resources.lakefs.server.blobs import READ_BYTES, Blob
from ft_resources.lakefs.server.calls import Call, route
from ft_resources.lakefs.server.commits import Commit
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import (
    BadRequest,
    Forbidden,
    PreconditionFailed,
)
from ft_resources.lakefs.server.keys import after_prefix, parse_key
from ft_resources.lakefs.server.listing import list_page
from ft_resources.lakefs.server.paging import key_query, page
from ft_resources.lakefs.server.presigned import read_url, write_url
from ft_resources.lakefs.server.protection import WRITE_REFUSED, check_writable, is_protected
from ft_resources.lakefs.server.ranges import byte_range
from ft_resources.lakefs.server.receive import DEFAULT_TYPE, receive
from ft_resources.lakefs.server.refs import Place
from ft_resources.lakefs.server.routes_refs import BRANCH
from ft_resources.lakefs.server.routes_repositories import REPOSITORY
from ft_resources.lakefs.server.store import Session

METADATA_HEADER = "x-lakefs-meta-"
LOCAL = "local://"
MAX_DELETE = 1000  # keys in one call, as in lakeFS
# The content type is the uploader's: a browser that is logged in must not run what is HTML there.
OBJECT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def view(call: Call, key: bytes, entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "path": key.decode(),
        "path_type": "object",
        "physical_address": _physical_address(call, key, entry),
        "checksum": entry.checksum,
        "size_bytes": entry.size,
        "mtime": entry.mtime,
        "content_type": entry.content_type,
    }
    if call.asks("presign"):
        shown["physical_address"], shown["physical_address_expiry"] = read_url(call, key, entry)
    if call.asks("user_metadata", default=True):
        shown["metadata"] = entry.metadata
    return shown


def _physical_address(call: Call, key: bytes, entry: Entry) -> str:
    """The file, with the key behind `#`: every object has its own address, also a copy."""
    return f"{LOCAL}{call.server.blobs.path(entry.address)}#{quote(key)}"


def _prefix_view(key: bytes) -> dict[str, Any]:
    return {
        "path": key.decode(),
        "path_type": "common_prefix",
        "physical_address": "",
        "checksum": "",
        "size_bytes": 0,
        "mtime": 0,
    }


def _new_entry(blob: Blob, content_type: str, metadata: dict[str, str]) -> Entry:
    now = int(time.time())
    return Entry(blob.address, blob.size, blob.checksum, content_type, metadata, now)


def _writable_head(session: Session, branch: str) -> Commit:
    head = refs.head(session, branch)
    check_writable(session, branch)
    return head


def _check_conditions(session: Session, call: Call, head: Commit, key: bytes) -> None:
    """If-None-Match: * creates only; If-Match replaces only the object with that checksum."""
    none_match, match = call.header("if-none-match"), call.header("if-match")
    if none_match is None and match is None:
        return
    if none_match not in (None, "*"):
        raise BadRequest(f"If-None-Match must be '*' for a write, got {none_match!r}")
    entry = staging.find(session, Place(head, call.path("branch")), key)
    if none_match is not None and entry is not None:
        raise PreconditionFailed(f"path already exists: {key.decode()!r}")
    if match is not None and (entry is None or match.strip('"') != entry.checksum):
        raise PreconditionFailed(f"the object at {key.decode()!r} is not the one of If-Match")


def _stage(call: Call, key: bytes, entry: Entry) -> Response:
    branch = call.path("branch")
    with call.repository.write(branch) as session:
        head = _writable_head(session, branch)
        _check_conditions(session, call, head, key)
        entry = staging.put(session, branch, head, key, entry)
    return JSONResponse(view(call, key, entry), status_code=201)


async def upload(request: Request) -> Response:
    call = Call(request, {})
    key = parse_key(call.query("path"))

    def check() -> None:
        with call.repository.read() as session:
            head = _writable_head(session, call.path("branch"))
            _check_conditions(session, call, head, key)

    # Before the body too: a refused upload should not cost a disk full of bytes.
    await run_in_threadpool(check)
    blob, content_type = await receive(request, call.server.blobs)
    entry = _new_entry(blob, content_type, _user_metadata(request))
    return await run_in_threadpool(_stage, call, key, entry)


def _user_metadata(request: Request) -> dict[str, str]:
    found = {}
    for name, value in request.headers.raw:
        header = name.decode("latin-1").lower()
        if header.startswith(METADATA_HEADER):
            found[header.removeprefix(METADATA_HEADER)] = _header_text(value)
    return found


def _header_text(value: bytes) -> str:
    """Clients send UTF-8 or Latin-1; bytes that are UTF-8 are hardly ever meant as Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _read(call: Call) -> tuple[bytes, Entry]:
    key = parse_key(call.query("path"))
    with call.repository.read() as session:
        return key, staging.get(session, refs.resolve(session, call.path("ref")), key)


def get_object(call: Call) -> Response:
    key, entry = _read(call)
    if call.asks("presign"):
        return Response(status_code=302, headers={"Location": read_url(call, key, entry)[0]})
    return send(call, entry, entry.content_type, OBJECT_HEADERS)


def send(call: Call, entry: Entry, content_type: str, headers: Mapping[str, str]) -> Response:
    """The content, or the part or the 304 that the request asks for."""
    call.server.blobs.check(entry.address)
    etag = f'"{entry.checksum}"'
    headers = {
        **headers,
        "ETag": etag,
        "Last-Modified": formatdate(entry.mtime, usegmt=True),
        "Accept-Ranges": "bytes",
    }
    if call.header("if-none-match") in (etag, entry.checksum):
        return Response(status_code=304, headers=headers)
    part = byte_range(call.header("range"), entry.size)
    start, stop = part or (0, entry.size)
    status = 200 if part is None else 206
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{entry.size}"
    headers["Content-Length"] = str(stop - start)
    headers["Content-Type"] = content_type
    if call.request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    content = call.server.blobs.read(entry.address, start, stop)
    if stop - start <= READ_BYTES:
        return Response(b"".join(content), status, headers)
    return StreamingResponse(iterate_in_threadpool(content), status, headers)


def stat_object(call: Call) -> Response:
    key, entry = _read(call)
    return JSONResponse(view(call, key, entry))


def list_objects(call: Call) -> Response:
    query = key_query(call)
    call.asks("user_metadata", default=True)  # refused also where there is nothing to list
    stop = after_prefix(query.prefix)
    with call.repository.read() as session:
        place = refs.resolve(session, call.path("ref"))
        found = list_page(lambda start: staging.walk(session, place, start, stop), query)
    rows = [
        _prefix_view(key) if entry is None else view(call, key, entry) for key, entry in found.rows
    ]
    return page(rows, found.has_more, "path")


def delete_object(call: Call) -> Response:
    key, branch = parse_key(call.query("path")), call.path("branch")
    with call.repository.write(branch) as session:
        staging.remove(session, branch, _writable_head(session, branch), key)
    return Response(status_code=204)


def delete_objects(call: Call) -> Response:
    """What cannot be deleted is listed in the answer, which is 200 all the same."""
    paths, branch = call.body.get("paths"), call.path("branch")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BadRequest("field 'paths' of the body must be a list of texts")
    if len(paths) > MAX_DELETE:
        raise BadRequest(f"at most {MAX_DELETE} paths in one call, got {len(paths)}")
    keys = [parse_key(path) for path in paths if path]
    with call.repository.write(branch) as session:
        head = refs.head(session, branch)
        if is_protected(session, branch):
            refused = {"status_code": Forbidden.status, "message": WRITE_REFUSED}
            return JSONResponse({"errors": [{"path": path, **refused} for path in paths]})
        for key in keys:
            staging.remove(session, branch, head, key)
    return JSONResponse({"errors": []})


def copy_object(call: Call) -> Response:
    branch = call.path("branch")
    target, source = parse_key(call.query("dest_path")), parse_key(call.text("src_path"))
    with call.repository.write(branch) as session:
        head = _writable_head(session, branch)
        place = refs.resolve(session, call.text("src_ref", "") or branch)
        entry = replace(staging.get(session, place, source), mtime=int(time.time()))
        call.server.blobs.check(entry.address)
        entry = staging.put(session, branch, head, target, entry)
    return JSONResponse(view(call, target, entry), status_code=201)


def set_user_metadata(call: Call) -> Response:
    key, branch = parse_key(call.query("path")), call.path("branch")
    metadata = call.texts("set")
    with call.repository.write(branch) as session:
        head = _writable_head(session, branch)
        entry = staging.get(session, Place(head, branch), key)
        entry = replace(entry, metadata=metadata, mtime=int(time.time()))
        staging.put(session, branch, head, key, entry)
    return Response(status_code=201)


def stage_allowed(call: Call) -> Response:
    parse_key(call.query("path"))
    with call.repository.read() as session:
        _writable_head(session, call.path("branch"))
    return Response(status_code=204)


def get_backing(call: Call) -> Response:
    """A file name for a job on this machine to write, or hard-link its file to; presigned, a URL
    to send the file to.
    """
    key = parse_key(call.query("path"))
    with call.repository.read() as session:
        _writable_head(session, call.path("branch"))
    file = call.server.blobs.reserve(_scope(call, key))
    location: dict[str, Any] = {"physical_address": LOCAL + str(file)}
    if call.asks("presign"):
        url, expires = write_url(call, file)
        location |= {"presigned_url": url, "presigned_url_expiry": expires}
    return JSONResponse(location)


def link_backing(call: Call) -> Response:
    key, size = parse_key(call.query("path")), call.number("size_bytes")
    address = call.part("staging").text("physical_address")
    if not address.startswith(LOCAL):
        raise BadRequest("physical_address was not given out by this server; ask for one")
    content_type = call.text("content_type", "") or DEFAULT_TYPE
    if not (content_type.isascii() and content_type.isprintable()):
        raise BadRequest(f"content_type must be printable ASCII, got {content_type!r}")
    with call.repository.read() as session:
        head = _writable_head(session, call.path("branch"))
        _check_conditions(session, call, head, key)
    file = Path(address.removeprefix(LOCAL))
    blob = call.server.blobs.adopt(file, _scope(call, key), size, call.text("checksum"))
    entry = _new_entry(blob, content_type, call.texts("user_metadata"))
    response = _stage(call, key, entry)
    response.status_code = 200
    return response


def _scope(call: Call, key: bytes) -> str:
    return f"{call.path('repository')}/{call.path('branch')}/{key.decode()}"


OBJECTS = f"{BRANCH}/objects"
REF_OBJECTS = f"{REPOSITORY}/refs/{{ref:path}}/objects"
BACKING = f"{BRANCH}/staging/backing"
ROUTES = [
    Route(OBJECTS, upload, methods=["POST"]),
    Route(OBJECTS, route(delete_object), methods=["DELETE"]),
    Route(f"{OBJECTS}/delete", route(delete_objects), methods=["POST"]),
    Route(f"{OBJECTS}/copy", route(copy_object), methods=["POST"]),
    Route(f"{OBJECTS}/stage_allowed", route(stage_allowed)),
    Route(f"{OBJECTS}/stat/user_metadata", route(set_user_metadata), methods=["PUT"]),
    Route(f"{REF_OBJECTS}/stat", route(stat_object)),
    Route(f"{REF_OBJECTS}/ls", route(list_objects)),
    Route(REF_OBJECTS, route(get_object)),
    Route(BACKING, route(get_backing)),
    Route(BACKING, route(link_backing), methods=["PUT"]),
]
