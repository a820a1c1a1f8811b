"""A real server process, and plain HTTP to it."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import urllib3
from lakefs.client import Client

ACCESS_KEY_ID = "AKIATEST"
SECRET_ACCESS_KEY = "test-secret"
FULL = [f"k/{number:04d}" for number in range(1100)]
START = (
    "import sys; from pathlib import Path; from ft_resources.lakefs.server.serve import serve; "
    "from ft_resources.lakefs.server.options import Options, load_functions; "
    "serve(Path(sys.argv[1]), '127.0.0.1', int(sys.argv[2]), sys.argv[3], sys.argv[4], "
    "options=Options(load_functions(sys.argv[6:]), import_root=Path(sys.argv[5]) "
    "if sys.argv[5:6] else None))"
)


@dataclass
class Endpoint:
    url: str
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET_ACCESS_KEY

    def client(self) -> Client:
        return Client(host=self.url, username=self.access_key_id, password=self.secret_access_key)

    def request(self, method: str, path: str, **options) -> urllib3.BaseHTTPResponse:
        """A plain HTTP call, where the clients hide what is under test."""
        headers = {
            **urllib3.make_headers(basic_auth=f"{self.access_key_id}:{self.secret_access_key}"),
            **options.pop("headers", {}),
        }
        return urllib3.request(
            method, f"{self.url}/api/v1{path}", headers=headers, retries=False, **options
        )


class ServerProcess:
    """The embedded server as a process of its own."""

    def __init__(self, root: Path, *options: str) -> None:
        """Options are the folder of imports, then functions of hooks, `name=module:function`."""
        self.root = root
        self.options = options
        self.port = free_port()
        self.endpoint = Endpoint(f"http://127.0.0.1:{self.port}")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", START, str(self.root), str(self.port)]
        self.process = subprocess.Popen([*command, ACCESS_KEY_ID, SECRET_ACCESS_KEY, *self.options])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server did not start"
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if self.endpoint.request("GET", "/healthcheck").status == 204:
                    return
            time.sleep(0.02)
        raise AssertionError("the server did not answer within 30 s")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
