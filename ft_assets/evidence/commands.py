"""`ft evidence` and `ft reproduce`: what is recorded of an adapter, and whether it is true."""

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ft_assets.settings import Platform
    from ft_resources.lakefs.client import LakeFS
    from ft_resources.vault.raw_zone import RawZone

PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]


def evidence(
    domain: Annotated[str, typer.Argument(help="Domain of the platform file.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("evidence"),
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Write the evidence pack of what a domain serves: a page, JSON, and a model card.

    lakeFS must be running. The signature is checked where the signing key is at hand.
    """
    from ft_assets.evidence.stored import newest_pack
    from ft_assets.settings import PlatformError, load_platform
    from ft_resources import secrets

    try:
        settings = load_platform(platform)
        if domain not in settings.domains:
            raise LookupError(f"no domain {domain}; there are: {', '.join(settings.domains)}")
        key = _secret(settings, secrets.SIGNING_KEY)
        pack = newest_pack(lakefs_of(settings), domain, key.encode() if key else None)
        folder = out / pack.name.replace("@", "-")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in pack.files.items():
            (folder / name).write_bytes(content)
    except (PlatformError, OSError, LookupError, ValueError) as error:
        raise _fail(str(error)) from None
    typer.echo(f"{pack.name}, {'signed by this platform' if key else 'signature not checked'}")
    for name in sorted(pack.files):
        typer.echo(f"  {folder / name}")


def reproduce(
    adapter: Annotated[str, typer.Argument(help='Name of an adapter, "domain@digest".')],
    platform: PlatformFile = Path("platform.yaml"),
    keep: Annotated[
        Path | None, typer.Option(help="Keep what is made in this folder; default: a temporary one")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Train a recorded adapter again from its lakeFS commits; exit 1 unless the bytes are equal.

    lakeFS must be running. What of this machine differs is said first: another version of torch or
    another kind of processor may give other bytes.
    """
    from ft_assets.evidence import reproduction
    from ft_assets.settings import PlatformError, load_platform

    try:
        settings = load_platform(platform)
        lakefs = lakefs_of(settings)
        recorded = reproduction.find_adapter(lakefs, adapter)
        here = reproduction.environment_here(recorded.lineage)
        differs = reproduction.environment_differs(recorded.lineage, here)
        typer.echo(f"{recorded.name} of {recorded.ref.uri}")
        for line in differs:
            typer.echo(f"  not as it was: {line}; the bytes may differ")
        with TemporaryDirectory() as folder:
            work = keep or Path(folder)
            zone = _vault(settings) if recorded.lineage["recipe"].get("privacy") else None
            outcome = reproduction.reproduce(lakefs, recorded, work, typer.echo, zone)
    except (PlatformError, OSError, LookupError, ValueError) as error:
        raise _fail(str(error)) from None
    except subprocess.CalledProcessError as error:
        raise _fail(f"the trainer ended with {error.returncode}; its words are above") from None
    for line in outcome.differences:
        typer.echo(f"  differs: {line}")
    for name, digest in outcome.found.items():
        typer.echo(f"  {name} sha256 {digest}")
    if as_json:
        facts = {"adapter": recorded.name, "identical": outcome.identical, "environment": differs}
        typer.echo(json.dumps({**facts, "differences": outcome.differences}))
    else:
        typer.echo("identical" if outcome.identical else "not identical")
    if not outcome.identical:
        raise typer.Exit(1)


def lakefs_of(settings: "Platform") -> "LakeFS":
    """The lakeFS of a platform file, with the keys of the environment or of its state."""
    from ft_resources import secrets
    from ft_resources.lakefs.client import LakeFS

    return LakeFS(
        endpoint=settings.services.lakefs.url,
        access_key_id=_secret(settings, secrets.LAKEFS_ACCESS_KEY_ID),
        secret_access_key=_secret(settings, secrets.LAKEFS_SECRET_ACCESS_KEY),
        repository=settings.versioning.repository,
        raw_repository=settings.versioning.raw_repository,
        storage_namespace=settings.versioning.storage_namespace,
    )


def _vault(settings: "Platform") -> "RawZone":
    from ft_resources import secrets
    from ft_resources.vault.raw_zone import RawZone

    vault = RawZone(
        tenant=settings.vault.tenant,
        tenant_key=_secret(settings, secrets.TENANT_KEY),
        folder=settings.path(settings.vault.folder),
    )
    if not vault.keys_file.is_file():
        raise LookupError(f"no vault at {vault.keys_file}, and the training's noise comes from it")
    return vault


def _secret(settings: "Platform", name: str) -> str:
    from ft_resources.secrets import kept_secrets

    return os.environ.get(name) or kept_secrets(settings.state_folder).get(name, "")


def _fail(message: str) -> typer.Exit:
    typer.echo(f"ft: {message}", err=True)
    return typer.Exit(1)
