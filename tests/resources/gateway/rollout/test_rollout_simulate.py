import json

import pytest
from typer.testing import CliRunner

from ft_assets.cli import app
from ft_resources.gateway.rollout.evidence import Bounds
from ft_resources.gateway.rollout.simulate import SCENARIOS, Trial, simulate

SMALL = ["canary", "simulate", "--rollouts", "40", "--horizon", "512", "--workers", "1"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_errors_are_within_their_bounds_and_a_broken_canary_is_caught(scenario):
    """Small: `ft canary simulate` runs 2 000 (docs/canary.md)."""
    found = simulate(Trial(rollouts=60, horizon=768), scenario)
    assert found.within_bounds
    assert found.broken.rolled_back > 0.7  # changing shares begin with few of its answers
    assert found.broken.promoted == 0
    assert found.equal.promoted > found.equal.rolled_back


def test_the_same_seed_is_the_same_result():
    trial = Trial(rollouts=10, horizon=256, seed=3)
    assert simulate(trial, "duplicates") == simulate(trial, "duplicates")


def test_a_decider_without_error_bounds_is_found_out():
    careless = simulate(Trial(Bounds(false_rollback=0.9), rollouts=200, horizon=512), "iid")
    assert careless.equal.rolled_back > 0.3
    strict = Bounds(false_rollback=0.01)
    assert simulate(Trial(strict, rollouts=200, horizon=512), "iid").equal.rolled_back < 0.05


def test_the_command_prints_what_a_program_reads(tmp_path):
    missing = str(tmp_path / "none.yaml")
    done = CliRunner().invoke(
        app, [*SMALL, "--json", "--scenario", "iid", "--platform", missing, "--base-rate", "0.7"]
    )
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    assert row["scenario"] == "iid"
    assert row["bound"] == 0.05
    assert {"false_promotion", "false_rollback", "p90_feedbacks_20_points"} <= row.keys()


def test_limits_come_from_the_platform_file_and_its_domain(tmp_path):
    file = tmp_path / "platform.yaml"
    file.write_text(
        "canary: {false_promotion: 0.02}\n"
        "domains: {legal: {canary: {false_rollback: 0.01}}, finance: {}}\n"
    )
    command = [*SMALL, "--json", "--scenario", "iid", "--platform", str(file), "--domain"]
    [legal] = json.loads(CliRunner().invoke(app, [*command, "legal"]).stdout)
    assert (legal["bound_false_promotion"], legal["bound_false_rollback"]) == (0.02, 0.01)
    assert legal["bound"] == 0.02
    wrong = CliRunner().invoke(app, [*command, "marketing"])
    assert wrong.exit_code == 1
    assert "finance" in wrong.output


def test_an_unknown_scenario_is_told(tmp_path):
    done = CliRunner().invoke(app, [*SMALL, "--scenario", "sunny"])
    assert done.exit_code == 1
    assert "drifting_base_rate" in done.output
