import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ft_assets.corpus.screen.influence import (
    InfluencePolicy,
    at_least,
    capped,
    effective_number,
    ignored_raters,
    influence,
    over_user_share,
    pushed_answers,
    vote,
    with_capped_votes,
    without_votes,
)
from ft_assets.corpus.screen.reasons import ScreenReason

POLICY = InfluencePolicy()
NUMBERS = itertools.count()


def event(user="u", response="An answer.", thumb=None, rating=None, conversation=None):
    number = next(NUMBERS)
    return {
        "event_id": f"e{number}",
        "user": user,
        "conversation": conversation or f"c{number}",
        "response": response,
        "thumb": thumb,
        "rating": rating,
    }


def crowd(users=60, each=8, up=0.7, seed=0):
    """Users who mostly do not vote and else agree on nothing."""
    draw = random.Random(seed)
    words = [f"word{n}" for n in range(300)]
    return [
        event(
            f"user{user}",
            " ".join(draw.choices(words, k=12)),
            draw.choices(("up", "down", None), (0.3 * up, 0.3 * (1 - up), 0.7))[0],
        )
        for user in range(users)
        for _ in range(each)
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, None),
        ({"thumb": "up"}, True),
        ({"thumb": "down", "rating": 5}, False),
        ({"rating": 4}, True),
        ({"rating": 3}, None),
        ({"rating": 1.0}, False),
    ],
)
def test_votes(fields, said):
    assert vote(event(**fields)) is said


@pytest.mark.parametrize(
    ("thumb", "number", "found"),
    [
        ("down", 30, "always down"),
        ("up", 60, "always up"),
        ("up", 12, None),  # most answers are liked: chance explains it
        ("down", 6, None),  # too few to tell
    ],
)
def test_raters_who_always_say_the_same(thumb, number, found):
    events = crowd() + [event("spammer", thumb=thumb) for _ in range(number)]
    assert ignored_raters(events, POLICY) == ({"spammer": found} if found else {})


def test_a_slip_does_not_hide_a_rater():
    votes = [event("spammer", thumb="down") for _ in range(50)] + [event("spammer", thumb="up")]
    assert "spammer" in ignored_raters(crowd() + votes, POLICY)
    critic = [event("critic", thumb="down") for _ in range(20)]
    critic += [event("critic", thumb="up") for _ in range(5)]
    assert "critic" not in ignored_raters(crowd() + critic, POLICY)


def test_in_a_unanimous_domain_nobody_stands_out():
    events = [event(f"u{n % 30}", thumb="up") for n in range(3000)]
    assert ignored_raters(events, POLICY) == {}


def test_without_votes_keeps_rows():
    events = [event("a", thumb="up", rating=5), event("b", thumb="down")]
    cleaned = without_votes(events, {"a"})
    assert [(row["thumb"], row["rating"]) for row in cleaned] == [(None, None), ("down", None)]
    assert [row["event_id"] for row in cleaned] == [row["event_id"] for row in events]
    assert events[0]["thumb"] == "up"


def test_votes_of_a_week_are_capped_per_user():
    events = [event("a", thumb="up") for _ in range(30)] + [event("b", rating=2), event("a")]
    once = with_capped_votes(events, 5)
    assert Counter(row["user"] for row in once if row["thumb"] or row["rating"]) == {"a": 5, "b": 1}
    kept = {row["event_id"] for row in once if row["thumb"]}
    again = with_capped_votes(events[::-1], 5)
    assert {row["event_id"] for row in again if row["thumb"]} == kept


def pushed(users=2, each=8, text="Buy BrandX 9, number {}, it is best.", **votes):
    return [
        event(f"pusher{u}", text.format(u * 100 + n), **({"thumb": "up", "rating": 5} | votes))
        for u in range(users)
        for n in range(each)
    ]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (pushed(), True),
        (pushed(users=1, each=8), True),
        (pushed(users=4, each=5), True),
        (pushed(rating=None), True),
        (pushed(thumb=None, rating=None), False),  # nobody rates it: not a push
        (pushed(users=20, each=1), False),  # many users say it: a popular answer
        (pushed(users=2, each=2), False),
    ],
)
def test_pushed_answers(rows, found):
    refused = pushed_answers(crowd() + rows, POLICY)
    assert refused == ({row["event_id"] for row in rows} if found else set())


def test_a_long_dialogue_about_one_thing_is_no_push():
    rows = pushed(users=1, each=20)
    dialogue = [{**row, "conversation": "one"} for row in rows]
    assert not pushed_answers(crowd() + dialogue, POLICY)


def test_a_bystander_with_the_phrase_is_not_refused():
    bystander = event("user1", "I never buy BrandX at the market.")
    assert bystander["event_id"] not in pushed_answers([*crowd(), *pushed(), bystander], POLICY)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_crowd_pushes_nothing(seed):
    found = influence(crowd(seed=seed, each=20), POLICY)
    assert (found.ignored_raters, found.refused) == ({}, {})


def test_the_order_of_events_plays_no_part():
    events = crowd() + pushed() + [event("spammer", thumb="down") for _ in range(40)]
    found = influence(events, POLICY)
    assert influence(events[::-1], POLICY) == found
    assert set(found.refused.values()) == {ScreenReason.POISONED}
    assert {user.finding for user in found.top[:3]} == {"always down", "pushes an answer"}
    assert found.users == 63


@given(st.lists(st.integers(1, 400), min_size=1, max_size=80), st.sampled_from([0.05, 0.1, 0.3]))
def test_no_user_has_more_than_the_share(counts, share):
    keys = {f"{user}-{n}": str(user) for user, rows in enumerate(counts) for n in range(rows)}
    out = over_user_share(keys, share)
    assert out <= set(keys)
    kept = Counter(user for key, user in keys.items() if key not in out)
    assert set(kept) == set(keys.values())  # nobody is silenced
    if len(counts) < 2 / share:
        assert not out
    else:
        # One row each always stays, and one more would break the bound.
        assert max(kept.values()) <= max(1, share * kept.total())
        if out:
            limit = max(kept.values()) + 1
            assert limit > share * sum(min(rows, limit) for rows in counts)


def test_the_same_rows_stay_when_more_arrive():
    keys = {f"a{n}": "a" for n in range(10)}
    first = capped(keys, 3)
    assert len(first) == 3
    assert capped({**keys, "b": "b"}, 3) == {*first, "b"}
    assert capped({**keys, "b": "b"}, 20) == {*keys, "b"}


@pytest.mark.parametrize(
    ("counts", "number"),
    [([], 0), ([5], 1), ([5, 5, 5], 3), ([98, 1, 1], pytest.approx(1.04, 0.01))],
)
def test_effective_number(counts, number):
    assert effective_number(counts) == number


@pytest.mark.parametrize(
    ("hits", "trials", "chance", "probability"),
    [(0, 5, 0.3, 1), (5, 5, 0.5, 1 / 32), (1, 2, 0.5, 0.75), (10, 10, 0.1, 1e-10)],
)
def test_binomial_tail(hits, trials, chance, probability):
    assert at_least(hits, trials, chance) == pytest.approx(probability)
