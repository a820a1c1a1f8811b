import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from ft_assets.cli import app
from ft_assets.evaluation.limits import limits_of
from ft_assets.evaluation.measured_rows import Measured, read_measured, write_measured
from ft_assets.evaluation.simulate import measured_seed_sd, simulate
from ft_assets.sections import EvaluationSettings

LIMITS = replace(limits_of(EvaluationSettings()), resamples=500)


def measured(source="test:law", noise=0.05, seed_sd=0.02, rows=150, seeds=4):
    """Adapters of one recipe whose means differ by a chance with a known deviation."""
    dice = np.random.default_rng(len(source))
    base = dice.normal(5, 1, rows)
    arms = [base - 2 + dice.normal(0, noise, rows) + dice.normal(0, seed_sd) for _ in range(seeds)]
    return Measured(
        source,
        ("base", *(f"now-{n}" for n in range(seeds))),
        np.stack([base, *arms], axis=1).astype(np.float32),
        dice.integers(1, 50, rows).astype(np.int32),
        tuple(["claims", "billing"] * (rows // 2)),
    )


def test_the_chance_of_a_seed_is_measured_without_that_of_the_rows():
    many = [measured(f"test:{'x' * n}", noise=0.2, seed_sd=0.03) for n in range(60)]
    assert measured_seed_sd(many) == pytest.approx(0.03 * 2**0.5, rel=0.15)
    none = [measured(f"test:{'x' * n}", noise=0.2, seed_sd=0.0) for n in range(60)]
    assert measured_seed_sd(none) < 0.01


def test_a_gate_that_forgets_the_seed_promotes_what_is_worse():
    data = [measured(f"test:{'x' * n}", seed_sd=0.02) for n in range(12)]
    careless = simulate(data, replace(LIMITS, seed_sd=0.0), rows=100, pairs=200)
    careful = simulate(data, replace(LIMITS, seed_sd=0.03), rows=100, pairs=200)
    assert careless.false_promotion > 0.1
    assert careful.false_promotion < 0.08


def test_more_rows_and_a_better_candidate_are_missed_less():
    found = simulate([measured(noise=0.3)], LIMITS, rows=200, other_rows=(40,), pairs=120)
    passed = {(c.rows, round(c.effect_nats / LIMITS.margin, 1)): c.passed for c in found.cells}
    assert passed[200, 0.0] > passed[40, 0.0]
    assert passed[200, -1.0] > passed[200, 0.0] > passed[200, 1.0]
    assert found.missed_equal_or_better == pytest.approx(1 - passed[200, 0.0])
    assert found == simulate([measured(noise=0.3)], LIMITS, rows=200, other_rows=(40,), pairs=120)


def test_too_few_rows_are_never_promoted():
    found = simulate([measured()], LIMITS, rows=LIMITS.min_rows - 1, pairs=20)
    assert {cell.inconclusive for cell in found.cells} == {1.0}
    assert found.false_promotion == 0


def test_nothing_to_draw_from():
    with pytest.raises(ValueError, match="no measured rows"):
        simulate([], LIMITS, rows=50)
    with pytest.raises(ValueError, match="test:law: two adapters are needed, got 1"):
        simulate([measured(seeds=1)], LIMITS, rows=50)


def test_what_was_measured_is_read_as_it_was_written(tmp_path):
    written = measured()
    write_measured([written], tmp_path / "rows.safetensors")
    [found] = read_measured(tmp_path / "rows.safetensors")
    assert (found.source, found.arms, found.slices) == (
        written.source,
        written.arms,
        written.slices,
    )
    np.testing.assert_array_equal(found.losses, written.losses)


def test_the_defaults_keep_what_the_documentation_says():
    """Of candidates worse by the margin at most 5 % pass, of equal ones at most 20 % do not."""
    done = CliRunner().invoke(
        app,
        [
            "gate",
            "simulate",
            "--platform",
            "none.yaml",
            "--rows",
            "300",
            "--pairs",
            "120",
            "--json",
        ],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["false_promotion"] <= 0.05
    assert found["missed_equal_or_better"] <= 0.20
    assert found["limits"]["seed_sd"] >= found["measured_seed_sd"]


def test_limits_that_do_not_hold_end_with_an_error(tmp_path):
    platform = tmp_path / "platform.yaml"
    platform.write_text(
        "domains: {law: {evaluation: {margin_nats: 0.01}}}\nevaluation: {resamples: 200}\n"
    )
    asked = ["gate", "simulate", "--platform", str(platform), "--rows", "60", "--pairs", "50"]
    done = CliRunner().invoke(app, [*asked, "--domain", "law"])
    assert done.exit_code == 1
    assert "margin 0.01 nats" in done.output
    wrong = CliRunner().invoke(app, [*asked, "--domain", "tax"])
    assert wrong.exit_code == 1
    assert "no domain tax" in wrong.output
