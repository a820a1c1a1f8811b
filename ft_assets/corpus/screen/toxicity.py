"""How offensive or harmful a text is: word lists, patterns of requests, and a trained linear model.

The model (toxic_model.py) is linear over words of 200,000 labelled comments in English. It takes
anatomy and criminal law for abuse, so their words are hidden from it; and sexual words of the lists
do not count in a text with several words of a consultation, a ruling or a contract. An expletive
alone is how angry customers speak: it counts when it is aimed at somebody or comes with another.
Not found: abuse without any marked word, hints, irony; outside English, German, French, Spanish,
Italian and Portuguese nothing but what the lists share.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

import re2

from ft_assets.corpus.screen import toxic_terms as terms
from ft_assets.corpus.screen.toxic_model import toxic_model

MAX_CHARS = 4_000  # of each end: abuse stands at the beginning or the end of a long text
PROFESSIONAL_WORDS = 4  # different words of medicine or law that make a text professional
SLUR, HARM, VULGAR, AIMED = 1.0, 0.95, 0.9, 0.9
_FOLD = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "0": "o",
        "1": "i",
        "3": "e",
        "4": "a",
        "5": "s",
        "@": "a",
        "$": "s",
    }
)
_LEET = re.compile(r"[a-z][013457@$]+[a-z]|[@$][a-z]{2}")
_MASKED = re.compile(r"([a-z])[*#.\-_]{1,3}(?=[a-z*])")
_CLINICAL = re.compile(rf"\b(?:{terms.CLINICAL})\b")
_EXPLETIVE = re.compile(rf"\b(?:{terms.EXPLETIVES})\b")
_PROFESSIONAL = re.compile(rf"\b(?:{terms.PROFESSIONAL})\b")


def toxicity(texts: Sequence[str]) -> list[float]:
    """Per text 0 (harmless) to 1; texts are scored together because the model is quicker so."""
    folded = [_fold(text) for text in texts]
    listed = [_listed(text) for text in folded]
    # The model is asked only where the lists leave the question open.
    asked = [index for index, score in enumerate(listed) if score < SLUR and folded[index]]
    trained = dict(zip(asked, _trained([folded[index] for index in asked]), strict=True))
    return [max(score, trained.get(index, 0.0)) for index, score in enumerate(listed)]


def _fold(text: str) -> str:
    if len(text) > 2 * MAX_CHARS:
        text = text[:MAX_CHARS] + "\n" + text[-MAX_CHARS:]
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    return text


def _listed(text: str) -> float:
    score = _worst(text)
    if score < SLUR and _LEET.search(text):
        score = max(score, _worst(text.translate(_FOLD)))
    return score


def _worst(text: str) -> float:
    slur, harm, contraband, prescribed, vulgar, sexual, aimed = _patterns()
    if slur.search(text):
        return SLUR
    if harm.search(text) or (contraband.search(text) and not prescribed.search(text)):
        return HARM
    if (vulgar.search(text) or sexual.search(text)) and not _professional(text):
        return VULGAR
    return AIMED if aimed.search(text) else 0.0


def _professional(text: str) -> bool:
    return len({match[0] for match in _PROFESSIONAL.finditer(text)}) >= PROFESSIONAL_WORDS


def _trained(texts: Sequence[str]) -> list[float]:
    if not texts:
        return []
    neutral = [_EXPLETIVE.sub("very", _CLINICAL.sub("something", text)) for text in texts]
    return toxic_model().scores(neutral)


@cache
def _patterns() -> tuple[Any, ...]:
    options = re2.Options()
    options.max_mem = 64 << 20
    options.log_errors = False
    patterns = (
        rf"\b(?:{terms.SLURS})\b",
        "|".join(terms.HARM),
        terms.CONTRABAND,
        terms.PRESCRIBED,
        rf"\b(?:{terms.VULGAR})\b",
        terms.SEXUAL,
        "|".join(terms.AIMED),
    )
    return tuple(re2.compile(pattern, options) for pattern in patterns)
