"""From a badly received answer to a reviewer's correction and the pair that is learned from it."""

from pathlib import Path

import dagster as dg
import pytest

from ft_assets.lineage import SOURCES
from ft_assets.settings import platform
from ft_resources.gateway_access import GatewayAccess
from ft_sensors.landing import take_up_changed_sources
from tests.browser import chromium
from tests.graph import World, make_world
from tests.resources.gateway import world as gateways

DOMAIN, WEEK = "legal", "2026-08-31"
FEEDBACK = ("anonymized_examples", "preference_pairs", "review_queue")
TYPED = "On the third working day. Ask Zoë Quartz, zoe@quartz.example."


def event(number, **fields):
    return {
        "event_id": f"e{number}",
        "ts": f"2026-09-02T10:00:0{number}Z",
        "domain": DOMAIN,
        "user_id": f"u{number % 2}",
        "session_id": f"s{number}",
        "prompt": f"When is the rent of flat number {number} due?",
        "response": "On the first day of each month, as the contract says.",
        "model_version": "legal@0123456789ab",
        **fields,
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    landing = Path(platform().landing_folder)
    running = gateways.start(tmp_path_factory.mktemp("review-gateway"), landing=landing)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server, served) -> World:
    made = make_world(tmp_path_factory.mktemp("review-assets"), lakefs_server, served)
    events = [event(1, thumb="down"), event(2), event(3, rating=1), event(4, thumb="up")]
    made.land(DOMAIN, "logs.jsonl", events)
    made.land(DOMAIN, "users.jsonl", [{"user_id": "u1", "training_consent": True}])
    made.take_up(DOMAIN, [WEEK])
    made.make(*SOURCES, *FEEDBACK, partition=DOMAIN)
    return made


def tick(world, cursor=None):
    context = dg.build_sensor_context(instance=world.instance, cursor=cursor)
    return take_up_changed_sources(context)


def queue(world):
    return world.lakefs.read_records(world.ref("review_queue", DOMAIN))


def test_a_correction_on_the_page_arrives_in_raw_corrections(world, served, tmp_path):
    assert [row["event_id"] for row in queue(world)] == ["e3", "e1"]
    assert world.facts("review_queue", DOMAIN)["gateway"] == "2 to decide"
    before = tick(world).cursor

    with chromium(tmp_path / "browser") as page:
        page.open(f"{served.url}/review")
        page.fill("#key", gateways.ADMIN_KEY)
        page.press("Enter")
        page.wait("document.querySelector('#place').textContent === '1 of 2'")
        page.press("c")
        page.fill("#text", TYPED)
        page.press("Enter", control=True)
        page.wait("document.querySelector('#place').textContent === '1 of 1'")

    [request] = tick(world, before).run_requests
    assert request.partition_key == DOMAIN
    names = [key.to_user_string() for key in request.asset_selection]
    assert names == ["raw_corrections"]
    world.make(*names, partition=request.partition_key)
    [row] = world.raw_rows("raw_corrections", DOMAIN)
    assert (row["event_id"], row["reviewer_id"], row["status"]) == ("e3", "admin", "approved")
    assert row["corrected_response"] == TYPED

    world.make(*FEEDBACK, partition=DOMAIN)
    [pair] = world.lakefs.read_records(world.ref("preference_pairs", DOMAIN))
    assert (pair["origin"], pair["event_id"]) == ("review", "e3")
    assert pair["chosen"].startswith("On the third working day.")
    assert "zoe@quartz.example" not in pair["chosen"]
    assert [row["event_id"] for row in queue(world)] == ["e1"]


def test_a_gateway_that_is_down_holds_nothing_up(world):
    there = world.resources["gateway"]
    world.resources["gateway"] = GatewayAccess(
        url=f"http://127.0.0.1:{gateways.free_port()}", admin_key="key", signing_key="key"
    )
    world.make("review_queue", partition=DOMAIN)
    world.resources["gateway"] = there
    assert "not there" in world.facts("review_queue", DOMAIN)["gateway"]
