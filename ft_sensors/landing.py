"""Take up new weeks: files that are new or have grown in the landing folders."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg

from ft_assets.lineage import WEEKLY
from ft_assets.partitions import WEEKS, weeks
from ft_assets.raw.sources import list_feeds
from ft_assets.raw.weeks import week_of, weeks_in
from ft_assets.settings import platform
from ft_sensors.tagger import tagger_is_there

FIRST_WEEK = "2000-01-03"  # what claims to be older is a broken clock; intake quarantines it


@dg.sensor(
    name="take_up_new_weeks",
    target=[dg.AssetKey(name) for name in WEEKLY],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def take_up_new_weeks(
    context: dg.SensorEvaluationContext,
) -> dg.SensorResult | dg.SkipReason:
    """One run per domain and stretch of weeks that new log lines belong to."""
    if not tagger_is_there(context.instance):
        return dg.SkipReason("waiting for pii_tagger, without which names would pass")
    seen: dict[str, dict[str, list]] = json.loads(context.cursor) if context.cursor else {}
    touched: dict[str, set[str]] = {}
    newest = week_of(datetime.now(UTC))
    for domain in platform().domains:
        known = seen.setdefault(domain, {})
        for file in list_feeds(platform().sources(domain, "logs")):
            size, offset = known.get(file.url, [0, 0])
            if file.size == size:
                continue
            found, offset = weeks_in(file, offset if file.size > size else 0, domain)
            known[file.url] = [file.size, offset]
            valid = {week for week in found if FIRST_WEEK <= week <= newest}
            touched.setdefault(domain, set()).update(valid)
    touched = {domain: found for domain, found in touched.items() if found}
    if not touched:
        files = sum(len(known) for known in seen.values())
        return dg.SkipReason(f"nothing new in {files} files below {platform().landing_folder}")

    known_weeks = list(context.instance.get_dynamic_partitions(WEEKS))
    added = sorted(set().union(*touched.values()) - set(known_weeks))
    order = known_weeks + added
    requests = [
        request(domain, stretch, state=json.dumps(seen[domain], sort_keys=True))
        for domain, found in touched.items()
        for stretch in stretches(order, found)
    ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[weeks.build_add_request(added)] if added else [],
        cursor=json.dumps(seen, sort_keys=True),
    )


def stretches(order: list[str], wanted: Iterable[str]) -> list[tuple[str, str]]:
    """Neighbours in `order` put together, as (first, last): Dagster takes up a range in one run."""
    result: list[tuple[str, str]] = []
    last = -2
    for index in sorted(order.index(week) for week in wanted):
        if index == last + 1:
            result[-1] = (result[-1][0], order[index])
        else:
            result.append((order[index], order[index]))
        last = index
    return result


def request(domain: str, stretch: tuple[str, str], state: str) -> dg.RunRequest:
    first, last = stretch
    digest = hashlib.sha256(state.encode()).hexdigest()[:16]
    tags = {"ft/trigger": "new_week", "ft/domain": domain}
    selection = [dg.AssetKey(name) for name in WEEKLY]
    key = f"{domain}-{first}-{last}-{digest}"
    if first == last:
        partition = dg.MultiPartitionKey({"domain": domain, "week": first})
        return dg.RunRequest(key, partition_key=partition, tags=tags, asset_selection=selection)
    return dg.RunRequest(
        key,
        tags={
            **tags,
            "dagster/asset_partition_range_start": f"{domain}|{first}",
            "dagster/asset_partition_range_end": f"{domain}|{last}",
        },
        asset_selection=selection,
    )
