"""Texts as numbers that can be compared: folded, cut into words, hashed, and put into sets.

Texts are compared in views: short ones by characters, longer ones by words, those between by both.
Everything works on many texts at once: the characters of all of them are one numpy array, and a
word or a shingle is a hash over a slice of it. Two texts are alike as their sets of shingles are:
how often or in what order shingles come is not seen. A shingle is 32 bits of a hash, so about one
in ten million pairs of shingles is taken for equal by chance.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b, sha256

import numpy as np

WORD_SHINGLE = 5
CHAR_SHINGLE = 3
NGRAM_BITS = 48  # the 16 others of 64 have room for the owner of an n-gram while sets are compared
# One changed word takes 5 of a short text's few word 5-grams, so short texts are compared by
# characters. The ranges overlap because a pair on either side of one border would share no
# shingle: texts alike at .8 differ in length by a quarter at most, and 84 / 64 is more than that.
CHARS_UP_TO_WORDS = 84
WORDS_FROM_WORDS = 64

# Chinese, Japanese and Korean have no spaces: each character is a word there.
_CJK = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF))
_CJK_CLASS = "".join(f"{chr(low)}-{chr(high)}" for low, high in _CJK)
_WORDS = re.compile(rf"[{_CJK_CLASS}]|[^\W{_CJK_CLASS}]+")
# Numbered by its place in a conversation: a copy elsewhere has another number.
_PLACEHOLDER = re.compile(r"<([A-Z]+(?:_[A-Z]+)*)_\d+>")
_NOT_WORD, _WORD, _CJK_WORD, _UNSEEN = 0, 1, 2, 255

# Words that make a message polite and not another message, where they open or close it.
# fmt: off
COURTESY = [
    "hi", "hello", "hey", "please", "pls", "plz", "thanks", "thank", "thx", "regards", "cheers",
    "hallo", "bitte", "danke", "bonjour", "merci", "svp", "hola", "gracias", "saludos",
    "ciao", "grazie", "olá", "obrigado", "obrigada",
]
# fmt: on

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BASE = 0xD6E8FEB86659FD93  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 2**64)


def fold(text: str) -> str:
    """Text without differences of case, width and spacing; punctuation stays."""
    return " ".join(folded(text).split())


def folded(text: str) -> str:
    """Text without differences of case, width and the numbers of placeholders; spacing stays."""
    if "<" in text:
        text = _PLACEHOLDER.sub(r"<\1_0>", text)
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def pair_digest(prompt: str, response: str) -> str:
    """Equal for pairs that fold to the same."""
    return sha256(f"{fold(prompt)}\0{fold(response)}".encode(errors="surrogatepass")).hexdigest()


def digests(prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
    """Return 16 bytes per pair of folded texts, dtype S16; spacing makes no difference."""
    found = [
        blake2b(
            f"{' '.join(prompt.split())}\0{' '.join(response.split())}".encode(
                errors="surrogatepass"
            ),
            digest_size=16,
        ).digest()
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    return np.array(found, dtype="S16")


def words(text: str) -> list[str]:
    """The words of one text; `tokenize` finds the same in many at once."""
    return _WORDS.findall(fold(text))


@dataclass(frozen=True)
class Words:
    """The words of n texts, one text after the other.

    `hashes` uint64 [words] with `offsets` int64 [n + 1]; `codes` uint32, the code points of the
    words joined by single spaces, with `code_offsets`; `numeric`, whether a word begins with a
    digit (a placeholder, "phone_1", does not).
    """

    hashes: np.ndarray
    offsets: np.ndarray
    codes: np.ndarray
    code_offsets: np.ndarray
    numeric: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> np.ndarray:
        return np.diff(self.offsets)


def tokenize(texts: Sequence[str]) -> Words:
    """The words of folded texts."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _kinds(codes)
    inside = kinds != _NOT_WORD
    # A word begins at a word character whose predecessor is of another text, no word character,
    # or either of the two is a CJK character.
    begins = inside.copy()
    begins[1:] &= ~inside[:-1] | (kinds[1:] == _CJK_WORD) | (kinds[:-1] == _CJK_WORD)
    bounds = _offsets(lengths)
    edges = bounds[:-1][lengths > 0]
    begins[edges] = inside[edges]

    places = np.flatnonzero(inside)
    starts = np.flatnonzero(begins)
    return _words(
        codes[places],
        np.searchsorted(places, starts),
        np.searchsorted(starts, bounds),
        np.searchsorted(places, bounds),
    )


def _words(
    kept: np.ndarray, starts: np.ndarray, word_offsets: np.ndarray, code_bounds: np.ndarray
) -> Words:
    powers, inverses = _powers(len(kept))
    sums = np.zeros(len(kept) + 1, np.uint64)
    np.cumsum(_code_hashes()[kept] * powers[: len(kept)], out=sums[1:])
    ends = np.append(starts[1:], len(kept))
    hashes = _mixed((sums[ends] - sums[starts]) * inverses[starts])

    opening = kept[starts]
    numeric = (opening >= ord("0")) & (opening <= ord("9"))

    # Room for a space before every word that is not the first of its text.
    counts = np.diff(word_offsets)
    firsts = np.zeros(len(starts), bool)
    firsts[word_offsets[:-1][counts > 0]] = True
    spaced = np.insert(kept, starts[~firsts], ord(" "))
    code_counts = np.diff(code_bounds) + np.maximum(counts - 1, 0)
    return Words(hashes, word_offsets, spaced, _offsets(code_counts), numeric)


def without_courtesy(words: Words) -> Words:
    """Texts without the polite words at their ends; a text of nothing else stays as it is."""
    polite = np.isin(words.hashes, _courtesy())
    thank, you = _courtesy_pair()
    polite[1:] |= (words.hashes[1:] == you) & (words.hashes[:-1] == thank)
    counts = words.counts
    owner = np.repeat(np.arange(len(words)), counts)
    place = np.arange(len(words.hashes)) - words.offsets[owner]
    rest = np.flatnonzero(~polite)
    first = np.full(len(words), np.iinfo(np.int64).max)
    last = np.full(len(words), -1)
    np.minimum.at(first, owner[rest], place[rest])
    np.maximum.at(last, owner[rest], place[rest])
    bare = last < 0
    first[bare], last[bare] = 0, counts[bare] - 1
    keep = (place >= first[owner]) & (place <= last[owner])
    return _selected(words, keep, owner)


def _selected(words: Words, keep: np.ndarray, owner: np.ndarray) -> Words:
    # The characters of a word are between two spaces; the space belongs to the word after it.
    code_owner = np.repeat(np.arange(len(words)), np.diff(words.code_offsets))
    opens = words.codes == ord(" ")
    heads = words.code_offsets[:-1][words.counts > 0]
    opens[heads] = True
    word_of_code = np.cumsum(opens) - 1
    keep_code = keep[word_of_code] if len(words.codes) else np.zeros(0, bool)
    counts = np.bincount(owner[keep], minlength=len(words))
    firsts = np.zeros(len(words.hashes), bool)
    kept_places = np.flatnonzero(keep)
    if len(kept_places):
        kept_owner = owner[kept_places]
        new = np.append(True, kept_owner[1:] != kept_owner[:-1])
        firsts[kept_places[new]] = True
    if len(words.codes):
        keep_code &= ~(firsts[word_of_code] & (words.codes == ord(" ")))
    code_counts = np.bincount(code_owner[keep_code], minlength=len(words))
    return Words(
        words.hashes[keep],
        _offsets(counts),
        words.codes[keep_code],
        _offsets(code_counts),
        words.numeric[keep],
    )


def number_digests(words: Words) -> np.ndarray:
    """Return uint64 [n], equal for texts with the same numbers in the same order."""
    owner = np.repeat(np.arange(len(words)), words.counts)[words.numeric]
    hashes = words.hashes[words.numeric]
    counts = np.bincount(owner, minlength=len(words))
    place = np.arange(len(hashes)) - _offsets(counts)[owner]
    terms = _mixed(hashes + place.astype(np.uint64) * _MULTIPLIER)
    return _mixed(_row_sums(terms, _offsets(counts)))


def text_digests(words: Words) -> np.ndarray:
    """Return uint64 [n], equal for texts with the same words."""
    sums = np.zeros(len(words.hashes) + 1, np.uint64)
    powers, inverses = _powers(len(words.hashes))
    np.cumsum(words.hashes * powers[: len(words.hashes)], out=sums[1:])
    whole = sums[words.offsets[1:]] - sums[words.offsets[:-1]]
    return _mixed(whole * inverses[words.offsets[:-1]] + words.counts.astype(np.uint64))


@dataclass(frozen=True)
class Sets:
    """Sets of the texts `rows` (int32, ascending), each sorted: `values` with `offsets`."""

    rows: np.ndarray
    offsets: np.ndarray  # int64 [len(rows) + 1]
    values: np.ndarray  # uint32 or uint64

    def sizes(self) -> np.ndarray:
        return np.diff(self.offsets)


def char_sets(words: Words) -> Sets:
    """Sets of character 3-grams of the texts short enough; of a shorter text the text itself."""
    rows = np.flatnonzero(words.counts <= CHARS_UP_TO_WORDS)
    begins, ends = words.code_offsets[:-1][rows], words.code_offsets[1:][rows]
    counts = np.maximum(ends - begins - CHAR_SHINGLE + 1, 1)
    at = _ranges(begins, counts)
    limit = np.repeat(ends, counts)
    packed = np.zeros(len(at), np.uint64)
    for step in range(CHAR_SHINGLE):
        here = at + step
        codes = words.codes.take(here, mode="clip") if len(words.codes) else np.zeros_like(packed)
        codes = np.where(here < limit, codes, 0).astype(np.uint64)
        packed |= codes << np.uint64(21 * step)
    return _unique(rows, counts, _mixed(packed) >> np.uint64(32))


def word_sets(words: Words) -> Sets:
    """Sets of word 5-grams of the texts long enough."""
    rows = np.flatnonzero(words.counts >= WORDS_FROM_WORDS)
    return _unique(rows, *_grams(words, rows, WORD_SHINGLE, np.uint64(32)))


def ngram_sets(words: Words, size: int, min_words: int = 0) -> Sets:
    """Sets of word n-grams, 48 bits in uint64, of the texts with enough words, at least `size`.

    Raises ValueError for 65,536 texts or more at once: the owner is in the other 16 bits.
    """
    if len(words) >= 1 << 16:
        raise ValueError(f"n-grams of at most 65,535 texts at once, got {len(words)}")
    rows = np.flatnonzero(words.counts >= max(size, min_words))
    counts, grams = _grams(words, rows, size, np.uint64(64 - NGRAM_BITS))
    return _unique(rows, counts, grams, NGRAM_BITS)


def joined(first: Words, second: Words) -> Words:
    """The words of the one text followed by those of the other, per row; without characters."""
    counts = np.stack([first.counts, second.counts], axis=1)
    offsets = _offsets(counts.sum(axis=1))
    hashes = np.empty(len(first.hashes) + len(second.hashes), np.uint64)
    numeric = np.empty(len(hashes), bool)
    for words, begin in ((first, offsets[:-1]), (second, offsets[:-1] + counts[:, 0])):
        places = _ranges(begin, words.counts)
        hashes[places], numeric[places] = words.hashes, words.numeric
    return Words(hashes, offsets, np.zeros(0, np.uint32), np.zeros(len(offsets), np.int64), numeric)


def jaccard(one: Sets, ones: np.ndarray, other: Sets, others: np.ndarray) -> np.ndarray:
    """Return float [pairs]: the Jaccard similarity of set ones[i] of `one` to others[i] of `other`.

    `ones` and `others` are places in `rows`. Memory grows with the sizes of the sets compared.
    """
    left, right = one.sizes()[ones], other.sizes()[others]
    shared = shared_counts(one, ones, other, others)
    return shared / np.maximum(left + right - shared, 1)


def shared_counts(one: Sets, ones: np.ndarray, other: Sets, others: np.ndarray) -> np.ndarray:
    """How many members set ones[i] of `one` and others[i] of `other` have in common.

    At most 65,535 pairs of sets of n-grams at once.
    """
    left, right = one.sizes()[ones], other.sizes()[others]
    pairs = np.arange(len(ones))
    owner = np.concatenate([np.repeat(pairs, left), np.repeat(pairs, right)])
    values = np.concatenate(
        [
            one.values[_ranges(one.offsets[:-1][ones], left)],
            other.values[_ranges(other.offsets[:-1][others], right)],
        ]
    )
    bits = np.uint64(32 if values.dtype == np.uint32 else NGRAM_BITS)
    key = np.sort((owner.astype(np.uint64) << bits) | values)
    twice = key[1:] == key[:-1]
    return np.bincount((key[1:][twice] >> bits).astype(np.int64), minlength=len(pairs))


def _grams(
    words: Words, rows: np.ndarray, size: int, shift: np.uint64
) -> tuple[np.ndarray, np.ndarray]:
    counts = words.counts[rows] - size + 1
    at = _ranges(words.offsets[:-1][rows], counts)
    rolling = np.zeros(max(len(words.hashes) - size + 1, 0), np.uint64)
    for step in range(size):
        rolling *= _MULTIPLIER
        rolling += words.hashes[step : step + len(rolling)]
    return counts, _mixed(rolling[at]) >> shift


def _unique(rows: np.ndarray, counts: np.ndarray, values: np.ndarray, bits: int = 32) -> Sets:
    """Sets of values of so many bits, given one row after the other."""
    owner = np.repeat(np.arange(len(rows), dtype=np.uint64), counts)
    key = np.sort((owner << np.uint64(bits)) | values)
    new = np.ones(len(key), bool)
    new[1:] = key[1:] != key[:-1]
    key = key[new]
    sizes = np.bincount((key >> np.uint64(bits)).astype(np.int64), minlength=len(rows))
    kept = key.astype(np.uint32) if bits == 32 else key & np.uint64((1 << bits) - 1)
    return Sets(rows.astype(np.int32), _offsets(sizes), kept)


def _ranges(begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """begins[0], begins[0] + 1, ... for counts[0] places, then the same for the next row."""
    shift = begins - (np.cumsum(counts) - counts)
    return np.arange(int(counts.sum())) + np.repeat(shift, counts)


def _offsets(counts: np.ndarray) -> np.ndarray:
    result = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=result[1:])
    return result


def _row_sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    return sums[offsets[1:]] - sums[offsets[:-1]]


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64: every bit of the result depends on every bit given."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_power_tables = [np.ones(1, np.uint64), np.ones(1, np.uint64)]


def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The powers of the base and of its inverse, modulo 2**64, at least `count` of each."""
    if len(_power_tables[0]) < count + 1:
        size = 1 << (count + 1).bit_length()
        for place, base in enumerate((_BASE, _INVERSE)):
            table = np.full(size, base, np.uint64)
            table[0] = 1
            _power_tables[place] = np.multiply.accumulate(table)
    return _power_tables[0], _power_tables[1]


_kind_table = np.full(0x110000, _UNSEEN, np.uint8)


def _kinds(codes: np.ndarray) -> np.ndarray:
    kinds = _kind_table[codes]
    unseen = kinds == _UNSEEN
    if unseen.any():
        for code in np.unique(codes[unseen]).tolist():
            _kind_table[code] = _kind(code)
        kinds = _kind_table[codes]
    return kinds


def _kind(code: int) -> int:
    if any(low <= code <= high for low, high in _CJK):
        return _CJK_WORD
    return _WORD if chr(code).isalnum() or code == ord("_") else _NOT_WORD


@cache
def _code_hashes() -> np.ndarray:
    return _mixed(np.arange(1, 0x110001, dtype=np.uint64))


@cache
def _courtesy() -> np.ndarray:
    return tokenize(COURTESY).hashes


@cache
def _courtesy_pair() -> tuple[np.uint64, np.uint64]:
    thank, you = tokenize(["thank", "you"]).hashes
    return thank, you
