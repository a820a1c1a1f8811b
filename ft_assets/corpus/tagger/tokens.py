"""Split a text into the tokens that are tagged, and describe a token by hashed features.

A token is a run of letters, a run of digits, one sign, or the end of a line, so that names glued to
other things ("MRN731690", "Ivans-iphone") can be told from them. A feature is a row of the table of
the network (network.py): the word, its shape, its beginning and end, its letters three by three
(Bojanowski et al. 2017, arXiv:1607.04606), so that a name never seen before is near others.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import numpy as np

ROWS = 1 << 16  # of the table of features
PAD = 0  # the row of no feature: always zero

# Every character is in one match; those of white space but the end of a line are no tokens.
_PIECE = re.compile(r"[^\W\d_]+|\d+|\n|[^\S\n]+|[^\w\s]|_")
_LONGEST = 24  # letters of a token that are looked at
_RUNS = re.compile(r"X{2,}|x{2,}|d{5,}")


class Tokens(NamedTuple):
    """The tokens of a text in order; starts and ends are int64 [tokens], in code points."""

    words: list[str]
    starts: np.ndarray
    ends: np.ndarray


def split(text: str) -> Tokens:
    pieces = _PIECE.findall(text)
    ends = np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))
    words, places = [], []
    for place, piece in enumerate(pieces):
        if not piece.isspace() or piece == "\n":
            words.append(piece)
            places.append(place)
    return Tokens(words, np.concatenate([[0], ends])[places], ends[places])


@lru_cache(maxsize=1 << 17)
def features(token: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows that name the token itself, and rows that only say what it is like."""
    word = token[:_LONGEST]
    folded = _folded(word)
    like = [f"s{_shape(word)}", f"l{min(len(token), 12)}"]
    if not word.isalpha():
        return _rows([f"w{word}"]), _rows(like)
    like += [f"b{folded[:1]}", f"e{folded[-2:]}", f"e{folded[-3:]}"]
    edged = f"^{folded}$"
    named = [f"w{word.casefold()}", f"b{folded[:3]}", f"e{folded[-4:]}"]
    named += [f"t{edged[at : at + 3]}" for at in range(len(edged) - 2)]
    return _rows(named), _rows(like)


def _rows(names: list[str]) -> tuple[int, ...]:
    return tuple(1 + crc32(name.encode("utf-8", "surrogatepass")) % (ROWS - 1) for name in names)


def _folded(word: str) -> str:
    """Lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _shape(word: str) -> str:
    shape = "".join(
        "X" if char.isupper() else "x" if char.isalpha() else "d" if char.isdecimal() else char
        for char in word
    )
    return _RUNS.sub(lambda run: run[0][:1] + "+", shape)
