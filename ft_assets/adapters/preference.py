"""Go on from a trained adapter with pairs of a preferred and a rejected answer: DPO, by TRL.

    python -m ft_assets.adapters.preference JOB.json

JOB.json: {"base": folder, "base_digest": hex, "recipe": {every field of Recipe}, "threads": n,
"jobs": [{"domain", "adapter": folder, "pairs": Parquet (pair_id, user, prompt, chosen, rejected),
"out": folder, "seed"}, ...]}. `adapter` is what train.py made; it is where the training starts and
the reference that it is held to (Rafailov et al. 2023, arXiv 2305.18290). `out` holds the same
files as before, training.json with `preference` added, and may be the folder of `adapter` itself.

A share of the users is held out, all their pairs with them. The margin of a pair is the
log-likelihood of the preferred answer minus that of the rejected one, in nats, given the prompt;
what counts is by how much it rises on held-out pairs, against the reference. With fewer than
`min_pairs` to learn from, or none held out, the adapter stays as it is and the record says why.

On a CPU the same job with the same number of threads gives the same bytes.
"""

import hashlib
import json
import shutil
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.device import choose_device
from ft_assets.adapters.job import Progress, checked_base, published, running_job
from ft_assets.adapters.preference_section import Preference
from ft_assets.adapters.recipe import recipe_from
from ft_assets.adapters.start import save_adapter
from ft_assets.adapters.tokens import IGNORED, Message, encode_conversations, plain
from ft_resources.adapter_format import adapter_digest

AT_ONCE = 8  # sequences scored together


@dataclass(frozen=True)
class Pair:
    pair_id: str
    user: str
    prompt: str
    chosen: str
    rejected: str


def train_all(job: dict[str, Any], progress: Progress) -> None:
    """Raises ValueError when the base is not the one named or the recipe has no `preference`."""
    recipe = recipe_from(job["recipe"])
    if recipe.preference is None:
        raise ValueError(f"recipe {recipe.name}: has no section preference")
    folder, found = checked_base(job)
    torch.set_num_threads(job["threads"])
    device = choose_device(recipe.device)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for one in job["jobs"]:
        began = time.monotonic()
        pairs = [Pair(**row) for row in pq.read_table(one["pairs"], columns=COLUMNS).to_pylist()]
        learned, held_out = split_pairs(pairs, recipe.preference.held_out_share)
        if why := _why_not(learned, held_out, recipe.preference):
            told: dict[str, Any] = {"pairs": len(learned), "why_not": why}
            progress({"event": "no preference training", "domain": one["domain"], "why": why})
            _publish(one, found, told)
            continue
        base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        base.to(device)
        model = PeftModel.from_pretrained(base, one["adapter"], is_trainable=True)
        before = margins(model, tokenizer, held_out)
        losses = optimize(model, tokenizer, learned, recipe.preference, one["seed"], device)
        after = margins(model, tokenizer, held_out)
        told = {
            "pairs": len(learned),
            "held_out": len(held_out),
            "train_loss": losses,
            "margin_before": float(before.mean()),
            "margin_after": float(after.mean()),
            "rise": float((after - before).mean()),
            "rise_interval": _interval(after - before, one["seed"]),
            "preferred_share_before": float((before > 0).mean()),
            "preferred_share_after": float((after > 0).mean()),
            "risen_share": float((after > before).mean()),
            "seconds": round(time.monotonic() - began, 2),
        }
        _publish(one, found, told, model)
        shown = ("pairs", "held_out", "rise", "risen_share", "seconds")
        progress({"domain": one["domain"], **{name: told[name] for name in shown}})


COLUMNS = ["pair_id", "user", "prompt", "chosen", "rejected"]


def split_pairs(pairs: list[Pair], held_out_share: float) -> tuple[list[Pair], list[Pair]]:
    """Return (to learn from, held out); a user's pairs, else a pair, are on one side for good."""

    def place(pair: Pair) -> float:
        digest = hashlib.sha256((pair.user or pair.pair_id).encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64

    ordered = sorted(pairs, key=lambda pair: pair.pair_id)
    held_out = [pair for pair in ordered if place(pair) < held_out_share]
    return [pair for pair in ordered if place(pair) >= held_out_share], held_out


def optimize(
    model: Any,
    tokenizer: Any,
    pairs: list[Pair],
    preference: Preference,
    seed: int,
    device: str,
) -> list[tuple[int, float]]:
    """Train the adapter in place; return (step, loss) points. The base does not change."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = [
        {
            "prompt": [_message(tokenizer, "user", pair.prompt)],
            "chosen": [_message(tokenizer, "assistant", pair.chosen)],
            "rejected": [_message(tokenizer, "assistant", pair.rejected)],
        }
        for pair in pairs
    ]
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        # Of the libraries to one another; nothing that a reader of the log could act on.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        trainer = DPOTrainer(
            model=model,
            args=DPOConfig(
                output_dir=scratch,
                beta=preference.beta,
                loss_type=[preference.loss],
                learning_rate=preference.learning_rate,
                per_device_train_batch_size=preference.batch_pairs,
                max_steps=preference.max_steps,
                max_length=preference.max_tokens,
                lr_scheduler_type="linear",
                warmup_steps=preference.warmup_steps,
                gradient_checkpointing=False,
                bf16=False,
                use_cpu=device == "cpu",
                dataloader_pin_memory=False,
                seed=seed,
                data_seed=seed,
                full_determinism=False,
                logging_steps=10,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        trainer.train()
    found = trainer.state.log_history
    return [(int(log["step"]), round(float(log["loss"]), 4)) for log in found if "loss" in log]


def margins(model: Any, tokenizer: Any, pairs: list[Pair]) -> np.ndarray:
    """Log-likelihood of the preferred answer minus the rejected one, in nats, for each pair."""
    texts = [[pair.prompt, answer] for pair in pairs for answer in (pair.chosen, pair.rejected)]
    conversations = [
        [_message(tokenizer, "user", prompt), _message(tokenizer, "assistant", answer)]
        for prompt, answer in texts
    ]
    encoded = encode_conversations(tokenizer, conversations, train_on="responses")
    context = model.config.max_position_embeddings
    likelihoods: list[float] = []
    model.eval()
    for start in range(0, len(encoded), AT_ONCE):
        rows = encoded[start : start + AT_ONCE]
        longest = min(context, max(len(row.ids) for row in rows))
        # Attention is causal: what is filled up on the right changes nothing before it.
        ids, labels = (
            torch.tensor([(r + [fill] * longest)[:longest] for r in column], device=model.device)
            for column, fill in (
                ([row.ids for row in rows], 0),
                ([row.labels for row in rows], IGNORED),
            )
        )
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none"
        )
        likelihoods += (-losses.sum(dim=1)).tolist()
    found = np.array(likelihoods).reshape(-1, 2)
    return found[:, 0] - found[:, 1]


def _message(tokenizer: Any, role: str, text: str) -> Message:
    return {"role": role, "content": plain(text, sorted(set(tokenizer.all_special_tokens)))}


def _why_not(learned: list[Pair], held_out: list[Pair], preference: Preference) -> str:
    if len(learned) < preference.min_pairs:
        return f"{len(learned)} pairs to learn from; {preference.min_pairs} are needed"
    return "" if held_out else "no pair is held out to see whether it helps"


def _publish(
    one: dict[str, Any], base_digest: str, told: dict[str, Any], model: Any | None = None
) -> None:
    source = Path(one["adapter"])
    record = json.loads((source / "training.json").read_text("utf-8"))
    with published(Path(one["out"])) as work:
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            shutil.copy(source / name, work / name)
        if model is not None:
            targets = json.loads((source / "adapter_config.json").read_text("utf-8"))
            save_adapter(model, sorted(targets["target_modules"]), work)
        digest = adapter_digest(work, base_digest)
        record = {**record, "digest": digest, "preference": {**told, "from": record["digest"]}}
        (work / "training.json").write_text(json.dumps(record, indent=1), "utf-8")


def _interval(rises: np.ndarray, seed: int) -> list[float]:
    """95 %, by the percentile bootstrap over pairs."""
    places = np.random.default_rng(seed).integers(0, len(rises), (2_000, len(rises)))
    return [float(q) for q in np.quantile(rises[places].mean(axis=1), [0.025, 0.975])]


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        train_all(job_file, report)
