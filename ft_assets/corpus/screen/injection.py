"""How much a text tries to take over the model that reads it.

The score adds up the signs that are found (injection_patterns.py): 1 or more is an attempt. Looked
at are the text, its spelling with letters set apart or swapped for digits ("1gn0re", "i g n o r
e"), and what its base64 holds. In a text about attacks, quoted examples do not count. Not found:
attacks without any known sign, paraphrases in languages that have no sign here, orders in images.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import re2

from ft_assets.corpus.screen.injection_languages import OTHER_SIGNS
from ft_assets.corpus.screen.injection_patterns import (
    ABOUT_ATTACKS,
    ENGLISH_SIGNS,
    OF_A_PERSON,
)

SIGNS = (*ENGLISH_SIGNS, *OTHER_SIGNS)

MAX_CHARS = 100_000  # longer texts are refused for their length
TOGETHER_CHARS = 400
MENTION = 0.5  # of the weight of an order that a person gave to a person

_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201b": "'", "\u201e": '"', "\u201c": '"', "\u201d": '"',
     "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-", "\u2011": "-"}
)  # fmt: skip
_BLANKS = re.compile(r"[ \t\u00a0]+")
_LINES = re.compile(r"\s*\n\s*")
_QUOTED = re.compile(r'"[^"\n]{1,400}"|(?<!\w)\'[^\'\n]{1,400}\'(?!\w)|`[^`\n]{1,400}`')
_SPACED = re.compile(r"(?<!\w)(?:\w[ .\-_*]){5,}\w(?!\w)")
_LEET = re.compile(r"[a-z@$][013457@$!|]+[a-z]|\b[13450@$][a-z]{2}")
_FROM_LEET = str.maketrans("013457@$!|", "oieastasil")
_BASE64 = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/]{24,4000}={0,2}(?![\w+/])")
# Cyrillic and Greek letters that pass for Latin ones.
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһοεικαντυ", "aeopcyxijsdhoeikavtu")
_ONE_SCRIPT = re.compile("[a-z]")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")


def injection(text: str) -> float:
    """0 for nothing found; at 1 the text is an attempt. Letters' case plays no part."""
    return max(map(_score, _readings(text[:MAX_CHARS])), default=0.0)


def signs(text: str) -> frozenset[str]:
    """The names of the signs in the text, for reports; mentions included."""
    return frozenset(
        SIGNS[index].name for reading in _readings(text[:MAX_CHARS]) for index in _found(reading)
    )


def _readings(text: str) -> Iterator[str]:
    folded = _fold(text)
    yield folded
    if tags := "".join(_TAGS.findall(text)):  # invisible copies of ASCII
        yield _fold("".join(chr(ord(char) - 0xE0000) for char in tags))
    if _SPACED.search(folded):
        yield _SPACED.sub(lambda m: re.sub(r"[ .\-_*]", "", m[0]), folded)
    if _LEET.search(folded):
        yield folded.translate(_FROM_LEET)
    if not folded.isascii() and _ONE_SCRIPT.search(folded):
        latin = folded.translate(_LOOKALIKES)
        if latin != folded:
            yield latin
    for token in _BASE64.findall(text):
        if hidden := _decoded(token):
            yield _fold(hidden)


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).lower()
    return _LINES.sub("\n", _BLANKS.sub(" ", text)).strip()


def _decoded(token: str) -> str | None:
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if sum(char.isprintable() for char in text) >= 0.95 * len(text) else None


def _score(text: str) -> float:
    if not _any_sign().search(text):
        return 0.0
    if '"' in text or "'" in text or "`" in text:
        outside = _QUOTED.sub(" ", text)
        if _about_attacks().search(outside):
            text = outside
    found = _found(text)
    # Weak signs add up where they stand together, not over the pages of a contract.
    score = max(
        _sum([i for i, at in found.items() if 0 <= at - start <= TOGETHER_CHARS])
        for start in [*found.values(), 0]
    )
    return score * MENTION if score and _of_a_person().search(text) else score


def _sum(indexes: Iterable[int]) -> float:
    """Weights added up; of one attack in the words of several languages the heaviest counts."""
    heaviest: dict[str, float] = {}
    for index in indexes:
        attack = SIGNS[index].name.split("_")[0]
        heaviest[attack] = max(heaviest.get(attack, 0.0), SIGNS[index].weight)
    return sum(heaviest.values())


def _found(text: str) -> dict[int, int]:
    """The signs in the text, each with the place where it is found first."""
    matches = ((index, pattern.search(text)) for index, pattern in enumerate(_patterns()))
    return {index: match.start() for index, match in matches if match}


@cache
def _options() -> Any:
    options = re2.Options()
    options.max_mem = 64 << 20  # the signs together are one large automaton
    options.log_errors = False
    return options


@cache
def _patterns() -> list[Any]:
    return [re2.compile(sign.pattern, _options()) for sign in SIGNS]


@cache
def _any_sign() -> Any:
    return re2.compile("|".join(f"(?:{sign.pattern})" for sign in SIGNS), _options())


@cache
def _about_attacks() -> Any:
    return re2.compile(ABOUT_ATTACKS, _options())


@cache
def _of_a_person() -> Any:
    return re2.compile(OF_A_PERSON, _options())
