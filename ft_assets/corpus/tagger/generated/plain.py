"""Words that are nobody's: without many of them, every word not met before looks like a name.

Prose is the reference manual that comes with Python; paragraphs without sense are put together from
the vocabulary of a language, common words and rare ones ("anemia" is nobody), as wordfreq has it
(Speer 2022), some with a name among them, so that a name is known by its form too. Words that Faker
knows as names are left out: whether they are one, other texts say.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from itertools import accumulate

from ft_assets.corpus.tagger.generated.values import Piece, Pieces, Values

_LANGUAGES = ["en"] * 14 + ["de"] * 2 + ["fr"] * 2 + ["es"] * 3 + ["it", "nl", "pt"]
_WORDS = 60_000  # of a language
_ANYBODY = 100  # the most common of them, of which some are names too ("may", "will")
_RARE = 0.5  # share of the words that are drawn as if all were equally common
_TITLE, _UPPER = 0.06, 0.02  # share of the words that are written so
_SHORTEST, _LONGEST = 80, 900  # characters of a paragraph
_NAMED = 0.25  # share of the sentences that name somebody or a place


def prose(values: Values) -> Pieces:
    return [Piece(values.pick(_paragraphs()))]


def sentences(values: Values) -> Pieces:
    pieces: Pieces = []
    for _ in range(values.random.choices([1, 2, 4, 6], [40, 20, 20, 20])[0]):
        pieces += [*_sentence(values), Piece(values.random.choices([" ", "\n"], [8, 1])[0])]
    return pieces[:-1]


def _sentence(values: Values) -> Pieces:
    words = _drawn(values, values.pick(_LANGUAGES), values.random.randrange(3, 16))
    words[0] = words[0].capitalize()
    named = values.random.randrange(len(words)) if values.chance(_NAMED) else -1
    pieces: Pieces = []
    for place, word in enumerate(words):
        between = values.random.choices(["", ",", " -"], [88, 10, 2])[0] + " "
        if place == named:
            pieces += values.of(values.pick(["person", "person", "given", "family", "city", "org"]))
            pieces.append(Piece(between))
        else:
            pieces.append(Piece(word + between))
    pieces[-1] = Piece(pieces[-1].text.rstrip(" ,-") + values.pick([".", ".", "?", "!", ""]))
    return pieces


def _drawn(values: Values, language: str, number: int) -> list[str]:
    words, common = _vocabulary(language)
    chosen = values.random.choices(words, cum_weights=common, k=number)
    for place in range(number):
        if values.chance(_RARE):
            chosen[place] = values.pick(words)
        written = values.random.random()
        if written < _TITLE:
            chosen[place] = chosen[place].title()
        elif written < _TITLE + _UPPER:
            chosen[place] = chosen[place].upper()
    return chosen


@cache
def digest() -> str:
    """Changes with the manual and the vocabulary: another release of either has another one."""
    from importlib.metadata import version

    text = "\n".join([version("wordfreq"), version("faker"), *_paragraphs()])
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _paragraphs() -> list[str]:
    from pydoc_data.topics import topics

    parts = (
        " ".join(part.split()) for name in sorted(topics) for part in topics[name].split("\n\n")
    )
    return [part for part in parts if _SHORTEST <= len(part) <= _LONGEST]


@cache
def _vocabulary(language: str) -> tuple[list[str], list[float]]:
    """Words from common to rare, and their frequencies added up."""
    from wordfreq import get_frequency_dict

    frequencies = get_frequency_dict(language, "best")
    known = [word for word in frequencies if word.isalpha()]
    words = known[:_ANYBODY] + [word for word in known[_ANYBODY:] if word not in _names()]
    words = words[:_WORDS]
    return words, list(accumulate(frequencies[word] for word in words))


@cache
def _names() -> frozenset[str]:
    """Parts of names of persons of every country, in lower case."""
    import pkgutil
    from importlib import import_module

    from faker.providers import person

    found: set[str] = set()
    for locale in sorted(module.name for module in pkgutil.iter_modules(person.__path__)):
        provider = import_module(f"{person.__name__}.{locale}").Provider
        for attribute in vars(provider):
            if "first_name" in attribute or "last_name" in attribute:
                found.update(_parts(getattr(provider, attribute)))
    return frozenset(found)


def _parts(names: object) -> Iterable[str]:
    if isinstance(names, Iterable):
        for name in names:
            if isinstance(name, str):
                yield from name.replace("-", " ").casefold().split()
