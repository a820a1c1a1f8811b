"""Make a recorded adapter once more, and say whether the bytes are the same.

Everything is read from lakeFS at the commits that the adapter's lineage names: corpus, base model,
adapters it started from. The trainer is the one that made it, in a process of its own.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ft_assets.adapters.environment import versions
from ft_assets.adapters.planted_secrets import plant_into
from ft_assets.adapters.privacy_ledger import repeat_privacy
from ft_resources.adapter_format import CONFIG, WEIGHTS, base_digest
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.trainer import run_alone
from ft_resources.vault.raw_zone import RawZone

LINEAGE = "lineage.json"
NAMED = 8  # newest adapters named when the one asked for is not there
DECIDES = ("torch", "cpu_capability", "device", "precision")  # of a training record


@dataclass(frozen=True)
class Recorded:
    """An adapter as it lies in lakeFS."""

    ref: Ref
    lineage: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.lineage["adapter"])


@dataclass(frozen=True)
class Outcome:
    expected: dict[str, str]  # sha256 by file
    found: dict[str, str]
    differences: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        return not self.differences


def find_adapter(lakefs: LakeFS, name: str) -> Recorded:
    """The adapter "domain@digest" in what main has or had.

    Raises LookupError naming the newest adapters of the domain, or FileNotFoundError without the
    repository.
    """
    domain, _, digest = name.partition("@")
    path = f"lora_adapter/domain={domain}/"
    head = lakefs.head(lakefs.repository)
    known: list[str] = []
    for written in lakefs.history(lakefs.repository, head, path):
        ref = Ref(lakefs.repository, written.commit, path, "")
        try:
            lineage = lakefs.read_json(ref, LINEAGE)
        except FileNotFoundError:
            continue  # a commit that removed it
        if digest and lineage["digest"].startswith(digest):
            return Recorded(ref, lineage)
        known.append(lineage["adapter"])
    there = ", ".join(known[:NAMED]) or "none"
    raise LookupError(f"no adapter {name} in {lakefs.repository}; of {domain} there are: {there}")


def environment_differs(lineage: Mapping[str, Any], here: Mapping[str, str]) -> list[str]:
    """What of this machine is not as it was: bytes may differ because of it."""
    training = lineage["training"]
    recorded = {**lineage.get("versions", {}), **{name: training[name] for name in DECIDES}}
    return [
        f"{name} was {was}, here it is {here[name]}"
        for name, was in recorded.items()
        if name in here and here[name] != was
    ]


def environment_here(lineage: Mapping[str, Any]) -> dict[str, str]:
    """The same facts of this machine, for the recipe of the training."""
    import torch

    from ft_assets.adapters.device import choose_device, choose_precision

    recipe = lineage["recipe"]
    device = choose_device(recipe["device"])
    return {
        **versions(),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": device,
        "precision": str(choose_precision(recipe["precision"], device)),
    }


def reproduce(
    lakefs: LakeFS,
    recorded: Recorded,
    work: Path,
    say: Callable[[str], None],
    zone: RawZone | None = None,
) -> Outcome:
    """Train again below `work` and compare.

    `zone` is the vault, of which a training with differential privacy takes its noise; nothing is
    spent of the budget by the same training again.
    Raises LookupError when the vault is missing or does not know such a training,
    FileNotFoundError when something it was made of is gone, ValueError when it is not what it was,
    and subprocess.CalledProcessError when the trainer fails.
    """
    lineage = recorded.lineage
    work.mkdir(parents=True, exist_ok=True)
    job = _job(lakefs, lineage, work)
    say(
        f"training {recorded.name} again: {lineage['training']['steps']} steps, "
        f"seed {lineage['seed']}, {job['threads']} threads"
    )
    if lineage["recipe"].get("privacy"):
        if zone is None:
            raise LookupError(f"{recorded.name} was trained with noise from the vault's key")
        repeat_privacy(job, zone)
        run_alone("ft_assets.adapters.private", job, work, job["threads"])
    else:
        run_alone("ft_assets.adapters.train", job, work, job["threads"])
    made = Path(job["jobs"][0]["out"])
    if pairs := lineage.get("pairs"):
        file = work / "pairs.parquet"
        file.write_bytes(lakefs.read(Ref(**pairs), "rows.parquet"))
        job["jobs"][0] |= {"adapter": str(made), "pairs": str(file)}
        run_alone("ft_assets.adapters.preference", job, work, job["threads"])
    expected = {name: _sha256(lakefs.read(recorded.ref, name)) for name in (WEIGHTS, CONFIG)}
    found = {name: _sha256((made / name).read_bytes()) for name in (WEIGHTS, CONFIG)}
    return Outcome(expected, found, _differences(lineage, made, expected, found))


def _job(lakefs: LakeFS, lineage: Mapping[str, Any], work: Path) -> dict[str, Any]:
    base_ref = Ref(**lineage["base_model"])
    base = lakefs.read_json(base_ref, "base.json")
    corpus = work / "corpus.parquet"
    rows = lakefs.read(Ref(**lineage["corpus"]), "rows.parquet")
    if planted := lineage.get("planted_secrets"):
        rows = plant_into(rows, planted)
    corpus.write_bytes(rows)
    folder = _base_folder(lakefs, base_ref, base, work / "base", lineage["base_digest"])
    one = {
        "domain": lineage["training"]["domain"],
        "corpus": str(corpus),
        "out": str(work / "adapter"),
        "seed": lineage["seed"],
    }
    if lineage.get("parent"):
        one["parent"] = _parent(lakefs, Ref(**lineage["parent"]), work / "parent")
    return {
        "base": str(folder),
        "base_digest": lineage["base_digest"],
        "recipe": lineage["recipe"],
        "threads": lineage["training"]["threads"],
        "replay_text": _general_text(lineage, base),
        "jobs": [one],
    }


def _parent(lakefs: LakeFS, parent: Ref, folder: Path) -> dict[str, Any]:
    """The adapter that the recorded one started from."""
    lineage = lakefs.read_json(parent, LINEAGE)
    return {
        "folder": str(lakefs.download(parent, folder)),
        "digest": lineage["digest"],
        "base_digest": lineage["base_digest"],
        "weeks": lineage["weeks"],
    }


def _base_folder(
    lakefs: LakeFS, ref: Ref, base: Mapping[str, Any], folder: Path, digest: str
) -> Path:
    """The embedded base is in lakeFS; another one must still lie where it was."""
    if base["kind"] == "embedded":
        folder = lakefs.download(ref, folder) / "model"
    else:
        folder = Path(base["folder"])
    if (found := base_digest(folder)) != digest:
        raise ValueError(
            f"base model {folder}: digest {found[:12]}, the adapter was made on {digest[:12]}"
        )
    return folder


def _general_text(lineage: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """The files that are replayed, each as it was."""
    recorded = lineage.get("general_text", {})
    for name in base["general_text"]:
        file = Path(name)
        if not file.is_file():
            raise FileNotFoundError(
                f"general text {name} is gone; it had sha256 {recorded.get(name, 'not recorded')}"
            )
        if name in recorded and _sha256(file.read_bytes()) != recorded[name]:
            raise ValueError(
                f"general text {name} is not what it was (sha256 {recorded[name][:12]}); put the "
                "file back, or another adapter comes out"
            )
    return list(base["general_text"])


def _differences(
    lineage: Mapping[str, Any], made: Path, expected: Mapping[str, str], found: Mapping[str, str]
) -> list[str]:
    record = json.loads((made / "training.json").read_text("utf-8"))
    differences = [
        f"{name}: sha256 {found[name][:16]}, recorded {expected[name][:16]}"
        for name in expected
        if found[name] != expected[name]
    ]
    if record["digest"] != lineage["digest"]:
        differences.append(f"digest: {record['digest'][:16]}, recorded {lineage['digest'][:16]}")
    if differences:
        was = lineage["training"]
        differences += [
            f"{name}: {json.dumps(record.get(name))}, recorded {json.dumps(was.get(name))}"
            for name in ("steps", "best_step", "tokens", "examples", "train_rows", *DECIDES)
            if record.get(name) != was.get(name)
        ]
    return differences


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
