"""What goes out by the OpenAI API: whole answers, chunks of a stream, usage.

Usage is on the last chunk of every stream. With `stream_options.include_usage` it comes in a chunk
of its own instead, as the specification has it: clients that did not ask read `choices[0]` of each.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ft_resources.gateway.token_scores import Scored, chat_logprobs, text_logprobs

ENCODE = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Reply:
    """The fields that all objects of one answer share."""

    id: str
    model: str
    chat: bool
    created: int

    @classmethod
    def begin(cls, id: str, model: str, *, chat: bool) -> "Reply":
        return cls(id, model, chat, int(time.time()))

    def whole(self, choices: Sequence[dict[str, Any]], usage: dict[str, int]) -> dict[str, Any]:
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._head(kind), "choices": [*choices], "usage": usage}

    def choice(
        self, index: int, text: str, reason: str, scores: Sequence[Scored] | None
    ) -> dict[str, Any]:
        """One of the answers; `scores` None when they were not asked for."""
        choice = {**self._choice(index, scores), "finish_reason": reason}
        if self.chat:
            return {**choice, "message": {"role": "assistant", "content": text, "refusal": None}}
        return {**choice, "text": text}

    def opening(self, index: int) -> dict[str, Any]:
        """The first chunk of an answer: who speaks."""
        choice = {**self._choice(index, None), "finish_reason": None}
        said = {"delta": {"role": "assistant", "content": ""}} if self.chat else {"text": ""}
        return {**self._head(self._chunk_kind()), "choices": [{**choice, **said}]}

    def chunk(self, index: int, text: str, scores: Sequence[Scored] | None) -> dict[str, Any]:
        """The next piece of an answer."""
        choice = {**self._choice(index, scores), "finish_reason": None}
        said = {"delta": {"content": text}} if self.chat else {"text": text}
        return {**self._head(self._chunk_kind()), "choices": [{**choice, **said}]}

    def ending(self, index: int, reason: str, usage: dict[str, int] | None) -> dict[str, Any]:
        """The last chunk of an answer; `usage` on that of the last one."""
        choice = {**self._choice(index, None), "finish_reason": reason}
        said = {"delta": {}} if self.chat else {"text": ""}
        chunk = {**self._head(self._chunk_kind()), "choices": [{**choice, **said}]}
        return chunk if usage is None else {**chunk, "usage": usage}

    def usage_chunk(self, usage: dict[str, int]) -> dict[str, Any]:
        return {**self._head(self._chunk_kind()), "choices": [], "usage": usage}

    def _choice(self, index: int, scores: Sequence[Scored] | None) -> dict[str, Any]:
        if scores is None:
            return {"index": index, "logprobs": None}
        told = chat_logprobs(scores) if self.chat else text_logprobs(scores)
        return {"index": index, "logprobs": told}

    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


class PieceEvents:
    """The events of one stream that carry its text; all but the text is encoded once."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._frames: dict[int, tuple[bytes, bytes]] = {}  # by answer: before and after its text

    def __call__(self, index: int, text: str, scores: Sequence[Scored] | None) -> bytes:
        if scores is not None:
            return event(self._reply.chunk(index, text, scores))
        frame = self._frames.get(index)
        if frame is None:
            before, _, after = event(self._reply.chunk(index, "", None)).rpartition(b'""')
            frame = self._frames[index] = before, after
        return b"%b%b%b" % (frame[0], ENCODE(text), frame[1])


def usage_of(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + ENCODE(value) + b"\n\n"
