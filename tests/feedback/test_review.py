"""What gets into the queue, why, in which order, and what stands beside it."""

import pytest

from ft_assets.feedback.review import ReviewPolicy, from_evaluation, review_queue, to_items
from ft_assets.feedback.reviewed import agreement_table, decided_answers
from ft_assets.feedback.signals import signals
from ft_resources.gateway.review_routes import read_items
from tests.feedback.test_signals import event

SILENT = ReviewPolicy(audit_share=0)


def queue(*events, verdicts=None, decided=(), policy=SILENT, ignored=()):
    return review_queue(events, signals(events), verdicts or {}, decided, policy, ignored)


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({}, None),
        ({"thumb": "up"}, None),
        ({"thumb": "down"}, ["badly_received"]),
        ({"rating": 2}, ["badly_received"]),
        ({"thumb": "up", "regenerated": True}, ["low_agreement"]),
        ({"rating": 1, "thumb": "up"}, ["low_agreement"]),
        ({"thumb": "down", "correction": "done"}, None),
        ({"prompt": "What DOSAGE for a child?"}, ["high_stakes"]),
        ({"response": "take the dosage", "thumb": "down"}, ["high_stakes", "badly_received"]),
        ({"comment": "hm"}, None),
    ],
)
def test_reasons(fields, reasons):
    rows = queue(event(**fields), policy=ReviewPolicy([r"\bdosage\b"], audit_share=0))
    assert [row["reasons"] for row in rows] == ([reasons] if reasons else [])
    assert [row["reason"] for row in rows] == ([reasons[0]] if reasons else [])


def test_the_most_pressing_come_first():
    events = [
        event("e1", thumb="down"),
        event("e2", rating=2),
        event("e3", prompt="dosage"),
        event("e4"),
        event("e5", thumb="down"),
    ]
    policy = ReviewPolicy(["dosage"], audit_share=0, max_items=4)
    rows = queue(*events, verdicts={"e4": "toxic", "e1": "too_short"}, policy=policy)
    assert [row["event_id"] for row in rows] == ["e4", "e3", "e5", "e1"]


def test_an_audit_is_a_share_drawn_by_hash():
    events = [event(f"e{n}") for n in range(2_000)]
    drawn = queue(*events, policy=ReviewPolicy(audit_share=0.1, max_items=2_000))
    assert 140 < len(drawn) < 260
    assert {row["reason"] for row in drawn} == {"audit"}
    again = queue(*events[::-1], policy=ReviewPolicy(audit_share=0.1, max_items=2_000))
    assert [row["event_id"] for row in again] == [row["event_id"] for row in drawn]
    other = ReviewPolicy(audit_share=0.1, max_items=2_000, salt="audit-2")
    assert {row["event_id"] for row in queue(*events, policy=other)} != {
        row["event_id"] for row in drawn
    }


def test_ignored_raters_count_for_nothing():
    events = [event("e1", thumb="down"), event("e2", thumb="down", user="spammer")]
    assert [row["event_id"] for row in queue(*events, ignored={"spammer"})] == ["e1"]
    regenerated = event("e3", thumb="up", regenerated=True, user="spammer")
    assert len(queue(regenerated, ignored={"spammer"})) == 1


def test_what_was_decided_leaves():
    assert not queue(event(thumb="down"), decided={"e1"})


def test_answers_to_the_same_question_stand_beside_each_other():
    events = [
        event("e1", regenerated=True, response="first"),
        event("e2", response="second", correction="own"),
        event("e3", response="elsewhere", conversation="other"),
    ]
    [row] = queue(*events)
    assert [answer["text"] for answer in row["answers"]] == ["first", "second", "own"]


def test_the_gateway_takes_the_queue():
    picked = {"row_id": "own:1", "prompt": "p", "response": "r", "reason": "toxic_answer"}
    evaluated = from_evaluation([{**picked, "value": 1.0, "adapter": "law@2"}])
    received = queue(event(thumb="down"))
    assert evaluated[0].keys() == received[0].keys()
    items = read_items(to_items([*received, *evaluated]))
    assert [(item.item_id, item.event_id) for item in items] == [
        ("log:e1", "e1"),
        ("evaluation:own:1", None),
    ]
    assert items[1].reasons == ("toxic_answer",)


def correction(item, reviewer, verdict, status, ts="1"):
    return {
        "event_id": item,
        "source": f"review:{item}",
        "origin": f"review:{verdict}",
        "reviewer_id": reviewer,
        "status": status,
        "ts": ts,
    }


def test_decisions_are_read_back_from_the_feed():
    rows = [
        correction("e1", "ann", "approve", "approved"),
        correction("e1", "bob", "approve", "approved"),
        correction("e2", "ann", "reject", "rejected"),
        correction("e2", "bob", "reject", "rejected"),
        correction("e3", "ann", "reject", "rejected", ts="2"),  # thought again
        correction("e3", "ann", "correct", "pending", ts="2"),
        correction("e3", "bob", "reject", "pending", ts="3"),
        {**correction("e4", None, "approve", "approved"), "source": None, "origin": None},
    ]
    assert decided_answers(rows) == {"e1", "e2", "e4"}
    assert agreement_table(rows) == [["ann and bob", 3, 2, "0.50"]]
