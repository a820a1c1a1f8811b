"""Find training rows that give away an evaluation row.

A row overlaps when it has the prompt of an evaluation row (whatever its response), when
prompt + response are near duplicates, or when it contains the evaluation text or its answer. Much
stricter than deduplication on purpose: a lost training row costs little, a leaked evaluation row
makes every later comparison wrong. Not found: paraphrases, translations, and evaluation texts of
fewer than 8 words hidden inside a longer row.

Containment of word n-grams is after the appendix of the GPT-3 paper (arXiv 2005.14165): 8-grams.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import numpy as np

from ft_assets.corpus.dedup import NEAR_DUPLICATE_THRESHOLD
from ft_assets.corpus.shingles import (
    BANDS,
    band,
    fold,
    may_be_alike,
    shingle_views,
    signature,
    similarity,
    words,
)

NGRAM = 8  # words
CONTAINED_SHARE = 0.8  # of the evaluation text's n-grams
# Shorter answers are common phrases ("yes, your transfer has been made") that prove nothing.
ANSWER_WORDS = 25

Ngram = tuple[str, ...]


class Rule(StrEnum):
    SAME_PROMPT = "same_prompt"
    NEAR_DUPLICATE = "near_duplicate"
    CONTAINS_TEXT = "contains_text"
    CONTAINS_ANSWER = "contains_answer"


@dataclass(frozen=True, slots=True)
class Overlap:
    rule: Rule
    eval_id: str


@dataclass(frozen=True, slots=True)
class EvalText:
    key: str
    prompt: str
    response: str


@dataclass(frozen=True, slots=True)
class _Part:
    index: int  # of the evaluation row
    ngrams: frozenset[Ngram]
    rule: Rule

    @property
    def wanted(self) -> int:
        # Less the rounding of the product, so that 4 of 5 are enough.
        return math.ceil(CONTAINED_SHARE * len(self.ngrams) - 1e-9)


class EvalIndex:
    """Evaluation rows, searchable by overlap at a cost that hardly depends on their number."""

    def __init__(
        self, texts: Iterable[EvalText], threshold: float = NEAR_DUPLICATE_THRESHOLD
    ) -> None:
        self._threshold = threshold
        self._texts = sorted(texts, key=lambda text: text.key)
        self._prompts: dict[str, int] = {}
        self._views: list[dict[str, frozenset[str]]] = []
        self._signatures: list[dict[str, np.ndarray]] = []
        self._buckets: dict[tuple[str, int, bytes], list[int]] = defaultdict(list)
        self._parts: list[_Part] = []
        self._rare: dict[Ngram, list[int]] = defaultdict(list)  # -> parts

        for index, text in enumerate(self._texts):
            prompt, response = words(text.prompt), words(text.response)
            self._prompts.setdefault(prompt_key(text.prompt), index)
            views = shingle_views(prompt + response)
            signed = {view: signature(shingles) for view, shingles in views.items()}
            self._views.append(views)
            self._signatures.append(signed)
            for view, values in signed.items():
                for number in range(BANDS):
                    self._buckets[view, number, band(values, number)].append(index)
            self._add_part(index, prompt + response, Rule.CONTAINS_TEXT)
            if len(response) >= ANSWER_WORDS:
                self._add_part(index, response, Rule.CONTAINS_ANSWER)
        self._index_parts()

    def overlap(self, prompt: str, response: str) -> Overlap | None:
        """Return the first rule that the row breaks, with the evaluation row; None when clean."""
        same = self._prompts.get(prompt_key(prompt))
        if same is not None:
            return Overlap(Rule.SAME_PROMPT, self._texts[same].key)
        tokens = words(prompt) + words(response)
        return self._near(shingle_views(tokens)) or self._contained(tokens)

    def _add_part(self, index: int, tokens: list[str], rule: Rule) -> None:
        if ngrams := _ngrams(tokens):
            self._parts.append(_Part(index, ngrams, rule))

    def _index_parts(self) -> None:
        """Index a part under its rarest n-grams alone: whoever holds the wanted share of all has
        one of these, and common phrases, which half of the rows hold, propose nothing."""
        frequency = Counter(chain.from_iterable(part.ngrams for part in self._parts))
        for place, part in enumerate(self._parts):
            rarest = sorted(part.ngrams, key=lambda ngram: (frequency[ngram], ngram))
            for ngram in rarest[: len(rarest) - part.wanted + 1]:
                self._rare[ngram].append(place)

    def _near(self, views: dict[str, frozenset[str]]) -> Overlap | None:
        for view, shingles in views.items():
            values = signature(shingles)
            candidates = {
                index
                for number in range(BANDS)
                for index in self._buckets.get((view, number, band(values, number)), ())
            }
            for index in sorted(candidates):
                if (
                    may_be_alike(values, self._signatures[index][view], self._threshold)
                    and similarity(views, self._views[index]) >= self._threshold
                ):
                    return Overlap(Rule.NEAR_DUPLICATE, self._texts[index].key)
        return None

    def _contained(self, tokens: list[str]) -> Overlap | None:
        ngrams = _ngrams(tokens)
        candidates = {place for ngram in ngrams for place in self._rare.get(ngram, ())}
        for place in sorted(candidates):
            part = self._parts[place]
            if len(ngrams & part.ngrams) >= part.wanted:
                return Overlap(part.rule, self._texts[part.index].key)
        return None


def prompt_key(prompt: str) -> str:
    """Equal for prompts that differ in case, spacing and punctuation alone."""
    return " ".join(words(prompt)) or fold(prompt)


def _ngrams(tokens: list[str]) -> frozenset[Ngram]:
    return frozenset(zip(*(tokens[i:] for i in range(NGRAM)), strict=False))
