"""Change the tenant key: from FT_TENANT_KEY to FT_TENANT_KEY_NEXT, in steps that can be repeated.

    prepare   both keys are known and the next one is on the disk or in the environment
    rewrap    every key of the vault is wrapped by the next one, in one transaction
    finish    the kept secrets name it as the tenant key

A crash between two steps leaves a vault that opens with one of two keys that are both there; the
same again goes on from where it was.
"""

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ft_resources.secrets import TENANT_KEY, TENANT_KEY_NEXT, kept_secrets, write_secrets
from ft_resources.vault.keys import KEY_BYTES, TenantKey, VaultError, WrongTenantKey
from ft_resources.vault.store import KeyStore


@dataclass(frozen=True)
class Keys:
    current: str = field(repr=False)
    following: str = field(repr=False)


def prepare(state: Path, environment: Mapping[str, str]) -> Keys:
    """Both keys, from the environment or what is kept below `state`; a next one is made and kept
    where there is none. Raises VaultError when there is no current one, or both are the same.
    """
    kept = kept_secrets(state)
    current = environment.get(TENANT_KEY) or kept.get(TENANT_KEY)
    if not current:
        raise VaultError(f"set {TENANT_KEY}; it is not kept below {state}")
    following = environment.get(TENANT_KEY_NEXT) or kept.get(TENANT_KEY_NEXT)
    if not following or (following == current and TENANT_KEY_NEXT not in environment):
        following = random.token_hex(KEY_BYTES)
        write_secrets(state, {**kept, TENANT_KEY_NEXT: following})
    if following == current:
        raise VaultError(f"{TENANT_KEY_NEXT} equals {TENANT_KEY}: there is nothing to change")
    return Keys(current, following)


def rewrap(file: Path, tenant: str, keys: Keys) -> int:
    """How many subjects' keys are wrapped by the next tenant key; fine if they are already."""
    following = TenantKey.parse(tenant, keys.following)
    try:
        store = KeyStore(file, TenantKey.parse(tenant, keys.current))
    except WrongTenantKey:
        return KeyStore(file, following).counts()[0]
    return store.rewrap(following)


def finish(state: Path, keys: Keys) -> bool:
    """Whether the kept tenant key was the old one and is the new one now."""
    kept = kept_secrets(state)
    if kept.get(TENANT_KEY) != keys.current:
        return False
    kept.pop(TENANT_KEY_NEXT, None)
    write_secrets(state, {**kept, TENANT_KEY: keys.following})
    return True
