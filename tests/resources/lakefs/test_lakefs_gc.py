"""Garbage collection: what it keeps, what it removes, and that it may run beside the server."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import lakefs
import pytest
from lakefs.exceptions import LakeFSException
from lakefs_sdk import CommitCreation, GarbageCollectionRule, GarbageCollectionRules

from ft_resources.lakefs.server.gc import Report, collect
from tests.resources.lakefs.running import ServerProcess

DAY = 24 * 3600
GRACE = 3600


@pytest.fixture
def repo(server: ServerProcess) -> lakefs.Repository:
    return lakefs.Repository("kept", client=server.endpoint.client()).create("local://kept/x")


def contents(server: ServerProcess) -> list[Path]:
    return [file for file in (server.root / "blobs").glob("??/*") if len(file.name) == 64]


def age(server: ServerProcess, seconds: float = 2 * GRACE) -> None:
    """As if every content had been uploaded that long ago."""
    then = time.time() - seconds
    for file in contents(server):
        os.utime(file, (then, then))


def rules(repo: lakefs.Repository, client, default: int, **branches: int) -> None:
    named = [GarbageCollectionRule(branch_id=b, retention_days=d) for b, d in branches.items()]
    found = GarbageCollectionRules(default_retention_days=default, branches=named)
    client.sdk_client.repositories_api.set_gc_rules(repo.id, found)


def put(
    server: ServerProcess, branch: lakefs.Branch, key: str, content: str, days_ago: float = 0
) -> str:
    branch.object(key).upload(content)
    date = int(time.time() - days_ago * DAY)
    api = server.endpoint.client().sdk_client.commits_api
    return api.commit(branch.repo_id, branch.id, CommitCreation(message=key, date=date)).id


def read(repo: lakefs.Repository, ref: str, key: str) -> str:
    return repo.ref(ref).object(key).reader("r").read()


def test_what_was_never_committed_goes(server, repo):
    main = repo.branch("main")
    put(server, main, "kept", "committed")
    main.object("staged").upload("staged")
    main.object("over").upload("first")
    main.object("over").upload("second")
    main.object("reset").upload("reset")
    main.reset_changes("object", "reset")
    gone = repo.branch("gone").create("main")
    gone.object("x").upload("of a deleted branch")
    gone.delete()
    assert len(contents(server)) == 6
    age(server)
    said = collect(server.root, apply=False)
    assert len(contents(server)) == 6
    done = collect(server.root, apply=True)
    assert said == done
    assert (done.contents, done.contents_kept, done.recent) == (3, 3, 0)
    assert done.content_bytes == len("firstresetof a deleted branch")
    found = {o.path: read(repo, "main", o.path) for o in main.objects()}
    assert found == {"kept": "committed", "over": "second", "staged": "staged"}
    assert collect(server.root, apply=True) == Report(1, contents_kept=3)


def test_grace_period(server, repo):
    main = repo.branch("main")
    main.object("x").upload("first")
    main.object("x").upload("second")
    assert collect(server.root, apply=True).recent == 1
    age(server)
    # The same content again starts its grace period anew, though it is stored already.
    main.object("y").upload("first")
    main.reset_changes("object", "y")
    assert collect(server.root, apply=True).recent == 1
    with pytest.raises(ValueError, match="at least 60 s"):
        collect(server.root, apply=True, grace_s=59)


def test_contents_are_shared_by_repositories(server, repo):
    other = lakefs.Repository("other", client=server.endpoint.client()).create("local://other/x")
    for one in (repo, other):
        put(server, one.branch("main"), "x", "the same")
    other.delete()
    age(server)
    assert collect(server.root, apply=True).contents == 0
    assert read(repo, "main", "x") == "the same"


def test_without_rules_nothing_committed_goes(server, repo):
    main, dev = repo.branch("main"), repo.branch("dev").create("main")
    put(server, main, "x", "old", days_ago=500)
    old = put(server, dev, "y", "of a deleted branch", days_ago=500)
    main.object("x").delete()
    main.commit("gone")
    dev.delete()
    age(server)
    assert collect(server.root, apply=True).contents == 0
    assert read(repo, old, "y") == "of a deleted branch"


def test_retention_by_branch(server, repo):
    """Each version of one object, 30, 20, 10 and 0 days old; a version ends with its successor."""
    client = server.endpoint.client()
    for name in ("long", "short"):
        branch = repo.branch(name).create("main")
        for days in (30, 20, 10, 0):
            put(server, branch, "x", f"{name} {days}", days)
    repo.tag("pinned").create("short~3")
    rules(repo, client, 1, long=15, short=5)
    age(server)
    report = collect(server.root, apply=True)
    assert report.contents == 2  # long 30; short 20: its successor is older than the window
    assert read(repo, "long~2", "x") == "long 20"  # the head 15 days ago
    assert read(repo, "short~1", "x") == "short 10"  # the head 5 days ago
    assert read(repo, "pinned", "x") == "short 30"
    assert len(list(repo.branch("long").log())) == 5
    for ref in ("long~3", "short~2"):
        with pytest.raises(LakeFSException) as gone:
            read(repo, ref, "x")
        assert gone.value.status_code == 410
        assert repo.ref(ref).object("x").stat().size_bytes
    body = {"src_path": "x", "src_ref": "long~3"}
    path = "/repositories/kept/branches/long/objects/copy?dest_path=back"
    assert server.endpoint.request("POST", path, json=body).status == 410


def test_commits_of_deleted_branches_expire(server, repo):
    client = server.endpoint.client()
    put(server, repo.branch("main"), "shared/x", "main", days_ago=50)
    lost, fresh = (repo.branch(name).create("main") for name in ("lost", "fresh"))
    gone = [put(server, lost, f"a/{n}", f"lost {n}", days_ago=9) for n in range(3)]
    kept = put(server, fresh, "b/x", "fresh", days_ago=2)
    lost.delete()
    fresh.delete()
    rules(repo, client, 7)
    age(server)
    said = collect(server.root, apply=False)
    report = collect(server.root, apply=True)
    assert said == report
    assert (report.commits, report.contents, report.records) == (3, 3, 3)
    assert report.trees == 6
    for commit in gone:
        assert server.endpoint.request("GET", f"/repositories/kept/commits/{commit}").status == 404
    assert read(repo, kept, "b/x") == "fresh"
    assert read(repo, "main", "shared/x") == "main"
    # What went can come again.
    again = repo.branch("again").create("main")
    for n in range(3):
        put(server, again, f"a/{n}", f"lost {n}")
    assert [read(repo, "again", f"a/{n}") for n in range(3)] == [f"lost {n}" for n in range(3)]


def test_merged_branches_follow_the_default(server, repo):
    dev = repo.branch("dev").create("main")
    put(server, dev, "x", "work", days_ago=9)
    dev.merge_into("main")
    dev.delete()
    rules(repo, server.endpoint.client(), 7)
    age(server)
    report = collect(server.root, apply=True)
    assert (report.commits, report.contents) == (0, 0)  # main has it, and its history leads there
    assert len(list(repo.branch("main").log())) == 3


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"default_retention_days": 1},
        {"default_retention_days": 0, "branches": []},
        {"default_retention_days": True, "branches": []},
        {"default_retention_days": 1, "branches": ["main"]},
        {"default_retention_days": 1, "branches": [{"branch_id": "main"}]},
        {"default_retention_days": 1, "branches": [{"retention_days": 1}]},
        {"default_retention_days": 1, "branches": [{"branch_id": "main", "retention_days": -1}]},
    ],
)
def test_wrong_rules_are_refused(embedded, endpoint, repository, body):
    path = f"/repositories/{repository.id}/settings/gc_rules"
    assert endpoint.request("PUT", path, json=body).status == 400
    assert endpoint.request("GET", path).status == 404


def test_beside_a_working_server(server, repo):
    """Writers whose contents come and go, while the collector runs again and again."""
    stop = threading.Event()
    failed: list[Exception] = []
    written: list[tuple[str, str]] = []

    def writer(number: int) -> None:
        mine = lakefs.Repository("kept", client=server.endpoint.client())
        round_ = 0
        try:
            while not stop.is_set():
                branch = mine.branch(f"w{number}-{round_}").create("main")
                # Shared by all writers, so each may find it named, unnamed, or removed.
                branch.object(f"{number}/{round_}").upload(f"content {round_ % 3}")
                if round_ % 2:
                    branch.commit("kept")
                    written.append((branch.id, f"{number}/{round_}"))
                else:
                    branch.delete()
                round_ += 1
        except Exception as error:  # noqa: BLE001 (told by the test, which sees every one)
            failed.append(error)

    writers = [threading.Thread(target=writer, args=(number,)) for number in range(3)]
    for one in writers:
        one.start()
    removed = 0
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        for n in range(3):
            branch = repo.branch("main")
            branch.object("old").upload(f"old {n}")
        for file in contents(server):
            if file.stat().st_size == len("old 0"):
                os.utime(file, (1, 1))
        removed += collect(server.root, apply=True, grace_s=60).contents
    stop.set()
    for one in writers:
        one.join()
    assert failed == []
    assert removed
    assert written
    for branch, key in written:
        assert read(repo, branch, key) == f"content {int(key.split('/')[1]) % 3}"


def test_command(server, repo, tmp_path):
    repo.branch("main").object("x").upload("first")
    repo.branch("main").object("x").upload("second")
    age(server)

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "ft_assets.cli", "lakefs", "gc", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    said = run("--root", str(server.root))
    assert said.returncode == 0, said.stderr
    assert "would remove" in said.stdout
    assert len(contents(server)) == 2
    done = run("--root", str(server.root), "--apply")
    assert "1 contents of 5 bytes" in done.stdout
    assert len(contents(server)) == 1
    wrong = run("--root", str(tmp_path))
    assert (wrong.returncode, "not the folder of a lakeFS server" in wrong.stderr) == (1, True)
