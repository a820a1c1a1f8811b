"""Decisions of reviewers: durable, counted once, and what of them reaches the corrections feed."""

import json

import pytest
import requests

from ft_assets.raw.intake import take_up
from ft_assets.raw.schema import Correction
from ft_assets.raw.sources import list_files
from ft_resources.gateway.review import Item, Reviews, Shown
from tests.resources.gateway import world

DAY = "2026-03-02T10:00:0"
ITEMS = [
    Item(
        "log:e1", "How much?", (Shown("answer", "Ten."), Shown("other", "Two.")), ("audit",), "e1"
    ),
    Item("log:e2", "When?", (Shown("answer", "Now."),), ("badly_received",), "e2"),
]


def started(tmp_path, reviewers=1):
    reviews = Reviews(tmp_path / "gateway", tmp_path / "landing", ["legal"])
    reviews.start()
    if not reviews.waiting("legal", ""):
        reviews.put("legal", ITEMS, reviewers)
    return reviews


def decide(reviews, item, who, verdict, *, answer=0, text="", second=0):
    return reviews.decide("legal", item, who, verdict, answer, text, f"{DAY}{second}.000Z")


def fed(tmp_path):
    """The corrections as intake reads them, by item."""
    from datetime import UTC, datetime

    files = list_files([str(tmp_path / "landing" / "legal" / "corrections*")])
    intake = take_up(files, Correction, domain="legal", now=datetime(2026, 4, 1, tzinfo=UTC))
    assert intake.quarantined == []
    return {(row["source"], row["reviewer_id"], row["origin"]): row for row in intake.rows}


def test_one_reviewer_decides(tmp_path):
    reviews = started(tmp_path)
    assert decide(reviews, "log:e1", "ann", "approve", answer=1)
    assert decide(reviews, "log:e2", "ann", "correct", text="At noon.")
    assert reviews.waiting("legal", "bob") == []
    approved, corrected = fed(tmp_path).values()
    assert (approved["status"], approved["corrected_response"]) == ("approved", "Two.")
    assert (corrected["event_id"], corrected["prompt"]) == ("e2", "When?")
    assert (corrected["original_response"], corrected["corrected_response"]) == ("Now.", "At noon.")


def test_a_rejection_is_trained_on_by_nobody(tmp_path):
    reviews = started(tmp_path)
    assert decide(reviews, "log:e1", "ann", "reject")
    [row] = fed(tmp_path).values()
    assert row["status"] == "rejected"


def test_two_reviewers_must_agree(tmp_path):
    reviews = started(tmp_path, reviewers=2)
    assert not decide(reviews, "log:e1", "ann", "approve")
    assert [item.item_id for item in reviews.waiting("legal", "ann")] == ["log:e2"]
    assert [item.item_id for item in reviews.waiting("legal", "bob")] == ["log:e1", "log:e2"]
    assert [row["status"] for row in fed(tmp_path).values()] == ["pending"]
    assert not decide(reviews, "log:e1", "bob", "reject", second=1)
    assert not decide(reviews, "log:e1", "cem", "approve", answer=1, second=2)  # another answer
    assert decide(reviews, "log:e1", "dan", "reject", second=3)
    rows = fed(tmp_path).values()
    assert {row["reviewer_id"]: row["status"] for row in rows} == dict.fromkeys(
        ["ann", "bob", "cem", "dan"], "rejected"
    )
    [pair] = [one for one in reviews.agreement("legal") if one.reviewers == ("bob", "dan")]
    assert (pair.items, pair.same) == (1, 1)


def test_what_two_approve_is_approved_for_both(tmp_path):
    reviews = started(tmp_path, reviewers=2)
    decide(reviews, "log:e1", "ann", "approve")
    assert decide(reviews, "log:e1", "bob", "approve", second=1)
    assert [row["status"] for row in fed(tmp_path).values()] == ["approved", "approved"]


def test_the_same_decision_twice_counts_once(tmp_path):
    reviews = started(tmp_path, reviewers=2)
    for _ in range(3):
        assert not decide(reviews, "log:e1", "ann", "approve")
    [file] = (tmp_path / "landing" / "legal").iterdir()
    assert len(file.read_text().splitlines()) == 1
    assert reviews.agreement("legal") == []


def test_a_reviewer_may_think_again_while_it_is_open(tmp_path):
    reviews = started(tmp_path, reviewers=2)
    decide(reviews, "log:e1", "ann", "correct", text="Eight.")
    decide(reviews, "log:e1", "ann", "approve", second=1)
    assert decide(reviews, "log:e1", "bob", "approve", second=2)
    statuses = {(who, origin): row["status"] for (_, who, origin), row in fed(tmp_path).items()}
    assert statuses == {
        ("ann", "review:correct"): "rejected",
        ("ann", "review:approve"): "approved",
        ("bob", "review:approve"): "approved",
    }
    with pytest.raises(FileExistsError):
        decide(reviews, "log:e1", "ann", "reject", second=3)


def test_everything_is_there_after_a_restart(tmp_path):
    reviews = started(tmp_path, reviewers=2)
    decide(reviews, "log:e1", "ann", "approve")
    decide(reviews, "log:e2", "ann", "reject")
    decide(reviews, "log:e2", "bob", "reject", second=1)
    log = tmp_path / "gateway" / "review" / "decisions.jsonl"
    log.write_bytes(log.read_bytes() + b'{"domain":"legal","item":"log:e1","rev')  # a lost power
    again = started(tmp_path, reviewers=2)
    assert again.waiting("legal", "ann") == []
    assert [item.item_id for item in again.waiting("legal", "bob")] == ["log:e1"]
    assert again.agreement("legal") == reviews.agreement("legal")
    assert decide(again, "log:e1", "bob", "approve", second=2)
    assert started(tmp_path).waiting("legal", "cem") == []


def test_a_new_queue_keeps_what_was_decided(tmp_path):
    reviews = started(tmp_path)
    decide(reviews, "log:e1", "ann", "approve")
    newer = Item("log:e3", "Who?", (Shown("answer", "Me."),), ("audit",), "e3")
    assert reviews.put("legal", [ITEMS[0], newer], 1) == 1
    assert [item.item_id for item in reviews.waiting("legal", "ann")] == ["log:e3"]
    with pytest.raises(LookupError):
        decide(reviews, "log:e2", "ann", "approve")
    with pytest.raises(IndexError):
        decide(reviews, "log:e3", "ann", "approve", answer=1)


def test_what_was_typed_is_in_the_landing_zone_alone(tmp_path):
    reviews = started(tmp_path)
    decide(reviews, "log:e1", "ann", "correct", text="Call Zoë Quartz.")
    holding = [
        file for file in tmp_path.rglob("*") if file.is_file() and b"Quartz" in file.read_bytes()
    ]
    assert [file.parent.name for file in holding] == ["legal"]


@pytest.fixture(scope="module")
def queue(gateway):
    items = [
        {
            "item_id": f"log:h{n}",
            "event_id": f"h{n}",
            "prompt": "When?",
            "answers": [{"label": "answer", "text": "Now."}],
            "reasons": ["audit"],
        }
        for n in range(3)
    ]
    assert gateway.client.put_review("legal", items, 1) == {
        "domain": "legal",
        "items": 3,
        "open": 3,
    }
    return gateway


def call(gateway, method, path, body=None, key=world.ADMIN_KEY):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.request(method, f"{gateway.url}{path}", json=body, headers=headers, timeout=30)


def test_over_http(queue):
    state = call(queue, "GET", "/review/items").json()
    assert state["domain"] == "legal"
    assert {one["domain"] for one in state["domains"]} == set(world.DOMAINS)
    decision = {"domain": "legal", "item": "log:h0", "decision": "correct", "text": "Zoë, at noon."}
    reply = call(queue, "POST", "/review/decisions", decision).json()
    assert (reply["closed"], reply["item"]) == (True, "log:h0")
    other = {"domain": "legal", "item": "log:h0", "decision": "reject"}
    assert call(queue, "POST", "/review/decisions", other).status_code == 409
    [file] = (queue.landing / "legal").glob("corrections-review-*.jsonl")
    assert json.loads(file.read_text())["corrected_response"] == "Zoë, at noon."
    assert "noon" not in queue.log
    left = call(queue, "GET", "/review/items?domain=legal").json()["items"]
    assert [item["item_id"] for item in left] == ["log:h1", "log:h2"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"decision": "maybe"}, 400),
        ({"decision": "correct"}, 400),
        ({"decision": "correct", "text": " "}, 400),
        ({"text": "with an approval"}, 400),
        ({"answer": 1}, 400),
        ({"answer": -1}, 400),
        ({"item": "log:gone"}, 404),
        ({"domain": "sports"}, 404),
        ({"domain": None}, 404),
    ],
)
def test_a_wrong_decision(queue, change, status):
    body = {"domain": "legal", "item": "log:h2", "decision": "approve", **change}
    assert call(queue, "POST", "/review/decisions", body).status_code == status


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/review/items"), ("POST", "/review/decisions"), ("PUT", "/admin/review/legal")],
)
def test_strangers_do_not_review(queue, method, path, key):
    assert call(queue, method, path, {}, key).status_code == 401


@pytest.mark.parametrize(
    "items",
    [
        "all",
        [{"item_id": "x"}],
        [{"item_id": "x", "prompt": "p", "answers": [], "reasons": ["audit"]}],
        [{"item_id": "x", "prompt": "p", "answers": [{"label": "l"}], "reasons": ["audit"]}],
        [{"item_id": "x", "prompt": "p", "answers": [{"label": "l", "text": "t"}], "reasons": []}],
    ],
)
def test_a_wrong_queue_changes_nothing(queue, items):
    before = call(queue, "GET", "/review/items?domain=legal").json()
    reply = call(queue, "PUT", "/admin/review/legal", {"items": items, "reviewers": 1})
    assert reply.status_code == 400
    assert call(queue, "GET", "/review/items?domain=legal").json() == before


@pytest.mark.parametrize("path", ["/chat", "/review", "/pages/page.css", "/pages/chat.js"])
def test_pages_load_nothing_from_elsewhere(gateway, path):
    reply = requests.get(f"{gateway.url}{path}", timeout=30)
    assert reply.status_code == 200
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "http" not in reply.text
    assert " style=" not in reply.text


@pytest.mark.parametrize("name", ["x.js", "..%2Fauth.py", "chat", "%2e%2e/app.py"])
def test_no_other_file_is_a_page(gateway, name):
    assert requests.get(f"{gateway.url}/pages/{name}", timeout=30).status_code == 404
