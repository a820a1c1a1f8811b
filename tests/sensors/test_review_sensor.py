import dagster as dg

from ft_assets.partitions import WEEKS
from ft_sensors import review
from ft_sensors.review import queue_reviews

WEEK = "2026-08-31"


def made(instance, name, domain, week=None):
    partition = domain
    if week:
        instance.add_dynamic_partitions(WEEKS, [week])
        partition = str(dg.MultiPartitionKey({"domain": domain, "week": week}))
    event = dg.AssetMaterialization(dg.AssetKey(name), partition=partition)
    instance.report_runless_asset_event(event)


def tick(instance, cursor=None):
    return queue_reviews(dg.build_sensor_context(instance=instance, cursor=cursor))


def asked(result):
    return {
        request.partition_key: {key.to_user_string() for key in request.asset_selection}
        for request in result.run_requests
    }


def test_nothing_new_is_said():
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(tick(instance), dg.SkipReason)


def test_what_can_be_made_is_asked_for_once_per_cause():
    with dg.DagsterInstance.ephemeral() as instance:
        made(instance, "feedback_signals", "legal", WEEK)
        first = tick(instance)
        assert asked(first) == {}  # no source was taken up yet
        made(instance, "raw_corrections", "legal")
        made(instance, "raw_corrections", "finance")  # which has no week
        second = tick(instance, first.cursor)
        assert asked(second) == {"legal": {"review_queue"}}
        assert isinstance(tick(instance, second.cursor), dg.SkipReason)
        made(instance, "raw_users", "legal")
        made(instance, "anonymized_examples", "legal")
        third = tick(instance, second.cursor)
        assert asked(third) == {"legal": {"review_queue", "preference_pairs"}}
        [before], [after] = second.run_requests, third.run_requests
        assert before.run_key != after.run_key


def test_more_than_a_tick_reads_is_left_for_the_next(monkeypatch):
    monkeypatch.setattr(review, "EVENTS_A_TICK", 2)
    with dg.DagsterInstance.ephemeral() as instance:
        made(instance, "feedback_signals", "finance", WEEK)
        for domain in ("legal", "ecommerce", "finance"):
            made(instance, "raw_corrections", domain)
        made(instance, "anonymized_examples", "finance")
        first = tick(instance)
        second = tick(instance, first.cursor)
        assert asked(second) == {"finance": {"review_queue"}}  # whose corrections were not read
        assert isinstance(tick(instance, second.cursor), dg.SkipReason)
