"""Documents in one row have the loss and the gradients that each has alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from ft_assets.adapters.document_attention import NAME, keep_documents_apart, spans_of
from ft_assets.adapters.rows import packed_rows
from ft_assets.adapters.tokens import IGNORED, Tokens, pack_documents
from ft_assets.adapters.workers import (
    Batch,
    cross_entropy,
    filled,
    gradients_of,
    one_by_one,
    row_workers,
    summed,
    token_losses,
)
from tests.adapters.small import RECIPE

# peft 0.21 asks transformers 5.24 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

LENGTHS = (3, 40, 7, 150, 2, 60, 200, 31)


def packed(lengths, labels, row_tokens):
    ids = np.arange(sum(lengths)) + 10
    labels = np.where(np.repeat(labels, lengths), ids, IGNORED)
    return pack_documents(ids, labels, np.array(lengths), row_tokens, 0)


def test_documents_stay_whole_and_fill_the_rows():
    ids, labels, positions = packed((5, 6, 3, 2), (True, True, True, False), 8)
    assert ids.tolist() == [[10, 11, 12, 13, 14, 21, 22, 23], [15, 16, 17, 18, 19, 20, 0, 0]]
    assert positions.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2], [0, 1, 2, 3, 4, 5, -1, -1]]
    # Nothing stands before the first token of a document.
    assert (labels == IGNORED).tolist() == [
        [True, False, False, False, False, True, False, False],
        [True, False, False, False, False, False, True, True],
    ]


def test_a_document_longer_than_a_row_is_cut_and_a_piece_without_a_label_left_out():
    ids, _, positions = packed((10,), (True,), 4)
    assert ids.tolist() == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19, 0, 0]]
    assert positions[2].tolist() == [0, 1, -1, -1]
    assert len(packed((10, 1), (False, True), 4)[0]) == 0


def small_llama(heads):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=heads,
        max_position_embeddings=512,
    )
    return LlamaForCausalLM(config)


def with_adapter(base):
    torch.manual_seed(1)
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear"))
    for name, weight in model.named_parameters():
        if ".lora_B." in name:  # 0 at first, and then A has no gradient
            torch.nn.init.normal_(weight, std=0.1)
    return model, [weight for weight in model.parameters() if weight.requires_grad]


@pytest.mark.parametrize("heads", [4, 2])
@pytest.mark.parametrize("attention", [NAME, "sdpa"])
def test_loss_and_gradients_per_conversation_are_those_of_it_alone(heads, attention):
    base = small_llama(heads)
    rng = np.random.default_rng(0)
    examples = []
    for length in LENGTHS:
        ids = rng.integers(0, 64, length).tolist()
        examples.append(Tokens(ids, [IGNORED, *ids[1:]] if length < 50 else [*ids]))
    rows = packed_rows(examples, replace(RECIPE, row_tokens=256, packing="documents"), pad=0)
    if attention == NAME:
        assert keep_documents_apart(base) == NAME
    model, weights = with_adapter(base)
    found = [
        (
            token_losses(model, one.ids, one.labels, torch.float32, one.positions)[0],
            one.positions[0][1:][one.labels[0, 1:] != IGNORED],
        )
        for one in one_by_one(rows.batch(list(range(len(rows)))))
    ]
    documents = []  # losses of each document of the rows, by where its positions begin again
    for losses, positions in found:
        starts = (positions == 1).nonzero()[:, 0].tolist()
        documents += losses.tensor_split(starts[1:])
    base.set_attn_implementation("sdpa")
    matched = set()
    for example in examples:
        ids, labels = torch.tensor([example.ids]), torch.tensor([example.labels])
        alone = token_losses(model, ids, labels, torch.float32)[0]
        [place] = [
            i
            for i, losses in enumerate(documents)
            if len(losses) == len(alone) and torch.allclose(losses, alone, atol=1e-5)
        ]
        matched.add(place)
        wanted = torch.autograd.grad(alone.sum(), weights)
        gradients = torch.autograd.grad(documents[place].sum(), weights, retain_graph=True)
        for one, other in zip(gradients, wanted, strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)
    assert len(matched) == len(LENGTHS)


def test_rows_in_one_pass_are_those_of_it_each():
    """What fills a row is a document that nothing is read from."""
    base = small_llama(2)
    keep_documents_apart(base)
    rng = np.random.default_rng(0)
    examples = [Tokens(ids, ids) for ids in (rng.integers(6, 64, n).tolist() for n in LENGTHS)]
    rows = packed_rows(examples, replace(RECIPE, row_tokens=256, packing="documents"), pad=1)
    batch = rows.batch(list(range(len(rows))))
    fill = int((batch.positions[-1] < 0).sum())
    assert spans_of(*batch.ids.shape, filled(batch.positions))[-1] == (
        batch.ids.numel() - fill,
        batch.ids.numel(),
    )
    together = token_losses(base, batch.ids, batch.labels, torch.float32, batch.positions)
    for losses, one in zip(together, one_by_one(batch), strict=True):
        alone = token_losses(base, one.ids, one.labels, torch.float32, one.positions)[0]
        assert torch.allclose(losses[losses != 0], alone, atol=1e-5)


def test_the_gradient_of_a_batch_is_that_of_its_conversations(base):
    """With the base, the trimming of rows and the threads of a training."""
    frozen = AutoModelForCausalLM.from_pretrained(base["base"]).requires_grad_(False)
    keep_documents_apart(frozen)
    model, weights = with_adapter(frozen)
    rng = np.random.default_rng(0)
    examples = [Tokens(ids, ids) for ids in (rng.integers(6, 300, n).tolist() for n in LENGTHS)]
    rows = packed_rows(examples, replace(RECIPE, row_tokens=256, packing="documents"), pad=1)
    batch = rows.batch(list(range(len(rows))))
    assert batch.tokens == sum(LENGTHS) < batch.ids.numel()
    with row_workers(2, len(rows)) as rows_map:
        loss, found = gradients_of(model, weights, batch, torch.float32, rows_map)
        alone = [
            gradients_of(
                model,
                weights,
                Batch(torch.tensor([e.ids]), torch.tensor([e.labels]), torch.ones(1)),
                torch.float32,
                rows_map,
            )
            for e in examples
        ]
    assert loss == pytest.approx(sum(loss for loss, _ in alone), rel=1e-5)
    for one, other in zip(found, summed([own for _, own in alone]), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_base_that_does_not_keep_documents_apart_is_refused():
    base = small_llama(4)
    AttentionMaskInterface.register("leaking", lambda *args, **kwargs: None)
    AttentionInterface.register("leaking", sdpa_attention_forward)
    base.set_attn_implementation("leaking")
    with pytest.raises(ValueError, match="take packing: joined"):
        keep_documents_apart(base)


def test_the_loss_and_its_gradient_are_those_of_torch():
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0)) * 30
    targets = torch.tensor([0, 10, IGNORED, 3, IGNORED, 4])
    weight = torch.arange(6.0)
    results = []
    for entropy in (
        cross_entropy,
        lambda x, y: torch.nn.functional.cross_entropy(x, y, reduction="none"),
    ):
        given = logits.clone().requires_grad_(True)
        losses = entropy(given, targets)
        results.append((losses, *torch.autograd.grad((losses * weight).sum(), given)))
    for found, wanted in zip(*results, strict=True):
        assert torch.allclose(found, wanted, atol=1e-6)
