"""From landing files to a training corpus, through the real assets and lakeFS."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from ft_assets.corpus.compose import Policy, compose_training
from ft_assets.corpus.dedup import find_clusters
from ft_assets.corpus.dedup_assets import (
    read_arrow,
    read_batches,
    read_clusters,
    read_passages,
)
from ft_assets.expectations.suite import extend
from ft_assets.lineage import CORPUS, SOURCES
from ft_assets.raw.sample_feed import write_feed
from ft_assets.settings import Platform
from tests.graph import World, make_world

DOMAIN = "finance"
WEEKS = ["2026-08-31", "2026-09-07"]


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed")
    facts = write_feed(folder, domains=[DOMAIN], weeks=2, events_per_week=90)
    return folder, facts[DOMAIN]


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server, feed):
    made = make_world(tmp_path_factory.mktemp("world"), lakefs_server)
    made.land_feed(feed[0], DOMAIN)
    made.make(*SOURCES, "anonymized_examples", partition=DOMAIN)
    for week in WEEKS:  # the second time what is known of clusters is taken over
        made.take_up(DOMAIN, [week])
        made.make("duplicate_clusters", partition=DOMAIN)
    made.make(*CORPUS, partition=DOMAIN)
    return made


COUNTED = [*SOURCES]
COUNTED += ["anonymized_documents", "anonymized_examples", "eval_set", "training_corpus"]


@pytest.mark.parametrize(
    ("asset", "partition"),
    [(name, DOMAIN) for name in COUNTED]
    + [(name, f"{DOMAIN}|{week}") for name in ("raw_logs", "anonymized_logs") for week in WEEKS],
)
def test_every_row_is_counted(world: World, asset, partition):
    facts = world.facts(asset, partition)
    assert facts["rows_in"] == facts["rows_out"] + facts["quarantined"] + sum(
        facts["dropped"].values()
    )


def test_a_corpus_tells_what_it_is_made_of(world: World):
    facts = world.facts("training_corpus", DOMAIN)
    dropped = facts["dropped"]
    copies = dropped.get("exact_duplicate", 0) + dropped.get("near_duplicate", 0)
    assert facts["duplicate_share"] == pytest.approx(copies / facts["rows_in"], abs=1e-4)
    assert copies > 0
    for table, label in (("kinds", "log"), ("rows_by_split", "train"), ("rows_by_week", WEEKS[0])):
        assert f"| {label} |" in facts[table]
    assert f"| total | {facts['rows_out']:,} |" in facts["kinds"]
    assert "#changes" in facts["lakefs_diff"]


def test_every_delivered_log_line_is_in_one_week(world: World, feed):
    taken = [world.facts("raw_logs", f"{DOMAIN}|{week}") for week in WEEKS]
    assert sum(facts["rows_in"] for facts in taken) == feed[1]["lines"]["logs"]
    assert sum(facts["quarantined"] for facts in taken) == feed[1]["quarantined"]


def test_quarantine_names_line_and_reason(world: World):
    week = max(WEEKS, key=lambda w: world.facts("raw_logs", f"{DOMAIN}|{w}")["quarantined"])
    ref = world.ref("raw_logs", f"{DOMAIN}|{week}")
    rows = world.raw_zone.read_quarantine(world.lakefs, ref).rows
    assert rows
    for row in rows:
        assert row["source_line"] >= 1
        assert row["reason"]
        assert row["source_file"].endswith("logs.jsonl")


def test_stored_rows_are_those_counted(world: World):
    table = world.lakefs.read_table(world.ref("training_corpus", DOMAIN))
    facts = world.facts("training_corpus", DOMAIN)
    assert len(table) == facts["rows_out"] == facts["dagster/row_count"]
    assert set(table["split"]) == {"train", "validation"}
    assert table["source_file"].notna().all()
    assert [m["role"] for m in json.loads(table["messages"][0])] == ["user", "assistant"]


def test_nobody_without_consent_is_trained_on(world: World):
    users = world.raw_rows("raw_users", DOMAIN)
    logs = [row for week in WEEKS for row in world.raw_rows("raw_logs", f"{DOMAIN}|{week}")]
    silent = {u["user_id"] for u in users if not u["training_consent"] or u["erasure_requested_at"]}
    theirs = {row["event_id"] for row in logs if row["user_id"] in silent}
    assert theirs
    for asset in ("training_corpus", "eval_set"):
        table = world.lakefs.read_table(world.ref(asset, DOMAIN))
        assert not theirs & set(table["source_id"])


def test_no_planted_identifier_leaves_the_raw_zone(world: World, feed):
    planted = {found["value"] for found in feed[1]["personal"] if len(found["value"]) > 6}
    structured = {
        value for value in planted if any(char.isdigit() for char in value) or "@" in value
    }
    assert len(structured) > 3
    stored = b"".join(
        world.lakefs.read_table(world.ref("anonymized_logs", f"{DOMAIN}|{week}"))
        .to_json(force_ascii=False)
        .replace("\\/", "/")
        .encode()
        for week in WEEKS
    )
    stored += (
        world.lakefs.read_table(world.ref("training_corpus", DOMAIN))
        .to_json(force_ascii=False)
        .encode()
    )
    assert not [value for value in structured if value.encode() in stored]


def test_the_event_log_holds_no_text_of_a_row(world: World, feed):
    """Personal data must not get into metadata, check results or log lines."""
    planted = {found["value"] for found in feed[1]["personal"]}
    log = b""
    for file in Path(world.instance.root_directory).rglob("*.db"):
        with sqlite3.connect(file) as database:
            log += "\n".join(database.iterdump()).encode()
    assert b"training_corpus" in log
    assert not [value for value in planted if len(value) > 6 and value.encode() in log]


def test_one_commit_per_materialization_with_its_lineage(world: World):
    ref = world.ref("training_corpus", DOMAIN)
    commit = world.repository().commit(ref.commit).get_commit()
    assert commit.metadata["asset"] == "training_corpus"
    assert commit.metadata["partition"] == DOMAIN
    inputs = json.loads(commit.metadata["inputs"])
    assert inputs["eval_set"] == world.ref("eval_set", DOMAIN).uri


def test_no_draft_is_left_after_a_merge(world: World):
    for raw in (True, False):
        assert [branch.id for branch in world.repository(raw).branches()] == ["main"]


def test_the_data_version_is_the_content(world: World):
    """Made again from the same input: the same version, and nothing new on main."""
    before, version = world.head(), _version(world, "training_corpus")
    world.make("training_corpus", partition=DOMAIN)
    assert (world.head(), _version(world, "training_corpus")) == (before, version)


def _version(world: World, asset: str) -> str:
    event = world.event(asset, DOMAIN)
    assert event is not None
    return event.tags["dagster/data_version"]


def test_training_and_evaluation_share_no_prompt(world: World):
    corpus = world.lakefs.read_table(world.ref("training_corpus", DOMAIN))
    evaluation = world.lakefs.read_table(world.ref("eval_set", DOMAIN))
    assert not set(corpus["prompt"]) & set(evaluation["prompt"])


def inputs(world: World):
    weeks = {f"{DOMAIN}|{week}": world.ref("log_signatures", f"{DOMAIN}|{week}") for week in WEEKS}
    examples = {DOMAIN: world.ref("anonymized_examples", DOMAIN)}
    return read_batches(world.lakefs, DOMAIN, weeks, examples)


def test_clusters_kept_from_week_to_week_are_those_of_a_rebuild(world: World):
    logs, examples = inputs(world)
    kept = read_clusters(world.lakefs, {DOMAIN: world.ref("duplicate_clusters", DOMAIN)}, DOMAIN)
    rebuilt = find_clusters([batch.prints for batch in [*logs, *examples]])
    assert kept.to_table().equals(rebuilt.to_table())
    facts = world.facts("duplicate_clusters", DOMAIN)
    assert facts["dagster/row_count"] == len(rebuilt)
    assert 0 < facts["duplicate_share"] < 0.5
    assert "| exact_duplicate |" in facts["rows_by_role"]


def test_passages_are_cut_and_clustered_once(world: World):
    documents = read_arrow(world.lakefs, world.ref("anonymized_documents", DOMAIN)).to_pylist()
    kept, clusters = read_passages(
        world.lakefs, {DOMAIN: world.ref("passage_signatures", DOMAIN)}, DOMAIN
    )
    policy = Policy(document_share=1)
    scratch = compose_training([], [], documents, {}, [], policy)
    found = compose_training([], [], kept, {}, [], policy, passage_clusters=clusters)
    assert found.counts == scratch.counts
    assert found.table.equals(scratch.table)
    assert len(found.table) > 0


def test_a_corpus_is_composed_of_what_is_kept(world: World):
    logs, examples = inputs(world)
    plain = [
        read_arrow(world.lakefs, world.ref("anonymized_logs", f"{DOMAIN}|{week}")).to_pylist()
        for week in WEEKS
    ]
    pairs = read_arrow(world.lakefs, world.ref("anonymized_examples", DOMAIN)).to_pylist()
    rows = [row for week in plain for row in week]
    consent = {row["user"]: "granted" for row in rows}
    kept = compose_training(logs, examples, [], consent, [], Policy())
    scratch = compose_training(rows, pairs, [], consent, [], Policy())
    assert kept.counts == scratch.counts
    assert {row["row_id"] for row in kept.rows} == {row["row_id"] for row in scratch.rows}


@pytest.mark.parametrize("asset", ["anonymized_logs", "training_corpus"])
def test_a_failed_expectation_merges_nothing(world: World, monkeypatch, asset):
    """The suite asks for more rows than there are; the rest is as in production."""
    real = Platform.suite
    many = {"expect_table_row_count_to_be_between": {"min_value": 1_000_000}, "name": "many_rows"}

    def with_many_rows(settings, name, domain):
        return extend(
            real(settings, name, domain), {"suite": name, "expectations": [many]}, "a test"
        )

    monkeypatch.setattr(Platform, "suite", with_many_rows)
    partition = DOMAIN if asset == "training_corpus" else f"{DOMAIN}|{WEEKS[0]}"
    head, event = world.head(), world.event(asset, partition)
    selection = (asset, "feedback_signals") if asset == "anonymized_logs" else (asset,)
    later = world.event("feedback_signals", partition)
    result = world.make(*selection, partition=partition, fails=True)
    assert world.head() == head
    assert world.event(asset, partition) == event
    assert world.event("feedback_signals", partition) == later
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    check = checks["great_expectations"]
    assert not check.passed
    assert check.blocking
    assert checks["great_expectations_unusual"].passed
    page = f"data_docs/{asset}/domain={partition.replace('|', '/week=')}/validation.html"
    assert check.metadata["report"].value.endswith(f"&path={quote(page)}")
    [draft] = [b.id for b in world.repository().branches() if b.id != "main"]
    stored = world.repository().branch(draft).object(page).reader(mode="r", pre_sign=False).read()
    assert "1 failed: nothing is merged" in stored
    assert draft.endswith(asset + "-" + partition.replace("|", "-"))
    world.repository().branch(draft).delete()


GUARDED = [*COUNTED, "raw_logs", "anonymized_logs"]


@pytest.mark.parametrize("asset", GUARDED)
def test_every_table_has_its_page_beside_the_data(world: World, asset):
    partition = f"{DOMAIN}|{WEEKS[1]}" if asset.endswith("logs") else DOMAIN
    facts, ref = world.facts(asset, partition), world.ref(asset, partition)
    folder = f"data_docs/{asset}/domain={partition.replace('|', '/week=')}/"
    page = world.lakefs.read(replace(ref, path=folder), "validation.html").decode()
    assert facts["validation"].endswith(f"?ref={ref.commit}&path={quote(folder)}validation.html")
    assert f"Validation of {asset}" in page
    assert f"<strong>{facts['rows_out']:,}</strong>rows" in page
    assert "failed" not in page.split('class="verdict')[1].split("</p>")[0]


def test_pages_name_nobody(world: World, feed):
    planted = {found["value"] for found in feed[1]["personal"] if len(found["value"]) > 6}
    for asset in ("raw_logs", "anonymized_logs"):
        ref = world.ref(asset, f"{DOMAIN}|{WEEKS[0]}")
        folder = f"data_docs/{asset}/domain={DOMAIN}/week={WEEKS[0]}/"
        page = world.lakefs.read(replace(ref, path=folder), "validation.html").decode()
        assert not [value for value in planted if value in page]


def test_a_late_event_changes_its_own_week_alone(world: World):
    versions = {week: world.ref("raw_logs", f"{DOMAIN}|{week}").digest for week in WEEKS}
    row = world.raw_rows("raw_logs", f"{DOMAIN}|{WEEKS[0]}")[0]
    fields = {k: v for k, v in row.items() if k not in {"week", "source_file", "source_line"}}
    world.land(DOMAIN, "logs-late.jsonl", [{**fields, "event_id": "late-1", "prompt": "late"}])
    world.make("raw_logs", partition=DOMAIN, weeks=(WEEKS[0], WEEKS[-1]))
    now = {week: world.ref("raw_logs", f"{DOMAIN}|{week}").digest for week in WEEKS}
    assert {week for week in WEEKS if now[week] != versions[week]} == {WEEKS[0]}
