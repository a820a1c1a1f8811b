"""Why screening refuses a row, and what it found out about it."""

from dataclasses import dataclass, field
from enum import StrEnum


class ScreenReason(StrEnum):
    """A row with several reasons counts under the first in this order."""

    EMPTY_ANSWER = "empty_answer"  # nothing but punctuation or a filler such as "N/A"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    PROMPT_INJECTION = "prompt_injection"
    TOXIC = "toxic"
    FOREIGN_LANGUAGE = "foreign_language"
    GIBBERISH = "gibberish"
    REFUSAL = "refusal"  # a canned "I cannot help with that"
    BOILERPLATE = "boilerplate"  # automatic replies, cookie notices
    WRONG_DOMAIN = "wrong_domain"
    # Of all weeks of a domain together: influence.py
    POISONED = "poisoned"
    OVER_USER_SHARE = "over_user_share"


@dataclass(frozen=True, slots=True)
class Verdict:
    reason: ScreenReason | None
    language: str  # ISO 639-1 or "undetermined"
    scores: dict[str, float] = field(default_factory=dict)  # by filter; see ScreenPolicy's limits
