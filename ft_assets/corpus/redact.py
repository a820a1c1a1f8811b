"""Replace personal identifiers in the texts of one conversation by numbered placeholders.

The same value keeps one placeholder through a conversation (`<EMAIL_1>`), however it is written:
case does not count in addresses, separators do not count in numbers, and a person is known by parts
of the name (persons.py). Numbering starts anew with
every `Placeholders`, so two conversations cannot be joined on it. What is masked is what a detector
(detector.py) found, and what patterns find in the text after that.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ft_assets.corpus.detect import TYPES as PATTERN_TYPES
from ft_assets.corpus.detect import Span, find
from ft_assets.corpus.detector import TYPES
from ft_assets.corpus.persons import People, parse

# An age below 90 identifies nobody (HIPAA, 45 CFR 164.514(b)(2)) and medicine cannot do without it.
# Places and organisations alone name no person.
DEFAULT_TYPES = TYPES - {"AGE", "LOCATION", "ORG"}

_PLACEHOLDER = re.compile(rf"<(?P<type>{'|'.join(sorted(TYPES))})_(?P<number>[0-9]{{1,5}})>")
_NUMBERS = frozenset({"PHONE", "CREDIT_CARD", "SSN"})
_NO_SEPARATORS = frozenset({"IBAN", "ID", "ZIP"})
_WORDS = frozenset({"STREET_ADDRESS", "PERSON", "LOCATION", "ORG"})


@dataclass(frozen=True)
class Replaced:
    """A placeholder and what it stands for."""

    start: int  # of the placeholder, in the masked text
    end: int
    type: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Masked:
    text: str
    replaced: tuple[Replaced, ...] = ()  # in order

    @property
    def counts(self) -> dict[str, int]:
        """type -> replaced spans, not distinct values"""
        return dict(Counter(each.type for each in self.replaced))


@dataclass
class Placeholders:
    """The placeholders of one conversation: `mask` its texts in order."""

    types: frozenset[str] = DEFAULT_TYPES
    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    _used: dict[str, int] = field(default_factory=dict)
    _people: People = field(default_factory=People)

    def learn(self, text: str, spans: Sequence[Span]) -> None:
        """Know the persons of a text, so that "Mr Smith" gets the placeholder of "John Smith".

        Call it for all texts of a conversation before the first is masked.
        """
        for span in spans:
            if span.type == "PERSON":
                self._people.learn(parse(text[span.start : span.end]))

    def mask(self, text: str, spans: Sequence[Span] | None = None) -> Masked:
        """Return `text` with `spans` replaced; None: those that patterns find in it.

        Idempotent; never raises on any str. `spans` are in code points of `text`, sorted and
        without overlaps; those of other types or that touch a placeholder are left.
        """
        # A text that was masked before keeps its placeholders; new numbers go on behind them.
        for placeholder in _PLACEHOLDER.finditer(text):
            kind, number = placeholder["type"], int(placeholder["number"])
            self._used[kind] = max(self._used.get(kind, 0), number)
        replaced: list[Replaced] = []
        if spans is None:
            found = find_unmasked(text, self.types)
        else:
            found = outside_placeholders(text, [s for s in spans if s.type in self.types])
        # A placeholder can bring a word next to a number that a longer value kept apart.
        while found:
            text, replaced = self._replace(text, found, replaced)
            found = find_unmasked(text, self.types)
        return Masked(text, tuple(replaced))

    def _replace(
        self, text: str, spans: Iterable[Span], before: list[Replaced]
    ) -> tuple[str, list[Replaced]]:
        parts, last, moved = [], 0, 0
        replaced, earlier = [], deque(before)
        for span in spans:
            while earlier and earlier[0].start < span.start:
                replaced.append(_moved(earlier.popleft(), moved))
            value = text[span.start : span.end]
            name = self._name(span.type, value)
            start = span.start + moved
            replaced.append(Replaced(start, start + len(name), span.type, value))
            moved += len(name) - len(value)
            parts += [text[last : span.start], name]
            last = span.end
        replaced += (_moved(each, moved) for each in earlier)
        return "".join([*parts, text[last:]]), replaced

    def _name(self, kind: str, value: str) -> str:
        key = kind, self._identity(kind, value)
        if key not in self._names:
            self._used[kind] = self._used.get(kind, 0) + 1
            self._names[key] = f"<{kind}_{self._used[kind]}>"
        return self._names[key]

    def _identity(self, kind: str, value: str) -> str:
        if kind == "PERSON":
            person = self._people.resolve(parse(value))
            return f"{person.given} {person.family}".strip() or normalised(kind, value)
        return normalised(kind, value)


def _moved(each: Replaced, by: int) -> Replaced:
    return replace(each, start=each.start + by, end=each.end + by)


def residual(text: str, types: frozenset[str] = DEFAULT_TYPES) -> dict[str, int]:
    """Counts by type of what patterns still find; empty after masking with the same types."""
    return dict(Counter(span.type for span in find_unmasked(text, types)))


def find_unmasked(text: str, types: frozenset[str]) -> list[Span]:
    """What patterns find of these types that touches no placeholder."""
    return outside_placeholders(text, find(text, types & PATTERN_TYPES))


def outside_placeholders(text: str, spans: Sequence[Span]) -> list[Span]:
    if not spans or "<" not in text:
        return list(spans)
    inside = bytearray(len(text))
    for placeholder in _PLACEHOLDER.finditer(text):
        inside[placeholder.start() : placeholder.end()] = b"\x01" * len(placeholder[0])
    return [span for span in spans if inside.find(1, span.start, span.end) < 0]


def normalised(kind: str, value: str) -> str:
    """What two spellings of one value have in common."""
    value = value.strip().casefold()
    if kind in _NUMBERS:
        digits = "".join(char for char in value if char.isdecimal())
        # "+1 (555) 010-9999" and "555-010-9999" are one phone.
        return digits[-9:] if kind == "PHONE" and len(digits) > 9 else digits or value
    if kind in _NO_SEPARATORS:
        return "".join(char for char in value if char.isalnum()) or value
    if kind in _WORDS:
        return " ".join(re.findall(r"\w+", value))
    return value
