"""The names of persons in one conversation: their parts, and which mentions mean the same person.

"John Smith", "Smith, John", "J. Smith", "Mr Smith" and "John" are one person where the full name
stands somewhere in the conversation; of two that fit, the one named first. Elsewhere a part of a
name stands for itself. Middle names do not tell persons apart. Nicknames ("Bill" for "William"),
names of more than one family word without a comma, and spelling mistakes are not resolved.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from ft_assets.corpus.invented_words import fold, gender_of

_WORD = re.compile(r"[^\W\d_](?:[\w'\u2019-]*\w)?\.?")
_POSSESSIVE = re.compile(r"['\u2019]s$")
_TITLES = frozenset(
    "mr mrs ms miss mx messrs mm mmes dr prof professor sir madam lord lady rev capt sgt lt judge "  # noqa: SIM905
    "justice herr frau fraulein monsieur madame mademoiselle mme mlle maitre senor senora senorita "
    "sr sra srta signor signora ing dipl patient patientin paciente mister doctor doktor "
    "docteur".split()
)
_SUFFIXES = frozenset("jr jnr sr snr ii iii iv md phd dds esq mba cpa bsc msc llm".split())  # noqa: SIM905
_PARTICLES = frozenset(
    "van von der den de da di du del della dos das la le los las zu zur y e bin ibn al el af av "  # noqa: SIM905
    "ter ten".split()
)


class Part(Enum):
    GIVEN = "given"
    MIDDLE = "middle"
    FAMILY = "family"
    KEPT = "kept"  # titles, particles, suffixes: they name nobody


@dataclass(frozen=True)
class Piece:
    start: int
    end: int
    part: Part


@dataclass(frozen=True)
class Person:
    """Folded names; "" for a part that is not known."""

    given: str = field(repr=False)
    family: str = field(repr=False)

    @property
    def complete(self) -> bool:
        return len(self.given) > 1 and bool(self.family)


@dataclass(frozen=True)
class Mention:
    text: str = field(repr=False)
    pieces: tuple[Piece, ...]
    person: Person
    sure: bool  # of which part a single word is

    def words(self, part: Part) -> list[str]:
        return [self.text[p.start : p.end] for p in self.pieces if p.part is part]


@lru_cache(maxsize=10_000)  # one mention is asked for again and again
def parse(text: str) -> Mention:
    """The parts of one written name."""
    end = possessive.start() if (possessive := _POSSESSIVE.search(text)) else len(text)
    found = list(_WORD.finditer(text, 0, end))
    comma = text.find(",")
    kept = _kept([match[0] for match in found])
    names = [match for match, keep in zip(found, kept, strict=True) if not keep]
    titled = bool(found) and kept[0] and fold(found[0][0]) in _TITLES
    if not names:  # "Dr.": one of them has to be the name
        names, titled = found[-1:], len(found) > 1
    turned = [match for match in names if 0 <= comma < match.start()]
    parts: dict[int, Part] = {}
    if turned and len(turned) < len(names):
        given, family = turned[0], [match for match in names if match not in turned]
        parts = {match.start(): Part.MIDDLE for match in turned[1:]}
    elif len(names) > 1:
        given, family = names[0], [names[-1]]
        parts = {match.start(): Part.MIDDLE for match in names[1:-1]}
    elif names and not titled and gender_of(fold(names[0][0])):
        given, family = names[0], []
    else:
        given, family = None, names
    parts |= {match.start(): Part.FAMILY for match in family}
    if given:
        parts[given.start()] = Part.GIVEN
    pieces = tuple(Piece(*m.span(), parts.get(m.start(), Part.KEPT)) for m in found)
    person = Person(fold(given[0]) if given else "", " ".join(fold(match[0]) for match in family))
    return Mention(text, pieces, person, sure=len(names) > 1 or titled)


def _kept(words: list[str]) -> list[bool]:
    # A word that may be part of the name is taken for one: "Don" and "M." are, "don" is none.
    kept: list[bool] = []
    for place, word in enumerate(words, start=1):
        folded = fold(word)
        if all(kept):
            kept.append(folded in _TITLES or word == "don")
        else:
            particle = folded in _PARTICLES and word[:1].islower() and place < len(words)
            kept.append(particle or folded in _SUFFIXES)
    return kept


@dataclass
class People:
    """Who was named in one conversation: `learn` all mentions first, then `resolve` each."""

    _by_family: dict[str, list[Person]] = field(default_factory=dict)
    _by_given: dict[str, list[Person]] = field(default_factory=dict)

    def learn(self, mention: Mention) -> None:
        person = mention.person
        if not person.complete:
            return
        for index, name in ((self._by_family, person.family), (self._by_given, person.given)):
            known = index.setdefault(name, [])
            if person not in known:
                known.append(person)

    def resolve(self, mention: Mention) -> Person:
        """The full person, where the conversation tells; else what the mention tells."""
        given, family = mention.person.given, mention.person.family
        if mention.person.complete:
            return mention.person
        if given and family:
            known = self._by_family.get(family, ())
            # "M. Dupont" may be any Monsieur of that family.
            fits = (p for p in known if p.given.startswith(given) or given == "m")
        elif mention.sure:
            fits = iter(self._by_family.get(family, ()))
        else:
            name = given or family
            fits = iter((*self._by_given.get(name, ()), *self._by_family.get(name, ())))
        return next(fits, mention.person)
