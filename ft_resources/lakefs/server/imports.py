"""Imports: files of one folder of this machine become objects of a branch, in one commit.

The server reads only below the folder it was started with, also through links. Contents are copied,
so that the files may change afterwards; nothing is visible until all of it is committed. As in
lakeFS an import replaces what its destinations held before. A server that stops forgets its
imports, finished or not; an unfinished one has changed nothing.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ft_resources.lakefs.server.blobs import READ_BYTES, Blob, Blobs
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.errors import BadRequest, Conflict, Forbidden, NotFound, Refused
from ft_resources.lakefs.server.keys import parse_key

SCHEMES = ("local://", "file://")
CONTENT_TYPE = "application/octet-stream"
KEPT = 1000  # finished imports whose status can be asked for


@dataclass(frozen=True)
class Source:
    path: Path  # a file, or a folder whose files are taken
    destination: bytes  # the key, or the prefix for a folder
    is_prefix: bool


@dataclass
class Import:
    id: str
    branch: tuple[str, str]  # repository, branch
    updated: float
    objects: int = 0
    commit_id: str = ""
    error: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)


Commit = Callable[[dict[bytes, Entry]], str]


class Imports:
    def __init__(self, root: Path | None, blobs: Blobs) -> None:
        if root is not None and not root.is_dir():
            raise NotADirectoryError(f"no folder at {root} to import from")
        self._root = None if root is None else root.resolve()
        self._blobs = blobs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lakefs-import")
        self._jobs: dict[str, Import] = {}

    def close(self) -> None:
        for job in list(self._jobs.values()):
            job.cancelled.set()
        self._thread.shutdown()

    @property
    def supported(self) -> bool:
        return self._root is not None

    def source(self, kind: str, path: str, destination: str) -> Source:
        """Raises Forbidden for what the server may not read, BadRequest for what is not there."""
        if kind not in ("object", "common_prefix"):
            raise BadRequest(f"type must be object or common_prefix, got {kind!r}")
        scheme = next((one for one in SCHEMES if path.startswith(one)), None)
        if scheme is None:
            raise BadRequest(f"path must begin with {' or '.join(SCHEMES)}, got {path!r}")
        place = self._allowed(Path("/" + path.removeprefix(scheme).lstrip("/")), path)
        if kind == "object":
            if not place.is_file():
                raise BadRequest(f"{path!r} is not a file")
            return Source(place, parse_key(destination), False)
        if not place.is_dir():
            raise BadRequest(f"{path!r} is not a folder")
        if destination and not destination.endswith("/"):
            destination += "/"
        return Source(place, destination.encode(), True)

    def start(self, repository: str, branch: str, sources: list[Source], commit: Commit) -> Import:
        job = Import(secrets.token_hex(10), (repository, branch), time.time())
        finished = [key for key, old in self._jobs.items() if old.commit_id or old.error]
        for key in finished[: max(0, len(finished) - KEPT)]:
            del self._jobs[key]
        self._jobs[job.id] = job
        self._thread.submit(self._run, job, sources, commit)
        return job

    def find(self, repository: str, branch: str, job_id: str) -> Import:
        job = self._jobs.get(job_id)
        if job is None or job.branch != (repository, branch):
            raise NotFound(f"no import {job_id!r} on branch {branch!r}")
        return job

    def cancel(self, repository: str, branch: str, job_id: str) -> None:
        job = self.find(repository, branch, job_id)
        if job.commit_id or job.error:
            raise Conflict(f"import {job_id!r} has ended already")
        job.cancelled.set()

    def _run(self, job: Import, sources: list[Source], commit: Commit) -> None:
        try:
            entries = {}
            for source in sources:
                for key, file in self._files(source):
                    if job.cancelled.is_set():
                        raise Conflict("the import was cancelled")
                    entries[key] = self._take(file)
                    job.objects, job.updated = len(entries), time.time()
            job.commit_id = commit(entries)
        except Refused as error:
            job.error = error.message
        except OSError as error:
            job.error = f"cannot read or store a file: {error.strerror}"
        job.updated = time.time()

    def _files(self, source: Source) -> Iterator[tuple[bytes, Path]]:
        if not source.is_prefix:
            yield source.destination, source.path
            return
        for folder, folders, names in os.walk(source.path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                below = file.relative_to(source.path).as_posix()
                yield parse_key(source.destination.decode() + below), file

    def _take(self, file: Path) -> Entry:
        # Again, and for each file: a link below a folder that is allowed may lead elsewhere.
        place = self._allowed(file, str(file))
        if not place.is_file():
            raise BadRequest(f"{str(file)!r} is not a file")
        blob = self._copy(place)
        mtime = int(place.stat().st_mtime)
        return Entry(blob.address, blob.size, blob.checksum, CONTENT_TYPE, {}, mtime)

    def _copy(self, file: Path) -> Blob:
        writer = self._blobs.writer()
        try:
            with file.open("rb") as source:
                while data := source.read(READ_BYTES):
                    writer.write(data)
            return writer.finish()
        except OSError:
            writer.discard()
            raise

    def _allowed(self, file: Path, said: str) -> Path:
        if self._root is None:
            raise Forbidden("imports are off; start the server with a folder to import from")
        place = file.resolve()
        if not place.is_relative_to(self._root):
            raise Forbidden(f"{said!r} is not below the folder that this server may import from")
        return place
