import dagster as dg
import pytest

from ft_assets.corpus.screen_assets import profile_inputs
from ft_assets.partitions import WEEKS
from ft_resources.lakefs.ref import Ref
from ft_sensors.profiles import (
    PROFILES,
    RAW,
    SCREENED,
    STATIC,
    learn_domain_words,
    screen_early_weeks,
)

ORDER = ["2026-08-31", "2026-09-07", "2026-09-14", "2026-09-21"]


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as found:
        found.add_dynamic_partitions(WEEKS, ORDER)
        yield found


def report(instance, asset, partition, digest="d", **facts):
    ref = Ref("ft", "c", "p/", digest).to_dict()
    event = dg.AssetMaterialization(asset, partition=partition, metadata={"ref": ref, **facts})
    instance.report_runless_asset_event(event)


def texts(instance, domain, digest="d", names=STATIC):
    for name in names:
        report(instance, name, domain, digest)


def profiles(instance, domains=("finance", "legal"), digest="p"):
    refs = {domain: Ref("ft", "c", "p/", "d") for domain in domains}
    report(
        instance, PROFILES, None, digest, domains=list(domains), inputs=profile_inputs(refs, refs)
    )


def screened(instance, domain, week, profiled):
    report(instance, SCREENED, f"{domain}|{week}", profiled=profiled)


def learn(instance):
    return learn_domain_words(dg.build_sensor_context(instance=instance))


def early(instance, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    result = screen_early_weeks(context)
    return result, context.cursor if isinstance(result, dg.SkipReason) else result.cursor


def test_profiles_wait_for_two_domains_and_for_texts_that_are_taken_up(instance):
    texts(instance, "finance")
    assert "second domain" in str(learn(instance).skip_message)
    texts(instance, "legal", names=RAW)
    assert "of legal" in str(learn(instance).skip_message)
    texts(instance, "legal")
    request = learn(instance)
    assert request.asset_selection == [PROFILES]
    assert learn(instance).run_key == request.run_key


def test_profiles_are_made_again_for_other_texts_alone(instance):
    texts(instance, "finance")
    texts(instance, "legal")
    asked = learn(instance).run_key
    profiles(instance)
    assert isinstance(learn(instance), dg.SkipReason)
    texts(instance, "legal")  # made again, with equal content
    assert isinstance(learn(instance), dg.SkipReason)
    texts(instance, "legal", digest="other")
    assert learn(instance).run_key != asked


def test_weeks_without_a_profile_are_screened_again_once(instance):
    for week in ORDER[:2]:
        screened(instance, "legal", week, profiled=False)
    screened(instance, "healthcare", ORDER[0], profiled=False)
    result, cursor = early(instance)
    assert isinstance(result, dg.SkipReason)
    profiles(instance)
    screened(instance, "legal", ORDER[3], profiled=False)
    result, cursor = early(instance, cursor)
    assert [r.run_key.rsplit("-", 1)[0] for r in result.run_requests] == [
        f"screen-legal-{ORDER[0]}-{ORDER[1]}",
        f"screen-legal-{ORDER[3]}-{ORDER[3]}",
    ]
    assert result.run_requests[0].tags["dagster/asset_partition_range_end"] == f"legal|{ORDER[1]}"
    assert result.run_requests[1].partition_key == f"legal|{ORDER[3]}"
    for week in (*ORDER[:2], ORDER[3]):
        screened(instance, "legal", week, profiled=True)
    profiles(instance, digest="later")  # other profiles: these weeks have their verdict
    result, cursor = early(instance, cursor)
    assert isinstance(result, dg.SkipReason)


def test_a_week_that_failed_is_asked_for_under_the_same_key(instance):
    screened(instance, "legal", ORDER[0], profiled=False)
    profiles(instance)
    first, cursor = early(instance)
    again, _ = early(instance, cursor)
    assert [r.run_key for r in again.run_requests] == [r.run_key for r in first.run_requests]
