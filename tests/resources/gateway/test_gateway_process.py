"""The gateway as a process: how it starts, ends, dies and comes back."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

from ft_resources.gateway.client import GatewayClient
from ft_resources.gateway.serve import serve
from tests.resources.gateway import world


@pytest.fixture
def running(tmp_path, base, digest, adapters):
    """A gateway of its own with one champion and one canary."""
    gateway = world.start(tmp_path / "own")
    set_up(gateway, base, digest, adapters)
    yield gateway
    gateway.stop()


def set_up(gateway, base, digest, adapters):
    gateway.client.load_base(base, digest)
    champion, canary = (gateway.client.load_adapter(folder) for folder in adapters["legal"])
    gateway.client.route("legal", champion=champion, canary=canary, share=0.5)


def again(gateway):
    return world.start(gateway.root.parent, port=gateway.port)


def arms(gateway):
    ask = gateway.client.chat
    return [ask("legal", "Hi", max_tokens=1, session_id=f"s{i}").model for i in range(20)]


def test_sigterm_lets_streams_end_and_leaves_with_0(running):
    body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}]}
    body.update(max_tokens=110, temperature=0, stream=True)
    url = f"{running.url}/v1/chat/completions"
    with requests.post(url, json=body, stream=True, timeout=30) as reply:
        lines = reply.iter_lines()
        next(lines)
        running.process.terminate()
        received = [line for line in lines if line]
    assert received[-1] == b"data: [DONE]"
    assert running.stop() == 0
    [row] = running.rows("legal")
    said = [json.loads(line[6:])["choices"][0]["delta"] for line in received[:-1]]
    assert row["response"] == "".join(delta.get("content") or "" for delta in said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_comes_back_with_everything(running, number):
    before = arms(running)
    answer = running.client.chat("legal", "Hi", max_tokens=4, temperature=0, session_id="s1")
    running.client.feedback(answer.id, thumb="up")
    health, routing = running.client.health(), running.client.routing()
    assert running.stop(number) == (0 if number == signal.SIGTERM else -9)
    started = again(running)
    try:
        assert started.client.health() == health
        assert started.client.routing() == routing
        assert arms(started) == before
        same = started.client.chat("legal", "Hi", max_tokens=4, temperature=0, session_id="s1")
        assert same.text == answer.text
        count = len(started.rows("legal"))
        started.client.feedback(answer.id, thumb="up")
        assert len(started.rows("legal")) == count
        started.client.feedback(answer.id, thumb="down")
        assert started.rows("legal")[-1]["event_id"] == answer.id
        if number == signal.SIGTERM:
            arm = started.client.stats("legal")["arms"][answer.model]
            assert (arm["thumbs_up"], arm["thumbs_down"]) == (0, 1)
            assert arm["requests"] > before.count(answer.model)
    finally:
        started.stop()


def test_acknowledged_answers_survive_kill_9(running):
    acknowledged = []

    def ask():
        body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        while True:
            try:
                reply = requests.post(f"{running.url}/v1/chat/completions", json=body, timeout=10)
            except requests.RequestException:
                return
            if reply.ok:
                acknowledged.append(reply.json()["id"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 60:
        time.sleep(0.01)
    running.stop(signal.SIGKILL)
    for thread in threads:
        thread.join()
    logged = {row["event_id"] for row in running.rows("legal")}
    assert set(acknowledged) <= logged

    [file] = (running.landing / "legal" / "logs").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"event_id":"chatcmpl-torn","ts":"20')  # what a lost power leaves
    started = again(running)
    try:
        started.client.feedback(acknowledged[0], thumb="up")
        answer = started.client.chat("legal", "Hi", max_tokens=1)
    finally:
        started.stop()
    *before, torn, feedback, newest = file.read_bytes().splitlines()
    assert b"\n".join([*before, b""]) == whole
    assert torn.endswith(b'"20')
    assert json.loads(feedback)["event_id"] == acknowledged[0]
    assert json.loads(newest)["event_id"] == answer.id


def test_what_was_changed_on_disk_does_not_come_back(running, adapters):
    champion, canary = (folder.name for folder in adapters["legal"])
    running.stop()
    file = running.root / "adapters" / canary / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    started = again(running)
    health = started.client.health()
    assert health["status"] == "degraded"
    assert health["adapters"] == [champion]
    assert any(canary in problem for problem in health["problems"])
    assert set(arms(started)) == {champion}  # for the canary as well
    started.client.rollback("legal")
    assert started.client.load_adapter(adapters["legal"][1]) == canary
    assert started.client.health()["status"] == "ok"
    started.stop()

    shutil.rmtree(running.root / "adapters" / champion)
    started = again(running)
    with pytest.raises(ConnectionError, match="could not be loaded"):
        started.client.chat("legal", "Hi")
    started.stop()


def test_a_routing_document_that_is_not_ours_stops_the_start(running):
    running.stop()
    file = running.root / "routing.json"
    document = json.loads(file.read_text())
    document["domains"]["legal"]["share"] = 1.0
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"routing\.json.*signature does not match"):
        serve_here(running.root.parent)


def test_a_base_that_is_gone(tmp_path, base, digest, adapters):
    copy = shutil.copytree(base, tmp_path / "base")
    gateway = world.start(tmp_path / "own")
    with pytest.raises(ConnectionError, match="no base model is loaded"):
        gateway.client.chat("legal", "Hi")
    with pytest.raises(ConnectionError, match="no base model is loaded"):
        gateway.client.load_adapter(adapters["legal"][0])
    set_up(gateway, copy, digest, adapters)
    gateway.stop()
    shutil.rmtree(copy)
    started = again(gateway)
    health = started.client.health()
    assert (health["status"], health["base"], health["adapters"]) == ("degraded", None, [])
    with pytest.raises(ConnectionError, match="503"):
        started.client.chat("legal", "Hi")
    started.client.load_base(base, digest)
    assert started.client.health()["status"] == "ok"
    assert set(arms(started)) == {folder.name for folder in adapters["legal"]}
    started.stop()


def test_rollback_with_nothing_but_the_gateway(running, adapters):
    """One request, no other service, and it holds after a kill."""
    champion = adapters["legal"][0].name
    began = time.monotonic()
    running.client.rollback("legal")
    assert set(arms(running)) == {champion}
    assert time.monotonic() - began < 5
    running.stop(signal.SIGKILL)
    started = again(running)
    assert set(arms(started)) == {champion}
    started.stop()


def test_callers_need_the_key_when_there_is_one(tmp_path, base, digest, adapters):
    gateway = world.start(tmp_path, api_key="key-of-callers")
    set_up(gateway, base, digest, adapters)
    body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    for path in ("/v1/chat/completions", "/v1/completions", "/feedback"):
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ü"}):
            sent = {name: value.encode() for name, value in header.items()}
            reply = requests.post(f"{gateway.url}{path}", json=body, headers=sent, timeout=30)
            assert reply.status_code == 401
    assert requests.get(f"{gateway.url}/v1/models", timeout=30).status_code == 401
    assert gateway.client.chat("legal", "Hi", max_tokens=1).text is not None
    assert gateway.client.chat("legal", "Hi", max_tokens=1, probe=True).model
    admin = GatewayClient(gateway.url, "key-of-callers")
    with pytest.raises(PermissionError):
        admin.routing()
    with pytest.raises(PermissionError, match="signing key"):
        GatewayClient(gateway.url, world.ADMIN_KEY).route("legal", share=0.1)
    gateway.stop()


def serve_here(folder, host="127.0.0.1", port=None, api_key=None, admin=world.ADMIN_KEY):
    port = world.free_port() if port is None else port
    arguments = (host, port, world.DOMAINS, admin, world.SIGNING_KEY, api_key)
    serve(folder / "gateway", folder / "landing", *arguments)


def test_a_port_in_use_is_told_at_once(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} .* is in use; stop .* or choose"):
            serve_here(tmp_path, port=port)


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_port_that_is_none(tmp_path, port):
    with pytest.raises(ValueError, match="port must be 1 to 65535"):
        serve_here(tmp_path, port=port)


def test_an_address_of_another_machine(tmp_path):
    port = world.free_port()
    with pytest.raises(OSError, match=rf"cannot listen on port {port} of 192\.0\.2\.1"):
        serve_here(tmp_path, host="192.0.2.1", port=port, api_key="key")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_no_open_gateway_without_a_key(tmp_path, host):
    with pytest.raises(ValueError, match="FT_GATEWAY_API_KEY"):
        serve_here(tmp_path, host=host)


def test_a_landing_zone_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="local folder"):
        serve(
            tmp_path, "s3://bucket/landing", "127.0.0.1", world.free_port(), [], "admin", b"k", None
        )


def test_no_gateway_without_an_admin_key(tmp_path):
    with pytest.raises(ValueError, match="FT_GATEWAY_ADMIN_KEY"):
        serve_here(tmp_path, admin="")


def test_two_gateways_on_one_folder(gateway):
    with pytest.raises(OSError, match="another gateway runs"):
        serve_here(gateway.root.parent)


def test_nobody_there():
    port = world.free_port()
    client = GatewayClient(f"http://127.0.0.1:{port}", "key")
    with pytest.raises(ConnectionError, match=rf"{port}.*ft gateway serve"):
        client.wait_ready(0.3)


def test_the_client_and_the_format_need_no_learning_stack():
    code = (
        "import sys, ft_resources.gateway.client, ft_resources.adapter_format;"
        "sys.exit(bool({'torch', 'transformers', 'peft', 'dagster'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
