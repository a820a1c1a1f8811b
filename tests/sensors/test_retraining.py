"""One run per cause, never two of a domain, only when it can pay off; and what was lost ends."""

import shutil
import time
from pathlib import Path

import dagster as dg
import pytest

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import WEEKS
from ft_resources.lost_runs import end_lost_runs
from ft_sensors import retraining
from ft_sensors.retraining import Cause, asked, asked_for, training_under_way
from ft_sensors.worth import ARRIVALS
from tests.sensors.reported import STARTED, report, run, trained

CAUSE = Cause("legal", "feedback", "k1", "200 new rows", (("ft/week", "2026-09-07"),))
DOMAINS = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions(WEEKS, ["2026-09-07"])
        yield made


def test_a_run_explains_itself(instance):
    request = asked(instance, CAUSE)
    assert isinstance(request, dg.RunRequest)
    assert {key.to_user_string() for key in request.asset_selection or []} == set(RETRAINED)
    assert (request.run_key, request.partition_key) == ("feedback-legal-k1", "legal")
    assert request.tags == {
        "ft/trigger": "feedback",
        "ft/domain": "legal",
        "ft/retrains": "legal",
        "ft/cause": "200 new rows",
        "ft/week": "2026-09-07",
    }


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/partition": "legal"},
        {"ft/domain": "legal"},
        dict(zip(DOMAINS, ("healthcare", "ecommerce"), strict=True)),
    ],
)
@pytest.mark.parametrize("status", [STARTED, dg.DagsterRunStatus.NOT_STARTED])
def test_a_domain_that_is_being_trained_is_not_trained_again(instance, tags, status):
    found = run(instance, tags, status)
    assert found.run_id[:8] in str(asked(instance, CAUSE))
    assert isinstance(asked(instance, Cause("legal", "erasure", "k", "w")), str)


@pytest.mark.parametrize(
    ("tags", "assets", "status"),
    [
        ({"dagster/partition": "finance"}, RETRAINED, STARTED),
        (dict(zip(DOMAINS, ("healthcare", "finance"), strict=True)), RETRAINED, STARTED),
        ({"dagster/partition": "legal"}, ("serving_report",), STARTED),
        ({"dagster/partition": "legal"}, RETRAINED, dg.DagsterRunStatus.SUCCESS),
    ],
)
def test_other_runs_are_no_reason_to_wait(instance, tags, assets, status):
    run(instance, tags, status, assets)
    assert training_under_way(instance, "legal") is None


def test_a_run_that_outlived_every_limit_is_taken_for_lost(instance, monkeypatch):
    run(instance, {"dagster/partition": "legal"})
    assert training_under_way(instance, "legal")
    monkeypatch.setattr(
        type(instance), "run_monitoring_max_runtime_seconds", property(lambda self: 60)
    )
    later = time.time() + 61
    monkeypatch.setattr(retraining.time, "time", lambda: later)
    assert training_under_way(instance, "legal") is None


def test_one_run_for_one_cause(instance):
    done = run(
        instance,
        {"dagster/run_key": "feedback-legal-k1", "ft/domain": "legal"},
        dg.DagsterRunStatus.SUCCESS,
    )
    assert f"run {done.run_id[:8]} was started for it" in str(asked(instance, CAUSE))
    assert isinstance(asked(instance, Cause("legal", "feedback", "k2", "w")), dg.RunRequest)


@pytest.mark.parametrize("arrival", [None, *ARRIVALS])
def test_nothing_new_to_learn_from_is_not_paid_for(instance, arrival):
    trained(instance, "legal")
    if arrival:
        weekly = arrival == "anonymized_logs"
        report(instance, arrival, "legal|2026-09-07" if weekly else "legal")
    found = asked(instance, CAUSE)
    assert isinstance(found, dg.RunRequest) is bool(arrival)
    if not arrival:
        assert "same corpus" in str(found)
        other_base = Cause("legal", "new_base_model", "b", "w", changes_the_recipe=True)
        assert isinstance(asked(instance, other_base), dg.RunRequest)


def test_a_corpus_that_was_never_trained_on_is_worth_it(instance):
    report(instance, "lora_adapter", "legal", adapter="legal@1")
    report(instance, "training_corpus", "legal")
    assert isinstance(asked(instance, CAUSE), dg.RunRequest)


def test_every_domain_is_named_when_nothing_is_asked_for(instance):
    trained(instance, "legal")
    skipped = asked_for(instance, [CAUSE], ["finance: off"])
    assert isinstance(skipped, dg.SkipReason)
    assert "legal: 200 new rows; but nothing arrived" in str(skipped.skip_message)
    assert "finance: off" in str(skipped.skip_message)


def test_runs_of_a_stack_that_died_are_ended(instance):
    started = run(instance, {"dagster/partition": "legal"})
    queued = run(instance, {"dagster/partition": "finance"}, dg.DagsterRunStatus.NOT_STARTED)
    assert end_lost_runs(instance) == [started.run_id]
    assert training_under_way(instance, "legal") is None
    assert training_under_way(instance, "finance") == queued.run_id[:8]
    assert end_lost_runs(instance) == []


def test_the_queue_runs_one_retraining_of_a_domain_at_a_time(tmp_path):
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        limits = made.get_concurrency_config().run_queue_config.tag_concurrency_limits
    assert limits == [
        {"key": retraining.RETRAINS, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    ]
