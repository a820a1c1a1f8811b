"""Secrets: always read from the environment; generated once for the embedded services.

`ft up` writes the generated ones to <state>/secrets.env (owner only) and hands them to the
processes it starts. A value already set in the environment wins.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

LAKEFS_ACCESS_KEY_ID = "LAKECTL_CREDENTIALS_ACCESS_KEY_ID"
LAKEFS_SECRET_ACCESS_KEY = "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"  # noqa: S105 - a name
TENANT_KEY = "FT_TENANT_KEY"  # wraps the data key of every subject of the raw zone
TENANT_KEY_NEXT = "FT_TENANT_KEY_NEXT"  # what `ft vault rotate` wraps them with
PSEUDONYM_KEY = "FT_PSEUDONYM_KEY"  # HMAC key: same person, same pseudonym, within one tenant
GATEWAY_ADMIN_KEY = "FT_GATEWAY_ADMIN_KEY"
GATEWAY_API_KEY = "FT_GATEWAY_API_KEY"  # optional on loopback: callers of /v1
SIGNING_KEY = "FT_SIGNING_KEY"  # HMAC key of adapter manifests and routing documents

GENERATED = {
    LAKEFS_ACCESS_KEY_ID: lambda: "AKIA" + secrets.token_hex(8).upper(),
    LAKEFS_SECRET_ACCESS_KEY: lambda: secrets.token_urlsafe(30),
    TENANT_KEY: lambda: secrets.token_hex(32),
    PSEUDONYM_KEY: lambda: secrets.token_hex(32),
    GATEWAY_ADMIN_KEY: lambda: secrets.token_urlsafe(24),
    SIGNING_KEY: lambda: secrets.token_hex(32),
}


def secrets_file(state: Path) -> Path:
    return state / "secrets.env"


def load_or_generate(state: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Every secret of the embedded services; missing ones are made and kept below `state`."""
    kept = kept_secrets(state)
    values = {n: environment.get(n) or kept.get(n) or make() for n, make in GENERATED.items()}
    missing = {n: v for n, v in values.items() if n not in kept and not environment.get(n)}
    if missing:
        write_secrets(state, {**kept, **missing})
    return values


def kept_secrets(state: Path) -> dict[str, str]:
    """What lies below `state`, without the environment."""
    file = secrets_file(state)
    return _read(file) if file.is_file() else {}


def write_secrets(state: Path, values: Mapping[str, str]) -> None:
    """Keep these and no others; on the disk when this returns."""
    state.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    temporary = secrets_file(state).with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(secrets_file(state))


def _read(file: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in file.read_text("utf-8").splitlines() if "=" in line)
    return {name: value for name, _, value in pairs}
