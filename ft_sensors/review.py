"""Make the review queue and the preference pairs anew when there is something new for them."""

import dagster as dg

from ft_assets.partitions import domains
from ft_assets.publishing import newest
from ft_assets.settings import platform

QUEUE, PAIRS = "review_queue", "preference_pairs"
SIGNALS = "feedback_signals"
# Whatever is made last of these sets it off; what an asset needs besides must be there.
CAUSES = (SIGNALS, "raw_corrections", "anonymized_examples")
NEEDS = {QUEUE: ("raw_corrections",), PAIRS: ("raw_users", "anonymized_examples")}
EVENTS_A_TICK = 1000


@dg.sensor(
    name="queue_reviews",
    description="The review queue and preference pairs of domains with new reactions or decisions.",
    target=[dg.AssetKey(name) for name in NEEDS],
    minimum_interval_seconds=platform().seldom_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def queue_reviews(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One run per domain with new reactions or decisions. The cursor is a storage id."""
    cursor = int(context.cursor or 0)
    found = {name: _since(context.instance, name, cursor) for name in CAUSES}
    records = [record for one in found.values() for record in one]
    if not records:
        return dg.SkipReason(f"no reaction and no decision is new since event {cursor}")
    # Of a cause with more events than a tick reads, the rest is for the next one.
    cut = [one[-1].storage_id for one in found.values() if len(one) == EVENTS_A_TICK]
    seen = min(cut) if cut else max(record.storage_id for record in records)
    last: dict[str, int] = {}
    for record in records:
        domain = (record.partition_key or "").split("|")[0]
        last[domain] = max(last.get(domain, 0), record.storage_id)
    requests = []
    for domain in domains.get_partition_keys():
        ready = _ready(context.instance, domain) if domain in last else []
        if ready:
            requests.append(
                dg.RunRequest(
                    run_key=f"review-{domain}-{last[domain]}",
                    partition_key=domain,
                    asset_selection=ready,
                    tags={"ft/trigger": "new_feedback", "ft/domain": domain},
                )
            )
    return dg.SensorResult(run_requests=requests, cursor=str(seen))


def _since(instance: dg.DagsterInstance, name: str, cursor: int) -> list[dg.EventLogRecord]:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), after_storage_id=cursor)
    found = instance.fetch_materializations(wanted, limit=EVENTS_A_TICK, ascending=True)
    return list(found.records)


def _ready(instance: dg.DagsterInstance, domain: str) -> list[dg.AssetKey]:
    """What can be made: the weeks have signals, and what is taken up whole is there."""
    weeks = instance.get_materialized_partitions(dg.AssetKey(SIGNALS))
    if not any(key.split("|")[0] == domain for key in weeks):
        return []
    return [
        dg.AssetKey(asset)
        for asset, needs in NEEDS.items()
        if all(newest(instance, dg.AssetKey(name), domain) is not None for name in needs)
    ]
