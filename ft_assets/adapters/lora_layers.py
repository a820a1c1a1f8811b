"""The forward and backward pass of plain LoRA layers, written out: of one adapter, or of several.

One adapter over many tokens is multiplied into the weight of its layer for the pass: two of the
six products with a narrow matrix, and a pass over what the layer gives, are saved. Several adapters
see the layer of the base as one matrix; A and B are products in groups, one group per adapter, as
in serving (Chen et al. 2023, Punica, arXiv 2310.18547). Results are those of PEFT within float
tolerance. Not for dropout, DoRA, quantized weights, or two adapters on one row.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch

from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.start import ADAPTER

Matrices = dict[str, tuple[Any, Any, float]]  # layer of the base -> A, B and the scale of B A


def can_write_out(recipe: Recipe) -> bool:
    return recipe.method == "lora" and recipe.init != "stack" and recipe.dropout == 0


def matrices_of(model: Any) -> Matrices:
    """The LoRA of a PEFT model, by the names that the layers have in the base."""
    return {
        name.removeprefix("base_model.model."): (
            layer.lora_A[ADAPTER].weight,
            layer.lora_B[ADAPTER].weight,
            layer.scaling[ADAPTER],
        )
        for name, layer in model.named_modules()
        if hasattr(layer, "lora_A")
    }


@contextmanager
def written_out(model: Any) -> Generator[None]:
    """Let a PEFT model compute its LoRA by this file."""
    layers = {n: one for n, one in model.named_modules() if hasattr(one, "lora_A")}
    matrices = matrices_of(model)
    forwards = {
        name: _Forward(layer.base_layer, [matrices[name.removeprefix("base_model.model.")]])
        for name, layer in layers.items()
    }
    with _replaced(layers, forwards):
        yield


@contextmanager
def adapters_on(base: Any, adapters: Sequence[Matrices]) -> Generator[None]:
    """Let the base compute these adapters; a batch has as many rows of each, in their order."""
    layers = {name: base.get_submodule(name) for name in adapters[0]}
    forwards = {
        name: _Forward(layer, [one[name] for one in adapters]) for name, layer in layers.items()
    }
    with _replaced(layers, forwards):
        yield


@contextmanager
def _replaced(layers: Mapping[str, Any], forwards: Mapping[str, Any]) -> Generator[None]:
    for name, layer in layers.items():
        layer.forward = forwards[name]
    try:
        yield
    finally:
        for layer in layers.values():
            del layer.forward


class _Forward:
    """In place of the forward pass of a linear layer of the base."""

    def __init__(self, layer: Any, adapters: list[tuple[Any, Any, float]]) -> None:
        self._layer = layer
        self._down = [down for down, _, _ in adapters]
        self._up = [up for _, up, _ in adapters]
        self._scale = adapters[0][2]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        dtype = x.dtype
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
        weight, bias = self._layer.weight, self._layer.bias
        rows = x.to(dtype).reshape(len(self._down), -1, x.shape[-1])
        args = (rows, weight.to(dtype), None if bias is None else bias.to(dtype))
        # Twice A times B must cost less than A and B times the tokens; bf16 would round their sum.
        pays = rows.shape[1] * sum(weight.shape) > 2 * weight.numel()
        if len(self._down) == 1 and dtype == torch.float32 and pays:
            out = _Merged.apply(*args, self._down[0], self._up[0], self._scale)
        else:
            down, up = (torch.stack(of).to(dtype) for of in (self._down, self._up))
            out = _Lora.apply(*args, down, up, self._scale)
        return cast(torch.Tensor, out).view(*x.shape[:-1], -1)


class _Merged(torch.autograd.Function):
    """x [1, tokens, in] -> [1, tokens, out]: x (W + scale * B A)'; matrices as in _Lora, one each.

    The sum is computed again for the gradient of x instead of being kept: it is as large as W.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        ctx.scale = scale
        ctx.save_for_backward(x, weight, down, up)
        return torch.nn.functional.linear(x, torch.addmm(weight, up, down, alpha=scale), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, weight, down, up = ctx.saved_tensors
        [tokens], [gradient] = x, gradients[0]
        low = torch.mm(tokens, down.t())
        of_low = torch.mm(gradient, up).mul_(ctx.scale)
        of_up = torch.mm(gradient.t(), low).mul_(ctx.scale)
        of_down = torch.mm(of_low.t(), tokens)
        of_x = None
        if ctx.needs_input_grad[0]:
            whole = torch.addmm(weight, up, down, alpha=ctx.scale)
            of_x = torch.mm(gradient, whole)[None]
        return of_x, None, None, of_down, of_up, None


class _Lora(torch.autograd.Function):
    """x [adapters, tokens, in] -> [adapters, tokens, out]: x W' + scale * x A' B'.

    W is [out, in] and frozen, A [adapters, rank, in], B [adapters, out, rank]. The gradients of x,
    A and B are written out: they need x and x A' alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        out = torch.nn.functional.linear(x, weight, bias)
        low = torch.bmm(x, down.transpose(1, 2))
        out.baddbmm_(low, up.transpose(1, 2), alpha=scale)
        ctx.scale = scale
        ctx.save_for_backward(x, weight, down, up, low)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        [gradient] = gradients
        x, weight, down, up, low = ctx.saved_tensors
        of_low = torch.bmm(gradient, up) * ctx.scale
        of_up = torch.bmm(gradient.transpose(1, 2), low) * ctx.scale
        of_down = torch.bmm(of_low.transpose(1, 2), x)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.matmul(gradient, weight).baddbmm_(of_low, down)
        return of_x, None, None, of_down, of_up, None
