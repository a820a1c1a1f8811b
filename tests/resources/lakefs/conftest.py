"""A real server on a free loopback port, and the official client on it.

Set LAKEFS_TEST_ENDPOINT, LAKEFS_TEST_ACCESS_KEY_ID and LAKEFS_TEST_SECRET_ACCESS_KEY (and, where
its storage is not local, LAKEFS_TEST_NAMESPACE) to run the same tests against another lakeFS; tests
of what only the embedded server promises are skipped then.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import lakefs
import pytest
from lakefs.client import Client

from tests.resources.lakefs.running import FULL, Endpoint, ServerProcess


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    if url := os.environ.get("LAKEFS_TEST_ENDPOINT"):
        yield Endpoint(
            url,
            os.environ["LAKEFS_TEST_ACCESS_KEY_ID"],
            os.environ["LAKEFS_TEST_SECRET_ACCESS_KEY"],
        )
        return
    server = ServerProcess(tmp_path_factory.mktemp("lakefs"))
    yield server.endpoint
    assert server.stop() == 0


@pytest.fixture(scope="session")
def client(endpoint: Endpoint) -> Client:
    return endpoint.client()


@pytest.fixture
def repository(client: Client) -> Iterator[lakefs.Repository]:
    repo = new_repository(client)
    yield repo
    repo.delete()


@pytest.fixture(scope="session")
def full(client: Client, endpoint: Endpoint) -> Iterator[lakefs.Branch]:
    """A branch with FULL committed: more objects than one call lists or deletes."""
    repo = new_repository(client)
    branch = repo.branch("full").create("main")
    branch.object(FULL[0]).upload(b"x")
    path = f"/repositories/{repo.id}/branches/full/objects/copy?dest_path="
    for key in FULL[1:]:
        assert endpoint.request("POST", path + key, json={"src_path": FULL[0]}).status == 201
    branch.commit("full")
    yield branch
    repo.delete()


def new_repository(client: Client) -> lakefs.Repository:
    name = f"test-{uuid.uuid4().hex[:12]}"
    base = os.environ.get("LAKEFS_TEST_NAMESPACE", "local://tests")
    return lakefs.Repository(name, client=client).create(f"{base}/{name}", default_branch="main")


@pytest.fixture
def main(repository: lakefs.Repository) -> lakefs.Branch:
    return repository.branch("main")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """An embedded server of the test's own, to be stopped and killed."""
    process = ServerProcess(tmp_path / "root")
    yield process
    process.kill()


@pytest.fixture
def embedded(endpoint: Endpoint) -> None:
    """For what only the embedded server promises."""
    if "LAKEFS_TEST_ENDPOINT" in os.environ:
        pytest.skip("tests the embedded server")


@pytest.fixture
def branch(repository: lakefs.Repository) -> lakefs.Branch:
    return repository.branch("dev").create("main")
