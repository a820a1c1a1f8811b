"""Several adapters of one recipe trained in the same steps, over one frozen base.

A step of a few tokens costs nearly as much as one of many: what it costs is calling the layers.
Here one pass computes the rows of all adapters. The base sees them as one matrix; A and B are
products in groups, one group per adapter, as in serving (Chen et al. 2023, Punica, arXiv
2310.18547). Everything else stays with each adapter: its batches, rate, clipping, looks at its own
validation split, and its end. Loss and weights are those of a training alone within float
tolerance, not bit by bit, so the bytes of an adapter depend on which others were trained with it;
its record names them. A joint training writes no checkpoints: killed, it begins again.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch

from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.job import Progress
from ft_assets.adapters.loop import Course, Training
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.start import ADAPTER
from ft_assets.adapters.workers import Batch, Map, token_losses

MOST_TOKENS = 64  # of an adapter in a batch, up to which joint steps pay; decisions/0017

Matrices = dict[str, tuple[Any, Any, float]]  # layer of the base -> A, B and the scale of B A


def joint_pays(recipe: Recipe, adapters: int, device: str) -> bool:
    """Whether a job is trained jointly: by its content alone, so that its bytes can be repeated."""
    return (
        adapters > 1
        and device == "cpu"
        and recipe.method == "lora"
        and recipe.init != "stack"
        and recipe.dropout == 0
        and not recipe.gradient_checkpointing
        and recipe.batch_rows * recipe.row_tokens <= MOST_TOKENS
    )


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


def train_together(
    base: Any,
    domains: Sequence[str],
    trainings: Sequence[Training],
    matrices: Sequence[Matrices],
    rows_map: Map,
    progress: Progress,
) -> list[Course]:
    """Run the trainings in step with each other, each to its own end; `base` carries no adapter."""
    precision = choose_precision(trainings[0].recipe.precision, base.device.type)
    turns = [
        training.turns(domain, rows_map, progress, None)
        for domain, training in zip(domains, trainings, strict=True)
    ]
    waiting = {n: next(turn) for n, turn in enumerate(turns)}
    courses: dict[int, Course] = {}
    while waiting:
        active = list(waiting)
        with adapters_on(base, [matrices[n] for n in active]):
            losses = _add_gradients(
                base,
                [trainings[n].weights for n in active],
                [waiting[n] for n in active],
                precision,
                rows_map,
            )
        for n, loss in zip(active, losses, strict=True):
            # A look at the validation split is of one adapter.
            with adapters_on(base, [matrices[n]]):
                try:
                    waiting[n] = turns[n].send(loss)
                except StopIteration as end:
                    courses[n] = end.value
                    del waiting[n]
    return [courses[n] for n in range(len(turns))]


@contextmanager
def adapters_on(base: Any, adapters: Sequence[Matrices]) -> Generator[None]:
    """Let the base compute these adapters; a batch has as many rows of each, in their order."""
    layers = {name: base.get_submodule(name) for name in adapters[0]}
    for name, layer in layers.items():
        layer.forward = _Forward(layer, [one[name] for one in adapters])
    try:
        yield
    finally:
        for layer in layers.values():
            del layer.forward


def _add_gradients(
    base: Any,
    weights: list[list[Any]],
    steps: list[list[Batch]],
    precision: Any,
    rows_map: Map,
) -> list[float]:
    """Add the gradients of each adapter's batches to its weights; return each adapter's loss.

    Rows are computed as in workers.py: the n-th of every adapter together, on one core.
    """
    flat = [weight for of_one in weights for weight in of_one]
    totals = [0.0] * len(weights)

    def of(rows: Batch) -> tuple[list[float], Any]:
        losses = token_losses(base, rows.ids, rows.labels, precision, rows.positions)
        by_adapter = (losses * rows.scale[:, None]).sum(dim=1)
        return by_adapter.tolist(), torch.autograd.grad(by_adapter.sum(), flat)

    for batches in zip(*steps, strict=True):
        rows = [_nth_rows(batches, n) for n in range(len(batches[0].ids))]
        for losses, gradients in rows_map(of, rows):
            totals = [total + loss for total, loss in zip(totals, losses, strict=True)]
            for weight, gradient in zip(flat, gradients, strict=True):
                weight.grad = gradient if weight.grad is None else weight.grad + gradient
    return totals


def _nth_rows(batches: Sequence[Batch], n: int) -> Batch:
    ids, labels, scale = (
        torch.stack([batch[column][n] for batch in batches]) for column in range(3)
    )
    if batches[0].positions is None:
        return Batch(ids, labels, scale)
    positions = torch.stack([batch.positions[n] for batch in batches])
    end = int((positions >= 0).sum(dim=1).max())
    return Batch(ids[:, :end], labels[:, :end], scale, positions[:, :end])


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
        bias = self._layer.bias
        out = _Lora.apply(
            x.to(dtype).reshape(len(self._down), -1, x.shape[-1]),
            self._layer.weight.to(dtype),
            None if bias is None else bias.to(dtype),
            torch.stack(self._down).to(dtype),
            torch.stack(self._up).to(dtype),
            self._scale,
        )
        return cast(torch.Tensor, out).view(*x.shape[:-1], -1)


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
