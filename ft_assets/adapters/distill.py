"""Teach a smaller base what an adapted one knows: knowledge distillation of base and adapter.

    python -m ft_assets.adapters.distill JOB.json

JOB.json: {"base": folder, "base_digest": hex, "student": folder, "student_digest": hex, "recipe":
{every field of Recipe, with a section distillation}, "threads": n, "replay_text": [files],
"jobs": [{"domain", "adapter": folder, "corpus": Parquet, "out": folder, "seed"}, ...]}.
The teacher is `base` with `adapter`; the student is another base with the same tokenizer, such as
the embedded one of half the size (BaseSpec.size). `out` is an adapter of the student's base in the
same format as train.py's, so whatever serves adapters serves it with that base; with method full
it is a whole model.

The loss of a token is (1 - weight) times its cross-entropy and weight times temperature^2 times the
divergence KL(teacher || student) at that temperature (Hinton et al. 2015, arXiv 1503.02531).
The gain of an adapter is the drop in mean loss of held-out answers, in nats per token, from the
teacher's bare base on: (base - student) / (base - teacher) is the share of the teacher's gain that
the student keeps. Both start from the larger base, so a student cannot do well by starting low.

On a CPU the same job with the same number of threads gives the same bytes.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.base_model import rate_share
from ft_assets.adapters.device import choose_device, choose_precision
from ft_assets.adapters.distillation_section import Distillation
from ft_assets.adapters.job import Progress, published, running_job
from ft_assets.adapters.loop import mean_loss
from ft_assets.adapters.optimizer import BETA2
from ft_assets.adapters.recipe import Recipe, recipe_from
from ft_assets.adapters.rows import Batches, read_corpus, read_general
from ft_assets.adapters.start import save_adapter, start, target_modules
from ft_assets.adapters.tokens import IGNORED, template_digest, tokenizer_digest
from ft_assets.adapters.workers import Batch, filled, row_workers
from ft_resources.adapter_format import adapter_digest, base_digest

REPORT_EVERY = 10


def distill_all(job: dict[str, Any], progress: Progress) -> None:
    """Raises ValueError when a base is not the one named, the two have different tokenizers, or
    the recipe has no `distillation`."""
    from peft import PeftModel

    recipe = recipe_from(job["recipe"])
    if recipe.distillation is None:
        raise ValueError(f"recipe {recipe.name}: has no section distillation")
    folders = {name: Path(job[name]) for name in ("base", "student")}
    for name, folder in folders.items():
        found = base_digest(folder)
        if found != job[f"{name}_digest"]:
            raise ValueError(
                f"{name} at {folder} has digest {found[:12]}, the job asks for "
                f"{job[f'{name}_digest'][:12]}; make it again"
            )
    tokenizer: Any = AutoTokenizer.from_pretrained(folders["student"])
    if tokenizer_digest(tokenizer) != tokenizer_digest(
        AutoTokenizer.from_pretrained(folders["base"])
    ):
        raise ValueError(
            f"{folders['student']}: its tokenizer is not the teacher's, so their distributions are "
            "over different tokens; take a student of the same family"
        )
    torch.set_num_threads(job["threads"])
    device = choose_device(recipe.device)
    precision = choose_precision(recipe.precision, device)
    general = None
    if recipe.replay_share:
        general = read_general([Path(f) for f in job["replay_text"]], tokenizer, recipe).replay
    for one in job["jobs"]:
        began, cpu = time.monotonic(), time.process_time()
        seed = one["seed"]
        corpus = read_corpus(Path(one["corpus"]), one["domain"], tokenizer, recipe, seed)
        base, student = (_load(folders[name], device) for name in ("base", "student"))
        with row_workers(job["threads"], recipe.batch_rows) as rows_map:

            def held_out(model: Any, rows_map: Any = rows_map, corpus: Any = corpus) -> float:
                if not len(corpus.validation):
                    return math.nan
                return mean_loss(model, corpus.validation, precision, rows_map)

            losses = {"base": held_out(base), "student_base": held_out(student)}
            teacher = PeftModel.from_pretrained(base, one["adapter"])
            losses["teacher"] = held_out(teacher)
            teacher.eval()  # mean_loss leaves it as one that is trained
        torch.set_num_threads(job["threads"])
        targets = target_modules(student, recipe)
        begun = start(student, recipe, targets, seed, None, job["student_digest"])
        batches = Batches(corpus.train, None, general, recipe, seed)
        curve = _train(
            begun.model,
            begun.weights,
            teacher,
            batches,
            recipe,
            recipe.distillation,
            one["domain"],
            progress,
        )
        with row_workers(job["threads"], recipe.batch_rows) as rows_map:
            losses["student"] = held_out(begun.model, rows_map)
        with published(Path(one["out"])) as work:
            if recipe.method == "full":
                begun.model.save_pretrained(work)
                tokenizer.save_pretrained(work)
                digest = base_digest(work)
            else:
                save_adapter(begun.model, targets, work)
                digest = adapter_digest(work, job["student_digest"])
            record = {
                "domain": one["domain"],
                "digest": digest,
                "seed": seed,
                "base_digest": job["student_digest"],
                "chat_template": template_digest(tokenizer),
                "recipe": recipe.to_dict(),
                "threads": job["threads"],
                "device": device,
                "torch": torch.__version__,
                "cpu_capability": torch.backends.cpu.get_cpu_capability(),
                "teacher": {
                    "base_digest": job["base_digest"],
                    "digest": adapter_digest(Path(one["adapter"]), job["base_digest"]),
                    "parameters": _size(base),
                },
                "parameters": _size(begun.model),
                "steps": batches.steps,
                "train_loss": curve,
                "loss": {name: _rounded(value) for name, value in losses.items()},
                "gain_kept": _rounded(kept_gain(losses)),
                "seconds": round(time.monotonic() - began, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
            }
            (work / "training.json").write_text(json.dumps(record, indent=1), "utf-8")
        told = {"gain_kept": record["gain_kept"], "seconds": record["seconds"]}
        progress({"event": "distilled", "domain": one["domain"], "digest": digest, **told})


def kept_gain(losses: dict[str, float]) -> float:
    """The student's share of the teacher's gain; NaN when the teacher has none."""
    gain = losses["base"] - losses["teacher"]
    return (losses["base"] - losses["student"]) / gain if gain > 0 else math.nan


def _train(
    model: Any,
    weights: list[Any],
    teacher: Any,
    batches: Batches,
    recipe: Recipe,
    distillation: Distillation,
    domain: str,
    progress: Progress,
) -> list[tuple[int, float]]:
    optimizer = torch.optim.AdamW(
        weights,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, BETA2),
        weight_decay=recipe.weight_decay,
    )
    curve: list[tuple[int, float]] = []
    model.train()
    for step in range(1, batches.steps + 1):
        share = rate_share(step, batches.steps, recipe.warmup_steps, recipe.final_rate_share)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * share
        total = 0.0
        for batch in batches.next_step():
            loss = distillation_loss(model, teacher, batch, distillation)
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise FloatingPointError(
                f"{domain}: loss {total} at step {step}; lower learning_rate (now "
                f"{recipe.learning_rate}) in recipe {recipe.name}"
            )
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % REPORT_EVERY == 0 or step == batches.steps:
            curve.append((step, round(total, 4)))
            progress({"domain": domain, "step": step, "steps": batches.steps, "loss": total})
    return curve


def distillation_loss(model: Any, teacher: Any, batch: Batch, distillation: Distillation) -> Any:
    """Return the loss of a batch in nats: each labelled token's, times the scale of its row."""
    device = next(model.parameters()).device
    ids, labels, scale = (column.to(device) for column in batch[:3])
    placed = {}
    if batch.positions is not None:  # transformers keeps the documents of a row apart by them
        placed["position_ids"] = filled(batch.positions).to(device)
    keep = (labels[:, 1:] != IGNORED).any(dim=0).nonzero()[:, 0]
    targets = labels[:, keep + 1]
    with torch.no_grad():
        known = teacher(
            input_ids=ids, use_cache=False, logits_to_keep=keep, **placed
        ).logits.float()
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep, **placed).logits.float()
    text = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
    )
    heat = distillation.temperature
    divergence = torch.nn.functional.kl_div(
        (logits / heat).log_softmax(-1),
        (known / heat).log_softmax(-1),
        reduction="none",
        log_target=True,
    ).sum(-1)
    weight = distillation.weight
    losses = (1 - weight) * text + weight * heat**2 * divergence * (targets != IGNORED)
    return (losses * scale[:, None]).sum()


def _load(folder: Path, device: str) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    model.to(device)
    return model.requires_grad_(False).eval()


def _size(model: Any) -> int:
    return sum(weight.numel() for weight in model.parameters())


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        distill_all(job_file, report)
