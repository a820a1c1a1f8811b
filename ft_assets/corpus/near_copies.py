"""Which pairs of rows are near copies: by their signatures, their shingles, then their words."""

from collections.abc import Iterable, Mapping

import numpy as np

from ft_assets.corpus.dedup_index import Index, Signed
from ft_assets.corpus.fingerprints import VIEWS
from ft_assets.corpus.same_facts import PROMPT_EXTRA, meaning, same_facts
from ft_assets.corpus.shingles import Sets, shared_counts

NEAR_DUPLICATE_THRESHOLD = 0.8  # Jaccard of the shingles, 0 to 1
# Prompts are alike when so many shingles at most are not common to both: a share of the union in
# a short prompt, a few edits (a changed word changes about 8 shingles of each view) in a long one.
# Wide, because the words decide.
# docs/decisions/0012-near-duplicate-index.md
PROMPT_SHARE = {"chars": 0.50, "words": 0.20}
PROMPT_EDITS = {"chars": 24, "words": 30}
PROMPT_GROWTH = 0.05  # of the union, added to the edits
# A line added to a short text, or a word less, takes more than a fifth of its shingles. Words that
# stand for each other make two short texts distinct, so this lets in no other record.
SHORT_TEXT_ALLOWANCE = 0.15
# Pairs whose signatures agree so much less than asked are not compared. 64 minima have a standard
# deviation of 0.05 at .8, so this loses 1 true pair in 30,000.
ESTIMATE_MARGIN = 0.2
# In longer responses and texts alone, one word is not what the text says.
SHORT_WORDS = 84
PAIRS_AT_ONCE = 4_000  # bounds the memory of a comparison to about 20 MB


def parents_of(index: Index, one: np.ndarray, other: np.ndarray, threshold: float) -> np.ndarray:
    """Per place the earliest row that it is a copy of, -1 for none."""
    parents = np.full(len(index.keys), -1)
    if not len(one):
        return parents
    left, right = index.numbers[one], index.numbers[other]
    same = (left == right) | (left == 0) | (right == 0)
    one, other = one[same], other[same]
    involved = np.unique(np.concatenate([one, other]))
    signed = index.signatures(involved)
    likely = _likely(
        signed, np.searchsorted(involved, one), np.searchsorted(involved, other), threshold
    )
    del signed
    one, other = one[likely], other[likely]
    involved = np.unique(np.concatenate([one, other]))
    compared = _Compared(index.sets(involved), len(involved), threshold)
    left, right = np.searchsorted(involved, one), np.searchsorted(involved, other)
    meanings = _Meanings(index)
    width = 1
    while len(one):
        # The earliest candidates of every row that has no parent yet; most find theirs at once.
        opens = np.append(True, one[1:] != one[:-1])
        starts = np.flatnonzero(opens)
        nth = np.arange(len(one)) - starts[np.cumsum(opens) - 1]
        now = np.flatnonzero(nth < width)
        alike = now[compared.alike(left[now], right[now])]
        alike = alike[meanings.same(one[alike], other[alike])]
        parents[one[alike][::-1]] = other[alike][::-1]  # the first of several is written last
        rest = (nth >= width) & (parents[one] < 0)
        one, other, left, right = one[rest], other[rest], left[rest], right[rest]
        width *= 4
    return parents


class _Meanings:
    """The words of rows that are alike, read once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._found: dict[int, tuple[list[str], list[str]]] = {}

    def same(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Which pairs of places say the same, as far as their texts are short enough to tell."""
        words = np.maximum(self._index.words[one], self._index.words[other])
        short = words[:, 1] <= SHORT_WORDS
        asked = np.flatnonzero(short | (words[:, 0] > 0))
        left, right = one[asked], other[asked]
        self._read(np.setdiff1d(np.concatenate([left, right]), list(self._found)))
        result = np.ones(len(one), bool)
        result[asked] = [
            self._same(*pair)
            for pair in zip(left.tolist(), right.tolist(), short[asked].tolist(), strict=True)
        ]
        return result

    def _read(self, places: np.ndarray) -> None:
        for place, (prompt, response) in self._index.texts(places).items():
            self._found[place] = (meaning(prompt), meaning(response))

    def _same(self, left: int, right: int, short: bool) -> bool:
        (asked, answered), (asked_other, answered_other) = self._found[left], self._found[right]
        if not same_facts(asked, asked_other, PROMPT_EXTRA):
            return False
        return not short or same_facts(answered, answered_other)


def _likely(
    signed: Mapping[str, Signed], left: np.ndarray, right: np.ndarray, threshold: float
) -> np.ndarray:
    """Which pairs are worth a comparison, by their signatures."""
    parts = _parts(signed)
    result = np.zeros(len(left), bool)
    for begin in range(0, len(left), PAIRS_AT_ONCE):
        pairs = slice(begin, begin + PAIRS_AT_ONCE)
        found = np.zeros((len(parts), len(left[pairs])), bool)
        for part, of_part in zip(parts, found, strict=True):
            for view in VIEWS:
                signatures = signed[f"{part}_{view}"]
                ones, others = signatures.places[left[pairs]], signatures.places[right[pairs]]
                both = np.flatnonzero((ones >= 0) & (others >= 0))
                same = signatures.minima[ones[both]] == signatures.minima[others[both]]
                wanted = _wanted(part, view, len(parts), threshold) - ESTIMATE_MARGIN
                of_part[both] |= same.sum(axis=1) >= wanted * same.shape[1]
        result[pairs] = found.all(axis=0)
    return result


def _parts(names: Iterable[str]) -> list[str]:
    return [part for part in ("prompt", "response") if f"{part}_chars" in names]


def _wanted(part: str, view: str, parts: int, threshold: float) -> float:
    """Similarity asked of a part in a view; of a prompt the least that may do."""
    if part == "prompt":
        return 1 - PROMPT_SHARE[view]
    return threshold - (SHORT_TEXT_ALLOWANCE if view == "chars" and parts == 1 else 0)


class _Compared:
    def __init__(self, sets: Mapping[str, Sets], count: int, threshold: float) -> None:
        self._sets, self._threshold = sets, threshold
        self._parts = _parts(sets)
        self._places = {}
        for name, found in sets.items():
            self._places[name] = np.full(count, -1)
            self._places[name][found.rows] = np.arange(len(found.rows))

    def alike(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        result = np.zeros(len(left), bool)
        for begin in range(0, len(left), PAIRS_AT_ONCE):
            part = np.arange(begin, min(begin + PAIRS_AT_ONCE, len(left)))
            for name in self._parts:
                part = part[self._alike(name, left[part], right[part])]
            result[part] = True
        return result

    def _alike(self, part: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        result = np.zeros(len(left), bool)
        for view in VIEWS:
            name = f"{part}_{view}"
            ones, others = self._places[name][left], self._places[name][right]
            both = np.flatnonzero((ones >= 0) & (others >= 0))
            if not len(both):
                continue
            ones, others, sets = ones[both], others[both], self._sets[name]
            shared = shared_counts(sets, ones, sets, others)
            union = sets.sizes()[ones] + sets.sizes()[others] - shared
            if part == "response":
                wanted = _wanted(part, view, len(self._parts), self._threshold)
                result[both] |= shared >= wanted * union
            else:
                edits = PROMPT_EDITS[view] + PROMPT_GROWTH * union
                allowed = np.minimum(PROMPT_SHARE[view] * union, edits)
                # A higher threshold asks more of the prompts too.
                allowed *= min(1.0, (1 - self._threshold) / (1 - NEAR_DUPLICATE_THRESHOLD))
                result[both] |= union - shared <= allowed
        return result
