"""Train LoRA adapters with differential privacy, one subject a sample (DP-SGD through Opacus).

    python -m ft_assets.adapters.private JOB.json

JOB.json as of train.py, and "privacy" in every job: {"plan": Plan.to_dict(), "noise_seed": n}. The
recipe needs a section `privacy`; `out` holds the same files.

Each step draws every subject with the same chance (Poisson sampling), takes the gradient of each
drawn subject's mean loss, cuts its norm at `clip`, adds Gaussian noise to the sum, and lets AdamW
make a step of it: Abadi et al. 2016 (arXiv 1607.00133). A subject is one sequence: its rows, at
most `max_rows_per_subject` of them in an order of chance, one after the other up to `row_tokens`.
Subjects never share a sequence. It makes all the steps it was planned for: stopping when the
validation split gets worse, or keeping the best weights, would be a choice by data that the plan
does not pay for. The losses of training are not written, for they are of the subjects.

The same job with the same number of threads gives the same bytes on one kind of CPU. The noise
comes from torch's generator, which is not a cryptographic one. The validation loss is of people who
were not trained on; it is measured without noise.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.base_model import rate_share
from ft_assets.adapters.device import choose_device
from ft_assets.adapters.job import Progress, checked_base, published, running_job
from ft_assets.adapters.optimizer import BETA2
from ft_assets.adapters.privacy import Plan, Privacy, plan_of, subjects_of
from ft_assets.adapters.recipe import Recipe, recipe_from
from ft_assets.adapters.start import save_adapter, start, target_modules
from ft_assets.adapters.tokens import IGNORED, Tokens, encode_conversations, template_digest
from ft_resources.adapter_format import adapter_digest

REPORT_EVERY = 10


def train_all(job: dict[str, Any], progress: Progress) -> None:
    """Train every job over the one base.

    Raises ValueError when the base or the number of subjects is not the one the job was planned
    for; jobs before it are published.
    """
    recipe = recipe_from(job["recipe"])
    privacy = checked(recipe)
    folder, found = checked_base(job)
    device = choose_device(recipe.device)
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    base.to(device)
    base.requires_grad_(False)
    targets = target_modules(base, recipe)
    for one in job["jobs"]:
        began, cpu = time.monotonic(), time.process_time()
        domain, seed = one["domain"], one["seed"]
        plan = plan_of(one["privacy"]["plan"])
        samples = sequences(Path(one["corpus"]), tokenizer, recipe, seed)
        if len(samples) != plan.subjects:
            raise ValueError(
                f"{domain}: the corpus has {len(samples)} subjects, the plan is for "
                f"{plan.subjects}; plan and corpus must be of one reading"
            )
        validation = _validation(Path(one["corpus"]), tokenizer, recipe)
        model = start(base, recipe, targets, seed, None, found).model
        before = mean_loss(model, validation, recipe.batch_rows)
        train_one(model, samples, plan, recipe, one["privacy"]["noise_seed"], domain, progress)
        after = mean_loss(model, validation, recipe.batch_rows)
        losses = [] if before is None else [(0, round(before, 4)), (plan.spent.steps, after)]
        with published(Path(one["out"])) as work:
            save_adapter(model, targets, work)
            record = {
                "domain": domain,
                "digest": adapter_digest(work, found),
                "seed": seed,
                "base_digest": found,
                "chat_template": template_digest(tokenizer),
                "recipe": recipe.to_dict(),
                "init": "fresh",
                "parent": None,
                "why_fresh": "",
                "threads": job["threads"],
                "device": device,
                "precision": str(torch.float32),
                "torch": torch.__version__,
                "cpu_capability": torch.backends.cpu.get_cpu_capability(),
                "examples": plan.subjects,
                "train_rows": plan.subjects,
                "validation_rows": len(validation),
                "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "train_loss": [],
                "validation_loss": losses,
                "best_step": plan.spent.steps,
                "steps": plan.spent.steps,
                "tokens": round(
                    plan.spent.rate * plan.spent.steps * sum(len(s.ids) for s in samples)
                ),
                "stopped_early": False,
                "privacy": {**plan.to_dict(), "unit": "subject", "clip": privacy.clip},
                "seconds": round(time.monotonic() - began, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
            }
            (work / "training.json").write_text(json.dumps(record, indent=1), "utf-8")
        model.unload()
        told = ("domain", "digest", "steps", "best_step", "seconds", "cpu_seconds")
        progress({"event": "trained", **{name: record[name] for name in told}})


def checked(recipe: Recipe) -> Privacy:
    """Raises ValueError for what does not go together with gradients of single subjects."""
    if recipe.privacy is None:
        raise ValueError(f"recipe {recipe.name}: has no section privacy")
    wrong = {
        "method": recipe.method != "lora" and "set it to lora: Opacus knows its layers",
        "init": recipe.init != "fresh"
        and "set it to fresh: what a parent learned without noise is not hidden any more",
        "max_general_rise": recipe.max_general_rise and "set it to 0: it is not built for this",
        "replay_share": recipe.replay_share and "set it to 0: replayed text is in no subject",
        "gradient_checkpointing": recipe.gradient_checkpointing
        and "set it to false: Opacus takes the gradient of each sample while it passes",
        "dropout": recipe.dropout and "set it to 0: the steps could not be repeated",
    }
    for key, why in wrong.items():
        if why:
            raise ValueError(
                f"recipe {recipe.name}: privacy does not go with {key} "
                f"{getattr(recipe, key)}; {why}"
            )
    return recipe.privacy


def sequences(file: Path, tokenizer: Any, recipe: Recipe, seed: int) -> list[Tokens]:
    """One sequence per subject, ordered by subject; every one of them, learnable or not."""
    privacy = checked(recipe)
    made = []
    for number, (_, rows) in enumerate(sorted(subjects_of(file).items())):
        order = np.random.default_rng([seed, number]).permutation(len(rows))
        chosen = [json.loads(rows[i]) for i in order[: privacy.max_rows_per_subject]]
        encoded = encode_conversations(tokenizer, chosen, train_on=recipe.train_on)
        ids = [i for tokens in encoded for i in tokens.ids][: recipe.row_tokens]
        labels = [label for tokens in encoded for label in tokens.labels][: recipe.row_tokens]
        made.append(Tokens(ids, labels))
    return made


def train_one(
    model: Any,
    samples: Sequence[Tokens],
    plan: Plan,
    recipe: Recipe,
    noise_seed: int,
    domain: str,
    progress: Progress,
) -> None:
    """Train the adapter in place, for all the steps of the plan."""
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    privacy = checked(recipe)
    steps = plan.spent.steps
    # Who is drawn and the noise are both secret: one generator each, of one seed.
    draw = np.random.default_rng(noise_seed)
    noise = torch.Generator(device=model.device).manual_seed(noise_seed)
    wrapped = GradSampleModule(model)
    optimizer = DPOptimizer(
        torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad],
            lr=recipe.learning_rate,
            betas=(recipe.momentum, BETA2),
            weight_decay=recipe.weight_decay,
        ),
        noise_multiplier=plan.spent.noise,
        max_grad_norm=privacy.clip,
        expected_batch_size=privacy.batch_subjects,
        generator=noise,
    )
    model.train()
    try:
        for step in range(1, steps + 1):
            share = rate_share(step, steps, recipe.warmup_steps, recipe.final_rate_share)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * share
            chosen = np.flatnonzero(draw.random(len(samples)) < plan.spent.rate)
            parts = list(_parts(samples, chosen, privacy.at_once))
            for number, part in enumerate(parts):
                # All parts but the last are cut and added up; the last step adds the noise.
                optimizer.signal_skip_step(do_skip=number < len(parts) - 1)
                subject_losses(wrapped, part).mean().backward()
                optimizer.step()
                optimizer.zero_grad()
            if step % REPORT_EVERY == 0 or step == steps:
                progress({"domain": domain, "step": step, "steps": steps})
    finally:
        wrapped.to_standard_module()


def _parts(samples: Sequence[Tokens], chosen: np.ndarray, at_once: int) -> Iterator[list[Tokens]]:
    """The drawn subjects, at most `at_once` together, those of like length beside each other."""
    if not len(chosen):
        # Nobody was drawn: a step of noise alone, made with a sequence that has no loss.
        yield [Tokens(samples[0].ids[:2], [IGNORED] * len(samples[0].ids[:2]))]
        return
    ordered = sorted(chosen, key=lambda i: len(samples[i].ids))
    for first in range(0, len(ordered), at_once):
        yield [samples[i] for i in ordered[first : first + at_once]]


def subject_losses(model: Any, subjects: Sequence[Tokens]) -> torch.Tensor:
    """Mean loss (nats) of the labelled tokens of each sequence; 0 for one without any.

    The loss of one does not depend on which others are in the batch.
    """
    longest = max(2, *(len(s.ids) for s in subjects))
    device = next(model.parameters()).device
    # Attention is causal: what is filled up on the right changes nothing before it.
    ids = torch.tensor([s.ids + [0] * (longest - len(s.ids)) for s in subjects], device=device)
    labels = torch.tensor(
        [s.labels + [IGNORED] * (longest - len(s.labels)) for s in subjects], device=device
    )
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none"
    )
    return losses.sum(dim=1) / (labels[:, 1:] != IGNORED).sum(dim=1).clamp(min=1)


def mean_loss(model: Any, rows: Sequence[Tokens], at_once: int) -> float | None:
    """Mean over rows of the mean loss of their answers; None without rows."""
    if not rows:
        return None
    model.eval()
    ordered = sorted(rows, key=lambda row: len(row.ids))
    with torch.no_grad():
        losses = [
            subject_losses(model, ordered[first : first + at_once])
            for first in range(0, len(ordered), at_once)
        ]
    return round(float(torch.cat(losses).mean()), 4)


def _validation(file: Path, tokenizer: Any, recipe: Recipe) -> list[Tokens]:
    columns = pq.read_table(file, columns=["split", "messages"]).to_pydict()
    pairs = zip(columns["split"], columns["messages"], strict=True)
    texts = [messages for split, messages in pairs if split == "validation"]
    order = np.random.default_rng(0).permutation(len(texts))
    few = [json.loads(texts[i]) for i in order[: recipe.validation_rows]]
    encoded = encode_conversations(tokenizer, few, train_on="responses")
    size = recipe.row_tokens
    return [Tokens(tokens.ids[:size], tokens.labels[:size]) for tokens in encoded]


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        train_all(job_file, report)
