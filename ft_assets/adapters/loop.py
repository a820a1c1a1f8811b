"""The training loop of one adapter: steps, looks at the validation split, checkpoints, an end.

Training ends when the validation loss stops getting better, and the best weights seen are kept.
Where the recipe limits what general ability may be lost (`max_general_rise`), the adapter is then
drawn back towards the base until the perplexity on general text is within the limit: the weights
of the update are scaled, as in WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903), by the largest
factor found by bisection. The text it is measured on is neither replayed nor that of the
evaluation.
"""

import math
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ft_assets.adapters.base_model import rate_share
from ft_assets.adapters.checkpoint import Checkpoints
from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.job import Progress
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.rows import Batches, Rows
from ft_assets.adapters.tokens import IGNORED
from ft_assets.adapters.workers import Batch, Map, add_gradients, one_by_one, token_losses

REPORT_EVERY = 10
LOSS_EVERY = 5  # steps between the points of the loss curve that is kept
BETAS = (0.9, 0.95)
HALVINGS = 6  # of the interval in which the factor lies: it is exact to 1/64


@dataclass
class Course:
    """What happened in one training."""

    train_loss: list[tuple[int, float]] = field(default_factory=list)
    validation_loss: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    steps: int = 0
    tokens: int = 0
    stopped_early: bool = False
    resumed_at: int | None = None  # step of the checkpoint that the training went on from
    checkpoints: int = 0  # written, since then
    checkpoint_seconds: float = 0.0


class Training:
    """Everything that the rest of a training depends on, and nothing else."""

    def __init__(
        self, model: Any, weights: list[Any], batches: Batches, validation: Rows, recipe: Recipe
    ) -> None:
        self.model, self.weights, self.recipe = model, weights, recipe
        self.batches, self.validation = batches, validation
        self.course = Course()
        self._best: list[Any] | None = None
        self._best_loss, self._worse = math.inf, 0
        self._ended = False
        self._optimizer = torch.optim.AdamW(
            weights, lr=recipe.learning_rate, betas=BETAS, weight_decay=recipe.weight_decay
        )
        self._precision = choose_precision(recipe.precision, model.device.type)

    def run(
        self, domain: str, rows_map: Map, progress: Progress, checkpoints: Checkpoints | None
    ) -> Course:
        """Train in place, from the newest checkpoint if there is one.

        Raises FloatingPointError, naming domain and step, when the loss is not finite.
        """
        turns = self.turns(domain, rows_map, progress, checkpoints)
        loss: float | None = None
        while True:
            try:
                batches = next(turns) if loss is None else turns.send(loss)
            except StopIteration as end:
                return end.value
            loss = sum(
                add_gradients(self.model, self.weights, batch, self._precision, rows_map)
                for batch in batches
            )

    def turns(
        self, domain: str, rows_map: Map, progress: Progress, checkpoints: Checkpoints | None
    ) -> Generator[list[Batch], float, Course]:
        """`run` without the gradients: gives the batches of a step, and is sent their loss once
        their gradients are added to the weights."""
        course, steps = self.course, self.batches.steps
        if checkpoints is not None and (found := checkpoints.newest()) is not None:
            self._go_on(*found)
            progress({"event": "resumed", "domain": domain, "step": course.steps, "steps": steps})
        first, read, began = course.steps, course.tokens, time.monotonic()
        self.model.train()
        while not self._ended:
            step = course.steps + 1
            batches = self.batches.next_step()
            course.tokens += sum(batch.tokens for batch in batches)
            loss = yield batches
            self._update(step)
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"{domain}: loss {loss} at step {step}; lower learning_rate (now "
                    f"{self.recipe.learning_rate}) in recipe {self.recipe.name}"
                )
            last = step == steps
            if step == 1 or step % LOSS_EVERY == 0 or last:
                course.train_loss.append((step, round(loss, 4)))
            if step % REPORT_EVERY == 0 or last:
                speed = (course.tokens - read) / (time.monotonic() - began)
                told = {"step": step, "steps": steps, "loss": loss}
                progress({"domain": domain, **told, "tokens_per_second": round(speed)})
            self._ended = last
            if len(self.validation) and (step % self.recipe.eval_every == 0 or last):
                held = self._look(step, last, rows_map)
                progress({"domain": domain, "step": step, "validation_loss": held})
            if checkpoints is not None and (self._ended or checkpoints.due(step, steps)):
                self._save(checkpoints)
        if self._best is None:
            course.best_step = course.steps
        else:
            with torch.no_grad():
                for weight, kept in zip(self.weights, self._best, strict=True):
                    weight.copy_(kept)
        progress({"event": "ended", "domain": domain, "from_step": first, "step": course.steps})
        return course

    def _update(self, step: int) -> None:
        recipe = self.recipe
        share = rate_share(step, self.batches.steps, recipe.warmup_steps, recipe.final_rate_share)
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.learning_rate * share
        torch.nn.utils.clip_grad_norm_(self.weights, recipe.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.course.steps = step

    def _look(self, step: int, last: bool, rows_map: Map) -> float:
        held = mean_loss(self.model, self.validation, self._precision, rows_map)
        self.course.validation_loss.append((step, round(held, 4)))
        if held < self._best_loss:
            self._best = [w.detach().clone() for w in self.weights]
            self._best_loss, self._worse = held, 0
            self.course.best_step = step
        else:
            self._worse += 1
            if self._worse >= self.recipe.patience:
                self._ended, self.course.stopped_early = True, not last
        return held

    def _save(self, checkpoints: Checkpoints) -> None:
        began = time.monotonic()
        tensors = {"random": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        for i, weight in enumerate(self.weights):
            tensors[f"weight.{i}"] = weight.detach()
            for name, value in self._optimizer.state[weight].items():
                tensors[f"optimizer.{i}.{name}"] = value
            if self._best is not None:
                tensors[f"best.{i}"] = self._best[i]
        facts = {
            "batches": self.batches.state(),
            "course": asdict(self.course),
            "best_loss": None if self._best is None else self._best_loss,
            "worse": self._worse,
            "ended": self._ended,
        }
        checkpoints.write(self.course.steps, tensors, facts)
        self.course.checkpoints += 1
        self.course.checkpoint_seconds += time.monotonic() - began

    def _go_on(self, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
        device = self.model.device
        with torch.no_grad():
            for i, weight in enumerate(self.weights):
                weight.copy_(tensors[f"weight.{i}"])
                prefix = f"optimizer.{i}."
                self._optimizer.state[weight] = {
                    # The count of steps stays on the CPU, as AdamW keeps it.
                    name.removeprefix(prefix): value if value.dim() == 0 else value.to(device)
                    for name, value in tensors.items()
                    if name.startswith(prefix)
                }
        if facts["best_loss"] is not None:
            self._best_loss = facts["best_loss"]
            self._best = [tensors[f"best.{i}"].to(device) for i in range(len(self.weights))]
        self._worse, self._ended = facts["worse"], facts["ended"]
        self.batches.go_on(facts["batches"])
        for name, value in facts["course"].items():
            setattr(self.course, name, value)
        self.course.resumed_at = self.course.steps
        self.course.checkpoints, self.course.checkpoint_seconds = 0, 0.0
        torch.set_rng_state(tensors["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])


def mean_loss(model: Any, rows: Rows, precision: Any, rows_map: Map) -> float:
    """Return the mean loss in nats over all labelled tokens of `rows`."""

    def of(row: int) -> float:
        [one] = one_by_one(rows.batch([row]))
        with torch.no_grad():
            return float(token_losses(model, one.ids, one.labels, precision, one.positions).sum())

    model.eval()
    total = sum(rows_map(of, range(len(rows))))
    model.train()
    return total / int((rows.labels[:, 1:] != IGNORED).sum())


def keep_general(
    model: Any,
    update: list[tuple[Any, Any]],
    rows: Rows,
    base_loss: float,
    recipe: Recipe,
    rows_map: Map,
) -> dict[str, float]:
    """Draw the adapter back until the loss on `rows` is within the recipe's limit.

    `update` pairs each weight that makes the difference with its value in the base: 0 for the B of
    a LoRA. Returns the factor (1: nothing was drawn back) and the rise in perplexity, as a share.
    """
    precision = choose_precision(recipe.precision, model.device.type)
    trained = [weight.detach().clone() for weight, _ in update]
    limit = math.log1p(recipe.max_general_rise)

    def rise(factor: float) -> float:
        with torch.no_grad():
            for (weight, base), value in zip(update, trained, strict=True):
                weight.copy_(base + factor * (value - base))
        return mean_loss(model, rows, precision, rows_map) - base_loss

    factor, found = 1.0, rise(1.0)
    if found > limit:
        factor, found, high = 0.0, 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (factor + high) / 2
            if (nats := rise(middle)) <= limit:
                factor, found = middle, nats
            else:
                high = middle
        rise(factor)
    return {"factor": factor, "general_rise": round(math.expm1(found), 4)}
