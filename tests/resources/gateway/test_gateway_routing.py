"""Who answers, who decides it, and that a rollback needs nobody else."""

import asyncio
import errno
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ft_resources.gateway.admin import _work
from ft_resources.gateway.chat import Refusal
from ft_resources.gateway.routing import (
    Route,
    Routing,
    choose,
    from_document,
    rolled_back,
    to_document,
)
from ft_resources.signing import sign
from tests.resources.gateway import world

KEY = b"key"
A, B, C = "legal@aaaaaaaaaaaa", "legal@bbbbbbbbbbbb", "legal@cccccccccccc"


def test_document_goes_and_comes():
    routing = Routing(7, {"legal": Route(A, B, C, 0.25)})
    assert from_document(to_document(routing, KEY), KEY) == routing


@pytest.mark.parametrize(
    "route",
    [
        {"champion": "finance@aaaaaaaaaaaa"},
        {"champion": 3},
        {"champion": A, "canary": A, "share": 0.1},
        {"champion": A, "share": 0.1},
        {"canary": B, "share": 1.1},
        {"canary": B, "share": -0.1},
        {"canary": B, "share": True},
        {"canary": B, "share": 10**400},
        {"canary": B, "share": "0.1"},
        {"champion": A, "mirror": B},
        {"champion": A, "shadow": "finance@aaaaaaaaaaaa"},
        {"champion": A, "control": B, "share": 0.1},
        {"champion": A, "canary": B, "control": A, "share": 0.6, "rollout": "legal-1"},
        {"champion": A, "rollout": 3},
        [],
    ],
)
def test_route_that_makes_no_sense(route):
    document = sign({"generation": 1, "domains": {"legal": route}}, KEY)
    with pytest.raises(ValueError, match="routing of legal"):
        from_document(document, KEY)


@pytest.mark.parametrize(
    "change", [{"generation": -1}, {"generation": True}, {"domains": []}, {"more": 1}]
)
def test_document_of_another_shape(change):
    with pytest.raises(ValueError, match="routing"):
        from_document(sign({"generation": 1, "domains": {}, **change}, KEY), KEY)


def test_document_that_is_not_ours():
    document = to_document(Routing(1), b"another key")
    with pytest.raises(PermissionError):
        from_document(document, KEY)
    with pytest.raises(PermissionError):
        from_document({**to_document(Routing(1), KEY), "generation": 9}, KEY)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_share_of_conversations(share):
    route = Route(A, None, B, share)
    drawn = [choose(route, "legal", f"s{i}", KEY)[0] for i in range(4000)]
    assert drawn.count("canary") / 4000 == pytest.approx(share, abs=0.025)
    assert drawn == [choose(route, "legal", f"s{i}", KEY)[0] for i in range(4000)]


def test_a_growing_share_keeps_who_is_on_the_canary():
    sessions = [f"s{i}" for i in range(500)]

    def canary(share, name=B):
        route = Route(A, None, name, share)
        return {s for s in sessions if choose(route, "legal", s, KEY)[0] == "canary"}

    assert canary(0.1) < canary(0.3)
    assert canary(0.3) != canary(0.3, C)


def test_choice_without_champion():
    assert choose(Route(), "legal", "s", KEY) == ("base", None)
    assert choose(Route(None, None, B, 1.0), "legal", "s", KEY) == ("canary", B)


def test_rolled_back():
    routing = Routing(4, {"legal": Route(A, B, C, 0.5), "finance": Route()})
    after = rolled_back(routing, "legal", "champion")
    assert after == Routing(5, {"legal": Route(A, B), "finance": Route()})
    after = rolled_back(routing, "legal", "previous")
    assert after.domains["legal"] == Route(B)
    with pytest.raises(ValueError, match="no previous"):
        rolled_back(after, "legal", "previous")
    with pytest.raises(ValueError, match="must be"):
        rolled_back(routing, "legal", "sideways")


def put(gateway, document):
    headers = {"Authorization": f"Bearer {world.ADMIN_KEY}"}
    return requests.put(f"{gateway.url}/admin/routing", json=document, headers=headers, timeout=30)


@pytest.fixture
def names(adapters):
    return [folder.name for folder in adapters["legal"]]


def signed(gateway, step=1, key=world.SIGNING_KEY, **routes):
    now = gateway.client.routing()
    body = {"generation": now["generation"] + step, "domains": {**now["domains"], **routes}}
    return sign(body, key)


@pytest.mark.parametrize(
    ("step", "key", "routes", "status"),
    [
        (0, world.SIGNING_KEY, {}, 409),
        (-1, world.SIGNING_KEY, {}, 409),
        (1, b"another key", {}, 403),
        (1, world.SIGNING_KEY, {"legal": {"champion": "legal@0123456789ab"}}, 422),
        (1, world.SIGNING_KEY, {"legal": {"champion": "finance@0123456789ab"}}, 422),
        (1, world.SIGNING_KEY, {"sports": {"champion": None}}, 422),
    ],
)
def test_routing_that_is_refused(gateway, step, key, routes, status):
    before = gateway.client.routing()
    reply = put(gateway, signed(gateway, step, key, **routes))
    assert reply.status_code == status
    assert gateway.client.routing() == before


def test_an_old_document_cannot_be_played_back(gateway, names):
    old = signed(gateway, legal={"champion": names[1]})
    assert put(gateway, old).status_code == 200
    gateway.client.route("legal", champion=names[0])
    reply = put(gateway, old)
    assert reply.status_code == 409
    assert "generation" in reply.json()["error"]["message"]
    assert gateway.client.routing()["domains"]["legal"]["champion"] == names[0]


def test_the_document_is_on_disk_before_it_acts(gateway, names):
    document = gateway.client.route("legal", champion=names[0])
    assert json.loads((gateway.root / "routing.json").read_text()) == document


def test_route_changes_what_is_named(gateway, names):
    client = gateway.client
    client.route("legal", champion=names[0], previous=names[1])
    client.route("finance", share=0.0)
    route = client.routing()["domains"]["legal"]
    assert route == {"champion": names[0], "previous": names[1], "canary": None, "share": 0.0}


def test_what_is_routed_cannot_be_unloaded(gateway, names):
    gateway.client.route("legal", champion=names[0], previous=names[1])
    for name in names:
        with pytest.raises(ValueError, match="is routed"):
            gateway.client.unload(name)
    with pytest.raises(LookupError):
        gateway.client.unload("legal@0123456789ab")


def test_conversations_stay_with_their_arm(gateway, names):
    client = gateway.client
    client.route("legal", champion=names[0], previous=None, canary=names[1], share=0.5)
    first = [client.chat("legal", "Hi", max_tokens=1, session_id=f"s{i}").model for i in range(40)]
    assert set(first) == set(names)
    assert 8 < first.count(names[1]) < 32
    again = [
        client.chat("legal", "More", max_tokens=1, session_id=f"s{i}").model for i in range(40)
    ]
    assert again == first
    header = {"X-Session-Id": "s0"}
    body = {"model": "legal", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    url = f"{gateway.url}/v1/chat/completions"
    reply = requests.post(url, json=body, headers=header, timeout=30)
    assert reply.json()["model"] == first[0]
    exact = {client.chat(names[1], "x", max_tokens=1, session_id=f"s{i}").model for i in range(9)}
    assert exact == {names[1]}


def test_a_conversation_without_id_is_known_by_its_beginning(gateway, names):
    client = gateway.client
    client.route("legal", champion=names[0], canary=names[1], share=0.5)
    for i in range(12):
        talk = [{"role": "user", "content": f"Question {i}"}]
        first = client.chat("legal", talk, max_tokens=1, user="u").model
        talk += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "and?"}]
        assert client.chat("legal", talk, max_tokens=1, user="u").model == first


def test_rollback_drops_the_canary_then_the_champion(gateway, names):
    client = gateway.client
    client.route("legal", champion=names[0], previous=names[1], canary=None, share=0.0)
    client.route("legal", champion=names[0], previous=None, canary=names[1], share=1.0)
    assert client.chat("legal", "x", max_tokens=1).model == names[1]
    before = client.routing()["generation"]
    document = client.rollback("legal")
    assert document["generation"] == before + 1
    assert client.chat("legal", "x", max_tokens=1).model == names[0]
    with pytest.raises(ValueError, match="no previous"):
        client.rollback("legal", "previous")
    client.route("legal", previous=names[1])
    client.rollback("legal", "previous")
    assert client.chat("legal", "x", max_tokens=1).model == names[1]
    with pytest.raises(LookupError):
        client.rollback("sports")
    text = requests.get(f"{gateway.url}/metrics", timeout=30).text
    assert 'ft_rollbacks_total{domain="legal",to="champion"}' in text


def test_a_bare_post_drops_the_canary(gateway, names):
    gateway.client.route("legal", champion=names[0], previous=None, canary=names[1], share=0.5)
    url = f"{gateway.url}/admin/rollback/legal"
    reply = requests.post(url, headers={"Authorization": f"Bearer {world.ADMIN_KEY}"}, timeout=30)
    assert reply.json()["domains"]["legal"]["canary"] is None


def test_rollback_does_not_wait_for_the_engine(gateway, names):
    gateway.client.route("legal", champion=names[0], previous=None, canary=names[1], share=0.5)
    body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 100}
    url = f"{gateway.url}/v1/chat/completions"

    def post(_):
        return requests.post(url, json=body, timeout=60).status_code

    with ThreadPoolExecutor(24) as pool:
        answers = [pool.submit(post, i) for i in range(24)]
        deadline = time.monotonic() + 20
        while sum(gateway.client.health()["queue"].values()) < 12:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        gateway.client.rollback("legal")
        assert gateway.client.routing()["domains"]["legal"]["canary"] is None
        assert sum(gateway.client.health()["queue"].values()) > 0
        assert {answer.result() for answer in answers} == {200}


def test_a_disk_that_is_full_is_told():
    def write():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Refusal, match=r"cannot write its state \(No space left") as refused:
        asyncio.run(_work(write))
    assert refused.value.status == 503


def test_stats_begin_with_the_canary(gateway, names):
    client = gateway.client
    client.route("legal", champion=names[0], previous=None, canary=None, share=0.0)
    client.chat("legal", "x", max_tokens=2)
    client.route("legal", canary=names[1], share=0.5)
    assert client.stats("legal")["arms"] == {}
    for name in (names[0], names[1], names[1]):
        client.chat(name, "x", max_tokens=2, probe=True)
    answer = client.chat(names[1], "x", max_tokens=2)
    client.feedback(answer.id, thumb="down", rating=2)
    client.feedback(answer.id, thumb="up", rating=4)
    client.route("legal", share=0.2)  # another share is the same canary
    stats = client.stats("legal")
    assert stats["canary"] == names[1]
    arm = stats["arms"][names[1]]
    assert arm["arm"] == "canary"
    assert (arm["requests"], arm["probes"], arm["errors"]) == (3, 2, 0)
    assert arm["latency_ms"]["p95"] >= arm["latency_ms"]["p50"] > 0
    assert arm["tokens"]["completion"] == 6
    assert (arm["thumbs_up"], arm["thumbs_down"]) == (1, 0)
    assert arm["rating"] == {"mean": 4.0, "n": 1}
    assert stats["arms"][names[0]]["requests"] == 1
    client.rollback("legal")
    client.route("legal", canary=names[1], share=0.5)  # a second attempt is a new canary
    assert client.stats("legal")["arms"] == {}
