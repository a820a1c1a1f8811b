"""Fingerprints and clusters through the real assets and lakeFS, one week after the other."""

import dagster as dg
import pytest

from ft_assets.corpus import dedup_assets
from ft_assets.corpus.compose import Policy, compose_training
from ft_assets.corpus.dedup import find_clusters
from ft_assets.corpus.dedup_assets import (
    read_arrow,
    read_batches,
    read_clusters,
    read_passages,
)
from ft_assets.raw.sample_feed import write_feed
from tests.graph import World, make_world

DOMAIN = "legal"
WEEKS = ["2026-08-31", "2026-09-07", "2026-09-14"]


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server):
    feed = tmp_path_factory.mktemp("feed")
    write_feed(feed, domains=[DOMAIN], weeks=3, events_per_week=40)
    made = make_world(tmp_path_factory.mktemp("world"), lakefs_server)
    known = {key for asset in made.assets for key in asset.keys}
    made.assets += [
        asset
        for asset in dg.load_assets_from_modules([dedup_assets])
        if isinstance(asset, dg.AssetsDefinition) and not asset.keys & known
    ]
    made.land_feed(feed, DOMAIN)
    made.take_up(DOMAIN, WEEKS)
    made.make("raw_annotations", "raw_corrections", "anonymized_examples", partition=DOMAIN)
    made.make("raw_documents", "anonymized_documents", "passage_signatures", partition=DOMAIN)
    for weeks in (WEEKS[:2], WEEKS[2:]):  # the second time what is known is taken over
        made.make("log_signatures", partition=DOMAIN, weeks=(weeks[0], weeks[-1]))
        made.make("duplicate_clusters", partition=DOMAIN)
    return made


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
