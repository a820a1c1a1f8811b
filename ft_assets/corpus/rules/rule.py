"""What a rule is, and the pieces that rules of every family are made of."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.linear import Pattern

Found = tuple[int, int] | None  # where in the shadow
Check = Callable[[str, int, int], Found]


@dataclass(frozen=True)
class Rule:
    type: str
    pattern: str
    check: Check
    rank: int  # of two that overlap the lower rank stays
    value: re.Pattern[str] | None = None  # with a group: inside the match; without: behind it
    # A simpler pattern that is in every text in which `pattern` is: all triggers are searched in
    # one pass, and counted repetition, which makes that pass slow, is left to `pattern`.
    trigger: str = ""  # "": the pattern itself
    # Where the search goes on after a match that fails its check; None: behind it.
    retry: Callable[[str, int, int], int] | None = None


@dataclass(frozen=True)
class Family:
    """Rules that are searched together: first where any of them matches, then each one there."""

    rules: tuple[Rule, ...]
    # What to look for instead of the patterns: in all that they match, and faster to find.
    sign: str = ""
    before: int = 1  # characters that a match may begin before the sign; and one to look at
    after: int = 400  # twice those that it may end behind it

    @property
    def pattern(self) -> str:
        return self.sign or "|".join(f"(?:{rule.pattern})" for rule in self.rules)


class Before:
    """Whether the characters just before a place end in a pattern."""

    def __init__(self, pattern: str, size: int = 40) -> None:
        self._search = Pattern(f"(?i)(?:{pattern})$").search
        self._size = size

    def __call__(self, shadow: str, place: int) -> bool:
        window = shadow[max(0, place - self._size) : place].encode("ascii")
        return self._search(window, 0, len(window))[0] >= 0


# Letters and digits around a value make it part of something longer.
EDGE = r"(?:^|[^A-Za-z0-9])"
PUNCT = r"""[\s"'`:=>#.|(\[\]{}\\*/\x01\x02-]"""
MARKUP = r"(?:</?[A-Za-z!][^<>\n]{0,60}>\s{0,3}){0,3}"
WORD_END = rf"(?:{words.NUMBER})?(?:\b|[_#.: ])"  # "passportNumber"
# Between the word that names a value and the value: `": "`, " is ", "-Nr. ", "=", ">", "#".
_IS = (
    r"(?:is|was|are|ist|lautet|est|es|e|are|of|von|de|del|du|for|the|my|mi|with|holder|in|no|to|"
    r"di|do|da|van|ar|er|on|jest|sam|ending)"
)
LINK = (
    rf"[ \t]{{0,3}}(?:\([^()\n0-9]{{0,20}}\))?(?:,?[ _-]?{words.NUMBER}\b[.o]{{0,2}}|[ _-]?)"
    rf"{PUNCT}{{0,8}}{MARKUP}(?:\b{_IS}\b[\s:\"'(]{{1,3}}){{0,2}}"
    rf"(?:{words.NUMBER}\b[\s.:#=\"'>]{{0,4}})?"
)


def window(shadow: str, start: int, size: int = 40) -> str:
    return shadow[max(0, start - size) : start].lower()


def alone(shadow: str, start: int, end: int) -> bool:
    """Not a piece of a longer number, word, decimal or path."""
    before, after = shadow[start - 1 : start], shadow[end : end + 1]
    if before.isalnum() or after.isalnum() or before == "_" or after == "_":
        return False
    if before in (".", ",", "-", "/", ":", "$", "#") and shadow[start - 2 : start - 1].isdigit():
        return False
    if (before and before in "$#") or shadow[start - 2 : start] in ("$ ", "# "):
        return False
    return not (after in (".", ",", "-", "/", ":", "%") and shadow[end + 1 : end + 2].isdigit())


not_personal = Before(
    rf"(?:^|[^a-z])(?:{words.NOT_PERSONAL})[\s:#.=\"'(-]{{0,4}}"
    rf"(?:{words.NUMBER}\b[\s:#.=\"']{{0,3}})?(?:is |was )?"
)
card_near = Before(
    r"(?:card|karte|tarjeta|carte|carta|visa|master|amex|american express|\bpan\b|cvv|cvc|\bcc\b)"
    r"[^\x00]{0,120}",
    size=130,
)
UNITS_AFTER = re.compile(
    r"\s?(?:%|\$|eur|usd|gbp|euros?|dollars?|chf|pounds?|million|billion|thousand|"
    r"mg|ml|kg|km|cm|mm|"
    r"ms|sec|minutes|hours|days|years|people|users|customers|patients|requests|records|events|connections|items|units|bytes|kb|mb|gb|px|rows|times)\b"
)
_NO_DIGITS = re.compile(r"[^0-9]+")


def digits_in(value: str) -> str:
    return _NO_DIGITS.sub("", value)


# Patterns stop after some hundred characters; what goes on is taken along up to this many.
MAX_TAIL = 4000


def tail(shadow: str, end: int, allowed: re.Pattern[str]) -> int:
    more = allowed.match(shadow, end, end + MAX_TAIL)
    return more.end() if more else end


def as_it_is(shadow: str, start: int, end: int) -> Found:
    return start, end


TOKEN = re.compile(r"[A-Za-z0-9]+")
DATE_LIKE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d|\d{1,2}[/.]\d{1,2}[/.](?:19|20)?\d\d")


_NO_ALNUM = re.compile(r"[^A-Za-z0-9]+")


def bare(shadow: str, start: int, end: int) -> str:
    return _NO_ALNUM.sub("", shadow[start:end]).upper()


def checked(holds: Callable[[str], bool], length: int) -> Check:
    def check(shadow: str, start: int, end: int) -> Found:
        value = bare(shadow, start, end)
        right_length = length in (0, len(value))
        return (start, end) if right_length and holds(value) else None

    return check


SIX_DIGITS = r"[0-9](?:[ ./()-]{0,3}[0-9]){5}"
NINE_DIGITS = r"[0-9](?:[ ./|-]{0,3}[0-9]){8}"


def named(alternation: str) -> str:
    return rf"(?i){EDGE}(?:{alternation})"


_GROUP = re.compile(r"[0-9]{3,}")


def next_group(text: str, start: int, end: int) -> int:
    """Behind the first group of digits, at the next of three or more; the last may go on."""
    while start < end and text[start].isalnum():
        start += 1
    group = _GROUP.search(text, start, end)
    if group:
        return group.start()
    while end - 1 > start and text[end - 2].isalnum():
        end -= 1
    return max(end - 1, start, 1)


def next_word(text: str, start: int, end: int) -> int:
    word = TOKEN.match(text, start, end)
    return word.end() if word else start + 1
