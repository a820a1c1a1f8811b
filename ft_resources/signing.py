"""Signatures over JSON documents: HMAC-SHA256 over their canonical bytes."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def canonical(value: object) -> bytes:
    """JSON bytes that are equal for equal values. Raises ValueError for NaN and infinities."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def sign(manifest: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """Return the manifest with a signature over everything else in it."""
    unsigned = {name: value for name, value in manifest.items() if name != "signature"}
    return {**unsigned, "signature": _signature(unsigned, key)}


def verify(manifest: Mapping[str, Any], key: bytes) -> None:
    """Raise ValueError unless the manifest carries a signature of this key over its content."""
    unsigned = {name: value for name, value in manifest.items() if name != "signature"}
    given = manifest.get("signature")
    if not isinstance(given, str) or not given.isascii():
        raise ValueError("not signed; sign it with the key in FT_SIGNING_KEY")
    if not hmac.compare_digest(given, _signature(unsigned, key)):
        raise ValueError(
            "the signature does not match: changed after signing, or signed with another key"
        )


def _signature(unsigned: Mapping[str, Any], key: bytes) -> str:
    if not key:
        raise ValueError("the signing key is empty; set FT_SIGNING_KEY")
    return hmac.new(key, canonical(unsigned), hashlib.sha256).hexdigest()
