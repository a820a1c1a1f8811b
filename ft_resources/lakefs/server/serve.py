"""The embedded lakeFS server as a process.

SIGTERM or Ctrl-C stops taking requests, lets running ones finish, and leaves with 0. A killed
server loses nothing that it answered; the next start sweeps what was half done.
"""

import contextlib
import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import uvicorn

from ft_resources.lakefs.server.app import create_app
from ft_resources.lakefs.server.options import Options

MAX_PORT = 65535
DRAIN_SECONDS = 30  # for running requests after SIGTERM
# Longer than clients pause: one that reuses a connection the server just closed gets an error.
KEEP_ALIVE_SECONDS = 120


def serve(
    root: Path,
    host: str,
    port: int,
    access_key_id: str,
    secret_access_key: str,
    allow_remote: bool = False,
    options: Options | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError or ValueError when it cannot start."""
    if not allow_remote and not _is_loopback(host):
        raise ValueError(
            f"refusing to serve on {host}: traffic is not encrypted; bind 127.0.0.1, or pass "
            "allow_remote=True behind a proxy with TLS"
        )
    with _stop_while_starting(), _bound(host, port) as listener:
        config = uvicorn.Config(
            create_app(root, access_key_id, secret_access_key, options),
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn does, without raising the signal again at the end: a clean stop is exit 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _stop_while_starting() -> Generator[None]:
    """SIGTERM ends with 0 from the first moment on, not only when uvicorn listens to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Generator[socket.socket]:
    """The port, taken before the folder is opened: a port in use is told at once."""
    if not 1 <= port <= MAX_PORT:
        raise ValueError(f"port must be 1 to {MAX_PORT}, got {port}")
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
            raise OSError(
                f"port {port} on {host} is in use; stop what listens there, or choose another "
                "port (services.lakefs.url in platform.yaml)",
            ) from None
        yield listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
