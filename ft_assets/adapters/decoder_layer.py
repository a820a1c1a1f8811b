"""Decoder layers of the Llama family with LoRA, forward and backward pass written out.

A layer is some forty operations forward and eighty backward. For a small model, or a row of few
tokens, calling them and keeping what autograd needs of each takes longer than computing them. Here
a layer is one operation with the gradient derived by hand: root mean square norms (Zhang and
Sennrich 2019, arXiv 1910.07467), rotary positions (Su et al. 2021, arXiv 2104.09864), the attention
of document_attention.py, SwiGLU (Shazeer 2020, arXiv 2002.05202), and the LoRA of lora_layers.py.

For fp32 on a CPU. Whatever has other parts, or gives other logits than it gave, computes as before:
dropout, caches, masks, norms of queries, other activations, documents longer than LONG.
"""

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast

from ft_assets.adapters.document_attention import (
    LONG,
    NAME,
    Layout,
    attend,
    attend_backward,
    layout_of,
    logits_of_two_documents,
    spans_of,
)
from ft_assets.adapters.lora_layers import Grouped, Linear, LoraForward, replaced
from ft_assets.adapters.workers import logits_read

PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
STACK = {"embed_tokens", "layers", "norm", "rotary_emb"}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NOT_HERE = ("attention_mask", "cache", "past_key_values", "inputs_embeds", "output_hidden_states")
NEAR = 1e-3  # of the largest logit
MOST_READ = 0.9  # share of the tokens of a row: with more, all go through the last layer


def modules_that_fit(base: Any, forwards: Mapping[Any, LoraForward]) -> list[Any]:
    """What this file computes of a model: its decoder layers and the stack of them, or nothing."""
    layers = [module for module in base.modules() if _looks_fitting(module)]
    stacks = [
        module
        for module in base.modules()
        if {name for name, _ in module.named_children()} == STACK
        and set(module.layers) == set(layers)
    ]
    return [*layers, *stacks] if layers and _same_logits(base, forwards, [*layers, *stacks]) else []


@contextmanager
def written_out(forwards: Mapping[Any, LoraForward], modules: Sequence[Any]) -> Generator[None]:
    """Let a model compute its LoRA by `forwards`, and these modules of it by this file."""
    rows = _Rows()
    own = {
        module: _Stack(module) if hasattr(module, "layers") else _Forward(module, forwards, rows)
        for module in modules
    }
    with replaced({**forwards, **own}):
        yield


def _looks_fitting(layer: Any) -> bool:
    if {name for name, _ in layer.named_children()} != PARTS:
        return False
    attention, mlp = layer.self_attn, layer.mlp
    norms = (layer.input_layernorm, layer.post_attention_layernorm)
    return (
        {name for name, _ in attention.named_children()} == set(PROJECTIONS[:4])
        and {name for name, _ in mlp.named_children()} == {*PROJECTIONS[4:], "act_fn"}
        and all(hasattr(norm, "variance_epsilon") for norm in norms)
        and all(hasattr(attention, name) for name in ("head_dim", "scaling", "config"))
        and attention.config._attn_implementation == NAME
        and all(weight.dtype == torch.float32 for weight in layer.parameters())
    )


def _same_logits(base: Any, forwards: Mapping[Any, LoraForward], modules: Sequence[Any]) -> bool:
    with written_out(forwards, []):
        wanted = logits_of_two_documents(base)
    with written_out(forwards, modules):
        found = logits_of_two_documents(base)
    return all(
        bool((one - other).abs().max() <= NEAR * other.abs().max())
        for one, other in zip(found, wanted, strict=True)
    )


class _Stack:
    """In place of the forward pass over all layers: without masks and caches, which none needs."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack

    def __call__(self, input_ids: Any = None, **given: Any) -> BaseModelOutputWithPast:
        stack, positions = self._stack, given.get("position_ids")
        if input_ids is None or any(given.get(name) is not None for name in NOT_HERE):
            return cast(BaseModelOutputWithPast, type(stack).forward(stack, input_ids, **given))
        if positions is None:
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        x = stack.embed_tokens(input_ids)
        angles = stack.rotary_emb(x, position_ids=positions)
        given = {"position_embeddings": angles, "position_ids": positions}
        *layers, last = stack.layers
        for layer in layers:
            x = layer(x, **given)
        rows, tokens = x.shape[:2]
        if (needed := self._needed(last.forward, rows, tokens)) is None:
            out = stack.norm(last(x, **given))
        else:
            found = stack.norm(last(x, needed=needed, **given))
            out = found.new_zeros(rows * tokens, found.shape[-1])
            out = out.index_copy(0, needed, found).view(rows, tokens, -1)
        return BaseModelOutputWithPast(last_hidden_state=out)

    def _needed(self, last: "_Forward", rows: int, tokens: int) -> torch.Tensor | None:
        """Of the tokens of all rows, those whose hidden state is read; None for all.

        As many of each adapter, filled up with others.
        """
        if (read := logits_read.get()) is None:
            return None
        needed = (torch.arange(0, rows * tokens, tokens)[:, None] + read).flatten()
        if last.adapters > 1:
            is_read = torch.zeros(rows * tokens, dtype=torch.uint8).index_fill_(0, needed, 1)
            is_read = is_read.view(last.adapters, -1)
            first = is_read.argsort(dim=1, descending=True, stable=True)
            begins = torch.arange(0, rows * tokens, is_read.shape[1])[:, None]
            needed = (first[:, : int(is_read.sum(dim=1).max())] + begins).flatten()
        return needed if len(needed) <= MOST_READ * rows * tokens else None


class _Norm(NamedTuple):
    weight: torch.Tensor
    epsilon: float


@dataclass(frozen=True)
class _Plan:
    """What a layer is, without the matrices that are trained."""

    linears: tuple[Linear | Grouped, ...]  # in the order of PROJECTIONS
    norms: tuple[_Norm, _Norm]  # before attention, before the MLP
    width: int  # of a head
    scale: float  # of attention


class _Forward:
    """In place of the forward pass of a decoder layer."""

    def __init__(self, layer: Any, forwards: Mapping[Any, LoraForward], rows: "_Rows") -> None:
        self._layer, self._rows = layer, rows
        found = [getattr(layer.self_attn, name) for name in PROJECTIONS[:4]]
        found += [getattr(layer.mlp, name) for name in PROJECTIONS[4:]]
        self._loras = [forwards.get(one) for one in found]
        linears = (
            Linear(one.weight, one.bias, 0.0) if lora is None else lora.linear(torch.float32)
            for one, lora in zip(found, self._loras, strict=True)
        )
        norms = (layer.input_layernorm, layer.post_attention_layernorm)
        first, second = (_Norm(norm.weight, norm.variance_epsilon) for norm in norms)
        attention = layer.self_attn
        self._plan = _Plan(tuple(linears), (first, second), attention.head_dim, attention.scaling)
        self.adapters = max(1 if lora is None else lora.adapters for lora in self._loras)

    def __call__(
        self, hidden_states: torch.Tensor, needed: torch.Tensor | None = None, **given: Any
    ) -> torch.Tensor:
        """[rows, tokens, width], or of the needed tokens [needed, width]."""
        rows, tokens, width = hidden_states.shape
        heads = self._plan.linears[0].weight.shape[0] // self._plan.width
        layout, rotation = self._rows.places(rows, tokens, heads, **given)
        if (
            hidden_states.dtype != torch.float32
            or torch.is_autocast_enabled(hidden_states.device.type)
            or given.get("attention_mask") is not None
            or given.get("cache") is not None
            or layout.longest > LONG
        ):
            out = type(self._layer).forward(self._layer, hidden_states, **given)
            return cast(torch.Tensor, out if needed is None else out.flatten(0, 1)[needed])
        matrices = [
            matrix
            for lora in self._loras
            for matrix in ((None, None) if lora is None else lora.matrices)
        ]
        x = hidden_states.reshape(-1, width)
        out = cast(
            torch.Tensor,
            _DecoderLayer.apply(x, rotation, layout, needed, self._plan, *matrices),
        )
        return out.view(rows, tokens, width) if needed is None else out


class _Rotation(NamedTuple):
    """cos and sin of the angles, [tokens, 1, width of a head]; the sign is that of the half."""

    cos: torch.Tensor
    sin: torch.Tensor

    def turn(self, heads: torch.Tensor) -> torch.Tensor:
        return (heads * self.cos).addcmul_(heads.roll(heads.shape[-1] // 2, -1), self.sin)

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        return (gradient * self.cos).addcmul_(
            gradient.roll(gradient.shape[-1] // 2, -1), self.sin, value=-1
        )


class _Rows(threading.local):
    """What all layers of one pass have in common; every thread computes its own rows."""

    def __init__(self) -> None:
        self._of: Any = None

    def places(
        self,
        rows: int,
        tokens: int,
        heads: int,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        position_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> tuple[Layout, _Rotation]:
        if self._of is not position_embeddings:
            cos, sin = (
                part.expand(rows, tokens, -1).reshape(rows * tokens, 1, -1)
                for part in position_embeddings
            )
            half = sin.shape[-1] // 2
            signed = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
            layout = layout_of(spans_of(rows, tokens, position_ids), heads)
            self._found = layout, _Rotation(cos, signed)
            self._of = position_embeddings
        return self._found


def _normalized(x: torch.Tensor, norm: _Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """x over the root of its mean square, times the weight; and one over the root."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    inverse = length.square_().div_(x.shape[-1]).add_(norm.epsilon).rsqrt_()
    return (x * inverse).mul_(norm.weight), inverse


def _of_normalized(
    gradient: torch.Tensor, x: torch.Tensor, inverse: torch.Tensor, norm: _Norm
) -> torch.Tensor:
    weighted = gradient * norm.weight
    along = torch.linalg.vecdot(weighted, x)[..., None]
    along = along.mul_(inverse).mul_(inverse).div_(-x.shape[-1])
    return weighted.addcmul_(x, along).mul_(inverse)


class _DecoderLayer(torch.autograd.Function):
    """x [tokens, width] -> the same shape, or that of the needed tokens, which alone go through
    the MLP; matrices are A and B of each projection.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        rotation: _Rotation,
        layout: Layout,
        needed: torch.Tensor | None,
        plan: _Plan,
        *matrices: torch.Tensor | None,
    ) -> torch.Tensor:
        tokens = x.shape[0]
        kept: list[torch.Tensor | None] = []

        def project(place: int, x: torch.Tensor) -> torch.Tensor:
            down, up = matrices[2 * place : 2 * place + 2]
            linear = plan.linears[place]
            if down is None or up is None:
                out, of_linear = torch.nn.functional.linear(x, linear.weight, linear.bias), None
            else:
                out, of_linear = linear.forward(x, down, up)
            kept.append(of_linear)
            return out

        first, of_first = _normalized(x, plan.norms[0])
        query, key, value = (
            project(place, first).view(tokens, -1, plan.width) for place in range(3)
        )
        query, key = rotation.turn(query), rotation.turn(key)
        heads = _for_each_query(query, key, value)
        attended, weights = attend(*heads, layout, plan.scale)
        mixed, remaining = attended.view(tokens, -1), x
        if needed is not None:
            mixed, remaining = (one.index_select(0, needed) for one in (mixed, x))
        middle = project(3, mixed).add_(remaining)
        second, of_second = _normalized(middle, plan.norms[1])
        gate, up = project(4, second), project(5, second)
        opened = torch.nn.functional.silu(gate)
        inner = opened * up
        out = project(6, inner).add_(middle)
        ctx.rotation, ctx.layout, ctx.needed, ctx.plan = rotation, layout, needed, plan
        ctx.save_for_backward(
            *(x, of_first, first, query, key, value, mixed),
            *(middle, of_second, second, gate, up, opened, inner),
            *(*kept, *matrices, *weights),
        )
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        [of_out] = gradients
        rotation, needed, plan = ctx.rotation, ctx.needed, ctx.plan
        x, of_first, first, query, key, value, mixed, *saved = ctx.saved_tensors
        middle, of_second, second, gate, up, opened, inner, *saved = saved
        kept, matrices, weights = saved[:7], saved[7:21], saved[21:]
        found: list[Any] = [None] * 14

        def back(place: int, gradient: Any, x: Any, total: Any = None, *, of_x: bool = True) -> Any:
            """Add the gradient of x to the total; keep those of A and B."""
            down, up = matrices[2 * place : 2 * place + 2]
            linear = plan.linears[place]
            if down is None:
                if not of_x:
                    return None
                plain = torch.mm(gradient, linear.weight)
                return plain if total is None else total.add_(plain)
            of_low, of_down, of_up = linear.backward(gradient, x, kept[place], down, up)
            found[2 * place : 2 * place + 2] = of_down, of_up
            if not of_x:
                return None
            return linear.add_of_x(total, gradient, kept[place], of_low, down, up)

        of_inner = back(6, of_out, inner)
        of_up = of_inner * opened
        of_gate = torch.ops.aten.silu_backward(of_inner.mul_(up), gate)
        of_normed = back(5, of_up, second, back(4, of_gate, second))
        of_middle = _of_normalized(of_normed, middle, of_second, plan.norms[1]).add_(of_out)
        heads = _for_each_query(query, key, value)
        of_mixed = back(3, of_middle, mixed)
        if needed is not None:
            of_mixed = of_mixed.new_zeros(len(x), of_mixed.shape[1]).index_copy_(
                0, needed, of_mixed
            )
        of_query, of_key, of_value = attend_backward(
            of_mixed.view(query.shape), *heads, weights, ctx.layout, plan.scale
        )
        of_key, of_value = (_summed(of_one, key.shape[1]) for of_one in (of_key, of_value))
        differentiable = ctx.needs_input_grad[0]
        of_normed: Any = None
        for place, of_one in enumerate((rotation.back(of_query), rotation.back(of_key), of_value)):
            gradient = of_one.reshape(x.shape[0], -1)
            of_normed = back(place, gradient, first, of_normed, of_x=differentiable)
        of_x = None
        if differentiable:
            of_x = _of_normalized(of_normed, x, of_first, plan.norms[0])
            if needed is None:
                of_x.add_(of_middle)
            else:
                of_x.index_add_(0, needed, of_middle)
        return of_x, None, None, None, None, *found


def _for_each_query(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[tokens, heads, width] each, with a key and a value for each query."""
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = (one.repeat_interleave(shared, dim=1) for one in (key, value))
    return query, key, value


def _summed(gradient: torch.Tensor, heads: int) -> torch.Tensor:
    """Over the queries that share a key: [tokens, heads of queries, width] to heads of keys."""
    if gradient.shape[1] == heads:
        return gradient
    return gradient.unflatten(1, (heads, -1)).sum(dim=2)
