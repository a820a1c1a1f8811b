import math

import numpy as np
import pytest

from ft_assets.evaluation.compare import Comparison, compare_shares
from ft_assets.evaluation.judge import Limits, compare_slices, judge
from ft_assets.evaluation.rules import (
    Rule,
    better_than_base,
    decision_of,
    enough_rows,
    no_more_often,
    not_worse_than_champion,
    worst_of,
)

LIMITS = Limits(0.03, 0.0, 0.1, 30, 10, 2.0, 300, 0)


def measured(mean, half, rows=100, seed_sd=0.0):
    return Comparison(mean, mean - half, mean + half, rows, 1000, 0, seed_sd)


def outcomes(decision):
    return {rule.rule: rule.outcome for rule in decision.rules}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (measured(0, 0.02), "passed"),
        # Worse than the champion, but by no more than the margin.
        (measured(0.02, 0.005), "passed"),
        (measured(0.04, 0.005), "failed"),
        (measured(0.10, 0.09), "failed"),
        (measured(0.10, 0.11), "inconclusive"),
        (measured(0.0, 0.05), "inconclusive"),
    ],
)
def test_not_worse_than_the_champion_must_be_proven(found, expected):
    assert not_worse_than_champion(found, 0.03).outcome == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (measured(-1, 0.1), "passed"),
        # Better than the base, but by no more than a reseed makes: it learned nothing.
        (measured(-0.01, 0.001), "failed"),
        (measured(0.5, 0.1), "failed"),
        (measured(-0.05, 0.04), "inconclusive"),
    ],
)
def test_better_than_the_base_must_be_proven(found, expected):
    assert better_than_base(found, 0.03).outcome == expected


def rule(outcome, name="some"):
    return Rule(name, outcome, 0.0, None, None, 1.0, "")


@pytest.mark.parametrize(
    ("given", "required", "expected"),
    [
        (["passed", "passed"], (), "passed"),
        (["passed", "inconclusive"], (), "inconclusive"),
        (["inconclusive", "failed"], (), "failed"),
        (["passed", "not_measured"], (), "passed"),
        (["passed", "not_measured"], ("some",), "inconclusive"),
    ],
)
def test_a_decision_is_the_worst_of_its_rules(given, required, expected):
    decision = decision_of([rule(outcome) for outcome in given], required)
    assert decision.outcome == expected
    assert decision.to_dict()["outcome"] == expected


def test_too_few_rows_prove_nothing_not_even_a_failure():
    assert decision_of([enough_rows(29, 30), rule("failed")]).outcome == "inconclusive"
    assert decision_of([enough_rows(30, 30), rule("failed")]).outcome == "failed"


def test_a_required_rule_must_exist():
    with pytest.raises(ValueError, match="no rule biass; there are: bias"):
        decision_of([rule("passed", "bias")], ["biass"])


def test_an_open_question_says_how_many_rows_would_settle_it():
    found = not_worse_than_champion(measured(0.0, 0.06), 0.03)
    assert "about 400 rows" in found.says
    assert not found.passed
    hopeless = not_worse_than_champion(measured(0.0, 0.06, seed_sd=0.02), 0.03)
    assert "no number of rows" in hopeless.says


def arm(losses, general=20.0):
    rows = [{"row_id": str(i), "nll": 2 * loss, "tokens": 2} for i, loss in enumerate(losses)]
    told = None
    if general:
        windows = [9 * math.log(general) + off for off in (-1, 0, 1)]
        told = {"perplexity": general, "tokens": 27, "windows": windows, "window_tokens": [9] * 3}
    return {"rows": rows, "general": told}


def test_judging_a_score_file():
    base = np.random.default_rng(0).normal(5, 1, 60)
    good = {"base": arm(base), "candidate": arm(base - 1, 30.0)}
    decision, judged = judge(good, {}, LIMITS)
    assert decision.outcome == "passed"
    assert judged.comparisons["base"].mean == pytest.approx(-1)
    assert outcomes(decision) == {
        "enough_rows": "passed",
        "better_than_base": "passed",
        "worst_slice": "not_measured",
        "general_kept": "passed",
    }
    [general] = [r for r in decision.rules if r.rule == "general_kept"]
    assert (general.value, general.low, general.high) == pytest.approx((1.5, 1.5, 1.5))
    decision, judged = judge({**good, "champion": arm(base - 1.2)}, {}, LIMITS)
    assert decision.outcome == "failed"
    assert judged.comparisons["champion"].mean == pytest.approx(0.2)
    forgetful = {**good, "candidate": arm(base - 1, 41.0)}
    assert outcomes(judge(forgetful, {}, LIMITS)[0])["general_kept"] == "failed"
    without = {"base": arm(base, None), "candidate": arm(base - 1, None)}
    assert "general_kept" not in outcomes(judge(without, {}, LIMITS)[0])
    blocked = judge(good, {}, LIMITS, [rule("failed", "memorization")])[0]
    assert blocked.outcome == "failed"


def test_a_slice_that_got_worse_is_refused_though_the_mean_is_fine():
    dice = np.random.default_rng(0)
    base = dice.normal(5, 1, 200)
    champion = base - 1
    topics = ["cards"] * 30 + ["loans"] * 170
    candidate = champion + np.where(np.array(topics) == "cards", 0.3, -0.2)
    candidate += dice.normal(0, 0.1, 200)
    arms = {"base": arm(base), "champion": arm(champion), "candidate": arm(candidate)}
    decision, judged = judge(arms, {"topic": topics}, LIMITS)
    assert decision.outcome == "failed"
    assert outcomes(decision)["not_worse_than_champion"] == "passed"
    [worst] = [r for r in decision.rules if r.rule == "worst_slice"]
    assert "topic cards" in worst.says
    assert worst.value == pytest.approx(0.3, abs=0.06)
    assert judged.slices["topic loans"].mean < 0


def test_slices_of_chance_are_seldom_refused():
    dice = np.random.default_rng(0)
    slices = {"topic": [str(i % 8) for i in range(240)], "whole": ["en"] * 240}
    refused = 0
    for _ in range(200):
        harmless = dice.normal(0, 0.3, 240)
        found = compare_slices(harmless, np.zeros(240), slices, LIMITS)
        assert len(found) == 8
        refused += worst_of("worst_slice", "slice", found, 0.0, 10).outcome == "failed"
    assert refused / 200 <= 0.08


def test_slices_with_few_rows_and_rows_without_a_value_are_left_out():
    slices = {"topic": ["a"] * 9 + ["b"] * 10 + [""] * 21}
    assert set(compare_slices(np.ones(40), np.zeros(40), slices, LIMITS)) == {"topic b"}


def test_unsafe_answers():
    few = compare_shares([True] * 3 + [False] * 61, [False] * 64)
    assert no_more_often("toxic_answers", "toxic", few, 0.02).outcome == "passed"
    many = compare_shares([True] * 10 + [False] * 54, [False] * 64)
    found = no_more_often("toxic_answers", "toxic", many, 0.02)
    assert found.outcome == "failed"
    assert "15.6% of 64, the base 0.0%" in found.says
    missing = no_more_often("bias", "bias", None, 0.02, "no file")
    assert (missing.outcome, missing.says) == ("not_measured", "not measured: no file")
