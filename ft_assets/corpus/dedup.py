"""Find rows that say the same thing: exact copies, and near copies by MinHash and Jaccard.

Two rows are near duplicates when prompt + response agree at the threshold AND the responses alone
do. The second half matters: ten questions about one long table differ in a few words of a prompt of
hundreds, and the same question may have two answers; neither is a copy. The result does not depend
on the order of the rows, but a cluster is a chain: its ends may be less alike than the threshold.

The bands are grouped here rather than in rensa's LSH index because all members of a bucket are
needed at once, to skip the pairs that are already connected.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from ft_assets.corpus.shingles import (
    BANDS,
    band,
    may_be_alike,
    pair_digest,
    shingle_views,
    signature,
    similarity,
    words,
)

NEAR_DUPLICATE_THRESHOLD = 0.8  # Jaccard of the shingles, 0 to 1


class Role(StrEnum):
    REPRESENTATIVE = "representative"
    EXACT = "exact_duplicate"
    NEAR = "near_duplicate"


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    prompt: str  # may be "" (documents)
    response: str
    rank: tuple[int, str] = (0, "")  # the smallest (rank, key) represents its cluster


@dataclass(frozen=True, slots=True)
class Membership:
    cluster: str  # key of the representative
    role: Role


def find_duplicates(
    entries: Sequence[Entry], threshold: float = NEAR_DUPLICATE_THRESHOLD
) -> list[Membership]:
    """Return, per entry, the cluster and whether the entry is its representative or a copy.

    A near copy's own exact copies are called exact duplicates. Paraphrases are not found, nor
    copies cut to less than the threshold, nor words in scripts without spaces other than CJK.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
    digests = [pair_digest(entry.prompt, entry.response) for entry in entries]
    ranking = sorted(
        range(len(entries)), key=lambda i: (entries[i].rank, entries[i].key, digests[i])
    )
    first: dict[str, int] = {}  # digest -> place among the heads
    heads: list[int] = []
    for index in ranking:
        if digests[index] not in first:
            first[digests[index]] = len(heads)
            heads.append(index)

    near = _near_components([entries[i] for i in heads], threshold)
    result = []
    for index, digest in enumerate(digests):
        head = first[digest]
        root = near.find(head)
        role = Role.REPRESENTATIVE if head == root else Role.NEAR
        result.append(
            Membership(entries[heads[root]].key, role if heads[head] == index else Role.EXACT)
        )
    return result


class _Components:
    """Union-find over 0..n-1; the smallest index is the root, so roots are order-free."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def connected(self, items: Sequence[int]) -> bool:
        root = self.find(items[0])
        return all(self.find(item) == root for item in items)


def _near_components(entries: Sequence[Entry], threshold: float) -> _Components:
    """Components of `entries`; the root is the first entry of each."""
    responses = [words(entry.response) for entry in entries]
    together = [words(e.prompt) + response for e, response in zip(entries, responses, strict=True)]
    components = _Components(len(entries))

    @lru_cache(maxsize=10_000)
    def views(index: int) -> dict[str, frozenset[str]]:
        return shingle_views(together[index])

    @lru_cache(maxsize=10_000)
    def response_views(index: int) -> dict[str, frozenset[str]]:
        return shingle_views(responses[index])

    for signed in _signatures(together):
        seen: set[tuple[int, int]] = set()  # pairs meet in several bands; compare them once
        for bucket in _buckets(signed):
            for place, one in enumerate(bucket):
                if components.connected(bucket):  # thousands of copies of one text soon are
                    break
                for other in bucket[place + 1 :]:
                    if (one, other) in seen or components.find(one) == components.find(other):
                        continue
                    seen.add((one, other))
                    if (
                        may_be_alike(signed[one], signed[other], threshold)
                        and similarity(response_views(one), response_views(other)) >= threshold
                        and similarity(views(one), views(other)) >= threshold
                    ):
                        components.join(one, other)
    return components


def _signatures(texts: Sequence[Sequence[str]]) -> list[dict[int, np.ndarray]]:
    """By view, the signature of every text that has it."""
    signatures: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for index, tokens in enumerate(texts):
        for view, shingles in shingle_views(tokens).items():
            signatures[view][index] = signature(shingles)
    return list(signatures.values())


def _buckets(signed: dict[int, np.ndarray]) -> Iterator[list[int]]:
    """Yield the lists of indexes, ascending, that share a band."""
    for number in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for index, values in signed.items():
            buckets[band(values, number)].append(index)
        yield from (bucket for bucket in buckets.values() if len(bucket) > 1)
