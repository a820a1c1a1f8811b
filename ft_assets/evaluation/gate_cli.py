"""`ft gate`: how often the promotion gate is wrong, by simulation."""

import json
from pathlib import Path
from typing import Annotated

import typer

gate_app = typer.Typer(help="The promotion gate.", no_args_is_help=True)

OTHER_ROWS = (100,)


@gate_app.command("simulate")
def simulate_gate(
    platform: Annotated[
        Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
    ] = Path("platform.yaml"),
    domain: Annotated[
        str | None, typer.Option(help="With the limits of this domain; default: the platform's.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=2, help="Rows of an evaluation; default: max_rows.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Of candidate and champion, each effect.")] = (
        1000
    ),
    seed: int = 0,
    measured: Annotated[
        Path | None,
        typer.Option(help="Losses to draw from (measure_gate --write); default: those shipped."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge simulated pairs by the real rules, with the limits of the platform file or defaults.

    Exits with 1 when more than 5 % of the candidates that are worse by the margin would be
    promoted, or more than 20 % of those that are not worse would be missed.
    """
    from ft_assets.evaluation.limits import limits_of
    from ft_assets.evaluation.measured_rows import FILE, read_measured
    from ft_assets.evaluation.simulate import simulate
    from ft_assets.sections import EvaluationSettings
    from ft_assets.settings import PlatformError, load_platform

    settings = EvaluationSettings()
    try:
        if platform.is_file():
            loaded = load_platform(platform)
            if domain is not None and domain not in loaded.domains:
                raise PlatformError(
                    f"no domain {domain} in {platform}; there are: {', '.join(loaded.domains)}"
                )
            settings = loaded.evaluation_of(domain) if domain else loaded.evaluation
        elif domain is not None:
            raise FileNotFoundError(f"no platform file at {platform}, which --domain needs")
        found = simulate(
            read_measured(measured or FILE),
            limits_of(settings),
            rows=rows or settings.max_rows,
            other_rows=() if rows else (settings.min_rows, *OTHER_ROWS),
            pairs=pairs,
            seed=seed,
        )
    except (PlatformError, FileNotFoundError, ValueError) as error:
        typer.echo(f"ft: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    else:
        typer.echo(found.as_text())
    if found.false_promotion > MAX_FALSE_PROMOTION or found.missed_equal_or_better > MAX_MISSED:
        raise typer.Exit(1)


MAX_FALSE_PROMOTION, MAX_MISSED = 0.05, 0.20
