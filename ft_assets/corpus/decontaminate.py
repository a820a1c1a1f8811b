"""Find training rows that give away an evaluation row.

A row overlaps when it has the prompt of an evaluation row (whatever its response), when prompt +
response are near duplicates, or when it contains the evaluation text or its answer. Much stricter
than deduplication on purpose: a lost training row costs little, a leaked evaluation row makes every
later comparison wrong. Not found: paraphrases, translations, and evaluation texts of fewer than 8
words hidden inside a longer row.

Containment of word n-grams is after the appendix of the GPT-3 paper (arXiv 2005.14165): 8-grams.
Nothing here reads a text: rows are handed in as fingerprints, which are kept from week to week.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ft_assets.corpus.fingerprints import VIEWS, Details, Fingerprints, joined_sets
from ft_assets.corpus.near_copies import NEAR_DUPLICATE_THRESHOLD
from ft_assets.corpus.shingles import Sets, fold, shared_counts, words

CONTAINED_SHARE = 0.8  # of the evaluation text's n-grams
ESTIMATE_MARGIN = 0.2  # below the threshold; pairs estimated lower are not compared
PAIRS_AT_ONCE = 4_000


class Rule(StrEnum):
    SAME_PROMPT = "same_prompt"
    NEAR_DUPLICATE = "near_duplicate"
    CONTAINS_TEXT = "contains_text"
    CONTAINS_ANSWER = "contains_answer"


RULES = tuple(Rule)


@dataclass(frozen=True)
class Overlaps:
    """Per row the first rule it breaks and the evaluation row, both -1 when clean."""

    rules: np.ndarray  # int8, place in RULES
    rows: np.ndarray  # int64, of the index

    @property
    def found(self) -> np.ndarray:
        return self.rules >= 0


class EvalIndex:
    """Evaluation rows, searchable by overlap at a cost that hardly depends on their number."""

    def __init__(self, rows: Fingerprints, threshold: float = NEAR_DUPLICATE_THRESHOLD) -> None:
        self.keys = rows.keys
        self._threshold = threshold
        # Of several evaluation rows that fit, the one with the smallest key is named.
        order = np.argsort(rows.keys, kind="stable")
        prompts, first = np.unique(rows.prompts[order], return_index=True)
        self._prompts, self._of_prompt = prompts, order[first]
        flat = rows.bands.ravel()
        by_key = np.argsort(flat, kind="stable")
        self._bands = _Lookup(flat[by_key])
        self._of_band = np.repeat(rows.entry_rows, rows.bands.shape[1])[by_key]
        self._details = rows.details() if len(rows) else None
        self._index_parts(rows)

    def overlaps(self, rows: Fingerprints, asked: np.ndarray | None = None) -> Overlaps:
        """Look up every row, or only those for which `asked` is true."""
        asked = np.ones(len(rows), bool) if asked is None else asked
        rules, found = np.full(len(rows), -1, np.int8), np.full(len(rows), -1)
        if not len(self.keys) or not asked.any():
            return Overlaps(rules, found)
        at = np.searchsorted(self._prompts, rows.prompts).clip(max=len(self._prompts) - 1)
        same = asked & (self._prompts[at] == rows.prompts) & (rows.prompts != 0)
        rules[same], found[same] = RULES.index(Rule.SAME_PROMPT), self._of_prompt[at[same]]
        for rule, pairs in (
            (Rule.NEAR_DUPLICATE, self._near),
            (Rule.CONTAINS_TEXT, self._contained),
        ):
            one, other, kind = pairs(rows, asked & (rules < 0))
            rules[one[::-1]] = RULES.index(rule) + kind[::-1]
            found[one[::-1]] = other[::-1]
        return Overlaps(rules, found)

    def _near(self, rows: Fingerprints, asked: np.ndarray) -> tuple[np.ndarray, ...]:
        entries = np.flatnonzero(asked[rows.entry_rows])
        one, at = self._bands.matches(rows.bands[entries].ravel())
        if not len(one):
            return one, one, one
        owner = np.repeat(rows.entry_rows[entries], rows.bands.shape[1])[one]
        one, other = self._sorted(owner, self._of_band[at])
        alike = np.zeros(len(one), bool)
        details = rows.details()
        for begin in range(0, len(one), PAIRS_AT_ONCE):
            part = np.arange(begin, min(begin + PAIRS_AT_ONCE, len(one)))
            guess = self._similarity(details, one[part], other[part], estimated=True)
            part = part[guess >= self._threshold - ESTIMATE_MARGIN]
            alike[part] = self._similarity(details, one[part], other[part]) >= self._threshold
        return one[alike], other[alike], np.zeros(int(alike.sum()), np.int8)

    def _similarity(
        self, details: Details, one: np.ndarray, other: np.ndarray, estimated: bool = False
    ) -> np.ndarray:
        """Jaccard of prompt and response together, each in the view in which it is more alike.

        Estimated from the signatures it has a standard deviation of 0.05 at .8.
        """
        mine = self._details
        if mine is None or details.sets.keys() != mine.sets.keys():
            return np.zeros(len(one))
        shared, union = np.zeros(len(one)), np.zeros(len(one))
        for part in sorted({name.rsplit("_", 1)[0] for name in mine.sets}):
            best, best_union = np.zeros(len(one)), np.ones(len(one))
            for view in VIEWS:
                name = f"{part}_{view}"
                left, right = details.sets[name], mine.sets[name]
                ones, others = _place(left, one), _place(right, other)
                both = np.flatnonzero((ones >= 0) & (others >= 0))
                ones, others = ones[both], others[both]
                sizes = left.sizes()[ones] + right.sizes()[others]
                if estimated:
                    agree = details.signatures[name][ones] == mine.signatures[name][others]
                    share = agree.mean(axis=1)
                    common = sizes * share / (1 + share)
                else:
                    common = shared_counts(left, ones, right, others)
                whole = sizes - common
                better = common * best_union[both] >= best[both] * whole
                best[both[better]], best_union[both[better]] = common[better], whole[better]
            shared, union = shared + best, union + best_union
        return shared / union

    def _index_parts(self, rows: Fingerprints) -> None:
        """Index a part under its rarest n-grams alone: whoever holds the wanted share of all has
        one of these, and common phrases, which half of the rows hold, propose nothing."""
        grams = rows.grams()
        parts = joined_sets([grams.whole, grams.answer], [0, 0])
        self._parts = parts
        self._kinds = np.repeat([0, 1], [len(grams.whole.rows), len(grams.answer.rows)])
        sizes = parts.sizes()
        # Less the rounding of the product, so that 4 of 5 are enough.
        self._wanted = np.ceil(CONTAINED_SHARE * sizes - 1e-9).astype(np.int64)
        owner = np.repeat(np.arange(len(sizes)), sizes)
        _, which, counts = np.unique(parts.values, return_inverse=True, return_counts=True)
        order = np.lexsort((parts.values, counts[which], owner))
        nth = np.arange(len(owner)) - np.repeat(parts.offsets[:-1], sizes)
        rare = order[nth < np.repeat(sizes - self._wanted + 1, sizes)]
        by_value = rare[np.argsort(parts.values[rare], kind="stable")]
        self._rare, self._of_rare = _Lookup(parts.values[by_value]), owner[by_value]

    def _contained(self, rows: Fingerprints, asked: np.ndarray) -> tuple[np.ndarray, ...]:
        whole = rows.grams().whole
        sizes = whole.sizes()
        kept = np.flatnonzero(np.repeat(asked[whole.rows], sizes))
        hit, at = self._rare.matches(whole.values[kept])
        owner = np.searchsorted(whole.offsets, kept[hit], side="right") - 1  # place in `whole`
        pairs = np.unique(owner * (len(self._kinds) + 1) + self._of_rare[at])
        places, parts = pairs // (len(self._kinds) + 1), pairs % (len(self._kinds) + 1)
        enough = np.zeros(len(places), bool)
        for begin in range(0, len(places), PAIRS_AT_ONCE):
            part = slice(begin, begin + PAIRS_AT_ONCE)
            common = shared_counts(whole, places[part], self._parts, parts[part])
            enough[part] = common >= self._wanted[parts[part]]
        one, part = whole.rows[places[enough]].astype(np.int64), parts[enough]
        other, kind = self._parts.rows[part].astype(np.int64), self._kinds[part].astype(np.int8)
        order = np.lexsort((self.keys[other], kind, one))
        return one[order], other[order], kind[order]

    def _sorted(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = np.unique(one.astype(np.int64) * len(self.keys) + other)
        one, other = pairs // len(self.keys), pairs % len(self.keys)
        order = np.lexsort((self.keys[other], one))
        return one[order], other[order]


def prompt_key(prompt: str) -> str:
    """Equal for prompts that differ in case, spacing and punctuation alone."""
    return " ".join(words(prompt)) or fold(prompt)


class _Lookup:
    """Sorted values, and a table of some of their bits that tells at once what is not there."""

    def __init__(self, ordered: np.ndarray) -> None:
        self._ordered = ordered
        size = max(16, len(ordered).bit_length() + 5)
        self._mask = np.uint64((1 << size) - 1)
        self._maybe = np.zeros(1 << size, bool)
        self._maybe[ordered & self._mask] = True

    def matches(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place in `values`, place in the sorted ones) of all equal pairs."""
        likely = np.flatnonzero(self._maybe[values & self._mask])
        begin = np.searchsorted(self._ordered, values[likely], side="left")
        count = np.searchsorted(self._ordered, values[likely], side="right") - begin
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(likely, count), np.repeat(begin, count) + within


def _place(sets: Sets, rows: np.ndarray) -> np.ndarray:
    """Place of the set of each row, -1 for a row without one."""
    if not len(sets.rows):
        return np.full(len(rows), -1)
    at = np.searchsorted(sets.rows, rows).clip(max=len(sets.rows) - 1)
    return np.where(sets.rows[at] == rows, at, -1)
