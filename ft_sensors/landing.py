"""Take up what is new in the sources: by content, no more than changed."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ft_assets.lineage import RAW_OF, WEEKLY
from ft_assets.partitions import WEEKS, weeks
from ft_assets.raw.changes import from_json, look, scan
from ft_assets.raw.delivery import list_sources
from ft_assets.raw.weeks import week_of
from ft_assets.settings import platform
from ft_sensors.tagger import tagger_is_there

FIRST_WEEK = "2000-01-03"  # what claims to be older is a broken clock; intake quarantines it


@dg.sensor(
    name="take_up_new_weeks",
    description="New or changed log lines of the landing zone, taken up by domain and weeks.",
    target=[dg.AssetKey(name) for name in WEEKLY],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def take_up_new_weeks(
    context: dg.SensorEvaluationContext,
) -> dg.SensorResult | dg.SkipReason:
    """One run per domain and stretch of weeks whose log lines are new or others than before."""
    if not tagger_is_there(context.instance):
        return dg.SkipReason("waiting for pii_tagger, without which names would pass")
    seen: dict[str, dict[str, Any]] = json.loads(context.cursor) if context.cursor else {}
    touched: dict[str, set[str]] = {}
    newest, faults = week_of(datetime.now(UTC)), []
    for domain in platform().domains:
        known = seen.setdefault(domain, {})
        for source in list_sources(platform().sources(domain, "logs")):
            before = from_json(known.get(source.url))
            try:
                after = scan(source, before, domain)
            except (OSError, ValueError) as error:
                faults.append(f"{domain}: {error}")
                continue
            known[source.url] = after.to_json()
            valid = {w for w in after.changed_since(before) if FIRST_WEEK <= w <= newest}
            touched.setdefault(domain, set()).update(valid)
    touched = {domain: found for domain, found in touched.items() if found}
    _tell(context, faults, nothing_else=not touched)
    cursor = json.dumps(seen, sort_keys=True)
    if not touched:
        context.update_cursor(cursor)
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
        cursor=cursor,
    )


@dg.sensor(
    name="take_up_changed_sources",
    description="Documents, annotations, corrections and users that changed, taken up by domain.",
    target=[dg.AssetKey(name) for name in RAW_OF.values()],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def take_up_changed_sources(
    context: dg.SensorEvaluationContext,
) -> dg.SensorResult | dg.SkipReason:
    """One run per domain for the sources that are taken up whole and have other content now."""
    seen: dict[str, dict[str, Any]] = json.loads(context.cursor) if context.cursor else {}
    changed: dict[str, dict[str, None]] = {}  # domain -> kinds, in order
    faults = []
    for domain in platform().domains:
        for kind in RAW_OF:
            known = seen.setdefault(f"{domain} {kind}", {})
            for source in list_sources(platform().sources(domain, kind)):
                try:
                    known[source.url], other = look(source, known.get(source.url))
                except (OSError, ValueError) as error:
                    faults.append(f"{domain}: {kind}: {error}")
                    continue
                if other:
                    changed.setdefault(domain, {})[kind] = None
    _tell(context, faults, nothing_else=not changed)
    cursor = json.dumps(seen, sort_keys=True)
    if not changed:
        context.update_cursor(cursor)
        return dg.SkipReason(f"no source below {platform().landing_folder} has other content")
    return dg.SensorResult(
        run_requests=[whole_request(domain, kinds, cursor) for domain, kinds in changed.items()],
        cursor=cursor,
    )


def _tell(context: dg.SensorEvaluationContext, faults: list[str], nothing_else: bool) -> None:
    """A source that cannot be read holds up no other one; alone it fails the tick."""
    if faults and nothing_else:
        raise RuntimeError("; ".join(faults))
    for fault in faults:
        context.log.error(fault)


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


def whole_request(domain: str, kinds: Iterable[str], state: str) -> dg.RunRequest:
    digest = hashlib.sha256(state.encode()).hexdigest()[:16]
    return dg.RunRequest(
        f"{domain}-{'-'.join(kinds)}-{digest}",
        partition_key=domain,
        tags={"ft/trigger": "changed_source", "ft/domain": domain},
        asset_selection=[dg.AssetKey(RAW_OF[kind]) for kind in kinds],
    )
