"""Between text and token ids, for one base model.

What a caller writes cannot speak in another role: a special token spelled in a message ("<|end|>")
is broken up by a space, the same way as in training, so that the model sees what it was trained on.
Encoding is guarded by a lock: the tokenizers of transformers change their own settings in a call.
"""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ft_resources.gateway.token_scores import byte_letters, piece_bytes

Message = dict[str, str]

UNFINISHED = "\ufffd"  # what a cut multi-byte character decodes to


class ChatTokenizer:
    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer = tokenizer
        self._specials = sorted(set(tokenizer.all_special_tokens))
        self._special_ids = frozenset(tokenizer.all_special_ids)
        self._letters = byte_letters() if _is_byte_level(tokenizer) else None
        self._lock = threading.Lock()
        self.context = context  # tokens, prompt and answer together
        self.end: int | None = tokenizer.eos_token_id

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to where the answer begins. Raises ValueError when the template refuses."""
        return self._encode(self._render(messages, answer=True), specials=False)

    def encode_text(self, prompt: str) -> list[int]:
        """Token ids of a bare text, with what the tokenizer itself puts around one."""
        return self._encode(self._plain(prompt), specials=True)

    def encode_answer(self, messages: Sequence[Message], response: str) -> tuple[list[int], int]:
        """Return (ids, start): prompt and response with its end marker; ids[start:] is the answer.

        What does not fit the context is cut: first the beginning of the prompt, then the end of the
        answer. Raises ValueError when nothing of an answer is left to score.
        """
        prompt = self._render(messages, answer=True)
        whole = self._render([*messages, {"role": "assistant", "content": response}], answer=False)
        if not whole.startswith(prompt):
            raise ValueError(
                "the chat template of the base rewrites the beginning of a conversation when it "
                "goes on, so an answer cannot be scored"
            )
        with self._lock:
            encoded = self._tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
        start = next((i for i, (at, _) in enumerate(offsets) if at >= len(prompt)), len(ids))
        answer = ids[start:][: self.context - 1]
        before = ids[:start][-(self.context - len(answer)) :]
        if not answer or not before:
            raise ValueError("nothing to score: the prompt or the response has no tokens")
        return before + answer, len(before)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to a text; nothing for a special one."""
        if token in self._special_ids:
            return b""
        piece = self._tokenizer.convert_ids_to_tokens(token)
        return b"" if piece is None else piece_bytes(piece, self._letters)

    def _render(self, messages: Sequence[Message], *, answer: bool) -> str:
        from jinja2.exceptions import TemplateError

        if self._tokenizer.chat_template is None:
            raise ValueError(
                "the base model has no chat template; add chat_template.jinja to its folder, or "
                "use /v1/completions"
            )
        clean = [{"role": m["role"], "content": self._plain(m["content"])} for m in messages]
        try:
            text = self._tokenizer.apply_chat_template(
                clean, tokenize=False, add_generation_prompt=answer
            )
        except TemplateError:
            roles = ", ".join(message["role"] for message in messages[:8])
            raise ValueError(
                f"the chat template of the base refuses messages with the roles {roles}"
            ) from None
        return str(text)

    def _encode(self, text: str, *, specials: bool) -> list[int]:
        with self._lock:
            return list(self._tokenizer(text, add_special_tokens=specials)["input_ids"])

    def _plain(self, text: str) -> str:
        for token in self._specials:
            if len(token) > 1 and token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def open_tokenizer(folder: Path, context: int | None = None) -> ChatTokenizer:
    """The tokenizer of a base; `context`: what its server allows, when that is less.

    Raises ValueError for a model that does not tell its context.
    """
    from transformers import AutoConfig, AutoTokenizer

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **local)
    own = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not own:
        raise ValueError(f"base model {folder}: config.json has no max_position_embeddings")
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    return ChatTokenizer(tokenizer, min(int(own), context or int(own)))


class TextStream:
    """Token ids of one answer as text: whole characters only, up to the first stop string."""

    def __init__(self, tokenizer: ChatTokenizer, stop: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._shown = 0  # ids that are in the text already
        self._context = 0  # where decoding starts: one step back, spaces depend on what is before
        self._text = ""
        self._sent = 0
        self.stopped = False

    @property
    def text(self) -> str:
        return self._text

    def push(self, token: int) -> None:
        self._ids.append(token)
        self._grow(flush=False)

    def finish(self) -> None:
        if not self.stopped:
            self._grow(flush=True)

    def take(self, *, final: bool) -> str:
        """What can be sent since the last call; the beginning of a stop string is held back."""
        end = len(self._text)
        if not final and not self.stopped:
            end -= self._held_back()
        piece = self._text[self._sent : end]
        self._sent = max(self._sent, end)
        return piece

    def _grow(self, *, flush: bool) -> None:
        before = self._tokenizer.decode(self._ids[self._context : self._shown])
        after = self._tokenizer.decode(self._ids[self._context :])
        if not flush and (len(after) <= len(before) or after.endswith(UNFINISHED)):
            return
        grown = after[len(before) :]
        searched = max(0, len(self._text) - max((len(s) for s in self._stop), default=0))
        self._text += grown
        self._context, self._shown = self._shown, len(self._ids)
        found = [at for s in self._stop if (at := self._text.find(s, searched)) >= 0]
        if found:
            self._text = self._text[: min(found)]
            self.stopped = True

    def _held_back(self) -> int:
        longest = max((len(s) for s in self._stop), default=1) - 1
        for length in range(min(longest, len(self._text)), 0, -1):
            tail = self._text[-length:]
            if any(s.startswith(tail) for s in self._stop):
                return length
        return 0


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and "ByteLevel" in repr(backend.decoder)
