import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ft_assets.corpus.shingles import (
    char_sets,
    fold,
    folded,
    jaccard,
    ngram_sets,
    number_digests,
    text_digests,
    tokenize,
    without_courtesy,
    word_sets,
    words,
)

TEXTS = st.lists(st.text(max_size=40), max_size=8)


def spelled(found, row: int) -> str:
    return "".join(map(chr, found.codes[found.code_offsets[row] : found.code_offsets[row + 1]]))


@given(TEXTS)
def test_many_texts_have_the_words_of_each(texts: list[str]):
    found = tokenize([folded(text) for text in texts])
    assert [spelled(found, row) for row in range(len(texts))] == [" ".join(words(t)) for t in texts]
    flat = [word for text in texts for word in words(text)]
    by_hash = dict(zip(found.hashes.tolist(), flat, strict=True))
    assert [by_hash[value] for value in found.hashes.tolist()] == flat
    assert len(by_hash) == len(set(flat))


def test_fold_keeps_punctuation_and_words_do_not():
    assert fold("  A\u00a0B,\tc ") == "a b, c"
    assert words("A-37.6 %") == ["a", "37", "6"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("hello please open the account thanks", "open the account"),
        ("open it thank you", "open it"),
        ("how are you", "how are you"),
        ("say hello to her", "say hello to her"),
        ("thank you", "thank you"),  # nothing else is there
        ("", ""),
    ],
)
def test_polite_words_go_from_the_ends(text: str, rest: str):
    for texts, row in (([text], 0), (["hi there", text, "ok thanks"], 1)):
        assert spelled(without_courtesy(tokenize(texts)), row) == rest


def test_digests_tell_words_and_numbers_apart():
    found = tokenize(["pay 12 euros", "pay 12 pounds", "pay 13 euros", "pay 12 euros", "phone_1"])
    whole, numbers = text_digests(found), number_digests(found)
    assert whole[0] == whole[3]
    assert len(set(whole.tolist())) == 4
    assert numbers[0] == numbers[1] == numbers[3]
    assert len(set(numbers.tolist())) == 3
    assert numbers[4] == number_digests(tokenize(["no number"]))[0]


def grams(parts: list[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(parts[i : i + size]) for i in range(len(parts) - size + 1)}


@given(st.lists(st.text("abc ", max_size=30), min_size=2, max_size=5))
def test_similarity_is_that_of_the_sets(texts: list[str]):
    found = char_sets(tokenize(texts))
    plain = [
        {s[i : i + 3] for i in range(max(1, len(s) - 2))} for s in map(" ".join, map(words, texts))
    ]
    ones, others = (part.ravel() for part in np.indices((len(texts), len(texts))))
    expected = [
        len(plain[i] & plain[j]) / len(plain[i] | plain[j])
        for i, j in zip(ones, others, strict=True)
    ]
    np.testing.assert_allclose(jaccard(found, ones, found, others), expected)


def test_word_sets_are_of_long_texts_and_n_grams_of_texts_with_enough_words():
    texts = [" ".join(f"w{i * n % 97}" for i in range(n)) for n in (7, 8, 63, 64, 200)]
    found = tokenize(texts)
    assert word_sets(found).rows.tolist() == [3, 4]
    sets = ngram_sets(found, 8)
    assert sets.rows.tolist() == [1, 2, 3, 4]
    assert sets.sizes().tolist() == [len(grams(text.split(), 8)) for text in texts[1:]]
    assert ngram_sets(found, 8, min_words=64).rows.tolist() == [3, 4]
