"""lakefs-spec, the fsspec file system, on the server."""

import hashlib
from pathlib import Path

import pytest
from lakefs_spec import LakeFSFileSystem


@pytest.fixture
def fs(endpoint) -> LakeFSFileSystem:
    return LakeFSFileSystem(
        host=endpoint.url,
        username=endpoint.access_key_id,
        password=endpoint.secret_access_key,
        skip_instance_cache=True,
    )


def test_files(fs, repository, branch, tmp_path: Path):
    local = tmp_path / "local.txt"
    local.write_bytes(b"hello " * 1000)
    base = f"lakefs://{repository.id}/dev"
    fs.put_file(str(local), f"{base}/dir/one.txt")
    fs.put_file(str(local), f"{base}/dir/one.txt")  # skipped: its checksum is the local md5
    assert fs.checksum(f"{base}/dir/one.txt") == hashlib.md5(local.read_bytes()).hexdigest()
    with fs.open(f"{base}/dir/sub/two.txt", "wb") as out:
        out.write(b"two")
    assert fs.ls(f"{base}/dir/", detail=False) == [
        f"{repository.id}/dev/dir/one.txt",
        f"{repository.id}/dev/dir/sub/",
    ]
    assert sorted(fs.find(f"{base}/dir/")) == [
        f"{repository.id}/dev/dir/one.txt",
        f"{repository.id}/dev/dir/sub/two.txt",
    ]
    back = tmp_path / "back.txt"
    fs.get_file(f"{base}/dir/one.txt", str(back))
    assert back.read_bytes() == local.read_bytes()
    assert fs.cat_file(f"{base}/dir/one.txt", start=6, end=11) == b"hello"
    assert fs.exists(f"{base}/dir/one.txt")
    assert fs.isdir(f"{base}/dir")
    assert not fs.exists(f"{base}/nothing")
    fs.cp_file(f"{base}/dir/one.txt", f"{base}/copy.txt")
    fs.rm(f"{base}/dir", recursive=True)
    assert fs.find(f"{base}/") == [f"{repository.id}/dev/copy.txt"]
    with pytest.raises(FileNotFoundError):
        fs.info(f"{base}/never.txt")


def test_transaction(fs, repository, tmp_path: Path):
    with fs.transaction(repository.id, "main") as tx:
        fs.pipe_file(f"lakefs://{repository.id}/{tx.branch.id}/x", b"1")
        tx.commit(message="from fsspec")
    assert fs.cat_file(f"lakefs://{repository.id}/main/x") == b"1"
    assert "from fsspec" in [c.message for c in repository.branch("main").log()]
