"""Likelihoods of choices against lm-evaluation-harness, and what differential privacy costs.

    python -m tests.bench.methods JOB.json

JOB.json: {"what": see WAYS, "base": folder, "questions": JSON lines, "tokens": as in trainers.py}.
Prints one line of JSON: seconds of this process's CPU without imports and loading, and what was
computed. One thread, fp32.
"""

import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.timing import Measure, costs, faster, missing
from tests.bench.trainers import examples
from tests.bench.training import (
    BASE_STEPS,
    CACHE,
    MOMENTA,
    RANK,
    RATE,
    _run,
    sample_conversations,
)
from tests.bench.training import write_tokens as write_conversations

QUESTIONS, CHOICES = 200, 4
EQUAL = 1e-3  # nats between the likelihoods of both
SUBJECTS_A_STEP = 16
TASK = """
task: answers
dataset_path: json
dataset_kwargs: {data_files: {test: "FILE"}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


def measures() -> Iterator[Measure]:
    from ft_assets.adapters.base_model import BaseSpec, ensure_base

    CACHE.mkdir(parents=True, exist_ok=True)
    folder, _ = ensure_base(CACHE, BaseSpec("embedded", steps=BASE_STEPS), lambda facts: None)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        conversations = sample_conversations(work)
        write_conversations(work / "tokens.npz", folder, conversations)
        rows = questions(conversations)
        (work / "questions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")

        def run(what: str) -> Any:
            job = {
                "what": what,
                "base": str(folder),
                "questions": str(work / "questions.jsonl"),
                "tokens": str(work / "tokens.npz"),
            }
            return _run("tests.bench.methods", job, work)

        if importlib.util.find_spec("lm_eval"):
            yield _likelihoods(run("ours"), run("lm_eval"))
        else:
            yield missing("eval_vs_lm_eval", "CPU s", "", "lm_eval missing: install '.[lm-eval]'")
        private, plain = run("private"), run("plain")
        yield {
            **costs("dp_vs_plain", private["seconds"], plain["seconds"], unit="CPU s"),
            "note": f"{plain['tokens']} tokens; {private['subjects']} subjects, "
            f"{SUBJECTS_A_STEP} in a step",
        }


def questions(conversations: list[list[dict[str, str]]]) -> list[dict[str, Any]]:
    """Which of the answers belongs to a question: its own, or those of three others."""
    dice = np.random.default_rng(0)
    made = []
    for number, (asked, answered) in enumerate(conversations[:QUESTIONS]):
        others = [n for n in dice.permutation(len(conversations)).tolist() if n != number]
        choices = [answered["content"], *(conversations[n][1]["content"] for n in others[:3])]
        order = dice.permutation(CHOICES).tolist()
        made.append(
            {
                "question": asked["content"],
                "choices": [choices[n] for n in order],
                "answer": order.index(0),
            }
        )
    return made


def _likelihoods(ours: Any, peer: Any) -> Measure:
    apart = np.abs(np.subtract(ours["likelihoods"], peer["likelihoods"])).max()
    best = [np.argmax(one["likelihoods"], axis=1) for one in (ours, peer)]
    return {
        **faster("eval_vs_lm_eval", ours["seconds"], peer["seconds"], unit="CPU s"),
        "goal": "equal likelihoods",
        "holds": bool(apart <= EQUAL),
        "note": f"{QUESTIONS} questions of {CHOICES} choices; likelihoods differ by {apart:.1g} "
        f"nats at most, the chosen answer in {int((best[0] != best[1]).sum())}",
    }


def _model(base: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(base)


def ours(job: dict[str, Any]) -> dict[str, Any]:
    from ft_assets.adapters.tokens import Tokens
    from ft_assets.evaluation.likelihood import labelled_from, window_losses

    model, tokenizer = _model(job["base"])
    rows = _rows(job)
    began = time.process_time()
    windows = []
    for row in rows:
        # As in the harness: what the question alone is not, is of the choice.
        first = len(tokenizer(row["question"], add_special_tokens=False)["input_ids"])
        texts = [f"{row['question']} {choice}" for choice in row["choices"]]
        for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
            windows.append(labelled_from(first, Tokens(ids, ids)))
    losses = window_losses(model, windows, lambda work, parts: [work(part) for part in parts])
    seconds = time.process_time() - began
    return {"seconds": seconds, "likelihoods": (-np.reshape(losses, (-1, CHOICES))).tolist()}


def lm_eval(job: dict[str, Any]) -> dict[str, Any]:
    import lm_eval as harness
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model, tokenizer = _model(job["base"])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "answers.yaml").write_text(TASK.replace("FILE", job["questions"]), "utf-8")
        manager = TaskManager(include_path=folder, include_defaults=False)
        began = time.process_time()
        found: Any = harness.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8, device="cpu"),
            tasks=["answers"],
            task_manager=manager,
            bootstrap_iters=0,
        )
        seconds = time.process_time() - began
    samples = sorted(found["samples"]["answers"], key=lambda sample: sample["doc_id"])
    likelihoods = [[one[0] for one in sample["filtered_resps"]] for sample in samples]
    return {"seconds": seconds, "likelihoods": likelihoods}


def private(job: dict[str, Any]) -> dict[str, Any]:
    """Each conversation is a subject, and is drawn once, on average."""
    from ft_assets.adapters.privacy import Plan, Privacy, Spent
    from ft_assets.adapters.private import train_one
    from ft_assets.adapters.recipe import Recipe
    from ft_assets.adapters.start import start, target_modules
    from ft_assets.adapters.tokens import Tokens

    base, _ = _model(job["base"])
    base.requires_grad_(False)
    samples = [Tokens(*example) for example in examples(np.load(job["tokens"]))]
    privacy = Privacy(batch_subjects=SUBJECTS_A_STEP, at_once=SUBJECTS_A_STEP)
    recipe = Recipe("private", rank=RANK, learning_rate=RATE, privacy=privacy)
    steps = round(len(samples) / SUBJECTS_A_STEP)
    spent = Spent(noise=1.0, rate=1 / steps, steps=steps)
    model = start(base, recipe, target_modules(base, recipe), 0, None, "").model
    plan = Plan(len(samples), spent, epsilon=0.0, delta=0.0)
    began = time.process_time()
    train_one(model, samples, plan, recipe, 0, "bench", lambda facts: None)
    return {"seconds": time.process_time() - began, "subjects": len(samples)}


def plain(job: dict[str, Any]) -> dict[str, Any]:
    from tests.bench.trainers import main as trained

    found = trained(
        {
            **job,
            "trainer": "ours",
            "batch_rows": 1,
            "row_tokens": 512,
            "rate": RATE,
            "momentum": MOMENTA[0],
            "rank": RANK,
            "seed": 0,
            "threads": 1,
            "precision": "fp32",
        }
    )
    return {"seconds": found["seconds"], "tokens": found["tokens"]}


def _rows(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(job["questions"]).read_text("utf-8").splitlines()]


WAYS = {"ours": ours, "lm_eval": lm_eval, "private": private, "plain": plain}

if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    print(json.dumps(WAYS[asked["what"]](asked)))
