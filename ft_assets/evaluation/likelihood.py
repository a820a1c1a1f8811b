"""Losses of one model on texts cut into windows: answers given their prompts, whole texts, choices.

Windows of like length go through the model together; they are filled up on the right, where a
causal model does not look, so each loss is that of its window alone but for rounding.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.general_text import read_documents, split_documents
from ft_assets.adapters.tokens import (
    IGNORED,
    Message,
    Tokens,
    encode_conversations,
    encode_texts,
    pack,
)
from ft_assets.adapters.workers import Map, token_losses

MAX_CONTEXT = 2_048  # tokens in a window, however much more the base could see
MAX_ANSWER = 2_048  # tokens of an answer that are scored; the rest of a longer one is not
GENERAL_TOKENS = 20_000  # of held-out general text, at most
AT_ONCE = 2_048  # tokens in a batch, filled up ones too


def answer_windows(
    tokenizer: Any, ids: Sequence[str], conversations: list[list[Message]], context: int
) -> list[list[Tokens]]:
    """Return for each row the windows in which the tokens of its last answer are scored, once each.

    A row that does not fit into `context` is scored in windows that overlap by half, so that every
    token has at least half a window before it.
    """
    encoded = encode_conversations(tokenizer, conversations, train_on="responses")
    result = []
    for row_id, tokens in zip(ids, encoded, strict=True):
        labels = _last_answer(tokens.labels)
        first = next((i for i, label in enumerate(labels) if label != IGNORED), None)
        if first is None:
            raise ValueError(f"row {row_id}: its last answer has no token")
        end = min(len(labels), first + MAX_ANSWER)
        result.append(list(_windows(tokens.ids[:end], labels[:end], context)))
    return result


def _last_answer(labels: list[int]) -> list[int]:
    end = max((i + 1 for i, label in enumerate(labels) if label != IGNORED), default=0)
    start = end
    while start and labels[start - 1] != IGNORED:
        start -= 1
    return [IGNORED] * start + labels[start:end]


def _windows(ids: list[int], labels: list[int], context: int) -> Iterator[Tokens]:
    first = next(i for i, label in enumerate(labels) if label != IGNORED)
    done = first  # tokens before it are scored, or need not be
    while done < len(ids):
        # The first window reaches as far as it can; a later one keeps half of it as context.
        start = max(0, done - context // 2)
        if done == first and len(ids) - start < context:
            start = max(0, len(ids) - context)
        end = min(len(ids), start + context)
        hidden = [IGNORED] * (done - start)
        yield Tokens(ids[start:end], hidden + labels[done:end])
        done = end


def window_losses(model: Any, windows: Sequence[Tokens], rows_map: Map) -> list[float]:
    """Return the summed loss, in nats, of the labelled tokens of each window."""
    device = model.device.type
    precision = choose_precision("fp32" if device == "cpu" else "auto", device)

    def of(batch: list[int]) -> list[float]:
        longest = max(len(windows[i].ids) for i in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        labels = torch.full((len(batch), longest), IGNORED)
        for place, i in enumerate(batch):
            ids[place, : len(windows[i].ids)] = torch.tensor(windows[i].ids)
            labels[place, : len(windows[i].labels)] = torch.tensor(windows[i].labels)
        with torch.no_grad():
            found = token_losses(model, ids.to(device), labels.to(device), precision)
        return found.sum(dim=1).tolist()

    batches = list(_batches(windows))
    losses = [0.0] * len(windows)
    for batch, found in zip(batches, rows_map(of, batches), strict=True):
        for i, loss in zip(batch, found, strict=True):
            losses[i] = loss
    return losses


def _batches(windows: Sequence[Tokens]) -> Iterator[list[int]]:
    """Positions of windows of like length, longest first; the same for the same windows."""
    batch: list[int] = []
    for i in sorted(range(len(windows)), key=lambda i: (-len(windows[i].ids), i)):
        if batch and (len(batch) + 1) * len(windows[batch[0]].ids) > AT_ONCE:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def scored_tokens(window: Tokens) -> int:
    # A loss is taken from the second token on: the first has nothing before it.
    return sum(label != IGNORED for label in window.labels[1:])


def labelled_from(start: int, tokens: Tokens) -> Tokens:
    """The same tokens with a label from `start` on alone."""
    return Tokens(tokens.ids, [IGNORED] * start + tokens.labels[start:])


def end_token(tokenizer: Any) -> int:
    """The token between documents: <|endoftext|> of the embedded base is its bos token."""
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def general_windows(tokenizer: Any, files: list[Path], context: int) -> list[Tokens]:
    test = split_documents(read_documents(files)).test
    test.sort(key=lambda document: hashlib.sha256(document.encode("utf-8")).hexdigest())
    chosen, characters = [], 0
    for document in test:
        chosen.append(document)
        characters += len(document)
        if characters > GENERAL_TOKENS * 6:  # more characters than a token has on average
            break
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    end = end_token(tokenizer)
    ids, labels = pack(encode_texts(tokenizer, chosen, end), context, pad)
    few = GENERAL_TOKENS // context + 1
    return [
        Tokens(i, label) for i, label in zip(ids[:few].tolist(), labels[:few].tolist(), strict=True)
    ]
