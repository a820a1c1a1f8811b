"""The network of the tagger, as arithmetic on arrays: what runs wherever text is anonymized.

A token is the sum of the rows of its hashed features (tokens.py), of whether it touches the token
before it, and of what patterns say of it; layers of dilated convolution over three places each
(Strubell et al. 2017, arXiv:1702.02098) let it see its neighbours; the last gives a probability per
label. numpy alone, so that masking text does not load a learning library; train.py learns the
weights with torch.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from ft_assets.corpus.tagger.tokens import features

Array = np.ndarray

DILATIONS = (1, 2, 4)
REACH = sum(DILATIONS)  # places on either side that a token sees
_AT_ONCE = 4096  # tokens: bounds the memory, and what is at work stays in the caches
_KEPT = 100_000  # tokens whose vectors are kept


class _Vocabulary(dict[str, int]):
    """The place of each token's vector among those that were computed."""

    def __init__(self, table: Array) -> None:
        super().__init__()
        self._table = table
        self.vectors = np.zeros((1024, table.shape[1]), np.float32)

    def __missing__(self, token: str) -> int:
        number = len(self)
        if number == len(self.vectors):
            self.vectors = np.concatenate([self.vectors, np.zeros_like(self.vectors)])
        named, like = features(token)
        rows = [*named, *like]
        self.vectors[number] = self._table[rows].sum(axis=0) / np.float32(np.sqrt(len(rows)))
        self[token] = number
        return number


class Network:
    """`weights`: table [rows, width], glued [width], patterns [labels, width], for each layer
    `layer{i}` [3 * width, width] and `bias{i}` [width], output [width, labels], output_bias.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        known = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self._vocabulary = _Vocabulary(known["table"])
        self._glued, self._patterns = known["glued"], known["patterns"]
        self._output, self._output_bias = known["output"], known["output_bias"]
        # What a place gives to the one after it, to itself and to the one before it, side by side.
        self._layers = [
            (np.hstack(np.split(known[f"layer{n}"], 3)), known[f"bias{n}"], dilation)
            for n, dilation in enumerate(DILATIONS)
        ]

    def probabilities(
        self, tokens: Iterable[str], glued: Array, patterns: Array, real: Array
    ) -> Array:
        """float32 [n, labels] for n tokens: whether each touches the one before it (bool [n]),
        what patterns say of it (int [n], the number of a label), and whether it is part of a text
        (bool [n]). Texts are apart when max(DILATIONS) places between them are not.
        """
        if len(self._vocabulary) > _KEPT:
            self._vocabulary.clear()
        size = len(glued)
        numbers = np.fromiter(map(self._vocabulary.__getitem__, tokens), np.int64, size)
        parts = []
        for first in range(0, size, _AT_ONCE):
            start, end = max(0, first - REACH), min(size, first + _AT_ONCE + REACH)
            there = slice(start, end)
            part = self._some(numbers[there], glued[there], patterns[there], real[there])
            parts.append(part[first - start : first - start + _AT_ONCE])
        return np.concatenate(parts) if parts else np.zeros((0, len(self._output_bias)), np.float32)

    def _some(self, numbers: Array, glued: Array, patterns: Array, real: Array) -> Array:
        unreal = np.flatnonzero(~real)
        state = self._vocabulary.vectors[numbers]
        state[glued] += self._glued
        state += self._patterns[patterns]
        state[unreal] = 0
        width = state.shape[1]
        for matrix, bias, dilation in self._layers:
            given = state @ matrix
            update = given[:, width : 2 * width]
            update[dilation:] += given[:-dilation, :width]
            update[:-dilation] += given[dilation:, 2 * width :]
            update += bias
            np.maximum(update, 0, out=update)
            update[unreal] = 0
            state += update
        logits = state @ self._output
        logits += self._output_bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits
