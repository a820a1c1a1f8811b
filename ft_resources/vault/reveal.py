"""Give out an original to who may see it, after saying so in the audit log.

A role is proved by a key whose SHA-256 is in platform.yaml, not by the user of the operating
system: services and containers of a company run as one user, and root is everybody; a key can be
given to one person, kept in their secret store and withdrawn alone. The key is 32 random bytes, so
a fast hash is enough. The log has the user of the operating system besides.

Roles guard this way of asking. Whoever has FT_TENANT_KEY and the vault's files can read everything
without it: keep that key from the people whom roles are meant for.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from ft_resources.vault.audit import AuditLog
from ft_resources.vault.keys import Erased, VaultError
from ft_resources.vault.originals import Originals, Revealed, UnknownToken

ROLE_KEY = "FT_VAULT_ROLE_KEY"  # of the environment
ALL_TYPES = "*"
MIN_ROLE_KEY = 32  # characters
MIN_REASON = 8  # characters
MAX_REASON = 500


class Refused(VaultError):
    """The reveal was refused; the message says why and the audit log has it."""


@dataclass(frozen=True)
class Role:
    types: frozenset[str]  # which it may see; {"*"} for all
    key_sha256: str  # hex


def new_role_key() -> tuple[str, str]:
    """A key for a person, and its SHA-256 for platform.yaml."""
    key = secrets.token_hex(32)
    return key, hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Desk:
    """Where originals are asked for."""

    originals: Originals
    audit: AuditLog
    roles: Mapping[str, Role]

    def reveal(self, token: str, role: str, role_key: str, reason: str, who: str) -> Revealed:
        """The original behind a token or surrogate, audited before it is read.

        Raises Refused, audited too: for an unknown role, a wrong key, no reason, an unknown token,
        a type that the role may not see, an erased subject.
        """
        asked = {"who": who, "action": "reveal", "role": role, "reason": reason[:MAX_REASON]}
        # A text that is no token may be anything, a name even: the log gets its keyed hash.
        asked["token"] = f"unknown:{self.originals.token_id(token).hex()}"
        given = self.roles.get(role)
        if given is None or not _proves(role_key, given):
            known = ", ".join(sorted(self.roles)) or "none"
            self._refuse(asked, f"role {role!r} is not proved by {ROLE_KEY} (roles: {known})")
        if not MIN_REASON <= len(reason.strip()) <= MAX_REASON:
            self._refuse(asked, f"a reason has {MIN_REASON} to {MAX_REASON} characters")
        try:
            kind = self.originals.type_of(token)
        except UnknownToken as error:
            self._refuse(asked, str(error))
        asked |= {"token": token, "type": kind}
        if not {kind, ALL_TYPES} & given.types:
            self._refuse(asked, f"role {role!r} may not see {kind}")
        self.audit.append({**asked, "outcome": "granted"})
        try:
            return self.originals.reveal(token)
        except Erased as error:
            self._refuse(asked, str(error))

    def _refuse(self, asked: Mapping[str, str], why: str) -> NoReturn:
        self.audit.append({**asked, "outcome": "refused", "why": why})
        raise Refused(why)


def _proves(key: str, role: Role) -> bool:
    if len(key) < MIN_ROLE_KEY:  # a password's hash could be guessed by who reads platform.yaml
        return False
    return hmac.compare_digest(hashlib.sha256(os.fsencode(key)).hexdigest(), role.key_sha256)
