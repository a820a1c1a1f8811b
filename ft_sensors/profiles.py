"""Keep the word statistics of the domains, and give weeks that came before them their verdict."""

import json

import dagster as dg

from ft_assets.corpus.screen_assets import PROFILED, profile_inputs
from ft_assets.partitions import WEEKS, domains, split_key
from ft_assets.publishing import facts_of, newest, ref_of
from ft_assets.settings import platform
from ft_resources.lakefs.ref import Ref
from ft_sensors.landing import stretches

PROFILES = dg.AssetKey("domain_profiles")
SCREENED = dg.AssetKey("screened_logs")
RAW = ("raw_documents", "raw_annotations")
STATIC = ("anonymized_documents", "anonymized_examples")
EVENTS_A_TICK = 1000


@dg.sensor(
    name="learn_domain_words",
    description="The words of every domain, learned again when its static texts change.",
    target=[PROFILES],
    minimum_interval_seconds=platform().seldom_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def learn_domain_words(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run whenever the static texts of the domains are others than those of the profiles.

    Domains whose texts are taken up but not yet anonymized are waited for: early weeks are screened
    by the first profiles, so these should know every domain.
    """
    made = {name: _newest_refs(context.instance, name) for name in (*RAW, *STATIC)}
    texts = [made[name] for name in STATIC]
    there = set(texts[0]) & set(texts[1])
    waiting = sorted(set().union(*(made[name] for name in RAW)) - there)
    if waiting:
        return dg.SkipReason(f"waiting for {' and '.join(STATIC)} of {', '.join(waiting)}")
    if len(there) < 2:
        return dg.SkipReason("waiting for a second domain: rows are told from those of another")
    inputs = profile_inputs(*texts)
    if facts_of(newest(context.instance, PROFILES, None)).get("inputs") == inputs:
        return dg.SkipReason("the profiles are those of the newest texts")
    return dg.RunRequest(
        f"profiles-{inputs}", tags={"ft/trigger": "new_texts"}, asset_selection=[PROFILES]
    )


def _newest_refs(instance: dg.DagsterInstance, name: str) -> dict[str, Ref]:
    found = ((d, newest(instance, dg.AssetKey(name), d)) for d in platform().domains)
    return {domain: ref_of(event) for domain, event in found if event}


@dg.sensor(
    name="screen_early_weeks",
    description="Weeks that were screened before their domain had a profile, screened again, once.",
    target=[SCREENED],
    minimum_interval_seconds=platform().seldom_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def screen_early_weeks(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Screen again, once, the weeks that were screened before their domain had a profile.

    Weeks that had an earlier profile are left alone: a domain's words hardly change, and all weeks
    would be screened again for every new document. The cursor holds the last event that was read
    and the weeks without a profile.
    """
    state = json.loads(context.cursor) if context.cursor else {}
    last: int = state.get("event", 0)
    open_weeks: dict[str, list[str]] = state.get("open", {})
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=SCREENED, after_storage_id=last),
        limit=EVENTS_A_TICK,
        ascending=True,
    ).records
    for record in records:
        if not record.partition_key or record.asset_materialization is None:
            continue
        domain, week = split_key(record.partition_key)
        weeks = set(open_weeks.get(domain, ()))
        profiled = facts_of(record.asset_materialization).get(PROFILED)
        open_weeks[domain] = sorted(weeks - {week} if profiled else weeks | {week})
    cursor = json.dumps(
        {
            "event": records[-1].storage_id if records else last,
            "open": {d: w for d, w in sorted(open_weeks.items()) if w},
        }
    )
    profiles = newest(context.instance, PROFILES, None)
    known = facts_of(profiles).get("domains", [])
    order = list(context.instance.get_dynamic_partitions(WEEKS))
    requests = [
        _request(domain, stretch, ref_of(profiles).digest)
        for domain in domains.get_partition_keys()
        if profiles and domain in known and len(known) > 1
        for stretch in stretches(order, open_weeks.get(domain, []))
    ]
    if not requests:
        context.update_cursor(cursor)
        return dg.SkipReason(f"{sum(map(len, open_weeks.values()))} weeks wait for a profile")
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def _request(domain: str, stretch: tuple[str, str], profiles: str) -> dg.RunRequest:
    """Asked again at every tick until the weeks are done: Dagster starts one run per key."""
    first, last = stretch
    key = f"screen-{domain}-{first}-{last}-{profiles[:16]}"
    tags = {"ft/trigger": "first_profiles", "ft/domain": domain}
    if first == last:
        partition = dg.MultiPartitionKey({"domain": domain, "week": first})
        return dg.RunRequest(key, partition_key=partition, tags=tags, asset_selection=[SCREENED])
    tags |= {
        "dagster/asset_partition_range_start": f"{domain}|{first}",
        "dagster/asset_partition_range_end": f"{domain}|{last}",
    }
    return dg.RunRequest(key, tags=tags, asset_selection=[SCREENED])
