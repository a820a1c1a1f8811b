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
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ft_assets.adapters.base_model import rate_share
from ft_assets.adapters.checkpoint import Checkpoints
from ft_assets.adapters.decoder_layer import modules_that_fit, written_out
from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.job import Progress
from ft_assets.adapters.lora_layers import can_write_out, lora_forwards
from ft_assets.adapters.optimizer import Optimizer
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.rows import Batches, Rows
from ft_assets.adapters.start import Start
from ft_assets.adapters.tokens import IGNORED
from ft_assets.adapters.workers import Batch, Map, gradients_of, one_by_one, summed, token_losses

REPORT_EVERY = 10
LOSS_EVERY = 5  # steps between the points of the loss curve that is kept
HALVINGS = 8  # of the interval in which the factor lies: it is exact to 1/256


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
        self, model: Any, begun: Start, batches: Batches, validation: Rows, recipe: Recipe
    ) -> None:
        """`model` computes what was begun: that of it, or the base in a joint training."""
        self.model, self.weights, self.recipe = model, begun.weights, recipe
        self.batches, self.validation = batches, validation
        self.course = Course()
        self._best: list[Any] | None = None
        self._best_loss, self._worse = math.inf, 0
        self.ended = False
        self.optimizer = Optimizer(begun.weights, begun.rates, recipe)
        self._precision = choose_precision(recipe.precision, model.device.type)

    def run(
        self, domain: str, rows_map: Map, progress: Progress, checkpoints: Checkpoints | None
    ) -> Course:
        """Train in place, from the newest checkpoint if there is one.

        Raises FloatingPointError, naming domain and step, when the loss is not finite.
        """
        if checkpoints is not None:
            resume(checkpoints, {domain: self}, progress)
        with self._written_out():
            self.begin()
            while not self.ended:
                loss, gradients = self._add_batches(self.next_step(), rows_map)
                self.take(loss, self.optimizer.flat(gradients), domain, progress)
                if self.look_due:
                    self.look(domain, rows_map, progress)
                step, steps = self.course.steps, self.batches.steps
                if checkpoints is not None and (self.ended or checkpoints.due(step, steps)):
                    save(checkpoints, [self])
            return self.finish(domain, progress)

    def _written_out(self) -> AbstractContextManager[None]:
        if self.model.device.type != "cpu" or not can_write_out(self.recipe):
            return nullcontext()
        forwards = lora_forwards(self.model)
        return written_out(forwards, modules_that_fit(self.model, forwards))

    def _add_batches(self, batches: list[Batch], rows_map: Map) -> tuple[float, list[Any]]:
        """One after the other: the gradients of a full fine-tuning are as large as the model."""
        total: list[Any] = []
        losses = 0.0
        for batch in batches:
            loss, own = gradients_of(self.model, self.weights, batch, self._precision, rows_map)
            total = summed([total, own]) if total else own
            losses += loss
        return losses, total

    def begin(self) -> None:
        self._first, self._read = self.course.steps, self.course.tokens
        self._began = time.monotonic()
        self.model.train()

    def next_step(self) -> list[Batch]:
        batches = self.batches.next_step()
        self.course.tokens += sum(batch.tokens for batch in batches)
        return batches

    def take(self, loss: float, gradients: Any, domain: str, progress: Progress) -> None:
        """End a step of this loss, with the gradient of each of the optimizer's parameters."""
        course, steps, step = self.course, self.batches.steps, self.course.steps + 1
        self._update(step, gradients)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"{domain}: loss {loss} at step {step}; lower learning_rate (now "
                f"{self.recipe.learning_rate}) in recipe {self.recipe.name}"
            )
        last = step == steps
        if step == 1 or step % LOSS_EVERY == 0 or last:
            course.train_loss.append((step, round(loss, 4)))
        if step % REPORT_EVERY == 0 or last:
            speed = (course.tokens - self._read) / (time.monotonic() - self._began)
            told = {"step": step, "steps": steps, "loss": loss}
            progress({"domain": domain, **told, "tokens_per_second": round(speed)})
        self.ended = last

    @property
    def look_due(self) -> bool:
        """Whether `look` is to follow the step that was taken."""
        at = self.course.steps % self.recipe.eval_every == 0
        return bool(len(self.validation)) and (at or self.ended)

    def look(self, domain: str, rows_map: Map, progress: Progress) -> None:
        """Keep the weights if they are the best on the validation split; end if they get worse."""
        step, last = self.course.steps, self.ended
        held = mean_loss(self.model, self.validation, self._precision, rows_map)
        self.course.validation_loss.append((step, round(held, 4)))
        if held < self._best_loss:
            self._best = [w.detach().clone() for w in self.optimizer.parameters]
            self._best_loss, self._worse = held, 0
            self.course.best_step = step
        else:
            self._worse += 1
            if self._worse >= self.recipe.patience:
                self.ended, self.course.stopped_early = True, not last
        progress({"domain": domain, "step": step, "validation_loss": held})

    def finish(self, domain: str, progress: Progress) -> Course:
        """Take the best weights seen."""
        course = self.course
        if self._best is None:
            course.best_step = course.steps
        else:
            with torch.no_grad():
                for weight, kept in zip(self.optimizer.parameters, self._best, strict=True):
                    weight.copy_(kept)
        told = {"from_step": self._first, "step": course.steps}
        progress({"event": "ended", "domain": domain, **told})
        return course

    def _update(self, step: int, gradients: Any) -> None:
        recipe = self.recipe
        share = rate_share(step, self.batches.steps, recipe.warmup_steps, recipe.final_rate_share)
        self.optimizer.step(gradients, share)
        self.course.steps = step

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `go_on` goes on from, between two steps."""
        tensors = {"random": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        optimizer = self.optimizer
        for i, (weight, own) in enumerate(
            zip(optimizer.parameters, optimizer.state(), strict=True)
        ):
            tensors[f"weight.{i}"] = weight.detach()
            tensors |= {f"optimizer.{i}.{name}": value for name, value in own.items()}
            if self._best is not None:
                tensors[f"best.{i}"] = self._best[i]
        facts = {
            "batches": self.batches.state(),
            "course": asdict(self.course),
            "best_loss": None if self._best is None else self._best_loss,
            "worse": self._worse,
            "ended": self.ended,
        }
        return tensors, facts

    def go_on(self, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
        device = self.model.device
        parameters = self.optimizer.parameters
        with torch.no_grad():
            for i, weight in enumerate(parameters):
                weight.copy_(tensors[f"weight.{i}"])
        prefixes = [f"optimizer.{i}." for i in range(len(parameters))]
        self.optimizer.go_on(
            [
                {
                    name.removeprefix(prefix): value.to(device)
                    for name, value in tensors.items()
                    if name.startswith(prefix)
                }
                for prefix in prefixes
            ]
        )
        if facts["best_loss"] is not None:
            self._best_loss = facts["best_loss"]
            self._best = [tensors[f"best.{i}"].to(device) for i in range(len(parameters))]
        self._worse, self.ended = facts["worse"], facts["ended"]
        self.batches.go_on(facts["batches"])
        for name, value in facts["course"].items():
            setattr(self.course, name, value)
        self.course.resumed_at = self.course.steps
        self.course.checkpoints, self.course.checkpoint_seconds = 0, 0.0
        torch.set_rng_state(tensors["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])


def save(checkpoints: Checkpoints, trainings: Sequence[Training]) -> None:
    """Write one checkpoint of trainings that have made the same steps, or have ended."""
    began = time.monotonic()
    states = [training.state() for training in trainings]
    tensors = {f"{n}/{name}": one for n, (own, _) in enumerate(states) for name, one in own.items()}
    step = max(training.course.steps for training in trainings)
    checkpoints.write(step, tensors, {"trainings": [facts for _, facts in states]})
    for training in trainings:
        training.course.checkpoints += 1
        training.course.checkpoint_seconds += time.monotonic() - began


def resume(checkpoints: Checkpoints, trainings: Mapping[str, Training], progress: Progress) -> None:
    """Bring the trainings, by domain, to where the newest checkpoint was, if there is one."""
    found = checkpoints.newest()
    if found is None:
        return
    tensors, facts = found
    for n, (domain, training) in enumerate(trainings.items()):
        own = {
            name.removeprefix(f"{n}/"): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{n}/")
        }
        training.go_on(own, facts["trainings"][n])
        told = {"step": training.course.steps, "steps": training.batches.steps}
        progress({"event": "resumed", "domain": domain, **told})


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
