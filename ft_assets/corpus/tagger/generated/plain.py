"""Words that are nobody's: without many of them, every word not met before looks like a name.

Prose is the reference manual that comes with Python; sentences without sense are put together from
the lists of common words of Faker, some with a name among them, so that a name is known by its form
too.
"""

import hashlib
from functools import cache

from ft_assets.corpus.tagger.generated.values import Piece, Pieces, Values

_LANGUAGES = ["en_US"] * 12 + ["de_DE"] * 2 + ["fr_FR"] * 2 + ["es_ES"] * 3 + ["it_IT", "nl_NL"]
_SHORTEST, _LONGEST = 80, 900  # characters of a paragraph
_NAMED = 0.25  # share of the sentences that name somebody or a place


def prose(values: Values) -> Pieces:
    return [Piece(values.pick(_paragraphs()))]


def sentence(values: Values) -> Pieces:
    words = values.random.choices(_words(values.pick(_LANGUAGES)), k=values.random.randrange(3, 16))
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


@cache
def digest() -> str:
    """Changes with the manual: another release of Python has another one."""
    return hashlib.sha256("\n".join(_paragraphs()).encode()).hexdigest()


@cache
def _paragraphs() -> list[str]:
    from pydoc_data.topics import topics

    parts = (
        " ".join(part.split()) for name in sorted(topics) for part in topics[name].split("\n\n")
    )
    return [part for part in parts if _SHORTEST <= len(part) <= _LONGEST]


@cache
def _words(language: str) -> list[str]:
    from importlib import import_module

    return list(import_module(f"faker.providers.lorem.{language}").Provider.word_list)
