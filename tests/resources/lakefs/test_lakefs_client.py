"""Drafts and refs, as assets use them, against a real server."""

import gzip
import hashlib
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import lakefs
import pandas as pd
import pytest
from lakefs.exceptions import ForbiddenException, NotFoundException
from lakefs_sdk import BranchProtectionRule, StagingLocation
from lakefs_sdk.api.staging_api import StagingApi

from ft_resources.lakefs.client import (
    LINK_BYTES,
    Draft,
    LakeFS,
    content_digest,
    to_json_lines,
    to_parquet,
)
from ft_resources.lakefs.ref import Ref
from tests.resources.lakefs.running import FULL, Endpoint, free_port

META = {"run_id": "7"}


@pytest.fixture
def store(endpoint: Endpoint, repository: lakefs.Repository) -> LakeFS:
    """On a repository that is there already, its main protected."""
    return opened(endpoint, repository.id, repository.id)


def opened(endpoint: Endpoint, repository: str, raw_repository: str) -> LakeFS:
    store = LakeFS(
        endpoint=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        repository=repository,
        raw_repository=raw_repository,
        storage_namespace="local://tests/{repository}",
    )
    store.ensure()
    return store


def draft(store: LakeFS, branch: str = "work") -> Draft:
    return store.draft(store.repository, branch, META)


def published(
    store: LakeFS, prefix: str, files: Mapping[str, bytes | Path], branch: str = "work"
) -> Ref:
    work = draft(store, branch)
    work.write(prefix, files)
    work.commit("test")
    return work.merge()[prefix]


def content(store: LakeFS, ref: Ref) -> dict[str, bytes]:
    return {name: store.read(ref, name) for name in store.names(ref)}


def branches(repository: lakefs.Repository) -> list[str]:
    return [branch.id for branch in repository.branches()]


def test_published_files_are_read_by_commit(store, repository, main):
    files = {"rows.parquet": b"one", "deep/er.json": b"{}", "empty": b""}
    ref = published(store, "asset/p=1/", files)
    assert content(store, ref) == files
    assert ref == Ref(repository.id, main.head.id, "asset/p=1/", content_digest(files))
    assert branches(repository) == ["main"]
    newer = published(store, "asset/p=1/", {"rows.parquet": b"two"})
    assert content(store, ref) == files
    assert content(store, newer) == {"rows.parquet": b"two"}


def test_commit_and_merge_carry_the_lineage(store, main):
    published(store, "a/", {"x": b"1"})
    merge, commit, _ = main.log()
    assert (commit.message, commit.metadata) == ("test", META)
    assert META.items() <= merge.metadata.items()


def test_history_says_which_commit_wrote_a_path(store):
    first = published(store, "a/", {"x": b"1"}, "one")
    other = published(store, "b/", {"x": b"1"}, "two")
    again = published(store, "a/", {"x": b"1"}, "three")  # equal: names the commit of b/
    assert again.commit == other.commit == store.head(store.repository)
    [written] = store.history(again.repository, again.commit, "a/")
    assert written.metadata == META
    assert store.read(replace(first, commit=written.commit), "x") == b"1"
    assert written.at > 1_700_000_000
    second = published(store, "a/", {"x": b"2"}, "four")
    contents = [
        store.read(replace(second, commit=one.commit), "x")
        for one in store.history(second.repository, second.commit, "a/")
    ]
    assert contents == [b"2", b"1"]
    assert list(store.history(second.repository, second.commit, "c/")) == []
    with pytest.raises(FileNotFoundError, match="no commit"):
        next(store.history(second.repository, "0" * 64, "a/"))
    with pytest.raises(FileNotFoundError, match="no repository"):
        store.head("nowhere")


def test_nothing_is_on_main_before_the_merge(store, repository, main):
    before = main.head.id
    work = draft(store)
    work.write("a/", {"x": b"1"})
    work.commit("test")
    assert (main.head.id, list(main.objects())) == (before, [])
    assert [item.path for item in repository.branch(work.branch).objects()] == ["a/x"]
    work.discard()
    assert branches(repository) == ["main"]


def test_draft_that_is_not_merged_stays_for_inspection(store, repository):
    work = draft(store, "run-1/asset[ü]")
    work.write("a/", {"x": b"1"})
    work.commit("test")
    assert work.branch == "run-1-asset---"
    assert branches(repository) == ["main", work.branch]
    assert work.url.endswith(f"/repositories/{repository.id}/objects?ref={work.branch}")
    with pytest.raises(
        FileExistsError, match=r"run-1-asset--- .* not merged; delete it, or choose"
    ):
        draft(store, "run-1/asset[ü]")


def test_forgotten_commit_is_told(store, main):
    work = draft(store)
    work.write("a/", {"x": b"1"})
    with pytest.raises(RuntimeError, match=r"commit\(\) first"):
        work.merge()
    work.commit("test")
    work.merge()
    assert [item.path for item in main.objects()] == ["a/x"]


def test_equal_content_is_no_commit_and_an_equal_digest(store, repository, main):
    first = published(store, "a/", {"x": b"1", "y": b"2"})
    before = [commit.id for commit in main.log()]
    again = published(store, "a/", {"y": b"2", "x": b"1"})
    assert again == first
    assert [commit.id for commit in main.log()] == before
    assert branches(repository) == ["main"]


def test_ref_of_an_unchanged_draft_is_what_it_saw(store):
    first = published(store, "a/", {"x": b"1"})
    unchanged = draft(store, "unchanged")
    unchanged.write("a/", {"x": b"1"})
    unchanged.commit("test")
    published(store, "a/", {"x": b"2"})
    assert unchanged.merge()["a/"] == first


def test_equal_content_of_two_drafts(store):
    one, two = draft(store, "one"), draft(store, "two")
    for work in (one, two):
        work.write("a/", {"x": b"1"})
        work.commit("test")
    first, second = one.merge()["a/"], two.merge()["a/"]
    assert content(store, first) == content(store, second) == {"x": b"1"}
    assert first.digest == second.digest


def test_draft_that_undoes_itself(store):
    first = published(store, "a/", {"x": b"1"})
    work = draft(store)
    for value in (b"2", b"1"):
        work.write("a/", {"x": value})
        work.commit("test")
    published(store, "a/", {"x": b"3"}, "other")
    assert work.merge()["a/"] == first


def test_disjoint_drafts_merge_side_by_side(store, main):
    works = [draft(store, f"run-{number}") for number in range(4)]

    def run(number: int) -> list[Ref]:
        prefix = f"asset/p={number}/"
        refs = []
        work = works[number]
        for turn in range(3):
            work.write(prefix, {"rows": f"{number} {turn}".encode()})
            work.commit("test")
            refs.append(work.merge()[prefix])
            work = draft(store, f"run-{number}-{turn}")
        return refs

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(run, range(4)))
    for number, refs in enumerate(done):
        found = [store.read(ref, "rows").decode() for ref in refs]
        assert found == [f"{number} {turn}" for turn in range(3)]
    assert [item.path for item in main.objects()] == [f"asset/p={n}/rows" for n in range(4)]


def test_same_object_in_two_drafts_is_a_conflict(store, repository, main):
    one, two = draft(store, "one"), draft(store, "two")
    for work in (one, two):
        work.write("a/", {"x": work.branch.encode()})
        work.commit("test")
    first = one.merge()["a/"]
    with pytest.raises(RuntimeError, match="nothing was merged, the work is on branch two; run it"):
        two.merge()
    assert main.head.id == first.commit
    assert branches(repository) == ["main", "two"]
    assert repository.branch("two").object("a/x").reader("rb").read() == b"two"


def test_mixture_of_two_drafts_is_told(store, repository):
    """Other names below one prefix are no conflict to lakeFS, but no ref describes the result."""
    one, two = draft(store, "one"), draft(store, "two")
    for work in (one, two):
        work.write("a/", {work.branch: b"x"})
        work.commit("test")
    one.merge()
    with pytest.raises(RuntimeError, match=r"mixture of both since .* branch two; run it again"):
        two.merge()
    assert branches(repository) == ["main", "two"]
    assert content(store, published(store, "a/", {"two": b"x"})) == {"two": b"x"}


def test_prefix_is_replaced_exactly(store, main):
    published(store, "a/p=1/", {"x": b"1", "gone": b"1", "deep/gone": b"1"})
    published(store, "a/p=10/", {"x": b"other"})
    published(store, "a/p=1/", {"x": b"2", "new": b"3"})
    assert [item.path for item in main.objects()] == ["a/p=1/new", "a/p=1/x", "a/p=10/x"]
    assert store.names(published(store, "a/p=1/", {})) == []


def test_more_stale_objects_than_one_call_deletes(endpoint, full):
    store = opened(endpoint, full.repo_id, full.repo_id)
    full.merge_into("main")
    ref = Ref(full.repo_id, full.head.id, "k/", "")
    assert len(store.names(ref)) == len(FULL)
    assert content(store, published(store, "k/", {"7": b"kept"})) == {"7": b"kept"}


def test_several_prefixes_in_one_merge(store, main):
    work = draft(store)
    work.write("a/p=1/", {"x": b"1"})
    work.write("a/p=2/", {"x": b"2"})
    with pytest.raises(ValueError, match=r"'a/' overlaps with 'a/p="):
        work.write("a/", {"x": b"3"})
    work.write("a/p=2/", {"x": b"4"})
    work.commit("test")
    refs = work.merge()
    assert {prefix: store.read(ref, "x") for prefix, ref in refs.items()} == {
        "a/p=1/": b"1",
        "a/p=2/": b"4",
    }
    assert {ref.commit for ref in refs.values()} == {main.head.id}


def test_objects_that_cannot_be_deleted_are_told(store, client, repository):
    """lakeFS answers such a call with 200 and a list of errors."""
    published(store, "a/", {"x": b"1", "stale": b"1"})
    work = draft(store)
    client.sdk_client.repositories_api.set_branch_protection_rules(
        repository.id, [BranchProtectionRule(pattern="*")]
    )
    with pytest.raises(RuntimeError, match="cannot delete a/stale: cannot write to protected"):
        work.write("a/", {"x": b"1"})


@pytest.mark.parametrize("prefix", ["", "a", "a/b"])
def test_prefix_is_a_folder(store, prefix):
    with pytest.raises(ValueError, match="must end with '/'"):
        draft(store).write(prefix, {"x": b"1"})


def test_main_is_protected(store, main):
    with pytest.raises(ForbiddenException):
        main.commit("by hand", allow_empty=True)
    with pytest.raises(ForbiddenException):
        main.object("a/x").upload(b"by hand")
    assert list(main.objects()) == []


def test_ensure_makes_both_and_keeps_what_is_there(client, endpoint):
    names = [f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("clean", "raw")]
    api = client.sdk_client.repositories_api
    store = opened(endpoint, *names)
    for name in names:
        assert [rule.pattern for rule in api.get_branch_protection_rules(name)] == ["main"]
    more = [BranchProtectionRule(pattern=pattern) for pattern in ("release-*", "main")]
    api.set_branch_protection_rules(names[0], more)
    store.ensure()
    assert api.get_branch_protection_rules(names[0]) == more
    for name in names:
        lakefs.Repository(name, client=client).delete()


def test_first_draft_makes_the_repositories(client, store):
    name = f"first-{uuid.uuid4().hex[:8]}"
    fresh = store.model_copy(update={"repository": name, "raw_repository": name})
    assert content(fresh, published(fresh, "a/", {"x": b"1"})) == {"x": b"1"}
    lakefs.Repository(name, client=client).delete()


def test_missing_object_commit_and_repository(store):
    ref = published(store, "a/", {"x": b"1"})
    with pytest.raises(FileNotFoundError, match=f"lakefs://{ref.repository}/{ref.commit}/a/y"):
        store.read(ref, "y")
    with pytest.raises(FileNotFoundError, match="no commit 0000"):
        store.names(replace(ref, commit="0" * 64))
    with pytest.raises(FileNotFoundError):
        store.read(replace(ref, repository="no-such-repository"), "x")


def test_download(store, tmp_path: Path):
    files = {"x": b"1", "deep/er/y": b"2", "..odd": b"3"}
    folder = store.download(published(store, "a/", files), tmp_path / "new" / "folder")
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == files
    assert store.download(published(store, "a/", {}), tmp_path / "none").is_dir()


@pytest.mark.parametrize("name", ["../out", "deep/../../out", "/etc/out", "", ".", "x/.."])
def test_download_stays_in_its_folder(store, tmp_path: Path, name):
    ref = published(store, "a/", {"harmless": b"1", name: b"2"})
    with pytest.raises(ValueError, match="would not lie below"):
        store.download(ref, tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_download_does_not_follow_a_link_out(store, tmp_path: Path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    with pytest.raises(ValueError, match="would not lie below"):
        store.download(published(store, "a/", {"link/x": b"1"}), folder)
    assert list(outside.iterdir()) == []


def test_wrong_keys_and_no_server_are_told(store):
    stranger = store.model_copy(update={"secret_access_key": "wrong"})
    nowhere = store.model_copy(update={"endpoint": f"http://127.0.0.1:{free_port()}"})
    ref = Ref(store.repository, "main", "a/", "")
    for call in (
        lambda s: s.draft(s.repository, "work", {}),
        lambda s: s.read(ref, "x"),
        lambda s: s.names(ref),
        lambda s: s.ensure(),
    ):
        with pytest.raises(PermissionError, match="refuses access key AKIA"):
            call(stranger)
        with pytest.raises(ConnectionError, match=r"no answer from lakeFS at http://127"):
            call(nowhere)


def test_digest_is_what_its_docs_say():
    """Written out here: it is the data version, and a change would make every asset stale."""
    one, two = hashlib.sha256(b"1").hexdigest(), hashlib.sha256(b"2").hexdigest()
    lines = f"a\0{one}\nb/c\0{two}\n"
    assert content_digest({"b/c": b"2", "a": b"1"}) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    "files",
    [{}, {"a": b"1"}, {"b": b"12"}, {"a": b"1", "b": b""}, {"a": b"", "b": b"1"}, {"a\n": b"1"}],
)
def test_different_files_have_different_digests(files):
    assert content_digest(files) != content_digest({"a": b"12"})


def test_table_goes_and_comes(store):
    table = pd.DataFrame({"text": ["ä", None], "n": [1, 2], "at": pd.to_datetime([0, 1], utc=True)})
    ref = published(store, "a/", {"rows.parquet": to_parquet(table)})
    pd.testing.assert_frame_equal(store.read_table(ref), table)


def test_equal_tables_are_equal_bytes():
    table = pd.DataFrame({"text": ["ä", "b", None], "n": [1, 2, 3]})
    other = pd.concat([table.iloc[:1], table.iloc[1:]])[["text", "n"]].set_index([[7, 8, 9]])
    assert to_parquet(table) == to_parquet(other)
    assert to_parquet(table) != to_parquet(table.iloc[::-1])


def test_rows_go_and_come(store):
    rows = [{"b": "ä\r\n\x1f\u2028", "a": [1, {"z": None}]}, {"a": 2.5}]
    files = {"rows.jsonl.gz": to_json_lines(rows), "one.json": b'{"k": 1}'}
    ref = published(store, "a/", files)
    assert store.read_rows(ref) == rows
    assert store.read_json(ref, "one.json") == {"k": 1}


def test_equal_rows_are_equal_bytes():
    data = to_json_lines([{"b": "ä", "a": 1}])
    assert data == to_json_lines(iter([{"a": 1, "b": "ä"}]))
    assert gzip.decompress(data) == '{"a": 1, "b": "ä"}\n'.encode()
    assert data[4:8] == bytes(4), "the time of writing is part of a gzip header"


def test_links_are_escaped(store):
    ref = Ref("repo", "c" * 64, "a b/", "")
    assert store.commit_url(ref) == f"{store.endpoint}/repositories/repo/commits/{ref.commit}"
    assert store.object_url(ref, "x&y#1.html") == (
        f"{store.endpoint}/repositories/repo/object?ref={ref.commit}&path=a+b/x%26y%231.html"
    )


def test_ref_travels_as_plain_values():
    ref = Ref("repo", "c" * 64, "a/", "d" * 64)
    assert Ref(**ref.to_dict()) == ref
    assert ref.uri == f"lakefs://repo/{ref.commit}/a/"


def test_deleted_branch_is_told_by_the_server(store, repository):
    work = draft(store)
    repository.branch(work.branch).delete()
    with pytest.raises(NotFoundException):
        work.write("a/", {"x": b"1"})


class TestFiles:
    """Content given by files: the large ones by reference, where the server's files are here."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, bytes | Path]:
        large, small = tmp_path / "large", tmp_path / "small"
        large.write_bytes(os.urandom(LINK_BYTES + 1))
        small.write_bytes(b"small")
        return {"large": large, "small": small, "bytes": b"bytes"}

    def expected(self, files: dict[str, bytes | Path]) -> dict[str, bytes]:
        return {n: c.read_bytes() if isinstance(c, Path) else c for n, c in files.items()}

    def test_digest_and_content_are_those_of_the_bytes(self, store, files):
        ref = published(store, "a/", files)
        assert content(store, ref) == self.expected(files)
        assert ref.digest == content_digest(self.expected(files))

    def test_a_large_file_shares_its_bytes(self, embedded, store, files):
        published(store, "a/", files)
        assert files["large"].stat().st_nlink == 2
        assert files["large"].stat().st_mode & 0o222 == 0
        assert files["small"].stat().st_nlink == 1
        # The same content once more: read-only by now, and stored already.
        work = draft(store)
        work.write("b/", files)
        work.commit("again")
        ref = work.merge()["b/"]
        files["large"].unlink()
        assert len(store.read(ref, "large")) > LINK_BYTES

    def test_on_another_file_system(self, embedded, store, files, monkeypatch):
        def refuse(*places: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr("os.link", refuse)
        ref = published(store, "a/", files)
        assert content(store, ref) == self.expected(files)
        assert files["large"].stat().st_nlink == 1

    @pytest.mark.parametrize(
        "address", ["s3://bucket/x", "local://relative/x", "local:///no/such/x"]
    )
    def test_where_the_server_keeps_files_elsewhere(self, store, files, monkeypatch, address):
        reserve(monkeypatch, address)
        ref = published(store, "a/", files)
        assert content(store, ref) == self.expected(files)
        assert files["large"].stat().st_nlink == 1

    def test_a_folder_of_the_same_name_is_here(self, store, files, tmp_path, monkeypatch):
        """The address of a server elsewhere fits a folder of this machine by accident."""
        reserve(monkeypatch, f"local://{tmp_path}/reserved")
        ref = published(store, "a/", files)
        assert content(store, ref) == self.expected(files)
        assert not (tmp_path / "reserved").exists()


def reserve(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    location = StagingLocation(physical_address=address)
    monkeypatch.setattr(StagingApi, "get_physical_address", lambda *where: location)


def test_a_tag_goes_where_it_is_sent(store, repository):
    first = published(store, "a/", {"a.txt": b"1"})
    second = published(store, "a/", {"a.txt": b"2"}, "later")
    assert store.tagged(store.repository, "champion-legal") is None
    for ref in (first, second, second, first):
        store.move_tag("champion-legal", ref)
        assert store.tagged(store.repository, "champion-legal") == ref.commit
    with pytest.raises(FileNotFoundError, match="no commit"):
        store.move_tag("champion-legal", Ref(store.repository, "0" * 64, "a/", ""))
