"""Area `lakefs`: the embedded server when it is large, and when it is handed large files."""

import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lakefs

from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.server import changes
from ft_resources.lakefs.server.commits import Text
from ft_resources.lakefs.server.entries import Entry
from ft_resources.lakefs.server.repositories import Repositories
from tests.bench.timing import Measure, costs, interleaved
from tests.resources.lakefs.running import ServerProcess

SMALL, LARGE = 1_000, 100_000  # objects, 100 in a folder
CHANGES = 10
ROUNDS = 15
FILE_MB = 64


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "lakefs"
        _fill(root)
        server = ServerProcess(root)
        try:
            repositories = [
                lakefs.Repository(_name(size), client=server.endpoint.client())
                for size in (LARGE, SMALL)
            ]
            yield commit(repositories)
            yield merge(repositories)
            yield upload(repositories[1].branch("main"), Path(name))
            yield by_reference(server, Path(name))
        finally:
            server.stop()


def _name(size: int) -> str:
    return f"objects-{size}"


def _key(number: int) -> str:
    return f"data/part={number // 100:05d}/{number % 100:03d}.bin"


def _fill(root: Path) -> None:
    """Both repositories, by the server's own modules: over HTTP it would take minutes."""
    repositories = Repositories(root)
    for size in (SMALL, LARGE):
        repositories.create(_name(size), f"local://{_name(size)}", "main", "bench")
        entries = {_key(number).encode(): _entry(number) for number in range(size)}
        with repositories.get(_name(size)).write() as session:
            text = Text("fill", {}, "bench")
            changes.replace_objects(session, "main", [], entries, text, allow_empty=False)
    repositories.close()


def _entry(number: int) -> Entry:
    """Each its own, or equal folders would be one tree. Nobody reads the contents."""
    name = str(number).encode()
    address, checksum = hashlib.sha256(name).hexdigest(), hashlib.md5(name).hexdigest()
    return Entry(address, len(name), checksum, "application/octet-stream", {}, 0)


def _change(branch: lakefs.Branch, size: int, round_: int) -> None:
    """Ten objects, each in a folder of its own."""
    for number in range(CHANGES):
        branch.object(_key(number * size // CHANGES)).upload(f"{round_} {number}", pre_sign=False)


def _medians(repositories: list[lakefs.Repository], work: Callable[..., float]) -> list[float]:
    sizes = (LARGE, SMALL)
    times = [
        [work(repo, size, round_) for repo, size in zip(repositories, sizes, strict=True)]
        for round_ in range(ROUNDS)
    ]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def commit(repositories: list[lakefs.Repository]) -> Measure:
    """A commit of ten changes among 100,000 objects against one among 1,000; uploads not timed."""

    def work(repo: lakefs.Repository, size: int, round_: int) -> float:
        branch = repo.branch("main")
        _change(branch, size, round_)
        began = time.perf_counter()
        branch.commit("ten changes")
        return time.perf_counter() - began

    large, small = _medians(repositories, work)
    return costs("lakefs_commit_100k_vs_1k", large, small, at_most=10)


def merge(repositories: list[lakefs.Repository]) -> Measure:
    """The same for a merge of ten changes into a branch that has moved on."""

    def work(repo: lakefs.Repository, size: int, round_: int) -> float:
        branch = repo.branch(f"work-{round_}").create("main")
        _change(branch, size, -1 - round_)
        branch.commit("ten changes")
        repo.branch("main").object("other").upload(str(round_), pre_sign=False)
        repo.branch("main").commit("meanwhile")
        began = time.perf_counter()
        branch.merge_into("main")
        return time.perf_counter() - began

    large, small = _medians(repositories, work)
    return costs("lakefs_merge_100k_vs_1k", large, small)


def upload(branch: lakefs.Branch, folder: Path) -> Measure:
    """An upload through the official client against a copy with fsync; every one new content."""
    source = folder / "source.bin"

    def send() -> None:
        branch.object("large").upload(source.read_bytes(), mode="wb", pre_sign=False)

    return costs("lakefs_upload_vs_copy", *_against_copy(source, send))


def by_reference(server: ServerProcess, folder: Path) -> Measure:
    """The same file handed over by `Draft.write`, with the digests that it needs."""
    source = folder / "source.bin"
    keys = server.endpoint
    store = LakeFS(
        endpoint=keys.url,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        repository=_name(SMALL),
        raw_repository=_name(SMALL),
        storage_namespace="local://{repository}",
    )
    draft = store.draft(_name(SMALL), "by-reference", {})
    return costs(
        "lakefs_reference_vs_copy",
        *_against_copy(source, lambda: draft.write("large/", {"file": source})),
    )


def _against_copy(source: Path, work: Callable[[], None]) -> tuple[float, float]:
    """Median seconds of the work and of a copy with fsync, interleaved, on new content each."""

    def copy() -> None:
        shutil.copyfile(source, source.with_suffix(".copy"))
        with source.with_suffix(".copy").open("rb") as file:
            os.fsync(file.fileno())

    times = []
    for _ in range(5):
        source.unlink(missing_ok=True)
        source.write_bytes(os.urandom(FILE_MB * 2**20))
        times.append(interleaved(work, copy, rounds=1))
        source.with_suffix(".copy").unlink()
    ours, peer = zip(*times, strict=True)
    return statistics.median(ours), statistics.median(peer)
