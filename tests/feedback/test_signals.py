import pytest

from ft_assets.feedback.signals import edit_share, preference_pairs, signals


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
        ({"regenerated": True, "correction": ""}, {"regenerated": 0.25}),
        ({"correction": "x"}, {"correction": 0.25, "edit_share": 0.0}),
        ({"edit_share": 0.25}, {"edit_share": 0.75}),
        ({"edit_share": float("nan")}, {}),
        ({"copied": True, "abandoned": True}, {"copied": 0.75, "abandoned": 0.25}),
        ({"comment": "too long"}, {"comment": None}),
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


@pytest.mark.parametrize(
    "bad", [{"thumb": "down"}, {"rating": 2}, {"abandoned": True}, {"regenerated": True}]
)
def test_a_retry_after_a_bad_answer_is_a_pair(bad):
    [pair] = preference_pairs([event("e1", **bad), event("e2", response="new")], {"u"})
    assert (pair["chosen"], pair["rejected"], pair["origin"]) == ("new", "r", "retry")
    assert not preference_pairs([event("e1", rating=3), event("e2", response="new")], {"u"})
    assert not preference_pairs([event("e1", **bad), event("e2", response="new", **bad)], {"u"})


def test_a_reviewers_correction_is_a_pair():
    def example(event_id, response="better"):
        return {"example_id": "x", "event_id": event_id, "response": response}

    reviewed = [example("e1"), example("gone"), example(None), example("e2", "r")]
    events = [event("e1"), event("e2"), event("e3", user="v")]
    [pair] = preference_pairs(events, {"u"}, reviewed=[*reviewed, example("e3")])
    assert (pair["event_id"], pair["chosen"], pair["rejected"]) == ("e1", "better", "r")
    assert pair["origin"] == "review"


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a b c x", 0.25),
        ("a b", "x y", 1.0),
        ("", "x", None),
        ("a", None, None),
    ],
)
def test_the_share_of_an_answer_that_was_changed(before, after, share):
    assert edit_share(event(response=before, correction=after)) == share


def test_nobody_without_consent():
    assert not preference_pairs([event(correction="better")], {"someone else"})


def test_pairs_of_a_user_are_capped_by_week():
    events = [event(f"e{n}", correction=f"better {n}") for n in range(5)]
    events += [event("e5", correction="better", week="2026-09-07"), event("e6", user="v")]
    events[-1]["correction"] = "mine"
    kept = preference_pairs(events, {"u", "v"}, max_per_week=2)
    assert len([pair for pair in kept if pair["week"] == "2026-08-31"]) == 3
    assert {pair["event_id"] for pair in kept} >= {"e5", "e6"}
    assert preference_pairs(events[::-1], {"u", "v"}, max_per_week=2) == kept
