"""All repositories of a server, as they lie in its folder.

    root/<repository>.sqlite   trees, commits, refs, staging, settings (store.py)
    root/blobs/<2 hex>/<sha256> contents, shared by all repositories (blobs.py)
    root/blobs/incoming/       uploads in progress

Deleting a repository removes its file; contents stay, since other repositories may name them, until
garbage is collected (gc.py).
"""

import sqlite3
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ft_resources.lakefs.server import commits, trees
from ft_resources.lakefs.server.durable import locked, sync_folder
from ft_resources.lakefs.server.errors import BadRequest, Conflict, NotFound
from ft_resources.lakefs.server.keys import check_branch_name, check_repository_name
from ft_resources.lakefs.server.store import (
    SCHEMA_VERSION,
    Repository,
    create_schema,
    schema_version,
    upgrade,
)

FILES_LOCK = "files.lock"  # held while a repository is deleted, or read by another process


@dataclass(frozen=True)
class Info:
    id: str
    storage_namespace: str
    default_branch: str
    creation_date: int  # Unix seconds


class Repositories:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()  # over the two dicts and the files' existence
        self._open: dict[str, Repository] = {}
        self._infos: dict[str, Info] = {}
        root.mkdir(parents=True, exist_ok=True)
        self._sweep()
        for file in sorted(root.glob("*.sqlite")):
            self._load(file)

    def get(self, name: str) -> Repository:
        found = self._open.get(name)
        if found is None:
            raise NotFound(f"no repository {name!r}")
        return found

    def info(self, name: str) -> Info:
        found = self._infos.get(name)
        if found is None:
            raise NotFound(f"no repository {name!r}")
        return found

    def infos(self) -> list[Info]:
        """By name."""
        return [info for _, info in sorted(self._infos.items())]

    def create(self, name: str, namespace: str, default_branch: str, committer: str) -> Info:
        check_repository_name(name)
        check_branch_name(default_branch)
        info = Info(name, namespace, default_branch, int(time.time()))
        with self._lock:
            if name in self._open:
                raise Conflict(f"repository {name!r} already exists")
            owners = [i.id for i in self._infos.values() if i.storage_namespace == namespace]
            if owners:
                raise BadRequest(
                    f"storage namespace {namespace!r} is used by repository {owners[0]!r}; "
                    "give each repository its own"
                )
            repository = Repository(self._file(name))
            with repository.write() as session:
                create_schema(session)
                session.set_setting("repository", asdict(info))
                text = commits.Text("Repository created", {}, committer)
                first = commits.add(session, trees.write_empty(session), [], text)
                query = "INSERT INTO branch VALUES (?, ?, 0)"
                session.db.execute(query, (default_branch, first.id))
            sync_folder(self._root)
            self._open[name], self._infos[name] = repository, info
        return info

    def delete(self, name: str) -> None:
        # SQLite removes a log by name: whoever else has the file open must have closed it.
        with locked(self._root / FILES_LOCK), self._lock:
            repository = self.get(name)
            del self._open[name], self._infos[name]
            repository.close()
            _remove(self._file(name))

    def close(self) -> None:
        with self._lock:
            for repository in self._open.values():
                repository.close()

    def _file(self, name: str) -> Path:
        return self._root / f"{name}.sqlite"

    def _load(self, file: Path) -> None:
        try:
            version = schema_version(file)
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{file} is not a repository ({error}); move it away") from None
        if version == 0:
            _remove(file)
            return
        if version not in (1, SCHEMA_VERSION):
            raise ValueError(
                f"{file} has format {version}, this version reads {SCHEMA_VERSION}; "
                "use the version that wrote it"
            )
        repository = Repository(file)
        if version == 1:
            with repository.write() as session:
                upgrade(session)
        with repository.read() as session:
            self._infos[file.stem] = Info(**session.setting("repository"))
        self._open[file.stem] = repository

    def _sweep(self) -> None:
        """Finish interrupted deletions: a log without its file must not meet a new file."""
        for log in [*self._root.glob("*.sqlite-wal"), *self._root.glob("*.sqlite-shm")]:
            if not Path(str(log)[: -len("-wal")]).exists():
                log.unlink()


def _remove(file: Path) -> None:
    file.unlink()
    sync_folder(file.parent)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
