"""From `callers` of platform.yaml to the keys that the gateway knows."""

from collections.abc import Mapping
from pathlib import Path

from ft_assets.caller_settings import CallerSettings
from ft_assets.settings import Platform
from ft_resources.gateway.auth import MIN_KEY, CallerKey, KeyFile, Principal, Role, key_digest

KIB = 1024


def caller_keys(settings: Platform, environment: Mapping[str, str]) -> list[CallerKey]:
    """Raises ValueError for a key that is not there or too short to be one."""
    return [
        CallerKey(_principal(name, caller), _key(name, caller, settings, environment))
        for name, caller in settings.callers.items()
    ]


def _principal(name: str, caller: CallerSettings) -> Principal:
    return Principal(
        name=name,
        role=Role(caller.role),
        domains=None if caller.domains is None else frozenset(caller.domains),
        requests_per_minute=caller.requests_per_minute,
        tokens_per_minute=caller.tokens_per_minute,
        max_tokens=caller.max_tokens,
        max_body=None if caller.max_body_kib is None else caller.max_body_kib * KIB,
        timeout_s=caller.timeout_seconds,
    )


def _key(
    name: str, caller: CallerSettings, settings: Platform, environment: Mapping[str, str]
) -> bytes | KeyFile:
    if caller.key_sha256 is not None:
        return bytes.fromhex(caller.key_sha256)
    if caller.key_file is not None:
        file = Path(settings.path(caller.key_file))
        if not file.is_file():
            raise ValueError(f"callers.{name}.key_file: no file at {file}")
        _check(file.read_text("utf-8").strip(), f"callers.{name}.key_file: {file}")
        return KeyFile(file)
    given = environment.get(str(caller.key_env), "")
    _check(given, f"callers.{name}.key_env: {caller.key_env}")
    return key_digest(given)


def _check(key: str, where: str) -> None:
    if len(key) < MIN_KEY:
        raise ValueError(
            f"{where}: holds {len(key)} characters, a key has {MIN_KEY} or more; make one with "
            "`openssl rand -base64 24`"
        )
