import dagster as dg

from ft_assets.partitions import WEEKS
from ft_sensors.reports import DEPLOYED, TAKEN_UP, report_new_weeks

WEEK = "2026-08-31"


def taken_up(instance, domain, week=WEEK):
    instance.add_dynamic_partitions(WEEKS, [week])
    key = dg.MultiPartitionKey({"domain": domain, "week": week})
    instance.report_runless_asset_event(dg.AssetMaterialization(TAKEN_UP, partition=str(key)))


def deployed(instance, domain):
    instance.report_runless_asset_event(dg.AssetMaterialization(DEPLOYED, partition=domain))


def tick(instance, cursor=None):
    return report_new_weeks(dg.build_sensor_context(instance=instance, cursor=cursor))


def test_nothing_new_is_said():
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(tick(instance), dg.SkipReason)


def test_only_domains_that_serve_are_reported_and_once():
    with dg.DagsterInstance.ephemeral() as instance:
        deployed(instance, "legal")
        taken_up(instance, "legal")
        taken_up(instance, "legal", "2026-09-07")
        taken_up(instance, "finance")
        first = tick(instance)
        assert [request.partition_key for request in first.run_requests] == ["legal"]
        assert isinstance(tick(instance, first.cursor), dg.SkipReason)
        taken_up(instance, "legal", "2026-09-14")
        second = tick(instance, first.cursor)
        assert second.run_requests[0].run_key != first.run_requests[0].run_key
