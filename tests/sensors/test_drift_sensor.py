import dagster as dg
import pytest

from ft_assets.lineage import RETRAINED
from ft_assets.partitions import WEEKS
from ft_sensors.drift import retrain_on_drift
from ft_sensors.worth import ARRIVALS, DRIFT_REPORT

STABLE = {"drifted": False, "verdict": "stable", "score": 0.51, "cause": "a"}
DRIFTED = {"drifted": True, "verdict": "drifted", "score": 0.8, "cause": "b"}


def tick(*reports: tuple[str, dict]):
    with dg.DagsterInstance.ephemeral() as instance:
        for domain, facts in reports:
            event = dg.AssetMaterialization(DRIFT_REPORT, partition=domain, metadata=facts)
            instance.report_runless_asset_event(event)
        return retrain_on_drift(dg.build_sensor_context(instance=instance))


@pytest.mark.parametrize(
    "reports",
    [
        (),
        (("finance", STABLE),),
        (("finance", DRIFTED), ("finance", {**STABLE, "cause": "c"})),
        (("finance", {**STABLE, "verdict": "no_score", "score": 0.0}),),
    ],
)
def test_no_retraining(reports):
    skipped = tick(*reports)
    assert isinstance(skipped, dg.SkipReason)
    assert "finance: " in str(skipped.skip_message)


def test_exactly_the_drifted_domains():
    requests = tick(("finance", STABLE), ("legal", DRIFTED), ("healthcare", DRIFTED))
    assert isinstance(requests, list)
    assert {request.partition_key for request in requests} == {"legal", "healthcare"}
    for request in requests:
        assert {key.to_user_string() for key in request.asset_selection or []} == set(RETRAINED)
        assert request.tags["ft/trigger"] == "drift"


def test_one_run_for_one_cause():
    first, again = tick(("legal", DRIFTED)), tick(("legal", DRIFTED), ("legal", DRIFTED))
    other = tick(("legal", {**DRIFTED, "cause": "c"}))
    assert first[0].run_key == again[0].run_key != other[0].run_key


def made(instance, asset, partition="legal", **facts):
    event = dg.AssetMaterialization(asset, partition=partition, metadata=facts)
    instance.report_runless_asset_event(event)


@pytest.mark.parametrize("arrival", [None, *ARRIVALS])
def test_a_drift_that_was_answered_is_not_paid_for_twice(arrival):
    """Unless something arrived since the corpus was composed."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(WEEKS, ["2026-09-07"])
        made(instance, "anonymized_logs", "legal|2026-09-07")
        made(instance, "training_corpus")
        made(instance, "lora_adapter", adapter="legal@1", cost_summary="9 tokens")
        made(instance, DRIFT_REPORT, **DRIFTED)
        if arrival:
            place = "legal|2026-09-07" if arrival == "anonymized_logs" else "legal"
            made(instance, arrival, place)
        found = retrain_on_drift(dg.build_sensor_context(instance=instance))
    if arrival:
        assert [request.partition_key for request in found] == ["legal"]
    else:
        assert isinstance(found, dg.SkipReason)
        assert "legal: drifted, but nothing arrived" in found.skip_message
        assert "legal@1" in found.skip_message


def test_a_corpus_that_was_never_trained_on_is_worth_it():
    with dg.DagsterInstance.ephemeral() as instance:
        made(instance, "lora_adapter", adapter="legal@1")
        made(instance, "training_corpus")
        made(instance, DRIFT_REPORT, **DRIFTED)
        [request] = retrain_on_drift(dg.build_sensor_context(instance=instance))
    assert request.partition_key == "legal"
