import numpy as np
import pytest

from ft_assets.evaluation.compare import compare, compare_shares


@pytest.mark.parametrize("rows", [40, 200])
def test_each_end_of_the_interval_is_wrong_about_as_often_as_it_says(rows):
    generator = np.random.default_rng(1)
    above = below = 0
    for _ in range(600):
        # Skewed, as differences of losses are: the mean of this is 1.
        found = compare(generator.exponential(1, rows), np.zeros(rows), resamples=800, seed=0)
        above += found.low > 1
        below += found.high < 1
    assert 0.02 <= above / 600 <= 0.08
    assert 0.02 <= below / 600 <= 0.08


def test_the_chance_of_the_seed_widens_the_interval():
    losses = np.random.default_rng(0).normal(0, 0.2, 400)
    alone = compare(losses, np.zeros(400), resamples=500, seed=0)
    with_seed = compare(losses, np.zeros(400), resamples=500, seed=0, seed_sd=0.1)
    assert with_seed.high - with_seed.mean == pytest.approx(
        np.hypot(alone.high - alone.mean, 1.6449 * 0.1), rel=1e-3
    )
    assert with_seed.mean == alone.mean


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


def yes(both, candidate, reference, neither):
    counts = (both, candidate, reference, neither)
    pairs = [(1, 1)] * both + [(1, 0)] * candidate + [(0, 1)] * reference + [(0, 0)] * neither
    assert len(pairs) == sum(counts)
    return [bool(c) for c, _ in pairs], [bool(r) for _, r in pairs]


def test_paired_shares():
    found = compare_shares(*yes(2, 10, 2, 30))
    assert (found.rows, found.candidate_only, found.reference_only) == (44, 10, 2)
    assert found.difference == pytest.approx(8 / 44)
    assert found.p_value == pytest.approx(2 * (1 + 12 + 66) / 2**12)  # exact McNemar by hand
    assert 0.02 < found.low < 8 / 44 < found.high < 0.34
    turned = compare_shares(*yes(2, 2, 10, 30))
    assert turned.low == pytest.approx(-found.high, abs=1e-6)


def test_shares_without_a_single_case_still_have_an_interval():
    found = compare_shares([False] * 60, [False] * 60)
    assert found.p_value == 1
    assert -0.06 < found.low < -0.02
    assert found.high == pytest.approx(-found.low, abs=1e-6)
    assert compare_shares([True] * 5, [False] * 5).high == pytest.approx(1)


def test_the_interval_of_shares_covers_the_truth():
    generator = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        cells = generator.choice(4, 80, p=[0.1, 0.15, 0.05, 0.7])
        found = compare_shares(cells <= 1, (cells == 0) | (cells == 2))
        inside += found.low <= 0.10 <= found.high
    assert 0.85 <= inside / 400 <= 0.95
