"""Retrain the domains whose newest weeks drifted away from what their champion was trained on."""

from datetime import date
from typing import Any

import dagster as dg

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import domains
from ft_assets.publishing import facts_of, newest
from ft_assets.settings import platform
from ft_sensors.retraining import DOMAIN, TRIGGER, Cause, asked_for

DRIFT_REPORT = dg.AssetKey("drift_report")
RETRAIN = "retrain"  # the remedy of a drift report
WEEK, SCORE = "ft/week", "ft/drift_score"


@dg.sensor(
    name="retrain_on_drift",
    description="Retrain the domains whose newest drift report asks for it, once a cause.",
    target=[dg.AssetKey(name) for name in RETRAINED],
    minimum_interval_seconds=platform().sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def retrain_on_drift(
    context: dg.SensorEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per domain and drift report whose remedy is to retrain, if it can change anything.

    After a retraining for drift the domain cools down for `drift.cooldown_weeks` weeks of its data,
    unless the score grew by `drift.worse_by`.
    """
    causes, quiet = [], []
    for domain in domains.get_partition_keys():
        report = facts_of(newest(context.instance, DRIFT_REPORT, domain))
        if not report:
            quiet.append(f"{domain}: no drift report yet")
        elif report.get("remedy") != RETRAIN:
            quiet.append(
                f"{domain}: {report['verdict']}, remedy {report.get('remedy')}: {report.get('why')}"
            )
        elif waits := _cooling(context.instance, domain, report):
            quiet.append(f"{domain}: {waits}")
        else:
            why = f"drifted: score {report['score']:.3f} over {report['limit']:.3f}"
            tags = ((WEEK, str(report["newest_week"])), (SCORE, f"{report['score']:.3f}"))
            causes.append(Cause(domain, "drift", report["cause"], why, tags))
    return asked_for(context.instance, causes, quiet)


def _cooling(instance: dg.DagsterInstance, domain: str, report: dict[str, Any]) -> str | None:
    """Why the newest retraining for drift of this domain is answer enough for now."""
    settings = platform().drift
    runs = instance.get_runs(dg.RunsFilter(tags={TRIGGER: "drift", DOMAIN: domain}), limit=1)
    if not runs or WEEK not in runs[0].tags:
        return None
    last, score = runs[0].tags[WEEK], float(runs[0].tags[SCORE])
    weeks = (date.fromisoformat(report["newest_week"]) - date.fromisoformat(last)).days // 7
    if weeks >= settings.cooldown_weeks or report["score"] > score + settings.worse_by:
        return None
    return (
        f"drifted: score {report['score']:.3f}, but run {runs[0].run_id[:8]} retrained for the "
        f"week of {last} at {score:.3f}; cools down for {settings.cooldown_weeks} weeks, or until "
        f"{settings.worse_by:g} more"
    )
