"""Adapters trained in the same steps are those that are trained alone, within float tolerance."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from ft_assets.adapters import train
from ft_assets.adapters.joint import MOST_TOKENS, joint_pays
from tests.adapters.small import RECIPE, write_corpus

# peft 0.21 asks transformers 5.24 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

SMALL = replace(RECIPE, row_tokens=32, replay_share=0.0, precision="fp32", max_steps=12, patience=2)


def trained(base, folder, domains, recipe, threads=1):
    """Domains of different size, so that their schedules and ends differ."""
    folder.mkdir()
    jobs = [
        {
            "domain": domain,
            "corpus": write_corpus(folder / f"{domain}.parquet", size),
            "out": str(folder / "out" / domain),
            "seed": seed,
        }
        for domain, size, seed in domains
    ]
    job = {**base, "recipe": recipe.to_dict(), "threads": threads, "jobs": jobs}
    train.train_all(job, lambda facts: None)
    result = {}
    for domain, *_ in domains:
        out = folder / "out" / domain
        record = json.loads((out / "training.json").read_text())
        result[domain] = load_file(out / "adapter_model.safetensors"), record
    return result


def test_losses_and_weights_are_those_of_separate_trainings(base, tmp_path, monkeypatch):
    recipe = replace(SMALL, max_epochs=2)
    domains = [("shop", 9, 1), ("law", 40, 0), ("bank", 14, 2)]
    together = trained(base, tmp_path / "together", domains, recipe)
    shuffled = trained(base, tmp_path / "shuffled", domains[::-1], recipe, threads=2)
    monkeypatch.setattr(train, "joint_pays", lambda *job: False)
    apart = trained(base, tmp_path / "apart", domains, recipe)
    assert len({record["steps"] for _, record in together.values()}) == 3
    for domain, (weights, record) in together.items():
        wanted, alone = apart[domain]
        assert sorted(record["joint_with"]) == sorted({d for d, *_ in domains} - {domain})
        assert "joint_with" not in alone
        for name in ("steps", "best_step", "tokens", "stopped_early"):
            assert record[name] == alone[name]
        for name in ("train_loss", "validation_loss"):
            found = [value for _, value in record[name]]
            assert found == pytest.approx([value for _, value in alone[name]], abs=2e-3)
        assert weights.keys() == wanted.keys()
        moved = sum(float(wanted[name].abs().sum()) for name in wanted if "lora_B" in name)
        apart_by = sum(
            float((weights[name] - wanted[name]).abs().sum()) for name in wanted if "lora_B" in name
        )
        assert apart_by < 0.01 * moved
        for name, weight in weights.items():
            assert torch.equal(weight, shuffled[domain][0][name])


@pytest.mark.parametrize(
    ("changes", "adapters", "device", "pays"),
    [
        ({}, 2, "cpu", True),
        ({}, 1, "cpu", False),
        ({}, 2, "cuda", False),
        ({"row_tokens": MOST_TOKENS}, 2, "cpu", False),
        ({"dropout": 0.1}, 2, "cpu", False),
        ({"method": "dora"}, 2, "cpu", False),
    ],
)
def test_jobs_are_joined_where_it_pays(changes, adapters, device, pays):
    assert joint_pays(replace(SMALL, **changes), adapters, device) is pays
