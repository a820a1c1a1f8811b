import json

import pytest
from typer.testing import CliRunner

from ft_assets.cli import app

PLATFORM = """
domains: {any: {}}
anonymization: {tagger: {generated: 300, epochs: 3}}
"""


def run(tmp_path, *words, stdin=None):
    file = tmp_path / "platform.yaml"
    file.write_text(PLATFORM)
    return CliRunner().invoke(app, [*words, "--platform", str(file)], input=stdin)


@pytest.mark.slow
def test_train_says_where_the_tagger_is(tmp_path):
    first = run(tmp_path, "pii", "train")
    assert first.exit_code == 0
    assert "step" in first.output
    again = run(tmp_path, "pii", "train")
    assert "step" not in again.output
    assert again.stdout.strip().endswith(".safetensors")


def test_score(tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps({"text": "a@x.com", "spans": [[0, 7, "EMAIL"]]}) + "\n")
    found = run(tmp_path, "pii", "score", str(file), "--patterns-only")
    assert found.exit_code == 0
    [line] = [line for line in found.output.splitlines() if "structured" in line]
    assert line.split()[-4:] == ["1", "1.000", "1", "1.000"]


def test_a_bad_set_is_an_error_of_one_line(tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text("{}\n")
    found = run(tmp_path, "pii", "score", str(file), "--patterns-only")
    assert found.exit_code == 1
    assert "line 1" in found.output
    assert "Traceback" not in found.output
