"""Checkpoints of a training, by which the next run of the same job goes on where a killed one was.

A checkpoint is a folder that appears in one rename: state.safetensors and state.json, which holds
the digest of the former. They lie below {folder}/{key}; the key is a digest of everything that the
bytes of the result depend on, so a checkpoint is never found by another job. What does not match
its digest, or cannot be read, is passed over in favour of the one before. No fsync: what a lost
machine leaves half written is told by its digest.

Checkpoints are taken by time: when 2 % of the estimated whole has passed since the last one, but
not before ten times what one costs. Only trainings of a few seconds come near that. The cheapest
one counts: a moment in which the disk is busy must not put off the next.
"""

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from ft_assets.adapters.job import Progress, published
from ft_resources.adapter_format import canonical

LOST_SHARE = 0.02  # of the whole training that may be lost
COST_RATIO = 10  # times the cost of a checkpoint lie between two of them
KEPT = 2  # the newest, and one in case it is damaged
WEIGHTS, FACTS = "state.safetensors", "state.json"

Saved = tuple[dict[str, Any], dict[str, Any]]  # tensors, facts as JSON


class Checkpoints:
    """The checkpoints of one job; those that other trainings left in `folder` are removed."""

    def __init__(self, folder: Path, depends_on: dict[str, Any], report: Progress) -> None:
        self._folder = folder / hashlib.sha256(canonical(depends_on)).hexdigest()[:32]
        self._folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():
            if other != self._folder:
                shutil.rmtree(other)
        self._report = report
        self._costs: list[float] = []  # seconds of each
        self._began = self._last = time.monotonic()
        self._first_step = 0

    def newest(self) -> Saved | None:
        """The newest checkpoint that is whole; what is damaged is reported and removed."""
        for folder in reversed(self._steps()):
            try:
                found = _read(folder)
            except (OSError, ValueError) as error:
                self._report({"event": "checkpoint damaged", "at": folder.name, "why": str(error)})
                shutil.rmtree(folder)
                continue
            self._first_step = found[1]["step"]
            self._began = self._last = time.monotonic()
            return found
        return None

    def due(self, step: int, steps: int) -> bool:
        """Whether one should be written after this step."""
        now = time.monotonic()
        whole = (now - self._began) / max(1, step - self._first_step) * steps
        return now - self._last >= max(LOST_SHARE * whole, COST_RATIO * min(self._costs, default=0))

    def write(self, step: int, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
        from safetensors.torch import save_file

        began = time.monotonic()
        with published(self._folder / f"step-{step:09d}") as work:
            save_file(tensors, work / WEIGHTS)
            record = {"step": step, "sha256": _digest(work / WEIGHTS), **facts}
            (work / FACTS).write_bytes(canonical(record))
        for old in self._steps()[:-KEPT]:
            shutil.rmtree(old)
        self._last = time.monotonic()
        self._costs.append(self._last - began)

    def _steps(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def _read(folder: Path) -> Saved:
    """Raises OSError or ValueError for a checkpoint that is not whole."""
    from safetensors.torch import load_file

    facts = json.loads((folder / FACTS).read_bytes())
    if not isinstance(facts, dict) or facts.get("sha256") != _digest(folder / WEIGHTS):
        raise ValueError(f"{WEIGHTS} is not what {FACTS} says")
    return load_file(folder / WEIGHTS), facts


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
