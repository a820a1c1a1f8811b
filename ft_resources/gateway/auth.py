"""Who may call, and what: bearer keys, compared in constant time, and the rights behind each.

A key is kept as its SHA-256: keys are long random texts, so nothing is won by a slow hash. It comes
from the environment, from a file that holds nothing else (a mounted secret), or already hashed.
The file is looked at in every request, so a key that was changed or removed there ends at once.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

MIN_KEY = 16  # characters


class Role(Enum):
    CALLER = "caller"  # /v1 and /feedback
    REVIEWER = "reviewer"  # that, and the review pages
    ADMIN = "admin"  # everything


@dataclass(frozen=True)
class Principal:
    """Somebody who calls, with the rights and limits of the key; None: no limit of its own."""

    name: str
    role: Role = Role.CALLER
    domains: frozenset[str] | None = None  # None: all
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_tokens: int | None = None  # of an answer
    max_body: int | None = None  # bytes
    timeout_s: float | None = None  # of a request, from its arrival to the last token

    def may_use(self, domain: str) -> bool:
        return self.domains is None or domain in self.domains


@dataclass(frozen=True)
class KeyFile:
    path: Path


@dataclass(frozen=True)
class CallerKey:
    principal: Principal
    key: bytes | KeyFile  # SHA-256 of the key, or the file that holds the key


class Keys:
    """Without any key for callers everybody who reaches the port is one; it is loopback then."""

    def __init__(
        self, admin_key: str, api_key: str | None, callers: Sequence[CallerKey] = ()
    ) -> None:
        if not admin_key:
            raise ValueError("the admin key is empty; set FT_GATEWAY_ADMIN_KEY")
        known = [CallerKey(Principal("admin", Role.ADMIN), key_digest(admin_key))]
        if api_key:
            known.append(CallerKey(Principal("caller"), key_digest(api_key)))
        self._known = (*known, *callers)
        self.anyone = Principal("anyone") if len(self._known) == 1 else None
        self._read: dict[Path, tuple[tuple[int, int, int], bytes]] = {}
        digests = [digest for caller in self._known if (digest := self._digest(caller.key))]
        if len(set(digests)) < len(digests):
            raise ValueError("two callers have the same key; give each one its own")

    def who(self, headers: Mapping[str, str]) -> Principal | None:
        """None for somebody unknown."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = key_digest(given.strip() if scheme.lower() == "bearer" else "")
        found = None
        for caller in self._known:  # all of them: the time does not tell which one was it
            known = self._digest(caller.key)
            if known is not None and hmac.compare_digest(digest, known):
                found = caller.principal
        return found or self.anyone

    def _digest(self, key: bytes | KeyFile) -> bytes | None:
        """None while a file holds no key."""
        if isinstance(key, bytes):
            return key
        try:
            stat = key.path.stat()
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            before = self._read.get(key.path)
            if before is None or before[0] != seen:
                text = key.path.read_text("utf-8").strip()
                self._read[key.path] = before = (seen, key_digest(text) if text else b"")
        except (OSError, UnicodeDecodeError):
            return None
        return before[1] or None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def key_digest(key: str) -> bytes:
    # Equal lengths, so that the comparison does not tell the length of the key.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
