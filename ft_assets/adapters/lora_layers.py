"""The forward and backward pass of plain LoRA layers, written out: of one adapter, or of several.

One adapter over many tokens is multiplied into the weight of its layer for the pass: two of the
six products with a narrow matrix, and a pass over what the layer gives, are saved. Several adapters
see the layer of the base as one matrix; A and B are products in groups, one group per adapter, as
in serving (Chen et al. 2023, Punica, arXiv 2310.18547). Results are those of PEFT within float
tolerance. Not for dropout, DoRA, quantized weights, or two adapters on one row.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch

from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.start import ADAPTER

# Layer of the base -> A, B and the scale of B A; of several adapters [adapters, out, in] each.
Matrices = dict[str, tuple[Any, Any, float]]


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


def lora_forwards(model: Any) -> dict[Any, "LoraForward"]:
    """Of a PEFT model, by the layer that each is to stand for."""
    matrices = matrices_of(model)
    return {
        layer: LoraForward(layer.base_layer, *matrices[name.removeprefix("base_model.model.")])
        for name, layer in model.named_modules()
        if hasattr(layer, "lora_A")
    }


def joint_forwards(base: Any, matrices: Matrices) -> dict[Any, "LoraForward"]:
    """Of a base that carries no adapter, for batches with as many tokens of each in their order."""
    layers = {name: base.get_submodule(name) for name in matrices}
    return {layer: LoraForward(layer, *matrices[name]) for name, layer in layers.items()}


@contextmanager
def replaced(forwards: Mapping[Any, Any]) -> Generator[None]:
    """Let modules compute by what is given instead of their own `forward`."""
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        for module in forwards:
            del module.forward


@dataclass(frozen=True)
class Linear:
    """What a frozen linear layer gives with a LoRA, and the gradients of it.

    x is [tokens, in], A (`down`) [rank, in], B (`up`) [out, rank], `weight` [out, in]. The sum of
    weight and LoRA is kept for the gradient of x where it is no larger than x, else computed again.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: float

    def forward(
        self, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return x W' + scale x A' B', and what is kept for the gradients."""
        if self.merges(x):
            whole = torch.addmm(self.weight, up, down, alpha=self.scale)
            out = torch.nn.functional.linear(x, whole, self.bias)
            return out, whole if whole.shape[0] <= x.shape[0] else None
        out = torch.nn.functional.linear(x, self.weight, self.bias)
        low = torch.mm(x, down.t())
        return out.addmm_(low, up.t(), alpha=self.scale), low

    def backward(
        self,
        gradient: torch.Tensor,
        x: torch.Tensor,
        kept: Any,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the gradients of x A', which `add_of_x` needs, of A and of B."""
        low = torch.mm(x, down.t()) if self.merges(x) else kept
        none = gradient.new_empty(1)  # times 0: the scale is of the product
        of_low = torch.addmm(none, gradient, up, beta=0, alpha=self.scale)
        of_up = torch.addmm(none, gradient.t(), low, beta=0, alpha=self.scale)
        return of_low, torch.mm(of_low.t(), x), of_up

    def add_of_x(
        self,
        total: torch.Tensor | None,
        gradient: torch.Tensor,
        kept: Any,
        of_low: torch.Tensor,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> torch.Tensor:
        """Add the gradient of x to a total; without one, return it."""
        merges = self.merges(gradient)
        weight = self.weight
        if merges:
            weight = torch.addmm(weight, up, down, alpha=self.scale) if kept is None else kept
        total = torch.mm(gradient, weight) if total is None else total.addmm_(gradient, weight)
        return total if merges else total.addmm_(of_low, down)

    def merges(self, rows: torch.Tensor) -> bool:
        # Twice A times B must cost less than A and B times the tokens; bf16 would round their sum.
        pays = rows.shape[0] * sum(self.weight.shape) > 2 * self.weight.numel()
        return pays and rows.dtype == torch.float32


@dataclass(frozen=True)
class Grouped:
    """The same for several adapters: x is [adapters * tokens, in], and of each adapter in turn;
    A is [adapters, rank, in], B [adapters, out, rank].
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: float

    def forward(
        self, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        groups = down.shape[0]
        out = torch.nn.functional.linear(x, self.weight, self.bias)
        low = torch.bmm(_grouped(x, groups), down.transpose(1, 2))
        _grouped(out, groups).baddbmm_(low, up.transpose(1, 2), alpha=self.scale)
        return out, low

    def backward(
        self,
        gradient: torch.Tensor,
        x: torch.Tensor,
        kept: Any,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        groups = down.shape[0]
        gradient, x = _grouped(gradient, groups), _grouped(x, groups)
        of_low = torch.bmm(gradient, up).mul_(self.scale)
        of_up = torch.bmm(gradient.transpose(1, 2), kept).mul_(self.scale)
        return of_low, torch.bmm(of_low.transpose(1, 2), x), of_up

    def add_of_x(
        self,
        total: torch.Tensor | None,
        gradient: torch.Tensor,
        kept: Any,
        of_low: torch.Tensor,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> torch.Tensor:
        if total is None:
            total = torch.mm(gradient, self.weight)
        else:
            total.addmm_(gradient, self.weight)
        _grouped(total, down.shape[0]).baddbmm_(of_low, down)
        return total


def _grouped(rows: torch.Tensor, groups: int) -> torch.Tensor:
    return rows.view(groups, -1, rows.shape[-1])


class LoraForward:
    """In place of the forward pass of a linear layer of the base."""

    def __init__(self, layer: Any, down: Any, up: Any, scale: float) -> None:
        self._layer, self._scale = layer, scale
        self.matrices = down, up  # A and B, of one adapter or of several
        self.adapters = 1 if down.dim() == 2 else len(down)

    def linear(self, dtype: torch.dtype) -> Linear | Grouped:
        bias = self._layer.bias
        bias = None if bias is None else bias.to(dtype)
        kind = Linear if self.matrices[0].dim() == 2 else Grouped
        return kind(self._layer.weight.to(dtype), bias, self._scale)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        dtype = x.dtype
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
        rows = x.to(dtype).reshape(-1, x.shape[-1])
        down, up = (matrix.to(dtype) for matrix in self.matrices)
        out = _Lora.apply(rows, down, up, self.linear(dtype))
        return cast(torch.Tensor, out).view(*x.shape[:-1], -1)


class _Lora(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, linear: Any
    ) -> torch.Tensor:
        out, kept = linear.forward(x, down, up)
        ctx.linear = linear
        ctx.save_for_backward(x, kept, down, up)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, kept, down, up = ctx.saved_tensors
        of_low, of_down, of_up = ctx.linear.backward(gradients[0], x, kept, down, up)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = ctx.linear.add_of_x(None, gradients[0], kept, of_low, down, up)
        return of_x, of_down, of_up, None
