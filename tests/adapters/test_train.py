import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.loop import mean_loss
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.rows import Batches, Rows, read_corpus
from ft_assets.adapters.tokens import IGNORED
from ft_assets.adapters.train import train_all
from ft_assets.adapters.workers import Batch, gradients_of, row_workers
from ft_resources.adapter_format import adapter_digest, check_foreign
from tests.adapters.small import RECIPE, weights, write_corpus

# peft 0.21 asks transformers 5.24 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


def train(base, folder, domains, recipe=RECIPE, threads=1, seed=0, rows=40, validation=4):
    folder.mkdir(exist_ok=True)
    told = []
    jobs = [
        {
            "domain": domain,
            "corpus": write_corpus(folder / f"{domain}.parquet", rows + n, validation),
            "out": str(folder / "out" / domain),
            "seed": seed,
        }
        for n, domain in enumerate(domains)
    ]
    job = {**base, "recipe": recipe.to_dict(), "threads": threads, "jobs": jobs}
    train_all(job, told.append)
    return [folder / "out" / domain for domain in domains], told


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """The folders of two domains and what was told of them; the corpora lie two folders up."""
    return train(base, tmp_path_factory.mktemp("trained"), ["law", "shop"])


def test_bytes_follow_from_corpus_recipe_and_seed_alone(base, trained, tmp_path):
    [first, second], _ = trained
    [again], _ = train(base, tmp_path / "b", ["law"], threads=2)
    [other_seed], _ = train(base, tmp_path / "c", ["law"], seed=1)
    assert weights(first) == weights(again)
    config = "adapter_config.json"
    assert (first / config).read_bytes() == (again / config).read_bytes()
    assert weights(first) != weights(second)
    assert weights(first) != weights(other_seed)
    # A domain trained after another one is as if it had been alone.
    (tmp_path / "d").mkdir()
    alone = {
        "domain": "shop",
        "corpus": str(second.parent.parent / "shop.parquet"),
        "out": str(tmp_path / "d" / "shop"),
        "seed": 0,
    }
    train_all({**base, "recipe": RECIPE.to_dict(), "threads": 1, "jobs": [alone]}, lambda f: None)
    assert weights(tmp_path / "d" / "shop") == weights(second)


def test_bytes_are_the_same_from_kept_tokens_which_are_encoded_once(
    base, trained, tmp_path, monkeypatch
):
    [without, _], _ = trained
    one = {
        "domain": "law",
        "corpus": str(without.parent.parent / "law.parquet"),
        "seed": 0,
        "tokens": {"folder": str(tmp_path / "tokens"), "corpus": "digest"},
    }
    job = {**base, "recipe": RECIPE.to_dict(), "threads": 1}
    for name in ("first", "again"):
        train_all({**job, "jobs": [{**one, "out": str(tmp_path / name)}]}, lambda facts: None)
        assert weights(tmp_path / name) == weights(without)
        monkeypatch.setattr(
            "ft_assets.adapters.rows.encode_conversations",
            lambda *args, **kwargs: pytest.fail("what is kept was encoded again"),
        )
    assert len(list((tmp_path / "tokens").iterdir())) == 2  # train and validation
    other = {**one, "tokens": {**one["tokens"], "corpus": "other"}, "out": str(tmp_path / "b")}
    with pytest.raises(pytest.fail.Exception, match="encoded again"):
        train_all({**job, "jobs": [other]}, lambda facts: None)


def test_an_adapter_passes_the_gate_of_the_gateway(base, trained):
    [folder, _], told = trained
    record = json.loads((folder / "training.json").read_text())
    digest = adapter_digest(folder, base["base_digest"])
    assert record["digest"] == digest
    lora = check_foreign(folder, Path(base["base"]))
    assert (lora.rank, lora.alpha, lora.parameters) == (4, 8.0, record["parameters"])
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert len(config["target_modules"]) == 7
    # A path of this machine would make equal adapters differ.
    assert config["base_model_name_or_path"] is None
    assert record["steps"] == 6
    assert 6 * 2 * 32 < record["tokens"] <= 6 * 2 * 64  # what fills the rows is not counted
    assert [step for step, _ in record["validation_loss"]] == [2, 4, 6]
    assert {"domain", "step", "steps", "loss", "tokens_per_second"} in map(set, told)
    assert told[-1]["event"] == "trained"


def test_training_learns_and_the_best_weights_are_kept(base, tmp_path):
    quick = Recipe(
        **{
            **RECIPE.to_dict(),
            "max_steps": 40,
            "learning_rate": 0.02,
            "patience": 2,
            "precision": "fp32",
        }
    )
    [folder], _ = train(base, tmp_path, ["law"], recipe=quick)
    record = json.loads((folder / "training.json").read_text())
    losses = dict(record["validation_loss"])
    assert losses[record["best_step"]] == min(losses.values())
    assert min(losses.values()) < losses[2] - 0.1
    assert losses[record["best_step"]] < losses[record["steps"]]
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    model = AutoModelForCausalLM.from_pretrained(base["base"])
    corpus = read_corpus(tmp_path / "law.parquet", "law", tokenizer, quick, seed=0)
    with row_workers(1, 1) as rows_map:
        loaded = PeftModel.from_pretrained(model, folder)
        found = mean_loss(loaded, corpus.validation, torch.float32, rows_map)
    assert found == pytest.approx(min(losses.values()), abs=1e-3)


def test_training_ends_when_the_validation_loss_stops_falling(base, tmp_path):
    still = Recipe(**{**RECIPE.to_dict(), "learning_rate": 0.0, "max_steps": 50, "patience": 2})
    [folder], _ = train(base, tmp_path, ["law"], recipe=still)
    record = json.loads((folder / "training.json").read_text())
    assert (record["steps"], record["best_step"], record["stopped_early"]) == (6, 2, True)


def test_a_corpus_without_validation_rows_trains_to_the_end(base, tmp_path):
    [folder], _ = train(base, tmp_path, ["law"], validation=0)
    record = json.loads((folder / "training.json").read_text())
    assert (record["best_step"], record["validation_loss"]) == (6, [])


def test_an_empty_corpus_is_refused_after_the_jobs_before_it(base, tmp_path):
    corpus = write_corpus(tmp_path / "good.parquet", 20)
    empty = write_corpus(tmp_path / "empty.parquet", 0)
    jobs = [
        {"domain": d, "corpus": c, "out": str(tmp_path / "out" / d), "seed": 0}
        for d, c in (("law", corpus), ("shop", empty))
    ]
    job = {**base, "recipe": RECIPE.to_dict(), "threads": 1, "jobs": jobs}
    with pytest.raises(ValueError, match=r"shop: the corpus has no row to train on \(0 rows"):
        train_all(job, lambda facts: None)
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["law"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"base_digest": "0" * 64}, "materialize base_model again"),
        ({"replay_text": []}, "replay_share is 0.25"),
        ({"recipe": {**RECIPE.to_dict(), "target_modules": ["c_attn"]}}, "no linear layer named"),
    ],
)
def test_a_job_that_does_not_fit(base, change, says):
    job = {**base, "recipe": RECIPE.to_dict(), "threads": 1, "jobs": [], **change}
    with pytest.raises(ValueError, match=says):
        train_all(job, lambda facts: None)


def test_dropout_is_repeatable_too(base, tmp_path):
    recipe = Recipe(**{**RECIPE.to_dict(), "dropout": 0.1, "max_steps": 2})
    [a], _ = train(base, tmp_path / "a", ["law"], recipe=recipe, threads=2)
    [b], _ = train(base, tmp_path / "b", ["law"], recipe=recipe, threads=2)
    assert weights(a) == weights(b)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5])
def test_the_share_of_replay_is_exact_in_rows_and_in_loss(share):
    domain = Rows(np.full((5, 8), 1), np.full((5, 8), IGNORED))
    domain.labels[:, -2:] = 1
    replay = Rows(np.full((3, 8), 2), np.full((3, 8), 2))
    recipe = Recipe("x", replay_share=share, batch_rows=4, max_steps=10, max_epochs=100)
    batches = Batches(domain, None, replay, recipe, seed=0)
    drawn = [batch for _ in range(batches.steps) for batch in batches.next_step()]
    rows = torch.cat([batch.ids[:, 0] for batch in drawn])
    assert len(rows) == 40
    assert (rows == 2).sum() == 40 * share
    for batch in drawn:
        labelled = (batch.labels[:, 1:] != IGNORED).sum(1)
        assert float((labelled * batch.scale).sum()) == pytest.approx(1)
        of_replay = (labelled * batch.scale)[batch.ids[:, 0] == 2].sum()
        assert float(of_replay) == pytest.approx(float((batch.ids[:, 0] == 2).float().mean()))


def test_steps_end_with_the_epochs():
    rows = Rows(np.zeros((10, 8), dtype=int), np.zeros((10, 8), dtype=int))
    recipe = Recipe("x", batch_rows=2, accumulate=2, max_steps=100, max_epochs=2)
    assert Batches(rows, None, None, recipe, seed=0).steps == 5


def test_gradients_by_row_are_those_of_the_batch(base):
    model = AutoModelForCausalLM.from_pretrained(base["base"])
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    ids = torch.randint(0, len(tokenizer), (3, 16), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, :10] = IGNORED
    count = int((labels[:, 1:] != IGNORED).sum())
    parameters = list(model.parameters())
    model(input_ids=ids, labels=labels).loss.backward()
    expected = [p.grad.clone() for p in parameters]
    model.zero_grad()
    with row_workers(2, 3) as rows_map:
        batch = Batch(ids, labels, torch.full((3,), 1 / count))
        loss, gradients = gradients_of(model, parameters, batch, torch.float32, rows_map)
    assert loss == pytest.approx(float(model(input_ids=ids, labels=labels).loss.detach()), abs=1e-5)
    for found, wanted in zip(gradients, expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-6)
