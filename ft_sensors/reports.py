"""Look for drift whenever new weeks of a domain that serves have been taken up."""

import dagster as dg

from ft_assets.partitions import domains, split_key
from ft_assets.publishing import newest
from ft_assets.settings import platform

TAKEN_UP = dg.AssetKey("feedback_signals")  # last of what a new week makes
DEPLOYED = dg.AssetKey("deployed_model")
REPORTS = ("drift_report",)
EVENTS_A_TICK = 1000


@dg.sensor(
    name="report_new_weeks",
    description="A drift report of each serving domain that a week was taken up of.",
    target=[dg.AssetKey(name) for name in REPORTS],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def report_new_weeks(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One report per domain and batch of weeks newly taken up. The cursor is a storage id."""
    cursor = int(context.cursor or 0)
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=TAKEN_UP, after_storage_id=cursor),
        limit=EVENTS_A_TICK,
        ascending=True,
    ).records
    if not records:
        return dg.SkipReason(f"no week was taken up since event {cursor}")
    last = {
        split_key(record.partition_key)[0]: record.storage_id
        for record in records
        if record.partition_key
    }
    serving = [d for d in last if newest(context.instance, DEPLOYED, d) is not None]
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"report-{domain}-{last[domain]}",
                partition_key=domain,
                asset_selection=[dg.AssetKey(name) for name in REPORTS],
                tags={"ft/trigger": "new_week", "ft/domain": domain},
            )
            for domain in domains.get_partition_keys()
            if domain in serving
        ],
        cursor=str(records[-1].storage_id),
    )
