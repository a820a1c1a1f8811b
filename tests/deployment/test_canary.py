from dataclasses import replace

import pytest

from ft_assets.deployment.canary import Limits, Replay, judge, sample

LIMITS = Limits(
    max_error_share=0.0, max_empty_share=0.2, max_latency_ratio=3.0, max_loss_gap_nats=0.1
)
GOOD = Replay(requests=10, errors=0, empty=0, latencies_ms=(10.0,) * 10, losses=(2.0, 2.2, 1.8))


def broken(canary, champion=GOOD):
    verdict = judge(canary, champion, LIMITS)
    assert (verdict.decision == "rolled_back") is any(not rule.passed for rule in verdict.rules)
    return [rule.rule for rule in verdict.rules if not rule.passed]


@pytest.mark.parametrize(
    ("canary", "rules"),
    [
        (GOOD, []),
        (replace(GOOD, errors=1), ["error share"]),
        (replace(GOOD, empty=2), []),
        (replace(GOOD, empty=3), ["empty answers"]),
        (replace(GOOD, latencies_ms=(30.0,) * 10), []),
        (replace(GOOD, latencies_ms=(31.0,) * 10), ["p95 latency ratio"]),
        (replace(GOOD, losses=(2.09,)), []),
        (replace(GOOD, losses=(2.11,)), ["loss gap to champion, nats"]),
        (replace(GOOD, errors=5, empty=9), ["error share", "empty answers"]),
    ],
)
def test_both_sides_of_every_limit(canary, rules):
    assert broken(canary) == rules


def test_a_champion_that_is_often_empty_excuses_the_canary():
    assert broken(replace(GOOD, empty=5), replace(GOOD, empty=4)) == []


def test_the_first_adapter_is_judged_alone():
    verdict = judge(replace(GOOD, losses=(9.0,), latencies_ms=(9000.0,)), None, LIMITS)
    assert verdict.decision == "promoted"
    assert judge(replace(GOOD, errors=1), None, LIMITS).decision == "rolled_back"


@pytest.mark.parametrize("champion", [GOOD, None])
@pytest.mark.parametrize(
    "canary",
    [
        replace(GOOD, requests=0),
        replace(GOOD, losses=()),
        replace(GOOD, losses=(1.0, float("nan"))),
        replace(GOOD, losses=(float("inf"),)),
    ],
)
def test_what_was_not_measured_is_never_promoted(canary, champion):
    assert judge(canary, champion, LIMITS).decision == "rolled_back"


def test_the_sample_is_spread_and_stable():
    rows = [{"n": n} for n in range(100)]
    assert [row["n"] for row in sample(rows, 4)] == [0, 25, 50, 75]
    assert sample(rows[:3], 4) == rows[:3]
