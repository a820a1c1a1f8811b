"""Train adapters, one after the other, over one frozen base in one process.

    python -m ft_assets.adapters.train JOB.json

JOB.json: {"base": folder, "base_digest": hex, "recipe": {every field of Recipe}, "threads": n,
"replay_text": [files], "jobs": [{"domain", "corpus": Parquet, "out": folder, "seed"}, ...]}, and
"energy_country" where energy.py is to count energy. A job may have three more fields:
"tokens": {"folder", "corpus": digest}: where what is encoded is kept, and read the next time;
"checkpoints": folder: where a run that is killed leaves what the next run of the same job goes on
from; the caller removes it when it has the result;
"parent": the fields of start.Parent: what `init: continue` and `stack` start from.
Each `out` appears whole or not at all: adapter_model.safetensors, adapter_config.json and
training.json (what was done, the losses, the digest). With method "full" it is a model instead,
a folder that can be named as base_model; its digest is that of a base.

On a CPU the same corpus, recipe, seed, parent, versions and kind of CPU give the same weights,
byte for byte, whatever was trained before in the process, wherever it was killed and went on, and
with any number of threads up to `batch_rows`. The best weights are chosen on the corpus's own
validation split, so the held-out evaluation stays untouched.
"""

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.checkpoint import Checkpoints
from ft_assets.adapters.device import (
    check_hardware,
    choose_device,
    choose_precision,
    peak_memory_mib,
)
from ft_assets.adapters.document_attention import keep_documents_apart
from ft_assets.adapters.energy import metered
from ft_assets.adapters.job import Progress, checked_base, published, running_job
from ft_assets.adapters.joint import joint_pays, train_together
from ft_assets.adapters.loop import Course, Training, keep_general, mean_loss
from ft_assets.adapters.lora_layers import matrices_of
from ft_assets.adapters.recipe import Recipe, recipe_from
from ft_assets.adapters.rows import Batches, Corpus, General, TokenCache, read_corpus, read_general
from ft_assets.adapters.start import (
    Parent,
    Places,
    Start,
    put_on,
    save_adapter,
    start,
    take_off,
    target_modules,
)
from ft_assets.adapters.tokens import template_digest
from ft_assets.adapters.workers import Map, row_workers, usable_cores
from ft_resources.adapter_format import adapter_digest, base_digest


@dataclass(frozen=True)
class Shared:
    """What the jobs of one process have in common."""

    base: Any
    digest: str  # of the base
    tokenizer: Any
    recipe: Recipe
    targets: list[str]
    general: General | None
    base_loss: float  # on the general text that is measured on
    facts: dict[str, Any]  # of the record of each training
    rows_map: Map
    progress: Progress
    energy_country: str | None  # where codecarbon counts the energy


def train_all(job: dict[str, Any], progress: Progress) -> None:
    """Train every job over the one base.

    Raises ValueError when the base is not the one the job was written for, when the machine is not
    what the recipe needs, or when a corpus has nothing to train on; jobs before it are published.
    """
    recipe = recipe_from(job["recipe"])
    check_hardware(recipe)
    folder, found = checked_base(job)
    texts = [Path(file) for file in job.get("replay_text", [])]
    if (recipe.replay_share or recipe.max_general_rise) and not texts:
        raise ValueError(
            f"recipe {recipe.name}: replay_share is {recipe.replay_share:g}, max_general_rise "
            f"{recipe.max_general_rise:g}, but there is no general text; name text files in "
            "base_model.text, or set both to 0"
        )
    device = choose_device(recipe.device)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = _load(folder, recipe, device)
    targets = target_modules(base, recipe)
    precision = choose_precision(recipe.precision, device)
    general, base_loss = None, 0.0
    # Dropout draws from one random state, which threads would take turns at by chance.
    rows = 1 if recipe.dropout else recipe.batch_rows
    threads = min(job["threads"], usable_cores())
    facts = {
        "base_digest": found,
        "chat_template": template_digest(tokenizer),
        "recipe": recipe.to_dict(),
        "threads": threads,
        "device": device,
        "precision": str(precision),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    with row_workers(threads, rows) as rows_map:
        if recipe.packing == "documents":
            keep_documents_apart(base)
        facts["attention"] = base.config._attn_implementation
        if recipe.replay_share or recipe.max_general_rise:
            general = read_general(texts, tokenizer, recipe)
            base_loss = mean_loss(base, general.measured, precision, rows_map)
        shared = Shared(
            *(base, found, tokenizer, recipe, targets, general, base_loss, facts, rows_map),
            progress,
            job.get("energy_country"),
        )
        if joint_pays(recipe, len(job["jobs"]), device):
            together = sorted(job["jobs"], key=lambda one: one["domain"])
            _train_jointly(together, shared, _checkpoints(together, shared, texts))
            return
        for one in job["jobs"]:
            _train_one(one, shared, _checkpoints([one], shared, texts))


def _load(folder: Path, recipe: Recipe, device: str) -> Any:
    base: Any
    if recipe.method == "qlora":
        from peft import prepare_model_for_kbit_training
        from transformers import BitsAndBytesConfig

        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=choose_precision(recipe.precision, device),
        )
        base = AutoModelForCausalLM.from_pretrained(
            folder, quantization_config=config, device_map={"": 0}
        )
        return prepare_model_for_kbit_training(
            base, use_gradient_checkpointing=recipe.gradient_checkpointing
        )
    base = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    base.to(device)
    base.requires_grad_(False)
    if recipe.gradient_checkpointing:
        base.gradient_checkpointing_enable()
        base.enable_input_require_grads()
    return base


@dataclass(frozen=True)
class _Prepared:
    begun: Start
    corpus: Corpus
    batches: Batches
    began: float
    cpu: float  # seconds of this process before


def _prepare(one: dict[str, Any], shared: Shared) -> _Prepared:
    began, cpu = time.monotonic(), time.process_time()
    recipe, general = shared.recipe, shared.general
    domain, seed = one["domain"], one["seed"]
    cache = TokenCache(**one["tokens"]) if "tokens" in one else None
    given = Parent(**one["parent"]) if one.get("parent") else None
    begun = start(shared.base, recipe, shared.targets, seed, given, shared.digest)
    if begun.why_fresh:
        shared.progress({"event": "fresh start", "domain": domain, "why": begun.why_fresh})
    known = begun.parent.weeks if begun.parent else None
    corpus = read_corpus(Path(one["corpus"]), domain, shared.tokenizer, recipe, seed, cache, known)
    replay = general.replay if general is not None and recipe.replay_share else None
    batches = Batches(corpus.train, corpus.history, replay, recipe, seed)
    return _Prepared(begun, corpus, batches, began, cpu)


def _train_one(one: dict[str, Any], shared: Shared, checkpoints: Checkpoints | None) -> None:
    ready = _prepare(one, shared)
    begun, validation = ready.begun, ready.corpus.validation
    training = Training(begun.model, begun, ready.batches, validation, shared.recipe)
    with metered(shared.energy_country) as energy:
        course = training.run(one["domain"], shared.rows_map, shared.progress, checkpoints)
    _finish(one, shared, ready, course, {"energy": energy})


def _train_jointly(
    jobs: list[dict[str, Any]], shared: Shared, checkpoints: Checkpoints | None
) -> None:
    """See joint.py."""
    prepared: list[_Prepared] = []
    places: list[Places] = []
    matrices, trainings = {}, {}
    for one in jobs:
        ready = _prepare(one, shared)
        matrices[one["domain"]] = matrices_of(ready.begun.model)
        places.append(take_off(ready.begun.model))
        validation = ready.corpus.validation
        trainings[one["domain"]] = Training(
            shared.base, ready.begun, ready.batches, validation, shared.recipe
        )
        prepared.append(ready)
    with metered(shared.energy_country) as energy:
        courses = train_together(
            shared.base, trainings, matrices, shared.rows_map, shared.progress, checkpoints
        )
    shared_out = {name: value / len(jobs) for name, value in energy.items()}
    corpora = {one["domain"]: _digest(Path(one["corpus"])) for one in jobs}
    for one, ready, own in zip(jobs, prepared, places, strict=True):
        put_on(ready.begun.model, own)
        others = {name: corpus for name, corpus in corpora.items() if name != one["domain"]}
        joint = {"joint_with": others, "energy": shared_out}
        _finish(one, shared, ready, courses[one["domain"]], joint)


def _finish(
    one: dict[str, Any], shared: Shared, ready: _Prepared, course: Course, facts: dict[str, Any]
) -> None:
    begun, corpus, recipe, general = ready.begun, ready.corpus, shared.recipe, shared.general
    kept = {}
    if general is not None and recipe.max_general_rise:
        kept = keep_general(
            begun.model, begun.update, general.measured, shared.base_loss, recipe, shared.rows_map
        )
    with published(Path(one["out"])) as work:
        digest = _save(begun, shared, work)
        record = {
            "domain": one["domain"],
            "digest": digest,
            "seed": one["seed"],
            **shared.facts,
            **facts,
            "init": recipe.init if begun.parent else "fresh",
            "parent": begun.parent.digest if begun.parent else None,
            "why_fresh": begun.why_fresh,
            "examples": corpus.examples,
            "train_rows": len(corpus.train),
            "history_rows": len(corpus.history or ()),
            "validation_rows": len(corpus.validation),
            "parameters": sum(weight.numel() for weight in begun.weights),
            **vars(course),
            **kept,
            "seconds": round(time.monotonic() - ready.began, 2),
            "cpu_seconds": round(time.process_time() - ready.cpu, 2),
            "peak_memory_mib": peak_memory_mib(shared.facts["device"]),
        }
        (work / "training.json").write_text(json.dumps(record, indent=1), "utf-8")
    if recipe.method != "full":
        take_off(begun.model)
    told = ("domain", "digest", "steps", "best_step", "seconds", "cpu_seconds")
    shared.progress({"event": "trained", **{name: record[name] for name in told}, **kept})


def _save(begun: Start, shared: Shared, folder: Path) -> str:
    """Write the result and return its digest."""
    if shared.recipe.method == "full":
        begun.model.save_pretrained(folder)
        shared.tokenizer.save_pretrained(folder)
        return base_digest(folder)
    save_adapter(begun.model, shared.targets, folder)
    return adapter_digest(folder, shared.digest)


def _checkpoints(
    jobs: list[dict[str, Any]], shared: Shared, texts: list[Path]
) -> Checkpoints | None:
    """Of one training, or of several in the same steps: those lie in the folder of the first."""
    if "checkpoints" not in jobs[0]:
        return None
    # Up to a row per thread, the number of threads changes nothing (see workers.py).
    rows = 1 if shared.recipe.dropout else shared.recipe.batch_rows
    depends_on = {
        "trainings": [_depends_on(one, shared.facts, texts) for one in jobs],
        "threads": max(1, shared.facts["threads"] // rows),
    }
    return Checkpoints(Path(jobs[0]["checkpoints"]), depends_on, shared.progress)


def _depends_on(one: dict[str, Any], facts: dict[str, Any], texts: list[Path]) -> dict[str, Any]:
    """Everything that the bytes of a result depend on; not where its inputs lie."""
    parent = {name: value for name, value in (one.get("parent") or {}).items() if name != "folder"}
    return {
        **facts,
        "domain": one["domain"],
        "seed": one["seed"],
        "corpus": _digest(Path(one["corpus"])),
        "parent": parent,
        "general_text": [_digest(file) for file in texts],
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "numpy")},
        "code": [_digest(file) for file in sorted(Path(__file__).parent.glob("*.py"))],
    }


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        train_all(job_file, report)
