"""Decoder layers written out compute what transformers and PEFT compute."""

from itertools import chain

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from ft_assets.adapters import decoder_layer
from ft_assets.adapters.decoder_layer import modules_that_fit, written_out
from ft_assets.adapters.document_attention import NAME, keep_documents_apart
from ft_assets.adapters.lora_layers import joint_forwards, lora_forwards, matrices_of
from ft_assets.adapters.tokens import IGNORED
from ft_assets.adapters.workers import token_losses

# peft 0.21 asks transformers 5.24 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LENGTHS = (5, 40, 1, 18)


def base_of(config, model, **more):
    torch.manual_seed(0)
    made = model(config(**{**SHAPE, "num_key_value_heads": 2, **more})).requires_grad_(False)
    for name, weight in made.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    return made


def adapted(base, targets=tuple(ALL), seed=0):
    torch.manual_seed(seed)
    model = get_peft_model(base, LoraConfig(r=3, lora_alpha=5, target_modules=list(targets)))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model


def row(seed=0):
    ids = torch.randint(0, 64, (1, sum(LENGTHS)), generator=torch.Generator().manual_seed(seed))
    return ids, torch.cat([torch.arange(length) for length in LENGTHS])[None]


def computed(model, weights, ids, positions, every=1, first=0):
    """With labels on every n-th token, in each row on others."""
    places = torch.arange(ids.shape[1]) + torch.arange(first, first + len(ids))[:, None]
    labels = ids.where(places % every == 0, torch.tensor(IGNORED))
    losses = token_losses(model, ids, labels, torch.float32, positions)
    return losses, *torch.autograd.grad(losses.sum(), weights)


def trained(model):
    return [weight for weight in model.parameters() if weight.requires_grad]


@pytest.fixture
def passes(monkeypatch):
    """The layers that are computed by the file."""
    taken, apply = [], decoder_layer._DecoderLayer.apply
    monkeypatch.setattr(
        decoder_layer._DecoderLayer, "apply", lambda *args: (taken.append(1), apply(*args))[1]
    )
    return taken


@pytest.mark.parametrize("every", [1, 3], ids=["labels on all", "labels on some"])
@pytest.mark.parametrize("targets", [ALL, ["v_proj", "down_proj"]], ids=["all", "two"])
@pytest.mark.parametrize(
    ("config", "model", "more"),
    [
        (LlamaConfig, LlamaForCausalLM, {}),
        (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 4, "attention_bias": True}),
        (MistralConfig, MistralForCausalLM, {"sliding_window": None}),
        (Qwen2Config, Qwen2ForCausalLM, {}),
    ],
    ids=["grouped", "biased", "mistral", "qwen2"],
)
def test_losses_and_gradients_are_those_of_transformers(
    config, model, more, targets, every, passes
):
    base = base_of(config, model, **more)
    assert keep_documents_apart(base) == NAME
    model = adapted(base, targets)
    weights = trained(model)
    assert len(weights) == 4 * len(targets)
    wanted = computed(model, weights, *row(), every)
    forwards = lora_forwards(model)
    modules = modules_that_fit(model, forwards)
    assert len(modules) == 3
    passes.clear()
    with written_out(forwards, modules):
        found = computed(model, weights, *row(), every)
    assert len(passes) == 2
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    again = computed(model, weights, *row(), every)
    assert torch.equal(again[0], wanted[0])  # its own again, afterwards
    assert len(passes) == 2


@pytest.mark.parametrize("every", [1, 6])
def test_several_adapters_are_each_that_alone(every):
    base = base_of(LlamaConfig, LlamaForCausalLM)
    keep_documents_apart(base)
    matrices, weights, wanted, rows = [], [], [], []
    for seed in range(3):
        model = adapted(base, seed=seed)
        matrices.append(matrices_of(model))
        weights.append(trained(model))
        rows.append(row(seed))
        wanted.append(computed(model, weights[-1], *rows[-1], every, seed))
        model.unload()
    ids, positions = (torch.cat(column) for column in zip(*rows, strict=True))
    together = {
        layer: (*(torch.stack([one[layer][i] for one in matrices]) for i in (0, 1)), scale)
        for layer, (_, _, scale) in matrices[0].items()
    }
    with written_out(joint_forwards(base, together), modules_that_fit(base, {})):
        losses, *gradients = computed(base, list(chain(*weights)), ids, positions, every)
    assert len(gradients) == 3 * len(weights[0])
    for place, (loss, *own) in enumerate(wanted):
        of_one = losses[place : place + 1, losses[place] != 0]
        torch.testing.assert_close(of_one, loss, rtol=1e-3, atol=1e-5)
        found = gradients[place * len(own) : (place + 1) * len(own)]
        for one, other in zip(found, own, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "model", "more"),
    [
        (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 8}),
        (GemmaConfig, GemmaForCausalLM, {"head_dim": 8}),
        (LlamaConfig, LlamaForCausalLM, {"hidden_act": "gelu"}),
    ],
    ids=["norms of queries", "gemma", "gelu"],
)
def test_other_layers_are_left_to_themselves(config, model, more):
    base = base_of(config, model, **more)
    keep_documents_apart(base)
    model = adapted(base)
    forwards = lora_forwards(model)
    assert modules_that_fit(model, forwards) == []
    weights = trained(model)
    wanted = computed(model, weights, *row())
    with written_out(forwards, []):
        found = computed(model, weights, *row())
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_long_document_and_bf16_are_computed_as_before(monkeypatch, passes):
    base = base_of(LlamaConfig, LlamaForCausalLM)
    keep_documents_apart(base)
    model = adapted(base)
    forwards = lora_forwards(model)
    modules = modules_that_fit(model, forwards)
    passes.clear()
    with written_out(forwards, modules):
        token_losses(model, row()[0], row()[0], torch.bfloat16, row()[1])
        monkeypatch.setattr(decoder_layer, "LONG", max(LENGTHS) - 1)
        found = computed(model, trained(model), *row(), 3)
        assert passes == []
        monkeypatch.setattr(decoder_layer, "LONG", max(LENGTHS))
        wanted = computed(model, trained(model), *row(), 3)
    assert len(passes) == 2
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_base_of_bf16_is_left_to_itself():
    base = base_of(LlamaConfig, LlamaForCausalLM).to(torch.bfloat16)
    assert keep_documents_apart(base) == NAME
    assert modules_that_fit(base, {}) == []


def test_attention_of_the_base_over_borders_is_kept():
    base = base_of(LlamaConfig, LlamaForCausalLM)
    assert modules_that_fit(base, {}) == []
