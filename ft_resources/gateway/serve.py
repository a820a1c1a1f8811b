"""The gateway as a process: one port, one engine, a clean end.

Everything is loaded before the port answers, so a gateway that answers is ready. SIGTERM or Ctrl-C
stops taking requests, lets running answers and streams end, and leaves with 0.
The log is JSON lines on stdout. Of an exception it holds the type and the places, not the message:
a message may quote what somebody wrote.
"""

import contextlib
import errno
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec
import uvicorn

from ft_resources.gateway.app import create_app
from ft_resources.gateway.auth import CallerKey, Keys, is_loopback
from ft_resources.gateway.backend import Backend
from ft_resources.gateway.service import Gateway

DRAIN_SECONDS = 30  # for running answers after SIGTERM
KEEP_ALIVE_SECONDS = 75
MAX_PORT = 65_535
# Set by logging on every record; the rest was given as `extra`.
PLAIN_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message"}


def serve(
    root: Path,
    landing: str | Path,
    host: str,
    port: int,
    domains: list[str],
    admin_key: str,
    signing_key: bytes,
    api_key: str | None,
    callers: Sequence[CallerKey] = (),
    engine: Backend | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError or ValueError when it cannot start."""
    if not api_key and not callers and not is_loopback(host):
        raise ValueError(
            f"refusing to serve on {host} without a key for callers; set FT_GATEWAY_API_KEY or "
            "name callers in platform.yaml, or bind 127.0.0.1"
        )
    if not signing_key:
        raise ValueError("the signing key is empty; set FT_SIGNING_KEY")
    if "://" in str(landing):
        raise ValueError(
            f"landing zone {landing}: the gateway appends to a local folder; set landing to one, "
            "and name the URL in sources.logs"
        )
    keys = Keys(admin_key, api_key or None, callers)
    with _bound(host, port) as listener, _alone(root):
        _log_to_stdout()
        # Nothing is ever fetched: a base is a folder.
        os.environ["HF_HUB_OFFLINE"] = "1"
        gateway = Gateway(root, Path(landing), domains, signing_key, engine)
        gateway.start()
        try:
            config = uvicorn.Config(
                create_app(gateway, keys),
                loop="uvloop",
                http="httptools",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
            _Server(config).run(sockets=[listener])
        finally:
            gateway.stop(DRAIN_SECONDS)


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
def _bound(host: str, port: int) -> Generator[socket.socket]:
    """The port, taken before anything is loaded: a port in use is told at once."""
    if not 1 <= port <= MAX_PORT:  # a larger one would be taken modulo 65536
        raise ValueError(f"port must be 1 to {MAX_PORT}, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise OSError(error.errno, f"host {host} cannot be resolved; bind an address") from None
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OSError(
                    error.errno, f"cannot listen on port {port} of {host} ({error.strerror})"
                ) from None
            raise OSError(
                errno.EADDRINUSE,
                f"port {port} on {host} is in use; stop what listens there, or choose another "
                "port (services.gateway.url in platform.yaml)",
            ) from None
        yield listener


@contextlib.contextmanager
def _alone(root: Path) -> Generator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "gateway.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(
                errno.EBUSY, f"another gateway runs on {root}; stop it, or use another folder"
            ) from None
        yield


class _JsonLines(logging.Formatter):
    _encode = msgspec.json.Encoder(enc_hook=str).encode

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = type(error).__name__
            frames = traceback.extract_tb(error.__traceback__)
            line["at"] = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames[-8:]]
        line.update({k: v for k, v in vars(record).items() if k not in PLAIN_RECORD})
        return self._encode(line).decode()


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    handlers: list[logging.Handler] = [handler]
    for name in ("ft_resources.gateway", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = handlers, False
        logger.setLevel(logging.INFO)
