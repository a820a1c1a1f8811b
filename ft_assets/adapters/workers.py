"""Threads that each compute a row of the batch on one core, instead of all cores on each matrix.

Inside an operator (OpenMP) the threads of a tiny model wait on each other 100 times a step.
Measured with two threads on two cores that other work also used: 700 to 1,800 tokens/s that way,
7,900 with a row per thread, 7,400 with one thread. It also makes the result independent of the
number of threads, as long as it is not above the number of rows: each row is computed on one core,
and the sum is taken in the order of the rows.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from ft_assets.adapters.device import autocast
from ft_assets.adapters.tokens import IGNORED


class Batch(NamedTuple):
    ids: Any  # int64 tensor [rows, length]
    labels: Any  # the same shape; IGNORED where no loss is taken
    scale: Any  # float tensor [rows]: what the loss of each token of a row is multiplied with


Map = Callable[[Callable[..., Any], Iterable[Any]], list[Any]]


@contextmanager
def row_workers(threads: int, rows: int) -> Generator[Map]:
    """Give a map over rows that keeps their order; threads beyond `rows` go into the operators."""
    import torch

    workers = min(threads, rows)
    inside = max(1, threads // workers)
    torch.set_num_threads(inside)
    # The number is a setting of each thread: a new one starts with all cores.
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(inside,)) as pool:
        yield lambda work, rows: list(pool.map(work, rows))


def add_gradients(
    model: Any, weights: list[Any], batch: Batch, precision: Any, rows_map: Map
) -> float:
    """Add the gradient of the batch's loss to the weights; return the loss in nats."""
    import torch

    device = model.device.type

    def of(part: slice) -> tuple[float, Any]:
        ids, labels, scale = (column[part].to(device) for column in batch)
        loss = (token_losses(model, ids, labels, precision) * scale[:, None]).sum()
        # Not backward(): threads adding to one .grad would add in an order of chance.
        return float(loss.detach()), torch.autograd.grad(loss, weights)

    rows = len(batch.ids)
    one_by_one = [slice(i, i + 1) for i in range(rows)]
    parts = rows_map(of, one_by_one if device == "cpu" else [slice(0, rows)])
    for i, weight in enumerate(weights):
        gradient = parts[0][1][i]
        for _, gradients in parts[1:]:
            gradient = gradient + gradients[i]
        weight.grad = gradient if weight.grad is None else weight.grad + gradient
    return sum(loss for loss, _ in parts)


def token_losses(model: Any, ids: Any, labels: Any, precision: Any) -> Any:
    """Return losses in nats, [rows, positions at which any row has a label]; 0 where IGNORED.

    Logits are computed only at the positions where a row has a label: with answers of a few tokens
    after long prompts, most of the cost of a small model with a large vocabulary.
    """
    import torch

    keep = (labels[:, 1:] != IGNORED).any(dim=0).nonzero()[:, 0]
    with autocast(model.device.type, precision):
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits
    targets = labels[:, keep + 1]
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view_as(targets)
