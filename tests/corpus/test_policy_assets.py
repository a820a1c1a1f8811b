"""Policies through the real assets: pseudonyms in corpora, what stands behind them in the vault."""

import re
from pathlib import Path

import pytest

from ft_assets.corpus.policy import resolve
from ft_assets.partitions import WEEKS as WEEK_PARTITIONS
from ft_assets.raw.sample_feed import write_feed
from ft_assets.settings import Platform
from ft_resources.vault.keys import Erased
from tests.graph import World, make_world

DOMAIN = "finance"
WEEKS = ["2026-08-31", "2026-09-07"]


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed")
    return folder, write_feed(folder, domains=[DOMAIN], weeks=2, events_per_week=60)[DOMAIN]


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server, feed):
    made = make_world(tmp_path_factory.mktemp("policies"), lakefs_server)
    made.land_feed(feed[0], DOMAIN)
    with pytest.MonkeyPatch.context() as patch:
        chosen = resolve("gdpr_pseudonymized", {})
        patch.setattr(Platform, "operators_of", lambda *_: chosen)
        made.instance.add_dynamic_partitions(WEEK_PARTITIONS, WEEKS)
        made.make("raw_logs", "anonymized_logs", partition=DOMAIN, weeks=(WEEKS[0], WEEKS[-1]))
        made.make("raw_documents", "raw_annotations", "raw_corrections", partition=DOMAIN)
        made.make("anonymized_documents", "anonymized_examples", partition=DOMAIN)
    return made


def partitions(asset: str) -> list[str]:
    return [f"{DOMAIN}|{week}" for week in WEEKS] if asset == "anonymized_logs" else [DOMAIN]


ANONYMIZED = ["anonymized_logs", "anonymized_documents", "anonymized_examples"]


def stored(world: World) -> str:
    return "".join(
        world.lakefs.read_table(world.ref(asset, partition))
        .to_json(force_ascii=False)
        .replace("\\/", "/")
        for asset in ANONYMIZED
        for partition in partitions(asset)
    )


@pytest.mark.parametrize("asset", ANONYMIZED)
def test_nothing_is_left_and_surrogates_are_not_taken_for_it(world: World, asset):
    for partition in partitions(asset):
        table = world.lakefs.read_table(world.ref(asset, partition))
        assert len(table)
        assert not table["identifiers_left"].any()


def test_surrogates_stand_where_values_stood(world: World, feed):
    text = stored(world)
    structured = {
        found["value"]
        for found in feed[1]["personal"]
        if len(found["value"]) > 6
        and (any(char.isdigit() for char in found["value"]) or "@" in found["value"])
    }
    assert len(structured) > 3
    assert not [value for value in structured if value in text]
    assert ".example" in text
    assert "<EMAIL_" not in text


def test_metadata_counts_types_and_operators_and_holds_no_value(world: World):
    facts = world.facts("anonymized_logs", f"{DOMAIN}|{WEEKS[0]}")
    assert "| PHONE | pseudonymize | 1 |" in facts["identifiers_by_operator"]
    assert facts["operators"]["PHONE"] == {"operator": "pseudonymize", "reversible": True}
    log = b"".join(file.read_bytes() for file in Path(world.instance.root_directory).rglob("*.db"))
    assert b"+999 " not in log


def test_what_stands_behind_them_is_in_the_vault_until_the_subject_is_erased(world: World):
    """The last test of this world: it destroys."""
    originals = world.raw_zone.originals()
    assert originals.counts()["EMAIL"] > 0  # of a document
    week = partitions("anonymized_logs")[0]
    raw = {row["event_id"]: row for row in world.raw_rows("raw_logs", week)}
    event, surrogate = next(
        (row["event_id"], phone[0])
        for row in world.lakefs.read_records(world.ref("anonymized_logs", week))
        if (phone := re.search(r"\+999( \d{3})+", row["prompt"] + row["response"]))
    )
    found = originals.reveal(surrogate)
    assert found.type == "PHONE"
    assert found.values[0] in raw[event]["prompt"] + raw[event]["response"]
    world.raw_zone.destroy({f"user:{row['user_id']}" for row in raw.values()})
    with pytest.raises(Erased):
        originals.reveal(surrogate)
