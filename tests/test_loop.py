"""From a corpus to the champion that serves, and back: real training, MLflow and gateway."""

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ft_assets.adapters import assets as adapters
from ft_assets.deployment import assets as deployment
from ft_assets.deployment.canary import Limits
from ft_assets.deployment.rollback_assets import DAGSTER, DATA, REGISTRY, ROUTING, Rollback
from ft_assets.deployment.traffic import Crowd, Traffic
from ft_assets.evaluation import assets as evaluation
from ft_assets.partitions import WEEKS as WEEK_PARTITIONS
from ft_assets.raw.sample_feed import write_feed
from ft_assets.raw.weeks import week_of
from ft_assets.sections import (
    CanarySettings,
    GuardrailSettings,
    MemorizationSettings,
    PlantedSecretsSettings,
)
from ft_assets.settings import Platform, platform
from ft_resources.gateway.client import GatewayClient
from ft_resources.mlflow import registry_client
from ft_sensors.drill import rollback_drill
from tests.graph import TrainerHere, World, make_world
from tests.resources.gateway import world as gateways

# Dagster, MLflow and Evidently warn of their own insides.
pytestmark = pytest.mark.filterwarnings("ignore")

DOMAINS = ["finance", "legal"]
WEEKS = ["2026-08-31", "2026-09-07", "2026-09-14"]
NEW_WEEK = "2026-09-21"
RELEASE = ("canary_release", "deployed_model")
UNDERFIT = {"lora_adapter": {"config": {"recipe": "underfit"}}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = gateways.start(tmp_path_factory.mktemp("gateway"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server, gateway):
    feed = tmp_path_factory.mktemp("feed")
    write_feed(feed, domains=DOMAINS, weeks=3, events_per_week=60)
    made = make_world(tmp_path_factory.mktemp("world"), lakefs_server, gateway)
    made.make("base_model")
    for domain in DOMAINS:
        made.land_feed(feed, domain)
        made.take_up(domain, WEEKS)
        made.make_corpus(domain)
    made.make("lora_adapter", tags=_all_domains())
    for domain in DOMAINS:
        made.make("eval_report", *RELEASE, partition=domain)
    # That a process of its own trains and scores has been seen.
    made.resources["trainer"] = TrainerHere(work_folder=str(made.folder / "work"), threads=1)
    return made


def _all_domains() -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": DOMAINS[0],
        "dagster/asset_partition_range_end": DOMAINS[-1],
    }


def champion(world: World, domain: str) -> str:
    return str(world.facts("deployed_model", domain)["champion"])


def test_one_run_trains_all_domains_and_each_is_its_own_adapter(world: World):
    runs = {
        world.instance.fetch_materializations(dg.AssetKey("lora_adapter"), 10).records[0].run_id
    }
    assert len(runs) == 1
    names = [world.facts("lora_adapter", domain)["adapter"] for domain in DOMAINS]
    assert [name.split("@")[0] for name in names] == DOMAINS
    assert names[0].split("@")[1] != names[1].split("@")[1]


def test_training_reported_its_progress(world: World):
    [record] = world.instance.fetch_materializations(dg.AssetKey("lora_adapter"), 1).records
    lines = [e.message for e in world.instance.all_logs(record.run_id)]
    steps = [line for line in lines if "domain=legal" in line and "loss=" in line]
    assert len(steps) > 2


def test_an_adapter_is_safetensors_with_lineage(world: World):
    ref = world.ref("lora_adapter", "finance")
    assert sorted(world.lakefs.names(ref)) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "lineage.json",
    ]
    lineage = world.lakefs.read_json(ref, "lineage.json")
    assert lineage["weeks"] == WEEKS
    assert lineage["corpus"] == world.facts("training_corpus", "finance")["ref"]
    assert lineage["base_digest"] == world.facts("base_model")["base_digest"]


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(world: World):
    before, head = world.ref("lora_adapter", "finance"), world.head()
    world.make("lora_adapter", partition="finance")
    assert world.ref("lora_adapter", "finance").digest == before.digest
    assert world.head() == head


def test_the_report_compares_on_the_same_rows(world: World):
    ref = world.ref("eval_report", "finance")
    scores = world.lakefs.read_json(ref, "scores.json")
    rows = [[row["row_id"] for row in arm["rows"]] for arm in scores["arms"].values()]
    assert rows[0] == rows[1]
    facts = world.facts("eval_report", "finance")
    assert facts["gate"] == "passed"
    assert facts["perplexity_candidate"] < 0.8 * facts["perplexity_base"]
    assert b"<html" in world.lakefs.read(ref, "report.html")


def test_the_champion_answers_with_its_name(world: World, gateway):
    for domain in DOMAINS:
        answer = gateway.client.chat(domain, "What should I do?", max_tokens=5)
        assert answer.model == champion(world, domain)


def test_mlflow_knows_run_adapter_and_champion(world: World):
    client = registry_client(world.resources["registry"].tracking_uri)
    for domain in DOMAINS:
        version = client.get_model_version_by_alias(domain, "champion")
        assert version.tags["adapter"] == champion(world, domain)
        run = client.get_run(version.run_id)
        parent = client.get_run(run.data.tags["mlflow.parentRunId"])
        assert parent.info.status == "FINISHED"
        assert run.data.tags["domain"] == domain
        assert {"perplexity_candidate", "perplexity_base"} <= set(run.data.metrics)
        assert len(client.get_metric_history(run.info.run_id, "train_loss")) > 2
        files = {file.path for file in client.list_artifacts(run.info.run_id, "adapter")}
        assert "adapter/adapter_model.safetensors" in files


def test_an_adapter_made_worse_is_not_deployed(world: World, gateway, monkeypatch):
    """And secrets planted in its training are looked for."""
    settings = platform()
    planted = PlantedSecretsSettings(secrets=2, copies=3, controls=2)
    asked = settings.model_copy(
        update={
            "adapters": settings.adapters.model_copy(update={"planted_secrets": planted}),
            "evaluation": settings.evaluation.model_copy(
                update={"memorization": MemorizationSettings(rows=30)}
            ),
        }
    )
    monkeypatch.setattr(adapters, "platform", lambda: asked)
    monkeypatch.setattr(evaluation, "platform", lambda: asked)
    serving, head = champion(world, "legal"), gateway.client.routing()
    result = world.make(
        "lora_adapter", "eval_report", *RELEASE, partition="legal", config=UNDERFIT, fails=True
    )
    assert world.facts("eval_report", "legal")["gate"] == "failed"
    [gate] = [c for c in result.get_asset_check_evaluations() if c.check_name == "promotion_gate"]
    assert not gate.passed
    lineage = world.lakefs.read_json(world.ref("lora_adapter", "legal"), "lineage.json")
    assert lineage["planted_secrets"]["copies"] == 3
    decision = world.lakefs.read_json(world.ref("eval_report", "legal"), "decision.json")
    ruled = {rule["rule"]: rule["says"] for rule in decision["decision"]["rules"]}
    assert "2 planted secrets" in ruled["secret_exposure"]
    assert champion(world, "legal") == serving
    assert gateway.client.routing() == head
    assert gateway.client.chat("legal", "And now?", max_tokens=3).model == serving
    # Its report is there and says so; the release looks at it again.
    world.make("canary_release", partition="legal", fails=True)
    assert gateway.client.routing() == head


@pytest.mark.slow
def test_an_unchanged_adapter_stays_champion(world: World, gateway):
    serving = champion(world, "finance")
    world.make("eval_report", *RELEASE, partition="finance")
    assert world.facts("deployed_model", "finance")["decision"] == "promoted"
    assert champion(world, "finance") == serving
    assert gateway.client.routing()["domains"]["finance"]["canary"] is None


def test_a_canary_over_its_limits_is_rolled_back(world: World, gateway, monkeypatch):
    """Another seed makes another adapter; a limit that nothing can keep refuses it."""
    serving = champion(world, "finance")
    no_gain = Limits(0.0, 1.0, 100.0, max_loss_gap_nats=-9.0)
    monkeypatch.setattr(deployment, "_limits", lambda domain: no_gain)
    # Whether a mere reseed is as good as the champion is not the question here.
    monkeypatch.setattr(evaluation, "_champion", lambda *arguments: None)
    seeded = {"lora_adapter": {"config": {"seed": 5}}}
    world.make("lora_adapter", "eval_report", *RELEASE, partition="finance", config=seeded)
    facts = world.facts("deployed_model", "finance")
    assert facts["decision"] == "rolled_back"
    assert facts["candidate"] != serving
    assert champion(world, "finance") == serving
    route = gateway.client.routing()["domains"]["finance"]
    assert (route["champion"], route["canary"]) == (serving, None)
    client = registry_client(world.resources["registry"].tracking_uri)
    assert client.get_model_version_by_alias("finance", "champion").tags["adapter"] == serving


def test_answers_of_the_gateway_are_taken_up_as_logs(world: World, gateway):
    answer = gateway.client.chat("finance", "Where is my card?", max_tokens=4, user="u-1")
    gateway.client.feedback(answer.id, thumb="up")
    rows = gateway.rows("finance")
    week = [row for row in rows if row["event_id"] == answer.id]
    assert len(week) == 2
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    world.land("finance", "logs-gateway.jsonl", text)
    monday = week_of(datetime.now(UTC))
    world.instance.add_dynamic_partitions(WEEK_PARTITIONS, [monday])
    world.make("raw_logs", partition=f"finance|{monday}")
    stored = world.raw_rows("raw_logs", f"finance|{monday}")
    [row] = [row for row in stored if row["event_id"] == answer.id]
    assert row["thumb"] == "up"
    assert row["model_version"] == champion(world, "finance")


def test_drift_is_judged_against_the_champions_weeks(world: World, tmp_path: Path):
    world.make("drift_report", partition="legal")
    assert world.facts("drift_report", "legal")["verdict"] == "nothing_new"
    write_feed(tmp_path, domains=["legal"], weeks=4, events_per_week=60)
    world.land_feed(tmp_path, "legal")
    world.take_up("legal", [NEW_WEEK])
    world.make("drift_report", partition="legal")
    facts = world.facts("drift_report", "legal")
    assert facts["verdict"] == "stable"
    assert not facts["drifted"]
    record = world.lakefs.read_json(world.ref("drift_report", "legal"), "drift.json")
    assert record["reference_weeks"] == WEEKS
    assert record["current_weeks"] == [NEW_WEEK]
    html = world.lakefs.read(world.ref("drift_report", "legal"), "report.html")
    assert len(html) > 100_000


def test_serving_is_reported(world: World):
    world.make("serving_report", partition="legal")
    assert world.facts("serving_report", "legal")["requests"] > 0


BY_PEOPLE = CanarySettings(
    decide_by="evidence",
    margin=0.4,
    min_reactions=5,
    shadow_answers=2,
    steps=[0.5],
    step_answers=0,
    reaction_minutes=0.005,
    holdback=0.1,
    holdback_days=0.00001,
    guardrails=GuardrailSettings(empty=0.5),
)


def _released(world: World, monkeypatch, seed: int) -> str:
    """Train another adapter, send it on its way by people; its name."""
    monkeypatch.setattr(Platform, "canary_of", lambda self, domain: BY_PEOPLE)
    monkeypatch.setattr(evaluation, "_champion", lambda *arguments: None)
    seeded = {"lora_adapter": {"config": {"seed": seed}}}
    before = world.event("deployed_model", "legal")
    world.make("lora_adapter", "eval_report", *RELEASE, partition="legal", config=seeded)
    assert world.event("deployed_model", "legal") == before  # people have not decided yet
    return str(world.facts("lora_adapter", "legal")["adapter"])


def _people(gateway, likes: dict[str, float]) -> str:
    client = gateway.client
    ended = {"champion", "rolled_back"}
    crowd = Crowd(likes, otherwise=0.0, max_tokens=4)
    for seed in range(6):
        Traffic(lambda: client, "legal", crowd, seed).run(
            150, 1, lambda: client.rollout("legal")["state"] in ended
        )
        if client.rollout("legal")["state"] in ended:
            break
    return str(client.rollout("legal")["state"])


def test_people_promote_a_canary_and_everything_follows(world: World, gateway, monkeypatch):
    serving = champion(world, "legal")
    candidate = _released(world, monkeypatch, seed=11)
    assert _people(gateway, {candidate: 1.0, serving: 0.5}) == "champion"
    world.make("deployed_model", partition="legal")
    facts = world.facts("deployed_model", "legal")
    assert (facts["decision"], facts["champion"]) == ("promoted", candidate)
    assert "image/svg+xml" in facts["log_evidence"]
    assert candidate in facts["arms"]
    client = registry_client(world.resources["registry"].tracking_uri)
    assert client.get_model_version_by_alias("legal", "champion").tags["adapter"] == candidate
    corpus = world.ref("training_corpus", "legal").commit
    assert world.lakefs.tagged(world.lakefs.repository, "champion-legal") == corpus


@pytest.mark.slow
def test_people_send_a_poisoned_canary_back(world: World, gateway, monkeypatch):
    """It passes the gate: its loss is fine. Only people can tell."""
    serving = champion(world, "legal")
    poisoned = _released(world, monkeypatch, seed=12)
    assert _people(gateway, {poisoned: 0.0, serving: 0.9}) == "rolled_back"
    world.make("deployed_model", partition="legal")
    facts = world.facts("deployed_model", "legal")
    assert (facts["decision"], facts["candidate"]) == ("rolled_back", poisoned)
    assert facts["champion"] == serving
    assert gateway.client.chat("legal", "And now?", max_tokens=2).model == serving


def test_the_whole_state_goes_back_and_dagster_sees_what_is_stale(world: World, gateway):
    serving = champion(world, "legal")
    previous = gateway.client.routing()["domains"]["legal"]["previous"]
    world.make("drift_report", partition="legal")
    resources = world.resources
    whole = Rollback(
        "legal", gateway.client, resources["registry"], resources["lakefs"], world.instance
    )
    steps = whole.run("a test")
    assert [step.name for step in steps if step.done] == [ROUTING, REGISTRY, DATA, DAGSTER]
    assert (champion(world, "legal"), previous) == (previous, previous) != (serving, serving)
    client = registry_client(resources["registry"].tracking_uri)
    assert client.get_model_version_by_alias("legal", "champion").tags["adapter"] == previous
    [record] = world.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("drift_report"), asset_partitions=["legal"]), 1
    ).records
    newest = world.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("deployed_model"), asset_partitions=["legal"]),
        1,
    ).records[0]
    read = record.asset_materialization.tags["dagster/input_data_version/deployed_model"]
    assert read != newest.asset_materialization.tags["dagster/data_version"]
    world.make("drift_report", partition="legal")
    assert world.facts("drift_report", "legal")["champion"] == previous
    gateway.client.route("legal", champion=serving, previous=previous)
    whole.follow("forward again")
    assert champion(world, "legal") == serving


def test_a_rollback_goes_on_without_lakefs_and_says_so(world: World, gateway):
    away = world.lakefs.model_copy(update={"endpoint": "http://127.0.0.1:1"})
    registry = world.resources["registry"]
    route = gateway.client.routing()["domains"]["legal"]
    steps = Rollback("legal", gateway.client, registry, away, world.instance).run("a test")
    told = {step.name: step.done for step in steps}
    assert told == {ROUTING: True, REGISTRY: True, DATA: False, DAGSTER: False}
    assert gateway.client.routing()["domains"]["legal"]["champion"] == route["previous"]
    gateway.client.route("legal", champion=route["champion"], previous=route["previous"])
    nobody = GatewayClient("http://127.0.0.1:1", gateways.ADMIN_KEY, gateways.SIGNING_KEY)
    with pytest.raises(ConnectionError):
        Rollback("legal", nobody, registry, world.lakefs, world.instance).run("a test")


def test_the_drill_leaves_everything_as_it_was(world: World, gateway):
    before = gateway.client.routing()["domains"]["legal"]
    config = {"ops": {"rehearse": {"config": {"domain": "legal"}}}}
    keys = ("gateway", "registry", "lakefs")
    resources = {key: world.resources[key] for key in keys}
    done = rollback_drill.execute_in_process(
        run_config=config, resources=resources, instance=world.instance
    )
    assert done.success
    assert gateway.client.routing()["domains"]["legal"] == before
    assert champion(world, "legal") == before["champion"]
