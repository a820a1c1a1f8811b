"""`ft canary`: what a canary would decide, and what the running one does."""

import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ft_assets.settings import Platform
    from ft_resources.gateway.rollout.simulate import Outcomes, Scenario, Trial

canary_app = typer.Typer(help="Canaries: simulate, watch, approve, stop.", no_args_is_help=True)

PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]


@canary_app.command("simulate")
def simulate_canary(
    platform: PlatformFile = Path("platform.yaml"),
    domain: Annotated[
        str | None, typer.Option(help="With the settings of this domain; default: the platform's.")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Of these alone; repeatable. Default: all.")
    ] = None,
    false_promotion: Annotated[
        float | None, typer.Option(min=0.0001, max=0.5, help="Allowed; default: the settings'.")
    ] = None,
    false_rollback: Annotated[
        float | None, typer.Option(min=0.0001, max=0.5, help="Allowed; default: the settings'.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0.001, max=0.5, help="Worse by this is not worse.")
    ] = None,
    base_rate: Annotated[
        float, typer.Option(min=0.21, max=0.99, help="Mean reaction to the champion, 0 to 1.")
    ] = 0.8,
    horizon: Annotated[
        int, typer.Option(min=64, help="Conversations with a reaction until it is inconclusive.")
    ] = 6000,
    conversations_per_day: Annotated[
        float, typer.Option(min=1, help="Of the domain; for the days that it takes.")
    ] = 5000,
    reaction_rate: Annotated[
        float, typer.Option(min=0.0001, max=1, help="Of the conversations that draw a reaction.")
    ] = 0.1,
    share: Annotated[
        list[float] | None,
        typer.Option(help="Canary shares for the days; repeatable. Default: the settings' steps."),
    ] = None,
    rollouts: Annotated[int, typer.Option(min=1, help="Of each kind in each scenario.")] = 2000,
    seed: int = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide simulated rollouts by the real rules: how often wrongly, how soon rightly.

    Exits with 1 when an error rate is over its bound by more than two standard errors.
    """
    from dataclasses import replace

    from ft_assets.deployment.rollout_plan import plan_of
    from ft_assets.sections import CanarySettings
    from ft_assets.settings import PlatformError
    from ft_resources.gateway.rollout.simulate import SCENARIOS, Trial

    try:
        if platform.is_file():
            plan = plan_of(_settings(platform, domain).canary_of(domain))
        elif domain is None:
            plan = plan_of(CanarySettings())
        else:
            raise FileNotFoundError(f"no platform file at {platform}, which --domain needs")
        given = {
            "false_promotion": false_promotion,
            "false_rollback": false_rollback,
            "margin": margin,
        }
        bounds = replace(plan.bounds, **{k: v for k, v in given.items() if v is not None})
        trial = Trial(bounds, plan.guardrails, rollouts, horizon, base_rate, seed)
        wanted = scenario or list(SCENARIOS)
        if unknown := sorted(set(wanted) - set(SCENARIOS)):
            raise ValueError(f"no scenario {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}")
    except (PlatformError, FileNotFoundError, ValueError) as error:
        raise _failed(error) from None
    found = _simulated(trial, wanted, workers or os.cpu_count() or 1)
    if as_json:
        typer.echo(json.dumps([each.to_dict() for each in found], indent=1))
    else:
        daily = conversations_per_day * reaction_rate
        typer.echo(_told(found, daily, share or list(plan.steps)))
    if not all(each.within_bounds for each in found):
        raise typer.Exit(1)


def _simulated(trial: "Trial", scenarios: list[str], workers: int) -> "list[Scenario]":
    """Each kind of rollout of each scenario by itself; progress goes to stderr."""
    from ft_resources.gateway.rollout.simulate import KINDS, Scenario

    parts = [(scenario, kind) for scenario in scenarios for kind in KINDS]
    found = {}
    for part, outcomes in _in_processes(trial, parts, min(workers, len(parts))):
        found[part] = outcomes
        typer.echo(f"{len(found)} of {len(parts)}: {' '.join(part)}", err=True)
    return [
        Scenario(name, trial.bounds, trial.rollouts, *(found[name, kind] for kind in KINDS))
        for name in scenarios
    ]


def _in_processes(
    trial: "Trial", parts: list[tuple[str, str]], processes: int
) -> "Iterator[tuple[tuple[str, str], Outcomes]]":
    """In the order in which they end."""
    from ft_resources.child import end_with
    from ft_resources.gateway.rollout.simulate import simulate_kind

    if processes == 1:
        for part in parts:
            yield part, simulate_kind(trial, *part)
        return
    with ProcessPoolExecutor(processes, initializer=end_with, initargs=(os.getpid(),)) as pool:
        futures = {pool.submit(simulate_kind, trial, *part): part for part in parts}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _told(found: "list[Scenario]", reactions_per_day: float, shares: list[float]) -> str:
    bounds = found[0].bounds
    lines = [
        f"{found[0].rollouts} rollouts of each kind; margin {bounds.margin:g}, allowed: false "
        f"promotion {bounds.false_promotion:.1%}, false rollback {bounds.false_rollback:.1%}",
        "                      worse by margin   ------ not worse -------   worse by 20 points",
        "scenario               false promotion   false rollback  promoted   rolled back  "
        "canary feedbacks p50  p90",
    ]
    lines += [
        f"{each.scenario:22} {each.worse.promoted:15.1%}  {each.equal.rolled_back:15.1%} "
        f"{each.equal.promoted:9.1%}  {each.broken.rolled_back:12.1%}  "
        f"{each.broken.rollback_p50:20.0f} {each.broken.rollback_p90:4.0f}"
        for each in found
    ]
    lines.append(
        f"days at {reactions_per_day:g} conversations with a reaction a day ({found[0].scenario}):"
    )
    lines.append("canary share   rolled back when worse by 20 points   promoted when not worse")
    for share in shares:
        broken, equal = (
            _days(outcomes, side, reactions_per_day * share)
            for outcomes, side in ((found[0].broken, "rollback"), (found[0].equal, "promote"))
        )
        lines.append(f"{share:12.0%}   {broken:>35}   {equal:>23}")
    return "\n".join(lines)


def _days(outcomes: "Outcomes", side: str, canary_reactions_per_day: float) -> str:
    half, most = (
        getattr(outcomes, f"{side}_{q}") / canary_reactions_per_day for q in ("p50", "p90")
    )
    return f"{half:.1f}, p90 {most:.1f}" if math.isfinite(most) else f"{half:.1f}, p90 never"


def _settings(platform: Path, domain: str | None) -> "Platform":
    from ft_assets.settings import PlatformError, load_platform

    loaded = load_platform(platform)
    if domain is not None and domain not in loaded.domains:
        raise PlatformError(
            f"no domain {domain} in {platform}; there are: {', '.join(loaded.domains)}"
        )
    return loaded


def _failed(error: Exception) -> typer.Exit:
    typer.echo(f"ft: {error}", err=True)
    return typer.Exit(1)
