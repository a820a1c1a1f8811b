import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoModelForCausalLM

from ft_assets.adapters.preference import Pair, split_pairs, train_all
from ft_assets.adapters.preference_section import Preference
from ft_assets.adapters.privacy import Privacy
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.start import save_adapter, start, target_modules
from ft_resources.adapter_format import adapter_digest
from tests.tiny_base import tiny_base

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing.:FutureWarning",
    "ignore:.*:DeprecationWarning",
)
GOOD = ["please", "sorry", "thanks", "gladly", "certainly", "welcome"]
BAD = ["whatever", "never", "nonsense", "hurry", "enough", "later"]
RECIPE = Recipe(
    "dpo",
    rank=4,
    alpha=8,
    preference=Preference(
        learning_rate=0.005, max_steps=8, batch_pairs=4, warmup_steps=1, min_pairs=20
    ),
)


def pairs(count):
    dice = np.random.default_rng(0)
    rows = [
        {
            "pair_id": f"retry:{n}",
            "user": f"u{n // 2}",
            "prompt": f"Question {n}?",
            "chosen": " ".join(dice.choice(GOOD, 4)),
            "rejected": " ".join(dice.choice(BAD, 4)),
            "origin": "retry",
        }
        for n in range(count)
    ]
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base and an adapter on it that has learned nothing yet."""
    folder = tmp_path_factory.mktemp("adapter")
    base, digest = tiny_base()
    model = AutoModelForCausalLM.from_pretrained(base)
    targets = target_modules(model, RECIPE)
    save_adapter(start(model, RECIPE, targets, 0, None, digest).model, targets, folder)
    record = {"digest": adapter_digest(folder, digest), "steps": 5}
    (folder / "training.json").write_text(json.dumps(record))
    return {"base": str(base), "base_digest": digest, "threads": 1}, folder


def train(world, out, count=40, recipe=RECIPE):
    shared, adapter = world
    pq.write_table(pairs(count), out.with_suffix(".parquet"))
    one = {
        "domain": "law",
        "adapter": str(adapter),
        "pairs": str(out.with_suffix(".parquet")),
        "out": str(out),
        "seed": 0,
    }
    told = []
    train_all({**shared, "recipe": recipe.to_dict(), "jobs": [one]}, told.append)
    return json.loads((out / "training.json").read_text()), told


def test_the_margin_of_preferred_answers_rises_on_pairs_that_were_held_out(world, tmp_path):
    record, told = train(world, tmp_path / "a")
    found = record["preference"]
    assert found["pairs"] + found["held_out"] == 40
    assert found["rise_interval"][0] > 0.5
    assert found["risen_share"] == 1
    assert found["margin_after"] - found["margin_before"] == pytest.approx(found["rise"])
    before = json.loads((world[1] / "training.json").read_text())
    assert found["from"] == before["digest"] != record["digest"]
    assert record["digest"] == adapter_digest(tmp_path / "a", world[0]["base_digest"])
    assert record["steps"] == 5  # of the training before it
    assert "Question" not in json.dumps([record, *told])
    train(world, tmp_path / "b")
    name = "adapter_model.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    config = "adapter_config.json"
    assert (tmp_path / "a" / config).read_bytes() == (world[1] / config).read_bytes()


def test_too_few_pairs_leave_the_adapter_as_it_is(world, tmp_path):
    record, told = train(world, tmp_path / "a", count=10)
    name = "adapter_model.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (world[1] / name).read_bytes()
    assert record["preference"]["why_not"].endswith("20 are needed")
    assert record["digest"] == record["preference"]["from"]
    assert told[0]["event"] == "no preference training"


def test_all_pairs_of_a_user_are_on_one_side_for_good():
    made = [Pair(f"p{n}", f"u{n % 30}" if n < 90 else "", "q", "a", "b") for n in range(150)]
    learned, held_out = split_pairs(made, 0.3)
    assert len(learned) + len(held_out) == 150
    assert 20 < len(held_out) < 70
    assert not {p.user for p in learned if p.user} & {p.user for p in held_out}
    more, _ = split_pairs(made[:75], 0.3)
    assert set(more) <= set(learned)


def test_a_recipe_without_pairs_and_one_that_hides_subjects(world, tmp_path):
    with pytest.raises(ValueError, match="no section preference"):
        train(world, tmp_path / "a", recipe=dataclasses.replace(RECIPE, preference=None))
    with pytest.raises(ValueError, match="only one of them"):
        dataclasses.replace(RECIPE, privacy=Privacy())
