"""No more cores than the process may use, whatever is asked for."""

import json
import os
import subprocess
import sys
import time

import pytest

from ft_assets.adapters import workers
from ft_assets.adapters.workers import row_workers, usable_cores
from tests.adapters.small import RECIPE, write_corpus

TWO_CORES = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


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


TRAIN = """
import json, os, sys, threading, time
if sys.argv[2] == "one core":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from ft_assets.adapters.train import train_all
running = []
def sample():
    while True:
        states = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/stat") as file:
                    states.append(file.read().rpartition(")")[2].split()[0])
            except FileNotFoundError:
                pass
        # This thread runs too, while it looks.
        running.append(states.count("R") - 1)
        time.sleep(0.005)
threading.Thread(target=sample, daemon=True).start()
with open(sys.argv[1]) as file:
    train_all(json.load(file), lambda facts: None)
print(json.dumps(running))
"""


@TWO_CORES
@pytest.mark.parametrize(("cores", "threads"), [("all cores", 1), ("one core", 4)])
def test_a_trainer_computes_on_as_many_threads_as_it_may(base, tmp_path, cores, threads):
    job = {
        **base,
        "recipe": {**RECIPE.to_dict(), "max_steps": 12, "row_tokens": 256, "batch_rows": 4},
        "threads": threads,
        "jobs": [
            {
                "domain": "law",
                "corpus": write_corpus(tmp_path / "law.parquet", 300),
                "out": str(tmp_path / "law"),
                "seed": 0,
            }
        ],
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAIN, str(tmp_path / "job.json"), cores],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    running = sorted(json.loads(done.stdout))
    # A thread that hands over is seen running beside the one that takes up, now and then.
    assert running[int(len(running) * 0.9)] <= 1
    assert json.loads((tmp_path / "law" / "training.json").read_text())["threads"] == 1
