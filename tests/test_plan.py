"""`ft plan`: what is stale, why, and what it takes, from events as the platform writes them."""

import json

import dagster as dg
import pytest

from ft_assets import plan as plans
from ft_assets.definitions import defs
from ft_assets.lineage import WEEKLY
from ft_assets.partitions import WEEKS
from ft_assets.plan import Stale, plan, print_plan
from ft_assets.settings import platform

WEEK = "2026-09-07"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions(WEEKS, [WEEK])
        yield made


def made(instance, name: str, key: str | None, digest: str = "d", version=None, **facts) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    facts["ref"] = {"repository": "r", "commit": "c", "path": "p/", "digest": digest}
    tags = {plans.CODE_VERSION: version or node.code_version or ""}
    event = dg.AssetMaterialization(name, partition=key, metadata=facts, tags=tags)
    instance.report_runless_asset_event(event)


def make_all(instance) -> None:
    graph = defs.resolve_asset_graph()
    for level in graph.toposorted_asset_keys_by_level:
        for name in (key.to_user_string() for key in level):
            keys: list[str | None] = [None]
            if name in WEEKLY:
                keys = [f"{domain}|{WEEK}" for domain in platform().domains]
            elif graph.get(dg.AssetKey(name)).is_partitioned:
                keys = list(platform().domains)
            for key in keys:
                facts = {plans.ROWS: 7} if name == "training_corpus" else {}
                if name == "lora_adapter":
                    facts["cost"] = {"seconds": 120.0, "money": 0.5, "kwh": 0.01}
                made(instance, name, key, **facts)


def stale(instance) -> dict[tuple[str, str | None], Stale]:
    return {(s.asset, s.partition): s for s in plan(instance, defs, platform())}


def test_everything_is_missing_at_first_and_nothing_has_an_estimate(instance):
    found = stale(instance)
    assert {one.why for one in found.values()} == {("missing",)}
    assert ("base_model", None) in found
    assert ("training_corpus", "legal") in found
    assert not [name for name, _ in found if name in WEEKLY]  # no week was taken up
    assert {one.minutes for one in found.values()} == {None}


def test_what_is_made_of_equal_content_is_not_stale_and_the_rest_is_with_its_reason(instance):
    make_all(instance)
    assert stale(instance) == {}
    made(instance, "raw_users", "legal")  # again, equal
    assert stale(instance) == {}
    made(instance, "raw_users", "legal", digest="other")
    found = stale(instance)
    assert {key for _, key in found} == {"legal"}
    assert set(found["training_corpus", "legal"].why) == {
        *("raw_users has other content", "eval_set is stale"),
    }
    assert "training_corpus is stale" in found["lora_adapter", "legal"].why
    assert ("drift_report", "legal") in found


def test_a_new_week_touches_its_domain_alone(instance):
    make_all(instance)
    instance.add_dynamic_partitions(WEEKS, ["2026-09-14"])
    made(instance, "raw_logs", "finance|2026-09-14")
    found = stale(instance)
    assert {key for _, key in found if key} == {"finance", "finance|2026-09-14"}
    assert found["anonymized_logs", "finance|2026-09-14"].why == ("missing",)
    assert "anonymized_logs is stale (2026-09-14)" in found["drift_report", "finance"].why


def test_other_code_is_a_reason(instance):
    make_all(instance)
    made(instance, "eval_report", "legal", version="0")
    assert stale(instance)["eval_report", "legal"].why[0].startswith("code version 0 -> ")


def test_estimates_come_from_what_was_made(instance):
    make_all(instance)
    made(instance, "raw_users", "legal", digest="other")
    found = stale(instance)
    assert found["training_corpus", "legal"].rows == 7
    adapter = found["lora_adapter", "legal"]
    assert (adapter.minutes, adapter.money, adapter.kwh) == (2.0, 0.5, 0.01)
    assert found["eval_set", "legal"].minutes is None  # no run made it
    total = plans.totals(list(found.values()))
    assert total["money"] == 0.5
    assert total["without_estimate"] == len(found) - 1


def test_seconds_of_a_step_are_shared_by_its_partitions(instance, monkeypatch):
    history = {
        "a": {key: [plans.Made(1.0, "run", "d", "1", None, {})] for key in ("x", "y")},
    }
    step = dg.DagsterInstance.get_run_step_stats
    stats = type("Stats", (), {"step_key": "a", "start_time": 1.0, "end_time": 31.0})
    monkeypatch.setattr(type(instance), step.__name__, lambda self, run: [stats])
    assert plans._Seconds(instance, history).of("a", history["a"]["x"]) == 15.0


def test_it_is_printed_and_machine_readable(instance, capsys):
    make_all(instance)
    made(instance, "raw_users", "legal", digest="other")
    facts = {"drifted": True, "remedy": "retrain", "why": "people ask for other things"}
    made(instance, "drift_report", "legal", **facts)
    found = plan(instance, defs, platform())
    asked = plans.asked_for(instance, platform())
    print_plan(found, asked, "EUR", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert len(told["stale"]) == len(found)
    assert told["asked_for"] == {"legal": "drift, retrain: people ask for other things"}
    print_plan(found, asked, "EUR", as_json=False)
    text = capsys.readouterr().out
    assert "legal: drift, retrain" in text
    assert f"{len(found) - 1} without an estimate" in text
    assert "  training_corpus                 1          7" in text
    assert "    because raw_users has other content" in text
    print_plan([], {}, "EUR", as_json=False)
    assert "nothing is stale" in capsys.readouterr().out
