"""Causal attention inside each document of a packed row, and nowhere else.

Rows are packed by `tokens.pack_documents`: position_ids start at 0 with every document. From them
transformers makes a mask over the whole row (tokens x tokens), of which most is then computed for
nothing. Here each document is computed alone, and its questions in blocks that read no further than
they may: a document of 100 tokens in a row of 512 costs a fifth of its share of the masked row.
On a GPU a row keeps the attention of the base: with flash attention transformers takes the borders
from the same position_ids. Sources: Krell et al. 2021 (arXiv 2107.02027) on packing without
contamination; Kundu et al. 2024 (arXiv 2407.09105) on doing so by position ids.

Not for dropout in attention, soft caps, sinks or sliding windows: a base that has one of them gives
other logits here, and keeps its own attention.
"""

from typing import Any, cast

import torch
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "documents"
BLOCK = 128  # questions computed at a time
LONG = 1024  # tokens of a document whose weights are computed again instead of kept


def keep_documents_apart(base: Any) -> str:
    """Choose the attention of `base` for rows of several documents; return its name.

    On a CPU it is the one of this file where that gives the same logits as the base's own. Raises
    ValueError when the base's own reaches over the border of a document.
    """
    own = base.config._attn_implementation
    alone, together = logits_of_two_documents(base)
    if not _near(together, alone):
        raise ValueError(
            f"packing: 'documents' is asked for, but the attention of the base "
            f"({base.config.model_type}, {own}) reaches from one document of a row into the next; "
            "take packing: joined"
        )
    if base.device.type != "cpu":
        return own
    AttentionInterface.register(NAME, document_attention)
    AttentionMaskInterface.register(NAME, _no_mask)
    base.set_attn_implementation(NAME)
    if not _near(logits_of_two_documents(base)[1], alone):
        base.set_attn_implementation(own)
        return own
    return NAME


def logits_of_two_documents(base: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Each alone, and both in one row: [tokens, vocabulary] each."""
    vocabulary = base.get_input_embeddings().num_embeddings
    parts = [torch.arange(n, device=base.device) * 7 % vocabulary for n in (9, 15)]
    training = base.training
    base.eval()
    with torch.no_grad():
        alone = [base(input_ids=part[None], use_cache=False).logits[0] for part in parts]
        positions = torch.cat([torch.arange(len(part), device=base.device) for part in parts])
        row = base(
            input_ids=torch.cat(parts)[None], position_ids=positions[None], use_cache=False
        ).logits[0]
    base.train(training)
    return torch.cat(alone).float(), row.float()


def _near(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).abs().max() <= 0.02 * wanted.abs().max())


def _no_mask(*_: Any, **__: Any) -> None:
    return None


def document_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    position_ids: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls: [rows, heads, tokens, width] in, [rows, tokens, heads, width] out.

    Without position_ids each row is one document.
    """
    rows, heads, tokens, width = query.shape
    scale = width**-0.5 if scaling is None else scaling
    if heads != key.shape[1]:
        key, value = (t.repeat_interleave(heads // t.shape[1], dim=1) for t in (key, value))
    spans = spans_of(rows, tokens, position_ids)
    # [heads, all tokens, width]: what a row is does not matter any more.
    flat = [
        t.transpose(1, 2).reshape(rows * tokens, heads, width).transpose(0, 1)
        for t in (query, key, value)
    ]
    if max(end - begin for begin, end in spans) > LONG:
        attend = torch.nn.functional.scaled_dot_product_attention
        parts = []
        for begin, end in spans:
            q, k, v = (t[None, :, begin:end] for t in flat)
            parts.append(attend(q, k, v, is_causal=True, scale=scale)[0])
        out = torch.cat(parts, dim=1)
    else:
        out = cast(torch.Tensor, _Attention.apply(*flat, spans, scale))
    return out.transpose(0, 1).reshape(rows, tokens, heads, width), None


def spans_of(rows: int, tokens: int, position_ids: torch.Tensor | None) -> list[tuple[int, int]]:
    """Begin and end of each document among the tokens of all rows, one row after the other."""
    if position_ids is None:
        begins = list(range(0, rows * tokens, tokens))
    else:
        begins = (position_ids.expand(rows, tokens).flatten() == 0).nonzero()[:, 0].tolist()
    return list(zip(begins, [*begins[1:], rows * tokens], strict=True))


class _Attention(torch.autograd.Function):
    """Over [heads, tokens, width], document by document, in blocks of questions.

    The weights (heads x questions x keys) are kept for the gradient. Plain matrix products are
    faster here than torch's own attention, whose backward pass on a CPU is slow.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        spans: list[tuple[int, int]],
        scale: float,
    ) -> torch.Tensor:
        out, kept = attend(query, key, value, spans, scale)
        ctx.spans, ctx.scale = spans, scale
        ctx.save_for_backward(query, key, value, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        query, key, value, *kept = ctx.saved_tensors
        found = attend_backward(gradients[0], query, key, value, kept, ctx.spans, ctx.scale)
        return *found, None, None


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    spans: list[tuple[int, int]],
    scale: float,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Causal attention within each span, and the weights of it, which the gradient needs."""
    heads, tokens, width = query.shape
    out = query.new_empty(tokens, heads, width).transpose(0, 1)
    hidden = query.new_full((BLOCK, BLOCK), float("-inf")).triu(1)
    kept = []
    for begin, first, last in _blocks(spans):
        length, factors = last - first, (query[:, first:last], key[:, begin:last].transpose(1, 2))
        if first == begin:
            scores = torch.baddbmm(hidden[:length, :length], *factors, alpha=scale)
        else:
            scores = torch.bmm(*factors).mul_(scale)
            scores[:, :, first - begin :] += hidden[:length, :length]
        weights = torch.softmax(scores, dim=-1)
        out[:, first:last] = torch.bmm(weights, value[:, begin:last])
        kept.append(weights)
    return out, kept


def attend_backward(
    gradient: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    kept: list[torch.Tensor],
    spans: list[tuple[int, int]],
    scale: float,
) -> tuple[torch.Tensor, ...]:
    """The gradients of query, key and value."""
    heads, tokens, width = query.shape
    of_query, of_key, of_value = (
        query.new_zeros(tokens, heads, width).transpose(0, 1) for _ in range(3)
    )
    for (begin, first, last), weights in zip(_blocks(spans), kept, strict=True):
        of_out = gradient[:, first:last]
        of_value[:, begin:last] += torch.bmm(weights.transpose(1, 2), of_out)
        of_weights = torch.bmm(of_out, value[:, begin:last].transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_scores *= scale
        of_query[:, first:last] = torch.bmm(of_scores, key[:, begin:last])
        of_key[:, begin:last] += torch.bmm(of_scores.transpose(1, 2), query[:, first:last])
    return of_query, of_key, of_value


def _blocks(spans: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(begin of the document, first question, end of questions and keys) of each block."""
    return [
        (begin, first, min(first + BLOCK, end))
        for begin, end in spans
        for first in range(begin, end, BLOCK)
    ]
