"""What comes in by the OpenAI API, checked; replies.py builds what goes out.

A field that would change the answer and is not supported is refused, never ignored; fields that
only matter to OpenAI's own service (`store`, `service_tier` ...) and unheard-of ones are. Error
messages name fields and numbers, never what somebody wrote.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ft_resources.gateway.token_scores import MAX_TOP
from ft_resources.gateway.tokens import Message

MAX_TOKENS = 4_096  # of an answer
DEFAULT_TOKENS = 512
MAX_ID = 256  # characters of a user or session id
MAX_CHOICES = 8  # answers to one request (n)
MAX_STOPS = 4
MAX_STOP = 128  # characters
MAX_MESSAGES = 1_000
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
SEED_LIMIT = 2**63

# Present and not one of these values: refused. Absent or neutral: fine.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None, "none"),
    "web_search_options": (None,),
    # What other servers added to the API.
    "top_k": (None, 0, -1),
    "min_p": (None, 0),
    "repetition_penalty": (None, 1),
    "length_penalty": (None, 1),
    "min_tokens": (None, 0),
    "ignore_eos": (None, False),
    "stop_token_ids": (None, []),
    "use_beam_search": (None, False),
    "structured_outputs": (None,),
    "guided_json": (None,),
    "guided_regex": (None,),
    "guided_choice": (None,),
    "guided_grammar": (None,),
    "chat_template": (None,),
    "chat_template_kwargs": (None, {}),
    "add_generation_prompt": (None, True),
    "continue_final_message": (None, False),
}
UNSUPPORTED_OF_A_MESSAGE = ("tool_calls", "function_call", "audio")


class Refusal(Exception):
    """An answer of the API that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": kinds.get(self.status, kind),
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(message: str, param: str | None, code: str = "invalid_value") -> Refusal:
    return Refusal(400, message, code, param)


@dataclass(frozen=True)
class Ask:
    """A checked request of /v1/chat/completions (messages) or /v1/completions (text)."""

    model: str
    messages: tuple[Message, ...]
    text: str | None  # of /v1/completions; messages then hold it as one user message
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool
    n: int  # answers
    top_logprobs: int | None  # alternatives to each token; None: no log-probabilities
    user: str | None
    session: str | None

    @property
    def turn(self) -> int:
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def prompt(self) -> str:
        return next(m["content"] for m in reversed(self.messages) if m["role"] == "user")


def read_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("the body is not valid JSON", None, "invalid_json") from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object", None, "invalid_json")
    return value


def read_ask(
    body: Mapping[str, Any], *, chat: bool, session: str | None, most_tokens: int | None = None
) -> Ask:
    """`most_tokens`: what this caller may ask of an answer, when that is less than MAX_TOKENS."""
    most = min(MAX_TOKENS, most_tokens or MAX_TOKENS)
    for name in body:
        if name in UNSUPPORTED and not _is_one_of(body[name], UNSUPPORTED[name]):
            raise _unsupported(name)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model must name a domain, domain@digest or base", "model")
    if chat:
        text, messages = None, _messages(body.get("messages"))
    else:
        text = _prompt(body.get("prompt"))
        messages = ({"role": "user", "content": text},)
    limit = (
        "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    )
    metadata = _object(body.get("metadata"), "metadata")
    if metadata.get("session_id") is not None:
        session = read_id(metadata["session_id"], "metadata.session_id")
    elif session is not None:
        session = read_id(session, "X-Session-Id")
    stream = flag(body.get("stream"), "stream")
    options = _object(body.get("stream_options"), "stream_options")
    if options and not stream:
        raise invalid("stream_options is for requests with stream: true", "stream_options")
    return Ask(
        model=model,
        messages=messages,
        text=text,
        max_tokens=whole_number(body.get(limit), limit, 1, most) or min(DEFAULT_TOKENS, most),
        temperature=_number(body.get("temperature"), "temperature", 0, 2),
        top_p=_number(body.get("top_p"), "top_p", 0, 1),
        seed=whole_number(body.get("seed"), "seed", -SEED_LIMIT, SEED_LIMIT - 1),
        stop=_stop(body.get("stop")),
        stream=stream,
        include_usage=flag(options.get("include_usage"), "stream_options.include_usage"),
        n=whole_number(body.get("n"), "n", 1, MAX_CHOICES) or 1,
        top_logprobs=_top_logprobs(body) if chat else _text_logprobs(body),
        user=None if body.get("user") is None else read_id(body["user"], "user"),
        session=session,
    )


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    wanted = flag(body.get("logprobs"), "logprobs")
    top = whole_number(body.get("top_logprobs"), "top_logprobs", 0, MAX_TOP)
    if top and not wanted:
        raise invalid("top_logprobs is for requests with logprobs: true", "top_logprobs")
    return (top or 0) if wanted else None


def _text_logprobs(body: Mapping[str, Any]) -> int | None:
    """In /v1/completions `logprobs` is a number, and `top_logprobs` no field."""
    if body.get("top_logprobs") is not None:
        raise _unsupported("top_logprobs")
    if body.get("logprobs") is False:  # what some clients send for none
        return None
    return whole_number(body.get("logprobs"), "logprobs", 0, MAX_TOP)


def _is_one_of(value: object, allowed: tuple[Any, ...]) -> bool:
    """Equal in kind too: to Python, true is 1."""
    kind = isinstance(value, bool)
    return any(value == one and kind == isinstance(one, bool) for one in allowed)


def _unsupported(param: str) -> Refusal:
    return invalid(f"{param} is not supported here; leave it out", param, "unsupported_parameter")


def read_messages(value: object, param: str = "messages") -> tuple[Message, ...]:
    return _messages(value, param)


def clean_text(value: object, param: str) -> str:
    """A text that can be written down as UTF-8."""
    if not isinstance(value, str):
        raise invalid(f"{param} must be a text", param)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise invalid(
            f"{param} holds half a surrogate pair, which is no character", param
        ) from None
    return value


def _messages(value: object, param: str = "messages") -> tuple[Message, ...]:
    if not isinstance(value, list) or not value or len(value) > MAX_MESSAGES:
        raise invalid(f"{param} must be a list of 1 to {MAX_MESSAGES} messages", param)
    messages = tuple(_message(item, f"{param}.{i}") for i, item in enumerate(value))
    if messages[-1]["role"] != "user":
        raise invalid(f"the last one of {param} must have the role user", param)
    return messages


def _message(value: object, param: str) -> Message:
    if not isinstance(value, dict):
        raise invalid(f"{param} must be an object with role and content", param)
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid(f"{param}.role must be one of {', '.join(ROLES)}", f"{param}.role")
    for name in UNSUPPORTED_OF_A_MESSAGE:
        if value.get(name):
            raise _unsupported(f"{param}.{name}")
    content = value.get("content")
    if isinstance(content, list):
        parts = []
        for i, part in enumerate(content):
            if not isinstance(part, dict) or part.get("type") != "text":
                raise invalid(f"{param}.content.{i}: only parts of type text are supported", param)
            parts.append(clean_text(part.get("text"), f"{param}.content.{i}.text"))
        content = "".join(parts)
    return {"role": ROLES[role], "content": clean_text(content, f"{param}.content")}


def _prompt(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise invalid("prompt must be one text (not token ids, not several)", "prompt")
    return clean_text(value, "prompt")


def read_id(value: object, param: str) -> str:
    """As the schema of the raw logs has an id; what it refuses would be quarantined there."""
    text = clean_text(value, param)
    if (
        not 1 <= len(text) <= MAX_ID
        or text != text.strip()
        or any(unicodedata.category(c).startswith("C") for c in text)
    ):
        raise invalid(
            f"{param} must be 1 to {MAX_ID} characters, without blanks at either end and without "
            "control or invisible characters",
            param,
        )
    return text


def _object(value: object, param: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise invalid(f"{param} must be an object", param)
    return value or {}


def whole_number(value: object, param: str, low: int, high: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise invalid(f"{param} must be a whole number from {low} to {high}", param)
    return value


def _number(value: object, param: str, low: float, high: float) -> float:
    if value is None:
        return 1.0
    # NaN is in no range.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid(f"{param} must be a number from {low} to {high}", param)
    return float(value)


def flag(value: object, param: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{param} must be true or false", param)
    return bool(value)


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise invalid(f"stop must be a text or a list of up to {MAX_STOPS}", "stop")
    for stop in stops:
        if not 1 <= len(clean_text(stop, "stop")) <= MAX_STOP:
            raise invalid(f"each text of stop must have 1 to {MAX_STOP} characters", "stop")
    return tuple(stops)
