"""All rows of a domain in order of time, over batches that are read as far as is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ft_assets.corpus.fingerprints import Details, Fingerprints, joined_sets
from ft_assets.corpus.shingles import Sets


class Index:
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

    def common_with(self, keys: np.ndarray, times: np.ndarray, digests: np.ndarray) -> int:
        """How many rows at the beginning are the same as those."""
        size = min(len(self.keys), len(keys))
        same = (
            (self.keys[:size] == keys[:size])
            & (self.times[:size] == times[:size])
            & (self.digests[:size] == digests[:size])
        )
        return size if same.all() else int(np.argmin(same))

    def entries(self, chosen: np.ndarray, wanted: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """(band key, place) of the chosen places; with `wanted`, of those keys alone."""
        keys, places = [], []
        for batch in self.batches:
            entry_places = batch.places[batch.found.entry_rows]
            rows = np.flatnonzero(chosen[entry_places])
            bands = batch.found.bands[rows]
            hit = np.ones(bands.shape, bool) if wanted is None else among(bands, wanted)
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

    def signatures(self, places: np.ndarray) -> dict[str, "Signed"]:
        """Signatures of the rows at `places` (ascending) by part and view."""
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for wanted, details in self._details(places):
            for name, sets in details.sets.items():
                rows = wanted[sets.rows]
                kept = np.flatnonzero(rows >= 0)
                found.setdefault(name, []).append((rows[kept], details.signatures[name][kept]))
        return {name: Signed.of(parts, len(places)) for name, parts in found.items()}

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
class Signed:
    """`minima` of some of n rows; `places` [n] says where, -1 for a row without."""

    places: np.ndarray
    minima: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[tuple[np.ndarray, np.ndarray]], count: int) -> "Signed":
        rows = np.concatenate([rows for rows, _ in parts])
        places = np.full(count, -1)
        places[rows] = np.arange(len(rows))
        return cls(places, np.concatenate([minima for _, minima in parts]))


@dataclass(frozen=True)
class _Placed:
    found: Fingerprints
    places: np.ndarray  # of its rows


def among(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which values are in `wanted`, which is sorted."""
    if not len(wanted):
        return np.zeros(values.shape, bool)
    at = np.searchsorted(wanted, values).clip(max=len(wanted) - 1)
    return wanted[at] == values


def _picked(sets: Sets, places: np.ndarray, rows: np.ndarray) -> Sets:
    """The sets at `places`, as those of `rows`."""
    sizes = sets.sizes()[places]
    offsets = np.zeros(len(places) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    shift = sets.offsets[:-1][places] - offsets[:-1]
    values = sets.values[np.arange(offsets[-1]) + np.repeat(shift, sizes)]
    return Sets(rows.astype(np.int32), offsets, values)
