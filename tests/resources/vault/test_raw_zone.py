"""The raw zone through the real assets: what lies on the disk of lakeFS, and erasure."""

import io

import pytest

from ft_assets.raw.sample_feed import write_feed
from ft_resources.vault.keys import VaultError, WrongTenantKey
from ft_resources.vault.raw_zone import RawZone, erased_count
from tests.graph import World, make_world

DOMAIN = "finance"
WEEKS = ["2026-08-31", "2026-09-07"]


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed")
    return folder, write_feed(folder, domains=[DOMAIN], weeks=2, events_per_week=40)[DOMAIN]


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server, feed):
    made = make_world(tmp_path_factory.mktemp("raw-zone"), lakefs_server)
    made.land_feed(feed[0], DOMAIN)
    made.take_up(DOMAIN, WEEKS)
    made.make("raw_users", "raw_documents", "raw_annotations", "raw_corrections", partition=DOMAIN)
    return made


def logs(world: World) -> list[dict]:
    return [row for week in WEEKS for row in world.raw_rows("raw_logs", f"{DOMAIN}|{week}")]


def test_the_disk_of_lakefs_holds_no_planted_value(world: World, feed, lakefs_server):
    """Not as it is, and not behind any compression: every blob of the repository is encrypted."""
    stored = [f.read_bytes() for f in lakefs_server.root.rglob("*") if f.is_file()]
    blobs = [data for data in stored if data.startswith(b"FTROWS1\n")]
    assert len(blobs) >= 2 * (len(WEEKS) + 4) - 4  # equal objects are stored once
    planted = {found["value"].encode() for found in feed[1]["personal"]}
    users = {row["user_id"].encode() for row in logs(world)}
    texts = {row["prompt"].encode()[:40] for row in logs(world) if len(row["prompt"]) > 20}
    assert planted
    for data in blobs:
        assert not [value for value in planted | users | texts if len(value) > 6 and value in data]


def test_taking_up_the_same_again_makes_no_commit(world: World):
    head = world.head(raw=True)
    world.make("raw_logs", partition=DOMAIN, weeks=(WEEKS[0], WEEKS[-1]))
    assert world.head(raw=True) == head


def test_another_tenant_key_is_a_clear_error(world: World):
    other = RawZone(tenant="tests", tenant_key="00" * 32, folder=world.raw_zone.folder)
    with pytest.raises(WrongTenantKey):
        other.read_rows(world.lakefs, world.ref("raw_logs", f"{DOMAIN}|{WEEKS[0]}"))


def test_a_destroyed_subject_is_gone_from_every_commit(world: World):
    """The last test of this world: it destroys."""
    before = logs(world)
    user = max({row["user_id"] for row in before}, key=[r["user_id"] for r in before].count)
    old = [world.ref("raw_logs", f"{DOMAIN}|{week}") for week in WEEKS]
    events = {row["event_id"] for row in before if row["user_id"] == user}
    corrections = world.ref("raw_corrections", DOMAIN)
    corrected = [
        row["event_id"] for row in world.raw_zone.read_rows(world.lakefs, corrections).rows
    ]
    theirs = events & set(corrected)
    assert theirs
    assert world.raw_zone.destroy([f"user:{user}"]) == 1 + len(theirs)
    left = world.raw_zone.read_rows(world.lakefs, corrections).rows
    assert [row["event_id"] for row in left] == [id_ for id_ in corrected if id_ not in theirs]

    past = [world.raw_zone.read_rows(world.lakefs, ref) for ref in old]
    assert [row for part in past for row in part.rows] == [
        r for r in before if r["user_id"] != user
    ]
    gone = sum(part.erased for part in past)
    assert gone == sum(row["user_id"] == user for row in before) > 0

    # The landing zone still has the lines: taken up again they are counted, not kept.
    world.take_up(DOMAIN, WEEKS)
    raw = [world.facts("raw_logs", f"{DOMAIN}|{week}") for week in WEEKS]
    assert sum(facts["dropped"].get("erased", 0) for facts in raw) >= gone
    for facts in raw:
        told = facts["rows_out"] + facts["quarantined"] + sum(facts["dropped"].values())
        assert facts["rows_in"] == told
    assert [row["user_id"] for row in logs(world)] == [
        row["user_id"] for row in before if row["user_id"] != user
    ]


@pytest.fixture
def zone(tmp_path):
    return RawZone(tenant="acme", tenant_key="ab" * 32, folder=str(tmp_path / "vault"))


def test_a_source_whose_key_was_destroyed_gets_a_new_one(zone):
    rows = [{"doc_id": "d1", "text": "x"}]
    old = zone.write_rows("p/", "finance/documents", rows)
    for _ in range(2):
        assert zone.destroy(["source:finance/documents"]) == 1
        opened = zone.open_rows(io.BytesIO(old.data), "p/")
        assert list(opened) == []
        assert opened.erased == 1
        new = zone.write_rows("p/", "finance/documents", rows)
        assert (new.rows, new.erased) == (1, 0)
        assert list(zone.open_rows(io.BytesIO(new.data), "p/")) == rows


def test_quarantined_lines_go_with_their_user(zone):
    records = [{"raw": '{"user_id": "u1", "x": NaN}'}, {"raw": "no id"}]
    sealed = zone.write_quarantine("p/", "finance", records)
    zone.destroy(["user:u1"])
    opened = zone.open_rows(io.BytesIO(sealed.data), "p/", "quarantine.enc")
    assert list(opened) == records[1:]
    again = zone.write_quarantine("p/", "finance", records)
    assert erased_count(again, sealed) == {"erased": 1}
    assert erased_count(sealed) == {}


def test_corrections_of_an_erased_user_go_too(zone):
    """A correction names an event and a reviewer; whose event it is stands in the logs."""
    corrections = [{"event_id": f"e{n}", "reviewer_id": "r"} for n in (1, 2, 3)]
    sealed = zone.write_rows("c/", "finance/corrections", corrections)
    logs = [{"event_id": f"e{n}", "user_id": "u1" if n < 3 else "u2"} for n in (1, 2, 3)]
    zone.write_rows("l/", "finance/logs", logs)
    assert zone.destroy(["user:u1"]) == 3
    opened = zone.open_rows(io.BytesIO(sealed.data), "c/")
    assert list(opened) == corrections[2:]
    assert opened.erased == 2
    # One that is delivered after the erasure is not kept either, nor is that of a later event.
    zone.write_rows("l/", "finance/logs", [{"event_id": "e4", "user_id": "u1"}])
    late = [corrections[0], {"event_id": "e4", "reviewer_id": "r"}]
    assert zone.write_rows("c/", "finance/corrections", late).erased == 2


@pytest.mark.parametrize("name", ["u1", "user:", "admin:x", ""])
def test_a_subject_is_named_with_its_kind(zone, name):
    with pytest.raises(ValueError, match="kind:name"):
        zone.destroy([name])


def test_a_tenant_key_that_is_none_is_told_before_anything_is_made(tmp_path):
    zone = RawZone(tenant="acme", tenant_key="", folder=str(tmp_path / "vault"))
    with pytest.raises(VaultError, match="64 hex digits"):
        zone.write_rows("p/", "finance/logs", [])
    assert not (tmp_path / "vault").exists()
