"""Imports from a folder of this machine."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import lakefs
import pytest
from lakefs.exceptions import LakeFSException
from lakefs.import_manager import ImportManager

from tests.resources.lakefs.conftest import new_repository
from tests.resources.lakefs.running import ServerProcess

QUICK = 0.02


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("allowed")
    (root / "in" / "deep").mkdir(parents=True)
    (root / "in" / "a.txt").write_text("a")
    (root / "in" / "deep" / "b.txt").write_text("b" * 5_000_000)
    (root / "one").write_text("one")
    return root


@pytest.fixture(scope="module")
def importing(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("importing") / "root", str(folder))
    yield server
    assert server.stop() == 0


@pytest.fixture
def repo(importing: ServerProcess) -> lakefs.Repository:
    return new_repository(importing.endpoint.client())


def found(branch: lakefs.Branch) -> dict[str, int]:
    return {o.path: o.size_bytes for o in branch.objects()}


def run(job: ImportManager):
    return job.run(poll_interval=timedelta(seconds=QUICK))


def test_a_folder_and_a_file(importing, repo, folder):
    config = importing.endpoint.client().sdk_client.config_api.get_config()
    assert config.storage_config.import_support
    main = repo.branch("main")
    main.object("kept").upload("kept")
    main.object("data/old").upload("replaced")
    main.commit("before")
    job = main.import_data("take", metadata={"from": "disk"})
    job.prefix(f"local://{folder}/in/", "data/").object(f"file://{folder}/one", "single")
    status = run(job)
    assert (status.completed, status.ingested_objects) == (True, 3)
    assert (status.commit.message, status.commit.metadata) == ("take", {"from": "disk"})
    assert status.commit.id == main.head.id
    sizes = {"data/a.txt": 1, "data/deep/b.txt": 5_000_000, "kept": 4, "single": 3}
    assert found(main) == sizes
    assert main.object("data/deep/b.txt").reader("r").read(3) == "bbb"
    (folder / "one").write_text("changed afterwards")
    assert main.object("single").reader("r").read() == "one"
    (folder / "one").write_text("one")
    with pytest.raises(LakeFSException) as ended:
        job.cancel()
    assert ended.value.status_code == 409
    again = main.import_data("again").prefix(f"local://{folder}/in", "data")
    with pytest.raises(Exception, match="no changes"):
        run(again)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("local:///etc", 403),
        ("local://{root}/../", 403),
        ("local://{root}/nothing", 400),
        ("local://{root}/one", 400),
        ("s3://bucket/x", 400),
    ],
)
def test_what_may_not_be_read_is_refused(repo, folder, path, status):
    job = repo.branch("main").import_data("x").prefix(path.format(root=folder), "data/")
    with pytest.raises(LakeFSException) as refused:
        job.start()
    assert refused.value.status_code == status


def test_a_link_that_leads_out_is_refused(repo, folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    inside = folder / "linked"
    inside.mkdir()
    (inside / "link").symlink_to(secret)
    with pytest.raises(Exception, match="not below the folder"):
        run(repo.branch("main").import_data("x").prefix(f"local://{inside}", "data/"))
    assert found(repo.branch("main")) == {}
    with pytest.raises(LakeFSException):
        repo.branch("main").import_data("x").object(f"local://{inside}/link", "x").start()


def test_a_dirty_or_protected_or_missing_branch(importing, repo, folder):
    def start(name: str) -> int:
        job = repo.branch(name).import_data("x").object(f"local://{folder}/one", "x")
        with pytest.raises(LakeFSException) as refused:
            job.start()
        return refused.value.status_code

    assert start("missing") == 404
    repo.branch("main").object("staged").upload("x")
    assert start("main") == 400
    path = f"/repositories/{repo.id}/settings/branch_protection"
    repo.branch("kept").create("main")
    importing.endpoint.request("PUT", path, json=[{"pattern": "kept"}])
    assert start("kept") == 403


def test_cancel(importing, repo, folder):
    many = folder / "many"
    many.mkdir()
    for number in range(3000):
        (many / f"{number:04d}").write_text(str(number))
    job = repo.branch("main").import_data("x").prefix(f"local://{many}", "data/")
    job.start()
    job.cancel()
    deadline = time.monotonic() + 10
    while not (status := job_status(importing, repo, job.import_id)).get("error"):
        assert time.monotonic() < deadline
        time.sleep(QUICK)
    assert (status["completed"], status["error"]["message"]) == (False, "the import was cancelled")
    assert found(repo.branch("main")) == {}


def job_status(server: ServerProcess, repo: lakefs.Repository, job: str) -> dict:
    path = f"/repositories/{repo.id}/branches/main/import?id={job}"
    return server.endpoint.request("GET", path).json()


def test_unknown_import(importing, repo):
    assert "no import" in job_status(importing, repo, "nothing")["message"]


def test_off_unless_a_folder_is_given(embedded, client, repository):
    assert not client.sdk_client.config_api.get_config().storage_config.import_support
    job = repository.branch("main").import_data("x").object("local:///etc/passwd", "x")
    with pytest.raises(LakeFSException, match="imports are off") as refused:
        job.start()
    assert refused.value.status_code == 403
