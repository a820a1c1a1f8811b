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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa

from ft_assets.corpus.fingerprints import (
    VIEWS,
    Details,
    Fingerprints,
    fingerprint_pairs,
    fingerprint_texts,
    joined_sets,
)
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
# Of the rows that share a band only so many of the earliest are looked at.
BUCKET_ROWS = 128
PAIRS_AT_ONCE = 4_000  # bounds the memory of a comparison to about 20 MB
BATCH_ROWS = 4_000  # rows that are matched at once


# In longer responses and texts alone, one word is not what the text says.
SHORT_WORDS = 120
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
    index = _Index(batches)
    begin = index.common_with(known)
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


class _Index:
    """All rows in order of time; a row is known here by its place in that order."""

    def __init__(self, batches: Sequence[Fingerprints]) -> None:
        keys = np.concatenate([batch.keys for batch in batches])
        times = np.concatenate([batch.times for batch in batches])
        order = np.lexsort((keys, times))
        self.keys, self.times = keys[order], times[order]
        self.digests = np.concatenate([batch.digests for batch in batches])[order]
        self.numbers = np.concatenate([batch.numbers for batch in batches])[order]
        self.words = np.concatenate([batch.words for batch in batches])[order]
        self._refuse_twins()
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        begins = np.cumsum([0, *(len(batch) for batch in batches)])
        self.batches = [
            _Placed(batch, places[begin:end])
            for batch, begin, end in zip(batches, begins[:-1], begins[1:], strict=True)
        ]

    def _refuse_twins(self) -> None:
        unique, counts = np.unique(self.keys, return_counts=True)
        if len(unique) < len(self.keys):
            raise ValueError(
                f"{int((counts > 1).sum())} keys belong to several rows, first "
                f"{str(unique[counts > 1][0])!r}; a row must be handed in once"
            )

    def common_with(self, known: Clusters) -> int:
        """How many rows at the beginning are the same as there."""
        size = min(len(self.keys), len(known))
        same = (
            (self.keys[:size] == known.keys[:size])
            & (self.times[:size] == known.times[:size])
            & (self.digests[:size] == known.digests[:size])
        )
        return size if same.all() else int(np.argmin(same))

    def entries(self, chosen: np.ndarray, wanted: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """(band key, place) of the chosen places; with `wanted`, of those keys alone."""
        keys, places = [], []
        for batch in self.batches:
            entry_places = batch.places[batch.found.entry_rows]
            rows = np.flatnonzero(chosen[entry_places])
            bands = batch.found.bands[rows]
            hit = np.ones(bands.shape, bool) if wanted is None else _among(bands, wanted)
            at, _ = np.nonzero(hit)
            keys.append(bands[hit])
            places.append(entry_places[rows][at])
        return np.concatenate(keys), np.concatenate(places)

    def texts(self, places: np.ndarray) -> dict[int, tuple[str, str]]:
        """Prompt and response of the rows at `places`."""
        found = {}
        for batch in self.batches:
            rows = np.flatnonzero(np.isin(batch.places, places))
            found |= dict(zip(batch.places[rows].tolist(), batch.found.texts(rows), strict=True))
        return found

    def signatures(self, places: np.ndarray) -> dict[str, "_Signed"]:
        """Signatures of the rows at `places` (ascending) by part and view."""
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for wanted, details in self._details(places):
            for name, sets in details.sets.items():
                rows = wanted[sets.rows]
                kept = np.flatnonzero(rows >= 0)
                found.setdefault(name, []).append((rows[kept], details.signatures[name][kept]))
        return {name: _Signed.of(parts, len(places)) for name, parts in found.items()}

    def sets(self, places: np.ndarray) -> dict[str, Sets]:
        """Sets of the rows at `places` (ascending); row i there is the row at places[i]."""
        found: dict[str, list[Sets]] = {}
        for wanted, details in self._details(places):
            for name, sets in details.sets.items():
                rows = wanted[sets.rows]
                kept = np.flatnonzero(rows >= 0)
                found.setdefault(name, []).append(_picked(sets, kept, rows[kept]))
        result = {}
        for name, parts in found.items():
            whole = joined_sets(parts, [0] * len(parts))
            order = np.argsort(whole.rows, kind="stable")
            result[name] = _picked(whole, order, whole.rows[order])
        return result

    def _details(self, places: np.ndarray) -> Iterator[tuple[np.ndarray, Details]]:
        """Per batch with rows at `places`: the number of each of its rows there, and details."""
        wanted = np.full(len(self.keys), -1)
        wanted[places] = np.arange(len(places))
        for batch in self.batches:
            rows = wanted[batch.places]
            if (rows >= 0).any():
                yield rows, batch.found.details()


@dataclass(frozen=True)
class _Signed:
    """`minima` of some of n rows; `places` [n] says where, -1 for a row without."""

    places: np.ndarray
    minima: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[tuple[np.ndarray, np.ndarray]], count: int) -> "_Signed":
        rows = np.concatenate([rows for rows, _ in parts])
        places = np.full(count, -1)
        places[rows] = np.arange(len(rows))
        return cls(places, np.concatenate([minima for _, minima in parts]))


@dataclass(frozen=True)
class _Placed:
    found: Fingerprints
    places: np.ndarray  # of its rows


def _match(index: _Index, state: _State, begin: int, end: int, threshold: float) -> None:
    """Give the rows at places begin to end their cluster; those before have one."""
    _find_exact(index, state, begin, end)
    heads = state.heads == np.arange(len(state.heads))
    new, old = heads.copy(), heads.copy()
    new[:begin], new[end:], old[begin:] = False, False, False
    if threshold < 1:  # at 1 exact copies alone are found
        parents = _parents(index, *_candidates(index, new, old), threshold)
    else:
        parents = np.full(len(heads), -1)
    state.roles[begin:end][parents[begin:end] >= 0] = ROLES.index(Role.NEAR)
    for place in np.flatnonzero(parents >= 0).tolist():  # ascending, so parents come first
        state.founders[place] = state.founders[parents[place]]
    state.founders[begin:end] = state.founders[state.heads[begin:end]]
    copies = begin + np.flatnonzero(~heads[begin:end])
    state.roles[copies] = ROLES.index(Role.EXACT)


def _find_exact(index: _Index, state: _State, begin: int, end: int) -> None:
    halves = index.digests.view(np.uint64)[::2]  # compared by half first, because that is fast
    old = np.flatnonzero(_among(halves[:begin], np.unique(halves[begin:end])))
    places = np.concatenate([old, np.arange(begin, end)])
    _, first, which = np.unique(index.digests[places], return_index=True, return_inverse=True)
    state.heads[begin:end] = places[first[which]][len(old) :]


def _candidates(index: _Index, new: np.ndarray, old: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        stop = max(
            np.searchsorted(total, (total[at - 1] if at else 0) + 50 * PAIRS_AT_ONCE), at + 1
        )
        count = earlier[at:stop]
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        one = np.repeat(places[at:stop], count)
        other = places[np.repeat(start[at:stop], count) + within]
        pairs.append(np.unique((one * len(new) + other)[one != other]))
        at = int(stop)
    found: np.ndarray = np.unique(np.concatenate(pairs))
    return found // len(new), found % len(new)


def _parents(index: _Index, one: np.ndarray, other: np.ndarray, threshold: float) -> np.ndarray:
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

    def __init__(self, index: _Index) -> None:
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
    signed: Mapping[str, _Signed], left: np.ndarray, right: np.ndarray, threshold: float
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


def _picked(sets: Sets, places: np.ndarray, rows: np.ndarray) -> Sets:
    """The sets at `places`, as those of `rows`."""
    sizes = sets.sizes()[places]
    offsets = np.zeros(len(places) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    shift = sets.offsets[:-1][places] - offsets[:-1]
    values = sets.values[np.arange(offsets[-1]) + np.repeat(shift, sizes)]
    return Sets(rows.astype(np.int32), offsets, values)


def _among(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which values are in `wanted`, which is sorted."""
    if not len(wanted):
        return np.zeros(values.shape, bool)
    at = np.searchsorted(wanted, values).clip(max=len(wanted) - 1)
    return wanted[at] == values
