"""LoRA layers written out compute what PEFT computes."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from ft_assets.adapters.lora_layers import Linear, lora_forwards, replaced


class Layers(torch.nn.Module):
    """The bias, the nonlinearity between and both shapes: what a block has."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide = torch.nn.Linear(24, 40)
        self.narrow = torch.nn.Linear(40, 24, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.narrow(torch.nn.functional.silu(self.wide(x)))


@pytest.fixture
def model():
    config = LoraConfig(r=3, lora_alpha=5, target_modules=["wide", "narrow"])
    model = get_peft_model(Layers(), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    return model


def computed(model, x):
    x = x.clone().requires_grad_()
    out = model(x)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [out, *torch.autograd.grad(out.float().square().sum(), [x, *weights])]


@pytest.mark.parametrize(("tokens", "merges"), [(100, True), (32, True), (5, False)])
def test_outputs_and_gradients_are_those_of_peft(model, monkeypatch, tokens, merges):
    taken, forward = [], Linear.forward

    def watched(linear, x, down, up):
        taken.append(linear.merges(x))
        return forward(linear, x, down, up)

    monkeypatch.setattr(Linear, "forward", watched)
    x = torch.randn(2, tokens // 2 or 1, 24)
    wanted = computed(model, x)
    with replaced(lora_forwards(model)):
        found = computed(model, x)
    assert taken == [merges, merges]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert torch.equal(computed(model, x)[0], wanted[0])  # and PEFT's own again, afterwards
    assert len(taken) == 2


def test_bf16_is_that_of_autocast(model):
    x = torch.randn(1, 100, 24)
    with torch.autocast("cpu", torch.bfloat16):
        wanted = computed(model, x)
        with replaced(lora_forwards(model)):
            found = computed(model, x)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        error = (one.float() - other.float()).norm() / other.float().norm()
        assert error < 0.02
