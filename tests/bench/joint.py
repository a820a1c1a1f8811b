"""Jobs of one recipe in joint steps, and the same one after the other in the same process.

    python -m tests.bench.joint JOB.json

JOB.json is a job of ft_assets.adapters.train without "out" in its jobs; the last line printed is
JSON: seconds of both ways, medians over ROUNDS in turn, and by how much the weights differ at most.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ft_assets.adapters import joint
from ft_assets.adapters.train import train_all
from ft_resources.adapter_format import WEIGHTS

ROUNDS = 3


def run(job: dict[str, Any], folder: Path, most_tokens: int) -> float:
    kept, joint.MOST_TOKENS = joint.MOST_TOKENS, most_tokens
    jobs = [{**one, "out": str(folder / one["domain"])} for one in job["jobs"]]
    began = time.perf_counter()
    train_all({**job, "jobs": jobs}, lambda facts: None)
    joint.MOST_TOKENS = kept
    return time.perf_counter() - began


def difference(one: Path, other: Path) -> float:
    mine, theirs = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
    return max(float((mine[name] - theirs[name]).abs().max()) for name in mine)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_bytes())
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        for turn in range(ROUNDS):
            together, apart = Path(name, f"{turn}-together"), Path(name, f"{turn}-apart")
            times.append((run(job, together, joint.MOST_TOKENS), run(job, apart, 0)))
        worst = max(difference(together / j["domain"], apart / j["domain"]) for j in job["jobs"])
    ours, peer = (statistics.median(t[side] for t in times) for side in (0, 1))
    print(json.dumps({"together": ours, "apart": peer, "weights": worst}))


if __name__ == "__main__":
    main()
