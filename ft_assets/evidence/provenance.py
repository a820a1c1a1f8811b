"""From one commit back to what was delivered: the lineage that lakeFS holds.

Every commit of this platform has the addresses of its inputs in its metadata, each with the commit
that was read (publishing.open_draft). Followed back from a deployment they end at the raw zone.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ft_resources.lakefs.client import Written

ADDRESS = re.compile(r"lakefs://([^/]+)/([0-9a-f]+)/(.+/)")
History = Callable[[str, str, str], Iterator[Written]]  # LakeFS.history


@dataclass(frozen=True)
class Step:
    """One materialization that what is looked at was made of."""

    asset: str
    partition: str  # "finance|2026-08-31", "finance", or "" for an asset without partitions
    address: str  # as the asset that read it recorded it
    commit: str  # that wrote it: an earlier one where a materialization changed nothing
    run: str  # of Dagster
    code_version: str
    at: int  # seconds since 1970
    inputs: tuple[str, ...]  # addresses

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "inputs": list(self.inputs)}


class Unrecorded(ValueError):
    """An address that is none, or content that no commit of this platform wrote."""


def trace(
    history: History, addresses: Iterable[str], ends: Callable[[Step], bool] = lambda step: False
) -> list[Step]:
    """Every step behind these addresses, each once, an input before what was made of it.

    What is behind a step that `ends` the lineage is not followed. Raises Unrecorded, or
    FileNotFoundError when a commit is gone.
    """
    done: dict[str, Step] = {}
    open_now: set[str] = set()

    def visit(address: str) -> None:
        if address in done or address in open_now:
            return
        open_now.add(address)
        step = _step(history, address)
        if ends(step):
            step = replace(step, inputs=())
        for before in step.inputs:
            visit(before)
        done[address] = step

    for address in addresses:
        visit(address)
    return list(done.values())


def behind(steps: Iterable[Step], addresses: Iterable[str]) -> list[Step]:
    """The steps that these addresses were made of, themselves among them, in the order given."""
    by_address = {step.address: step for step in steps}
    reached: set[str] = set()
    waiting = list(addresses)
    while waiting:
        address = waiting.pop()
        if address not in reached:
            reached.add(address)
            waiting += by_address[address].inputs
    return [step for step in by_address.values() if step.address in reached]


def parse(address: str) -> tuple[str, str, str]:
    """(repository, commit, path). Raises Unrecorded for something else."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise Unrecorded(f"{address!r} is no address of a lakeFS commit")
    return found[1], found[2], found[3]


def asset_of(path: str) -> tuple[str, str]:
    """(asset, partition key) of "raw_logs/domain=finance/week=2026-08-31/"."""
    asset, *keys = path.strip("/").split("/")
    return asset, "|".join(key.partition("=")[2] for key in keys)


def _step(history: History, address: str) -> Step:
    repository, commit, path = parse(address)
    written = next(history(repository, commit, path), None)
    if written is None or "inputs" not in written.metadata:
        raise Unrecorded(f"no commit of this platform wrote {address}")
    metadata = written.metadata
    asset, partition = asset_of(path)
    return Step(
        asset,
        partition,
        address,
        written.commit,
        metadata.get("run_id", ""),
        metadata.get("code_version", ""),
        written.at,
        tuple(
            address
            for address in json.loads(metadata["inputs"]).values()
            if _belongs(path, parse(address)[2])
        ),
    )


def _belongs(path: str, input_path: str) -> bool:
    """Whether an input of a commit is one of this path: one run may make several domains or weeks,
    and its commit has the inputs of all of them.
    """
    own, its = (
        dict(part.split("=") for part in p.split("/") if "=" in part) for p in (path, input_path)
    )
    return all(its[name] == value for name, value in own.items() if name in its)
