"""What goes out: how the adapters serve."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from ft_assets.partitions import domains
from ft_assets.publishing import Refs, markdown_table, materialized, open_draft
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS


@dg.asset(
    partitions_def=domains,
    group_name="monitoring",
    kinds={"lakefs", "prometheus"},
    code_version="1",
)
def serving_report(
    context: dg.AssetExecutionContext,
    deployed_model: Refs,
    lakefs: LakeFS,
    gateway: GatewayAccess,
) -> dg.MaterializeResult:
    """How the adapters of a domain answer: requests, errors, latency and feedback so far."""
    domain = context.partition_key
    stats = gateway.client().stats(domain)
    draft = open_draft(context, lakefs, lakefs.repository, {"deployed": deployed_model[domain]})
    prefix = f"serving_report/domain={domain}/"
    draft.write(prefix, {"stats.json": json.dumps(stats, indent=1, sort_keys=True).encode()})
    draft.commit(f"serving_report: {domain}")
    ref = draft.merge()[prefix]
    facts = {
        **_champion(stats["arms"]),
        "since": stats["since"],
        "requests": sum(counts["requests"] for counts in stats["arms"].values()),
        "adapters": markdown_table(
            [
                *("adapter", "arm", "requests", "errors", "empty"),
                *("p50 ms", "p95 ms", "up", "down"),
            ],
            [
                [
                    name,
                    counts["arm"] or "-",
                    *(counts[key] for key in ("requests", "errors", "empty")),
                    *(_ms(counts["latency_ms"][key]) for key in ("p50", "p95")),
                    *(counts[key] for key in ("thumbs_up", "thumbs_down")),
                ]
                for name, counts in stats["arms"].items()
            ],
        ),
        "metrics": dg.MetadataValue.url(f"{gateway.url}/metrics"),
    }
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


def _champion(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Name and votes of the champion; retrain_on_low_metric compares."""
    found = {name: counts for name, counts in arms.items() if counts["arm"] == "champion"}
    if len(found) != 1:
        return {}
    [(name, counts)] = found.items()
    votes = counts["thumbs_up"] + counts["thumbs_down"]
    share = counts["thumbs_up"] / votes if votes else 0.0
    return {"champion": name, "champion_votes": votes, "champion_up_share": round(share, 4)}


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
