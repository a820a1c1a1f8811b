import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ft_assets.lineage import WEEKLY
from ft_assets.partitions import WEEKS
from ft_assets.raw.resubmit import land as land_correction
from ft_assets.settings import platform
from ft_sensors import landing as sensors
from ft_sensors.landing import stretches, take_up_changed_sources, take_up_new_weeks

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def landing():
    folder = Path(platform().landing_folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.report_runless_asset_event(dg.AssetMaterialization("pii_tagger"))
        yield made


def land(landing, domain, name, *days):
    file = landing / domain / name
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as out:
        for number, day in enumerate(days):
            out.write(json.dumps({"event_id": f"{name}-{number}", "ts": f"{day}T08:00:00Z"}) + "\n")


def tick(instance, cursor=None):
    result = take_up_new_weeks(dg.build_sensor_context(instance=instance, cursor=cursor))
    if isinstance(result, dg.SensorResult):
        for request in result.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions(WEEKS, request.partition_keys)
    return result


def test_an_empty_landing_folder(landing, instance):
    skipped = tick(instance)
    assert isinstance(skipped, dg.SkipReason)
    assert str(landing) in str(skipped.skip_message)


def test_a_new_week_is_asked_for_once(landing, instance):
    land(landing, "legal", "logs.jsonl", "2026-09-01", "2026-09-02")
    first = tick(instance)
    [request] = first.run_requests
    assert request.partition_key == "legal|2026-08-31"
    assert {key.to_user_string() for key in request.asset_selection} == set(WEEKLY)
    assert isinstance(tick(instance, first.cursor), dg.SkipReason)


def test_appended_lines_touch_their_own_week_alone(landing, instance):
    land(landing, "legal", "logs.jsonl", "2026-09-01", "2026-09-08")
    first = tick(instance)
    land(landing, "legal", "logs.jsonl", "2026-09-15")
    [request] = tick(instance, first.cursor).run_requests
    assert request.partition_key == "legal|2026-09-14"


def test_weeks_side_by_side_are_one_run(landing, instance):
    land(landing, "legal", "logs.jsonl", "2026-09-01", "2026-09-08", "2026-09-15")
    [request] = tick(instance).run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "legal|2026-08-31"
    assert request.tags["dagster/asset_partition_range_end"] == "legal|2026-09-14"


def test_a_broken_clock_makes_no_week(landing, instance):
    land(landing, "legal", "logs.jsonl", "1970-01-01", "2999-01-01")
    assert isinstance(tick(instance), dg.SkipReason)


def test_domains_are_told_apart(landing, instance):
    land(landing, "legal", "logs.jsonl", "2026-09-01")
    land(landing, "finance", "logs.jsonl", "2026-09-08")
    requests = tick(instance).run_requests
    assert {r.partition_key for r in requests} == {"legal|2026-08-31", "finance|2026-09-07"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], []),
        (["a"], [("a", "a")]),
        (["c", "a", "b"], [("a", "c")]),
        (["a", "c"], [("a", "a"), ("c", "c")]),
    ],
)
def test_stretches(wanted, expected):
    assert stretches(["a", "b", "c"], wanted) == expected


def look(instance, cursor=None):
    return take_up_changed_sources(dg.build_sensor_context(instance=instance, cursor=cursor))


def selected(request):
    return [key.to_user_string() for key in request.asset_selection]


def test_a_rewritten_week_of_equal_length_is_asked_for(landing, instance):
    land(landing, "legal", "logs.jsonl", "2026-09-01", "2026-09-08")
    first = tick(instance)
    file = landing / "legal" / "logs.jsonl"
    file.write_text(file.read_text().replace("logs.jsonl-1", "logs.jsonl-7"))
    os.utime(file, (1, 1))
    [request] = tick(instance, first.cursor).run_requests
    assert request.partition_key == "legal|2026-09-07"


def test_only_the_domain_and_source_that_changed_is_asked_for(landing, instance):
    for domain in ("legal", "finance"):
        (landing / domain).mkdir()
        for kind in ("users", "documents"):
            (landing / domain / f"{kind}.jsonl").write_text("{}\n")
    first = look(instance)
    assert {(r.partition_key, *selected(r)) for r in first.run_requests} == {
        ("legal", "raw_documents", "raw_users"),
        ("finance", "raw_documents", "raw_users"),
    }
    assert isinstance(look(instance, first.cursor), dg.SkipReason)
    (landing / "legal" / "users.csv").write_text("user_id,training_consent\nu1,true\n")
    second = look(instance, first.cursor)
    assert [(r.partition_key, *selected(r)) for r in second.run_requests] == [
        ("legal", "raw_users")
    ]
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_a_resubmitted_record_is_a_change_of_its_source(landing, instance):
    first = look(instance)
    assert isinstance(first, dg.SkipReason)
    land_correction(str(landing / "legal" / "resubmitted" / "users"), "0" * 16, "", {}, NOW)
    [request] = look(instance).run_requests
    assert (request.partition_key, *selected(request)) == ("legal", "raw_users")


def test_a_source_that_fails_is_told_and_holds_up_no_other(landing, instance, monkeypatch):
    real = sensors.look

    def broken(source, known):
        if source.name.endswith("users.jsonl"):
            raise ConnectionError("feed crm: the database refused")
        return real(source, known)

    (landing / "legal").mkdir()
    (landing / "legal" / "users.jsonl").write_text("{}\n")
    monkeypatch.setattr(sensors, "look", broken)
    with pytest.raises(RuntimeError, match="legal: users: feed crm"):
        look(instance)
    (landing / "legal" / "documents.jsonl").write_text("{}\n")
    [request] = look(instance).run_requests
    assert selected(request) == ["raw_documents"]
