"""The events of one rollout on disk, in order: a checksum and a JSON object a line.

What `append` has written survives the end of the process, what `sync` has passed the end of the
power too. A last line that a crash cut short was acknowledged to nobody and is dropped when the log
is opened; anything else that does not fit its checksum is damage, and is told.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ft_resources.gateway.durable import sync_folder


class EventLog:
    """Not thread-safe; `sync` may be called beside `append`."""

    def __init__(self, file: Path) -> None:
        new = not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        if new:
            sync_folder(file.parent)

    def append(self, event: Mapping[str, Any]) -> None:
        """Raises OSError when nothing was written: a full disk, for one."""
        data = json.dumps(event, separators=(",", ":"), sort_keys=True).encode()
        line = b"%08x %s\n" % (zlib.crc32(data), data)
        start = os.fstat(self._handle).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._handle, line[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, start)
            raise

    def sync(self) -> None:
        os.fsync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


def read_events(file: Path, repair: bool = False) -> list[dict[str, Any]]:
    """All whole events. Raises ValueError naming a damaged line.

    `repair` cuts a torn last line off the file; only for who appends to it.
    """
    data = file.read_bytes()
    whole = data.rfind(b"\n") + 1
    if repair and whole < len(data):
        with file.open("r+b") as handle:
            handle.truncate(whole)
            os.fsync(handle.fileno())
    events = []
    for number, line in enumerate(data[:whole].splitlines(), 1):
        checksum, _, text = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            raise ValueError(f"{file.name}: line {number} does not fit its checksum")
        events.append(json.loads(text))
    return events
