"""The network of the tagger, as arithmetic on arrays: what runs wherever text is anonymized.

A token is the sum of the rows of its hashed features (tokens.py), of whether it touches the token
before it, and of what patterns say of it; layers of dilated convolution over three places each
(Strubell et al. 2017, arXiv:1702.02098) let it see its neighbours; the last gives a probability per
label. numpy alone, so that masking text does not load a learning library; train.py learns the
weights with torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ft_assets.corpus.tagger.tokens import features

Array = np.ndarray

DILATIONS = (1, 1, 2, 4)
REACH = sum(DILATIONS)  # places on either side that a token sees
_KEPT = 100_000  # tokens whose vectors are kept


@dataclass(frozen=True)
class Sentence:
    """The tokens of one text: strings, whether each touches the one before it, pattern numbers."""

    tokens: Sequence[str]
    glued: Array  # bool [n]
    patterns: Array  # int [n], 0: none


class Network:
    """`weights`: table [rows, width], glued [width], patterns [numbers, width], for each layer
    `layer{i}` [3 * width, width] and `bias{i}` [width], output [width, labels], output_bias.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        width = self._weights["table"].shape[1]
        self._numbers: dict[str, int] = {}
        self._vectors = np.zeros((1024, width), np.float32)

    def probabilities(self, texts: Sequence[Sentence]) -> list[Array]:
        """For each text float32 [tokens, labels]; a text does not depend on the others."""
        if len(self._numbers) > _KEPT:
            self._numbers.clear()
        sizes = [len(text.tokens) for text in texts]
        gap = max(DILATIONS)
        length = sum(sizes) + gap * (len(texts) + 1)
        number_of = self._number_of
        numbers = np.zeros(length, np.int64)
        glued = np.zeros(length, bool)
        patterns = np.zeros(length, np.int64)
        real = np.zeros((length, 1), np.float32)
        places, place = [], gap
        for text, size in zip(texts, sizes, strict=True):
            there = slice(place, place + size)
            numbers[there] = [number_of(token) for token in text.tokens]
            glued[there], patterns[there], real[there] = text.glued, text.patterns, 1
            places.append(there)
            place += size + gap
        weights = self._weights
        state = self._vectors[numbers]
        state[glued] += weights["glued"]
        state += weights["patterns"][patterns]
        state *= real
        for layer, dilation in enumerate(DILATIONS):
            matrix, width = weights[f"layer{layer}"], state.shape[1]
            left, middle, right = matrix[:width], matrix[width : 2 * width], matrix[2 * width :]
            update = state @ middle
            update[dilation:] += state[:-dilation] @ left
            update[:-dilation] += state[dilation:] @ right
            update += weights[f"bias{layer}"]
            np.maximum(update, 0, out=update)
            update *= real
            state += update
        logits = state @ weights["output"] + weights["output_bias"]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return [logits[there] for there in places]

    def _number_of(self, token: str) -> int:
        number = self._numbers.get(token)
        if number is None:
            number = len(self._numbers)
            if number == len(self._vectors):
                self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
            self._vectors[number] = self._vector(token)
            self._numbers[token] = number
        return number

    def _vector(self, token: str) -> Array:
        named, like = features(token)
        return self._weights["table"][[*named, *like]].sum(axis=0) / np.float32(
            np.sqrt(len(named) + len(like))
        )
