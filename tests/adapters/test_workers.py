"""No more cores than the process may use, whatever is asked for."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from ft_assets.adapters import train, workers
from ft_assets.adapters.workers import row_workers, usable_cores
from tests.adapters.small import RECIPE, write_corpus


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({}, 8),
    ],
)
def test_cores_are_those_of_affinity_and_cgroup(monkeypatch, tmp_path, files, cores):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(workers, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert usable_cores() == cores


def test_threads_are_capped_by_the_cores(monkeypatch):
    monkeypatch.setattr(workers, "usable_cores", lambda: 2)
    active, most = 0, 0

    def work(row):
        nonlocal active, most
        active += 1
        most = max(most, active)
        time.sleep(0.01)
        active -= 1
        return row

    with row_workers(16, 16) as rows_map:
        assert rows_map(work, range(16)) == list(range(16))
    assert most == 2


COUNT = """
import os, sys, threading
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import torch
from ft_assets.adapters.workers import row_workers
with row_workers(4, 2) as rows_map:
    found = rows_map(lambda row: (torch.get_num_threads(), threading.get_ident()), range(8))
print(torch.get_num_threads(), *map(len, map(set, zip(*found))), found[0][0])
"""


def test_a_process_of_one_core_computes_on_one_thread():
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    command = [sys.executable, "-W", "ignore", "-c", COUNT]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["1", "1", "1", "1"]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_a_trainer_is_capped_and_says_so(base, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(train, "usable_cores", lambda: 1)
    monkeypatch.setattr(
        train, "row_workers", lambda *numbers: asked.append(numbers) or row_workers(*numbers)
    )
    one = {
        "domain": "law",
        "corpus": write_corpus(tmp_path / "law.parquet", 20),
        "out": str(tmp_path / "law"),
        "seed": 0,
    }
    recipe = replace(RECIPE, max_steps=1, eval_every=1)
    job = {**base, "recipe": recipe.to_dict(), "threads": 2, "jobs": [one]}
    train.train_all(job, lambda facts: None)
    assert asked == [(1, 2)]
    assert json.loads((tmp_path / "law" / "training.json").read_text())["threads"] == 1
