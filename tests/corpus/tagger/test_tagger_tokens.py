import pytest

from ft_assets.corpus.tagger.tokens import ROWS, features, split


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t", []),
        ("MRN731690", ["MRN", "731690"]),
        ("Ivans-iphone", ["Ivans", "-", "iphone"]),
        ("O'Brien, J.", ["O", "'", "Brien", ",", "J", "."]),
        ("a_b\nc", ["a", "_", "b", "\n", "c"]),
        ("Žofie Ångström", ["Žofie", "Ångström"]),
        ("山田 太郎", ["山田", "太郎"]),
    ],
)
def test_tokens(text, tokens):
    found = split(text)
    assert found.words == tokens
    assert [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)] == tokens


def test_no_letter_or_digit_is_outside_a_token():
    text = "é ñ ½ ² Ⅷ ʰ ৩ x٣ \ud800 \U0001d7d8 a\u0301b"
    _, starts, ends = split(text)
    covered = {place for a, b in zip(starts, ends, strict=True) for place in range(a, b)}
    assert all(place in covered for place, char in enumerate(text) if char.isalnum())


def test_features_are_rows_of_the_table_and_the_same_in_every_process():
    named, like = features("Kowalczyk")
    assert all(0 < row < ROWS for row in (*named, *like))
    assert (named[0], like[0]) == (65307, 5909)


def test_what_a_token_is_like_does_not_name_it():
    assert features("Anna")[1] == features("Emma")[1][:2] + features("Anna")[1][2:]
    assert set(features("Nowak")[0]) & set(features("Nowaka")[0])
    assert features("x" * 5000) == features("x" * 5001)
