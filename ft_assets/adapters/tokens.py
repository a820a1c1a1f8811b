"""Conversations to token ids and labels, and labels to rows of one length.

Which tokens a label falls on is found in the rendered text: the template is rendered up to each
answer and once whole, and the answer is what lies between. So any template works whose rendering
of a conversation begins with the rendering of its beginning; another one is refused. The end
marker that closes an answer is part of it: a model that never sees it does not stop.

A text that spells a special token ("<|end|>") could speak in another role; `plain` breaks it up.
There are two ways to fill rows. `pack_documents` keeps each conversation whole, tells where it
begins, and leaves what no conversation fits into empty; document_attention.py then keeps them
apart. `pack` puts them one after the other and cuts at the row length: a row may begin inside a
conversation, and attention reaches over the border to the one before. Figures of both are in
docs/decisions/0017-training-speed.md.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

OPEN_ROWS = 64  # rows that a document may still go into
IGNORED = -100  # label of a token that no loss is taken on; the value torch ignores by default

Message = dict[str, str]


@dataclass(frozen=True)
class Tokens:
    ids: list[int]
    labels: list[int]  # ids, or IGNORED


def plain(text: str, special_tokens: Iterable[str]) -> str:
    """Return `text` with every special token broken by a space after its first character."""
    for token in special_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def encode_conversations(
    tokenizer: Any, conversations: Sequence[list[Message]], *, train_on: str
) -> list[Tokens]:
    """Return ids and labels of each conversation; train_on is "responses" or "all".

    A conversation without an answer (a document) is labelled whole. Raises ValueError when the
    tokenizer has no chat template, or one that rewrites the beginning of a conversation.
    """
    if tokenizer.chat_template is None:
        raise ValueError(
            "the base model has no chat template; add chat_template.jinja to its folder, or take "
            "an instruction-tuned base"
        )
    specials = sorted(set(tokenizer.all_special_tokens))
    texts, spans = [], []
    for number, messages in enumerate(conversations):
        clean = [{**m, "content": plain(m["content"], specials)} for m in messages]
        text, answers = _render(tokenizer, clean, number)
        texts.append(text)
        spans.append(answers)
    if not texts:
        return []
    # verbose: no warning that a text is longer than the context; rows are cut afterwards.
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    result = []
    for ids, offsets, answers in zip(
        encoded["input_ids"], encoded["offset_mapping"], spans, strict=True
    ):
        whole = train_on == "all" or not answers
        labels = list(ids) if whole else _labels(ids, offsets, answers)
        result.append(Tokens(list(ids), labels))
    return result


def encode_texts(tokenizer: Any, documents: Sequence[str], end: int) -> list[Tokens]:
    """Return documents as tokens, each closed by the token `end`, labelled whole."""
    if not documents:
        return []
    specials = sorted(set(tokenizer.all_special_tokens))
    texts = [plain(document, specials) for document in documents]
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return [Tokens([*ids, end], [*ids, end]) for ids in encoded]


def pack(examples: Sequence[Tokens], row_tokens: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (ids, labels), both int64 [rows, row_tokens]; the last row is filled with `pad`.

    Rows in which no token has a label are left out.
    """
    ids = np.fromiter((i for e in examples for i in e.ids), dtype=np.int64)
    labels = np.fromiter((i for e in examples for i in e.labels), dtype=np.int64)
    return pack_joined(ids, labels, row_tokens, pad)


def pack_joined(
    ids: np.ndarray, labels: np.ndarray, row_tokens: int, pad: int
) -> tuple[np.ndarray, np.ndarray]:
    """`pack` for examples that already stand one after the other."""
    fill = -len(ids) % row_tokens
    ids = np.concatenate([ids, np.full(fill, pad)]).reshape(-1, row_tokens)
    labels = np.concatenate([labels, np.full(fill, IGNORED)]).reshape(-1, row_tokens)
    # The first label of a row has no token before it to be predicted from.
    useful = (labels[:, 1:] != IGNORED).any(axis=1)
    return ids[useful], labels[useful]


def pack_documents(
    ids: np.ndarray, labels: np.ndarray, lengths: np.ndarray, row_tokens: int, pad: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (ids, labels, positions), all int64 [rows, row_tokens]; positions count from 0 in each
    document and are -1 where a row is empty.

    `ids` and `labels` stand one after the other, `lengths` says where each example ends. What is
    longer than a row is cut into pieces of a row, each a document of its own. The first token of a
    document has no label, as nothing stands before it; a piece without a label is left out. Each
    piece goes to the fullest row that has room for it, among those begun last (best fit, as in
    Ding et al. 2024, arXiv 2404.10830, there over all documents): the order stays that of the
    examples, nearly.
    """
    rows: list[list[tuple[int, int]]] = []
    free: list[tuple[int, int]] = []  # (tokens left, number of the row), of open rows
    ends = np.cumsum(lengths)
    for first, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True):
        for begin in range(first, end, row_tokens):
            piece = (begin, min(begin + row_tokens, end))
            if not (labels[piece[0] + 1 : piece[1]] != IGNORED).any():
                continue
            length = piece[1] - piece[0]
            at = bisect_left(free, (length, -1))
            if at == len(free):
                rows.append([])
                insort(free, (row_tokens, len(rows) - 1))
                if len(free) > OPEN_ROWS:
                    free.pop(0)
                at = bisect_left(free, (length, -1))
            left, row = free.pop(at)
            rows[row].append(piece)
            insort(free, (left - length, row))
    shape = (len(rows), row_tokens)
    packed, labelled, positions = np.full(shape, pad), np.full(shape, IGNORED), np.full(shape, -1)
    for row, pieces in enumerate(rows):
        at = 0
        for begin, end in pieces:
            to = slice(at, at + end - begin)
            packed[row, to], labelled[row, to] = ids[begin:end], labels[begin:end]
            labelled[row, at] = IGNORED
            positions[row, to] = np.arange(end - begin)
            at = to.stop
    return packed, labelled, positions


def tokenizer_digest(tokenizer: Any) -> str:
    """Digest of what turns a text into ids: vocabulary, rules and special tokens."""
    parts = [tokenizer.backend_tokenizer.to_str(), *sorted(set(tokenizer.all_special_tokens))]
    return sha256("\0".join(parts).encode()).hexdigest()


def template_digest(tokenizer: Any) -> str:
    """Digest of the text of the chat template."""
    return sha256((tokenizer.chat_template or "").encode()).hexdigest()


def _render(
    tokenizer: Any, messages: list[Message], number: int
) -> tuple[str, list[tuple[int, int]]]:
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    answers = []
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = ""
        if i:
            before = tokenizer.apply_chat_template(
                messages[:i], tokenize=False, add_generation_prompt=True
            )
        after = (
            text
            if i == len(messages) - 1
            else tokenizer.apply_chat_template(messages[: i + 1], tokenize=False)
        )
        if not (text.startswith(after) and after.startswith(before)):
            raise ValueError(
                f"conversation {number}, message {i}: the chat template of the base model rewrites "
                "the beginning of a conversation when it goes on, so its answers cannot be found; "
                "use a template that only appends"
            )
        answers.append((len(before), len(after)))
    return text, answers


def _labels(
    ids: list[int], offsets: list[tuple[int, int]], answers: list[tuple[int, int]]
) -> list[int]:
    labels = [IGNORED] * len(ids)
    answer = 0
    for position, (start, end) in enumerate(offsets):
        while answer < len(answers) and start >= answers[answer][1]:
            answer += 1
        if answer == len(answers):
            break
        if start >= answers[answer][0] and end > start:
            labels[position] = ids[position]
    return labels
