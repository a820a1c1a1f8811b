"""Texts without words: repeated characters or phrases, keyboard mashing.

Scores look at shape alone, so they hold for any alphabet, except the test of consonants, which is
for Latin letters. Tables, genomes and product codes have long runs too: they stay below the limit
because only letters are judged and a run must make up most of the text.
"""

import re
import zlib
from collections import Counter

MIN_CHARS = 12
REPEATED_FROM_CHARS = 400  # shorter texts do not compress
REPEATED_RATIO = 0.05  # compressed to this share there is one phrase, over and over; prose has .3
_RUN = re.compile(r"([^\W_])\1{7,}")
_PATTERN = re.compile(r"([^\W_]{2,6}?)\1{5,}", re.IGNORECASE)
_LATIN_WORD = re.compile(r"(?<![\w-])[a-z]{4,}(?![\w-])")
_VOWELS = re.compile("[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüœ]")
_CONSONANTS = re.compile("[bcdfghjklmnpqrstvwxz]{6,}")
_MASH = re.compile("asdf|sdfg|dfgh|fghj|ghjk|hjkl|qwert|werty|zxcv|xcvb|lkjh|poiu|uiop")


def gibberish(text: str) -> float:
    """Share, 0 to 1, of the text that is no language."""
    if len(text) < MIN_CHARS:
        return 0.0
    size = len("".join(text.split()))
    runs = sum(len(m[0]) for m in _RUN.finditer(text)) / size
    patterns = sum(len(m[0]) for m in _PATTERN.finditer(text[:5_000])) / min(size, 5_000)
    return max(runs, min(1.0, patterns), _repeated(text), _dominated(text), _mashed(text))


def _repeated(text: str) -> float:
    if len(text) < REPEATED_FROM_CHARS:
        return 0.0
    data = text[:20_000].encode("utf-8", "replace")
    return 1.0 if len(zlib.compress(data, 6)) <= REPEATED_RATIO * len(data) else 0.0


def _dominated(text: str) -> float:
    """Share of the most frequent word; only in texts of 12 words or more."""
    words = [word for word in text.casefold().split() if any(map(str.isalpha, word))]
    if len(words) < 12:
        return 0.0
    return Counter(words).most_common(1)[0][1] / len(words)


def _mashed(text: str) -> float:
    """Share of the Latin words in lower case, of 4 letters and more, that cannot be spoken."""
    words = _LATIN_WORD.findall(text[:5_000])
    # Short words and capitals are left out: "HTTP", "MRSA" and "pct" are no mashing.
    if sum(map(len, words)) < max(10, len(text) // 3):
        return 0.0
    bad = sum(
        not _VOWELS.search(word) or bool(_CONSONANTS.search(word)) or bool(_MASH.search(word))
        for word in words
    )
    return bad / len(words)
