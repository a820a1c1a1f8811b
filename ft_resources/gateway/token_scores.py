"""Log-probabilities of the tokens of an answer, as callers ask for them with `logprobs`.

They are of the model as it is: before temperature and top_p, in nats. A token is named by its text;
one that is part of a character is named `bytes:\\xNN...`, and its bytes are exact for tokenizers of
bytes (GPT, Llama 3, Qwen) and for SentencePiece with byte fallback.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MAX_TOP = 20  # alternatives to a token that a caller can ask for
BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
WORD_START = "\u2581"  # SentencePiece writes a blank as this


class NamesTokens(Protocol):
    def token_bytes(self, token: int) -> bytes: ...


@dataclass(frozen=True)
class Scored:
    token: bytes
    logprob: float
    start: int  # characters of the answer before it, as far as they were whole
    top: tuple[tuple[bytes, float], ...] = ()  # most likely first


class TokenScores:
    """The scores of one answer while it is written; handed on with the text that they belong to."""

    def __init__(self, tokenizer: NamesTokens, top: int) -> None:
        self._tokenizer, self._top = tokenizer, top
        self._waiting: list[Scored] = []
        self._told = 0  # characters

    def push(self, token: int, logits: Any, start: int) -> None:
        """`logits`: float tensor [vocabulary] that the token was picked from."""
        import torch

        shares = torch.log_softmax(logits, dim=-1)
        values, ids = torch.topk(shares, min(self._top, shares.shape[-1]))
        named = self._tokenizer.token_bytes
        top = tuple((named(int(i)), float(v)) for v, i in zip(values, ids, strict=True))
        self._waiting.append(Scored(named(token), float(shares[token]), start, top))

    def take(self, text: str) -> tuple[Scored, ...]:
        """The scores that go with this next piece; what a stop string cut off is never told."""
        self._told += len(text)
        taken = [scored for scored in self._waiting if scored.start < self._told]
        del self._waiting[: len(taken)]
        return tuple(taken)

    def rest(self) -> tuple[Scored, ...]:
        return tuple(self._waiting)


def byte_letters() -> Mapping[str, int]:
    """The letters by which byte-level tokenizers write bytes (GPT-2's `bytes_to_unicode`)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def piece_bytes(piece: str, letters: Mapping[str, int] | None) -> bytes:
    """The bytes of an entry of a vocabulary; `letters` of byte_letters() for a byte-level one."""
    if letters is not None and all(letter in letters for letter in piece):
        return bytes(letters[letter] for letter in piece)
    if byte := BYTE_PIECE.fullmatch(piece):
        return bytes([int(byte[1], 16)])
    return piece.replace(WORD_START, " ").encode("utf-8", "replace")


def token_name(token: bytes) -> str:
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)


def chat_logprobs(scores: Sequence[Scored]) -> dict[str, Any]:
    """`logprobs` of a choice of /v1/chat/completions."""
    return {
        "content": [
            {
                **_named(scored.token, scored.logprob),
                "top_logprobs": [_named(token, logprob) for token, logprob in scored.top],
            }
            for scored in scores
        ],
        "refusal": None,
    }


def text_logprobs(scores: Sequence[Scored]) -> dict[str, Any]:
    """`logprobs` of a choice of /v1/completions; offsets count from the beginning of the answer."""
    return {
        "tokens": [token_name(scored.token) for scored in scores],
        "token_logprobs": [scored.logprob for scored in scores],
        "top_logprobs": [
            {token_name(token): logprob for token, logprob in scored.top} for scored in scores
        ],
        "text_offset": [scored.start for scored in scores],
    }


def _named(token: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token_name(token), "logprob": logprob, "bytes": list(token)}
