"""One training by one trainer, in a process of its own: what tests/bench/training.py compares.

    python -m tests.bench.trainers JOB.json

JOB.json: {"trainer": see TRAINERS, "base": folder, "tokens": file of numpy arrays (ids, labels,
lengths of the conversations to train on; held_ids, held_labels, held_lengths), "batch_rows",
"row_tokens", "rate", "momentum", "rank", "seed", "threads": 1, "precision"}. Prints one line of
JSON: tokens read, padding not counted; seconds of this process's CPU in the loop alone, without
imports, reading and encoding; the loss in nats on the held-out answers, each conversation by
itself.

Every trainer reads each conversation once, in a shuffled order, with the loss on the answers alone,
AdamW at the rate and momentum of the job, falling linearly, and LoRA of the same rank; ours lets B
learn faster than A (LoRA+), for which the others would need an optimizer of the caller's.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

WARMUP_STEPS = 5
ALPHA_PER_RANK = 2
B_RATE_RATIO = 2  # ours: LoRA+
BETA2 = 0.95
TRAINERS = ("ours", "ours joined", "hf", "trl", "trl packed", "trl wrapped")


def main(job: dict[str, Any]) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(job["threads"])
    tokens = np.load(job["tokens"])
    base: Any = AutoModelForCausalLM.from_pretrained(job["base"], dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    train = {"ours": _ours, "ours joined": _ours, "hf": _hf}.get(job["trainer"], _trl)
    model, seconds = train(job, base, tokenizer, tokens)
    return {
        "tokens": len(tokens["ids"]),
        "seconds": seconds,
        "tokens_per_second": len(tokens["ids"]) / seconds,
        "held_out_loss": held_out_loss(model, tokens),
    }


def examples(tokens: Any, prefix: str = "") -> list[tuple[list[int], list[int]]]:
    """(ids, labels) of each conversation."""
    cuts = np.cumsum(tokens[f"{prefix}lengths"])[:-1]
    columns = (np.split(tokens[f"{prefix}{name}"], cuts) for name in ("ids", "labels"))
    return [(ids.tolist(), labels.tolist()) for ids, labels in zip(*columns, strict=True)]


def held_out_loss(model: Any, tokens: Any) -> float:
    """Mean over all answer tokens, each conversation alone; by transformers' own loss."""
    import torch

    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for ids, labels in examples(tokens, "held_"):
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
            found = torch.nn.functional.cross_entropy(
                logits, torch.tensor(labels[1:]), reduction="sum"
            )
            total += float(found)
            count += sum(label != -100 for label in labels[1:])
    return total / count


def _recipe(job: dict[str, Any], steps: int) -> Any:
    from ft_assets.adapters.recipe import Recipe

    return Recipe(
        "bench",
        rank=job["rank"],
        alpha=ALPHA_PER_RANK * job["rank"],
        learning_rate=job["rate"],
        b_rate_ratio=B_RATE_RATIO,
        momentum=job["momentum"],
        warmup_steps=WARMUP_STEPS,
        final_rate_share=0.0,
        max_steps=max(1, steps),
        max_epochs=1,
        packing="joined" if job["trainer"] == "ours joined" else "documents",
        row_tokens=job["row_tokens"],
        batch_rows=job["batch_rows"],
        precision=job["precision"],
        eval_every=1_000_000,
    )


def _ours(job: dict[str, Any], base: Any, tokenizer: Any, tokens: Any) -> tuple[Any, float]:
    from ft_assets.adapters.document_attention import keep_documents_apart
    from ft_assets.adapters.loop import Training
    from ft_assets.adapters.rows import Batches, packed_rows
    from ft_assets.adapters.start import start, target_modules
    from ft_assets.adapters.tokens import Tokens
    from ft_assets.adapters.workers import row_workers

    base.requires_grad_(False)
    recipe = _recipe(job, 1_000_000)
    if recipe.packing == "documents":
        keep_documents_apart(base)
    found = [Tokens(*example) for example in examples(tokens)]
    order = np.random.default_rng(job["seed"]).permutation(len(found))
    rows = packed_rows([found[i] for i in order], recipe, tokenizer.pad_token_id)
    begun = start(base, recipe, target_modules(base, recipe), job["seed"], None, "")
    batches = Batches(rows, None, None, recipe, job["seed"])
    training = Training(begun.model, begun, batches, rows.first(0), recipe)
    with row_workers(job["threads"], recipe.batch_rows) as rows_map:
        began = time.process_time()
        training.run("bench", rows_map, lambda facts: None, None)
        return begun.model, time.process_time() - began


def _arguments(job: dict[str, Any], folder: str) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "per_device_train_batch_size": job["batch_rows"],
        "num_train_epochs": 1,
        "learning_rate": job["rate"],
        "lr_scheduler_type": "linear",
        "warmup_steps": WARMUP_STEPS,
        "adam_beta1": job["momentum"],
        "adam_beta2": BETA2,
        "max_grad_norm": 1.0,
        "bf16": job["precision"] == "bf16",
        "gradient_checkpointing": False,
        "use_cpu": True,
        "seed": job["seed"],
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def _lora(job: dict[str, Any]) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=job["rank"],
        lora_alpha=ALPHA_PER_RANK * job["rank"],
        target_modules="all-linear",
    )


def _hf(job: dict[str, Any], base: Any, tokenizer: Any, tokens: Any) -> tuple[Any, float]:
    from datasets import Dataset
    from peft import get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model = get_peft_model(base, _lora(job))
    longest = job["row_tokens"]
    ids, labels = zip(*examples(tokens), strict=True)
    rows = Dataset.from_dict(
        {"input_ids": [i[:longest] for i in ids], "labels": [i[:longest] for i in labels]}
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                **_arguments(job, folder), train_sampling_strategy=job.get("sampling", "random")
            ),
            train_dataset=rows,
            data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
        )
        began = time.process_time()
        trainer.train()
        return model, time.process_time() - began


def _trl(job: dict[str, Any], base: Any, tokenizer: Any, tokens: Any) -> tuple[Any, float]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    packing = {"trl": {}, "trl packed": {"packing": True}}.get(
        job["trainer"], {"packing": True, "packing_strategy": "wrapped"}
    )
    found = examples(tokens)
    rows = Dataset.from_dict(
        {
            "input_ids": [ids for ids, _ in found],
            "completion_mask": [[int(label != -100) for label in labels] for _, labels in found],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=base,
            args=SFTConfig(**_arguments(job, folder), max_length=job["row_tokens"], **packing),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=_lora(job),
        )
        began = time.process_time()
        trainer.train()
        return trainer.model, time.process_time() - began


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text("utf-8")))))
