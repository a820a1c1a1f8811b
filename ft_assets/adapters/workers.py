"""How the gradient of a batch is computed: a row per thread, each on one core.

Inside an operator (OpenMP) the threads of a tiny model wait on each other 100 times a step.
Measured with two threads on two cores that other work also used: 700 to 1,800 tokens/s that way,
7,900 with a row per thread, 7,400 with one thread. It also makes the result independent of the
number of threads, as long as it is not above the number of rows: each row is computed on one core,
and the sum is taken in the order of the rows. There are never more threads than the process may use
cores, by its affinity and its cgroup.
"""

import ctypes
import gc
import math
import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ft_assets.adapters.device import autocast
from ft_assets.adapters.tokens import IGNORED

CGROUP = Path("/sys/fs/cgroup")
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
KEPT_BYTES = 1 << 30  # blocks up to this size are reused

# The positions of each row, int64 [positions], at which alone logits are read; None: at all.
logits_read: ContextVar[Any] = ContextVar("logits_read", default=None)


class Batch(NamedTuple):
    ids: Any  # int64 tensor [rows, length]
    labels: Any  # the same shape; IGNORED where no loss is taken
    scale: Any  # float tensor [rows]: what the loss of each token of a row is multiplied with
    positions: Any = None  # int64, the shape of ids: place in the document, -1 where there is none

    @property
    def tokens(self) -> int:
        """Tokens of documents, without what fills the rows."""
        return self.ids.numel() if self.positions is None else int((self.positions >= 0).sum())


Map = Callable[[Callable[..., Any], Iterable[Any]], list[Any]]


def usable_cores() -> int:
    """Cores that this process may use: by affinity, and by the quota of its cgroup (v2 or v1)."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0))
    quota = _cgroup_cores()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _cgroup_cores() -> float | None:
    for folder in (CGROUP, CGROUP / "cpu"):
        try:
            if (folder / "cpu.max").is_file():
                quota, period = (folder / "cpu.max").read_text("utf-8").split()
            elif (folder / "cpu.cfs_quota_us").is_file():
                quota = (folder / "cpu.cfs_quota_us").read_text("utf-8").strip()
                period = (folder / "cpu.cfs_period_us").read_text("utf-8").strip()
            else:
                continue
        except PermissionError:
            continue
        return None if quota in {"max", "-1"} else int(quota) / int(period)
    return None


@contextmanager
def row_workers(threads: int, rows: int) -> Generator[Map]:
    """Give a map over rows that keeps their order; threads beyond `rows` go into the operators.

    No more threads than `usable_cores` are started, however many are asked for.
    """
    import torch

    threads = min(threads, usable_cores())
    workers = min(threads, rows)
    inside = max(1, threads // workers)
    # Read when the first text is encoded, by the tokenizers' own threads.
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    torch.set_num_threads(inside)
    _keep_memory()
    with _libraries_not_collected():
        if workers == 1:  # in this thread: what it has just read is in the cache of its core
            yield lambda work, rows: list(map(work, rows))
            return
        # The number is a setting of each thread: a new one starts with all cores.
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(inside,)
        ) as pool:
            yield lambda work, rows: list(pool.map(work, rows))


@contextmanager
def _libraries_not_collected() -> Generator[None]:
    """Leave what was there before to itself: a million objects of the libraries, looked through
    again and again, are a twentieth of the time of a tiny model.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _keep_memory() -> None:
    """Let glibc reuse what a step has freed, instead of asking the kernel for zeroed pages again.

    Each step takes and frees the same large blocks: 1.2 times the speed of a tiny model.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl has not
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_TOP_PAD, 64 << 20)


def gradients_of(
    model: Any, weights: Sequence[Any], batch: Batch, precision: Any, rows_map: Map
) -> tuple[float, list[Any]]:
    """Return the loss of a batch in nats, and its gradient by each weight."""
    import torch

    device = model.device.type

    def of(part: Batch) -> tuple[float, Any]:
        losses = token_losses(model, part.ids, part.labels, precision, part.positions)
        loss = (losses * part.scale.to(device)[:, None]).sum()
        # Not backward(): threads adding to one .grad would add in an order of chance.
        return float(loss.detach()), torch.autograd.grad(loss, weights)

    parts = rows_map(of, one_by_one(batch) if device == "cpu" else [batch])
    return sum(loss for loss, _ in parts), summed([gradients for _, gradients in parts])


def summed(gradients: Sequence[Sequence[Any]]) -> list[Any]:
    """Of each weight, the gradients of all parts in their order."""
    first, *rest = gradients
    total = list(first)
    for one in rest:
        total = [of_all + of_one for of_all, of_one in zip(total, one, strict=True)]
    return total


def one_by_one(batch: Batch) -> list[Batch]:
    """The rows of the batch, each as long as its documents are."""
    ends = [batch.ids.shape[1]] * len(batch.ids)
    if batch.positions is not None:
        ends = (batch.positions >= 0).sum(dim=1).tolist()
    return [
        Batch(
            batch.ids[row : row + 1, :end],
            batch.labels[row : row + 1, :end],
            batch.scale[row : row + 1],
            None if batch.positions is None else batch.positions[row : row + 1, :end],
        )
        for row, end in enumerate(ends)
    ]


def token_losses(model: Any, ids: Any, labels: Any, precision: Any, positions: Any = None) -> Any:
    """Return losses in nats, [rows, positions at which any row has a label]; 0 where IGNORED.

    Logits are computed only at the positions where a row has a label: with answers of a few tokens
    after long prompts, most of the cost of a small model with a large vocabulary. `positions` (see
    Batch) say where the documents of a row begin; without them a row is one document.
    """
    device = model.device.type
    keep = (labels[:, 1:] != IGNORED).any(dim=0).nonzero()[:, 0].to(device)
    placed = {} if positions is None else {"position_ids": filled(positions).to(device)}
    asked = logits_read.set(keep)
    try:
        with autocast(device, precision):
            logits = model(
                input_ids=ids.to(device), use_cache=False, logits_to_keep=keep, **placed
            ).logits
    finally:
        logits_read.reset(asked)
    targets = labels.to(device)[:, keep + 1]
    losses = cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
    return losses.view_as(targets)


def filled(positions: Any) -> Any:
    """The same with what fills a row numbered as one more document."""
    import torch

    documents = positions >= 0
    count = torch.arange(positions.shape[1]) - documents.sum(dim=1, keepdim=True)
    return positions.where(documents, count)


def cross_entropy(logits: Any, targets: Any) -> Any:
    """The loss of each target in nats, 0 where it is IGNORED; logits are [targets, vocabulary].

    Probabilities are computed once and kept for the gradient; torch computes them twice.
    """
    return _cross_entropy().apply(logits, targets)


@cache
def _cross_entropy() -> Any:
    import torch

    class CrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, logits: Any, targets: Any) -> Any:
            ignored = targets == IGNORED
            known = targets.masked_fill(ignored, 0)[:, None]
            highest = logits.amax(dim=1, keepdim=True)
            shifted = logits - highest
            of_target = shifted.gather(1, known)
            weights = shifted.exp_()
            total = weights.sum(dim=1, keepdim=True)
            losses = (total.log() - of_target)[:, 0].masked_fill(ignored, 0.0)
            ctx.save_for_backward(weights, total, known, ignored)
            return losses

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            weights, total, known, ignored = ctx.saved_tensors
            of_loss = gradients[0].masked_fill(ignored, 0.0)[:, None]
            found = weights * (of_loss / total)
            found.scatter_add_(1, known, -of_loss)
            return found, None

    return CrossEntropy
