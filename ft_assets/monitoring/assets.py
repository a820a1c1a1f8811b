"""What comes in and what goes out: drift against the champion's weeks, and how it serves."""

import json

import dagster as dg
import pandas as pd

from ft_assets.monitoring.drift import DriftLimits, DriftResult, Verdict, measure_drift
from ft_assets.monitoring.weeks import newest_untrained
from ft_assets.partitions import ALL_WEEKS, domains, split_key
from ft_assets.publishing import (
    Refs,
    combined,
    markdown_table,
    materialized,
    one,
    open_draft,
)
from ft_assets.settings import platform
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref

REPORT, RESULT = "report.html", "drift.json"
DRIFT_COLUMNS = ["event_id", "prompt"]


@dg.asset(
    partitions_def=domains,
    group_name="monitoring",
    kinds={"lakefs", "python"},
    code_version="1",
    ins={"anonymized_logs": ALL_WEEKS},
)
def drift_report(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    deployed_model: Refs,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """Evidently's drift of the newest weeks against the weeks the champion was trained on."""
    domain = context.partition_key
    deployment = lakefs.read_json(one(deployed_model, "deployed_model", domain), "deployment.json")
    by_week = {split_key(key)[1]: ref for key, ref in anonymized_logs.items()}
    trained = _trained_weeks(lakefs, deployment["adapter_ref"])
    current = newest_untrained(by_week, trained, platform().drift.newest_weeks)
    reference = [week for week in trained if week in by_week]
    result = _measure(lakefs, [by_week[w] for w in reference], [by_week[w] for w in current])

    # What the report was made of: the same cause asks for one retraining, however often it is seen.
    cause = combined([deployment["champion"] or "", *(by_week[w].digest for w in current)])
    record = {
        "domain": domain,
        "champion": deployment["champion"],
        "drifted": result.drifted,
        "verdict": str(result.reason),
        "score": result.score,
        "limit": result.limit,
        "columns": result.columns,
        "reference_weeks": reference,
        "current_weeks": current,
        "cause": cause,
    }
    files = {RESULT: json.dumps(record, indent=1, sort_keys=True).encode()}
    if result.html:
        files[REPORT] = result.html.encode()
    draft = open_draft(
        context, lakefs, lakefs.repository, {**anonymized_logs, "deployed": deployed_model[domain]}
    )
    prefix = f"drift_report/domain={domain}/"
    draft.write(prefix, files)
    draft.commit(f"drift_report: {domain} {result.reason}")
    ref = draft.merge()[prefix]
    facts = {
        "drifted": result.drifted,
        "verdict": str(result.reason),
        "score": 0.0 if result.score is None else result.score,
        "limit": result.limit,
        "cause": cause[:16],
        "newest_week": current[-1] if current else "",
        "champion": deployment["champion"] or "none",
        "reference": f"{result.n_reference} rows of {_span(reference)}",
        "current": f"{result.n_current} rows of {_span(current)}",
        "columns": markdown_table(
            ["column", "score"], [[n, f"{v:.3f}"] for n, v in result.columns.items()]
        ),
    }
    if result.html:
        facts["report"] = dg.MetadataValue.url(lakefs.object_url(ref, REPORT))
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


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


def _trained_weeks(lakefs: LakeFS, adapter: dict[str, str] | None) -> list[str]:
    return lakefs.read_json(Ref(**adapter), "lineage.json")["weeks"] if adapter else []


def _measure(lakefs: LakeFS, reference: list[Ref], current: list[Ref]) -> DriftResult:
    settings = platform().drift
    limits = DriftLimits(settings.score_limit, settings.min_rows, settings.max_rows)
    if not reference or not current:
        return DriftResult(False, Verdict.NOTHING_NEW, None, limits.score_limit, 0, 0)
    before, now = (_prompts(lakefs, refs) for refs in (reference, current))
    return measure_drift(before, now, limits, settings.seed)


def _prompts(lakefs: LakeFS, refs: list[Ref]) -> pd.DataFrame:
    return pd.concat([lakefs.read_table(ref)[DRIFT_COLUMNS] for ref in refs], ignore_index=True)


def _span(weeks: list[str]) -> str:
    return f"{weeks[0]} to {weeks[-1]}" if weeks else "no week"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
