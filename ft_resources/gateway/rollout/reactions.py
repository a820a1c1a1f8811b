"""How somebody took an answer, as a number, and what is wrong with an answer by itself."""

import re
from collections.abc import Mapping
from typing import Any

RATINGS = 4  # steps from 1 to 5
# Whole numbers with a check digit, and addresses: what can be told without a model. Names are not.
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")


def reaction_score(row: Mapping[str, Any]) -> float | None:
    """0 (bad) to 1 (good) of a row of the landing zone; None while nobody reacted.

    What somebody said counts before what they did. A thumb is all or nothing, a rating is linear,
    an edit counts by the share of the words that stayed; asked for again or left is bad, copied or
    clicked is good.
    """
    if (thumb := row.get("thumb")) is not None:
        return float(thumb == "up")
    if (rating := row.get("rating")) is not None:
        return (rating - 1) / RATINGS
    if (share := row.get("edit_share")) is not None:
        return 1.0 - float(share)
    if row.get("correction") is not None or row.get("regenerated") or row.get("abandoned"):
        return 0.0
    return 1.0 if row.get("clicked") or row.get("copied") else None


def faults(text: str, question: str, seconds: float, slow_seconds: float) -> list[str]:
    """The guardrails that an answer breaks."""
    found = []
    if not text.strip():
        found.append("empty")
    if seconds > slow_seconds:
        found.append("slow")
    if identifiers(text) - identifiers(question):
        found.append("personal_data")
    return found


def identifiers(text: str) -> set[str]:
    """Mail addresses, card numbers and IBANs. Names, streets and phone numbers are not found."""
    found = set(EMAIL.findall(text)) if "@" in text else set()
    found |= {d for d in map(_plain, DIGITS.findall(text)) if _luhn(d)}
    return found | {i for i in map(_plain, IBAN.findall(text)) if _mod97(i)}


def _plain(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _mod97(iban: str) -> bool:
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1
