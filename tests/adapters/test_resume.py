"""A training that is killed goes on where it was, to the same bytes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ft_assets.adapters import checkpoint
from ft_assets.adapters.checkpoint import Checkpoints
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.train import train_all
from tests.adapters.small import RECIPE, weights, write_corpus

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


class Killed(Exception):
    pass


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(checkpoint, "LOST_SHARE", 0)
    monkeypatch.setattr(checkpoint, "COST_RATIO", 0)


def job_of(base, folder, recipe=RECIPE, **more):
    folder.mkdir(exist_ok=True)
    corpus = folder / "law.parquet"
    if not corpus.exists():
        write_corpus(corpus, 40)
    one = {"domain": "law", "corpus": str(corpus), "out": str(folder / "out"), "seed": 0, **more}
    return {**base, "recipe": recipe.to_dict(), "threads": 1, "jobs": [one]}


def run(job, kill_at=None):
    told = []

    def report(facts):
        told.append(facts)
        if kill_at is not None and facts.get("validation_loss") and facts["step"] == kill_at:
            raise Killed

    train_all(job, report)
    return told


@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.slow), 0.2])
def test_a_killed_training_goes_on_to_the_same_bytes(base, tmp_path, every_step, dropout):
    recipe = Recipe(**{**RECIPE.to_dict(), "dropout": dropout, "max_steps": 8})
    run(job_of(base, tmp_path, recipe))
    whole = weights(tmp_path / "out")
    kept = str(tmp_path / "checkpoints")
    job = job_of(base, tmp_path, recipe, out=str(tmp_path / "again"), checkpoints=kept)
    for kill_at in (2, 6):
        with pytest.raises(Killed):
            run(job, kill_at)
        assert not (tmp_path / "again").exists()
    [resumed] = [facts for facts in run(job) if facts.get("event") == "resumed"]
    assert resumed["step"] == 5  # killed in step 6, before its checkpoint
    assert weights(tmp_path / "again") == whole
    record = json.loads((tmp_path / "again" / "training.json").read_text())
    assert record["resumed_at"] == 5
    first = json.loads((tmp_path / "out" / "training.json").read_text())
    for name in ("train_loss", "validation_loss", "tokens", "best_step", "digest"):
        assert record[name] == first[name]
    # What was trained to its end is not trained again while nobody has taken it.
    [resumed] = [facts for facts in run(job) if facts.get("event") == "resumed"]
    assert resumed["step"] == 8


def test_trainings_in_the_same_steps_go_on_together(base, tmp_path, every_step):
    recipe = Recipe(**{**RECIPE.to_dict(), "row_tokens": 32, "replay_share": 0, "patience": 1})
    recipe = replace(recipe, max_epochs=2)
    domains = ("shop", "law")

    def job(name, **more):
        parts = [
            {
                "domain": domain,
                "corpus": write_corpus(tmp_path / f"{domain}.parquet", 9 + 31 * n),
                "out": str(tmp_path / name / domain),
                "checkpoints": str(tmp_path / "kept" / domain),
                "seed": n,
            }
            for n, domain in enumerate(domains)
        ]
        return {**base, "recipe": recipe.to_dict(), "threads": 1, "jobs": parts, **more}

    def bytes_of(name):
        return [weights(tmp_path / name / domain) for domain in domains]

    def resumed(told):
        return {f["domain"]: f["step"] for f in told if f.get("event") == "resumed"}

    steps = [f for f in run(job("whole")) if f.get("event") == "ended"]
    last = max(f["step"] for f in steps)
    assert min(f["step"] for f in steps) < last  # one goes on without the other
    shutil.rmtree(tmp_path / "kept")
    for kill_at in (2, last):
        with pytest.raises(Killed):
            run(job("again"), kill_at)
    assert max(resumed(told := run(job("again"))).values()) == last - 1
    assert set(resumed(told)) == set(domains)
    assert bytes_of("again") == bytes_of("whole")
    # Another one beside it would give other bytes.
    alone = job("alone")
    told = run({**alone, "jobs": [{**alone["jobs"][1], "checkpoints": str(tmp_path / "kept/law")}]})
    assert not resumed(told)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_the_next_one_goes_on_from(base, tmp_path):
    recipe = Recipe(**{**RECIPE.to_dict(), "max_steps": 120, "eval_every": 1000})
    kept = tmp_path / "checkpoints"
    job = job_of(base, tmp_path, recipe, checkpoints=str(kept))
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job))
    command = [sys.executable, "-m", "ft_assets.adapters.train", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not list(kept.glob("*/step-*")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert not (tmp_path / "out").exists()
    [resumed] = [facts for facts in run(job) if facts.get("event") == "resumed"]
    assert 0 < resumed["step"] < 120
    run(job_of(base, tmp_path, recipe, out=str(tmp_path / "whole")))
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")


@pytest.mark.parametrize("harm", ["truncate", "flip", "no facts"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, harm):
    told = []
    kept = Checkpoints(tmp_path, {"seed": 0}, told.append)
    for step in (1, 2, 3):
        kept.write(step, {"weight.0": torch.full((4,), float(step))}, {"worse": step})
    [folder] = tmp_path.iterdir()
    assert [f.name for f in sorted(folder.iterdir())] == ["step-000000002", "step-000000003"]
    newest = folder / "step-000000003"
    data = bytearray((newest / "state.safetensors").read_bytes())
    if harm == "truncate":
        (newest / "state.safetensors").write_bytes(data[:-3])
    elif harm == "flip":
        data[-1] ^= 1
        (newest / "state.safetensors").write_bytes(data)
    else:
        (newest / "state.json").write_text("{")
    found = kept.newest()
    assert found is not None
    tensors, facts = found
    assert (facts["step"], facts["worse"], tensors["weight.0"][0]) == (2, 2, 2.0)
    assert [facts["event"] for facts in told] == ["checkpoint damaged"]
    assert not newest.exists()


def test_a_moment_in_which_the_disk_is_slow_does_not_put_off_the_next(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(checkpoint, "time", clock)
    monkeypatch.setattr(checkpoint, "published", clock.published)
    kept = Checkpoints(tmp_path, {"seed": 0}, [].append)
    written = []
    for step, cost in enumerate([0.1, 0.1, 0.1, 2.0, 0.1, 0.1], 1):
        clock.now += 2.0  # 2 % of 25 steps are a second
        if kept.due(step, 25):
            clock.cost = cost
            kept.write(step, {"weight": torch.zeros(1)}, {})
            written.append(step)
    assert written == [1, 2, 3, 4, 5, 6]
    clock.now += 0.9
    assert not kept.due(7, 25)


class Clock:
    def __init__(self) -> None:
        self.now = self.cost = 0.0

    def monotonic(self) -> float:
        return self.now

    @contextmanager
    def published(self, folder: Path) -> Iterator[Path]:
        folder.mkdir()
        yield folder
        self.now += self.cost


def test_another_job_finds_no_checkpoint_and_removes_them(base, tmp_path, every_step):
    kept = tmp_path / "checkpoints"
    run(job_of(base, tmp_path, checkpoints=str(kept)))
    [first] = kept.iterdir()
    other = Recipe(**{**RECIPE.to_dict(), "weight_decay": 0.1})
    told = run(job_of(base, tmp_path, other, checkpoints=str(kept)))
    assert not [facts for facts in told if facts.get("event") == "resumed"]
    [second] = kept.iterdir()
    assert first != second
    # Where the inputs lie does not matter.
    moved = Path(tmp_path / "law.parquet").rename(tmp_path / "moved.parquet")
    job = job_of(base, tmp_path, other, checkpoints=str(kept), corpus=str(moved))
    assert [facts for facts in run(job) if facts.get("event") == "resumed"]
