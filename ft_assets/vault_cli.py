"""`ft vault`: reveal originals, read the audit log, erase subjects, rotate the tenant key.

Every command needs FT_TENANT_KEY, from the environment or the secrets that `ft up` keeps.
"""

import os
import pwd
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ft_assets.settings import Platform
    from ft_resources.vault.audit import AuditLog
    from ft_resources.vault.raw_zone import RawZone

vault_app = typer.Typer(
    help="Originals behind pseudonyms, the audit log, erasure and keys.", no_args_is_help=True
)
PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]
Reason = Annotated[str, typer.Option(help="Why; goes into the audit log. No personal data.")]


@vault_app.command()
def reveal(
    token: Annotated[str, typer.Argument(help="A token or surrogate as it stands in a text.")],
    role: Annotated[str, typer.Option(help="A role of `vault.roles` in the platform file.")],
    reason: Reason,
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Print what stands behind a token; FT_VAULT_ROLE_KEY proves the role."""
    from ft_resources.vault.reveal import ROLE_KEY, Desk, Role

    settings, vault = _open(platform)
    roles = {
        name: Role(frozenset(each.types), each.key_sha256)
        for name, each in settings.vault.roles.items()
    }
    _refuse_personal(reason)
    with _told():
        desk = Desk(vault.originals(), _audit(vault), roles)
        found = desk.reveal(token, role, os.environ.get(ROLE_KEY, ""), reason, _who())
    for value in found.values:
        typer.echo(value.encode("utf-8", "replace"))  # half of a surrogate pair has no UTF-8


@vault_app.command()
def audit(
    verify: Annotated[bool, typer.Option("--verify", help="Only check that it is whole.")] = False,
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Print the audit log as JSON lines, oldest first; exit 1 if --verify finds it changed."""
    import json

    _, vault = _open(platform)
    with _told():
        log = _audit(vault)
        if verify:
            typer.echo(f"{log.verify()} entries, none changed, none missing")
            return
        for entry in log.entries():
            typer.echo(json.dumps(entry, ensure_ascii=False))


@vault_app.command()
def subjects(
    names: Annotated[
        list[str] | None, typer.Argument(help="Subjects, as user:42; default: how many there are.")
    ] = None,
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Say whether subjects have a key, or how many do; the vault holds no names to list."""
    _, vault = _open(platform)
    with _told():
        store = vault.store()
        if not names:
            keys, erased = store.counts()
            typer.echo(f"{keys} subjects have a key, {erased} are erased")
            for kind, count in vault.originals().counts().items():
                typer.echo(f"{count} originals of type {kind}")
        for name in names or ():
            id_ = store.subject_id(name)
            erased = store.is_erased(id_)
            state = "erased" if erased else "has a key" if store.keys([id_]) else "unknown"
            typer.echo(f"{name}: {state}, {len(store.linked(name))} events")


@vault_app.command()
def erase(
    names: Annotated[list[str], typer.Argument(help="Subjects, as user:42.")],
    reason: Reason,
    platform: PlatformFile = Path("platform.yaml"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy keys: raw rows, corrections and originals of these subjects become unreadable.

    In every past commit, for everybody, for good. Corpora and adapters that were made of them
    have to be made anew; backups of the vault still hold the keys.
    """
    _, vault = _open(platform)
    _refuse_personal(reason)
    if not yes:
        typer.confirm(f"Destroy the keys of {len(names)} subjects for good?", abort=True)
    with _told():
        ids = [vault.store().subject_id(name).hex() for name in names]
        log, who = _audit(vault), _who()
        for subject in ids:
            log.append({"who": who, "action": "erase", "subject": subject, "reason": reason})
        destroyed = vault.destroy(names)
    typer.echo(f"{destroyed} keys destroyed, those of events among them")


@vault_app.command()
def rotate(platform: PlatformFile = Path("platform.yaml")) -> None:
    """Wrap all keys by FT_TENANT_KEY_NEXT; a new key is made where none is given.

    Can be run again after a crash. Surrogates, tokens and stored rows stay as they are. Restart
    what runs with the old key.
    """
    from ft_resources.secrets import TENANT_KEY
    from ft_resources.vault.rotation import finish, prepare, rewrap

    settings, vault = _open(platform, tenant_key=False)
    state = settings.state_folder
    with _told():
        keys = prepare(state, os.environ)
        wrapped = rewrap(vault.keys_file, vault.tenant, keys)
        rotated = vault.model_copy(update={"tenant_key": keys.following})
        _audit(rotated).append({"who": _who(), "action": "rotate"})
        kept = finish(state, keys)
    typer.echo(f"{wrapped} keys are wrapped by the next tenant key")
    if not kept:
        typer.echo(f"now set {TENANT_KEY} to it wherever it is set")


@vault_app.command("new-role-key")
def role_key() -> None:
    """Print a key for a person, and the line of the platform file that knows it."""
    from ft_resources.vault.reveal import ROLE_KEY, new_role_key

    key, digest = new_role_key()
    typer.echo(f"{ROLE_KEY}={key}")
    typer.echo(f'key_sha256: "{digest}"')


def _open(file: Path, tenant_key: bool = True) -> "tuple[Platform, RawZone]":
    from ft_assets.settings import PlatformError, load_platform
    from ft_resources import secrets
    from ft_resources.vault.raw_zone import RawZone

    try:
        settings = load_platform(file)
    except (PlatformError, FileNotFoundError) as error:
        raise _fail(str(error)) from None
    kept = secrets.kept_secrets(settings.state_folder)
    key = os.environ.get(secrets.TENANT_KEY) or kept.get(secrets.TENANT_KEY, "")
    vault = RawZone(
        tenant=settings.vault.tenant, tenant_key=key, folder=settings.path(settings.vault.folder)
    )
    if not vault.keys_file.is_file():
        raise _fail(f"no vault at {vault.keys_file}; it is made when the first rows are taken up")
    if tenant_key and not key:
        raise _fail(f"set {secrets.TENANT_KEY}; it is not kept below {settings.state_folder}")
    return settings, vault


@contextmanager
def _told() -> Generator[None]:
    """What goes wrong in the vault, in one line; no message of it holds a value."""
    from ft_resources.vault.keys import VaultError

    try:
        yield
    except (VaultError, ValueError, OSError, sqlite3.Error) as error:
        raise _fail(str(error)) from None


def _audit(vault: "RawZone") -> "AuditLog":
    from ft_resources.vault.audit import AuditLog

    return AuditLog(vault.keys_file.parent, vault.store())


def _refuse_personal(reason: str) -> None:
    from ft_assets.corpus.detect import find

    if found := sorted({span.type for span in find(reason)}):
        raise _fail(f"the reason holds personal data ({', '.join(found)}); leave it out")


def _who() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _fail(message: str) -> typer.Exit:
    typer.echo(f"ft: {message}", err=True)
    return typer.Exit(1)
