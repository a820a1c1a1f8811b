"""A linear model of abusive comments, as numbers in a safetensors file.

The weights are those of alt-profanity-check 1.9.1 (MIT; a linear SVM over TF-IDF of words, Victor
Zhou 2019, trained on 200,000 labelled comments in English). They are distributed as a pickle, which
can run code when it is read, so `tests/convert_toxic_model.py` wrote them out once; the scores are
the same. Words that the comments hardly had weigh nothing.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

FILE = Path(__file__).with_name("toxic_model.safetensors")
_WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True)
class ToxicModel:
    words: dict[str, int]  # place of each
    idf: np.ndarray  # float32 [words]
    weights: np.ndarray  # float32 [models, words]
    intercepts: np.ndarray  # float32 [models]
    slopes: np.ndarray  # float32 [models], of Platt's sigmoid
    offsets: np.ndarray  # the same

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Per text the mean probability of abuse over the models, 0 to 1; case plays no part."""
        return [self._score(text) for text in texts]

    def _score(self, text: str) -> float:
        found = (self.words.get(word) for word in _WORD.findall(text.lower()))
        counts = Counter(place for place in found if place is not None)
        places = np.fromiter(counts, np.int64, len(counts))
        values = np.fromiter(counts.values(), np.float64, len(counts)) * self.idf[places]
        length = np.sqrt((values**2).sum()) or 1.0
        margins = self.weights[:, places] @ (values / length) + self.intercepts
        return float((1 / (1 + np.exp(self.slopes * margins + self.offsets))).mean())


@cache
def toxic_model() -> ToxicModel:
    arrays = load_file(FILE)
    words = bytes(arrays.pop("words")).decode().split("\n")
    return ToxicModel({word: place for place, word in enumerate(words)}, **arrays)
