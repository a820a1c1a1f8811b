"""Retrain for other reasons than drift: feedback, a low metric, another base, erasure, new weeks.

Each reads facts of the newest materializations, compares them with those before the newest
training, and says its numbers when it asks for nothing. `triggers` of the platform file turns each
one off or sets its number; docs/triggers.md.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import domains
from ft_assets.publishing import facts_of
from ft_assets.settings import platform
from ft_sensors.retraining import Cause, asked_for
from ft_sensors.worth import newest_record

ROWS = "dagster/row_count"
FEEDBACK = ("preference_pairs", "raw_corrections")
Found = Cause | str


def feedback_cause(instance: dg.DagsterInstance, domain: str) -> Found:
    """Preference pairs and corrections since the newest training."""
    wanted = platform().triggers.feedback_rows
    if wanted is None:
        return "off (triggers.feedback_rows)"
    trained = newest_record(instance, "lora_adapter", domain)
    if trained is None:
        return "never trained"
    now = {name: _rows(instance, name, domain) for name in FEEDBACK}
    then = {name: _rows(instance, name, domain, trained.timestamp) for name in FEEDBACK}
    new = {name: max(0, now[name] - then[name]) for name in FEEDBACK}
    told = " and ".join(f"{count} new rows of {name}" for name, count in new.items())
    if sum(new.values()) < wanted:
        return f"{told} since the newest training, {wanted} are enough"
    key = "-".join(str(now[name]) for name in FEEDBACK) + f"-{trained.storage_id}"
    return Cause(domain, "feedback", key, f"{told} since the newest training")


def metric_cause(instance: dg.DagsterInstance, domain: str) -> Found:
    """The share of good votes on the champion, in the newest serving report."""
    settings = platform().triggers
    if settings.min_up_share is None:
        return "off (triggers.min_up_share)"
    report = _facts(instance, "serving_report", domain)
    champion, votes = report.get("champion"), report.get("champion_votes", 0)
    if champion is None:
        return "no serving report with a champion"
    if votes < settings.min_votes:
        return f"{votes} votes on {champion}, {settings.min_votes} are enough to judge"
    told = f"{report['champion_up_share']:.2f} of {votes} votes on {champion} are good"
    if report["champion_up_share"] >= settings.min_up_share:
        return f"{told}, at least {settings.min_up_share:g} are wanted"
    return Cause(domain, "metric", champion, f"{told}, {settings.min_up_share:g} are wanted")


def base_cause(instance: dg.DagsterInstance, domain: str) -> Found:
    """Another base model than that of the newest adapter."""
    if not platform().triggers.new_base_model:
        return "off (triggers.new_base_model)"
    made = newest_record(instance, "base_model")
    base = facts_of(made.asset_materialization).get("base_digest") if made else None
    adapter = _facts(instance, "lora_adapter", domain)
    if base is None or not adapter:
        return "no base model yet" if base is None else "never trained"
    told = f"base {base[:12]}, its adapter is of base {adapter['base_digest'][:12]}"
    if base == adapter["base_digest"]:
        return told
    return Cause(domain, "new_base_model", base[:16], told, changes_the_recipe=True)


def erasure_cause(instance: dg.DagsterInstance, domain: str) -> Found:
    """Erasure requests that arrived since the corpus of the newest adapter was composed."""
    if not platform().triggers.erasure:
        return "off (triggers.erasure)"
    corpus = newest_record(instance, "training_corpus", domain)
    if corpus is None:
        return "never trained"
    now = _facts(instance, "raw_users", domain).get("erasure_requests", 0)
    then = _facts(instance, "raw_users", domain, corpus.timestamp).get("erasure_requests", 0)
    told = f"{now} people asked for erasure, {then} of them before its corpus was composed"
    return Cause(domain, "erasure", f"{now}-{corpus.storage_id}", told) if now > then else told


def weeks_cause(instance: dg.DagsterInstance, domain: str) -> Found:
    """Weeks that were taken up and that the champion was not trained on."""
    wanted = platform().triggers.new_weeks
    if wanted is None:
        return "off (triggers.new_weeks)"
    deployed = _facts(instance, "deployed_model", domain)
    if not deployed:
        return "nothing serves"
    trained = max(deployed.get("training_weeks", []), default="")
    new = sorted(
        key.partition("|")[2]
        for key in instance.get_materialized_partitions(dg.AssetKey("anonymized_logs"))
        if key.startswith(f"{domain}|") and key.partition("|")[2] > trained
    )
    told = f"{len(new)} weeks since those the champion was trained on"
    if len(new) < wanted:
        return f"{told}, {wanted} are enough"
    return Cause(domain, "new_weeks", new[-1], f"{told}, the newest {new[-1]}")


def _sensor(
    name: str, look: Callable[[dg.DagsterInstance, str], Found], description: str
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        target=[dg.AssetKey(asset) for asset in RETRAINED],
        minimum_interval_seconds=platform().seldom_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )
    def sensor(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        found = {d: look(context.instance, d) for d in domains.get_partition_keys()}
        causes = [one for one in found.values() if isinstance(one, Cause)]
        quiet = [f"{domain}: {one}" for domain, one in found.items() if isinstance(one, str)]
        return asked_for(context.instance, causes, quiet)

    return sensor


retrain_on_feedback = _sensor(
    "retrain_on_feedback",
    feedback_cause,
    "Retrain a domain once enough preference pairs and corrections arrived since its newest "
    "training.",
)
retrain_on_low_metric = _sensor(
    "retrain_on_low_metric",
    metric_cause,
    "Retrain a domain once whose champion gets too few good votes, if anything arrived to learn "
    "from.",
)
retrain_on_new_base = _sensor(
    "retrain_on_new_base",
    base_cause,
    "Retrain every domain whose adapter was trained on another base model than the newest.",
)
retrain_on_erasure = _sensor(
    "retrain_on_erasure",
    erasure_cause,
    "Retrain a domain without the people who asked for erasure since its corpus was composed.",
)
retrain_on_new_weeks = _sensor(
    "retrain_on_new_weeks",
    weeks_cause,
    "Retrain a domain once so many weeks arrived that its champion was not trained on; off unless "
    "triggers.new_weeks is set.",
)
TRIGGERS = [
    *(retrain_on_feedback, retrain_on_low_metric, retrain_on_new_base),
    *(retrain_on_erasure, retrain_on_new_weeks),
]


def _facts(
    instance: dg.DagsterInstance, name: str, domain: str, before: float | None = None
) -> dict[str, Any]:
    record = newest_record(instance, name, domain, before=before)
    return facts_of(record.asset_materialization) if record else {}


def _rows(instance: dg.DagsterInstance, name: str, domain: str, before: float | None = None) -> int:
    return int(_facts(instance, name, domain, before).get(ROWS, 0))
