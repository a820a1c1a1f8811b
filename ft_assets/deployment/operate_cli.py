"""`ft rollback`, `ft traffic`, and the parts of `ft canary` that talk to a running gateway."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ft_assets.settings import Platform
    from ft_resources.gateway.client import GatewayClient

PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]
Domain = Annotated[str, typer.Argument(help="A domain of the platform file.")]
CLIENTS = 4


def add_commands(app: typer.Typer, canary_app: typer.Typer) -> None:
    app.command()(rollback)
    app.command()(traffic)
    for command in (status, start, approve, abort, compare):
        canary_app.command()(command)


def rollback(
    domain: Domain,
    platform: PlatformFile = Path("platform.yaml"),
    why: Annotated[str, typer.Option(help="Written down with it.")] = "by hand",
) -> None:
    """Stop the rollout that runs, or go back one champion: routing, registry, data tag, Dagster.

    Exits with 1 when a part did not follow; traffic has moved then, or nothing has.
    """
    settings, client = _gateway(platform, domain)
    from ft_assets.settings import PLATFORM_ENV

    os.environ[PLATFORM_ENV] = str(platform.resolve())
    from ft_assets.deployment.rollback_assets import roll_back
    from ft_resources import secrets
    from ft_resources.lakefs.client import LakeFS
    from ft_resources.mlflow import ModelRegistry

    keys = secrets.load_or_generate(settings.state_folder, os.environ)
    versioning = settings.versioning
    lakefs = LakeFS(
        endpoint=settings.services.lakefs.url,
        access_key_id=keys[secrets.LAKEFS_ACCESS_KEY_ID],
        secret_access_key=keys[secrets.LAKEFS_SECRET_ACCESS_KEY],
        repository=versioning.repository,
        raw_repository=versioning.raw_repository,
        storage_namespace=versioning.storage_namespace,
    )
    registry = ModelRegistry(tracking_uri=settings.path(settings.mlflow.tracking_uri))
    home = settings.state_folder / "dagster_home"
    if not (home / "dagster.yaml").is_file():
        raise _fail(f"nothing has run yet below {settings.state_folder}; start with `ft up`")
    steps = _told(lambda: roll_back(home, domain, client, registry, lakefs, why))
    for step in steps:
        mark = "done" if step.done else "NOT DONE"
        typer.echo(f"{step.name:16} {mark:9} {step.seconds:6.2f} s  {step.told}")
    if not all(step.done for step in steps):
        typer.echo("traffic has moved; run it again, or materialize deployed_model, when it is up")
        raise typer.Exit(1)


def traffic(
    domain: Domain,
    platform: PlatformFile = Path("platform.yaml"),
    canary: Annotated[
        float, typer.Option(min=0, max=1, help="Satisfaction with the rollout's candidate.")
    ] = 0.8,
    champion: Annotated[
        float, typer.Option(min=0, max=1, help="Satisfaction with every other adapter.")
    ] = 0.8,
    reacts: Annotated[float, typer.Option(min=0, max=1, help="Share that leaves a thumb.")] = 1.0,
    people: Annotated[int, typer.Option(min=1, help="Different users.")] = 500,
    conversations: Annotated[int, typer.Option(min=1, help="At most so many.")] = 2000,
    clients: Annotated[int, typer.Option(min=1, max=64, help="At the same time.")] = CLIENTS,
    seed: int = 0,
    until_decided: Annotated[
        bool, typer.Option(help="Stop when the rollout has promoted, or is over.")
    ] = True,
) -> None:
    """Simulated users who talk to a domain and like its adapters as you say.

    What they say is logged, and would be trained on, like anything: for a platform to try things.
    """
    from ft_assets.deployment.rollout_view import decision_of, one_line
    from ft_assets.deployment.traffic import Crowd, Traffic

    settings, client = _gateway(platform, domain)

    def rollout() -> dict[str, Any] | None:
        try:
            return _told(lambda: client.rollout(domain), LookupError)
        except LookupError:
            return None

    running = rollout()
    likes = {running["candidate"]: canary} if running else {}
    crowd = Crowd(likes, otherwise=champion, reacts=reacts, people=people)
    found = Traffic(lambda: _client(settings), domain, crowd, seed)

    def decided() -> bool:
        now = rollout() if until_decided else None
        return now is not None and (now["over"] or decision_of(now) is not None)

    _told(lambda: found.run(conversations, clients, decided))
    for name, tally in sorted(found.by_adapter.items()):
        typer.echo(
            f"{name:36} {tally.conversations:6} conversations, {tally.liked} liked, "
            f"{tally.disliked} disliked, {tally.refused} refused"
        )
    if (now := rollout()) is not None:
        typer.echo(one_line(now))


def status(domain: Domain, platform: PlatformFile = Path("platform.yaml")) -> None:
    """How the rollout of a domain stands, by the gateway."""
    _, client = _gateway(platform, domain)
    _show(_told(lambda: client.rollout(domain)))


def start(
    domain: Domain,
    adapter: Annotated[str, typer.Argument(help="A loaded adapter, domain@digest.")],
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Send a loaded adapter against the champion, with the domain's settings."""
    from ft_assets.deployment.rollout_plan import plan_of

    settings, client = _gateway(platform, domain)
    plan = plan_of(settings.canary_of(domain)).to_dict()
    _show(_told(lambda: client.begin_rollout(domain, adapter, plan)))


def approve(
    domain: Domain,
    by: Annotated[str, typer.Option(help="Who approves.")],
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Let a canary go on that waits for a person."""
    _, client = _gateway(platform, domain)
    _show(_told(lambda: client.approve(domain, by)))


def abort(
    domain: Domain,
    by: Annotated[str, typer.Option(help="Who stops it.")],
    why: Annotated[str, typer.Option(help="Written down with it.")],
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Stop a rollout: the champion from before has all traffic at once."""
    _, client = _gateway(platform, domain)
    _show(_told(lambda: client.abort(domain, by, why)))


def compare(
    domain: Domain,
    first: Annotated[str, typer.Argument(help="A loaded adapter, domain@digest.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    platform: PlatformFile = Path("platform.yaml"),
    share: Annotated[float, typer.Option(min=0.001, max=0.5, help="Of each, of all traffic.")] = (
        0.1
    ),
) -> None:
    """An A/B test of two adapters with the statistics of a canary; `comparison_report` shows it."""
    from dataclasses import replace

    from ft_assets.deployment.rollout_plan import plan_of

    settings, client = _gateway(platform, domain)
    plan = replace(plan_of(settings.canary_of(domain)), steps=(share,)).to_dict()
    _show(_told(lambda: client.compare(domain, first, second, plan)))


def _show(rollout: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from ft_assets.deployment.rollout_view import (
        arms_table,
        evidence_table,
        history_table,
        one_line,
    )

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{rollout['rollout']}: {one_line(rollout)}")
    for header, rows in (arms_table(rollout), evidence_table(rollout), history_table(rollout)):
        table = Table(*header)
        for row in rows:
            table.add_row(*map(str, row))
        console.print(table)


def _gateway(platform: Path, domain: str) -> "tuple[Platform, GatewayClient]":
    from ft_assets.settings import PlatformError, load_platform

    try:
        settings = load_platform(platform)
    except (PlatformError, FileNotFoundError) as error:
        raise _fail(str(error)) from None
    if domain not in settings.domains:
        raise _fail(f"no domain {domain} in {platform}; there are: {', '.join(settings.domains)}")
    return settings, _client(settings)


def _client(settings: "Platform") -> "GatewayClient":
    from ft_resources import secrets
    from ft_resources.gateway.client import GatewayClient

    keys = secrets.load_or_generate(settings.state_folder, os.environ)
    return GatewayClient(
        settings.services.gateway.url,
        keys[secrets.GATEWAY_ADMIN_KEY],
        keys[secrets.SIGNING_KEY].encode(),
        os.environ.get(secrets.GATEWAY_API_KEY),
    )


def _told(work: Callable[[], Any], *passed_on: type[Exception]) -> Any:
    try:
        return work()
    except passed_on:
        raise
    except (ConnectionError, PermissionError, LookupError, ValueError) as error:
        raise _fail(str(error.args[0] if error.args else error)) from None


def _fail(message: str) -> typer.Exit:
    print(f"ft: {message}", file=sys.stderr)
    return typer.Exit(1)
