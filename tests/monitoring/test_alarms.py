import itertools
import math

import pytest

from ft_assets.monitoring.alarms import (
    WEEKS_A_YEAR,
    Limit,
    Normal,
    Policy,
    Remedy,
    State,
    limit_of,
    remedy_for,
    state_of,
)
from ft_assets.monitoring.effects import Stream

POLICY = Policy(domains=4)
WORDS = Stream.PROMPT_WORDS


def test_all_tests_of_a_year_spend_the_budget_and_looks_share_it():
    tests = WEEKS_A_YEAR * 4 * len(Stream)
    looks = sum(POLICY.level(look) for look in range(1, 20_000))
    assert looks * tests == pytest.approx(4.0, rel=1e-3)
    assert Policy(domains=8).level() == pytest.approx(POLICY.level() / 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"score_limit": 0.5}, "score_limit must lie between 0.5 and 1, got 0.5"),
        ({"clears_at": 1.0}, "clears_at must lie between 0 and 1, got 1.0"),
        ({"false_alarms_per_year": 0}, "false_alarms_per_year must be above 0, got 0"),
        ({"min_rows": 5}, "min_rows must be 10 or more and at most max_rows, got 5 and 2000"),
        ({"max_rows": 20}, "min_rows must be 10 or more and at most max_rows, got 50 and 20"),
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Policy(domains=4, **wrong)


def test_the_limit_rises_with_the_scatter_of_the_weeks_and_never_falls_below_the_floor():
    drawn = (0.50, 0.51, 0.49, 0.5, 0.505, 0.495)
    calm, wild = (0.5, 0.51, 0.5, 0.49), (0.5, 0.6, 0.45, 0.55)
    assert limit_of(WORDS, Normal(calm, drawn), 1.0, POLICY, 1).raised == 0.6
    higher = limit_of(WORDS, Normal(wild, drawn), 1.0, POLICY, 1)
    assert 0.65 < higher.raised < 0.99
    assert limit_of(WORDS, Normal(wild, drawn), 1.0, POLICY, 3).raised > higher.raised
    assert higher.cleared == pytest.approx(0.525 + 0.6 * (higher.raised - 0.525))


def test_without_any_normal_week_nothing_is_an_alarm():
    assert limit_of(WORDS, Normal((), ()), 1.0, POLICY, 1).raised == 0.99


def test_the_limit_of_a_share_follows_chance():
    few, many = (limit_of(Stream.VOTES, Normal((), ()), c, POLICY, 1) for c in (0.3, 0.01))
    assert few.raised > 1
    assert many.raised == 0.2


def test_a_limit_holds_its_level():
    """Weeks of one normal population, judged against eight others and eight draws."""
    import numpy as np

    dice = np.random.default_rng(0)
    wide = Policy(domains=1, false_alarms_per_year=52 * len(Stream) * 0.05)
    level = wide.level()
    outside = 0
    for _ in range(3000):
        *values, now = dice.normal(0.7, 0.1, 17)
        normal = Normal(tuple(values[:8]), tuple(values[8:]))
        outside += now > limit_of(WORDS, normal, 1.0, wide, 1).raised
    assert outside / 3000 == pytest.approx(level, abs=3 * math.sqrt(level / 3000))


def test_an_alarm_ends_below_the_lower_limit_alone():
    limit = Limit(0.6, 0.56)
    on, states = False, []
    for effect in (0.55, 0.58, 0.61, 0.58, 0.57, 0.55, 0.58):
        states.append(state_of(effect, limit, on))
        on = states[-1] in (State.ALARM, State.HELD)
    assert [str(state) for state in states] == [
        *("quiet", "quiet", "alarm", "held", "held", "quiet", "quiet")
    ]


def test_remedies():
    every = {
        on: remedy_for(on)[0]
        for size in range(len(Stream) + 1)
        for on in itertools.combinations(Stream, size)
    }
    assert every[()] is Remedy.NONE
    for on, remedy in every.items():
        if Stream.PROMPT_WORDS in on:
            assert remedy is Remedy.RETRAIN
        elif {Stream.VOTES, Stream.REDONE, Stream.ANSWER_WORDS} & set(on):
            assert remedy is Remedy.RELABEL
        elif on:
            assert remedy is Remedy.TELL
    assert "votes" in remedy_for({Stream.PROMPT_WORDS, Stream.VOTES})[1]
