"""Training against transformers' Trainer and TRL, and several jobs in one process against one each.

    python -m tests.bench.training

Conversations of the sample feed and a small embedded base that is made once (.ft/bench). Every
trainer runs in a process of its own, on one thread, over the same conversations once, with the
same base and rank. Speeds are tokens of conversations, without padding, per second of CPU in the
loop; medians over seeds, in turn.

Batch, rate and momentum of every side are tuned, at equal quality: the peer's setting is the
fastest whose held-out loss, a mean over the seeds, is within NEAR of the lowest it reaches with
any, and ours is the fastest whose loss is no higher than that one's. What is more than FAR from the
lowest with the first seed is not run with the others. A goal of speed holds only if our loss is no
higher. TRL needs `pip install '.[bench]'`.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.timing import Measure, faster, missing

CACHE = Path(__file__).parent.parent.parent / ".ft" / "bench" / "base_models"
BASE_STEPS = 300
DOMAIN = "healthcare"
TRAIN_TOKENS, HELD_OUT = 40_000, 80
SEEDS = (0, 1, 2)
ROW_TOKENS, RANK, RATE = 512, 16, 5e-3
# With 2e-2 all get worse, and TRL with 5e-3; ours has LoRA+, and its best rates are lower.
RATES = {"ours": (5e-3, 7e-3), "hf": (5e-3, 1e-2), "trl": (1e-2,)}
MOMENTA = (0.9, 0.6)  # beta1 of AdamW; with some hundred steps the smaller one is better
NEAR, FAR = 0.01, 0.03  # of the loss
# Trainer, rows of a batch (conversations where it pads), tokens of a row.
BATCHES = {
    "ours": [("ours", 1, tokens) for tokens in (320, 384, 448, 512)],
    "hf": [("hf", rows, ROW_TOKENS) for rows in (2, 4, 6, 8)],
    "trl": [
        *(("trl", rows, ROW_TOKENS) for rows in (4, 8)),
        *((f"trl {how}", rows, ROW_TOKENS) for how in ("packed", "wrapped") for rows in (1, 2)),
    ],
}
UNIT = "tokens / CPU s"
HF_GOAL, TRL_GOAL, WARM_GOAL = 2, 1.8, 2
JOBS, JOB_STEPS = 8, 10
JOINT_STEPS, JOINT_TOKENS, JOINT_GOAL = 120, 64, 2


def measures() -> Iterator[Measure]:
    from ft_assets.adapters.base_model import BaseSpec, ensure_base

    CACHE.mkdir(parents=True, exist_ok=True)
    folder, digest = ensure_base(CACHE, BaseSpec("embedded", steps=BASE_STEPS), lambda facts: None)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        conversations = sample_conversations(work)
        write_tokens(work / "tokens.npz", folder, conversations)
        yield from _against_peers(work, folder)
        yield _warm(work, folder, digest, conversations)
        yield _joint(work, folder, digest, conversations)


def sample_conversations(work: Path) -> list[list[dict[str, str]]]:
    """Questions and answers of the logs and annotations of a domain, each once, shuffled."""
    from ft_assets.raw.sample_feed import write_feed

    write_feed(work / "feed", weeks=4)
    found: dict[tuple[str, str], None] = {}
    for file in ("annotations.jsonl", "logs.jsonl"):
        for path in sorted((work / "feed" / DOMAIN).glob(file.replace(".", "*."))):
            for line in path.read_text("utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the feed has broken lines on purpose
                if isinstance(row, dict) and row.get("prompt") and row.get("response"):
                    found[str(row["prompt"]), str(row["response"])] = None
    pairs = list(found)
    return [
        [
            {"role": "user", "content": pairs[i][0]},
            {"role": "assistant", "content": pairs[i][1]},
        ]
        for i in np.random.default_rng(0).permutation(len(pairs))
    ]


def write_tokens(file: Path, base: Path, conversations: list[Any]) -> None:
    from transformers import AutoTokenizer

    from ft_assets.adapters.tokens import encode_conversations

    tokenizer = AutoTokenizer.from_pretrained(base)
    encoded = encode_conversations(tokenizer, conversations, train_on="responses")
    encoded = [one for one in encoded if len(one.ids) <= ROW_TOKENS]
    columns: dict[str, Any] = {}
    ends = np.cumsum([len(one.ids) for one in encoded[HELD_OUT:]])
    last = HELD_OUT + int(np.searchsorted(ends, TRAIN_TOKENS)) + 1
    for prefix, part in (("held_", encoded[:HELD_OUT]), ("", encoded[HELD_OUT:last])):
        columns[f"{prefix}ids"] = np.concatenate([one.ids for one in part])
        columns[f"{prefix}labels"] = np.concatenate([one.labels for one in part])
        columns[f"{prefix}lengths"] = np.array([len(one.ids) for one in part])
    np.savez(file, **columns)


Setting = tuple[str, int, int, float, float]  # one of BATCHES, the rate, the momentum
Runs = dict[Setting, list[Any]]  # of one seed each


def _against_peers(work: Path, base: Path) -> Iterator[Measure]:
    lacking = [n for n in ("datasets", "accelerate", "trl") if not importlib.util.find_spec(n)]
    precision = _precision()

    def run(setting: Setting, seed: int) -> Any:
        trainer, rows, tokens, rate, momentum = setting
        job = {
            "trainer": trainer,
            "base": str(base),
            "tokens": str(work / "tokens.npz"),
            "batch_rows": rows,
            "row_tokens": tokens,
            "rate": rate,
            "momentum": momentum,
            "rank": RANK,
            "seed": seed,
            "threads": 1,
            "precision": precision,
        }
        return _run("tests.bench.trainers", job, work)

    def tried(side: str) -> Runs:
        settings = product(BATCHES[side], RATES[side], MOMENTA)
        runs = {(*batch, *more): [run((*batch, *more), SEEDS[0])] for batch, *more in settings}
        lowest = min(map(_loss, runs.values()))
        near = {s: found for s, found in runs.items() if _loss(found) <= (1 + FAR) * lowest}
        for seed in SEEDS[1:]:
            for setting, found in near.items():
                found.append(run(setting, seed))
        return near

    why = f"{', '.join(lacking)} missing: pip install '.[bench]'"
    own = tried("ours")
    for measure, side, goal in (
        ("train_vs_hf_trainer", "hf", HF_GOAL),
        ("train_vs_trl", "trl", TRL_GOAL),
    ):
        if set(lacking) - ({"trl"} if side == "hf" else set()):
            yield missing(measure, UNIT, f"ours / peer >= {goal}, loss no higher", why)
            continue
        others = tried(side)
        peer = fastest(others, (1 + NEAR) * min(map(_loss, others.values())))
        ours = fastest(own, _loss(others[peer]))
        # Again, in turn: the machine may be slower or faster than when each was tuned.
        turns = [(run(ours, seed), run(peer, seed)) for seed in SEEDS]
        what = f"{_named(ours)} against {_named(peer)}, {precision}"
        yield _compared(measure, *zip(*turns, strict=True), goal, what)


def fastest(runs: Runs, loss: float) -> Setting:
    """Of those whose loss is no higher; of all, that with the lowest loss, where there is none."""
    good = [setting for setting, found in runs.items() if _loss(found) <= loss]
    if not good:
        return min(runs, key=lambda setting: _loss(runs[setting]))
    return max(good, key=lambda setting: _speed(runs[setting]))


def _loss(runs: Sequence[Any]) -> float:
    return statistics.fmean(run["held_out_loss"] for run in runs)


def _speed(runs: Sequence[Any]) -> float:
    return statistics.median(run["tokens_per_second"] for run in runs)


def _named(setting: Setting) -> str:
    trainer, rows, tokens, rate, momentum = setting
    return f"{trainer} {rows} x {tokens} at {rate:g}, momentum {momentum:g}"


def _compared(
    measure: str, ours: Sequence[Any], peer: Sequence[Any], goal: float, what: str
) -> Measure:
    speeds = [_speed(side) for side in (ours, peer)]
    losses = [[run["held_out_loss"] for run in side] for side in (ours, peer)]
    means = [statistics.fmean(side) for side in losses]
    spreads = [statistics.stdev(side) for side in losses]
    ratio = speeds[0] / speeds[1]
    return {
        "measure": measure,
        "ours": round(speeds[0]),
        "peer": round(speeds[1]),
        "unit": UNIT,
        "ratio": round(ratio, 2),
        "goal": f"ours / peer >= {goal:g}, loss no higher",
        "holds": ratio >= goal and means[0] <= means[1],
        "note": (
            f"{what}; held-out loss {means[0]:.3f} (sd {spreads[0]:.3f}) against "
            f"{means[1]:.3f} (sd {spreads[1]:.3f}), {len(ours)} seeds"
        ),
    }


def _precision() -> str:
    """What the processor computes: bf16 emulated is slower than fp32, for every trainer."""
    import torch

    from ft_assets.adapters.device import choose_precision

    return "bf16" if choose_precision("auto", "cpu") == torch.bfloat16 else "fp32"


def _run(module: str, job: dict[str, Any], work: Path) -> Any:
    file = work / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, str(file)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"')]
    return json.loads(lines[-1]) if lines else None


def _warm(work: Path, base: Path, digest: str, conversations: list[Any]) -> Measure:
    """Wall seconds of short trainings of several domains: in one process, and one after the other
    in a process each, as separate runs would."""
    from ft_assets.adapters.recipe import Recipe

    recipe = Recipe(
        "bench",
        rank=RANK,
        learning_rate=RATE,
        max_steps=JOB_STEPS,
        max_epochs=100,
        row_tokens=256,
        batch_rows=2,
        eval_every=JOB_STEPS,
        validation_rows=2,
    )
    whole = _jobs(work, base, digest, conversations, recipe)
    jobs = [{**one, "out": str(work / "out" / one["domain"])} for one in whole["jobs"]]

    def seconds(parts: list[list[Any]]) -> float:
        began = time.perf_counter()
        for part in parts:
            _run("ft_assets.adapters.train", {**whole, "jobs": part}, work)
        return time.perf_counter() - began

    ours, peer = seconds([jobs]), seconds([[one] for one in jobs])
    return {
        **faster("warm_jobs_vs_separate", ours, peer, WARM_GOAL),
        "note": f"{JOBS} domains, {JOB_STEPS} steps each",
    }


def _joint(work: Path, base: Path, digest: str, conversations: list[Any]) -> Measure:
    """Wall seconds of many small trainings in one process: in joint steps, and in turn."""
    from ft_assets.adapters.recipe import Recipe

    recipe = Recipe(
        "joint",
        rank=RANK,
        learning_rate=RATE,
        max_steps=JOINT_STEPS,
        max_epochs=100,
        row_tokens=JOINT_TOKENS,
        batch_rows=1,
        eval_every=JOINT_STEPS,
        validation_rows=2,
    )
    job = _jobs(work, base, digest, conversations, recipe)
    found = _run("tests.bench.joint", job, work)
    return {
        **faster("joint_vs_serial_64", found["together"], found["apart"], JOINT_GOAL),
        "note": f"{JOBS} adapters, {JOINT_TOKENS} tokens of each in a step; "
        f"weights differ by {found['weights']:.1g} at most",
    }


def _jobs(
    work: Path, base: Path, digest: str, conversations: list[Any], recipe: Any
) -> dict[str, Any]:
    """A job of the trainer for JOBS domains, without "out" in its parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    jobs = []
    for n in range(JOBS):
        file = work / f"domain{n}.parquet"
        part = [json.dumps(one) for one in conversations[n * 40 : n * 40 + 120]]
        split = ["validation"] * 8 + ["train"] * (len(part) - 8)
        pq.write_table(pa.table({"split": split, "messages": part}), file)
        jobs.append({"domain": f"domain{n}", "corpus": str(file), "seed": 0})
    return {
        "base": str(base),
        "base_digest": digest,
        "recipe": recipe.to_dict(),
        "threads": 1,
        "replay_text": [],
        "jobs": jobs,
    }


if __name__ == "__main__":
    for line in measures():
        print(json.dumps(line), flush=True)
