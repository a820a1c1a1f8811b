"""The tenant's key, and what is derived from it.

The tenant key (FT_TENANT_KEY, 32 bytes as hex) encrypts nothing itself: HKDF-SHA256 makes one key
per purpose of it. It wraps the data key of every subject, and a few keys of the vault that must
stay the same when the tenant key is changed (for subject ids and objects).
"""

import os
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class VaultError(RuntimeError):
    """The vault cannot do what was asked; the message says why and never holds a value."""


class WrongTenantKey(VaultError):
    """The key at hand is not the one this vault was made with."""


class Tampered(VaultError):
    """Stored bytes are not those that were written."""


class Erased(VaultError):
    """The subject's key was destroyed; what it encrypted cannot be read by anybody."""


@dataclass(frozen=True, eq=False)
class TenantKey:
    """Wraps and unwraps keys. `repr` does not show the key."""

    tenant: str
    _secret: bytes

    @classmethod
    def parse(cls, tenant: str, text: str) -> "TenantKey":
        """Raises VaultError unless `text` is 64 hex digits."""
        try:
            secret = bytes.fromhex(text)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise VaultError(
                "FT_TENANT_KEY must be 64 hex digits (32 bytes); make one with "
                "`python -c 'import secrets; print(secrets.token_hex(32))'`"
            )
        return cls(tenant, secret)

    def __repr__(self) -> str:
        return f"TenantKey({self.tenant!r})"

    def wrap(self, key: bytes, name: bytes) -> bytes:
        """AES-256-GCM under a random nonce; tenant and `name` are authenticated."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, self._context(name))

    def unwrap(self, wrapped: bytes, name: bytes) -> bytes:
        """Raises cryptography's InvalidTag for another key, tenant or name."""
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        if len(sealed) <= 16:
            raise InvalidTag
        return self._cipher.decrypt(nonce, sealed, self._context(name))

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(derive(self._secret, "wrap"))

    def _context(self, name: bytes) -> bytes:
        return f"{self.tenant}|".encode() + name


def derive(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"ft-vault/1 " + purpose.encode()).derive(
        secret
    )
