import pytest

from ft_assets.feedback.signals import (
    from_evaluation,
    preference_pairs,
    review_queue,
    signals,
)


def event(event_id="e1", **fields):
    return {
        "event_id": event_id,
        "week": "2026-08-31",
        "ts": f"2026-09-01T00:00:0{event_id[-1]}.000Z",
        "user": "u",
        "conversation": "c",
        "model_version": "m",
        "prompt": "p",
        "response": "r",
        "thumb": None,
        "rating": None,
        "correction": None,
        "regenerated": False,
        "clicked": False,
        **fields,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"thumb": "up"}, {"thumb": 1.0}),
        ({"thumb": "down", "rating": 1}, {"thumb": 0.0, "rating": 0.0}),
        ({"rating": 3}, {"rating": 0.5}),
        ({"rating": 5.0, "clicked": True}, {"rating": 1.0, "clicked": 0.75}),
        ({"regenerated": True, "correction": "x"}, {"correction": 0.25, "regenerated": 0.25}),
    ],
)
def test_scores(fields, expected):
    assert {row["signal"]: row["score"] for row in signals([event(**fields)])} == expected


def test_explicit_signals_are_told_apart():
    rows = signals([event(thumb="up", clicked=True)])
    assert {row["signal"]: row["explicit"] for row in rows} == {"thumb": True, "clicked": False}


def test_a_correction_is_a_pair():
    [pair] = preference_pairs([event(correction="better")], {"u"})
    assert (pair["chosen"], pair["rejected"], pair["origin"]) == ("better", "r", "correction")


def test_a_retry_that_was_kept_is_a_pair():
    events = [event("e2", response="new"), event("e1", regenerated=True)]
    [pair] = preference_pairs(events, {"u"})
    assert (pair["chosen"], pair["rejected"], pair["origin"]) == ("new", "r", "retry")


@pytest.mark.parametrize(
    "second",
    [
        {"response": "r"},  # the same answer again
        {"response": "new", "regenerated": True},  # not kept either
        {"response": "new", "prompt": "another"},
        {"response": "new", "conversation": "another"},
    ],
)
def test_what_is_no_retry(second):
    assert not preference_pairs([event("e1", regenerated=True), event("e2", **second)], {"u"})


def test_nobody_without_consent():
    assert not preference_pairs([event(correction="better")], {"someone else"})


def test_the_review_queue_is_worst_first_without_corrected_ones():
    events = [
        event("e1", thumb="down"),
        event("e2", rating=2),
        event("e3", thumb="up"),
        event("e4", thumb="down", correction="done"),
        event("e5"),
    ]
    rows = review_queue(events, signals(events))
    assert [row["event_id"] for row in rows] == ["e1", "e2"]


def test_pairs_of_a_user_are_capped_by_week():
    events = [event(f"e{n}", correction=f"better {n}") for n in range(5)]
    events += [event("e5", correction="better", week="2026-09-07"), event("e6", user="v")]
    events[-1]["correction"] = "mine"
    kept = preference_pairs(events, {"u", "v"}, max_per_week=2)
    assert len([pair for pair in kept if pair["week"] == "2026-08-31"]) == 3
    assert {pair["event_id"] for pair in kept} >= {"e5", "e6"}
    assert preference_pairs(events[::-1], {"u", "v"}, max_per_week=2) == kept


def test_the_review_queue_does_not_hear_ignored_raters():
    events = [event("e1", thumb="down"), event("e2", thumb="down", user="spammer")]
    rows = review_queue(events, signals(events), {"spammer"})
    assert [row["event_id"] for row in rows] == ["e1"]
    regenerated = [event("e3", thumb="up", regenerated=True, user="spammer")]
    assert len(review_queue(regenerated, signals(regenerated), {"spammer"})) == 1


def test_rows_of_an_evaluation_join_the_queue():
    picked = {"row_id": "own:1", "prompt": "p", "response": "r", "reason": "toxic_answer"}
    [row] = from_evaluation([{**picked, "value": 1.0, "adapter": "law@2"}])
    [received] = review_queue([event(thumb="down")], signals([event(thumb="down")]))
    assert row.keys() == received.keys()
    assert (row["origin"], row["reason"], row["model_version"]) == (
        *("evaluation", "toxic_answer"),
        "law@2",
    )
    assert received["reason"] == "badly_received"
