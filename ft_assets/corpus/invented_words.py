"""Invented names and words, drawn from a keyed hash: what surrogates are made of.

They sound like family and place names but are nobody's on purpose: real ones would be too few for
every value to get its own (20 000 people on 690 000 real names collide 285 times), and a reader
could take a surrogate for a person who exists. Given names are real (given_names.txt), so that
gender stays readable. Another order of any list here is another set of surrogates for everybody.
"""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Literal

_ONSETS = "B Br C Cl Cr D Dr F Fl G Gr H J K Kr L M N P Pr R S Sh St T Tr Th V W Wh Y Z".split()  # noqa: SIM905
_VOWELS = "a e i o u ea".split()  # noqa: SIM905
_CODAS = "l m n r s d k ll nn rn ld st".split()  # noqa: SIM905
_ENDINGS = (  # noqa: SIM905
    "ford ton ley wood wick dale field gate more mere stead stow thorpe worth brook burn bury by "
    "combe cote den don fell ham hurst lock low man mouth ness over pool port ridge shaw side "
    "sley stone street wald wall ward water way well wyn yard mann berg stein bach feld heim hoff "
    "haus horst kamp reich rode thal winkel sen son sten strom gren vik lund quist ino etti elli "
    "ucci ardo ano esco este era illo ado uela ina osa ari ault eau elle ere et ier ieux in ois "
    "on oux ville court mont val ski wicz ak ek ov enko yan ian oglu poulos akis iou ade ane ara "
    "ema enda erin eth idge imer ing inger iston orne ova uth"
).split()
WORDS = len(_ONSETS) * len(_VOWELS) * len(_CODAS) * len(_ENDINGS)  # about 2 ** 18

Gender = Literal["female", "male"]


class Draw:
    """A keyed hash, spent piece by piece; 256 bits last for everything drawn here."""

    def __init__(self, digest: bytes) -> None:
        self._rest = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        self._rest, drawn = divmod(self._rest, limit)
        return drawn

    def word(self) -> str:
        """One of WORDS capitalised words."""
        place = self.below(WORDS)
        place, ending = divmod(place, len(_ENDINGS))
        place, coda = divmod(place, len(_CODAS))
        onset, vowel = divmod(place, len(_VOWELS))
        return _ONSETS[onset] + _VOWELS[vowel] + _CODAS[coda] + _ENDINGS[ending]

    def digits(self, number: int) -> str:
        return f"{self.below(10**number):0{number}d}"

    def letters(self, alphabet: str, number: int) -> str:
        return "".join(alphabet[self.below(len(alphabet))] for _ in range(number))

    def given_name(self, gender: Gender | None) -> str:
        pool = given_names()[gender] if gender else _all_given_names()
        return pool[self.below(len(pool))]


@cache
def given_names() -> dict[Gender, tuple[str, ...]]:
    text = Path(__file__).with_name("given_names.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    border = lines.index("male")
    return {
        "female": tuple(" ".join(lines[1:border]).split()),
        "male": tuple(" ".join(lines[border + 1 :]).split()),
    }


@cache
def _all_given_names() -> tuple[str, ...]:
    return (*given_names()["female"], *given_names()["male"])


@cache
def _genders() -> dict[str, Gender]:
    return {fold(name): gender for gender, names in given_names().items() for name in names}


def gender_of(given_name: str) -> Gender | None:
    """Of a folded given name that is in the list; None for others."""
    return _genders().get(given_name)


def fold(name: str) -> str:
    """Lower case without accents, apostrophes and hyphens."""
    plain = name.casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
    return plain if plain.isalnum() else "".join(char for char in plain if char.isalnum())
