"""Several adapters of one recipe trained in the same steps, over one frozen base.

A step of a few tokens costs nearly as much as one of many: what it costs is calling the layers.
Here one pass computes the rows of all adapters (see lora_layers.py). Everything else stays with
each adapter: its batches, rate, clipping, looks at its own validation split, and its end. Loss and
weights are those of a training alone within float tolerance, not bit by bit, so the bytes of an
adapter depend on which others were trained with it; its record names them. A checkpoint is of all
of them after the same step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ft_assets.adapters.checkpoint import Checkpoints
from ft_assets.adapters.decoder_layer import modules_that_fit, written_out
from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.document_attention import NAME
from ft_assets.adapters.job import Progress
from ft_assets.adapters.loop import Course, Training, resume, save
from ft_assets.adapters.lora_layers import Matrices, can_write_out, joint_forwards
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.tokens import IGNORED
from ft_assets.adapters.workers import Batch, Map, filled, summed, token_losses

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
    active: list[str] = []
    while going_on := [domain for domain in trainings if not trainings[domain].ended]:
        if going_on != active:
            active = going_on
            group = _Group(base, [trainings[one] for one in active], matrices[active[0]])
        with written_out(group.forwards, modules):
            losses, gradients = group.step(precision, rows_map)
        for domain, loss, own in zip(active, losses, gradients, strict=True):
            training = trainings[domain]
            training.take(loss, own, domain, progress)
            if training.look_due:
                with written_out(joint_forwards(base, matrices[domain]), modules):
                    training.look(domain, rows_map, progress)
        everyone = list(trainings.values())
        step = max(training.course.steps for training in everyone)
        steps = max(training.batches.steps for training in everyone)
        ended = all(training.ended for training in everyone)
        if checkpoints is not None and (ended or checkpoints.due(step, steps)):
            save(checkpoints, everyone)
    return {domain: training.finish(domain, progress) for domain, training in trainings.items()}


class _Group:
    """Trainings in the same steps. Their weights are moved side by side, so that those of a layer
    are one tensor, [adapters, out, in], without a copy.
    """

    def __init__(self, base: Any, trainings: Sequence[Training], names: Matrices) -> None:
        """`names` has the matrices of the first by the layers of the base."""
        self._base, self._trainings = base, trainings
        self._first = trainings[0].optimizer
        of_all = zip(*(training.optimizer.parameters for training in trainings), strict=True)
        wholes = [torch.stack([one.detach() for one in parameters]) for parameters in of_all]
        for place, training in enumerate(trainings):
            training.optimizer.move([whole[place] for whole in wholes])
        self._weights = [one.requires_grad_() for one in self._first.by_weight(wholes)]
        found = {
            id(weight): whole
            for weight, whole in zip(trainings[0].weights, self._weights, strict=True)
        }
        together = {
            name: (found[id(down)], found[id(up)], scale)
            for name, (down, up, scale) in names.items()
        }
        self.forwards = joint_forwards(base, together)

    def step(self, precision: Any, rows_map: Map) -> tuple[list[float], Any]:
        """Of each adapter, the loss of its next batches in nats and its gradients.

        Rows are computed as in workers.py: the n-th of every adapter together, on one core.
        """

        def of(rows: Batch) -> tuple[list[float], Any]:
            losses = _row_losses(self._base, rows, precision) * rows.scale
            return losses.tolist(), torch.autograd.grad(losses.sum(), self._weights)

        steps = [training.next_step() for training in self._trainings]
        parts = [
            found
            for batches in zip(*steps, strict=True)
            for found in rows_map(of, [_nth_rows(batches, n) for n in range(len(batches[0].ids))])
        ]
        losses = [sum(of_one) for of_one in zip(*(losses for losses, _ in parts), strict=True)]
        gradients = self._first.flat(summed([gradients for _, gradients in parts]))
        return losses, zip(*gradients, strict=True)


def _row_losses(base: Any, rows: Batch, precision: Any) -> Any:
    """The loss of each row in nats.

    Where the attention keeps documents apart the rows are computed as one: logits of a row are
    then computed where it has labels, instead of where any row has some.
    """
    if rows.positions is None or base.config._attn_implementation != NAME:
        return token_losses(base, rows.ids, rows.labels, precision, rows.positions).sum(dim=1)
    count, tokens = rows.ids.shape
    columns = (rows.ids, rows.labels, filled(rows.positions))
    ids, labels, positions = (column.reshape(1, -1) for column in columns)
    [losses] = token_losses(base, ids, labels, precision, positions)
    owners = (labels[0, 1:] != IGNORED).nonzero()[:, 0].add_(1) // tokens
    return losses.new_zeros(count).index_add(0, owners, losses)


def _nth_rows(batches: Sequence[Batch], n: int) -> Batch:
    ids, labels, scale = (
        torch.stack([batch[column][n] for batch in batches]) for column in range(3)
    )
    if batches[0].positions is None:
        return Batch(ids, labels, scale)
    positions = torch.stack([batch.positions[n] for batch in batches])
    end = int((positions >= 0).sum(dim=1).max())
    return Batch(ids[:, :end], labels[:, :end], scale, positions[:, :end])
