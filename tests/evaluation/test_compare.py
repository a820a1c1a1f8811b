import numpy as np
import pytest

from ft_assets.evaluation.compare import Comparison, compare, decide, judge


def measured(mean, half, rows=100):
    return Comparison(mean, mean - half, mean + half, rows, resamples=1000, seed=0)


def outcomes(decision):
    return {rule.rule: rule.outcome for rule in decision.rules}


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        losses = generator.normal(0.1, 0.5, 80)
        found = compare(losses, np.zeros(80), resamples=400, seed=trial)
        inside += found.low <= 0.1 <= found.high
    assert 0.90 <= inside / 200 <= 0.99


def test_a_comparison_is_repeatable_and_has_a_direction():
    generator = np.random.default_rng(0)
    a, b = generator.normal(2, 1, 50), generator.normal(3, 1, 50)
    found = compare(a, b, resamples=500, seed=3)
    assert found == compare(a, b, resamples=500, seed=3)
    assert found.mean == pytest.approx(float((a - b).mean()))
    assert found.low < found.mean < found.high < 0
    assert compare(b, a, resamples=500, seed=3).mean == pytest.approx(-found.mean)


def test_pairing_matters():
    base = np.random.default_rng(0).normal(5, 3, 60)
    found = compare(base - 0.1, base, resamples=300, seed=0)
    assert found.low == pytest.approx(-0.1)
    assert found.high == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("candidate", "reference", "says"),
    [
        ([1.0], [1.0, 2.0], "same rows"),
        ([], [], "no rows"),
        ([1.0, float("nan")], [1.0, 1.0], "1 losses are not finite, the first in row 1"),
    ],
)
def test_what_cannot_be_compared(candidate, reference, says):
    with pytest.raises(ValueError, match=says):
        compare(candidate, reference, resamples=100, seed=0)


@pytest.mark.parametrize(
    ("base", "champion", "ratio", "expected"),
    [
        (measured(-1, 0.1), None, 1.5, "passed"),
        (measured(-1, 0.1), measured(0, 0.02), 1.5, "passed"),
        # Worse than the champion, but by no more than a reseed makes.
        (measured(-1, 0.1), measured(0.02, 0.005), 1.5, "passed"),
        (measured(-1, 0.1), measured(0.04, 0.005), 1.5, "failed"),
        (measured(-1, 0.1), measured(0.10, 0.09), 1.5, "failed"),
        (measured(-1, 0.1), measured(0.10, 0.11), 1.5, "inconclusive"),
        (measured(-1, 0.1), measured(0.0, 0.05), 1.5, "inconclusive"),
        # Better than the base, but by no more than a reseed makes: an adapter that learned nothing.
        (measured(-0.01, 0.001), None, 1.5, "failed"),
        (measured(0.5, 0.1), None, 1.5, "failed"),
        (measured(-0.05, 0.04), None, 1.5, "inconclusive"),
        (measured(-1, 0.1), None, 4.1, "failed"),
        (measured(-1, 0.1), None, None, "passed"),
        # Failed weighs more than inconclusive.
        (measured(-1, 0.1), measured(0.0, 0.05), 4.1, "failed"),
        # Too few rows prove nothing, not even a failure.
        (measured(1, 0.1, rows=29), None, 4.1, "inconclusive"),
        (measured(-1, 0.1, rows=30), None, 1.5, "passed"),
    ],
)
def test_decisions(base, champion, ratio, expected):
    decision = decide(
        base, champion, margin=0.03, min_rows=30, general_ratio=ratio, max_general_ratio=4.0
    )
    assert decision.outcome == expected
    assert decision.to_dict()["outcome"] == expected
    asked = {"enough_rows", "better_than_base"}
    asked |= {"not_worse_than_champion"} if champion else set()
    asked |= {"general_kept"} if ratio else set()
    assert set(outcomes(decision)) == asked


def test_an_open_question_says_how_many_rows_would_settle_it():
    decision = decide(measured(-1, 0.1), measured(0.0, 0.06), margin=0.03, min_rows=30)
    [rule] = [r for r in decision.rules if r.rule == "not_worse_than_champion"]
    assert "about 400 rows" in rule.says
    assert not rule.passed


def arm(losses, general=20.0):
    rows = [{"row_id": str(i), "nll": 2 * loss, "tokens": 2} for i, loss in enumerate(losses)]
    return {"rows": rows, "general": {"perplexity": general, "tokens": 9} if general else None}


def test_judging_a_score_file():
    generator = np.random.default_rng(0)
    base = generator.normal(5, 1, 60)
    limits = {
        "margin": 0.03,
        "min_rows": 30,
        "max_general_ratio": 2.0,
        "resamples": 300,
        "seed": 0,
    }
    good = {"base": arm(base), "candidate": arm(base - 1, 30.0)}
    decision, comparisons = judge(good, **limits)
    assert decision.outcome == "passed"
    assert comparisons["base"].mean == pytest.approx(-1)
    decision, comparisons = judge({**good, "champion": arm(base - 1.2)}, **limits)
    assert decision.outcome == "failed"
    assert comparisons["champion"].mean == pytest.approx(0.2)
    forgetful = {**good, "candidate": arm(base - 1, 41.0)}
    assert outcomes(judge(forgetful, **limits)[0])["general_kept"] == "failed"
    without = {"base": arm(base, None), "candidate": arm(base - 1, None)}
    assert "general_kept" not in outcomes(judge(without, **limits)[0])
