"""Several adapters of one recipe trained in the same steps, over one frozen base.

A step of a few tokens costs nearly as much as one of many: what it costs is calling the layers.
Here one pass computes the rows of all adapters (see lora_layers.py). Everything else stays with
each adapter: its batches, rate, clipping, looks at its own validation split, and its end. Loss and
weights are those of a training alone within float tolerance, not bit by bit, so the bytes of an
adapter depend on which others were trained with it; its record names them. A checkpoint is of all
of them after the same step.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch

from ft_assets.adapters.checkpoint import Checkpoints
from ft_assets.adapters.decoder_layer import modules_that_fit, written_out
from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.job import Progress
from ft_assets.adapters.loop import Course, Training, resume, save
from ft_assets.adapters.lora_layers import Matrices, can_write_out, joint_forwards
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.workers import Batch, Map, summed, token_losses

MOST_TOKENS = 64  # of an adapter in a batch, up to which joint steps pay; decisions/0017


def joint_pays(recipe: Recipe, adapters: int, device: str) -> bool:
    """Whether a job is trained jointly: by its content alone, so that its bytes can be repeated."""
    return (
        adapters > 1
        and device == "cpu"
        and can_write_out(recipe)
        and not recipe.gradient_checkpointing
        and recipe.batch_rows * recipe.row_tokens <= MOST_TOKENS
    )


def train_together(
    base: Any,
    trainings: Mapping[str, Training],
    matrices: Mapping[str, Matrices],
    rows_map: Map,
    progress: Progress,
    checkpoints: Checkpoints | None,
) -> dict[str, Course]:
    """Run the trainings, by domain, in step with each other, each to its own end, from the newest
    checkpoint if there is one; `base` carries no adapter.
    """
    precision = choose_precision(next(iter(trainings.values())).recipe.precision, base.device.type)
    if checkpoints is not None:
        resume(checkpoints, trainings, progress)
    for training in trainings.values():
        training.begin()
    modules = modules_that_fit(base, {})
    forwards: dict[Any, Any] = {}
    forwards_of: list[str] = []
    while active := [domain for domain in trainings if not trainings[domain].ended]:
        if active != forwards_of:
            forwards = joint_forwards(base, [matrices[domain] for domain in active])
            forwards_of = active
        with written_out(forwards, modules):
            found = _gradients(
                base,
                [trainings[domain].weights for domain in active],
                [trainings[domain].next_step() for domain in active],
                precision,
                rows_map,
            )
        for domain, (loss, gradients) in zip(active, found, strict=True):
            training = trainings[domain]
            training.take(loss, gradients, domain, progress)
            if training.look_due:
                with written_out(joint_forwards(base, [matrices[domain]]), modules):
                    training.look(domain, rows_map, progress)
        everyone = list(trainings.values())
        step = max(training.course.steps for training in everyone)
        steps = max(training.batches.steps for training in everyone)
        ended = all(training.ended for training in everyone)
        if checkpoints is not None and (ended or checkpoints.due(step, steps)):
            save(checkpoints, everyone)
    return {domain: training.finish(domain, progress) for domain, training in trainings.items()}


def _gradients(
    base: Any,
    weights: list[list[Any]],
    steps: list[list[Batch]],
    precision: Any,
    rows_map: Map,
) -> list[tuple[float, list[Any]]]:
    """Of each adapter, the loss of its batches in nats and its gradient by each weight.

    Rows are computed as in workers.py: the n-th of every adapter together, on one core.
    """
    flat = [weight for of_one in weights for weight in of_one]
    ends = list(accumulate(map(len, weights)))

    def of(rows: Batch) -> tuple[list[float], Any]:
        losses = token_losses(base, rows.ids, rows.labels, precision, rows.positions)
        by_adapter = (losses * rows.scale[:, None]).sum(dim=1)
        return by_adapter.tolist(), torch.autograd.grad(by_adapter.sum(), flat)

    parts = [
        found
        for batches in zip(*steps, strict=True)
        for found in rows_map(of, [_nth_rows(batches, n) for n in range(len(batches[0].ids))])
    ]
    losses = [sum(of_one) for of_one in zip(*(losses for losses, _ in parts), strict=True)]
    gradients = summed([gradients for _, gradients in parts])
    return [
        (loss, gradients[begin:end])
        for loss, begin, end in zip(losses, [0, *ends], ends, strict=False)
    ]


def _nth_rows(batches: Sequence[Batch], n: int) -> Batch:
    ids, labels, scale = (
        torch.stack([batch[column][n] for batch in batches]) for column in range(3)
    )
    if batches[0].positions is None:
        return Batch(ids, labels, scale)
    positions = torch.stack([batch.positions[n] for batch in batches])
    end = int((positions >= 0).sum(dim=1).max())
    return Batch(ids[:, :end], labels[:, :end], scale, positions[:, :end])
