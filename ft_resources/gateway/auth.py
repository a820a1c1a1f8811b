"""Who may call: bearer keys of callers and of the administrator, compared in constant time."""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from enum import Enum


class Caller(Enum):
    NOBODY = "nobody"
    USER = "user"
    ADMIN = "admin"


class Keys:
    """Without a key for callers everybody who reaches the port is one; it is loopback then."""

    def __init__(self, admin_key: str, api_key: str | None) -> None:
        if not admin_key:
            raise ValueError("the admin key is empty; set FT_GATEWAY_ADMIN_KEY")
        self._admin = _digest(admin_key)
        self._user = _digest(api_key) if api_key else None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = _digest(given.strip() if scheme.lower() == "bearer" else "")
        if hmac.compare_digest(digest, self._admin):
            return Caller.ADMIN
        if self._user is None or hmac.compare_digest(digest, self._user):
            return Caller.USER
        return Caller.NOBODY


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _digest(key: str) -> bytes:
    # Equal lengths, so that the comparison does not tell the length of the key.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
