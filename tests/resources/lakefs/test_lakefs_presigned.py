"""Presigned URLs: what the clients do with them, and what nobody may."""

import gzip
import hashlib
import re
import time

import lakefs
import pandas as pd
import pytest
import urllib3
from lakefs.exceptions import ObjectExistsException
from lakefs_sdk import StagingMetadata
from lakefs_sdk.exceptions import BadRequestException

from ft_resources.lakefs.server.auth import Keys
from ft_resources.lakefs.server.presigned import READ, SECONDS
from tests.resources.lakefs.running import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Endpoint

pytestmark = pytest.mark.usefixtures("embedded")
BIG = bytes(range(256)) * 40_000  # more than one batch of an upload


def read_url(branch: lakefs.Branch, key: str) -> str:
    return branch.object(key).stat(pre_sign=True).physical_address


def plain(method: str, url: str, **options) -> urllib3.BaseHTTPResponse:
    """Without the key pair."""
    return urllib3.request(method, url, retries=False, **options)


def staging(branch: lakefs.Branch, key: str):
    api = branch._client.sdk_client.staging_api
    return api, api.get_physical_address(branch.repo_id, branch.id, key, True)


@pytest.mark.parametrize("content", [b"", b"text", BIG])
def test_the_client_writes_and_reads_presigned(branch, content):
    stored = branch.object("a/ü b.bin")
    with stored.writer("xb", pre_sign=True, content_type="text/x", metadata={"k": "v"}) as target:
        target.write(content)
    with stored.reader("rb", pre_sign=True) as source:
        assert source.read() == content
    with stored.reader("rb", pre_sign=True) as source:
        source.seek(2)
        assert source.read(3) == content[2:5]
    told = stored.stat()
    md5 = hashlib.md5(content).hexdigest()
    assert (told.checksum, told.size_bytes, told.content_type) == (md5, len(content), "text/x")
    assert told.metadata == {"k": "v"}
    with pytest.raises(ObjectExistsException), stored.writer("xb", pre_sign=True) as target:
        target.write(b"other")
    assert stored.reader("rb").read() == content
    branch.commit("presigned")


def test_a_url_reads_one_state_without_the_key_pair(branch, endpoint):
    branch.object("a/x").upload(b"first", content_type="text/x", metadata={"private": "word"})
    info = branch.object("a/x").stat(pre_sign=True)
    url = info.physical_address
    assert url.startswith(f"{endpoint.url}/api/v1/presigned/")
    branch.object("a/x").upload(b"second")
    for method, content in (("GET", b"first"), ("HEAD", b"")):
        got = plain(method, url)
        assert (got.status, got.data) == (200, content)
        assert got.headers["Content-Type"] == "text/x"
        assert got.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert plain("GET", url, headers={"Range": "bytes=1-2"}).data == b"ir"
    assert plain("GET", url, headers={"Range": "bytes=9-"}).status == 416
    rows = branch._client.sdk_client.objects_api.list_objects(
        branch.repo_id, branch.id, presign=True, user_metadata=False
    ).results
    assert [plain("GET", row.physical_address).data for row in rows] == [b"second"]
    assert abs(rows[0].physical_address_expiry - time.time() - SECONDS) < 60


def test_a_reader_that_knows_only_urls(branch):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    branch.object("t/rows.csv.gz").upload(gzip.compress(table.to_csv(index=False).encode()))
    assert pd.read_csv(read_url(branch, "t/rows.csv.gz")).equals(table)


def test_getting_an_object_presigned_leads_to_its_url(branch, endpoint):
    branch.object("x").upload(b"content")
    path = f"/repositories/{branch.repo_id}/refs/{branch.id}/objects?path=x&presign=True"
    got = endpoint.request("GET", path, redirect=False)
    assert got.status == 302
    assert plain("GET", got.headers["Location"]).data == b"content"


def test_nothing_is_there_before_it_is_linked(branch):
    api, location = staging(branch, "x")
    for content in (b"first try", b"second try"):
        sent = plain("PUT", location.presigned_url, body=content)
        assert (sent.status, sent.headers["ETag"]) == (200, f'"{hashlib.md5(content).hexdigest()}"')
    assert list(branch.objects()) == []
    wrong = StagingMetadata(staging=location, checksum="0" * 32, size_bytes=len(content))
    with pytest.raises(BadRequestException, match="md5"):
        api.link_physical_address(branch.repo_id, branch.id, "x", staging_metadata=wrong)
    right = StagingMetadata(
        staging=location, checksum=hashlib.md5(content).hexdigest(), size_bytes=len(content)
    )
    with pytest.raises(BadRequestException, match="not given out for this path"):
        api.link_physical_address(branch.repo_id, branch.id, "y", staging_metadata=right)
    api.link_physical_address(branch.repo_id, branch.id, "x", staging_metadata=right)
    assert branch.object("x").reader("rb").read() == content


def test_a_url_is_good_for_its_one_purpose_until_it_ends(branch, endpoint: Endpoint):
    branch.object("x").upload(b"content", metadata={"private": "word"})
    reading = read_url(branch, "x")
    writing = staging(branch, "y")[1].presigned_url
    token = re.search(r"/presigned/([^/]+)/", reading)[1]
    keys = Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    subject = keys.unseal(READ, token)
    assert "private" not in subject
    over = keys.seal(READ, subject, int(time.time()) - 1)
    another = Keys(ACCESS_KEY_ID, "another").seal(READ, subject, int(time.time()) + 60)
    login, _ = keys.new_token()
    for method, url in (
        ("PUT", reading),
        ("GET", writing),
        *(("GET", reading.replace(token, bad)) for bad in (over, another, login, token[:-2], "x")),
    ):
        got = plain(method, url, body=b"z" if method == "PUT" else None)
        assert got.status == 403
        assert "has expired; ask for a new one" in got.json()["message"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert plain("GET", f"{endpoint.url}/api/v1/user", headers=bearer).status == 401
    assert plain("DELETE", reading).status == 501
    assert plain("GET", f"{endpoint.url}/api/v1/presigned").status == 401
