"""What `ft status` prints: per domain what serves, how its canary stands, what is stale and why.

Read from the Dagster instance and the embedded gateway's folder, so it also works while nothing
runs.
"""

from typing import Any

import dagster as dg
from rich.console import Console
from rich.table import Table

from ft_assets.deployment.rollout_view import one_line
from ft_assets.publishing import facts_of, newest
from ft_assets.settings import Platform
from ft_resources.gateway.rollout.rollouts import last_rollout


def print_status(settings: Platform) -> None:
    home = settings.state_folder / "dagster_home"
    console = Console(highlight=False, soft_wrap=True)
    if not (home / "dagster.yaml").is_file():
        console.print(f"nothing has run yet below {settings.state_folder}; start with `ft up`")
        return
    table = Table()
    for head in ("domain", "deployed", "trained on", "canary", "stale because"):
        table.add_column(head, overflow="fold", no_wrap=head == "deployed")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for domain in settings.domains:
            rollout = last_rollout(settings.state_folder / "gateway", domain)
            shown = one_line(rollout.to_dict()) if rollout else "-"
            deployed, weeks, stale = _row(instance, domain)
            table.add_row(domain, deployed, weeks, shown, stale)
    console.print(table)


def _row(instance: dg.DagsterInstance, domain: str) -> tuple[str, str, str]:
    deployed = _facts(instance, "deployed_model", domain)
    champion = deployed.get("champion", "none")
    weeks = deployed.get("training_weeks", [])
    span = f"{weeks[0]} to {weeks[-1]}" if weeks else "-"
    return champion, span, "; ".join(stale_reasons(instance, domain)) or "no"


def stale_reasons(instance: dg.DagsterInstance, domain: str) -> list[str]:
    """Why what serves is not what could serve; empty when it is."""
    deployed = _facts(instance, "deployed_model", domain)
    taken = {
        key.partition("|")[2]
        for key in instance.get_materialized_partitions(dg.AssetKey("anonymized_logs"))
        if key.startswith(f"{domain}|")
    }
    reasons = []
    if newer := sorted(taken - set(deployed.get("training_weeks", []))):
        reasons.append(f"not trained on: {', '.join(newer)}")
    drift = _facts(instance, "drift_report", domain)
    if drift.get("drifted") and drift.get("champion") == deployed.get("champion"):
        reasons.append(f"drifted, {drift['remedy']}: {drift['why']}")
    report = _facts(instance, "eval_report", domain)
    adapter = _facts(instance, "lora_adapter", domain).get("adapter")
    if adapter and adapter != deployed.get("champion"):
        if report.get("adapter") != adapter:
            reasons.append(f"{adapter} is trained but not evaluated")
        elif report["gate"] != "passed":
            reasons.append(f"{adapter} was refused by its gate: {report['gate']}")
        elif deployed.get("candidate") == adapter:
            reasons.append(f"{adapter} was {deployed['decision']}: {deployed['reason']}")
        else:
            reasons.append(f"{adapter} passed its gate but was not released")
    if not deployed:
        reasons.append("nothing was deployed yet")
    return reasons


def _facts(instance: dg.DagsterInstance, asset: str, domain: str) -> dict[str, Any]:
    return facts_of(newest(instance, dg.AssetKey(asset), domain))
