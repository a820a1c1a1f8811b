"""Ask for the retraining of a domain: once per cause, never two at a time, only if it can pay off.

Every trigger asks here. A run that trains a domain carries the tag `ft/retrains`, of which
dagster.yaml lets one value run at a time; so two triggers in the same second queue up.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import domains
from ft_sensors.worth import arrived_since_the_corpus

ADAPTER = dg.AssetKey("lora_adapter")
TRIGGER, CAUSE, DOMAIN, RETRAINS = "ft/trigger", "ft/cause", "ft/domain", "ft/retrains"
PARTITION = "dagster/partition"
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

UNDER_WAY = [
    *(dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING),
    *(dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
]


@dataclass(frozen=True)
class Cause:
    """Why a domain should be trained again."""

    domain: str
    trigger: str
    key: str  # one run for one key
    why: str  # with its numbers, for a person
    tags: tuple[tuple[str, str], ...] = ()
    # Whether it changes what an adapter becomes though nothing arrived, as another base does.
    changes_the_recipe: bool = False


def asked(instance: dg.DagsterInstance, cause: Cause) -> dg.RunRequest | str:
    """A run for this cause, or why there is none."""
    if run := training_under_way(instance, cause.domain):
        return f"{cause.why}; run {run} is training it already"
    if not cause.changes_the_recipe and not arrived_since_the_corpus(instance, cause.domain):
        return (
            f"{cause.why}; but nothing arrived since its corpus was composed, and the same corpus "
            "gives the same adapter"
        )
    run_key = f"{cause.trigger}-{cause.domain}-{cause.key}"
    if done := instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": run_key}), limit=1):
        return f"{cause.why}; run {done[0].run_id[:8]} was started for it"
    return dg.RunRequest(
        run_key=run_key,
        partition_key=cause.domain,
        asset_selection=[dg.AssetKey(name) for name in RETRAINED],
        tags={
            TRIGGER: cause.trigger,
            DOMAIN: cause.domain,
            RETRAINS: cause.domain,
            CAUSE: cause.why[:250],
            **dict(cause.tags),
        },
    )


def asked_for(
    instance: dg.DagsterInstance, causes: list[Cause], quiet: list[str]
) -> list[dg.RunRequest] | dg.SkipReason:
    """The runs for all causes, or one reason that names every domain; `quiet` has no cause."""
    found = [(cause.domain, asked(instance, cause)) for cause in causes]
    requests = [one for _, one in found if isinstance(one, dg.RunRequest)]
    skipped = [f"{domain}: {one}" for domain, one in found if isinstance(one, str)]
    return requests or dg.SkipReason("; ".join([*skipped, *quiet]) or "no domain")


def training_under_way(instance: dg.DagsterInstance, domain: str) -> str | None:
    """The id, first eight digits, of a queued or running run that trains a domain.

    A run that is older than run monitoring lets any be is taken for lost: nobody may be there to
    end it. `ft up` ends those of a stack that died.
    """
    most = instance.run_monitoring_max_runtime_seconds or float("inf")
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY)):
        run = record.dagster_run
        selected = run.asset_selection
        if selected is None or ADAPTER not in selected or not _covers(run.tags, domain):
            continue
        if record.start_time is not None and time.time() - record.start_time > most:
            continue
        return run.run_id[:8]
    return None


def _covers(tags: Mapping[str, str], domain: str) -> bool:
    """Partitions of the domains are in their order in the platform file."""
    if tags.get(PARTITION) == domain or tags.get(DOMAIN) == domain:
        return True
    first, last = (tags.get(name) for name in RANGE)
    keys = list(domains.get_partition_keys())
    if first in keys and last in keys:
        return keys.index(first) <= keys.index(domain) <= keys.index(last)
    return False
