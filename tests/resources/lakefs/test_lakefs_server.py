"""The server as clients meet it first: keys, configuration, what it does not do, start and stop."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import lakefs
import pytest
import urllib3
from lakefs.client import Client
from lakefs.exceptions import NotAuthorizedException
from lakefs_sdk import LoginInformation

from ft_resources.lakefs.server.app import create_app
from ft_resources.lakefs.server.serve import serve
from tests.resources.lakefs.running import (
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    START,
    Endpoint,
    ServerProcess,
    free_port,
)


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_health_and_setup_need_no_keys(endpoint):
    stranger = Endpoint(endpoint.url, "", "")
    assert stranger.request("GET", "/healthcheck").status == 204
    assert stranger.request("GET", "/setup_lakefs").json()["state"] == "initialized"


def test_configuration(client: Client):
    assert [int(part) for part in client.version.split(".")]
    config = client.storage_config_by_id("")
    assert config.pre_sign_support in (True, False)
    user = client.sdk_client.auth_api.get_current_user().user
    assert user.id


@pytest.mark.parametrize("path", ["/config", "/repositories", "/user", "/no/such/call"])
@pytest.mark.parametrize("kind", ["none", "key", "secret", "garbage", "token", "scheme"])
def test_auth_refused(endpoint, path, kind):
    header = {
        "none": None,
        "key": basic(f"other:{endpoint.secret_access_key}"),
        "secret": basic(f"{endpoint.access_key_id}:other"),
        "garbage": "Basic %%%",
        "token": "Bearer a.b.c",
        "scheme": f"Digest {endpoint.secret_access_key}",
    }[kind]
    headers = {} if header is None else {"Authorization": header}
    got = urllib3.request("GET", f"{endpoint.url}/api/v1{path}", headers=headers, retries=False)
    assert got.status == 401
    assert "authenticating" in got.json()["message"]


def test_client_with_a_wrong_secret(endpoint):
    with pytest.raises(NotAuthorizedException):
        _ = Endpoint(endpoint.url, endpoint.access_key_id, "wrong").client().version


def test_login_gives_a_token(client, endpoint):
    login = LoginInformation(
        access_key_id=endpoint.access_key_id, secret_access_key=endpoint.secret_access_key
    )
    token = client.sdk_client.auth_api.login(login)
    assert token.token_expiration > time.time() + 60
    url = f"{endpoint.url}/api/v1/user"

    def call(value: str) -> int:
        headers = {"Authorization": f"Bearer {value}"}
        return urllib3.request("GET", url, headers=headers, retries=False).status

    assert call(token.token) == 200
    head, claims, signature = token.token.split(".")
    forged = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forged["exp"] += 10**6
    other = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    assert call(f"{head}.{other}.{signature}") == 401
    bad = endpoint.request(
        "POST", "/auth/login", json={"access_key_id": "x", "secret_access_key": "y"}
    )
    assert bad.status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/users"),
        ("POST", "/sts/login"),
        ("POST", "/auth/external/principal/login"),
        ("POST", "/repositories/{r}/gc/prepare_commits"),
        ("POST", "/repositories/{r}/branches/main/staging/pmpu?path=x&parts=1"),
        ("GET", "/repositories/{r}/pulls"),
        ("PUT", "/repositories/{r}/refs/dump"),
        ("PUT", "/repositories/{r}/branches/main/objects?path=x"),
    ],
)
def test_what_it_does_not_do_is_said(embedded, endpoint, repository, method, path):
    got = endpoint.request(method, path.replace("{r}", repository.id), json={})
    assert got.status == 501
    assert "not available in the embedded server; use a lakeFS server" in got.json()["message"]


def test_broken_requests_are_400(embedded, endpoint, repository):
    for path in (
        "branches?amount=x",
        "refs/main/objects/ls?user_metadata=perhaps",
        "refs/main/diff/main?type=one_dot",
        "refs/main/commits?since=yesterday",
        "refs/main/objects",
    ):
        got = endpoint.request("GET", f"/repositories/{repository.id}/{path}")
        assert (got.status, list(got.json())) == (400, ["message"]), path


def start(root: Path, port: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", START, str(root), str(port), "k", "s"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_taken_port_is_told(server: ServerProcess, tmp_path):
    second = start(tmp_path / "other", server.port)
    assert second.returncode != 0
    assert f"port {server.port} on 127.0.0.1 is in use" in second.stderr
    assert "choose another port" in second.stderr
    assert not (tmp_path / "other").exists()


def test_one_server_a_folder(server: ServerProcess):
    second = start(server.root, free_port())
    assert second.returncode != 0
    assert "another lakeFS server runs on" in second.stderr


def test_folder_is_the_owners_alone(server: ServerProcess):
    assert server.root.stat().st_mode & 0o777 == 0o700


def test_foreign_file_is_named(tmp_path):
    (tmp_path / "foreign.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ValueError, match=r"foreign\.sqlite is not a repository .* move it away"):
        create_app(tmp_path, "k", "s")


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_impossible_port_is_told(tmp_path, port):
    with pytest.raises(ValueError, match=f"port must be 1 to 65535, got {port}"):
        serve(tmp_path, "127.0.0.1", port, "k", "s")


def test_address_of_another_machine_is_told(tmp_path):
    port = free_port()
    with pytest.raises(OSError, match=rf"cannot listen on 192\.0\.2\.1:{port}: Cannot assign"):
        serve(tmp_path, "192.0.2.1", port, "k", "s", allow_remote=True)


def test_not_beyond_this_machine_unless_told(tmp_path):
    with pytest.raises(ValueError, match="allow_remote"):
        serve(tmp_path, "0.0.0.0", free_port(), "k", "s")


@pytest.mark.parametrize("pair", [("", "s"), ("k", "")])
def test_empty_keys_are_refused(tmp_path, pair):
    with pytest.raises(ValueError, match="must not be empty"):
        create_app(tmp_path, *pair)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop_lets_a_running_upload_end(server: ServerProcess, number):
    repo = lakefs.Repository("stopping", client=server.endpoint.client())
    repo.create("local://stopping/x")
    repo.branch("dev").create("main")
    asked = threading.Event()
    answers = []

    def body():
        yield b"first"
        asked.set()
        time.sleep(0.5)
        yield b"last"

    def upload():
        path = "/repositories/stopping/branches/dev/objects?path=x"
        answers.append(server.endpoint.request("POST", path, body=body()).status)

    uploading = threading.Thread(target=upload)
    uploading.start()
    assert asked.wait(10)
    time.sleep(0.1)
    server.process.send_signal(number)
    assert server.process.wait(20) == 0
    uploading.join()
    assert answers == [201]
    server.start()
    assert repo.branch("dev").object("x").reader("rb").read() == b"firstlast"


def test_answers_and_errors_hold_no_secret(endpoint):
    got = endpoint.request("GET", "/config")
    assert SECRET_ACCESS_KEY.encode() not in got.data
    assert os.environ.get("LAKEFS_TEST_ENDPOINT") or ACCESS_KEY_ID.encode() not in got.data
