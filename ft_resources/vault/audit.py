"""Who asked the vault for what: one JSON line an event, appended, each bound to all before it.

    {"seq": 1, "at": "...", "who": "...", "action": "reveal", ..., "mac": "..."}

`mac` is HMAC-SHA256, under a key of the vault, over the mac before and the line without it: a line
that was changed, taken out, put in or moved breaks the chain for everybody who has not that key.
`audit.head` beside the log says how far it reaches, so that lines cut off at the end are noticed.
Whoever can write both files and has an old copy of both can go back to it: send the log elsewhere
as well (it may be copied while it is in use). An entry is on the disk before `append` returns.
"""

import fcntl
import hmac
import json
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ft_resources.vault.keys import Tampered
from ft_resources.vault.store import KeyStore

_START = "0" * 64
MAX_ENTRY = 65536  # bytes of a line
Entry = dict[str, str | int]


@dataclass(frozen=True)
class _Head:
    seq: int = 0
    mac: str = _START
    size: int = 0  # bytes of the log up to here


class AuditLog:
    """A log in a vault's folder. Logs of different names have different keys."""

    def __init__(self, folder: Path, store: KeyStore, name: str = "audit") -> None:
        self.file = folder / f"{name}.jsonl"
        self._head_file = folder / f"{name}.head"
        self._key = store.vault_key(name)

    def append(self, fields: Mapping[str, str]) -> None:
        """Add an entry with these fields, its number and time. Raises Tampered when the end of the
        log is not what was written: nothing is added to a broken one.
        """
        with self._locked():
            self._cut_torn_line()
            last = self._last()
            entry: Entry = {
                "seq": last.seq + 1,
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                **fields,
            }
            mac = self._mac(last.mac, entry)
            line = json.dumps({**entry, "mac": mac}, ensure_ascii=True) + "\n"
            handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as out:
                out.write(line)
                out.flush()
                os.fsync(out.fileno())
            self._write_head(_Head(last.seq + 1, mac, last.size + len(line)))

    def entries(self) -> Iterator[Entry]:
        """All of them in order, unchecked; a line that is none is left to `verify`."""
        return (entry for entry, _ in map(_read, self._lines()) if entry)

    def _lines(self) -> Iterator[bytes]:
        if self.file.exists():
            with self.file.open("rb") as log:
                yield from log

    def verify(self) -> int:
        """How many entries there are; raises Tampered naming the first line that is not as it was
        written, or that lines are missing at the end.
        """
        with self._locked():
            self._cut_torn_line()
            seq, mac = 0, _START
            for number, line in enumerate(self._lines(), start=1):
                entry, told = _read(line)
                if entry.get("seq") != number or not self._is_mac(told, mac, entry):
                    raise Tampered(f"{self.file}: line {number} is not what was written there")
                seq, mac = number, told
            self._check_reach(seq, mac)
            return seq

    def _last(self) -> _Head:
        """The end of the log, checked against the head."""
        head = self._head()
        size = self.file.stat().st_size if self.file.exists() else 0
        if size == head.size:
            return head
        if size > head.size:
            # A crash between the line and the head leaves one entry that the head does not know.
            with self.file.open("rb") as log:
                log.seek(head.size)
                line = log.read(MAX_ENTRY)
            entry, mac = _read(line)
            if entry.get("seq") == head.seq + 1 and self._is_mac(mac, head.mac, entry):
                return _Head(head.seq + 1, mac, size)
        raise Tampered(f"{self.file}: its end is not what was written; `ft vault audit --verify`")

    def _check_reach(self, seq: int, mac: str) -> None:
        head = self._head()
        if seq < head.seq or (seq == head.seq and mac != head.mac):
            raise Tampered(f"{self.file}: has {seq} entries where {head.seq} were written")
        if seq > head.seq + 1:
            raise Tampered(f"{self._head_file}: is older than the log")

    def _head(self) -> _Head:
        if not self._head_file.exists():
            return _Head()
        told, _, proof = self._head_file.read_text("ascii").strip().rpartition(" ")
        if not hmac.compare_digest(self._proof(told), proof):
            raise Tampered(f"{self._head_file}: is not what was written")
        seq, mac, size = told.split()
        return _Head(int(seq), mac, int(size))

    def _write_head(self, head: _Head) -> None:
        temporary = self._head_file.with_suffix(".tmp")
        told = f"{head.seq} {head.mac} {head.size}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(f"{told} {self._proof(told)}\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(self._head_file)

    def _cut_torn_line(self) -> None:
        """What a crash left of a line that nobody was told was written."""
        if not self.file.exists():
            return
        with self.file.open("rb+") as log:
            size = log.seek(0, os.SEEK_END)
            start = max(0, size - MAX_ENTRY)
            log.seek(start)
            tail = log.read()
            if tail and not tail.endswith(b"\n"):
                log.truncate(start + tail.rfind(b"\n") + 1)
                os.fsync(log.fileno())

    def _mac(self, before: str, entry: Mapping[str, str | int]) -> str:
        text = json.dumps(entry, ensure_ascii=True, sort_keys=True)
        return hmac.new(self._key, f"{before}|{text}".encode(), "sha256").hexdigest()

    def _is_mac(self, mac: str, before: str, entry: Entry) -> bool:
        return hmac.compare_digest(self._mac(before, entry).encode(), mac.encode())

    def _proof(self, head: str) -> str:
        return hmac.new(self._key, f"head|{head}".encode(), "sha256").hexdigest()

    @contextmanager
    def _locked(self) -> Generator[None]:
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read(line: bytes) -> tuple[Entry, str]:
    """An entry and its mac; nothing for a line that is none."""
    try:
        entry = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}, ""
    if not isinstance(entry, dict):
        return {}, ""
    return entry, str(entry.pop("mac", ""))
