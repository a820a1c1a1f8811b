"""Names and other personal data in texts, by the trained network.

A token is personal when the network gives less than a threshold to its being nothing. What patterns
can prove by check digits or a fixed form (cards, accounts, addresses of hosts) is left to them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.labels import LABELS, NUMBER, OUTSIDE
from ft_assets.corpus.tagger.network import DILATIONS, Array, Network
from ft_assets.corpus.tagger.tokens import Tokens, split

_APART = "\x00" * max(DILATIONS)
_TOGETHER = 1 << 15  # characters of texts that are tagged at once
# A token between two of one label, and a word that is part of a person's name elsewhere in the
# document, are personal too; a first name that is also a word ("Will") stays where the network is
# sure of it.
_SURE = 0.995
_INSIDE = "-'\u2019."  # signs inside of names
_BLANKS = " \t\xa0"
_ADDRESS_BLANKS = _BLANKS + ",;/-.\u00ba"
_NAME_LENGTH = 3  # letters of a part of a name that is looked for elsewhere
_PERSON = NUMBER["PERSON"]
# Numbers are found by patterns first; what the tagger adds must be likelier than not, or every port
# and size in a log would be a postcode. In an address it need not.
_PLACES = [NUMBER[kind] for kind in ("LOCATION", "STREET_ADDRESS")]
_NUMBERS = [NUMBER[kind] for kind in ("AGE", "DATE", "ID", "PHONE", "ZIP")]
_EVEN = 0.5
# Figures of a table are no house numbers: 1,250 and 74.3 are amounts, and a number that stands for
# a place has a word of that place near it.
_NO_AMOUNTS = frozenset(NUMBER[kind] for kind in ("STREET_ADDRESS", "ZIP"))
_AMOUNT_BEFORE = re.compile(r"(?:\d[.,]|[$€£¥]\s?|\d,\d{3},)\Z")
_AMOUNT_AFTER = re.compile(r"[.,]\d|\s?[%€]")
_GAP = 2  # tokens between the parts of an address


_NO_ANSWER = re.compile(r"\bn ?/ ?a\b", re.IGNORECASE)


def _digits(value: str) -> int:
    return sum(char.isdecimal() for char in value)


def _letters(value: str) -> int:
    return sum(char.isalpha() for char in value)


def _alnum(value: str) -> int:
    return sum(char.isalnum() for char in value)


# What a span of a type must be to count; types that are not here are left to patterns.
_FORMS: dict[str, Callable[[str], bool]] = {
    "PERSON": lambda value: _letters(value) > 1 or value.isupper(),
    "LOCATION": lambda value: _letters(value) > 1,
    "ORG": lambda value: _letters(value) > 1,
    "STREET_ADDRESS": lambda value: (
        _digits(value) > 0 or _letters(value) > 2 or (value.isupper() and len(value) == 1)
    ),  # a door is a letter
    "USERNAME": lambda value: _letters(value) > 0 and _alnum(value) > 2 and not value.istitle(),
    "EMAIL": lambda value: _letters(value) > 2,
    "DATE": lambda value: _digits(value) > 0 and _alnum(value) > 3,
    "AGE": lambda value: _digits(value) < 4,
    "ID": lambda value: _alnum(value) > 3 and (_digits(value) > 3 or _letters(value) > 2),
    "ZIP": lambda value: _digits(value) > 1 and _alnum(value) > 2,
    "PHONE": lambda value: _digits(value) > 4,
}


def pattern_numbers(tokens: Tokens, found: Iterable[Span]) -> Array:
    """For each token the number of the label that patterns give it; 0, which is O, for none."""
    numbers = np.zeros(len(tokens.words), np.int64)
    for span in found:
        first = np.searchsorted(tokens.ends, span.start, side="right")
        last = np.searchsorted(tokens.starts, span.end, side="left")
        numbers[first:last] = NUMBER[span.type]
    return numbers


def touching(tokens: Tokens) -> Array:
    """For each token whether it touches the one before it."""
    glued = np.zeros(len(tokens.words), bool)
    glued[1:] = tokens.starts[1:] == tokens.ends[:-1]
    return glued


@dataclass(frozen=True)
class _Tagged:
    """A text with the network's opinion of each token."""

    text: str
    starts: Array  # in the text
    ends: Array
    outside: Array  # float32 [tokens], probability of being nothing
    labels: Array  # int [tokens], the best label besides

    def word(self, place: int) -> str:
        return self.text[self.starts[place] : self.ends[place]]


class Tagger:
    """A trained network with the threshold that was chosen for it.

    A person found in one text of a document is found in all of its texts.
    """

    def __init__(self, network: Network, threshold: float) -> None:
        self._network = network
        self.threshold = threshold

    def find_in(
        self, documents: Sequence[Sequence[str]], found: Sequence[Sequence[Sequence[Span]]]
    ) -> list[list[list[Span]]]:
        """What the tagger finds in each text of each document beside `found`, which patterns found:
        in code points, sorted, without overlaps. Never raises on any str.
        """
        tagged = self._tagged(
            [text for document in documents for text in document],
            [spans for document in found for spans in document],
        )
        result = []
        for document, spans in zip(documents, found, strict=True):
            texts = [next(tagged) for _ in document]
            names = self._names(texts)
            pairs = zip(texts, spans, strict=True)
            result.append([list(self._spans(text, names, others)) for text, others in pairs])
        return result

    def _tagged(self, texts: Sequence[str], found: Sequence[Sequence[Span]]) -> Iterator[_Tagged]:
        first = length = 0
        for last, text in enumerate(texts):
            length += len(text)
            if length >= _TOGETHER:
                yield from self._tagged_together(texts[first : last + 1], found[first : last + 1])
                first, length = last + 1, 0
        if texts[first:]:
            yield from self._tagged_together(texts[first:], found[first:])

    def _tagged_together(
        self, texts: Sequence[str], found: Sequence[Sequence[Span]]
    ) -> Iterator[_Tagged]:
        """As one long text; between two are so many signs that they do not see each other."""
        tokens = split(_APART.join(texts))
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        begins = np.cumsum(sizes + len(_APART)) - sizes - len(_APART)
        firsts = np.searchsorted(tokens.starts, begins)
        lasts = np.searchsorted(tokens.starts, begins + sizes)
        real = np.zeros(len(tokens.words), bool)
        for first, last in zip(firsts, lasts, strict=True):
            real[first:last] = True
        glued = touching(tokens)
        glued[firsts[firsts < len(glued)]] = False
        shifted = (
            Span(span.start + begin, span.end + begin, span.type)
            for spans, begin in zip(found, begins.tolist(), strict=True)
            for span in spans
        )
        patterns = pattern_numbers(tokens, shifted)
        table = self._network.probabilities(tokens.words, glued, patterns, real)
        outside = table[:, NUMBER[OUTSIDE]].copy()
        table[:, NUMBER[OUTSIDE]] = 0
        labels = table.argmax(axis=1)
        for text, begin, first, last in zip(texts, begins, firsts, lasts, strict=True):
            there = slice(first, last)
            starts, ends = tokens.starts[there] - begin, tokens.ends[there] - begin
            yield _Tagged(text, starts, ends, outside[there], labels[there])

    def _names(self, texts: Iterable[_Tagged]) -> frozenset[str]:
        """Words that are part of a person's name somewhere in a document, without case."""
        names = set()
        for text in texts:
            people = (text.outside < self.threshold / 2) & (text.labels == _PERSON)
            for place in np.flatnonzero(people).tolist():
                word = text.word(place)
                if len(word) >= _NAME_LENGTH and word.isalpha() and not word.islower():
                    names.add(word.casefold())
        return frozenset(names)

    def _spans(self, text: _Tagged, names: frozenset[str], found: Sequence[Span]) -> Iterator[Span]:
        labels = text.labels
        personal = text.outside < self.threshold
        numbers = np.isin(labels, _NUMBERS) & (text.outside >= _EVEN)
        personal &= ~(numbers & ~_beside_any(personal & np.isin(labels, _PLACES)))
        personal[_figures(text, personal)] = False
        for match in _NO_ANSWER.finditer(text.text):
            personal[_places(text, match.start(), match.end())] = False
        if names:
            doubtful = np.flatnonzero((text.outside < _SURE) & ~personal).tolist()
            again = [place for place in doubtful if text.word(place).casefold() in names]
            personal[again], labels[again] = True, _PERSON
        open_ends = personal[:-2] & ~personal[1:-1] & personal[2:] & (labels[:-2] == labels[2:])
        for place in (np.flatnonzero(open_ends & (text.outside[1:-1] < _SURE)) + 1).tolist():
            if (word := text.word(place)).isalnum() or word in _INSIDE:
                personal[place], labels[place] = True, labels[place - 1]
        for span in apart_from(text.text, _merged(text, np.flatnonzero(personal)), found):
            form = _FORMS.get(span.type)
            if form and form(text.text[span.start : span.end]):
                yield span


def _figures(text: _Tagged, personal: Array) -> list[int]:
    """Places of amounts, and of numbers that were taken for a place without a word near them."""
    figures: list[int] = []
    group: list[int] = []  # neighbours in an address
    worded = False
    for place in [*np.flatnonzero(personal).tolist(), None]:
        if group and (place is None or place - group[-1] > _GAP + 1):
            if not worded:
                figures += group
            group, worded = [], False
        if place is None:
            break
        label = text.labels[place]
        number = text.word(place).isdecimal()
        if number and label in _NO_AMOUNTS and _is_amount(text, place):
            figures.append(place)
        elif label in _PLACES:
            group.append(place)
            worded |= not number
    return figures


def _places(text: _Tagged, start: int, end: int) -> slice:
    """The tokens between two characters of the text."""
    return slice(*np.searchsorted(text.starts, (start, end)).tolist())


def _is_amount(text: _Tagged, place: int) -> bool:
    start, end = text.starts[place], text.ends[place]
    before = text.text[max(0, start - 6) : start]
    return bool(_AMOUNT_BEFORE.search(before) or _AMOUNT_AFTER.match(text.text, end))


def _merged(text: _Tagged, chosen: Array) -> Iterator[Span]:
    """One span for neighbours of one label with at most blanks between them, or, in an address,
    the signs that part its numbers.
    """
    start = end = 0
    kind = ""
    places = zip(
        text.starts[chosen].tolist(),
        text.ends[chosen].tolist(),
        text.labels[chosen].tolist(),
        strict=True,
    )
    for first, last, number in places:
        blanks = _ADDRESS_BLANKS if kind == "STREET_ADDRESS" else _BLANKS
        if LABELS[number] == kind and not text.text[end:first].strip(blanks):
            end = last
            continue
        if kind:
            yield Span(start, end, kind)
        start, end, kind = first, last, LABELS[number]
    if kind:
        yield Span(start, end, kind)


def _beside_any(chosen: Array) -> Array:
    """bool [n]: within two places of one that is chosen."""
    near = chosen.copy()
    for step in (1, 2):
        near[step:] |= chosen[:-step]
        near[:-step] |= chosen[step:]
    return near


def apart_from(text: str, spans: Iterable[Span], others: Sequence[Span]) -> Iterator[Span]:
    """What of `spans` none of `others` covers, without signs and blanks at its ends.

    Both are sorted and without overlaps.
    """
    for start, end, kind in _beside(spans, others):
        while start < end and not text[start].isalnum():
            start += 1
        while start < end and not text[end - 1].isalnum():
            end -= 1
        if start < end:
            yield Span(start, end, kind)


def _beside(spans: Iterable[Span], others: Sequence[Span]) -> Iterator[Span]:
    """The parts of `spans` that none of `others` covers; both are sorted, without overlaps."""
    number = 0
    for start, end, kind in spans:
        while number < len(others) and others[number].end <= start:
            number += 1
        place = number
        while place < len(others) and others[place].start < end:
            if start < others[place].start:
                yield Span(start, others[place].start, kind)
            start = others[place].end
            place += 1
        if start < end:
            yield Span(start, end, kind)
