"""Learn the weights of the tagger from annotated text.

The loss of a token is -log of the probability of all labels that it may have (Sadinle-like partial
labels: what a source does not annotate, annotated.py), so that sets with different types are
learned from together. Some tokens are shown without what names them, so that the words around a
name count too. The same texts and seed give the same weights on the same number of threads.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ft_assets.corpus.detect import find_many
from ft_assets.corpus.tagger.annotated import ANYTHING, Annotated
from ft_assets.corpus.tagger.labels import LABELS
from ft_assets.corpus.tagger.network import DILATIONS, Array
from ft_assets.corpus.tagger.recipe import Recipe
from ft_assets.corpus.tagger.tag import pattern_numbers, touching
from ft_assets.corpus.tagger.tokens import ROWS, features, split

_GAP = max(DILATIONS)
_STRETCH = 48  # tokens
_REPORT = 100  # steps


@dataclass
class _Prepared:
    """All texts one behind the other: per token its number, glue, pattern and allowed labels."""

    numbers: Array
    glued: Array
    patterns: Array
    allowed: Array  # int64 bits
    starts: list[int]  # of the texts, and the end of the last
    tokens: list[str]  # by number


def prepare(texts: Sequence[Annotated]) -> _Prepared:
    numbers: dict[str, int] = {}
    columns: list[list[Array]] = [[], [], [], []]
    starts = [0]
    for text, found in zip(texts, find_many([text.text for text in texts]), strict=True):
        tokens = split(text.text)
        columns[0].append(
            np.array([numbers.setdefault(w, len(numbers)) for w in tokens.words], np.int64)
        )
        columns[1].append(touching(tokens))
        columns[2].append(pattern_numbers(tokens, found))
        columns[3].append(np.array(text.allowed(tokens), np.int64))
        starts.append(starts[-1] + len(tokens.words))
    joined = [np.concatenate(column) for column in columns]
    return _Prepared(*joined, starts, list(numbers))


class Training:
    """A network on its way; `learn` may be called again with other texts."""

    def __init__(self, recipe: Recipe, threads: int, report: Callable[[str], None]) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(recipe.seed)
        self._recipe, self._report = recipe, report
        self._model = _model(recipe)
        self._order = random.Random(recipe.seed)
        self._hidden = np.random.default_rng(recipe.seed)

    def learn(self, texts: Sequence[Annotated], epochs: int, pace: float = 1.0) -> None:
        """Go through the texts; `pace` scales the learning rates of the recipe."""
        import torch

        recipe, model = self._recipe, self._model
        prepared = prepare(texts)
        bags = _Bags(prepared.tokens)
        passes = [_rows(prepared, recipe, self._order) for _ in range(epochs)]
        steps = sum(-(-len(rows) // recipe.rows) for rows in passes)
        layers = [value for name, value in model.named_parameters() if name != "table"]
        rates = [recipe.table_rate * pace, recipe.rate * pace]
        groups = [{"params": [model.table], "lr": rates[0]}, {"params": layers, "lr": rates[1]}]
        optimizer = torch.optim.Adam(groups, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=rates, total_steps=max(steps, 2), pct_start=0.1
        )
        batches = (
            np.stack(rows[first : first + recipe.rows])
            for rows in passes
            for first in range(0, len(rows), recipe.rows)
        )
        for step, batch in enumerate(batches, start=1):
            loss = model(*_inputs(prepared, bags, batch, self._hidden, recipe.hidden))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % _REPORT == 0 or step == steps:
                self._report(f"step {step} of {steps}: loss {loss.item():.4f}")

    def weights(self) -> dict[str, Array]:
        """What network.Network takes."""
        return {name: value.detach().numpy() for name, value in self._model.named_parameters()}


def _rows(prepared: _Prepared, recipe: Recipe, order: random.Random) -> list[Array]:
    """Rows of places into the prepared tokens, -1 where there is none; texts shuffled.

    Long stretches without anything to find are left out at random, another time others.
    """
    texts = list(range(len(prepared.starts) - 1))
    order.shuffle(texts)
    line: list[Array] = []
    for text in texts:
        start, end = prepared.starts[text], prepared.starts[text + 1]
        for first in range(start, end, _STRETCH):
            places = np.arange(first, min(end, first + _STRETCH))
            telling = (prepared.allowed[places] & 1) == 0
            if first == start or telling.any() or order.random() < recipe.plain:
                line.append(places)
            elif len(line[-1]) != _GAP:
                line.append(np.full(_GAP, -1))
        line.append(np.full(_GAP, -1))
    places = np.concatenate(line)
    missing = -len(places) % recipe.row
    rows = np.concatenate([places, np.full(missing, -1)]).reshape(-1, recipe.row)
    return list(rows[order.sample(range(len(rows)), len(rows))])


class _Bags:
    """The feature rows of each token, ragged: with what names it, and without."""

    def __init__(self, tokens: Sequence[str]) -> None:
        described = [features(token) for token in tokens]
        self.full = _ragged([(*named, *like) for named, like in described])
        self.like = _ragged([like for _, like in described])


def _ragged(rows: Sequence[tuple[int, ...]]) -> tuple[Array, Array]:
    sizes = np.array([len(row) for row in rows], np.int64)
    flat = np.fromiter((value for row in rows for value in row), np.int64, int(sizes.sum()))
    return flat, np.concatenate([[0], np.cumsum(sizes)])


def _taken(ragged: tuple[Array, Array], which: Array) -> tuple[Array, Array]:
    """The chosen rows of a ragged array: values, and where each row begins."""
    flat, starts = ragged
    sizes = starts[which + 1] - starts[which]
    begins = np.cumsum(sizes) - sizes
    return flat[np.repeat(starts[which] - begins, sizes) + np.arange(sizes.sum())], begins


def _inputs(
    prepared: _Prepared, bags: _Bags, batch: Array, chooser: np.random.Generator, hidden: float
) -> tuple[Any, ...]:
    import torch

    real = batch >= 0
    places = np.where(real, batch, 0)
    numbers = prepared.numbers[places]
    # One more column: the same token, hidden. So it is computed once for all its places.
    shown = numbers * 2 + (chooser.random(batch.shape) < hidden)
    distinct, inverse = np.unique(shown, return_inverse=True)
    full, like = distinct[distinct % 2 == 0] // 2, distinct[distinct % 2 == 1] // 2
    place_of = np.empty(len(distinct), np.int64)
    place_of[distinct % 2 == 0] = np.arange(len(full))
    place_of[distinct % 2 == 1] = len(full) + np.arange(len(like))
    values_a, begins_a = _taken(bags.full, full)
    values_b, begins_b = _taken(bags.like, like)
    rows = np.concatenate([values_a, values_b])
    begins = np.concatenate([begins_a, len(values_a) + begins_b])
    allowed = np.where(real, prepared.allowed[places], ANYTHING)
    bits = (allowed[..., None] >> np.arange(len(LABELS))) & 1
    sizes = np.diff(np.concatenate([begins, [len(rows)]]))
    return tuple(
        torch.from_numpy(np.ascontiguousarray(value))
        for value in (
            rows,
            begins,
            (1 / np.sqrt(sizes)).astype(np.float32),
            place_of[inverse].reshape(batch.shape),
            prepared.glued[places],
            prepared.patterns[places],
            real,
            bits.astype(bool),
            allowed != ANYTHING,
        )
    )


def _model(recipe: Recipe) -> Any:
    import torch
    from torch import nn
    from torch.nn import functional as f

    class Model(nn.Module):
        """The same arithmetic as network.Network, with gradients; parameters have its names."""

        def __init__(self) -> None:
            super().__init__()
            width = recipe.width
            self.table = nn.Parameter(torch.randn(ROWS, width) * 0.3)
            self.glued = nn.Parameter(torch.zeros(width))
            self.patterns = nn.Parameter(torch.randn(len(LABELS), width) * 0.3)
            for layer in range(len(DILATIONS)):
                scale = (2 / (3 * width)) ** 0.5
                matrix = nn.Parameter(torch.randn(3 * width, width) * scale)
                self.register_parameter(f"layer{layer}", matrix)
                self.register_parameter(f"bias{layer}", nn.Parameter(torch.zeros(width)))
            self.output = nn.Parameter(torch.randn(width, len(LABELS)) * width**-0.5)
            self.output_bias = nn.Parameter(torch.zeros(len(LABELS)))

        def forward(
            self, rows, begins, scale, shown, glued, patterns, real, allowed, learned
        ) -> torch.Tensor:
            vectors = f.embedding_bag(rows, self.table, begins, mode="sum") * scale[:, None]
            state = vectors[shown] + glued[..., None] * self.glued
            state = state + self.patterns[patterns]
            mask = real[..., None]
            state = f.dropout(state * mask, recipe.dropout, self.training)
            for layer, dilation in enumerate(DILATIONS):
                padded = f.pad(state, (0, 0, dilation, dilation))
                length = state.shape[1]
                sides = padded[:, :length], state, padded[:, 2 * dilation :]
                update = f.relu(
                    torch.addmm(
                        getattr(self, f"bias{layer}"),
                        torch.cat(sides, dim=2).flatten(0, 1),
                        getattr(self, f"layer{layer}"),
                    )
                ).view_as(state)
                state = state + update * mask
            logits = f.log_softmax(state @ self.output + self.output_bias, dim=-1)
            likely = torch.logsumexp(logits.masked_fill(~allowed, -1e9), dim=-1)
            return -likely[learned].mean()

    return Model()
