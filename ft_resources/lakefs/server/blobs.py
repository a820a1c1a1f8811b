"""Contents of objects, as files named by their sha256.

A blob is written to a temporary file, fsynced, renamed to its name, and the folder is fsynced; only
then may a record name it. So a name never holds half a content, and equal contents are stored once.
What a killed process leaves behind is a file in `incoming/`, removed at the next start.

A job on the same machine may put its file under `incoming/` itself (`reserve`, then `adopt`) and
save the upload. It must not write to the file afterwards: it would change a stored object.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ft_resources.lakefs.server.durable import locked, sync_folder
from ft_resources.lakefs.server.errors import BadRequest, Gone

READ_BYTES = 4 * 1024 * 1024
NAMES_LOCK = "names.lock"  # shared by who names a content, exclusive for who removes one
RESERVED_SECONDS = 24 * 3600
PARALLEL_HASH_BYTES = 256 * 1024  # below it a thread costs more than the hash


@dataclass(frozen=True)
class Blob:
    address: str  # sha256 hex
    checksum: str  # md5 hex
    size: int


class Blobs:
    def __init__(self, root: Path, key: bytes) -> None:
        self._root = root
        self._key = key  # signs reserved names
        self._incoming = root / "incoming"
        self._hashing = ThreadPoolExecutor(2, thread_name_prefix="blob-hash")
        self._incoming.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (root / f"{number:02x}").mkdir(exist_ok=True)
        sync_folder(root)
        self._sweep()

    def path(self, address: str) -> Path:
        return self._root / address[:2] / address

    def writer(self) -> "BlobWriter":
        return BlobWriter(self, self._incoming / f"upload-{secrets.token_hex(16)}", self._hashing)

    def check(self, address: str) -> None:
        """Raises Gone for a content that the retention rules have let go."""
        if not self.path(address).exists():
            raise Gone("the object's content has expired by the repository's retention rules")

    def read(self, address: str, start: int, stop: int) -> Iterator[bytes]:
        with self.path(address).open("rb") as file:
            file.seek(start)
            while start < stop:
                data = file.read(min(READ_BYTES, stop - start))
                if not data:
                    raise OSError(f"blob {address} ends before byte {stop}")
                start += len(data)
                yield data

    def reserve(self, scope: str) -> Path:
        """A name for a file that a local job writes; it can be adopted in this scope only."""
        stem = f"{secrets.token_hex(12)}-{int(time.time()) + RESERVED_SECONDS}"
        return self._incoming / f"reserved-{stem}-{self._signature(stem, scope)}"

    def fill(self, name: str, blob: Blob) -> None:
        """Put a content that is stored at a reserved name, as if a local job had written it."""
        file = self._incoming / f"upload-{secrets.token_hex(16)}"
        os.link(self.path(blob.address), file)
        file.replace(self._incoming / name)

    def adopt(self, file: Path, scope: str, size: int | None, checksum: str) -> Blob:
        """Take a reserved file in. Raises BadRequest when it is not what the caller says it is."""
        kind, _, rest = file.name.partition("-")
        stem, _, signature = rest.rpartition("-")
        if (
            kind != "reserved"
            or file.parent != self._incoming
            or not hmac.compare_digest(signature.encode(), self._signature(stem, scope).encode())
        ):
            raise BadRequest("physical_address was not given out for this path; ask for one")
        if int(stem.partition("-")[2]) < time.time():
            raise BadRequest("physical_address has expired; ask for a new one")
        try:
            with file.open("rb") as source:
                blob = self._measure(source)
                os.fsync(source.fileno())
        except FileNotFoundError:
            raise BadRequest("physical_address holds no file; write the object there first") from (
                None
            )
        if size != blob.size or checksum not in ("", blob.checksum):
            raise BadRequest(
                f"the file has {blob.size} bytes and md5 {blob.checksum}; the call says otherwise"
            )
        self.keep(file, blob.address)
        return blob

    def keep(self, file: Path, address: str) -> None:
        """Give an fsynced file its name, and its content a new beginning of the grace period."""
        target = self.path(address)
        with locked(self._root / NAMES_LOCK, shared=True):
            os.utime(target if target.exists() else file)
            if target.exists():
                file.unlink()
            else:
                file.chmod(0o444)
                file.rename(target)
        # Also when it was there: whoever renamed it may not have come this far yet.
        sync_folder(target.parent)

    def _measure(self, source: BinaryIO) -> Blob:
        digests, size = Digests(self._hashing), 0
        while data := source.read(READ_BYTES):
            digests.update(data)
            size += len(data)
        digests.wait()
        return Blob(digests.sha256.hexdigest(), digests.md5.hexdigest(), size)

    def _signature(self, stem: str, scope: str) -> str:
        message = f"{stem}\n{scope}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:32]

    def _sweep(self) -> None:
        now = time.time()
        for file in self._incoming.iterdir():
            kind, *parts = file.name.split("-")
            alive = kind == "reserved" and len(parts) == 3 and int(parts[1]) > now
            if not alive:
                file.unlink()


class Digests:
    """Both hashes of one content, side by side: each releases the interpreter while it works."""

    def __init__(self, hashing: ThreadPoolExecutor) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()
        self._hashing = hashing
        self._running: list[Future[None]] = []

    def update(self, data: bytes | bytearray) -> None:
        """Begin with the data, when the data before it is done."""
        self.wait()
        hashes = (self.md5.update, self.sha256.update)
        if len(data) < PARALLEL_HASH_BYTES:
            for update in hashes:
                update(data)
        else:
            self._running = [self._hashing.submit(update, data) for update in hashes]

    def wait(self) -> None:
        while self._running:
            self._running.pop().result()


class BlobWriter:
    """Write, then `finish` or `discard`. Both hashes and the write run side by side."""

    def __init__(self, blobs: Blobs, file: Path, hashing: ThreadPoolExecutor) -> None:
        self._blobs = blobs
        self._path = file
        self._file = file.open("wb", buffering=0)
        self._digests = Digests(hashing)
        self._size = 0

    def write(self, data: bytes | bytearray) -> None:
        self._digests.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._digests.wait()  # the caller may reuse the data
        self._size += len(data)

    def finish(self) -> Blob:
        os.fsync(self._file.fileno())
        self._file.close()
        blob = Blob(self._digests.sha256.hexdigest(), self._digests.md5.hexdigest(), self._size)
        self._blobs.keep(self._path, blob.address)
        return blob

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
