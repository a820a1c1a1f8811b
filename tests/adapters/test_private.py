import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from opacus import GradSampleModule
from opacus.accountants import RDPAccountant
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.privacy import Plan, Privacy, Spent, epsilon_of, plan, subjects_of
from ft_assets.adapters.private import sequences, subject_losses, train_all, train_one
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.start import start, target_modules
from ft_assets.adapters.tokens import IGNORED, Tokens
from tests.tiny_base import tiny_base

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning"),
]
WORDS = ["the", "order", "came", "late", "customer", "asked", "refund", "friday"]
RECIPE = Recipe(
    "private",
    rank=4,
    alpha=8,
    learning_rate=5e-3,
    max_steps=3,
    row_tokens=64,
    privacy=Privacy(batch_subjects=4, max_rows_per_subject=2, at_once=3),
)


def write_corpus(file, subjects):
    """The n-th subject has n % 4 + 1 rows."""
    rows = [(f"user:{n}", f"{n} {row}") for n in range(subjects) for row in range(n % 4 + 1)]
    messages = [
        json.dumps(
            [
                {"role": "user", "content": f"Question {name}?"},
                {"role": "assistant", "content": " ".join(WORDS[: 2 + hash_of(name) % 7])},
            ]
        )
        for _, name in rows
    ]
    table = {"split": ["train"] * len(rows), "group": [g for g, _ in rows], "messages": messages}
    pq.write_table(pa.table(table), file)
    return file


def hash_of(name):
    return sum(map(ord, name))


@pytest.fixture(scope="module")
def base():
    folder, digest = tiny_base()
    return {"base": str(folder), "base_digest": digest, "threads": 1}


@pytest.fixture
def model(base):
    frozen = AutoModelForCausalLM.from_pretrained(base["base"])
    frozen.requires_grad_(False)
    return start(frozen, RECIPE, target_modules(frozen, RECIPE), 0, None, "").model


def test_gradients_of_single_subjects_are_those_of_autograd(base, model, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    samples = sequences(write_corpus(tmp_path / "c.parquet", 5), tokenizer, RECIPE, seed=0)
    for weight in (p for p in model.parameters() if p.requires_grad):
        torch.nn.init.normal_(weight, std=0.1)  # B begins at 0, which would hide A's gradient
    weights = [p for p in model.parameters() if p.requires_grad]
    alone = [torch.autograd.grad(subject_losses(model, [s])[0], weights) for s in samples]
    wrapped = GradSampleModule(model)
    subject_losses(wrapped, samples).mean().backward()
    assert len(weights) == 28
    for place, weight in enumerate(weights):
        expected = torch.stack([gradients[place] for gradients in alone])
        error = (weight.grad_sample - expected).norm() / expected.norm()
        assert expected.norm() > 0
        assert error < 1e-5
    wrapped.to_standard_module()


def test_nobody_moves_the_weights_by_more_than_the_clip(base, model, tmp_path, monkeypatch):
    """Without noise, and with everybody drawn: the sum of cut gradients over the batch's size."""
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    clip = 1e-3
    recipe = dataclasses.replace(
        RECIPE, privacy=dataclasses.replace(RECIPE.privacy, clip=clip), max_steps=1
    )
    samples = sequences(write_corpus(tmp_path / "c.parquet", 7), tokenizer, recipe, seed=0)
    weights = [p for p in model.parameters() if p.requires_grad]
    alone = [torch.autograd.grad(subject_losses(model, [s])[0], weights) for s in samples]
    norms = [torch.cat([g.flatten() for g in one]).norm() for one in alone]
    assert min(norms) > clip
    expected = [
        sum(one[place] * clip / norm for one, norm in zip(alone, norms, strict=True)) / 4
        for place in range(len(weights))
    ]
    seen = []
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, closure=None: seen.append([p.grad.clone() for p in weights]),
    )
    everybody = Plan(7, Spent(noise=0.0, rate=1.0, steps=1), 8.0, 0.01)
    train_one(model, samples, everybody, recipe, 7, "law", lambda facts: None)
    [found] = seen  # seven subjects in parts of three: one step
    for got, wanted in zip(found, expected, strict=True):
        assert torch.allclose(got, wanted, atol=1e-8)


def test_a_subject_is_one_sequence_of_its_own_rows(base, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    file = write_corpus(tmp_path / "c.parquet", 8)
    assert [len(rows) for rows in subjects_of(file).values()] == [1, 2, 3, 4] * 2
    samples = sequences(file, tokenizer, RECIPE, seed=0)
    assert len(samples) == 8
    for number, sample in enumerate(samples):
        text = tokenizer.decode(sample.ids)
        assert text.count("<|user|>") == min(number % 4 + 1, 2)
        assert text.count(f"Question {number} ") == text.count("<|user|>")
        assert len(sample.ids) <= RECIPE.row_tokens


def test_a_loss_depends_on_nobody_else(base, model, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    samples = sequences(write_corpus(tmp_path / "c.parquet", 6), tokenizer, RECIPE, seed=0)
    together = subject_losses(model, samples)
    for sample, loss in zip(samples, together, strict=True):
        alone = subject_losses(model, [sample])[0]
        assert alone.item() == pytest.approx(loss.item(), abs=1e-5)
    unlabelled = dataclasses.replace(samples[0], labels=[IGNORED] * len(samples[0].labels))
    assert subject_losses(model, [unlabelled])[0].item() == 0


def train(base, tmp_path, name, noise_seed=1, subjects=8):
    file = write_corpus(tmp_path / "c.parquet", 8)
    one = {
        "domain": "law",
        "corpus": str(file),
        "out": str(tmp_path / name),
        "seed": 0,
        "privacy": {
            "plan": Plan(subjects, Spent(noise=1.0, rate=0.5, steps=3), 7.5, 1 / 80).to_dict(),
            "noise_seed": noise_seed,
        },
    }
    train_all({**base, "recipe": RECIPE.to_dict(), "jobs": [one]}, lambda facts: None)
    return tmp_path / name


def test_the_same_noise_gives_the_same_bytes_and_other_noise_others(base, tmp_path):
    folders = [train(base, tmp_path, name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    a, b, c = ((f / "adapter_model.safetensors").read_bytes() for f in folders)
    assert a == b
    assert a != c
    record = json.loads((folders[0] / "training.json").read_text())
    assert record["privacy"]["epsilon"] == 7.5
    assert record["privacy"]["unit"] == "subject"
    assert record["steps"] == 3
    assert record["train_loss"] == []
    loaded = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base["base"]), folders[0]
    )
    weights = loaded.state_dict()
    assert any(name.endswith("lora_B.default.weight") and w.any() for name, w in weights.items())


def test_a_plan_for_another_corpus_is_refused(base, tmp_path):
    with pytest.raises(ValueError, match="8 subjects, the plan is for 9"):
        train(base, tmp_path, "a", subjects=9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"replay_share": 0.1}, "go with replay_share 0.1"),
        ({"gradient_checkpointing": True}, "go with gradient_checkpointing True"),
        ({"dropout": 0.1}, "go with dropout 0.1"),
        ({"method": "dora"}, "go with method dora"),
        ({"init": "continue"}, "go with init continue"),
        ({"privacy": None}, "no section privacy"),
    ],
)
def test_what_does_not_go_with_it(base, change, says):
    recipe = dataclasses.replace(RECIPE, **change)
    with pytest.raises(ValueError, match=says):
        train_all({**base, "recipe": recipe.to_dict(), "jobs": []}, lambda facts: None)


def test_a_step_that_draws_nobody_is_noise_alone(base, model):
    before = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    ids = tokenizer("nobody is drawn", add_special_tokens=False)["input_ids"]
    never = Plan(1, Spent(noise=1.0, rate=0.0, steps=1), 8.0, 0.01)
    train_one(model, [Tokens(ids, ids)], never, RECIPE, 3, "law", lambda facts: None)
    after = [p for p in model.parameters() if p.requires_grad]
    assert all(bool((a != b).any()) for a, b in zip(after, before, strict=True))


def test_the_plan_spends_the_epsilon_and_no_more():
    privacy = Privacy(epsilon=3.0, batch_subjects=256)
    found = plan(2000, 24, privacy)
    assert found.delta == pytest.approx(1 / 20_000)
    assert 2.9 < found.epsilon <= 3.0
    # The figure of an independent calculation, in the notes on Opacus: sigma 1.30.
    assert found.spent.noise == pytest.approx(1.30, abs=0.02)
    assert epsilon_of([found.spent] * 2, found.delta) < 2 * found.epsilon
    assert epsilon_of([found.spent] * 2, found.delta) > found.epsilon
    assert epsilon_of([], 1e-5) == 0
    accountant = RDPAccountant()
    accountant.history = [(1.3, 0.1, 20), (0.9, 0.05, 7)]
    both = epsilon_of([Spent(1.3, 0.1, 20), Spent(0.9, 0.05, 7)], 1e-5)
    assert both == pytest.approx(accountant.get_epsilon(1e-5))
    with pytest.raises(ValueError, match="500 subjects, 256 in a step"):
        plan(500, 10, privacy)
