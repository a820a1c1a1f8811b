"""Many clients at once, and a server killed under them."""

import base64
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lakefs
import pytest
from lakefs.exceptions import LakeFSException
from urllib3.exceptions import HTTPError

from tests.resources.lakefs.running import ServerProcess

WRITERS = 8


def publish(repo: lakefs.Repository, name: str, content: str) -> None:
    """One run as the platform does it: branch, upload, commit, merge, drop the branch."""
    branch = repo.branch(name).create("main")
    branch.object(f"runs/{name}").upload(content)
    branch.commit(name)
    branch.merge_into("main")
    branch.delete()


def test_parallel_merges_lose_nothing(endpoint, repository):
    def writer(number: int) -> None:
        repo = lakefs.Repository(repository.id, client=endpoint.client())
        for round_ in range(5):
            publish(repo, f"run-{number}-{round_}", f"{number} {round_}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(writer, range(WRITERS)))
    main = repository.branch("main")
    expected = {f"runs/run-{n}-{r}": f"{n} {r}" for n in range(WRITERS) for r in range(5)}
    found = {o.path: main.object(o.path).reader("r").read() for o in main.objects()}
    assert found == expected
    messages = [commit.message for commit in main.log()]
    assert len(messages) == 2 * len(expected) + 1
    assert [b.id for b in repository.branches()] == ["main"]


def test_parallel_uploads_to_one_branch(endpoint, branch):
    """Eight writers of one staging area; equal contents meet in one blob."""

    def writer(number: int) -> None:
        mine = lakefs.Branch(branch.repo_id, "dev", client=endpoint.client())
        for round_ in range(10):
            mine.object(f"{number}/{round_}").upload(f"content {round_}" * 100)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(writer, range(WRITERS)))
    branch.commit("all")
    found = {o.path: branch.object(o.path).reader("r").read() for o in branch.objects()}
    assert found == {f"{n}/{r}": f"content {r}" * 100 for n in range(WRITERS) for r in range(10)}


def test_one_of_many_creates(endpoint, branch):
    """Of parallel exclusive creates one wins."""
    path = f"/repositories/{branch.repo_id}/branches/dev/objects?path=x"

    def create(number: int) -> int:
        return endpoint.request(
            "POST", path, body=str(number).encode(), headers={"If-None-Match": "*"}
        ).status

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(pool.map(create, range(WRITERS)))
    assert sorted(statuses) == [201] + [412] * (WRITERS - 1)


def test_reader_sees_whole_merges(endpoint, repository):
    """A listing during merges of two objects each has both or none."""
    done = threading.Event()
    halves: list[list[str]] = []

    def reader() -> None:
        main = lakefs.Branch(repository.id, "main", client=endpoint.client())
        while not done.is_set():
            paths = [o.path for o in main.objects()]
            if len(paths) % 2:
                halves.append(paths)

    watching = threading.Thread(target=reader)
    watching.start()
    for number in range(15):
        branch = repository.branch(f"pair-{number}").create("main")
        branch.object(f"a{number}").upload(b"x")
        branch.object(f"z{number}").upload(b"x")
        branch.commit("pair")
        branch.merge_into("main")
    done.set()
    watching.join()
    assert halves == []


@pytest.mark.parametrize("delay", [0.2, 0.35, 0.5, 0.65, 0.8, 1.0])
def test_killed_server_keeps_what_it_answered(server: ServerProcess, delay: float):
    client = server.endpoint.client()
    repo = lakefs.Repository("killed", client=client).create("local://killed/x")
    acknowledged: list[str] = []
    killed = threading.Event()

    def writer(number: int) -> None:
        mine = lakefs.Repository("killed", client=server.endpoint.client())
        round_ = 0
        while not killed.is_set():
            name = f"run-{number}-{round_}"
            try:
                publish_one(mine, name)
            except (LakeFSException, HTTPError, OSError):
                if killed.wait(0.5):
                    return
                raise
            acknowledged.append(name)
            round_ += 1

    def publish_one(mine: lakefs.Repository, name: str) -> None:
        branch = mine.branch(name).create("main")
        # Not told, the client asks the server first, and leaves its spool file open on an error.
        branch.object(f"runs/{name}").upload(name * 100, pre_sign=False)
        branch.commit(name)
        branch.merge_into("main")

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(writer, number) for number in range(4)]
        killed.wait(delay)
        killed.set()
        server.kill()
        for one in writers:
            one.result()
    assert acknowledged
    leave_an_orphan(server.root)
    server.start()
    main = repo.branch("main")
    found = {o.path for o in main.objects()}
    assert {f"runs/{name}" for name in acknowledged} <= found
    for path in found:
        assert main.object(path).reader("r").read() == path.removeprefix("runs/") * 100
    assert len(list(main.log())) == 2 * len(found) + 1
    assert list((server.root / "blobs" / "incoming").iterdir()) == []
    publish(repo, "after", "x")
    assert "runs/after" in {o.path for o in main.objects()}


def leave_an_orphan(root: Path) -> None:
    """What an upload that was cut off leaves behind."""
    (root / "blobs" / "incoming" / "upload-cut-off").write_bytes(b"half")


def test_interrupted_create_and_delete_are_finished(server: ServerProcess):
    repo = lakefs.Repository("kept", client=server.endpoint.client()).create("local://kept/x")
    publish(repo, "one", "1")
    server.kill()
    (server.root / "half.sqlite").write_bytes(b"")
    (server.root / "gone.sqlite-wal").write_bytes(b"left over")
    (server.root / "gone.sqlite-shm").write_bytes(b"left over")
    server.start()
    listed = [r.id for r in lakefs.repositories(client=server.endpoint.client())]
    assert listed == ["kept"]
    left = {file.name for file in server.root.iterdir()}
    assert {name.split(".")[0] for name in left} == {"kept", "blobs", "server"}
    gone = lakefs.Repository("gone", client=server.endpoint.client()).create("local://gone/x")
    publish(gone, "one", "1")
    assert [o.path for o in gone.branch("main").objects()] == ["runs/one"]


def test_cut_off_upload_leaves_nothing(server: ServerProcess):
    repo = lakefs.Repository("cut", client=server.endpoint.client()).create("local://cut/x")
    repo.branch("dev").create("main")
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        keys = f"{server.endpoint.access_key_id}:{server.endpoint.secret_access_key}"
        raw.sendall(
            b"POST /api/v1/repositories/cut/branches/dev/objects?path=x HTTP/1.1\r\n"
            b"Host: x\r\nContent-Length: 20000000\r\n"
            b"Authorization: Basic " + base64.b64encode(keys.encode()) + b"\r\n\r\n"
        )
        raw.sendall(bytes(9_000_000))
    incoming = server.root / "blobs" / "incoming"
    deadline = time.monotonic() + 10
    while any(incoming.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(incoming.iterdir()) == []
    assert list(repo.branch("dev").objects()) == []
