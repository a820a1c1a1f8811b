from datetime import UTC, datetime

import dagster as dg
import pytest

from ft_assets.partitions import WEEKS
from ft_assets.sections import TriggerSettings
from ft_assets.settings import platform
from ft_sensors import triggers
from ft_sensors.schedules import report_daily, retrain_weekly
from tests.sensors.reported import report, trained


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions(WEEKS, ["2026-09-07", "2026-09-14"])
        yield made


@pytest.fixture
def kept(tmp_path):
    """An instance on disk: a schedule opens it by its reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


@pytest.fixture
def set_to(monkeypatch):
    def change(**values) -> None:
        settings = platform().model_copy(update={"triggers": TriggerSettings(**values)})
        monkeypatch.setattr(triggers, "platform", lambda: settings)

    return change


def tick(instance, sensor):
    return sensor(dg.build_sensor_context(instance=instance))


def ask(instance, sensor) -> dg.RunRequest:
    [request] = tick(instance, sensor)
    assert request.partition_key == "legal"
    return request


def told(instance, sensor) -> str:
    skipped = tick(instance, sensor)
    assert isinstance(skipped, dg.SkipReason)
    return str(skipped.skip_message)


def counts(instance, pairs: int, corrections: int) -> None:
    report(instance, "preference_pairs", "legal", **{"dagster/row_count": pairs})
    report(instance, "raw_corrections", "legal", **{"dagster/row_count": corrections})


def test_enough_feedback_since_the_training(instance, set_to):
    set_to(feedback_rows=10)
    sensor = triggers.retrain_on_feedback
    assert "legal: never trained" in told(instance, sensor)
    counts(instance, 50, 20)
    trained(instance, "legal")
    counts(instance, 55, 24)
    assert "legal: 5 new rows of preference_pairs and 4 new rows" in told(instance, sensor)
    counts(instance, 55, 25)
    first = ask(instance, sensor)
    assert first.tags["ft/cause"].startswith("5 new rows of preference_pairs and 5")
    trained(instance, "legal")
    assert "0 new rows of preference_pairs" in told(instance, sensor)
    counts(instance, 66, 25)
    assert ask(instance, sensor).run_key != first.run_key


def test_too_few_good_votes_on_the_champion_once(instance, set_to):
    set_to(min_up_share=0.6, min_votes=50)
    sensor, facts = triggers.retrain_on_low_metric, {"champion": "legal@1"}
    assert "no serving report" in told(instance, sensor)
    report(instance, "serving_report", "legal", **facts, champion_votes=49, champion_up_share=0.1)
    assert "49 votes on legal@1, 50 are enough" in told(instance, sensor)
    report(instance, "serving_report", "legal", **facts, champion_votes=50, champion_up_share=0.6)
    assert "at least 0.6" in told(instance, sensor)
    report(instance, "serving_report", "legal", **facts, champion_votes=50, champion_up_share=0.5)
    first = ask(instance, sensor)
    report(instance, "serving_report", "legal", **facts, champion_votes=90, champion_up_share=0.4)
    assert ask(instance, sensor).run_key == first.run_key


def test_another_base_model(instance):
    sensor = triggers.retrain_on_new_base
    report(instance, "base_model", None, base_digest="a" * 64)
    trained(instance, "legal", base_digest="a" * 64)
    assert "legal: base aaaaaaaaaaaa, its adapter is of base aaaa" in told(instance, sensor)
    report(instance, "base_model", None, base_digest="b" * 64)
    assert ask(instance, sensor).run_key == f"new_base_model-legal-{'b' * 16}"


def test_a_request_for_erasure_after_the_corpus(instance):
    sensor = triggers.retrain_on_erasure
    report(instance, "raw_users", "legal", erasure_requests=2)
    trained(instance, "legal")
    assert "legal: 2 people asked for erasure, 2 of them before" in told(instance, sensor)
    report(instance, "raw_users", "legal", erasure_requests=3)
    assert ask(instance, sensor).tags["ft/trigger"] == "erasure"
    trained(instance, "legal")
    assert "3 of them before" in told(instance, sensor)


def test_new_weeks_where_they_are_counted(instance, set_to):
    sensor = triggers.retrain_on_new_weeks
    assert "legal: off (triggers.new_weeks)" in told(instance, sensor)
    set_to(new_weeks=2)
    report(instance, "deployed_model", "legal", training_weeks=["2026-08-31"])
    report(instance, "anonymized_logs", "legal|2026-09-07")
    assert "legal: 1 weeks since those" in told(instance, sensor)
    report(instance, "anonymized_logs", "legal|2026-09-14")
    assert ask(instance, sensor).run_key == "new_weeks-legal-2026-09-14"


@pytest.mark.parametrize("key", ["feedback_rows", "min_up_share", "new_base_model", "erasure"])
def test_each_can_be_turned_off(instance, set_to, key):
    set_to(**{key: False if key in ("new_base_model", "erasure") else None})
    off = [told(instance, sensor) for sensor in triggers.TRIGGERS]
    assert sum(f"legal: off (triggers.{key})" in one for one in off) == 1


def test_the_daily_reports_of_what_serves(kept):
    at = dg.build_schedule_context(kept, datetime(2026, 9, 8, tzinfo=UTC))
    [skipped] = report_daily(at)
    assert isinstance(skipped, dg.SkipReason)
    report(kept, "deployed_model", "legal")
    [request] = report_daily(at)
    assert (request.run_key, request.partition_key) == ("daily-legal-2026-09-08", "legal")


def test_the_weekly_retraining_is_off_and_asks_for_what_can_change(kept):
    assert retrain_weekly.default_status is dg.DefaultScheduleStatus.STOPPED
    at = dg.build_schedule_context(kept, datetime(2026, 9, 7, tzinfo=UTC))
    trained(kept, "legal")
    [skipped] = retrain_weekly(at)
    assert "nothing arrived" in str(skipped.skip_message)
    report(kept, "raw_users", "legal")
    [request] = retrain_weekly(at)
    assert request.run_key == "weekly-legal-2026-09-07"
