import math

import numpy as np
import pytest

from ft_resources.gateway.rollout.evidence import Bounds, Evidence, Guardrail, Watch

MARGIN = 0.05


def drawn(rng, rollouts, count, canary_rate, control_rate, pi=0.5):
    pis = np.broadcast_to(pi, (rollouts, count))
    canary = (rng.random((rollouts, count)) < pis).astype(float)
    rate = np.where(canary > 0, canary_rate, control_rate)
    score = (rng.random((rollouts, count)) < rate).astype(float)
    return canary, pis, score, np.ones_like(score), np.ones_like(score)


@pytest.mark.parametrize(
    ("side", "canary_rate"), [("rollback", 0.8), ("promote", 0.8 - MARGIN)], ids=str
)
@pytest.mark.parametrize("pi", [0.5, 0.1, np.tile([0.1, 0.3, 0.5, 0.9], 10)], ids=str)
def test_wealth_does_not_grow_while_its_null_is_true(side, canary_rate, pi):
    """Also where the share changes with the base rate: pooled over both, arms would differ."""
    rng = np.random.default_rng(1)
    evidence = Evidence(MARGIN, (4000,))
    evidence.observe(*drawn(rng, 4000, 40, canary_rate, 0.8, pi))
    wealth = np.exp(getattr(evidence, f"log_{side}"))
    assert wealth.mean() < 1 + 4 * wealth.std() / math.sqrt(4000)
    assert wealth.mean() > 0.7  # a bet on nothing would keep its null as well


def test_a_base_rate_that_rises_with_the_share_is_no_difference():
    rng = np.random.default_rng(2)
    pi = np.repeat([0.1, 0.5], 150)
    rate = np.repeat([0.2, 0.9], 150)
    evidence = Evidence(MARGIN, (2000,))
    path = evidence.observe(*drawn(rng, 2000, 300, rate, rate, pi))
    assert (path.rollback.max(axis=1) > math.log(20)).mean() < 0.05 + 2 * 0.0049


def test_one_at_a_time_is_the_same_as_all_at_once():
    rng = np.random.default_rng(3)
    units = drawn(rng, 3, 200, 0.6, 0.8)
    together = Evidence(MARGIN, (3,))
    path = together.observe(*units)
    for row in range(3):
        alone, told = Evidence(MARGIN), []
        for i in range(200):
            step = alone.observe(*(part[row, i : i + 1] for part in units))
            told.append(float(step.rollback[0]))
        np.testing.assert_allclose(told, path.rollback[row], rtol=0, atol=1e-11)
        np.testing.assert_allclose(alone.promote, together.promote[row], rtol=0, atol=1e-11)
        assert alone.reactions.tolist() == together.reactions[row].tolist()


def test_a_conversation_without_a_reaction_changes_the_ratio_alone():
    evidence = Evidence(MARGIN)
    evidence.observe([1, 0, 1], [0.5] * 3, [1, 0, 1], [1, 1, 1], [1, 1, 1])
    before = evidence.to_dict()
    evidence.observe([1], [0.5], [0.0], [0], [1])
    after = evidence.to_dict()
    assert after["rollback"] == before["rollback"]
    assert after["promote"] == before["promote"]
    assert after["reactions"] == before["reactions"]
    assert after["units"] == [1.0, 3.0]
    assert after["ratio"] != before["ratio"]
    evidence.observe([1, 1], [0.5] * 2, [0.0, 1.0], [1, 0], [0, 0])  # left out wholly
    assert evidence.to_dict() == after


@pytest.mark.parametrize(("pi", "alarms"), [(0.5, False), (0.4, True)])
def test_the_ratio_of_the_arms_is_watched(pi, alarms):
    rng = np.random.default_rng(4)
    canary = (rng.random(3000) < pi).astype(float)
    evidence = Evidence(MARGIN)
    path = evidence.observe(
        canary, np.full(3000, 0.5), np.zeros(3000), np.zeros(3000), np.ones(3000)
    )
    assert bool(path.ratio.max() >= Bounds().log_ratio) is alarms


def test_a_guardrail_is_silent_at_its_limit_and_loud_above_it():
    rng = np.random.default_rng(5)
    limit = Bounds().log_guardrail(4)
    at_limit = Guardrail(0.01, (1000,))
    told = at_limit.observe(rng.random((1000, 600)) < 0.01, np.ones((1000, 600)))
    assert (told.max(axis=1) >= limit).mean() < 0.01 / 4 + 2 * 0.0016
    all_bad = Guardrail(0.01).observe(np.ones(10), np.ones(10))
    assert int((all_bad >= limit).argmax()) + 1 <= 4
    nothing = Guardrail(0.01)
    nothing.observe(np.ones(5), np.zeros(5))
    assert float(nothing.log_evidence) == pytest.approx(0.0)


def test_the_watch_after_a_promotion_finds_a_loss_and_forgets_good_times():
    rng = np.random.default_rng(6)
    watch, taken = Watch(), 0
    for canary, pi, score, reacted, _ in zip(
        *(part[0].tolist() for part in drawn(rng, 1, 2000, 0.8, 0.8)), strict=True
    ):
        watch.observe(canary > 0, pi, score, reacted > 0)
    assert watch.log_wealth < math.log(10_000)
    worse = zip(*(part[0].tolist() for part in drawn(rng, 1, 2000, 0.5, 0.8)), strict=True)
    for taken, (canary, pi, score, reacted, _) in enumerate(worse, 1):  # noqa: B007
        watch.observe(canary > 0, pi, score, reacted > 0)
        if watch.log_wealth >= math.log(10_000):
            break
    assert taken < 600


@pytest.mark.parametrize(
    "wrong",
    [{"false_promotion": 0.0}, {"false_rollback": 1.0}, {"margin": 0.0}, {"margin": 1.5}],
)
def test_bounds_that_bound_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Bounds(**wrong)
