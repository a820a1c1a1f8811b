"""`ft lakefs serve` as a person or a service manager starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lakefs
import pytest
import urllib3
from lakefs.client import Client

from tests.resources.lakefs.running import (
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    ServerProcess,
    free_port,
)

KEYS = {
    "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
}


class Served:
    """The command, and what it printed."""

    def __init__(self, folder: Path, port: int, keys: dict[str, str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in KEYS}
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [
                *[sys.executable, "-m", "ft_assets.cli", "lakefs", "serve"],
                *["--port", str(port), "--root", str(folder / "lakefs")],
            ],
            env={**environment, **keys},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answers(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()
            try:
                urllib3.request("GET", f"{self.url}/api/v1/healthcheck", retries=False)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the server did not answer within 30 s")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def serve(tmp_path: Path) -> Iterator:
    started: list[Served] = []

    def start(keys: dict[str, str], port: int | None = None) -> Served:
        started.append(Served(tmp_path, port or free_port(), keys))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_with_the_keys_of_the_environment(serve, tmp_path, number):
    served = serve(KEYS)
    served.answers()
    client = Client(host=served.url, username=ACCESS_KEY_ID, password=SECRET_ACCESS_KEY)
    repo = lakefs.Repository("alone", client=client).create("local://alone/x")
    repo.branch("main").object("x").upload(b"1")
    served.process.send_signal(number)
    code, out, err = served.end()
    assert (code, err) == (0, "")
    assert f"http://127.0.0.1:{served.url.rpartition(':')[2]}/api/v1" in out
    assert f"keys: environment or {tmp_path / 'secrets.env'}" in out
    assert SECRET_ACCESS_KEY not in out
    assert SECRET_ACCESS_KEY not in (tmp_path / "secrets.env").read_text()


def test_makes_keys_where_it_says(serve, tmp_path):
    served = serve({})
    served.answers()
    lines = (tmp_path / "secrets.env").read_text().splitlines()
    made = dict(line.split("=", 1) for line in lines)
    access, secret = (made[name] for name in KEYS)
    client = Client(host=served.url, username=access, password=secret)
    assert list(lakefs.repositories(client=client)) == []
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600


def test_stopped_while_starting_is_a_clean_end(serve, tmp_path):
    served = serve(KEYS)
    deadline = time.monotonic() + 30
    while not (tmp_path / "lakefs").exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    served.process.send_signal(signal.SIGTERM)
    code, _, err = served.end()
    assert (code, err) == (0, "")


def test_taken_port_is_code_1_and_says_what_to_do(serve, server: ServerProcess):
    code, _, err = serve(KEYS, server.port).end()
    assert code == 1
    assert err.startswith(f"ft: port {server.port} on 127.0.0.1 is in use; stop what listens")
    assert "Traceback" not in err
