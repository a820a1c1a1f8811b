"""Clusters of rows that say the same thing: exact copies, and near copies by MinHash and Jaccard.

Rows are taken in order of time. One that is a copy of an earlier row joins that row's cluster (of
several, the cluster of the earliest); any other row founds a cluster. So a row's cluster follows
from the rows before it alone: later rows never change it, clusters never merge, and a new week
costs what it compares, against an index of the weeks before. A row that is alike to rows of two
clusters joins the older one and ties nothing together. A cluster may be a chain: what joined it is
a copy of a member, not always of the founder.

Two rows are near copies when their responses agree at the threshold, their prompts differ in a few
edits only and name the same numbers, AND the words that carry meaning are the same (same_facts.py):
in prompts always, in responses and texts alone as far as they are short. Ten questions about one
long table, or with one stock answer, are not copies, nor is the same question with two answers or
the same template with another name. Not found: paraphrases, translations, copies cut to less than
the threshold, words in scripts without spaces but CJK.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa

from ft_assets.corpus.dedup_index import Index, among
from ft_assets.corpus.fingerprints import Fingerprints, fingerprint_pairs, fingerprint_texts
from ft_assets.corpus.near_copies import NEAR_DUPLICATE_THRESHOLD, parents_of

# Of the rows that share a band only so many of the earliest are looked at.
BUCKET_ROWS = 128
BATCH_ROWS = 4_000  # rows that are matched at once
PROPOSED_AT_ONCE = 200_000  # pairs


# Clusters that another rule found are not taken over.
RULES = b"2"


class Role(StrEnum):
    REPRESENTATIVE = "representative"  # founded its cluster
    EXACT = "exact_duplicate"  # of an earlier row of its cluster
    NEAR = "near_duplicate"


ROLES = tuple(Role)


@dataclass(frozen=True)
class Clusters:
    """n rows in order of time: what is kept, so that only later rows have to be matched."""

    keys: np.ndarray  # str
    times: np.ndarray  # str
    digests: np.ndarray  # S16
    heads: np.ndarray  # int64; place of the first row with the same digest
    founders: np.ndarray  # int64; place of the founder of the cluster
    roles: np.ndarray  # int8, place in ROLES

    def __len__(self) -> int:
        return len(self.keys)

    def names(self) -> np.ndarray:
        """Key of the founder, per row."""
        return self.keys[self.founders]

    def sizes(self) -> np.ndarray:
        """Rows per cluster, largest first."""
        return np.sort(np.unique(self.founders, return_counts=True)[1])[::-1]

    def to_table(self) -> pa.Table:
        """One row per row, with the name of its cluster and its role; `from_table` reads it."""
        digests = pa.py_buffer(self.digests.tobytes())
        table = pa.table(
            {
                "row_id": self.keys.tolist(),
                "cluster": self.names().tolist(),
                "role": [str(ROLES[role]) for role in self.roles.tolist()],
                "time": self.times.tolist(),
                "digest": pa.Array.from_buffers(pa.binary(16), len(self), [None, digests]),
                "head": self.heads,
                "founder": self.founders,
            },
            schema=_SCHEMA,
        )
        return table.replace_schema_metadata({"rules": RULES})

    @classmethod
    def from_table(cls, table: pa.Table) -> "Clusters":
        """What `to_table` gave; nothing of what an earlier version of the rules found."""
        places = {str(role): place for place, role in enumerate(ROLES)}
        if (table.schema.metadata or {}).get(b"rules") != RULES:
            return NONE
        return cls(
            np.array(table["row_id"].to_pylist(), dtype=str),
            np.array(table["time"].to_pylist(), dtype=str),
            np.array(table["digest"].to_pylist(), dtype="S16"),
            table["head"].to_numpy(),
            table["founder"].to_numpy(),
            np.array([places[role] for role in table["role"].to_pylist()], dtype=np.int8),
        )


_SCHEMA = pa.schema(
    {
        "row_id": pa.string(),
        "cluster": pa.string(),
        "role": pa.string(),
        "time": pa.string(),
        "digest": pa.binary(16),
        "head": pa.int64(),
        "founder": pa.int64(),
    }
)

NONE = Clusters(
    np.zeros(0, "U1"),
    np.zeros(0, "U1"),
    np.zeros(0, "S16"),
    *(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int8)),
)


def find_clusters(
    batches: Sequence[Fingerprints],
    known: Clusters = NONE,
    threshold: float = NEAR_DUPLICATE_THRESHOLD,
) -> Clusters:
    """Cluster the rows of all batches; `known` may hold the result for any of them.

    The result is the same with and without `known`, and however the rows are put into batches:
    what comes before the first row that is new to `known` is taken over, the rest is matched.
    Raises ValueError when two rows have one key or the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
    batches = [batch for batch in batches if len(batch)]
    if not batches:
        return NONE
    index = Index(batches)
    begin = index.common_with(known.keys, known.times, known.digests)
    state = _State(len(index.keys), known, begin)
    while begin < len(index.keys):
        end = min(begin + BATCH_ROWS, len(index.keys))
        _match(index, state, begin, end, threshold)
        begin = end
    return Clusters(
        index.keys, index.times, index.digests, state.heads, state.founders, state.roles
    )


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    prompt: str  # may be "" (documents)
    response: str
    rank: tuple[int, str] = (0, "")  # rows are taken in order of (rank, key)


@dataclass(frozen=True, slots=True)
class Membership:
    cluster: str  # key of the founder
    role: Role


def find_duplicates(
    entries: Sequence[Entry], threshold: float = NEAR_DUPLICATE_THRESHOLD
) -> list[Membership]:
    """Cluster rows that are at hand as texts; one membership per entry, in its order."""
    ranked = sorted(entries, key=lambda entry: (entry.rank, entry.key))
    keys = [entry.key for entry in ranked]
    texts = [entry.response for entry in ranked]
    prompts = [entry.prompt for entry in ranked]
    # The order is already the one wanted, whatever the ranks look like as text.
    times = [f"{place:012d}" for place in range(len(ranked))]
    if any(prompts):
        found = fingerprint_pairs(keys, times, prompts, texts)
    else:
        found = fingerprint_texts(keys, times, texts)
    clusters = find_clusters([found], threshold=threshold)
    members = {
        key: Membership(name, ROLES[role])
        for key, name, role in zip(
            clusters.keys.tolist(), clusters.names().tolist(), clusters.roles.tolist(), strict=True
        )
    }
    return [members[entry.key] for entry in entries]


class _State:
    def __init__(self, count: int, known: Clusters, taken: int) -> None:
        self.heads = np.arange(count)
        self.founders = np.arange(count)
        self.roles = np.zeros(count, np.int8)
        self.heads[:taken] = known.heads[:taken]
        self.founders[:taken] = known.founders[:taken]
        self.roles[:taken] = known.roles[:taken]


def _match(index: Index, state: _State, begin: int, end: int, threshold: float) -> None:
    """Give the rows at places begin to end their cluster; those before have one."""
    _find_exact(index, state, begin, end)
    heads = state.heads == np.arange(len(state.heads))
    new, old = heads.copy(), heads.copy()
    new[:begin], new[end:], old[begin:] = False, False, False
    if threshold < 1:  # at 1 exact copies alone are found
        parents = parents_of(index, *_candidates(index, new, old), threshold)
    else:
        parents = np.full(len(heads), -1)
    state.roles[begin:end][parents[begin:end] >= 0] = ROLES.index(Role.NEAR)
    for place in np.flatnonzero(parents >= 0).tolist():  # ascending, so parents come first
        state.founders[place] = state.founders[parents[place]]
    state.founders[begin:end] = state.founders[state.heads[begin:end]]
    copies = begin + np.flatnonzero(~heads[begin:end])
    state.roles[copies] = ROLES.index(Role.EXACT)


def _find_exact(index: Index, state: _State, begin: int, end: int) -> None:
    halves = index.digests.view(np.uint64)[::2]  # compared by half first, because that is fast
    old = np.flatnonzero(among(halves[:begin], np.unique(halves[begin:end])))
    places = np.concatenate([old, np.arange(begin, end)])
    _, first, which = np.unique(index.digests[places], return_index=True, return_inverse=True)
    state.heads[begin:end] = places[first[which]][len(old) :]


def _candidates(index: Index, new: np.ndarray, old: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (a new row, an earlier row) that share a band, sorted by both."""
    new_keys, new_places = index.entries(new, None)
    old_keys, old_places = index.entries(old, np.unique(new_keys))
    keys, places = np.concatenate([new_keys, old_keys]), np.concatenate([new_places, old_places])
    order = np.lexsort((places, keys))
    keys, places = keys[order], places[order]
    opens = np.ones(len(keys), bool)
    opens[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(opens)
    start = starts[np.cumsum(opens) - 1] if len(keys) else starts
    earlier = np.minimum(np.arange(len(keys)) - start, BUCKET_ROWS)
    earlier[~new[places]] = 0
    total = np.cumsum(earlier)
    pairs = [np.zeros(0, np.int64)]
    at = 0
    while at < len(keys):  # in parts: a large bucket proposes many pairs many times
        stop = max(np.searchsorted(total, (total[at - 1] if at else 0) + PROPOSED_AT_ONCE), at + 1)
        count = earlier[at:stop]
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        one = np.repeat(places[at:stop], count)
        other = places[np.repeat(start[at:stop], count) + within]
        pairs.append(np.unique((one * len(new) + other)[one != other]))
        at = int(stop)
    found: np.ndarray = np.unique(np.concatenate(pairs))
    return found // len(new), found % len(new)
