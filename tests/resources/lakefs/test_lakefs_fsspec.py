"""lakefs-spec, the fsspec file system, on the server."""

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
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


def test_open_modes(fs, repository, branch):
    path = f"lakefs://{repository.id}/dev/dir/x.txt"
    with fs.open(path, "w") as out:
        out.write("eins\nzwei\n")
    with fs.open(path) as source:
        assert source.readline() == b"eins\n"
        source.seek(-5, 2)
        assert source.read() == b"zwei\n"
    with pytest.raises(FileExistsError), fs.open(path, "xb") as out:
        out.write(b"never")
    assert fs.cat_file(path) == b"eins\nzwei\n"
    assert fs.du(f"lakefs://{repository.id}/dev/dir/") == 10


@pytest.mark.parametrize("ref", ["{commit}", "{short}", "dev@", "dev~1", "v1", "main^0"])
def test_refs_are_read(fs, repository, branch, ref):
    branch.object("x").upload(b"1")
    commit = branch.commit("1").get_commit().id
    branch.merge_into("main")
    repository.tag("v1").create(commit)
    branch.object("x").upload(b"2")
    branch.commit("2")
    branch.object("x").upload(b"1" if ref == "dev@" else b"3")
    ref = ref.format(commit=commit, short=commit[:12])
    assert fs.cat_file(f"lakefs://{repository.id}/{ref}/x") == (b"2" if ref == "dev@" else b"1")


def test_folders_move_and_vanish(fs, repository, branch, tmp_path: Path):
    for name in ("a/1", "a/b/2", "c"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    base = f"lakefs://{repository.id}/dev"
    fs.put(str(tmp_path / "in") + "/", f"{base}/up/", recursive=True)
    fs.get(f"{base}/up/", str(tmp_path / "out"), recursive=True)
    names = sorted(
        f.relative_to(tmp_path / "out").as_posix()
        for f in (tmp_path / "out").rglob("*")
        if f.is_file()
    )
    assert names == ["a/1", "a/b/2", "c"]
    fs.copy(f"{base}/up/a/b/2", f"{base}/up/two")
    fs.rm(f"{base}/up/a", recursive=True)
    assert sorted(fs.find(f"{base}/up/")) == [f"{base}/up/c"[9:], f"{base}/up/two"[9:]]
    assert fs.glob(f"{base}/up/*")
    assert [kind for _, kind, _ in fs.walk(f"{base}/up/")] == [[]]


@pytest.fixture
def options(endpoint) -> dict:
    return {
        "host": endpoint.url,
        "username": endpoint.access_key_id,
        "password": endpoint.secret_access_key,
    }


def test_pandas(repository, branch, options):
    table = pd.DataFrame({"n": range(1000), "text": [f"row {n}" for n in range(1000)]})
    base = f"lakefs://{repository.id}/dev/t"
    table.to_parquet(f"{base}.parquet", storage_options=options)
    table.to_csv(f"{base}.csv.gz", index=False, storage_options=options)
    table.to_json(f"{base}.jsonl", orient="records", lines=True, storage_options=options)
    back = [
        pd.read_parquet(f"{base}.parquet", storage_options=options),
        pd.read_csv(f"{base}.csv.gz", storage_options=options),
        pd.read_json(f"{base}.jsonl", lines=True, storage_options=options),
    ]
    for one in back:
        pd.testing.assert_frame_equal(one, table)
    columns = pd.read_parquet(f"{base}.parquet", columns=["n"], storage_options=options)
    assert list(columns) == ["n"]


def test_partitioned_dataset(fs, repository, branch):
    """Written on a branch, read with a filter, and again at the commit when the branch moved on."""
    table = pa.table({"week": [n % 4 for n in range(4000)], "n": list(range(4000))})
    root = f"{repository.id}/dev/set"
    pq.write_to_dataset(table, root, partition_cols=["week"], filesystem=fs)
    assert len(fs.find(f"lakefs://{root}/")) == 4
    commit = branch.commit("set").get_commit().id
    more = pa.table({"week": [3], "n": [-1]})
    ds.write_dataset(
        more,
        root,
        filesystem=fs,
        format="parquet",
        partitioning=ds.partitioning(pa.schema([("week", pa.int64())]), flavor="hive"),
        basename_template="more-{i}.parquet",
        existing_data_behavior="overwrite_or_ignore",
    )

    def third_week(place: str) -> list[int]:
        fs.dircache.clear()  # lakefs-spec keeps listings
        found = ds.dataset(place, filesystem=fs, format="parquet", partitioning="hive")
        return sorted(found.to_table(filter=ds.field("week") == 3)["n"].to_pylist())

    old = list(range(3, 4000, 4))
    assert third_week(root) == [-1, *old]
    assert third_week(f"{repository.id}/{commit}/set") == old
