"""Where a training starts: at the base, at its parent, or on top of it."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_assets.adapters.loop import mean_loss
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.rows import read_corpus, read_general
from ft_assets.adapters.start import ADAPTER, Parent, save_adapter, start, usable_parent
from ft_assets.adapters.train import train_all
from ft_assets.adapters.workers import row_workers
from tests.adapters.small import RECIPE, weights, write_corpus

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
TARGETS = ["down_proj", "q_proj"]


def recipe_with(**changes):
    values = {**RECIPE.to_dict(), "target_modules": TARGETS, "precision": "fp32", **changes}
    return Recipe.of(values)


def train(base, folder, recipe, weeks=("2026-W01",), parent=None):
    folder.mkdir(exist_ok=True)
    corpus = write_corpus(folder / "law.parquet", 40, weeks=weeks)
    one = {"domain": "law", "corpus": corpus, "out": str(folder / "out"), "seed": 0}
    told = []
    job = {**base, "recipe": recipe.to_dict(), "threads": 1}
    train_all({**job, "jobs": [{**one, "parent": parent}]}, told.append)
    return folder / "out", json.loads((folder / "out" / "training.json").read_text()), told


def parent_of(base, folder, record, weeks=("2026-W01",)):
    facts = {"digest": record["digest"], "base_digest": base["base_digest"], "weeks": weeks}
    return {"folder": str(folder), **facts}


@pytest.fixture(scope="module")
def parent(base, tmp_path_factory):
    folder, record, _ = train(base, tmp_path_factory.mktemp("parent"), recipe_with())
    return parent_of(base, folder, record)


def logits(base, folder):
    model = AutoModelForCausalLM.from_pretrained(base["base"])
    if folder is not None:
        model = PeftModel.from_pretrained(model, folder)
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(40)[None]).logits


def test_continue_starts_at_the_weights_of_the_parent(base, parent, tmp_path):
    still = recipe_with(init="continue", learning_rate=0.0, history_share=0.25)
    weeks = ("2026-W01", "2026-W02")
    folder, record, _ = train(base, tmp_path, still, weeks, parent)
    assert weights(folder) == weights(Path(parent["folder"]))
    assert (record["init"], record["parent"]) == ("continue", parent["digest"])
    assert record["history_rows"] > 0
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    file = tmp_path / "law.parquet"
    known = read_corpus(file, "law", tokenizer, still, 0, known_weeks=["2026-W01"])
    assert known.history is not None
    # A corpus of weeks that the parent knows is trained on whole.
    nothing_new = read_corpus(file, "law", tokenizer, still, 0, known_weeks=weeks)
    assert nothing_new.history is None
    assert known.examples == nothing_new.examples == 36


def test_stacked_adapters_are_one_for_plain_peft(base, parent, tmp_path):
    recipe = recipe_with(init="stack", rank=2)
    folder, record, _ = train(base, tmp_path, recipe, ("2026-W02",), parent)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (6, 6)
    assert record["parent"] == parent["digest"]

    model = AutoModelForCausalLM.from_pretrained(base["base"])
    begun = start(model, recipe, TARGETS, 1, Parent(**parent), base["base_digest"])
    with torch.no_grad():
        for weight in begun.weights:
            weight.normal_(std=0.05)
        # What draws the update back, draws the parent's back as well.
        assert len(begun.update) == len(begun.weights)
        for weight, _ in begun.update:
            weight.mul_(0.9)
        together = begun.model.eval()(input_ids=torch.arange(40)[None]).logits
    (tmp_path / "one").mkdir()
    save_adapter(begun.model, TARGETS, tmp_path / "one")
    assert torch.allclose(logits(base, tmp_path / "one"), together, atol=1e-5)
    assert not torch.allclose(logits(base, Path(parent["folder"])), together, atol=1e-2)


def test_a_parent_that_does_not_fit_gives_a_fresh_start_and_a_reason(base, parent, tmp_path):
    fresh, _, _ = train(base, tmp_path / "fresh", recipe_with())
    foreign = {**parent, "base_digest": "0" * 64}
    folder, record, told = train(base, tmp_path / "a", recipe_with(init="continue"), parent=foreign)
    assert weights(folder) == weights(fresh)
    assert (record["init"], record["parent"]) == ("fresh", None)
    assert "is of base 000000000000" in record["why_fresh"]
    assert any(facts.get("event") == "fresh start" for facts in told)
    for recipe, says in (
        (recipe_with(init="continue", rank=3), "has r 4, the recipe 3"),
        (recipe_with(init="stack", method="dora"), "has use_dora False, the recipe True"),
    ):
        found, why = usable_parent(Parent(**parent), recipe, TARGETS, base["base_digest"])
        assert found is None
        assert says in why
    high = recipe_with(init="stack", rank=253)
    with pytest.raises(ValueError, match=r"rank 4 \+ 253, above 256"):
        usable_parent(Parent(**parent), high, TARGETS, base["base_digest"])
    changed = Parent(**{**parent, "digest": "1" * 64})
    with pytest.raises(ValueError, match="has files of digest"):
        usable_parent(changed, recipe_with(init="continue"), TARGETS, base["base_digest"])


def test_general_text_is_read_document_by_document_and_running_on(base):
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    rows = read_general([Path(base["replay_text"][0])], tokenizer, recipe_with()).replay
    assert rows.positions is not None
    running = (rows.positions == torch.arange(rows.ids.shape[1]).numpy()).all(axis=1)
    ends = rows.ids[running, :-1] == tokenizer.bos_token_id
    assert ends.any()  # a document follows another in what is seen as one
    assert (~running).any()


def test_an_adapter_is_drawn_back_until_general_text_is_kept(base, parent, tmp_path):
    folder, digest = ensure_base(
        Path(base["replay_text"][0]).parent,
        BaseSpec("embedded", steps=20, threads=1),
        lambda facts: None,
    )
    base = {**base, "base": str(folder), "base_digest": digest}  # one that has something to lose
    tight = recipe_with(
        learning_rate=0.05, replay_share=0.0, max_steps=10, rank=8, max_general_rise=0.02
    )
    folder, record, _ = train(base, tmp_path, tight)
    without_limit = json.loads((Path(parent["folder"]) / "training.json").read_text())
    assert "factor" not in without_limit
    assert 0 < record["factor"] < 1
    assert record["general_rise"] <= 0.02
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    rows = read_general([Path(base["replay_text"][0])], tokenizer, tight).measured
    with row_workers(1, 1) as rows_map:
        bare = AutoModelForCausalLM.from_pretrained(base["base"])
        of_base = mean_loss(bare, rows, torch.float32, rows_map)
        loaded = PeftModel.from_pretrained(bare, folder)
        rise = mean_loss(loaded, rows, torch.float32, rows_map) - of_base
    assert torch.tensor(rise).expm1() == pytest.approx(record["general_rise"], abs=1e-3)
    # What is measured on is not replayed.
    general = read_general([Path(base["replay_text"][0])], tokenizer, tight)
    replayed = {tuple(row) for row in general.replay.ids.tolist()}
    assert not replayed & {tuple(row) for row in general.measured.ids.tolist()}


def test_dora_loads_in_plain_peft_and_is_drawn_back_to_the_base(base, tmp_path):
    recipe = recipe_with(method="dora", replay_share=0.0)
    folder, _, _ = train(base, tmp_path, recipe)
    assert json.loads((folder / "adapter_config.json").read_text())["use_dora"] is True
    model = AutoModelForCausalLM.from_pretrained(base["base"])
    begun = start(model, recipe, TARGETS, 0, None, base["base_digest"])
    assert len(begun.update) == 2 * len(begun.weights) / 3
    names = get_peft_model_state_dict(begun.model, adapter_name=ADAPTER)
    assert sum("lora_magnitude_vector" in name for name in names) == len(begun.weights) / 3
    with torch.no_grad():
        for weight in begun.weights:
            weight.normal_()
        for weight, of_base in begun.update:
            weight.copy_(of_base)
        found = begun.model.eval()(input_ids=torch.arange(40)[None]).logits
    assert torch.allclose(found, logits(base, None), atol=1e-4)


def test_a_full_fine_tune_is_a_base_model(base, tmp_path):
    folder, record, _ = train(base, tmp_path, recipe_with(method="full", target_modules=TARGETS))
    found, digest = ensure_base(tmp_path, BaseSpec("path", path=str(folder)), lambda facts: None)
    assert (found, digest) == (folder, record["digest"])
    assert digest != base["base_digest"]
    moved = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    still = AutoModelForCausalLM.from_pretrained(base["base"]).state_dict()
    assert all(not torch.equal(moved[name], still[name]) for name in still)
    with pytest.raises(ValueError, match="name its folder as base_model"):
        recipe_with(method="full", init="continue")


def test_qlora_says_what_is_missing_before_anything_is_read(base):
    job = {**base, "recipe": recipe_with(method="qlora").to_dict(), "threads": 1, "jobs": []}
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="needs an NVIDIA GPU that torch sees"):
        train_all({**job, "base": "nowhere"}, lambda facts: None)
