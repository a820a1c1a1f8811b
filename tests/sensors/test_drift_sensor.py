import dagster as dg
import pytest

from ft_assets.lineage import RETRAINED
from ft_sensors.drift import DRIFT_REPORT, retrain_on_drift

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
