"""A batch of adapters of several ranks and kinds answers as each does alone in PEFT."""

import pytest
import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from ft_resources.gateway.loaded_base import open_base
from tests.resources.gateway import world

# peft 0.21 reads an attribute that transformers 5.24 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory, base):
    folder = tmp_path_factory.mktemp("kinds")
    return {
        "small": world.make_adapter(folder, base, "legal", 31, rank=2),
        "large": world.make_adapter(folder, base, "legal", 32, rank=8),
        "dora": world.make_adapter(folder, base, "legal", 33, rank=3, dora=True),
    }


@pytest.fixture(scope="module")
def alone(base, kinds):
    """Logits of each kind, and of the base, computed by PEFT on a model of its own."""
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        logits = {None: AutoModelForCausalLM.from_pretrained(base)(input_ids=ids).logits[0]}
        for name, folder in kinds.items():
            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
            logits[name] = model.eval()(input_ids=ids).logits[0]
    return logits


@pytest.fixture
def loaded(base, digest):
    return open_base(base, digest)


def forward(loaded, names):
    ids = torch.arange(5, 25).repeat(len(names), 1)
    with torch.no_grad():
        return loaded.forward(names, input_ids=ids).logits


def test_every_row_is_its_own_adapter(loaded, kinds, alone):
    for name, folder in kinds.items():
        loaded.bank.add(name, folder)
    names = ["large", None, "dora", "small", "large", None]
    for row, name in zip(forward(loaded, names), names, strict=True):
        assert torch.allclose(row, alone[name], atol=1e-4)
    assert not torch.allclose(alone["large"], alone["small"], atol=1)


def test_places_are_used_again_and_leave_nothing_behind(loaded, kinds, alone):
    for first, second in [("dora", "small"), ("large", "small"), ("small", "dora")]:
        loaded.bank.add(first, kinds[first])
        loaded.bank.add("stays", kinds["large"])
        loaded.bank.remove(first)
        loaded.bank.add(second, kinds[second])
        mixed = forward(loaded, [second, "stays"])
        assert torch.allclose(mixed[0], alone[second], atol=1e-4)
        assert torch.allclose(mixed[1], alone["large"], atol=1e-4)
        loaded.bank.remove("stays")
        loaded.bank.remove(second)
    assert len(loaded.bank) == 0
    assert torch.equal(forward(loaded, [None])[0], alone[None])
    with pytest.raises(KeyError):
        forward(loaded, ["small"])


def test_what_cannot_be_read_changes_nothing(loaded, kinds, alone, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in kinds["small"].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(SafetensorError):
        loaded.bank.add("broken", broken)
    weights.unlink()
    with pytest.raises(FileNotFoundError):
        loaded.bank.add("broken", broken)
    assert "broken" not in loaded.bank
    assert torch.equal(forward(loaded, [None])[0], alone[None])
