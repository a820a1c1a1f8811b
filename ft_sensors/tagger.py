"""Make the tagger of personal data before anything else: no text is anonymized without it."""

import dagster as dg

from ft_assets.publishing import newest
from ft_assets.settings import platform

PII_TAGGER = dg.AssetKey("pii_tagger")
TAGS = {"ft/trigger": "missing_tagger"}
ATTEMPTS = 3  # a choice that cannot be made (a wrong path, say) is not tried for ever


def tagger_is_there(instance: dg.DagsterInstance) -> bool:
    return newest(instance, PII_TAGGER, None) is not None


@dg.sensor(
    name="make_pii_tagger",
    description="The tagger of names, trained while there is none.",
    target=[PII_TAGGER],
    minimum_interval_seconds=platform().seldom_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def make_pii_tagger(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run while there is no `pii_tagger`; another after a failure, up to a limit."""
    if tagger_is_there(context.instance):
        return dg.SkipReason("pii_tagger is there; materialize it by hand to make another")
    runs = context.instance.get_runs(dg.RunsFilter(tags=TAGS))
    if any(not run.is_finished for run in runs):
        return dg.SkipReason("pii_tagger is being made")
    if len(runs) >= ATTEMPTS:
        return dg.SkipReason(f"{len(runs)} runs of pii_tagger failed; see why, and launch it")
    return dg.RunRequest(f"pii_tagger-{len(runs)}", tags=TAGS, asset_selection=[PII_TAGGER])
