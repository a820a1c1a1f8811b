"""Compare texts by the pieces they are made of: folding, words, shingles, Jaccard, MinHash.

Texts are compared in "views": short ones by characters, longer ones by words, those between by
both. Similarity is that of the sets of shingles: how often or in what order they come is not seen.
MinHash (Broder 1997) signatures are by rensa; a signature only proposes pairs, the sets decide.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from rensa import RMinHash  # ty: ignore[missing-module-member]  (compiled, no stubs)

PERMUTATIONS = 128
BANDS, ROWS = 21, 6  # proposes a pair at Jaccard .8 with 1 - (1 - .8**6)**21 = .998
SEED = 1
# A pair is not looked at when its estimated Jaccard is this far below the threshold: 3.4 standard
# deviations (sqrt(.8 * .2 / 128)) at .8, so it loses 1 true pair in 3,000 and saves most work.
ESTIMATE_MARGIN = 0.12

WORD_SHINGLE = 5
CHAR_SHINGLE = 3
# One changed word takes 5 of a short text's few word 5-grams, so short texts are compared by
# characters. The ranges overlap because a pair on either side of one border would share no
# shingle: texts alike at .8 differ in length by a quarter at most, and 84 / 64 is more than that.
CHARS_UP_TO_WORDS = 84
WORDS_FROM_WORDS = 64

# Chinese, Japanese and Korean have no spaces: each character is a word there.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")


def fold(text: str) -> str:
    """Text without differences of case, width and spacing; punctuation stays."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    return _WORD.findall(fold(text))


def pair_digest(prompt: str, response: str) -> str:
    return hashlib.sha256(f"{fold(prompt)}\0{fold(response)}".encode()).hexdigest()


def shingle_views(tokens: Sequence[str]) -> dict[str, frozenset[str]]:
    """Shingles by view; two texts can be compared in the views that both have."""
    views = {}
    if len(tokens) <= CHARS_UP_TO_WORDS:
        text = " ".join(tokens)
        views["chars"] = frozenset(
            text[i : i + CHAR_SHINGLE] for i in range(max(1, len(text) - CHAR_SHINGLE + 1))
        )
    if len(tokens) >= WORDS_FROM_WORDS:
        columns = (tokens[i:] for i in range(WORD_SHINGLE))
        views["words"] = frozenset(map(" ".join, zip(*columns, strict=False)))
    return views


def similarity(one: dict[str, frozenset[str]], other: dict[str, frozenset[str]]) -> float:
    """Largest Jaccard over the views that both have; 0 without a common view."""
    return max((_jaccard(one[view], other[view]) for view in one.keys() & other.keys()), default=0)


def signature(shingles: frozenset[str]) -> np.ndarray:
    """Return the MinHash, uint32 [PERMUTATIONS]; the order of the set has no part in it."""
    minhash = RMinHash(num_perm=PERMUTATIONS, seed=SEED)
    minhash.update(list(shingles))
    return np.array(minhash.digest(), dtype=np.uint32)


def band(signed: np.ndarray, number: int) -> bytes:
    """Texts that share a band (0 to BANDS - 1) may be alike."""
    return signed[number * ROWS : (number + 1) * ROWS].tobytes()


def may_be_alike(one: np.ndarray, other: np.ndarray, threshold: float) -> bool:
    return int(np.count_nonzero(one == other)) >= (threshold - ESTIMATE_MARGIN) * PERMUTATIONS


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
