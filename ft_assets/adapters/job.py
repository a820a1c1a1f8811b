"""What the platform's scripts do around their work: read JOB.json, report, end with their parent.

A script tells its progress as small facts (names, numbers; never text of a row). Started by
Dagster Pipes they become log lines and custom messages of the run, otherwise lines on stdout.
SIGTERM ends a script with code 143, after the folders it was writing are gone. On Linux the kernel
sends that SIGTERM when the thread that started the script dies, so `kill -9` of a run worker
leaves no trainer behind; elsewhere a thread watches for it once a second.
"""

import ctypes
import gc
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ft_resources.adapter_format import base_digest

Progress = Callable[[dict[str, Any]], None]

TERMINATED = 143  # what a shell reports for a process that SIGTERM ended
PR_SET_PDEATHSIG = 1  # prctl(2)


@contextmanager
def running_job(arguments: list[str]) -> Generator[tuple[dict[str, Any], Progress]]:
    """Give the content of the JSON file named by the only argument, and where to report to."""
    if len(arguments) != 2:
        raise SystemExit(f"usage: python -m MODULE JOB.json, got {len(arguments) - 1} arguments")
    end_on_sigterm()
    die_with_parent()
    gc.freeze()
    gc.enable()
    job = json.loads(Path(arguments[1]).read_text("utf-8"))

    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    if not PipesEnvVarParamsLoader().is_dagster_pipes_process():
        yield job, lambda facts: print(as_line(facts), flush=True)
        return
    with open_dagster_pipes() as pipes:

        def report(facts: dict[str, Any]) -> None:
            pipes.log.info(as_line(facts))
            pipes.report_custom_message(facts)

        yield job, report


def checked_base(job: dict[str, Any]) -> tuple[Path, str]:
    """The folder of a job's base and its digest. Raises ValueError when it is not the one that the
    job was written for.
    """
    folder = Path(job["base"])
    found = base_digest(folder)
    if found != job["base_digest"]:
        raise ValueError(
            f"base model at {folder} has digest {found[:12]}, the job asks for "
            f"{job['base_digest'][:12]}; materialize base_model again"
        )
    return folder, found


def as_line(facts: dict[str, Any]) -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in facts.items()
    )


def end_on_sigterm() -> None:
    """From now on SIGTERM raises SystemExit with code 143, so that folders are cleaned up."""
    signal.signal(signal.SIGTERM, _end)


def die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(_signal: int, _frame: object) -> None:
    raise SystemExit(TERMINATED)


@contextmanager
def published(out: Path) -> Generator[Path]:
    """Give an empty folder that becomes `out` in one rename if the block ends without an error.

    What a killed process left of an earlier attempt at the same `out` is removed first.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{out.name}.writing-*"):
        shutil.rmtree(left)
    work = out.parent / f".{out.name}.writing-{os.getpid()}"
    work.mkdir()
    try:
        yield work
        if out.exists():
            # A folder cannot be renamed onto one that has files: the old one steps aside.
            old = work.with_name(f".{out.name}.writing-{os.getpid()}-old")
            out.rename(old)
            work.rename(out)
            shutil.rmtree(old)
        else:
            work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
