"""What is computed once per row and kept, so that old texts need not be read to be compared.

Per row: the digest of the exact text, band keys that propose which rows may be alike, the sets of
shingles that decide it, and what decontamination looks at. A row is a prompt with its response, or
a text alone (a passage of a document). MinHash (Broder 1997) is by rensa. Half of the minima of a
pair are of its prompt and half of its response, three and three in a band: ten thousand questions
that got one stock answer would otherwise all meet.

Nothing here can be read back into a text, but hashes of short texts can be guessed: keep them where
the texts are kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from rensa import RMinHash  # ty: ignore[missing-module-member]  (compiled, no stubs)
from safetensors.numpy import load, save

from ft_assets.corpus.shingles import (
    Sets,
    Words,
    char_sets,
    digests,
    folded,
    joined,
    ngram_sets,
    number_digests,
    text_digests,
    tokenize,
    without_courtesy,
    word_sets,
)

PERMUTATIONS = 128
# Bands and minima of each part in a band. Proposes a pair with Jaccard a of the prompts and b of
# the responses with 1 - (1 - a^3 b^3)^21: .998 at .8 and .8, .98 at .55 and 1; a text alone with
# 1 - (1 - a^5)^25: .9999 at .8, .95 at .65.
BANDS = {2: (21, 3), 1: (25, 5)}  # by the number of parts
SEED = 1
NGRAM = 8  # words; containment of word 8-grams is after the GPT-3 paper (arXiv 2005.14165)
# Shorter answers are common phrases ("yes, your transfer has been made") that prove nothing.
ANSWER_WORDS = 25
VIEWS = ("chars", "words")
CHUNK_CHARS = 120_000  # so much is worked on at once: its arrays fit a processor's cache


@dataclass(frozen=True)
class Fingerprints:
    """n rows in columns. `keys` are their names, `times` what decides which came first."""

    keys: np.ndarray  # str
    times: np.ndarray  # str, ISO; "" is before all
    digests: np.ndarray  # S16
    prompts: np.ndarray  # uint64; equal for prompts with the same words but polite ones; 0: none
    numbers: np.ndarray  # uint64; equal where the same numbers are named; 0 is equal to all
    words: np.ndarray  # int32; of the prompt and of the response [n, 2]
    entry_rows: np.ndarray  # int32 [entries]; a row whose length allows two views has more
    bands: np.ndarray  # uint64 [entries, bands]
    details: Callable[[], "Details"]  # read only when rows have to be compared
    texts: "Texts"  # asked only for rows that are alike by their details
    grams: Callable[[], "Grams"]  # read only for decontamination

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Details:
    """What decides whether two rows are alike, by part and view ("prompt_chars")."""

    sets: Mapping[str, Sets]
    signatures: Mapping[str, np.ndarray]  # uint32 [rows of the set, minima]


# Prompt and response of rows by their places.
Texts = Callable[[np.ndarray], list[tuple[str, str]]]


@dataclass(frozen=True)
class Grams:
    """Word n-grams, per row: of prompt and response together, and of the response alone."""

    whole: Sets
    answer: Sets  # of responses of ANSWER_WORDS or more


def fingerprint_pairs(
    keys: Sequence[str], times: Sequence[str], prompts: Sequence[str], responses: Sequence[str]
) -> Fingerprints:
    """Fingerprints of prompts with their responses."""
    chunks = [
        _chunk(keys[part], times[part], prompts[part], responses[part], alone=False)
        for part in _chunks(prompts, responses)
    ]
    return _joined(chunks, lambda rows: [(prompts[row], responses[row]) for row in rows.tolist()])


def fingerprint_texts(
    keys: Sequence[str], times: Sequence[str], texts: Sequence[str]
) -> Fingerprints:
    """Fingerprints of texts without a prompt."""
    none = [""] * len(texts)
    chunks = [
        _chunk(keys[part], times[part], none[part], texts[part], alone=True)
        for part in _chunks(none, texts)
    ]
    return _joined(chunks, lambda rows: [("", texts[row]) for row in rows.tolist()])


def _chunks(prompts: Sequence[str], responses: Sequence[str]) -> Iterator[slice]:
    begin, size = 0, 0
    for end, (prompt, response) in enumerate(zip(prompts, responses, strict=True), start=1):
        size += len(prompt) + len(response)
        if size >= CHUNK_CHARS:
            yield slice(begin, end)
            begin, size = end, 0
    yield slice(begin, len(prompts))


@dataclass(frozen=True)
class _Chunk:
    columns: dict[str, np.ndarray]
    details: Details
    grams: Grams


def _chunk(
    keys: Sequence[str],
    times: Sequence[str],
    prompts: Sequence[str],
    responses: Sequence[str],
    alone: bool,
) -> _Chunk:
    prompts, responses = list(map(folded, prompts)), list(map(folded, responses))
    asked, answered = tokenize(prompts), tokenize(responses)
    plain = without_courtesy(asked)
    parts = {"response": answered} if alone else {"prompt": plain, "response": answered}
    minima = PERMUTATIONS // len(parts)
    sets = {}
    for part, words in parts.items():
        sets[f"{part}_chars"], sets[f"{part}_words"] = char_sets(words), word_sets(words)
    signatures = {name: _minhash(found, minima) for name, found in sets.items()}
    entry_rows, bands = _bands(len(keys), sets, signatures, list(parts))
    columns = {
        "keys": np.array(keys, dtype=str),
        "times": np.array(times, dtype=str),
        "digests": digests(prompts, responses),
        "prompts": np.zeros(len(keys), np.uint64) if alone else _prompt_digests(plain, prompts),
        "numbers": np.zeros(len(keys), np.uint64) if alone else number_digests(plain),
        "words": np.stack([asked.counts, answered.counts], axis=1).astype(np.int32),
        "entry_rows": entry_rows,
        "bands": bands,
    }
    grams = Grams(
        ngram_sets(joined(asked, answered), NGRAM), ngram_sets(answered, NGRAM, ANSWER_WORDS)
    )
    return _Chunk(columns, Details(sets, signatures), grams)


def _prompt_digests(words: Words, prompts: Sequence[str]) -> np.ndarray:
    found = text_digests(words)
    for row in np.flatnonzero(words.counts == 0).tolist():  # "??" is not "!!"
        found[row] = int.from_bytes(digests([prompts[row]], [""])[0].ljust(16)[:8], "big")
    return found


def _minhash(sets: Sets, minima: int) -> np.ndarray:
    if not len(sets.rows):
        return np.zeros((0, minima), np.uint32)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        sets.values.astype(np.uint64), sets.offsets.astype(np.uint64), minima, SEED
    )
    flat = chain.from_iterable(matrix.to_rows())
    return np.fromiter(flat, np.uint32, len(sets.rows) * minima).reshape(-1, minima)


def _bands(
    count: int, sets: Mapping[str, Sets], signatures: Mapping[str, np.ndarray], parts: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Per entry its row and its band keys: an entry for each choice of a view for each part."""
    rows, keys = [], []
    bands, each = BANDS[len(parts)]
    places = {name: _places(found, count) for name, found in sets.items()}
    choices = [()]
    for part in parts:
        choices = [(*choice, f"{part}_{view}") for choice in choices for view in VIEWS]
    for number, choice in enumerate(choices):
        has = np.flatnonzero(np.all([places[name] >= 0 for name in choice], axis=0))
        key = np.full((len(has), bands), number, np.uint64)
        key += np.arange(bands, dtype=np.uint64) << np.uint64(8)
        for name in choice:
            minima = signatures[name][places[name][has]][:, : bands * each]
            for value in np.moveaxis(minima.reshape(-1, bands, each), 2, 0):
                key = (key ^ value) * np.uint64(0x9E3779B97F4A7C15)
                key ^= key >> np.uint64(29)
        rows.append(has.astype(np.int32))
        keys.append(key)
    return np.concatenate(rows), np.concatenate(keys)


def _places(sets: Sets, count: int) -> np.ndarray:
    """Per row the place of its set in `sets`, -1 without one."""
    places = np.full(count, -1)
    places[sets.rows] = np.arange(len(sets.rows))
    return places


def joined_sets(parts: Sequence[Sets], counts: Sequence[int]) -> Sets:
    """The sets of batches of `counts` rows as those of one batch."""
    begins = np.cumsum([0, *counts[:-1]])
    ends = np.cumsum([0, *(len(part.values) for part in parts[:-1])])
    return Sets(
        np.concatenate([p.rows + b for p, b in zip(parts, begins, strict=True)]).astype(np.int32),
        np.concatenate(
            [np.zeros(1, np.int64), *(p.offsets[1:] + e for p, e in zip(parts, ends, strict=True))]
        ),
        np.concatenate([part.values for part in parts]),
    )


def _joined(chunks: list[_Chunk], texts: Texts) -> Fingerprints:
    def part(chunk: _Chunk) -> Fingerprints:
        return Fingerprints(
            **chunk.columns,
            details=lambda: chunk.details,
            texts=texts,
            grams=lambda: chunk.grams,
        )

    whole = joined_prints([part(chunk) for chunk in chunks])
    details, grams = whole.details(), whole.grams()
    return replace(whole, details=lambda: details, grams=lambda: grams, texts=texts)


def joined_prints(parts: Sequence[Fingerprints]) -> Fingerprints:
    """The rows of all parts as one batch; what is read on demand is so still."""
    counts = [len(part) for part in parts]
    begins = np.cumsum([0, *counts[:-1]])
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in _COLUMNS
        if name != "entry_rows"
    }
    entries = [part.entry_rows + begin for part, begin in zip(parts, begins, strict=True)]

    def details() -> Details:
        found = [part.details() for part in parts]
        names = found[0].sets
        return Details(
            {name: joined_sets([d.sets[name] for d in found], counts) for name in names},
            {name: np.concatenate([d.signatures[name] for d in found]) for name in names},
        )

    def grams() -> Grams:
        found = [part.grams() for part in parts]
        return Grams(
            joined_sets([g.whole for g in found], counts),
            joined_sets([g.answer for g in found], counts),
        )

    def texts(rows: np.ndarray) -> list[tuple[str, str]]:
        found = [("", "")] * len(rows)
        owner = np.searchsorted(begins, rows, side="right") - 1
        for number in np.unique(owner).tolist():
            places = np.flatnonzero(owner == number)
            read = parts[number].texts(rows[places] - begins[number])
            for place, pair in zip(places.tolist(), read, strict=True):
                found[place] = pair
        return found

    return Fingerprints(
        entry_rows=np.concatenate(entries).astype(np.int32),
        details=details,
        texts=texts,
        grams=grams,
        **columns,
    )


INDEX_FILE, DETAILS_FILE, GRAMS_FILE = (
    f"{name}.safetensors" for name in ("index", "details", "grams")
)
_COLUMNS = ("keys", "times", "digests", "prompts", "numbers", "words", "entry_rows", "bands")


def to_files(found: Fingerprints) -> dict[str, bytes]:
    """Three files: one that is always read, one to compare rows, one to decontaminate them."""
    details, grams = found.details(), found.grams()
    signatures = {f"signatures/{name}": array for name, array in details.signatures.items()}
    return {
        INDEX_FILE: save({name: _as_numbers(getattr(found, name)) for name in _COLUMNS}),
        DETAILS_FILE: save({**_arrays(details.sets), **signatures}),
        GRAMS_FILE: save(_arrays({"whole": grams.whole, "answer": grams.answer})),
    }


def from_files(read: Callable[[str], bytes], texts: Texts) -> Fingerprints:
    """The fingerprints that `to_files` wrote; `read` gives a file by name, two of them on demand.

    What was read on demand is not kept: the next use reads it again. `texts` gives the rows that
    the fingerprints are of.
    """
    index = load(read(INDEX_FILE))
    index |= {name: _as_text(index[name], "U") for name in ("keys", "times")}
    index["digests"] = _as_text(index["digests"], "S")
    return Fingerprints(
        **index,
        details=lambda: _details(read(DETAILS_FILE)),
        texts=texts,
        grams=lambda: Grams(**_sets(load(read(GRAMS_FILE)))),
    )


def _as_numbers(array: np.ndarray) -> np.ndarray:
    """Text of one width as a table of its code points or bytes; numbers as they are."""
    unit = {"U": np.uint32, "S": np.uint8}.get(array.dtype.kind)
    if unit is None:
        return array
    width = array.dtype.itemsize // np.dtype(unit).itemsize
    return np.ascontiguousarray(array).view(unit).reshape(len(array), width)


def _as_text(numbers: np.ndarray, kind: str) -> np.ndarray:
    return np.ascontiguousarray(numbers).view(f"{kind}{max(numbers.shape[1], 1)}").reshape(-1)


def _details(content: bytes) -> Details:
    arrays = load(content)
    sets = _sets(arrays)
    return Details(sets, {name: arrays[f"signatures/{name}"] for name in sets})


def _arrays(every: Mapping[str, Sets]) -> dict[str, np.ndarray]:
    return {
        f"{name}/{column}": getattr(sets, column)
        for name, sets in every.items()
        for column in ("rows", "offsets", "values")
    }


def _sets(arrays: Mapping[str, np.ndarray]) -> dict[str, Sets]:
    names = [name.removesuffix("/rows") for name in arrays if name.endswith("/rows")]
    return {
        name: Sets(*(arrays[f"{name}/{column}"] for column in ("rows", "offsets", "values")))
        for name in names
    }
