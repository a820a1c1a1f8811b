import dagster as dg
import pytest

from ft_sensors.landing import take_up_new_weeks
from ft_sensors.tagger import ATTEMPTS, PII_TAGGER, TAGS, make_pii_tagger


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def tick(instance, sensor=make_pii_tagger):
    return sensor(dg.build_sensor_context(instance=instance))


def test_it_is_made_before_anything_is_taken_up(instance):
    asked = tick(instance)
    assert isinstance(asked, dg.RunRequest)
    assert asked.asset_selection == [PII_TAGGER]
    waiting = tick(instance, take_up_new_weeks)
    assert "pii_tagger" in waiting.skip_message
    instance.report_runless_asset_event(dg.AssetMaterialization(PII_TAGGER))
    assert isinstance(tick(instance), dg.SkipReason)
    later = tick(instance, take_up_new_weeks)
    assert not isinstance(later, dg.SkipReason) or "pii_tagger" not in later.skip_message


def test_a_run_under_way_is_waited_for(instance):
    instance.create_run_for_job(dg.job(name="one")(lambda: None), tags=TAGS)
    assert "being made" in tick(instance).skip_message


def test_it_is_tried_again_and_not_for_ever(instance):
    keys = set()
    for _ in range(ATTEMPTS):
        keys.add(tick(instance).run_key)
        run = instance.create_run_for_job(dg.job(name="one")(lambda: None), tags=TAGS)
        instance.report_run_failed(run)
    assert len(keys) == ATTEMPTS
    assert "failed" in tick(instance).skip_message
