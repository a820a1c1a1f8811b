"""What a training reads: packed rows of a corpus and of general text, and the order of them.

A corpus has two parts: rows that are new since the adapter it goes on from was trained, and
`history`, rows of the weeks that adapter has seen. General text has two as well: rows that are
replayed, and rows on which a training measures what general ability it costs, which the embedded
base has not seen either. Neither is the test text of the evaluation (see general_text.py).
"""

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ft_assets.adapters.general_text import read_documents, split_documents
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.tokens import (
    IGNORED,
    Tokens,
    encode_conversations,
    encode_texts,
    pack_documents,
    pack_joined,
    template_digest,
    tokenizer_digest,
)
from ft_assets.adapters.workers import Batch
from ft_assets.corpus.token_cache import CacheKey, TokenRow, cached_tokens

REPLAY_CHARACTERS = 4_000_000  # of general text that are encoded, at most
MEASURED_CHARACTERS = 64_000  # of general text, at most: some 16,000 tokens
ENCODED_AT_ONCE = 256  # conversations


@dataclass(frozen=True)
class Rows:
    ids: np.ndarray  # int64 [rows, row_tokens]
    labels: np.ndarray  # the same shape, IGNORED where no loss is taken
    positions: np.ndarray | None = None  # see tokens.pack_documents; None: attention over borders

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, rows: int) -> "Rows":
        positions = None if self.positions is None else self.positions[:rows]
        return Rows(self.ids[:rows], self.labels[:rows], positions)

    def batch(self, chosen: list[int]) -> Batch:
        """These rows, each token of which has its loss in full."""
        import torch

        columns = (self.ids, self.labels, self.positions)
        ids, labels, positions = (
            None if column is None else torch.from_numpy(column[chosen]) for column in columns
        )
        return Batch(ids, labels, torch.ones(len(chosen)), positions)


@dataclass(frozen=True)
class Corpus:
    train: Rows
    history: Rows | None  # None: there is no parent, or it knows nothing of this corpus
    validation: Rows
    examples: int  # conversations to train on


@dataclass(frozen=True)
class General:
    replay: Rows
    measured: Rows


@dataclass(frozen=True)
class TokenCache:
    folder: str  # of one domain
    corpus: str  # digest of the corpus


def read_corpus(
    file: Path,
    domain: str,
    tokenizer: Any,
    recipe: Recipe,
    seed: int,
    cache: TokenCache | None = None,
    known_weeks: Collection[str] | None = None,
) -> Corpus:
    """Read corpus rows (columns split, messages, and week if there is a parent), shuffle, pack.

    Encodes no more conversations than the steps of the recipe can read, and those once: their
    tokens are kept. `known_weeks` are those the parent was trained on; with them, what belongs to
    no week (annotations, documents) is history too. Where nothing is new, all rows count as new.
    Raises ValueError when there is no row to train on.
    """
    names = ["split", "messages", *(["week"] if known_weeks is not None else [])]
    columns = pq.read_table(file, columns=names).to_pydict()
    parts: dict[str, list[str]] = {"train": [], "validation": [], "history": []}
    old = {"", *(known_weeks or ())}
    weeks = columns.get("week", [None] * len(columns["split"]))
    for split, messages, week in zip(columns["split"], columns["messages"], weeks, strict=True):
        parts["history" if split == "train" and week in old else split].append(messages)
    if not parts["train"]:
        parts["train"], parts["history"] = parts["history"], []
    if not parts["train"]:
        raise _nothing_to_train_on(domain, parts)
    since = f" since {','.join(sorted(known_weeks))}" if known_weeks is not None else ""

    def packed(part: str, rows: int, train_on: str, seed: int) -> Rows:
        key = CacheKey(
            corpus=cache.corpus if cache else "",
            tokenizer=tokenizer_digest(tokenizer),
            template=template_digest(tokenizer),
            split=part if part == "validation" else part + since,
            train_on=train_on,
            seed=seed,
            tokens=rows * recipe.row_tokens,
        )
        if cache is None:
            found = [Tokens(*row) for row in _encoded(parts[part], tokenizer, key)]
            return packed_rows(found, recipe, _pad(tokenizer)).first(rows)
        table = cached_tokens(
            Path(cache.folder), key, lambda: _encoded(parts[part], tokenizer, key)
        )
        columns = [table[name].combine_chunks() for name in ("input_ids", "labels")]
        ids, labels = (column.flatten().to_numpy().astype(np.int64) for column in columns)
        lengths = columns[0].value_lengths().to_numpy()
        return _rows(ids, labels, lengths, recipe, _pad(tokenizer)).first(rows)

    step_rows = recipe.batch_rows * recipe.accumulate
    shares = row_shares(recipe, history=bool(parts["history"]), general=True)
    train, history = (
        packed(part, math.ceil(recipe.max_steps * step_rows * share) + 1, recipe.train_on, seed)
        if parts[part]
        else None
        for part, share in zip(("train", "history"), shares, strict=False)
    )
    # Validation looks at answers alone, whatever the training has its loss on; its rows are the
    # same for every seed, so that losses can be compared.
    validation = packed("validation", recipe.validation_rows, "responses", 0)
    if train is None or not len(train):
        raise _nothing_to_train_on(domain, parts)
    examples = len(parts["train"]) + len(parts["history"])
    return Corpus(train, history if history else None, validation, examples)


def read_general(files: list[Path], tokenizer: Any, recipe: Recipe) -> General:
    """Pack general text. Raises ValueError when it has no document to replay or to measure on."""
    split = split_documents(read_documents(files))
    dice = np.random.default_rng(0)
    replay = _some(split.train, REPLAY_CHARACTERS, dice)
    measured = _some(split.validation, MEASURED_CHARACTERS, dice)
    pad = _pad(tokenizer)

    def packed(documents: list[str]) -> Rows:
        # Every other document by itself, the rest one after the other: where a document begins
        # and where it follows another, a model forgets apart, and people ask it in both ways.
        examples = encode_texts(tokenizer, documents, _end(tokenizer))
        return packed_rows(
            [*examples[::2], *_running_on(examples[1::2], recipe.row_tokens)], recipe, pad
        )

    general = General(packed(replay), packed(measured))
    if not len(general.replay) or not len(general.measured):
        raise ValueError(
            f"the general text has {len(split.train)} documents to replay and "
            f"{len(split.validation)} to measure on; both need some: name more text in "
            "base_model.text"
        )
    return general


def _some(documents: list[str], characters: int, dice: np.random.Generator) -> list[str]:
    """Drawn documents, until they have so many characters."""
    chosen: list[str] = []
    for i in dice.permutation(len(documents)):
        if characters <= 0:
            break
        chosen.append(documents[i])
        characters -= len(documents[i])
    return chosen


def _running_on(examples: list[Tokens], row_tokens: int) -> list[Tokens]:
    """Pieces of a row each, of the examples one after the other."""
    ids = [i for e in examples for i in e.ids]
    labels = [i for e in examples for i in e.labels]
    return [
        Tokens(ids[at : at + row_tokens], labels[at : at + row_tokens])
        for at in range(0, len(ids), row_tokens)
    ]


def packed_rows(examples: list[Tokens], recipe: Recipe, pad: int) -> Rows:
    """Rows of the recipe's length and packing; those in which no token has a label are left out."""
    ids = np.fromiter((i for e in examples for i in e.ids), dtype=np.int64)
    labels = np.fromiter((i for e in examples for i in e.labels), dtype=np.int64)
    lengths = np.fromiter((len(e.ids) for e in examples), dtype=np.int64)
    return _rows(ids, labels, lengths, recipe, pad)


def _rows(
    ids: np.ndarray, labels: np.ndarray, lengths: np.ndarray, recipe: Recipe, pad: int
) -> Rows:
    if recipe.packing == "documents":
        return Rows(*pack_documents(ids, labels, lengths, recipe.row_tokens, pad))
    return Rows(*pack_joined(ids, labels, recipe.row_tokens, pad))


def row_shares(recipe: Recipe, *, history: bool, general: bool) -> tuple[float, float, float]:
    """Shares of the rows of a batch: (new rows of the corpus, history, general text)."""
    of_history = recipe.history_share if history else 0.0
    of_general = recipe.replay_share if general else 0.0
    return 1 - of_history - of_general, of_history, of_general


class Batches:
    """Batches of fixed shares of three sources, each read in its own shuffled order, for ever."""

    def __init__(
        self, train: Rows, history: Rows | None, general: Rows | None, recipe: Recipe, seed: int
    ) -> None:
        self._shares = row_shares(recipe, history=history is not None, general=general is not None)
        self._sources = [train, history, general]
        self._order = [np.random.default_rng([seed, place]) for place in range(3)]
        self._queue: list[list[int]] = [[], [], []]
        self._drawn = [0, 0, 0]
        self._batch_rows = recipe.batch_rows
        self._accumulate = recipe.accumulate
        # New rows alone say how long: a week's update costs a week.
        own_rows = recipe.batch_rows * recipe.accumulate * self._shares[0]
        epochs = math.ceil(recipe.max_epochs * len(train) / own_rows)
        self.steps = max(1, min(recipe.max_steps, epochs))

    def next_step(self) -> list[Batch]:
        return [self._batch() for _ in range(self._accumulate)]

    def state(self) -> dict[str, Any]:
        """Where the reading stands, as JSON."""
        order = [one.bit_generator.state for one in self._order]
        return {"order": order, "queue": self._queue, "drawn": self._drawn}

    def go_on(self, state: dict[str, Any]) -> None:
        for one, kept in zip(self._order, state["order"], strict=True):
            one.bit_generator.state = kept
        self._queue = [list(queue) for queue in state["queue"]]
        self._drawn = list(state["drawn"])

    def _batch(self) -> Batch:
        import torch

        drawn = [self._row() for _ in range(self._batch_rows)]
        ids, labels, *rest = (
            np.stack(column) for column in zip(*(row for _, row in drawn), strict=True)
        )
        places = np.array([place for place, _ in drawn])
        # Every token of a replay row has a loss, but few of a row of answers: without this the
        # replay would have most of the gradient.
        labelled = (labels[:, 1:] != IGNORED).sum(axis=1)
        scale = np.empty(self._batch_rows, dtype=np.float32)
        for place in set(places.tolist()):
            share = (places == place).mean() / self._accumulate
            scale[places == place] = share / max(1, labelled[places == place].sum())
        return Batch(*map(torch.from_numpy, (ids, labels, scale, *rest)))

    def _row(self) -> tuple[int, tuple[np.ndarray, ...]]:
        # Whichever source lags most behind its share: the shares are exact, in every prefix.
        count = sum(self._drawn) + 1
        lag = [
            round(share * count - n, 9) for share, n in zip(self._shares, self._drawn, strict=True)
        ]
        place = lag.index(max(lag))
        self._drawn[place] += 1
        source = self._sources[place]
        assert source is not None  # noqa: S101  # its share would be 0, and it would never lag
        if not self._queue[place]:
            self._queue[place] = self._order[place].permutation(len(source)).tolist()
        row = self._queue[place].pop()
        columns = (source.ids, source.labels, source.positions)
        return place, tuple(column[row] for column in columns if column is not None)


def _nothing_to_train_on(domain: str, parts: dict[str, list[str]]) -> ValueError:
    return ValueError(
        f"{domain}: the corpus has no row to train on ({sum(map(len, parts.values()))} rows, "
        f"{len(parts['train'])} of them in split 'train'); hand in more data, or loosen the "
        "corpus policy"
    )


def _encoded(texts: list[str], tokenizer: Any, key: CacheKey) -> Iterator[TokenRow]:
    """The conversations in the order of the key's seed, until there are as many tokens as asked."""
    order = np.random.default_rng(key.seed).permutation(len(texts))
    tokens, at = 0, 0
    while at < len(order) and tokens < key.tokens:
        chunk = [json.loads(texts[i]) for i in order[at : at + ENCODED_AT_ONCE]]
        at += len(chunk)
        for found in encode_conversations(tokenizer, chunk, train_on=key.train_on):
            tokens += len(found.ids)
            yield found.ids, found.labels


def _end(tokenizer: Any) -> int:
    """The token between documents: <|endoftext|> of the embedded base is its bos token."""
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def _pad(tokenizer: Any) -> int:
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
