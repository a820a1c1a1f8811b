"""Versioned writes and pinned reads. The only module that imports lakefs.

A draft is one branch from the head of main: write, commit, let somebody check, merge. Until the
merge nothing is visible on main; a draft that is not merged keeps its branch for inspection. The
same calls run against the embedded server and any lakeFS server.
"""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlencode

import dagster as dg
import lakefs
import pandas as pd
from lakefs.client import Client
from lakefs.exceptions import (
    BadRequestException,
    ConflictException,
    NotAuthorizedException,
    NotFoundException,
    ServerException,
)
from lakefs_sdk import (
    BranchProtectionRule,
    GarbageCollectionRule,
    GarbageCollectionRules,
    ObjectErrorList,
    StagingMetadata,
)
from lakefs_sdk.exceptions import BadRequestException as SdkBadRequest
from lakefs_sdk.exceptions import ForbiddenException as SdkForbidden
from urllib3.exceptions import HTTPError

from ft_resources.lakefs.ref import Ref

MAIN = "main"
BUSY = (429, 500, 503)  # what lakeFS answers while another merge holds the branch
MERGE_ATTEMPTS = 6
MERGE_WAIT_S = 0.2  # before the second attempt; doubles with every further one
LOCAL = "local://"  # what addresses begin with on a server that keeps files
LINK_BYTES = 1024 * 1024  # smaller files are uploaded: two calls cost more than the copy
HASH_BYTES = 4 * 1024 * 1024
HISTORY_PAGE = 20  # commits in one call: mostly the first is the one looked for
PAGE = 1000  # objects in one call, the most that lakeFS lists or deletes


@dataclass(frozen=True)
class Written:
    """A commit that wrote something, with what `draft` was given as its metadata."""

    commit: str
    metadata: dict[str, str]
    at: int  # seconds since 1970


class LakeFS(dg.ConfigurableResource):
    """Two repositories of one lakeFS: the raw zone, and everything without personal data."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    repository: str
    raw_repository: str
    storage_namespace: str

    def client(self) -> Client:
        return _connect(self.endpoint, self.access_key_id, self.secret_access_key)

    def ensure(self) -> None:
        """Make both repositories with a protected main, unless they are there."""
        with self._calls():
            for name in (self.raw_repository, self.repository):
                namespace = self.storage_namespace.replace("{repository}", name)
                self._repository(name).create(
                    storage_namespace=namespace, default_branch=MAIN, exist_ok=True
                )
                api = self.client().sdk_client.repositories_api
                rules = api.get_branch_protection_rules(name)
                if MAIN not in [rule.pattern for rule in rules]:
                    rules.append(BranchProtectionRule(pattern=MAIN))
                    api.set_branch_protection_rules(name, rules)

    def set_retention(self, days: int, branch_days: Mapping[str, int]) -> None:
        """Give both repositories these garbage collection rules, in place of any that they have.

        Raises ValueError for rules that lakeFS refuses.
        """
        rules = GarbageCollectionRules(
            default_retention_days=days,
            branches=[
                GarbageCollectionRule(branch_id=branch, retention_days=kept)
                for branch, kept in branch_days.items()
            ],
        )
        with self._calls():
            for name in (self.raw_repository, self.repository):
                try:
                    self.client().sdk_client.repositories_api.set_gc_rules(name, rules)
                except SdkBadRequest as error:
                    raise ValueError(f"{name}: {error.body}") from None
                except SdkForbidden as error:
                    raise PermissionError(f"{name}: {error.body}") from None

    def keep_everything(self) -> None:
        """Take the garbage collection rules of both repositories away, if they have any."""
        with self._calls():
            for name in (self.raw_repository, self.repository):
                self.client().sdk_client.repositories_api.delete_gc_rules(name)

    def draft(self, repository: str, branch: str, metadata: Mapping[str, str]) -> "Draft":
        """Open a new branch from the head of main. `metadata` goes on its commit and its merge.

        Raises FileExistsError when the branch is there: an earlier draft that was not merged.
        """
        repo = self._repository(repository)
        name = re.sub(r"[^\w-]", "-", branch, flags=re.ASCII).lstrip("-")
        with self._calls():
            try:
                base = repo.branch(MAIN).get_commit().id
            except NotFoundException:
                self.ensure()
                base = repo.branch(MAIN).get_commit().id
            try:
                repo.branch(name).create(base)
            except ConflictException:
                raise FileExistsError(
                    f"branch {name} of {repository} is there already, with work that was not "
                    "merged; delete it, or choose another name"
                ) from None
        return Draft(repo, name, base, dict(metadata), self.endpoint, self.client())

    def read(self, ref: Ref, name: str) -> bytes:
        """The bytes of one object of a ref. Raises FileNotFoundError when there is none."""
        stored = self._repository(ref.repository).commit(ref.commit).object(ref.path + name)
        try:
            with self._calls(), stored.reader(mode="rb", pre_sign=False) as reader:
                return cast(bytes, reader.read())
        except NotFoundException:
            raise FileNotFoundError(f"no object {ref.uri}{name}") from None

    def read_table(self, ref: Ref, name: str = "rows.parquet") -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(self.read(ref, name)))

    def read_records(self, ref: Ref, name: str = "rows.parquet") -> list[dict]:
        """The rows of a table. Parquet reads a missing value back as NaN; rows know only None."""
        table = self.read_table(ref, name)
        return table.astype(object).where(table.notna(), None).to_dict("records")

    def read_json(self, ref: Ref, name: str) -> dict:
        return json.loads(self.read(ref, name))

    def read_rows(self, ref: Ref, name: str = "rows.jsonl.gz") -> list[dict]:
        return [json.loads(line) for line in gzip.decompress(self.read(ref, name)).splitlines()]

    def names(self, ref: Ref) -> list[str]:
        """Names of the objects of a ref, sorted. Raises FileNotFoundError without its commit."""
        commit = self._repository(ref.repository).commit(ref.commit)
        try:
            with self._calls():
                found = list(commit.objects(prefix=ref.path, amount=PAGE))
        except NotFoundException:
            raise FileNotFoundError(f"no commit {ref.commit} in {ref.repository}") from None
        return [item.path.removeprefix(ref.path) for item in found]

    def download(self, ref: Ref, folder: Path) -> Path:
        """Write every object of a ref below `folder`, which is made.

        Raises ValueError for a name that would lie elsewhere; nothing is written then.
        """
        names = self.names(ref)
        for name in names:
            if not _lies_below(folder, name):
                raise ValueError(f"{ref.uri}: object {name!r} would not lie below {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(ref, name))
        return folder

    def move_tag(self, name: str, ref: Ref) -> None:
        """Let a tag name the commit of a ref. Tags cannot be moved: it is gone for a moment."""
        tag = self._repository(ref.repository).tag(name)
        with self._calls():
            try:
                if tag.get_commit().id == ref.commit:
                    return
                tag.delete()
            except NotFoundException:
                pass
            try:
                tag.create(ref.commit)
            except NotFoundException:
                raise FileNotFoundError(f"no commit {ref.commit} in {ref.repository}") from None

    def tagged(self, repository: str, name: str) -> str | None:
        """The commit that a tag names, or None."""
        try:
            with self._calls():
                return self._repository(repository).tag(name).get_commit().id
        except NotFoundException:
            return None

    def head(self, repository: str) -> str:
        """The commit that main is at. Raises FileNotFoundError without the repository."""
        try:
            with self._calls():
                return self._repository(repository).branch(MAIN).get_commit().id
        except NotFoundException:
            raise FileNotFoundError(f"no repository {repository} at {self.endpoint}") from None

    def history(self, repository: str, commit: str, path: str) -> Generator[Written]:
        """The commits that wrote below `path`, newest first, as seen from a commit.

        A ref whose content was there already names a commit of something else; the first of these
        is the one that brought its content. Merges are left out: lakeFS does so too.
        """
        found = self._repository(repository).commit(commit)
        try:
            with self._calls():
                for one in found.log(prefixes=[path], amount=HISTORY_PAGE):
                    yield Written(one.id, dict(one.metadata or {}), one.creation_date)
        except NotFoundException:
            raise FileNotFoundError(f"no commit {commit} in {repository}") from None

    def commit_url(self, ref: Ref) -> str:
        return f"{self.endpoint}/repositories/{ref.repository}/commits/{ref.commit}"

    def object_url(self, ref: Ref, name: str) -> str:
        """Where a person opens one object (the route of lakeFS's own pages)."""
        query = urlencode({"ref": ref.commit, "path": ref.path + name}, safe="/")
        return f"{self.endpoint}/repositories/{ref.repository}/object?{query}"

    def _repository(self, name: str) -> lakefs.Repository:
        return lakefs.Repository(name, client=self.client())

    @contextlib.contextmanager
    def _calls(self) -> Generator[None]:
        """Raise the builtin exception for what a user can do something about."""
        try:
            yield
        except NotAuthorizedException:
            raise PermissionError(
                f"lakeFS at {self.endpoint} refuses access key {self.access_key_id}: the secret is "
                "not the server's, or the key has no right to do this"
            ) from None
        except HTTPError as error:
            raise ConnectionError(
                f"no answer from lakeFS at {self.endpoint} ({type(error).__name__}); start it, or "
                "correct services.lakefs.url in platform.yaml"
            ) from error


class Draft:
    """One branch on its way to main."""

    def __init__(
        self,
        repository: lakefs.Repository,
        branch: str,
        base: str,
        metadata: dict[str, str],
        endpoint: str,
        client: Client,
    ) -> None:
        self._client = client
        self._repository = repository
        self._branch = repository.branch(branch)
        self._base = base  # the commit of main it was opened from
        self._metadata = metadata
        self._endpoint = endpoint
        self._digests: dict[str, str] = {}
        self._uncommitted = False
        self._changed = False

    @property
    def url(self) -> str:
        return f"{self._endpoint}/repositories/{self._repository.id}/objects?ref={self._branch.id}"

    def object_url(self, path: str) -> str:
        """Where a person opens one object of the branch."""
        query = urlencode({"ref": self._branch.id, "path": path}, safe="/")
        return f"{self._endpoint}/repositories/{self._repository.id}/object?{query}"

    @property
    def branch(self) -> str:
        return self._branch.id

    def write(self, prefix: str, files: Mapping[str, bytes | Path]) -> None:
        """Make `prefix` hold exactly these objects, each given by its bytes or a file.

        A large file is handed over by reference where the server keeps files on this machine: it
        shares the stored object's bytes from then on, becomes read-only, and must not be changed.
        """
        if not prefix.endswith("/"):
            raise ValueError(f"prefix must end with '/', got {prefix!r}")
        for other in self._digests.keys() - {prefix}:
            if prefix.startswith(other) or other.startswith(prefix):
                raise ValueError(f"prefix {prefix!r} overlaps with {other!r} of this draft")
        there = {item.path for item in self._branch.objects(prefix=prefix, amount=PAGE)}
        stale = sorted(there - {prefix + name for name in files})
        self._uncommitted = True
        for start in range(0, len(stale), PAGE):
            answer = self._branch.delete_objects(stale[start : start + PAGE])
            # The client is annotated to return nothing; it returns what lakeFS could not delete.
            for failed in cast(ObjectErrorList, answer).errors:
                raise RuntimeError(f"cannot delete {failed.path}: {failed.message}")
        with ThreadPoolExecutor(1, thread_name_prefix="digest") as hashing:
            # Beside the calls: the server takes its time to hash the same bytes.
            digest = hashing.submit(content_digest, files)
            for name, content in files.items():
                self._put(prefix + name, content)
        self._digests[prefix] = digest.result()

    def _put(self, path: str, content: bytes | Path) -> None:
        if not isinstance(content, Path):
            self._branch.object(path).upload(content, mode="wb", pre_sign=False)
        elif content.stat().st_size < LINK_BYTES or not self._link(path, content):
            writer = self._branch.object(path).writer(mode="wb", pre_sign=False)
            with content.open("rb") as source, writer as target:
                shutil.copyfileobj(source, cast(IO[bytes], target), HASH_BYTES)

    def _link(self, path: str, file: Path) -> bool:
        """Hand a file over by reference; False when the server's files are not on this machine."""
        api = self._client.sdk_client.staging_api
        branch = self._branch.id
        location = api.get_physical_address(self._repository.id, branch, path)
        place = _local_place(location.physical_address or "")
        if place is None:
            return False
        try:
            os.link(file, place)
        except OSError:  # another file system, or one without links
            shutil.copyfile(file, place)
        metadata = StagingMetadata(
            staging=location,
            checksum=_file_hash(file, "md5"),
            size_bytes=file.stat().st_size,
            user_metadata=None,
            content_type="application/octet-stream",
            mtime=None,
        )
        try:
            api.link_physical_address(self._repository.id, branch, path, metadata)
        except SdkBadRequest:  # a folder of that name is here, and the server is elsewhere
            place.unlink()
            return False
        return True

    def commit(self, message: str) -> None:
        """Commit what was written. Content equal to main's makes no commit."""
        self._uncommitted = False
        if next(iter(self._branch.uncommitted(max_amount=1, amount=1)), None) is None:
            return
        self._branch.commit(message, metadata=self._metadata)
        self._changed = True

    def merge(self) -> dict[str, Ref]:
        """Merge into main in one step and drop the branch; a Ref for each written prefix.

        Raises RuntimeError when another run changed the same objects since the draft was opened,
        or when something written was not committed.
        """
        if self._uncommitted:
            raise RuntimeError(f"branch {self._branch.id} has uncommitted writes; commit() first")
        # Main may have moved on: what an unchanged draft saw is its base, not the head.
        commit = self._merge_into_main() if self._changed else self._base
        self._branch.delete()
        return {
            prefix: Ref(self._repository.id, commit, prefix, digest)
            for prefix, digest in self._digests.items()
        }

    def _merge_into_main(self) -> str:
        attempt = 0
        while True:
            attempt += 1
            try:
                commit = self._branch.merge_into(MAIN, metadata=self._metadata)
            except ConflictException:
                raise self._overtaken("nothing was merged") from None
            except BadRequestException:
                commit = self._commit_with_equal_content()
                if commit is None:
                    raise
            except ServerException as error:
                if error.status_code not in BUSY or attempt == MERGE_ATTEMPTS:
                    raise
                time.sleep(MERGE_WAIT_S * 2 ** (attempt - 1))
                continue
            if not self._is_in(commit):
                # Other names below the same prefix: no conflict to lakeFS, but a mixture.
                raise self._overtaken(f"main has a mixture of both since {commit}")
            return commit

    def _commit_with_equal_content(self) -> str | None:
        """lakeFS has "no changes" to merge: another run brought them, or this one undid its own."""
        candidates = (self._repository.branch(MAIN).get_commit().id, self._base)
        return next((commit for commit in candidates if self._is_in(commit)), None)

    def _is_in(self, commit: str) -> bool:
        """Whether every written prefix is the same in the commit as on the branch."""
        there = self._repository.commit(commit)
        return all(
            next(there.diff(self._branch, max_amount=1, prefix=prefix, type="two_dot"), None)
            is None
            for prefix in self._digests
        )

    def _overtaken(self, outcome: str) -> RuntimeError:
        return RuntimeError(
            f"another run changed the same objects of {self._repository.id} meanwhile; {outcome}, "
            f"the work is on branch {self._branch.id}; run it again"
        )

    def discard(self) -> None:
        """Drop the branch and what is on it."""
        self._branch.delete()


def content_digest(files: Mapping[str, bytes | Path]) -> str:
    """sha256 hex over the sorted (name, sha256 of the content): whatever lakeFS it lies in."""
    lines = sorted(f"{name}\0{_sha256(content)}\n" for name, content in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, Path):
        return _file_hash(content, "sha256")
    return hashlib.sha256(content).hexdigest()


def _file_hash(file: Path, name: str) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, name).hexdigest()


def _local_place(address: str) -> Path | None:
    """The file to write for a reserved address; None when its folder is not on this machine."""
    place = Path(address.removeprefix(LOCAL))
    here = address.startswith(LOCAL) and place.is_absolute() and os.access(place.parent, os.W_OK)
    return place if here else None


def to_parquet(table: pd.DataFrame) -> bytes:
    """Parquet bytes; equal tables give equal bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def to_json_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Compressed JSON lines; equal rows give equal bytes."""
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    return gzip.compress("".join(lines).encode(), mtime=0)


@functools.cache
def _connect(endpoint: str, access_key_id: str, secret_access_key: str) -> Client:
    """One client for all calls: it keeps connections, and may be used by several threads."""
    return Client(host=endpoint, username=access_key_id, password=secret_access_key)


def _lies_below(folder: Path, name: str) -> bool:
    inside, target = folder.resolve(), (folder / name).resolve()
    return target != inside and target.is_relative_to(inside)
