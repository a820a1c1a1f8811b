"""Requests answered token by token in one batch.

Rows that start together share their first pass; then they join the batch that is running
(continuous batching): its key-value cache is filled up on the left to the longer of the two, which
the attention mask hides. Rows leave when they end, and with them the columns that nobody needs.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ft_resources.gateway.loaded_base import LoadedBase
from ft_resources.gateway.token_scores import Scored, TokenScores
from ft_resources.gateway.tokens import TextStream

MIN_UNUSED = 32  # columns of a cache that are worth a copy of the rest
PIECE_SECONDS = 0.02  # of a stream: fewer, larger pieces cost less and read as well


@dataclass(frozen=True)
class Piece:
    text: str
    scores: tuple[Scored, ...] = ()  # of its tokens, when they were asked for


@dataclass(frozen=True)
class Done:
    text: str  # the whole answer
    tail: str  # what no Piece has carried yet
    finish_reason: str  # stop | length
    completion_tokens: int
    scores: tuple[Scored, ...] = ()  # of the tokens of the tail


@dataclass(frozen=True)
class Failed:
    error: str  # never holds text of a request


Event = Piece | Done | Failed


@dataclass(eq=False)
class Generation:
    """One request. `sink` is called on the engine's thread and must not block."""

    base: str  # digest
    adapter: str | None
    ids: list[int]
    max_tokens: int
    temperature: float  # 0: greedy
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    stream: bool
    sink: Callable[[Event], None]
    top_logprobs: int | None = None  # None: scores are not asked for
    cancelled: bool = False
    on_cancel: Callable[[], None] | None = None  # set by a backend that waits for somebody else

    def cancel(self) -> None:
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()


@dataclass(eq=False)
class Row:
    job: Generation
    stream: TextStream
    random: Any  # torch.Generator; None when greedy
    scores: TokenScores | None = None
    written: int = 0
    sent_at: float = 0.0


class Cohort:
    """One left-padded batch and its key-value cache."""

    def __init__(self, base: LoadedBase, jobs: Sequence[Generation]) -> None:
        self.base = base
        self.rows = [_row(base, job) for job in jobs]
        self._cache: Any = None
        self._mask: Any = None
        self._position: Any = None
        self._next: Any = None

    def step(self) -> None:
        """Write one token in every row; rows that end leave the batch."""
        import torch

        with torch.inference_mode():
            self._leave([not row.job.cancelled for row in self.rows])
            if not self.rows:
                return
            logits = self._forward()
            kept, tokens = [], []
            for row, scores in zip(self.rows, logits, strict=True):
                token = self._write(row, scores)
                kept.append(token is not None)
                tokens.append(token or 0)
            self._next = torch.tensor(tokens).unsqueeze(1)
            self._leave(kept)

    @property
    def width(self) -> int:
        """The longest that a row can get, in tokens."""
        return max(len(row.job.ids) + row.job.max_tokens for row in self.rows)

    def can_join(self, other: "Cohort") -> bool:
        """Both have had their first pass, on caches that keep every token: no sliding windows."""
        from transformers.cache_utils import DynamicLayer

        caches = [self._cache, other._cache]
        return self.base is other.base and all(
            cache is not None and all(type(layer) is DynamicLayer for layer in cache.layers)
            for cache in caches
        )

    def join(self, other: "Cohort") -> None:
        """Take over the rows of another batch; it is of no use any more."""
        import torch

        length = max(self._mask.shape[1], other._mask.shape[1])
        for mine, theirs in zip(self._cache.layers, other._cache.layers, strict=True):
            mine.keys = torch.cat([_padded(mine.keys, length), _padded(theirs.keys, length)])
            mine.values = torch.cat([_padded(mine.values, length), _padded(theirs.values, length)])
        masks = [_padded(mask[..., None], length)[..., 0] for mask in (self._mask, other._mask)]
        self._mask = torch.cat(masks)
        self._position = torch.cat([self._position, other._position])
        self._next = torch.cat([self._next, other._next])
        self.rows = [*self.rows, *other.rows]
        other.rows = []

    def _forward(self) -> Any:
        """Return float32 logits [rows, vocabulary] of the next token, on the CPU."""
        import torch

        if self._cache is None:
            width = max(len(row.job.ids) for row in self.rows)
            self._next = torch.zeros(len(self.rows), width, dtype=torch.long)
            self._mask = torch.zeros(len(self.rows), width, dtype=torch.long)
            for i, row in enumerate(self.rows):
                self._next[i, width - len(row.job.ids) :] = torch.tensor(row.job.ids)
                self._mask[i, width - len(row.job.ids) :] = 1
            positions = (self._mask.cumsum(1) - 1).clamp(min=0)
        else:
            self._mask = torch.cat([self._mask, torch.ones(len(self.rows), 1).long()], dim=1)
            positions = self._position + 1
        self._position = positions[:, -1:]
        output = self.base.forward(
            [row.job.adapter for row in self.rows],
            input_ids=self._next,
            attention_mask=self._mask,
            position_ids=positions,
            use_cache=True,
            **{self.base.cache_name: self._cache},
            **({"logits_to_keep": 1} if self.base.last_logit_only else {}),
        )
        self._cache = getattr(output, self.base.cache_name)
        return output.logits[:, -1].float().cpu()

    def _write(self, row: Row, scores: Any) -> int | None:
        """Take the next token of a row; None when the row has ended."""
        import torch

        job = row.job
        if not bool(torch.isfinite(scores).all()):
            job.sink(Failed("the model gave values that are not finite"))
            return None
        token = _pick(scores, job, row.random)
        row.written += 1
        ended = token in self.base.ends
        if not ended:
            if row.scores is not None:
                row.scores.push(token, scores, len(row.stream.text))
            row.stream.push(token)
        full = row.written >= job.max_tokens
        if ended or full or row.stream.stopped:
            row.stream.finish()
            stopped = ended or row.stream.stopped
            tail = row.stream.take(final=True)
            reason = "stop" if stopped else "length"
            job.sink(
                Done(row.stream.text, tail, reason, row.written, _scores(row, tail, last=True))
            )
            return None
        now = time.monotonic()
        if (
            job.stream
            and now - row.sent_at >= PIECE_SECONDS
            and (piece := row.stream.take(final=False))
        ):
            row.sent_at = now
            job.sink(Piece(piece, _scores(row, piece)))
        return token

    def _leave(self, kept: Sequence[bool]) -> None:
        import torch

        if all(kept):
            return
        self.rows = [row for row, stays in zip(self.rows, kept, strict=True) if stays]
        if not self.rows or self._cache is None:
            return
        chosen = torch.tensor([i for i, stays in enumerate(kept) if stays])
        self._cache.batch_select_indices(chosen.to(self.base.device))
        self._mask, self._position = self._mask[chosen], self._position[chosen]
        self._next = self._next[chosen]
        unused = int(self._mask.any(0).int().argmax())
        if unused >= MIN_UNUSED and self.can_join(self):
            self._mask = self._mask[:, unused:]
            for layer in self._cache.layers:
                layer.keys = layer.keys[:, :, unused:].contiguous()
                layer.values = layer.values[:, :, unused:].contiguous()


def _padded(values: Any, length: int) -> Any:
    """Zeros on the left of the last but one dimension, up to this length."""
    import torch

    return torch.nn.functional.pad(values, (0, 0, length - values.shape[-2], 0))


def _row(base: LoadedBase, job: Generation) -> Row:
    top = job.top_logprobs
    scores = None if top is None else TokenScores(base.tokenizer, top)
    return Row(job, TextStream(base.tokenizer, job.stop), _random(job), scores)


def _scores(row: Row, piece: str, *, last: bool = False) -> tuple[Scored, ...]:
    if row.scores is None:
        return ()
    taken = row.scores.take(piece)
    return (*taken, *row.scores.rest()) if last and not row.stream.stopped else taken


def _random(job: Generation) -> Any:
    import torch

    if job.temperature == 0:
        return None
    random = torch.Generator()
    if job.seed is None:
        random.seed()
    else:
        random.manual_seed(job.seed)
    return random


def _pick(scores: Any, job: Generation, random: Any) -> int:
    import torch

    if job.temperature == 0:
        return int(scores.argmax())
    # The maximum is taken off first: a tiny temperature would overflow to infinity otherwise.
    shares = torch.softmax((scores - scores.max()) / job.temperature, dim=-1)
    if job.top_p < 1:
        ordered, order = shares.sort(descending=True, stable=True)
        outside = ordered.cumsum(0) - ordered >= job.top_p
        outside[0] = False
        shares[order[outside]] = 0
    return int(torch.multinomial(shares, 1, generator=random))
