import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM

from ft_assets.adapters import train
from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_assets.adapters.distill import distill_all, distillation_loss, kept_gain
from ft_assets.adapters.distillation_section import Distillation
from ft_assets.adapters.general_text import SEPARATOR
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.tokens import IGNORED
from ft_assets.adapters.workers import Batch
from ft_resources.adapter_format import adapter_digest, base_digest

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
WORDS = ["the", "order", "came", "late", "customer", "asked", "for", "refund", "on", "friday"]
RECIPE = Recipe(
    "student",
    rank=16,
    alpha=32,
    learning_rate=0.02,
    warmup_steps=2,
    max_steps=30,
    max_epochs=100,
    row_tokens=64,
    batch_rows=2,
    eval_every=30,
    precision="fp32",
    distillation=Distillation(),
)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A base, its half, and an adapter of the base that has learned the corpus."""
    folder = tmp_path_factory.mktemp("cache")
    text = SEPARATOR.join(
        f"Page {i}. " + " ".join(WORDS[(i * j) % len(WORDS)] for j in range(40)) for i in range(60)
    )
    version = ".".join(map(str, sys.version_info[:3]))
    (folder / f"general-python-{version}.txt").write_text(text, "utf-8")
    made = {}
    for name, size in (("base", "whole"), ("student", "half")):
        spec = BaseSpec("embedded", steps=2, threads=1, size=size)
        found, digest = ensure_base(folder, spec, lambda facts: None)
        made |= {name: str(found), f"{name}_digest": digest}
    rows = []
    for n in range(40):
        answer = " ".join(WORDS[(n * j + 1) % len(WORDS)] for j in range(12))
        messages = [
            {"role": "user", "content": f"Question {n}?"},
            {"role": "assistant", "content": answer},
        ]
        split = "validation" if n < 6 else "train"
        rows.append({"split": split, "messages": json.dumps(messages)})
    pq.write_table(pa.Table.from_pylist(rows), folder / "corpus.parquet")
    one = {
        "domain": "law",
        "corpus": str(folder / "corpus.parquet"),
        "out": str(folder / "teacher"),
        "seed": 0,
    }
    shared = {**made, "threads": 1, "recipe": RECIPE.to_dict()}
    train.train_all({**shared, "jobs": [one]}, lambda facts: None)
    return {**shared, "jobs": [{**one, "adapter": one["out"], "out": str(folder / "student-out")}]}


def test_a_student_of_half_the_size_learns_what_the_teacher_knows(job):
    distill_all(job, lambda facts: None)
    out = Path(job["jobs"][0]["out"])
    record = json.loads((out / "training.json").read_text())
    loss = record["loss"]
    assert loss["teacher"] < loss["base"] - 0.5
    assert loss["student"] < loss["student_base"] - 0.5
    assert record["gain_kept"] == pytest.approx(
        (loss["base"] - loss["student"]) / (loss["base"] - loss["teacher"]), abs=1e-3
    )
    assert record["digest"] == adapter_digest(out, job["student_digest"])
    teacher, student = (AutoModelForCausalLM.from_pretrained(job[n]) for n in ("base", "student"))
    size = student.num_parameters() / teacher.num_parameters()
    assert 0.4 < size <= 0.5
    first = (out / "adapter_model.safetensors").read_bytes()
    distill_all(job, lambda facts: None)
    assert (out / "adapter_model.safetensors").read_bytes() == first


@pytest.fixture
def batch():
    ids = torch.from_numpy(np.random.default_rng(0).integers(6, 60, (2, 12)))
    labels = ids.clone()
    labels[0, :5] = IGNORED
    return Batch(ids, labels, torch.tensor([0.1, 0.2]))


def test_the_loss_is_the_text_s_and_the_teacher_s(job, batch):
    teacher, student = (AutoModelForCausalLM.from_pretrained(job[n]) for n in ("base", "student"))
    alone = distillation_loss(student, teacher, batch, Distillation(weight=0.0))
    with torch.no_grad():
        logits, known = (m(input_ids=batch.ids).logits[:, :-1] for m in (student, teacher))
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), batch.labels[:, 1:], ignore_index=IGNORED, reduction="none"
    )
    assert alone.item() == pytest.approx((losses * batch.scale[:, None]).sum().item(), abs=1e-5)
    heat = 2.0
    p, q = ((x / heat).softmax(-1) for x in (known, logits))
    divergence = (p * (p / q).log()).sum(-1) * (batch.labels[:, 1:] != IGNORED)
    expected = heat**2 * (divergence * batch.scale[:, None]).sum().item()
    found = distillation_loss(student, teacher, batch, Distillation(weight=1.0, temperature=heat))
    assert found.item() == pytest.approx(expected, rel=1e-4)
    itself = distillation_loss(teacher, teacher, batch, Distillation(weight=1.0))
    assert itself.item() == pytest.approx(0, abs=1e-5)


def test_the_gain_is_counted_from_the_larger_base():
    assert kept_gain({"base": 5.0, "teacher": 3.0, "student": 3.2}) == pytest.approx(0.9)
    assert kept_gain({"base": 5.0, "teacher": 3.0, "student": 6.0}) == pytest.approx(-0.5)
    assert np.isnan(kept_gain({"base": 5.0, "teacher": 5.0, "student": 4.0}))


def test_what_does_not_fit_is_refused(job, tmp_path):
    plain = replace(RECIPE, distillation=None).to_dict()
    with pytest.raises(ValueError, match="no section distillation"):
        distill_all({**job, "recipe": plain}, lambda facts: None)
    with pytest.raises(ValueError, match=r"student at .* has digest"):
        distill_all({**job, "student_digest": "0" * 64}, lambda facts: None)
    other = tmp_path / "other"
    shutil.copytree(job["student"], other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["model"]["merges"].pop()
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match="its tokenizer is not the teacher's"):
        distill_all(
            {**job, "student": str(other), "student_digest": base_digest(other)}, lambda facts: None
        )
