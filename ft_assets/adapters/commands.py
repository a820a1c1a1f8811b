"""`ft adapters`: the gate of the gateway, asked by hand."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Adapters on disk.", no_args_is_help=True)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="An adapter as PEFT or this platform writes it.")],
    base: Annotated[
        Path | None, typer.Option(help="Folder of the base; default: the platform file's.")
    ] = None,
    platform: Annotated[
        Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
    ] = Path("platform.yaml"),
    max_rank: Annotated[int, typer.Option(help="Largest rank that is let in.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Would the gateway load this adapter? Exit 1 with the reason if not.

    With a manifest.json the digest is compared with the files, and the signature is checked where
    the signing key is at hand. Without one (an adapter made elsewhere) only what it is and whether
    it fits the base is looked at: to be served it needs a manifest of this platform.
    """
    from ft_resources.adapter_format import (
        MANIFEST,
        adapter_digest,
        base_digest,
        check_foreign,
        check_lora,
    )
    from ft_resources.adapter_manifest import check_adapter, read_manifest

    found: dict[str, object] = {"folder": str(folder), "passed": False}
    try:
        where = base or base_folder(platform)
        digest = base_digest(where)
        found |= {"base": str(where), "base_digest": digest}
        if (folder / MANIFEST).is_file():
            check_adapter(folder, where, digest, max_rank)
            lora, signature = check_lora(folder, where, max_rank), signed_by_us(folder, platform)
            found |= {"name": read_manifest(folder)["name"], "signature": signature}
        else:
            lora = check_foreign(folder, where, max_rank)
            found |= {"signature": "none: no manifest.json, so no gateway loads it as it is"}
        found |= {"adapter_digest": adapter_digest(folder, digest), **vars(lora), "passed": True}
    except (ValueError, FileNotFoundError) as error:
        found["reason"] = str(error)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for name, value in found.items():
            typer.echo(f"{name:16} {value}")
    if not found["passed"]:
        raise typer.Exit(1)


def base_folder(platform: Path) -> Path:
    """The base of a platform file. One that is made here is made now if it is not there yet.

    Raises PlatformError, FileNotFoundError or ValueError.
    """
    from ft_assets.adapters.base_model import ensure_base
    from ft_assets.settings import PLATFORM_ENV, load_platform

    settings = load_platform(platform)
    os.environ[PLATFORM_ENV] = str(platform.resolve())
    from ft_assets.adapters.assets import base_spec

    cache = Path(settings.path(settings.base_model.cache))
    cache.mkdir(parents=True, exist_ok=True)
    return ensure_base(cache, base_spec(), lambda facts: None)[0]


def signed_by_us(folder: Path, platform: Path) -> str:
    """What the signature is worth here. Raises ValueError when it is not of the key at hand."""
    from ft_assets.settings import load_platform
    from ft_resources import secrets
    from ft_resources.adapter_manifest import read_manifest
    from ft_resources.signing import verify

    key = os.environ.get(secrets.SIGNING_KEY)
    if not key and platform.is_file():
        key = secrets.kept_secrets(load_platform(platform).state_folder).get(secrets.SIGNING_KEY)
    if not key:
        return f"not checked: no {secrets.SIGNING_KEY} here"
    verify(read_manifest(folder), key.encode())
    return "of the key of this platform"
