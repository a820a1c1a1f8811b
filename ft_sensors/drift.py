"""Retrain the domains whose newest weeks drifted away from what their champion was trained on."""

import dagster as dg

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import domains
from ft_assets.publishing import facts_of, newest
from ft_assets.settings import platform

DRIFT_REPORT = dg.AssetKey("drift_report")


@dg.sensor(
    name="retrain_on_drift",
    target=[dg.AssetKey(name) for name in RETRAINED],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def retrain_on_drift(
    context: dg.SensorEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per domain and drift report that is over the limit."""
    requests, stable = [], []
    for domain in domains.get_partition_keys():
        report = newest(context.instance, DRIFT_REPORT, domain)
        if report is None:
            stable.append(f"{domain}: no report yet")
            continue
        facts = facts_of(report)
        if not facts["drifted"]:
            stable.append(f"{domain}: {facts['verdict']}")
            continue
        requests.append(
            dg.RunRequest(
                # Dagster starts one run per run_key, however many ticks ask for it.
                run_key=f"drift-{domain}-{facts['cause']}",
                partition_key=domain,
                asset_selection=[dg.AssetKey(name) for name in RETRAINED],
                tags={
                    "ft/trigger": "drift",
                    "ft/domain": domain,
                    "ft/drift_score": f"{facts['score']:.3f}",
                },
            )
        )
    return requests or dg.SkipReason("; ".join(stable))
