"""Area `platform`: a warm run worker, typed intake, detection, an upload, training together."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
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
from tests.bench.timing import Measure, costs, faster, interleaved
from tests.resources.lakefs.running import ServerProcess


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_feed(folder / "feed")
        yield typed_intake(folder / "feed")
        yield detection(folder / "feed")
        yield upload(folder)
        yield warm_runs()
        yield training(folder)


def warm_runs() -> Measure:
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

    return faster(
        "run_worker_forked_vs_spawned",
        *interleaved(start("forkserver"), start("spawn")),
        at_least=3,
    )


def _ready() -> None:
    import great_expectations.expectations  # noqa: F401

    import ft_assets.definitions  # noqa: F401


def typed_intake(feed: Path) -> Measure:
    """Typed rows, quarantine and counts against `json.loads` of the same lines."""
    file = feed / "finance" / "logs.jsonl"
    lines = [line for line in file.read_bytes().splitlines() if line.strip()]
    now = datetime.now(UTC)

    def parse() -> None:
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                continue

    def typed() -> None:
        take_up(list_files([str(file)]), Interaction, domain="finance", now=now)

    return costs("typed_intake_vs_json", *interleaved(typed, parse))


def detection(feed: Path) -> Measure:
    """Structured identifiers against splitting the same texts at white space."""
    texts = []
    for line in (feed / "healthcare" / "logs.jsonl").read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            texts += [str(row.get("prompt")), str(row.get("response"))]

    def find_all() -> None:
        for text in texts:
            find(text)

    def split_all() -> None:
        for text in texts:
            text.split()

    return costs("detection_vs_split", *interleaved(find_all, split_all))


def upload(folder: Path) -> Measure:
    """An upload through the official client against a copy with fsync."""
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

        def send() -> None:
            branch.object("a").upload(content, mode="wb", pre_sign=False)

        return costs("upload_32_mb_vs_copy_and_fsync", *interleaved(send, copy))
    finally:
        server.stop()


def training(folder: Path) -> Measure:
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

    return faster(
        "four_adapters_in_one_process",
        *interleaved(run([together]), run(alone)),
        at_least=1.5,
    )


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
