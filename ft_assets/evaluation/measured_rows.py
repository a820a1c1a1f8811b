"""Losses of real adapters on real evaluation rows: what a simulated gate draws its rows from.

Made by `python -m tests.measure_gate --write`: adapters of one recipe that differ in their seed
("now-0", "now-1", ...), and those of the same recipe trained before the newest weeks ("before-0",
...), each scored on the evaluation set of its domain. Numbers and names of slices, no text.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("measured_rows.safetensors")


@dataclass(frozen=True)
class Measured:
    """The rows of one domain."""

    source: str  # "feed:domain"
    arms: tuple[str, ...]  # the first is the base
    losses: np.ndarray  # float32 [rows, arms], mean loss per token of a row, in nats
    tokens: np.ndarray  # int32 [rows], of the answer
    slices: tuple[str, ...]  # of each row; its task


def read_measured(file: Path = FILE) -> list[Measured]:
    """Raises FileNotFoundError when nothing was measured."""
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as stored:
        names = json.loads(stored.metadata()["names"])
        return [
            Measured(
                source,
                tuple(told["arms"]),
                stored.get_tensor(f"{source}/losses"),
                stored.get_tensor(f"{source}/tokens"),
                tuple(told["slices"]),
            )
            for source, told in sorted(names.items())
        ]


def write_measured(found: Sequence[Measured], file: Path = FILE) -> None:
    from safetensors.numpy import save_file

    arrays = {f"{one.source}/losses": one.losses for one in found}
    arrays |= {f"{one.source}/tokens": one.tokens for one in found}
    names = {one.source: {"arms": one.arms, "slices": one.slices} for one in found}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, file, metadata={"names": json.dumps(names, sort_keys=True)})
