"""Collect lakeFS's garbage every night, once the platform file says how long data is kept."""

from dataclasses import asdict

import dagster as dg

from ft_assets.settings import Platform, platform
from ft_resources.lakefs.garbage import GarbageCollector

NIGHTLY = "17 3 * * *"


@dg.op
def remove_garbage(context: dg.OpExecutionContext, garbage: GarbageCollector) -> None:
    """Remove contents that no branch, tag, staged change or retention rule keeps.

    The run's metadata says what was removed. Without retention rules that is only what was
    uploaded and never committed, or belonged to a deleted repository.
    """
    if refusal := garbage.refusal():
        raise dg.Failure(refusal, allow_retries=False)
    context.add_output_metadata(asdict(garbage.collect()))


@dg.job(executor_def=dg.in_process_executor)
def collect_garbage() -> None:
    """What `ft lakefs gc --apply` does."""
    remove_garbage()


def status(settings: Platform) -> dg.DefaultScheduleStatus:
    """How the schedule is until somebody switches it by hand."""
    if settings.versioning.retention is None or settings.lakefs_folder is None:
        return dg.DefaultScheduleStatus.STOPPED
    return dg.DefaultScheduleStatus.RUNNING


@dg.schedule(
    job=collect_garbage,
    cron_schedule=NIGHTLY,
    execution_timezone="UTC",
    description="What no rule of retention keeps is removed; stopped until there is one.",
    default_status=status(platform()),
)
def collect_garbage_nightly(
    context: dg.ScheduleEvaluationContext, garbage: GarbageCollector
) -> dg.RunRequest | dg.SkipReason:
    """Stopped until `versioning.retention` is set, and without effect for a lakeFS elsewhere."""
    if refusal := garbage.refusal():
        return dg.SkipReason(refusal)
    return dg.RunRequest()
