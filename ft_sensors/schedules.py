"""By the clock: reports every day, and, where it is wanted, a retraining every week."""

from collections.abc import Iterator

import dagster as dg

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import domains
from ft_assets.publishing import newest
from ft_sensors.retraining import Cause, asked
from ft_sensors.worth import newest_record

DAILY, WEEKLY = "27 4 * * *", "27 5 * * 1"
DEPLOYED = dg.AssetKey("deployed_model")
DAY_REPORTS = ("serving_report", "cost_report")


@dg.schedule(
    name="report_daily",
    description="How every serving domain answers, and what it cost, once a day.",
    target=[dg.AssetKey(name) for name in DAY_REPORTS],
    cron_schedule=DAILY,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def report_daily(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """How every serving domain answers, and what it cost, once a day."""
    day = f"{context.scheduled_execution_time:%Y-%m-%d}"
    serving = [d for d in domains.get_partition_keys() if newest(context.instance, DEPLOYED, d)]
    if not serving:
        yield dg.SkipReason("no domain serves yet")
    for domain in serving:
        yield dg.RunRequest(
            run_key=f"daily-{domain}-{day}",
            partition_key=domain,
            asset_selection=[dg.AssetKey(name) for name in DAY_REPORTS],
            tags={"ft/trigger": "daily", "ft/domain": domain, "ft/cause": day},
        )


@dg.schedule(
    name="retrain_weekly",
    description="Every domain that anything arrived for; stopped by default.",
    target=[dg.AssetKey(name) for name in RETRAINED],
    cron_schedule=WEEKLY,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def retrain_weekly(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every domain that was trained before and that anything arrived for. Off by default: drift,
    feedback and erasure ask when there is a reason."""
    day, skipped = f"{context.scheduled_execution_time:%Y-%m-%d}", []
    for domain in domains.get_partition_keys():
        if newest_record(context.instance, "lora_adapter", domain) is None:
            skipped.append(f"{domain}: never trained")
            continue
        found = asked(context.instance, Cause(domain, "weekly", day, f"the week of {day}"))
        if isinstance(found, dg.RunRequest):
            yield found
        else:
            skipped.append(f"{domain}: {found}")
    if len(skipped) == len(domains.get_partition_keys()):
        yield dg.SkipReason("; ".join(skipped))
