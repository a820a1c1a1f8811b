"""`make bench`: what a design decision is worth, as ratios measured side by side in one run.

Absolute times belong to the machine of the day; look at the ratios. Each pair runs alternately and
the medians are compared.
"""

import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lakefs
import pandas as pd

from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_assets.adapters.recipe import recipe_from
from ft_assets.corpus.detect import find
from ft_assets.raw.intake import take_up
from ft_assets.raw.sample_feed import TEXTS, write_feed
from ft_assets.raw.schema import Interaction
from ft_assets.raw.sources import list_files
from ft_resources import code_server

ROUNDS = 3


def compare(
    name: str, one: tuple[str, Callable[[], None]], other: tuple[str, Callable[[], None]]
) -> None:
    times: dict[str, list[float]] = {one[0]: [], other[0]: []}
    for _ in range(ROUNDS):
        for label, work in (one, other):
            began = time.perf_counter()
            work()
            times[label].append(time.perf_counter() - began)
    first, second = (statistics.median(times[label]) for label in times)
    print(
        f"{name}: {one[0]} {first:.2f} s, {other[0]} {second:.2f} s, ratio {second / first:.2f}",
        flush=True,
    )


def warm_runs() -> None:
    """A run worker forked from the warm process against a spawned one, up to a validated suite."""
    warm = multiprocessing.get_context("forkserver")
    warm.set_forkserver_preload(list(code_server.PRELOADED))
    process = warm.Process(target=_ready)
    process.start()
    process.join()  # the preload is paid once, not by a run

    def start(method: str) -> Callable[[], None]:
        def run() -> None:
            worker = multiprocessing.get_context(method).Process(target=_ready)
            worker.start()
            worker.join()

        return run

    compare("start of a run worker", ("forked", start("forkserver")), ("spawned", start("spawn")))


def _ready() -> None:
    import great_expectations.expectations  # noqa: F401

    import ft_assets.definitions  # noqa: F401


def intake(feed: Path) -> None:
    file = feed / "finance" / "logs.jsonl"
    lines = [line for line in file.read_bytes().splitlines() if line.strip()]
    from datetime import UTC, datetime

    now = datetime.now(UTC)

    def parse() -> None:
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                continue

    def typed() -> None:
        take_up(list_files([str(file)]), Interaction, domain="finance", now=now)

    compare(f"intake of {len(lines)} lines", ("json.loads alone", parse), ("typed intake", typed))


def anonymization(feed: Path) -> None:
    texts = []
    for line in (feed / "healthcare" / "logs.jsonl").read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            texts += [str(row.get("prompt")), str(row.get("response"))]
    size = sum(map(len, texts)) / 1e6
    compare(
        f"identifiers in {size:.2f} MB",
        ("whitespace split", lambda: [text.split() for text in texts] and None),
        ("detection", lambda: [find(text) for text in texts] and None),
    )


def storage(folder: Path) -> None:
    """An upload through the official client against a copy with fsync."""
    from tests.resources.lakefs.running import ServerProcess

    server = ServerProcess(folder / "lakefs")
    try:
        repository = lakefs.Repository("bench", client=server.endpoint.client())
        branch = repository.create("local://bench").branch("main")
        source = folder / "source.bin"
        source.write_bytes(os.urandom(32 * 2**20))
        content = source.read_bytes()

        def copy() -> None:
            shutil.copyfile(source, folder / "copy.bin")
            with (folder / "copy.bin").open("rb") as file:
                os.fsync(file.fileno())

        compare(
            "32 MB stored",
            ("cp and fsync", copy),
            (
                "upload",
                lambda: branch.object("a").upload(content, mode="wb", pre_sign=False) and None,
            ),
        )
    finally:
        server.stop()


def training(folder: Path) -> None:
    """Four domains in one process against a process each."""
    base, digest = ensure_base(folder / "base", BaseSpec("embedded", steps=2), lambda facts: None)
    shared = {
        "base": str(base),
        "base_digest": digest,
        "recipe": recipe_from({"name": "bench", "max_steps": 10, "row_tokens": 128}).to_dict(),
        "threads": 1,
    }
    jobs = [_training_job(folder, domain) for domain in TEXTS]
    together = _job_file(folder, "together", {**shared, "jobs": jobs})
    alone = [_job_file(folder, job["domain"], {**shared, "jobs": [job]}) for job in jobs]

    def run(files: Sequence[Path]) -> Callable[[], None]:
        def work() -> None:
            for file in files:
                command = [sys.executable, "-m", "ft_assets.adapters.train", str(file)]
                subprocess.run(command, check=True, capture_output=True)

        return work

    compare("four adapters", ("one process", run([together])), ("four processes", run(alone)))


def _training_job(folder: Path, domain: str) -> dict[str, Any]:
    rows = [
        json.loads(line)
        for line in (folder / "feed" / domain / "annotations.jsonl").read_text().splitlines()
    ]
    messages = [
        json.dumps(
            [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["response"]},
            ]
        )
        for row in rows
    ]
    corpus = folder / f"{domain}.parquet"
    split = ["validation" if n % 10 == 0 else "train" for n in range(len(rows))]
    pd.DataFrame({"split": split, "messages": messages}).to_parquet(corpus)
    out = folder / "adapters" / domain
    return {"domain": domain, "corpus": str(corpus), "out": str(out), "seed": 0}


def _job_file(folder: Path, name: str, job: dict[str, Any]) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(job))
    return file


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_feed(folder / "feed")
        intake(folder / "feed")
        anonymization(folder / "feed")
        storage(folder)
        warm_runs()
        training(folder)


if __name__ == "__main__":
    main()
