"""URLs that carry their own permission: to read one content, or to write one reserved file.

Whoever has such a URL may do that one thing until it ends, without the key pair. It is signed with
a key derived from the server's secret: a new secret ends them all. It leads to this server, at the
address that the caller used; what it reads stays what it was, whatever happens to branches.
"""

import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from ft_resources.lakefs.server.auth import PRESIGNED
from ft_resources.lakefs.server.calls import Call
from ft_resources.lakefs.server.entries import Entry, decode, encode
from ft_resources.lakefs.server.errors import Forbidden, NotAuthenticated

SECONDS = 15 * 60  # lakeFS's default
READ, WRITE = "presigned read", "presigned write"


def read_url(call: Call, key: bytes, entry: Entry) -> tuple[str, int]:
    """(URL, when it ends in Unix seconds). It ends with the object's name, for clients that tell
    a format by that.
    """
    name = key.decode().rpartition("/")[2]
    return _url(call, READ, encode(replace(entry, metadata={})).decode(), name)


def write_url(call: Call, file: Path) -> tuple[str, int]:
    return _url(call, WRITE, file.name, "")


def entry_of(call: Call) -> Entry:
    """What the URL of this call may read. Raises Forbidden for a URL that is forged or over."""
    return decode(_granted(call, READ).encode())


def file_name_of(call: Call) -> str:
    """The reserved name that the URL of this call may write. Raises Forbidden as `entry_of`."""
    return _granted(call, WRITE)


def _url(call: Call, purpose: str, granted: str, name: str) -> tuple[str, int]:
    expires = int(time.time()) + SECONDS
    token = call.server.keys.seal(purpose, granted, expires)
    base = str(call.request.base_url).rstrip("/")
    return f"{base}{PRESIGNED}{token}/{quote(name, safe='')}", expires


def _granted(call: Call, purpose: str) -> str:
    try:
        return call.server.keys.unseal(purpose, call.path("token"))
    except NotAuthenticated:
        raise Forbidden(
            "the presigned URL is not one of this server's, or has expired; ask for a new one"
        ) from None
