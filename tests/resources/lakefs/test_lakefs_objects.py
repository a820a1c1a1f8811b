"""Objects through the official clients: bytes, ranges, listings, keys that look like trouble."""

import hashlib
import random
import time
from pathlib import Path

import lakefs
import pytest
from lakefs.client import Client
from lakefs.exceptions import (
    BadRequestException,
    NotFoundException,
    ObjectExistsException,
    ObjectNotFoundException,
)
from lakefs_sdk import (
    PathList,
    StagingLocation,
    StagingMetadata,
    UpdateObjectUserMetadata,
)
from lakefs_sdk.exceptions import ApiException

from ft_resources.lakefs.server import blobs
from ft_resources.lakefs.server.errors import BadRequest
from tests.resources.lakefs.running import FULL, Endpoint

AWKWARD = [
    "a",
    "a!",
    "a/",
    "a//",
    "a//b",
    "a/b",
    "a/b/c",
    "/lead",
    "//",
    "z/",
    ".",
    "..",
    "../up",
    ".git",
    ".git/config",
    "git~1",
    "=x",
    "sp ace/and+plus%20&?#",
    "back\\slash",
    "new\nline",
    "é/ü/漢字/😀",
    "\ufffd",
    "x" * 1024,
    "/" * 100,
]


def paths(ref: lakefs.Reference, **query) -> list[str]:
    return [item.path for item in ref.objects(**query)]


def test_object_comes_back_as_it_was(branch):
    data = random.Random(1).randbytes(10_000)
    before = int(time.time())
    branch.object("x/1").upload(data, content_type="application/x-test", metadata={"Key": "välue"})
    stats = branch.object("x/1").stat()
    assert branch.object("x/1").reader("rb").read() == data
    assert (stats.path, stats.size_bytes) == ("x/1", len(data))
    assert stats.checksum == hashlib.md5(data).hexdigest()
    assert stats.content_type == "application/x-test"
    assert stats.metadata == {"key": "välue"}
    assert before <= stats.mtime <= time.time()


@pytest.mark.parametrize("size", [0, 1, 4 * 2**20 - 1, 4 * 2**20, 9 * 2**20 + 5])
def test_sizes_around_a_batch(branch, size):
    data = random.Random(size).randbytes(size)
    branch.object("big").upload(data)
    with branch.object("big").reader("rb") as reader:
        assert hashlib.sha256(reader.read()).digest() == hashlib.sha256(data).digest()
    assert branch.object("big").stat().size_bytes == size


def test_text_mode_and_writer(branch):
    with branch.object("t").writer("w", content_type="text/plain") as writer:
        writer.write("eins\n")
        writer.write("zwei\n")
    assert branch.object("t").reader("r").read() == "eins\nzwei\n"


def test_reader_seeks_and_reads_to_the_end(branch):
    branch.object("r").upload(b"0123456789")
    with branch.object("r").reader("rb") as reader:
        assert reader.read(3) == b"012"
        assert reader.read(4) == b"3456"
        reader.seek(-2, 2)
        assert reader.read(100) == b"89"
        assert reader.read(1) == b""
        reader.seek(50)
        assert reader.read(1) == b""


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=5-4", 416, None, "bytes */10"),
        pytest.param(f"bytes={'9' * 5000}-", 416, None, "bytes */10", id="5000 digits"),
    ],
)
def test_range(endpoint, repository, branch, header, status, body, content_range):
    branch.object("r").upload(b"0123456789")
    path = f"/repositories/{repository.id}/refs/dev/objects?path=r"
    got = endpoint.request("GET", path, headers={"Range": header})
    assert got.status == status
    assert body is None or got.data == body
    assert got.headers["Content-Range"] == content_range
    head = endpoint.request("HEAD", path, headers={"Range": header})
    assert (head.status, head.data) == (status, b"")


def test_head_and_not_modified(endpoint, repository, branch):
    branch.object("r").upload(b"0123456789", content_type="text/x")
    path = f"/repositories/{repository.id}/refs/dev/objects?path=r"
    head = endpoint.request("HEAD", path)
    assert (head.status, head.headers["Content-Length"]) == (200, "10")
    assert head.headers["ETag"] == f'"{hashlib.md5(b"0123456789").hexdigest()}"'
    assert head.headers["Content-Type"] == "text/x"
    cached = endpoint.request("GET", path, headers={"If-None-Match": head.headers["ETag"]})
    assert (cached.status, cached.data) == (304, b"")
    assert branch.object("r").exists()
    assert not branch.object("no").exists()


def test_awkward_keys_live_side_by_side(main, branch):
    for number, key in enumerate(AWKWARD):
        branch.object(key).upload(str(number).encode())
    expected = sorted(AWKWARD, key=str.encode)
    assert paths(branch) == expected
    branch.commit("awkward")
    branch.merge_into(main)
    assert paths(main) == expected
    for number, key in enumerate(AWKWARD):
        assert main.object(key).reader("rb").read() == str(number).encode()
    assert [c.path for c in main.diff("main~1", type="two_dot")] == expected


@pytest.mark.parametrize("key", ["", "x" * 1025, "/" * 201, "a\0b", "a\1b", "%ff", "%FFa%ef%bf%bd"])
def test_keys_refused(embedded, endpoint, repository, branch, key):
    path = f"/repositories/{repository.id}/branches/dev/objects"
    got = endpoint.request("POST", f"{path}?path={key}", body=b"x")
    assert got.status == 400
    assert "path" in got.json()["message"]


def test_listing_pages_and_prefixes(branch):
    keys = [f"p/{number:04d}" for number in range(40)]
    branch.object("src").upload(b"x")
    for key in keys[:20]:
        branch.object(key).upload(b"x")
    branch.commit("some")
    for key in keys[20:40]:
        branch.object(key).upload(b"x")
    assert paths(branch, prefix="p/") == keys[:40]
    assert paths(branch, prefix="p/", amount=7) == keys[:40]
    assert paths(branch, prefix="p/", after="p/0020") == keys[21:40]
    assert paths(branch, prefix="p/001") == keys[10:20]
    assert paths(branch, prefix="q") == []
    assert paths(branch, max_amount=3) == keys[:3]


def test_more_than_a_thousand(full, client, endpoint):
    """Over the largest page: listing, diff and delete all walk on."""
    objects = client.sdk_client.objects_api
    repo = lakefs.Repository(full.repo_id, client=client)
    branch = repo.branch("dev").create(full)
    assert paths(branch, amount=1000) == FULL
    assert [c.path for c in repo.ref("full~1").diff(branch)] == FULL
    listing = f"/repositories/{branch.repo_id}/refs/dev/objects/ls?amount=5000"
    assert endpoint.request("GET", listing).json()["pagination"] == {
        "has_more": True,
        "next_offset": FULL[999],
        "results": 1000,
        "max_per_page": 1000,
    }
    with pytest.raises(ApiException) as refused:
        objects.delete_objects(branch.repo_id, "dev", PathList(paths=FULL))
    assert refused.value.status == 400
    objects.delete_objects(branch.repo_id, "dev", PathList(paths=FULL[:1000]))
    assert paths(branch) == FULL[1000:]
    objects.delete_objects(branch.repo_id, "dev", PathList(paths=FULL[1000:]))
    assert [c.path for c in branch.uncommitted(amount=1000)] == FULL


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("amount", [1, 2, 1000])
def test_delimiter_mixes_objects_and_prefixes(branch, committed, amount):
    for key in ["a", "a/1", "a/2/3", "a/2/4", "b", "c//x", "d/"]:
        branch.object(key).upload(b"x")
    if committed:
        branch.commit("tree")
    assert paths(branch, delimiter="/", amount=amount) == ["a", "a/", "b", "c/", "d/"]
    assert paths(branch, delimiter="/", prefix="a/", amount=amount) == ["a/1", "a/2/"]
    assert paths(branch, delimiter="/", prefix="a", amount=amount) == ["a", "a/"]
    assert paths(branch, delimiter="/", after="a/", amount=amount) == ["b", "c/", "d/"]
    assert paths(branch, delimiter="/", after="a/1", amount=amount) == ["b", "c/", "d/"]
    assert paths(branch, delimiter="2/", amount=amount) == ["a", "a/1", "a/2/", "b", "c//x", "d/"]
    kinds = [type(item).__name__ for item in branch.objects(delimiter="/")]
    assert kinds == ["ObjectInfo", "CommonPrefix", "ObjectInfo", "CommonPrefix", "CommonPrefix"]


def test_staged_changes_are_seen_on_the_branch_alone(main, branch):
    for key in ["keep", "gone", "new-content"]:
        branch.object(key).upload(b"1")
    branch.commit("base")
    branch.object("gone").delete()
    branch.object("new-content").upload(b"2")
    branch.object("added").upload(b"3")
    assert paths(branch) == ["added", "keep", "new-content"]
    repo = lakefs.Repository(branch.repo_id, client=branch._client)
    assert paths(repo.ref("dev@")) == ["gone", "keep", "new-content"]
    assert paths(repo.ref("dev$")) == ["added", "keep", "new-content"]
    assert repo.ref("dev@").object("new-content").reader("rb").read() == b"1"
    changes = [(c.type, c.path, c.size_bytes) for c in branch.uncommitted()]
    assert changes == [("added", "added", 1), ("removed", "gone", 0), ("changed", "new-content", 1)]
    with pytest.raises(ObjectNotFoundException):
        branch.object("gone").stat()
    with pytest.raises(ObjectNotFoundException):
        branch.object("gone").reader().read()
    assert paths(main) == []


def test_equal_upload_is_no_change(branch):
    branch.object("x").upload(b"same", content_type="text/x", metadata={"k": "v"})
    branch.commit("one")
    time.sleep(1.1)  # another mtime
    branch.object("x").upload(b"same", content_type="text/x", metadata={"k": "v"})
    assert list(branch.uncommitted()) == []
    with pytest.raises(BadRequestException, match="no changes"):
        branch.commit("nothing")
    branch.object("x").upload(b"same", content_type="text/x", metadata={"k": "other"})
    assert [c.type for c in branch.uncommitted()] == ["changed"]


def test_undoing_by_hand_is_no_change(branch):
    branch.object("x").upload(b"1")
    branch.commit("one")
    branch.object("x").delete()
    branch.object("x").upload(b"1")
    branch.object("y").upload(b"1")
    branch.object("y").delete()
    branch.object("never").delete()
    assert list(branch.uncommitted()) == []


def test_exclusive_create(endpoint, repository, branch):
    branch.object("x").upload(b"1", mode="xb")
    with pytest.raises(ObjectExistsException):
        branch.object("x").upload(b"2", mode="xb")
    path = f"/repositories/{repository.id}/branches/dev/objects?path=x"
    late = endpoint.request("POST", path, body=b"2", headers={"If-None-Match": "*"})
    assert late.status == 412
    assert branch.object("x").reader("rb").read() == b"1"
    branch.object("x").delete()
    branch.object("x").upload(b"3", mode="xb")


def test_replace_only_what_was_read(endpoint, repository, branch):
    branch.object("x").upload(b"1")
    path = f"/repositories/{repository.id}/branches/dev/objects?path=x"
    etag = f'"{branch.object("x").stat().checksum}"'
    assert endpoint.request("POST", path, body=b"2", headers={"If-Match": etag}).status == 201
    assert endpoint.request("POST", path, body=b"3", headers={"If-Match": etag}).status == 412
    assert branch.object("x").reader("rb").read() == b"2"


def test_copy(repository, branch):
    branch.object("x").upload(b"1", content_type="text/x", metadata={"k": "v"})
    branch.commit("x")
    old = branch.object("x").stat()
    other = repository.branch("other").create("main")
    branch.object("x").copy("other", "y")
    new = other.object("y").stat()
    assert (new.checksum, new.content_type, new.metadata) == (old.checksum, "text/x", {"k": "v"})
    with pytest.raises(NotFoundException):
        branch.object("none").copy("other", "z")
    assert repository.ref("dev").object("x").reader("rb").read() == b"1"
    assert new.physical_address != old.physical_address, "each object has its own"


def test_address_names_the_file(embedded, branch):
    branch.object("sp ace#1").upload(b"1")
    address = branch.object("sp ace#1").stat().physical_address
    assert address.endswith("#sp%20ace%231")
    assert Path(address.removeprefix("local://").partition("#")[0]).read_bytes() == b"1"


def test_delete_many(branch):
    for key in "abc":
        branch.object(key).upload(b"x")
    branch.delete_objects(["a", "c", "not there", ""])
    assert paths(branch) == ["b"]


@pytest.mark.parametrize(
    ("kind", "path", "left"),
    [
        ("object", "p/a", ["p/b", "q"]),
        ("common_prefix", "p/", ["q"]),
        ("reset", None, []),
    ],
)
def test_reset(branch, kind, path, left):
    for key in ["p/a", "p/b", "q"]:
        branch.object(key).upload(b"x")
    branch.reset_changes(kind, path)
    branch.reset_changes("object", "nothing staged here")
    assert paths(branch) == left


def test_multipart_upload(client, branch, tmp_path: Path):
    """lakefs_sdk sends the field `content`, from memory or from a file."""
    objects = client.sdk_client.objects_api
    file = tmp_path / "big.bin"
    file.write_bytes(random.Random(3).randbytes(6 * 2**20))
    stats = objects.upload_object(branch.repo_id, "dev", "from/file", content=str(file))
    assert stats.checksum == hashlib.md5(file.read_bytes()).hexdigest()
    objects.upload_object(branch.repo_id, "dev", "from/bytes", content=b"bytes")
    assert branch.object("from/bytes").reader("rb").read() == b"bytes"


def test_multipart_without_content(endpoint, repository, branch):
    path = f"/repositories/{repository.id}/branches/dev/objects?path=x"
    got = endpoint.request("POST", path, fields={"other": "x"})
    assert got.status == 400
    got = endpoint.request(
        "POST", path, body=b"--nonsense", headers={"Content-Type": "multipart/form-data"}
    )
    assert got.status == 400


def test_missing_places(client, repository, branch):
    for read in (
        lambda: branch.object("no").stat(),
        lambda: repository.branch("no").object("x").upload(b"x"),
        lambda: paths(repository.ref("no")),
        lambda: lakefs.Repository("no-such-repo", client=client).branch("main").get_commit(),
    ):
        with pytest.raises(NotFoundException):
            read()


def test_user_metadata_can_be_replaced(client, branch):
    branch.object("x").upload(b"1", metadata={"old": "1"})
    client.sdk_client.experimental_api.update_object_user_metadata(
        branch.repo_id, "dev", "x", UpdateObjectUserMetadata(set={"new": "2"})
    )
    assert branch.object("x").stat().metadata == {"new": "2"}


def linked(client: Client, branch: lakefs.Branch, key: str, location: StagingLocation, **fields):
    return client.sdk_client.staging_api.link_physical_address(
        branch.repo_id, "dev", key, StagingMetadata(staging=location, **fields)
    )


@pytest.mark.usefixtures("embedded")
class TestLocalFiles:
    """A job on the same machine writes the file itself."""

    def reserve(self, client: Client, branch: lakefs.Branch, key: str) -> StagingLocation:
        return client.sdk_client.staging_api.get_physical_address(branch.repo_id, "dev", key)

    def test_link(self, client, branch):
        location = self.reserve(client, branch, "x")
        Path(location.physical_address.removeprefix("local://")).write_bytes(b"local")
        checksum = hashlib.md5(b"local").hexdigest()
        linked(client, branch, "x", location, checksum=checksum, size_bytes=5)
        assert branch.object("x").reader("rb").read() == b"local"
        assert branch.object("x").stat().checksum == checksum

    @pytest.mark.parametrize(
        ("key", "checksum", "size"),
        [
            ("other", hashlib.md5(b"local").hexdigest(), 5),
            ("x", hashlib.md5(b"else").hexdigest(), 5),
            ("x", hashlib.md5(b"local").hexdigest(), 6),
        ],
    )
    def test_what_is_not_as_told_is_refused(self, client, branch, key, checksum, size):
        location = self.reserve(client, branch, "x")
        Path(location.physical_address.removeprefix("local://")).write_bytes(b"local")
        with pytest.raises(ApiException) as refused:
            linked(client, branch, key, location, checksum=checksum, size_bytes=size)
        assert refused.value.status == 400
        assert list(branch.objects()) == []

    @pytest.mark.parametrize("content_type", ["text/x\r\nSet-Cookie: a", "text/ü😀", "a\tb"])
    def test_content_type_goes_into_a_header(self, client, branch, content_type):
        location = self.reserve(client, branch, "x")
        Path(location.physical_address.removeprefix("local://")).write_bytes(b"local")
        checksum = hashlib.md5(b"local").hexdigest()
        with pytest.raises(ApiException) as refused:
            linked(
                client,
                branch,
                "x",
                location,
                checksum=checksum,
                size_bytes=5,
                content_type=content_type,
            )
        assert refused.value.status == 400
        assert not branch.object("x").exists()

    def test_forged_address(self, client, branch, tmp_path):
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret")
        true = self.reserve(client, branch, "x").physical_address
        for address in (f"local://{secret}", true[:-1] + "x", f"{true}/../../x", "s3://b/x", true):
            location = StagingLocation(physical_address=address)
            with pytest.raises(ApiException) as refused:
                linked(client, branch, "x", location, checksum="", size_bytes=6)
            assert refused.value.status == 400


@pytest.mark.parametrize("seconds", [-1, 60])
def test_a_reserved_address_expires(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(blobs, "RESERVED_SECONDS", seconds)
    store = blobs.Blobs(tmp_path, b"key")
    place = store.reserve("r/b/x")
    place.write_bytes(b"x")
    checksum = hashlib.md5(b"x").hexdigest()
    if seconds > 0:
        assert store.adopt(place, "r/b/x", 1, checksum).size == 1
        return
    with pytest.raises(BadRequest, match="has expired"):
        store.adopt(place, "r/b/x", 1, checksum)


def test_refused_upload_does_not_wait_for_the_body(endpoint: Endpoint, repository):
    got = endpoint.request(
        "POST",
        f"/repositories/{repository.id}/branches/none/objects?path=x",
        body=bytes(8 * 2**20),
    )
    assert got.status == 404


def test_reset_of_unknown_kind(endpoint, branch):
    path = f"/repositories/{branch.repo_id}/branches/dev"
    got = endpoint.request("PUT", path, json={"type": "all"})
    assert (got.status, "common_prefix" in got.json()["message"]) == (400, True)
