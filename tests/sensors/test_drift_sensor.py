import dagster as dg
import pytest

from ft_sensors.drift import retrain_on_drift
from tests.sensors.reported import report, run

STABLE = {
    **{"drifted": False, "verdict": "stable", "remedy": "none", "score": 0.51, "limit": 0.6},
    **{"cause": "a", "newest_week": "2026-09-07", "why": "no stream is above its limit"},
}
DRIFTED = STABLE | {
    **{"drifted": True, "verdict": "drifted", "remedy": "retrain", "score": 0.8, "cause": "b"},
}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tick(instance, *reports: tuple[str, dict]):
    for domain, facts in reports:
        report(instance, "drift_report", domain, **facts)
    return retrain_on_drift(dg.build_sensor_context(instance=instance))


@pytest.mark.parametrize(
    "reports",
    [
        (),
        (("finance", STABLE),),
        (("finance", DRIFTED), ("finance", {**STABLE, "cause": "c"})),
        (("finance", {**STABLE, "verdict": "no_score", "score": 0.0}),),
        (("finance", {**DRIFTED, "remedy": "relabel"}),),
    ],
)
def test_no_retraining(instance, reports):
    skipped = tick(instance, *reports)
    assert isinstance(skipped, dg.SkipReason)
    assert "finance: " in str(skipped.skip_message)


def test_exactly_the_drifted_domains(instance):
    requests = tick(instance, ("finance", STABLE), ("legal", DRIFTED), ("healthcare", DRIFTED))
    assert isinstance(requests, list)
    assert {request.partition_key for request in requests} == {"legal", "healthcare"}
    for request in requests:
        assert request.tags["ft/trigger"] == "drift"
        assert request.tags["ft/cause"] == "drifted: score 0.800 over 0.600"
        assert request.tags["ft/week"] == "2026-09-07"


def test_one_run_key_for_one_cause(instance):
    first = tick(instance, ("legal", DRIFTED))
    again = tick(instance, ("legal", DRIFTED))
    other = tick(instance, ("legal", {**DRIFTED, "cause": "c"}))
    assert first[0].run_key == again[0].run_key != other[0].run_key


@pytest.mark.parametrize(
    ("week", "score", "asks"),
    [
        ("2026-09-07", 0.8, False),  # the same week, of other content
        ("2026-09-14", 0.84, False),
        ("2026-09-14", 0.86, True),  # worse
        ("2026-09-21", 0.8, True),  # cooled down
    ],
)
def test_a_domain_cools_down_unless_it_is_worse(instance, week, score, asks):
    tags = {"ft/trigger": "drift", "ft/domain": "legal"}
    tags |= {"ft/week": "2026-09-07", "ft/drift_score": "0.800"}
    run(instance, tags, dg.DagsterRunStatus.SUCCESS)
    later = {**DRIFTED, "cause": "c", "newest_week": week, "score": score}
    found = tick(instance, ("legal", later))
    assert isinstance(found, list) is asks
    if not asks:
        assert "cools down for 2 weeks" in str(found.skip_message)
