"""The `ft` command. Each command imports what it needs, so that `ft --help` is fast."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ft_assets.adapters.commands import app as adapters_app
from ft_assets.corpus.tagger.commands import app as pii_app
from ft_assets.deployment import operate_cli
from ft_assets.deployment.canary_cli import canary_app
from ft_assets.evaluation.gate_cli import gate_app
from ft_assets.evidence import commands as evidence_commands
from ft_assets.raw.quarantine_cli import app as quarantine_app
from ft_assets.vault_cli import vault_app

app = typer.Typer(
    help="Continuous fine-tuning of private LLMs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals could hold personal data or keys
)
lakefs_app = typer.Typer(help="The embedded lakeFS server.", no_args_is_help=True)
gateway_app = typer.Typer(help="The serving gateway.", no_args_is_help=True)
app.add_typer(lakefs_app, name="lakefs")
app.add_typer(gate_app, name="gate")
app.add_typer(canary_app, name="canary")
app.add_typer(gateway_app, name="gateway")
app.add_typer(adapters_app, name="adapters")
app.add_typer(pii_app, name="pii")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(vault_app, name="vault")
operate_cli.add_commands(app, canary_app)
app.command()(evidence_commands.evidence)
app.command()(evidence_commands.reproduce)

PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]


def fail(message: str) -> typer.Exit:
    typer.echo(f"ft: {message}", err=True)
    return typer.Exit(1)


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="A folder with one feed per domain; default: a sample feed.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the demo lives; emptied first.")] = Path(
        ".ft/demo"
    ),
) -> None:
    """Run the whole loop once: feeds to deployed adapters, drift, retraining, a refusal."""
    from ft_assets.demo.run import DemoError, run_demo
    from ft_assets.stack import StackError

    _stop_on_sigterm()
    try:
        run_demo(folder, data)
    except (DemoError, StackError) as error:
        raise fail(str(error)) from None


@app.command()
def up(
    platform: PlatformFile = Path("platform.yaml"),
    mlflow: Annotated[bool, typer.Option(help="Also start the MLflow pages.")] = True,
) -> None:
    """Start every embedded service and keep it running; Ctrl-C or SIGTERM stops them."""
    from ft_assets.settings import PlatformError, load_platform
    from ft_assets.stack import Stack, StackError
    from ft_resources.secrets import secrets_file

    _stop_on_sigterm()
    try:
        settings = load_platform(platform)
        stack = Stack(platform, settings, mlflow=mlflow)
        typer.echo(f"platform file {platform.resolve()}, state {stack.state}")
        stack.start(typer.echo)
    except (StackError, PlatformError, FileNotFoundError) as error:
        raise fail(str(error)) from None
    typer.echo("\nEverything runs. Put a domain's files into the landing folder, or look around:")
    services = settings.services
    for name, address in {
        "lineage, runs, backfills": services.dagster.url,
        "models and metrics": services.mlflow.url if mlflow else "off (--no-mlflow)",
        "gateway (OpenAI API)": f"{services.gateway.url}/v1",
        "chat, and answers to review": f"{services.gateway.url}/chat and /review",
        "versioned data (lakeFS API)": services.lakefs.url,
        "landing folder": settings.landing_folder,
        "keys": str(secrets_file(stack.state)),
        "logs": str(stack.logs),
    }.items():
        typer.echo(f"  {name:28} {address}")
    try:
        while True:
            time.sleep(1)
            stack.raise_if_dead()
    except StackError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        typer.echo("stopping")
    finally:
        stack.stop()


@app.command()
def status(platform: PlatformFile = Path("platform.yaml")) -> None:
    """What is deployed, and what is stale and why."""
    from ft_assets.settings import PLATFORM_ENV, PlatformError, load_platform

    try:
        settings = load_platform(platform)
    except (PlatformError, FileNotFoundError) as error:
        raise fail(str(error)) from None
    os.environ[PLATFORM_ENV] = str(platform.resolve())
    from ft_assets.status import print_status

    print_status(settings)


@app.command()
def plan(
    platform: PlatformFile = Path("platform.yaml"),
    domain: Annotated[str | None, typer.Option(help="Of this domain alone.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, one entry a partition.")
    ] = False,
) -> None:
    """Which partitions are stale, why, and the rows, minutes, money and kWh they would take.

    Nothing runs. Estimates follow from what was made before; of what never ran there is none.
    """
    from ft_assets.settings import PLATFORM_ENV, PlatformError, load_platform

    try:
        settings = load_platform(platform)
    except (PlatformError, FileNotFoundError) as error:
        raise fail(str(error)) from None
    if domain is not None and domain not in settings.domains:
        raise fail(f"no domain {domain!r}; there are {', '.join(settings.domains)}")
    home = settings.state_folder / "dagster_home"
    if not (home / "dagster.yaml").is_file():
        raise fail(f"nothing has run yet below {settings.state_folder}; start with `ft up`")
    os.environ[PLATFORM_ENV] = str(platform.resolve())
    from ft_assets.plan import tell

    tell(settings, home, domain, as_json)


@app.command()
def anonymize(
    platform: PlatformFile = Path("platform.yaml"),
    domain: Annotated[
        str | None, typer.Option(help="With the operators of this domain of the platform file.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="With this policy; a name of the file or a built-in one.")
    ] = None,
    patterns_only: Annotated[
        bool, typer.Option("--patterns-only", help="Without the tagger: names are not found.")
    ] = False,
) -> None:
    """Mask identifiers in JSON lines with `text`: standard input to standard output, with spans.

    Without --domain and --policy everything becomes a placeholder. The tagger is the platform
    file's, or the default one where there is no file; it is trained first if need be, in minutes.
    """
    from ft_assets.corpus.anonymize_stream import EVERYTHING, anonymize_lines, arriving
    from ft_assets.corpus.detector import Detector
    from ft_assets.corpus.policy import PolicyError
    from ft_assets.corpus.tagger.annotated import AnnotationError
    from ft_assets.corpus.tagger.commands import detector_here
    from ft_assets.corpus.tagger.model_file import ModelFileError
    from ft_assets.settings import PlatformError
    from ft_assets.stream_policy import chosen_operators
    from ft_resources.vault.keys import VaultError

    operators, keep = EVERYTHING, None
    try:
        if domain or policy:
            operators, keep = chosen_operators(platform, domain, policy)
        detector = Detector() if patterns_only else detector_here(platform)
        counts = anonymize_lines(
            arriving(sys.stdin.fileno()),
            sys.stdout.buffer,
            detector,
            operators=operators,
            keep=keep,
        )
    except (AnnotationError, ModelFileError) as error:
        raise fail(str(error)) from None
    except (PlatformError, PolicyError, VaultError, FileNotFoundError) as error:
        raise fail(str(error)) from None
    if counts.failed:
        raise fail(f"{counts.failed} of {counts.lines} lines were not JSON objects with a text")


@app.command()
def leaks(
    values: Annotated[Path, typer.Argument(help="A file with one value a line.")],
    folders: Annotated[list[Path] | None, typer.Argument(help="Default: .ft.")] = None,
) -> None:
    """Search files, stores and caches for values that must not be there; exit 1 if one is."""
    from ft_assets.leaks import Values, search

    try:
        wanted = Values(line for line in values.read_text("utf-8").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise fail(f"{values}: {error}") from None
    found = search(folders or [Path(".ft")], wanted)
    for hit in found.hits:
        typer.echo(f"value {hit.value} is in {hit.file}")
    for file in found.unreadable:
        typer.echo(f"not unpacked, searched as it is: {file}", err=True)
    typer.echo(
        f"{len(wanted)} values, {found.files} files, {found.bytes / 2**20:.0f} MiB unpacked, "
        f"{len(found.hits)} hits"
    )
    if found.hits:
        raise typer.Exit(1)


@lakefs_app.command("serve")
def lakefs_serve(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    root: Annotated[Path, typer.Option(help="Folder of the repositories.")] = Path(".ft/lakefs"),
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    import_root: Annotated[
        Path | None, typer.Option(help="Folder that imports may read from; none by default.")
    ] = None,
    hook: Annotated[
        list[str] | None,
        typer.Option(help="Function of hooks of type python, name=module:function; repeatable."),
    ] = None,
    hook_host: Annotated[
        list[str] | None,
        typer.Option(help="Host (name or name:port) that webhooks may call besides this machine."),
    ] = None,
) -> None:
    """Serve the lakeFS API on local disk."""
    from ft_resources import secrets
    from ft_resources.lakefs.server.options import Options, load_functions
    from ft_resources.lakefs.server.serve import serve

    values = secrets.load_or_generate(root.resolve().parent, os.environ)
    typer.echo(f"lakeFS API on http://{host}:{port}/api/v1, repositories below {root.resolve()}")
    typer.echo(f"keys: environment or {secrets.secrets_file(root.resolve().parent)}")
    try:
        serve(
            root,
            host,
            port,
            values[secrets.LAKEFS_ACCESS_KEY_ID],
            values[secrets.LAKEFS_SECRET_ACCESS_KEY],
            options=Options(load_functions(hook or ()), frozenset(hook_host or ()), import_root),
        )
    except (OSError, ValueError) as error:
        raise fail(str(error)) from None


@lakefs_app.command("gc")
def lakefs_gc(
    root: Annotated[Path, typer.Option(help="Folder of the repositories.")] = Path(".ft/lakefs"),
    apply: Annotated[bool, typer.Option("--apply", help="Remove it; else only say.")] = False,
    grace_minutes: Annotated[
        int, typer.Option(help="Keep contents that were uploaded in the last minutes.")
    ] = 60,
) -> None:
    """Remove what no branch, tag, staged change or retention rule keeps; safe beside the server."""
    from ft_resources.lakefs.server.gc import collect

    try:
        report = collect(root.resolve(), apply, grace_minutes * 60)
    except (OSError, ValueError) as error:
        raise fail(str(error)) from None
    typer.echo("removed:" if apply else "would remove (--apply removes):")
    typer.echo(f"  {report.contents} contents of {report.content_bytes} bytes")
    typer.echo(f"  {report.commits} expired commits that no ref leads to")
    typer.echo(f"  {report.trees} trees and {report.records} records that only they named")
    typer.echo(
        f"kept: {report.contents_kept} contents of {report.repositories} repositories, and "
        f"{report.recent} unnamed ones younger than {grace_minutes} min"
    )


@gateway_app.command("serve")
def gateway_serve(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8300,
    platform: PlatformFile = Path("platform.yaml"),
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
) -> None:
    """Serve the deployed adapters through an OpenAI-compatible API."""
    from ft_assets.callers import caller_keys
    from ft_assets.serving_settings import backend_of
    from ft_assets.settings import PlatformError, load_platform
    from ft_resources import secrets
    from ft_resources.gateway.serve import serve

    try:
        settings = load_platform(platform)
    except (PlatformError, FileNotFoundError) as error:
        raise fail(str(error)) from None
    state = settings.state_folder
    values = secrets.load_or_generate(state, os.environ)
    typer.echo(f"gateway on http://{host}:{port}/v1, landing zone {settings.landing_folder}")
    typer.echo(f"keys: environment or {secrets.secrets_file(state)}")
    try:
        serve(
            state / "gateway",
            settings.landing_folder,
            host,
            port,
            list(settings.domains),
            values[secrets.GATEWAY_ADMIN_KEY],
            values[secrets.SIGNING_KEY].encode(),
            os.environ.get(secrets.GATEWAY_API_KEY),
            caller_keys(settings, os.environ),
            backend_of(settings.serving, os.environ),
        )
    except (OSError, ValueError) as error:
        raise fail(str(error)) from None


def _stop_on_sigterm() -> None:
    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


if __name__ == "__main__":
    app()
