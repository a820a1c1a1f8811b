"""Retrain the domains whose newest weeks drifted away from what their champion was trained on."""

import dagster as dg

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import domains
from ft_assets.settings import platform
from ft_sensors.worth import worth_training


@dg.sensor(
    name="retrain_on_drift",
    target=[dg.AssetKey(name) for name in RETRAINED],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def retrain_on_drift(
    context: dg.SensorEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per domain and drift report that is over the limit, if it can change anything."""
    requests, skipped = [], []
    for domain in domains.get_partition_keys():
        found = worth_training(context.instance, domain)
        if not found.worth:
            skipped.append(f"{domain}: {found.reason}")
            continue
        requests.append(
            dg.RunRequest(
                # Dagster starts one run per run_key, however many ticks ask for it.
                run_key=f"drift-{domain}-{found.drift['cause']}",
                partition_key=domain,
                asset_selection=[dg.AssetKey(name) for name in RETRAINED],
                tags={
                    "ft/trigger": "drift",
                    "ft/domain": domain,
                    "ft/drift_score": f"{found.drift['score']:.3f}",
                },
            )
        )
    return requests or dg.SkipReason("; ".join(skipped))
