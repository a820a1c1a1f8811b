"""One thread that owns every base model and all adapters; nothing else touches them.

Which adapter answers is a state of modules that all requests share: two threads get each other's
answers, that of another tenant included (in PEFT by `set_adapter` and by `adapter_names` alike). So
requests wait in a queue, and this thread answers rows of different adapters in one forward pass
(low_rank.py).
Rows that start together form a cohort with its own key-value cache. After their first pass they
join the batch that is running, up to its limits; batches that cannot be joined take turns, a token
each. So a short request does not wait for a long one that came before it; when there are
MAX_COHORTS, later requests wait and start together. docs/decisions/0033-joining.md
A row of a batch equals the same request alone up to rounding: with float32 the greedy tokens are
the same in practice, with bfloat16 a near tie may fall the other way.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from ft_resources.gateway.cohort import Cohort, Failed, Generation
from ft_resources.gateway.loaded_base import LoadedBase, open_base

MAX_COHORTS = 4
MAX_ADAPTERS = 64  # loaded; beyond that the oldest one that is not routed leaves
MAX_ROWS = 16  # of a cohort
MAX_PREFILL_TOKENS = 16_384  # of a cohort, padding included: bounds memory and the wait of others
SCORE_TOKENS = 4_096  # of one scoring batch

# What a request, a load or a forward pass may raise without ending the thread.
FAILURES = (
    RuntimeError,  # torch, also out of memory
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    OSError,
)

T = TypeVar("T")
log = logging.getLogger(__name__)


class Engine:
    max_adapters = MAX_ADAPTERS

    def __init__(self, max_waiting: int = 64) -> None:
        self._max_waiting = max_waiting
        self._wake = threading.Condition()
        self._waiting: deque[Generation] = deque()
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._leaving: dict[str, Future[None]] = {}
        self._cohorts: list[Cohort] = []
        self._bases: dict[str, LoadedBase] = {}
        self._owner: dict[str, str] = {}  # adapter -> base digest
        self.passes = 0  # forward passes so far; tokens written by them / passes is the mean batch
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish what is waiting and running, then end; after the timeout it is failed."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout_s)
        with self._wake:
            left = [*self._waiting, *(row.job for c in self._cohorts for row in c.rows)]
        for job in left:
            job.cancelled = True
        self._thread.join(5)

    @property
    def problem(self) -> str | None:
        return None if self._thread.is_alive() else "the engine has stopped; restart the gateway"

    def load_base(self, folder: Path, digest: str) -> Future[None]:
        return self._do(lambda: self._load_base(folder, digest))

    def unload_base(self, digest: str) -> Future[None]:
        """Refused with ValueError while it has adapters or requests."""
        return self._do(lambda: self._unload_base(digest))

    def load_adapter(self, name: str, folder: Path, base: str) -> Future[None]:
        return self._do(lambda: self._load_adapter(name, folder, base))

    def unload_adapter(self, name: str) -> Future[None]:
        """Takes no new request from now on, is done when the last running one is answered."""
        future: Future[None] = Future()
        with self._wake:
            if self._owner.pop(name, None) is None:
                future.set_result(None)
            else:
                self._leaving[name] = future
                self._wake.notify()
        return future

    def score(
        self, base: str, adapter: str | None, rows: Sequence[tuple[list[int], int]]
    ) -> list[Future[list[float]]]:
        """Mean nats per token of ids[start:] of each row; a future for each batch, in order."""
        batches: list[list[tuple[list[int], int]]] = []
        for row in rows:
            width = max(len(r[0]) for r in [*(batches[-1] if batches else []), row])
            if batches and width * (len(batches[-1]) + 1) <= SCORE_TOKENS:
                batches[-1].append(row)
            else:
                batches.append([row])
        return [self._do(lambda b=batch: self._score(base, adapter, b)) for batch in batches]

    def submit(self, job: Generation) -> None:
        """Raises LookupError for an adapter that is not loaded, queue.Full when too many wait."""
        with self._wake:
            if self._stopping or not self._thread.is_alive():
                raise ConnectionError("the gateway is stopping")
            if job.base not in self._bases:
                raise LookupError(f"base {job.base[:12]} is not loaded")
            if job.adapter is not None and self._owner.get(job.adapter) != job.base:
                raise LookupError(f"adapter {job.adapter} is not loaded")
            if len(self._waiting) >= self._max_waiting:
                raise queue.Full
            self._waiting.append(job)
            self._wake.notify()

    def base_of(self, adapter: str) -> str | None:
        return self._owner.get(adapter)

    def base(self, digest: str) -> LoadedBase | None:
        return self._bases.get(digest)

    def adapters(self) -> list[str]:
        with self._wake:
            return sorted(self._owner)

    def load(self) -> tuple[int, int]:
        """Requests (waiting, running)."""
        with self._wake:
            return len(self._waiting), sum(len(c.rows) for c in self._cohorts)

    def busy(self) -> bool:
        """Whether one more request would wait for others to end."""
        return sum(self.load()) >= MAX_ROWS

    def adapters_at_work(self) -> tuple[set[str], set[str]]:
        with self._wake:
            running = {row.job.adapter for cohort in self._cohorts for row in cohort.rows}
            waiting = {job.adapter for job in self._waiting}
        return {name for name in running if name}, {name for name in waiting if name}

    def _do(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # who waits may be cancelled; the work may not
        with self._wake:
            if self._stopping or not self._thread.is_alive():
                raise ConnectionError("the gateway is stopping")
            self._jobs.append((work, future))
            self._wake.notify()
        return future

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            # Reached with work left only when the thread dies: nobody may wait for ever.
            with self._wake:
                self._stopping = True
                jobs = [*self._waiting, *(row.job for c in self._cohorts for row in c.rows)]
                futures = [*(future for _, future in self._jobs), *self._leaving.values()]
            for job in jobs:
                job.sink(Failed("the gateway has stopped"))
            for future in futures:
                future.set_exception(ConnectionError("the gateway has stopped"))

    def _turn(self) -> bool:
        with self._wake:
            while not (self._jobs or self._waiting or self._cohorts or self._leaving):
                if self._stopping:
                    return False
                self._wake.wait()
            job = self._jobs.popleft() if self._jobs else None
            newcomers = self._next_cohort()
            gone = [n for n in self._leaving if not self._in_use(n, newcomers)]
        if newcomers:
            self._cohorts.append(Cohort(self._bases[newcomers[0].base], newcomers))
        if job:
            self._finish(*job)
        for name in gone:
            self._finish(lambda n=name: self._unload_adapter(n), self._leaving.pop(name))
        for cohort in list(self._cohorts):
            self._step(cohort)
        self._join()
        return True

    def _join(self) -> None:
        for late in self._cohorts[:0:-1]:
            for early in self._cohorts[: self._cohorts.index(late)]:
                rows = len(early.rows) + len(late.rows)
                fits = rows * max(early.width, late.width) <= MAX_PREFILL_TOKENS
                if rows <= MAX_ROWS and fits and early.can_join(late):
                    early.join(late)
                    self._cohorts.remove(late)
                    break

    def _next_cohort(self) -> list[Generation]:
        if len(self._cohorts) >= MAX_COHORTS or not self._waiting:
            return []
        taken: list[Generation] = []
        left: deque[Generation] = deque()
        width = 0
        for job in self._waiting:
            wider = max(width, len(job.ids) + job.max_tokens)
            fits = len(taken) < MAX_ROWS and wider * (len(taken) + 1) <= MAX_PREFILL_TOKENS
            if not taken or (fits and job.base == taken[0].base):
                taken.append(job)
                width = wider
            else:
                left.append(job)
        self._waiting = left
        return taken

    def _in_use(self, adapter: str, newcomers: Sequence[Generation]) -> bool:
        running = (row.job for cohort in self._cohorts for row in cohort.rows)
        return any(
            job.adapter == adapter for jobs in (self._waiting, running, newcomers) for job in jobs
        )

    def _step(self, cohort: Cohort) -> None:
        self.passes += 1
        try:
            cohort.step()
        except FAILURES as error:
            log.error("forward pass failed: %s", type(error).__name__, exc_info=error)
            for row in cohort.rows:
                row.job.sink(Failed(f"the model failed ({type(error).__name__})"))
            cohort.rows = []
        if not cohort.rows:
            self._cohorts.remove(cohort)

    def _finish(self, work: Callable[[], Any], future: "Future[Any]") -> None:
        from safetensors import SafetensorError

        try:
            result = work()
        except (*FAILURES, SafetensorError) as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _load_base(self, folder: Path, digest: str) -> None:
        if digest in self._bases:
            return
        base = open_base(folder, digest)
        with self._wake:
            self._bases[digest] = base

    def _unload_base(self, digest: str) -> None:
        with self._wake:
            rows = [*self._waiting, *(row.job for c in self._cohorts for row in c.rows)]
            base = self._bases.get(digest)
            if base is None:
                return
            if len(base.bank) or any(job.base == digest for job in rows):
                raise ValueError(f"base {digest[:12]} is in use")
            del self._bases[digest]

    def _load_adapter(self, name: str, folder: Path, digest: str) -> None:
        base = self._bases.get(digest)
        if base is None:
            raise LookupError(f"base {digest[:12]} is not loaded")
        if name in base.bank:
            return
        if name in self._leaving:
            raise ValueError(f"adapter {name} is being unloaded; try again when it is gone")
        base.bank.add(name, folder)
        with self._wake:
            self._owner[name] = digest

    def _unload_adapter(self, name: str) -> None:
        base = next((b for b in self._bases.values() if name in b.bank), None)
        if base is not None:
            base.bank.remove(name)

    def _score(
        self, digest: str, adapter: str | None, rows: Sequence[tuple[list[int], int]]
    ) -> list[float]:
        import torch

        base = self._bases.get(digest)
        if base is None or (adapter is not None and adapter not in base.bank):
            raise LookupError(f"{adapter or digest[:12]} is not loaded")
        width = max(len(ids) for ids, _ in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for i, (row, _) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        with torch.inference_mode():
            logits = base.forward(
                [adapter] * len(rows), input_ids=ids, attention_mask=mask, use_cache=False
            ).logits
        losses = []
        for i, (row, start) in enumerate(rows):
            predicted = logits[i, start - 1 : len(row) - 1].float().cpu()
            loss = float(torch.nn.functional.cross_entropy(predicted, torch.tensor(row[start:])))
            losses.append(loss)
        return losses
