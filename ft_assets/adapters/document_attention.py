"""Causal attention inside each document of a packed row, and nowhere else.

Rows are packed by `tokens.pack_documents`: position_ids start at 0 with every document. From them
transformers makes a mask over the whole row (tokens x tokens), of which most is then computed for
nothing. Here each document is computed alone, and its questions in blocks that read no further than
they may: a document of 100 tokens in a row of 512 costs a fifth of its share of the masked row.
Short documents are too many calls that way: they are laid side by side in tiles with a mask in
each, and all tiles are computed in one call.
On a GPU a row keeps the attention of the base: with flash attention transformers takes the borders
from the same position_ids. Sources: Krell et al. 2021 (arXiv 2107.02027) on packing without
contamination; Kundu et al. 2024 (arXiv 2407.09105) on doing so by position ids.

Not for dropout in attention, soft caps, sinks or sliding windows: a base that has one of them gives
other logits here, and keeps its own attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "documents"
BLOCK = 128  # questions computed at a time
TILE = 64  # tokens of documents side by side
FEW = 2  # short documents that are computed one by one
LONG = 1024  # tokens of a document whose weights are computed again instead of kept

Span = tuple[int, int]  # begin and end of a document among the tokens of all rows


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
    # [all tokens, heads, width]: what a row is does not matter any more.
    flat = [
        t.transpose(1, 2).contiguous().view(rows * tokens, heads, width)
        for t in (query, key, value)
    ]
    if max(end - begin for begin, end in spans) > LONG:
        attend = torch.nn.functional.scaled_dot_product_attention
        parts = []
        for begin, end in spans:
            q, k, v = (t[None, begin:end].transpose(1, 2) for t in flat)
            parts.append(attend(q, k, v, is_causal=True, scale=scale)[0].transpose(0, 1))
        out = torch.cat(parts)
    else:
        out = cast(torch.Tensor, _Attention.apply(*flat, layout_of(spans, heads), scale))
    return out.view(rows, tokens, heads, width), None


def spans_of(rows: int, tokens: int, position_ids: torch.Tensor | None) -> list[Span]:
    """The documents of all rows, one row after the other."""
    if position_ids is None:
        begins = list(range(0, rows * tokens, tokens))
    else:
        begins = (position_ids.expand(rows, tokens).flatten() == 0).nonzero()[:, 0].tolist()
    return list(zip(begins, [*begins[1:], rows * tokens], strict=True))


@dataclass(frozen=True)
class Tiles:
    """Short documents side by side, in tiles of one length.

    A line is what one head has of one token: line `token x heads + head` of [tokens, heads, width].
    """

    lines: torch.Tensor  # int64 [heads x tiles x length], by place; 0 where there is none
    places: torch.Tensor  # int64: the place of each line of a short document
    owners: torch.Tensor | None  # int64: which lines those are; None when they are all, in order
    hidden: torch.Tensor  # [tiles, length, length]: 0 where a question may look, else -inf

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """[tokens, heads, width] to [heads x tiles, length, width]."""
        return (
            x.view(-1, x.shape[-1])
            .index_select(0, self.lines)
            .view(-1, self.hidden.shape[-1], x.shape[-1])
        )

    def put(self, x: torch.Tensor, shape: Sequence[int], into: torch.Tensor) -> torch.Tensor:
        """Back to [tokens, heads, width], into what the longer documents have."""
        found = x.view(-1, shape[-1]).index_select(0, self.places)
        if self.owners is None:
            return found.view(*shape)
        into.view(-1, shape[-1]).index_copy_(0, self.owners, found)
        return into


@dataclass(frozen=True)
class Layout:
    """How the attention of the documents in some rows is computed."""

    tiles: Tiles | None
    blocks: list[tuple[int, int, int]]  # of the others: begin of the document, first question, end
    longest: int  # document, in tokens


def layout_of(spans: Sequence[Span], heads: int) -> Layout:
    short = [(begin, end) for begin, end in spans if end - begin <= TILE]
    if len(short) <= FEW:
        short = []
    blocks = [
        (begin, first, min(first + BLOCK, end))
        for begin, end in spans
        if end - begin > TILE or not short
        for first in range(begin, end, BLOCK)
    ]
    tiles = _tiles(short, heads, complete=not blocks) if short else None
    return Layout(tiles, blocks, max(end - begin for begin, end in spans))


def _tiles(spans: list[Span], heads: int, *, complete: bool) -> Tiles:
    fills: list[int] = []
    of_tile: list[tuple[int, Span]] = []
    for begin, end in sorted(spans, key=lambda span: span[0] - span[1]):  # the longest first
        number = next((n for n, fill in enumerate(fills) if fill + end - begin <= TILE), len(fills))
        if number == len(fills):
            fills.append(0)
        of_tile.append((number, (begin, end)))
        fills[number] += end - begin
    length = max(fills)
    document = np.full((len(fills), length), -1)
    token_at = np.zeros((len(fills), length), dtype=np.int64)
    fills = [0] * len(fills)
    for number, (begin, end) in of_tile:
        to = slice(fills[number], fills[number] + end - begin)
        document[number, to], token_at[number, to] = begin, np.arange(begin, end)
        fills[number] = to.stop
    taken = np.flatnonzero(document.ravel() >= 0)
    tokens = token_at.ravel()[taken]
    order = np.argsort(tokens)
    head = np.arange(heads)
    lines = token_at.ravel() * heads + head[:, None]
    places = taken[order, None] + head * document.size
    owners = None if complete else tokens[order, None] * heads + head
    seen = (document[:, :, None] == document[:, None, :]) & np.tri(length, dtype=bool)
    hidden = np.where(seen, np.float32(0), np.float32(-np.inf))
    return Tiles(
        torch.from_numpy(lines.ravel()),
        torch.from_numpy(places.ravel()),
        None if owners is None else torch.from_numpy(owners.ravel()),
        torch.from_numpy(hidden),
    )


class _Attention(torch.autograd.Function):
    """Over [tokens, heads, width].

    The weights (heads x questions x keys) are kept for the gradient. Plain matrix products are
    faster here than torch's own attention, whose backward pass on a CPU is slow.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        layout: Layout,
        scale: float,
    ) -> torch.Tensor:
        out, kept = attend(query, key, value, layout, scale)
        ctx.layout, ctx.scale = layout, scale
        ctx.save_for_backward(query, key, value, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        query, key, value, *kept = ctx.saved_tensors
        found = attend_backward(
            gradients[0].contiguous(), query, key, value, kept, ctx.layout, ctx.scale
        )
        return *found, None, None


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: Layout,
    scale: float,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Attention within each document, [tokens, heads, width], and what its gradient needs."""
    kept = []
    out = torch.empty_like(query)
    if layout.blocks:
        questions, keys, values, outs = (t.transpose(0, 1) for t in (query, key, value, out))
        hidden = query.new_full((BLOCK, BLOCK), float("-inf")).triu(1)
        for begin, first, last in layout.blocks:
            length, seen = last - first, slice(begin, last)
            factors = questions[:, first:last], keys[:, seen].transpose(1, 2)
            if first == begin:
                scores = torch.baddbmm(hidden[:length, :length], *factors, alpha=scale)
            else:
                scores = torch.bmm(*factors).mul_(scale)
                scores[:, :, first - begin :] += hidden[:length, :length]
            weights = torch.softmax(scores, dim=-1)
            outs[:, first:last] = torch.bmm(weights, values[:, seen])
            kept.append(weights)
    if (tiles := layout.tiles) is not None:
        asked, read, told = (tiles.gather(t) for t in (query, key, value))
        scores = torch.bmm(asked.mul_(scale), read.transpose(1, 2))
        scores.view(-1, *tiles.hidden.shape).add_(tiles.hidden)
        weights = torch.softmax(scores, dim=-1)
        out = tiles.put(torch.bmm(weights, told), query.shape, out)
        kept += [weights, asked, read, told]
    return out, kept


def attend_backward(
    gradient: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    kept: list[torch.Tensor],
    layout: Layout,
    scale: float,
) -> tuple[torch.Tensor, ...]:
    """The gradients of query, key and value, all [tokens, heads, width]."""
    make = torch.zeros_like if layout.blocks else torch.empty_like
    found = [make(query) for _ in range(3)]
    if layout.blocks:
        of_queries, of_keys, of_values = (t.transpose(0, 1) for t in found)
        questions, keys, values, of_outs = (
            t.transpose(0, 1) for t in (query, key, value, gradient)
        )
        for (begin, first, last), weights in zip(layout.blocks, kept, strict=False):
            of_out, seen = of_outs[:, first:last], slice(begin, last)
            of_values[:, seen] += torch.bmm(weights.transpose(1, 2), of_out)
            of_weights = torch.bmm(of_out, values[:, seen].transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_scores *= scale
            of_queries[:, first:last] = torch.bmm(of_scores, keys[:, seen])
            of_keys[:, seen] += torch.bmm(of_scores.transpose(1, 2), questions[:, first:last])
    if (tiles := layout.tiles) is not None:
        weights, asked, read, told = kept[-4:]
        of_out = tiles.gather(gradient)
        of_told = torch.bmm(weights.transpose(1, 2), of_out)
        of_weights = torch.bmm(of_out, told.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_asked = torch.bmm(of_scores, read).mul_(scale)
        of_read = torch.bmm(of_scores.transpose(1, 2), asked)  # asked is scaled already
        found = [
            tiles.put(one, query.shape, into)
            for one, into in zip((of_asked, of_read, of_told), found, strict=True)
        ]
    return tuple(found)
