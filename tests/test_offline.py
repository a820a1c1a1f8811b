"""The graph with the network cut: a network namespace that has loopback alone.

Every attempt to leave it is recorded by an audit hook, so telemetry that fails quietly is seen too.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CUT = ["unshare", "--net", "--map-root-user"]
LOOPBACK_UP = (
    "import fcntl, socket, struct\n"
    "with socket.socket() as s:\n"
    "    fcntl.ioctl(s, 0x8914, struct.pack('16sh', b'lo', 0x1 | 0x40))\n"  # SIOCSIFFLAGS, UP
)
WATCH = """
import os, sys

def watch(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "local"
        if host not in ("127.0.0.1", "::1", "localhost", "local", "0.0.0.0"):
            note(f"connect {host}")
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        if host not in (None, "", b"", "127.0.0.1", "::1", "localhost", b"localhost", "0.0.0.0"):
            note(f"resolve {host}")

def note(text):
    with open(os.environ["FT_TEST_ATTEMPTS"], "a") as out:
        out.write(f"{text} by {sys.argv[:3]}\\n")

sys.addaudithook(watch)
"""


def namespaces() -> bool:
    try:
        done = subprocess.run([*CUT, "true"], capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0


needs_namespaces = pytest.mark.skipif(not namespaces(), reason="no network namespaces here")


@needs_namespaces
def test_the_watch_sees_who_tries_to_leave(tmp_path):
    code = "import socket; socket.socket().connect_ex(('198.51.100.1', 80))"
    attempts = run_offline(tmp_path, [sys.executable, "-c", code])
    assert "198.51.100.1" in attempts


@needs_namespaces
@pytest.mark.slow
def test_the_loop_runs_with_the_network_cut(tmp_path):
    """Raw logs to a deployed adapter with drift, in a child that has no network."""
    attempts = run_offline(tmp_path, [sys.executable, "-m", "tests.offline_loop", str(tmp_path)])
    assert (tmp_path / "done").read_text() == "promoted stable"
    assert attempts == ""


def run_offline(folder: Path, command: list[str]) -> str:
    """Run it with loopback alone; what it and its children tried to reach."""
    hooks, attempts = folder / "hooks", folder / "attempts"
    hooks.mkdir()
    attempts.touch()
    # Python imports this module by itself at start, in every child too.
    (hooks / "sitecustomize.py").write_text(WATCH)
    up = f"{LOOPBACK_UP}\nimport os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    path = os.pathsep.join([str(hooks), str(Path(__file__).parent.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "FT_TEST_ATTEMPTS": str(attempts)}
    done = subprocess.run(
        [*CUT, sys.executable, "-c", up, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return attempts.read_text()
