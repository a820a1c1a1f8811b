import re

import pytest

from ft_assets.corpus.chunk import passages


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 10, [""]),
        ("  \n ", 10, [""]),
        ("One.", 10, ["One."]),
        ("One.\n\nTwo.", 10, ["One.\n\nTwo."]),  # what fits stays together
        ("First one.\n\nSecond.", 10, ["First one.", "Second."]),
        ("One. Two. Three.", 10, ["One. Two.", "Three."]),
        ("Is it? Yes! Ok.", 8, ["Is it?", "Yes! Ok."]),
        ("一つ目です。二つ目です。", 6, ["一つ目です。", "二つ目です。"]),
        ("one two three four", 9, ["one two", "three", "four"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
    ],
)
def test_passages_end_at_the_coarsest_border_that_fits(text: str, limit: int, expected: list[str]):
    assert passages(text, limit) == expected


@pytest.mark.parametrize("limit", [1, 7, 40, 200, 5000])
def test_nothing_but_white_space_is_lost_and_no_passage_is_too_long(limit: int):
    text = "\n\n".join(
        " ".join(f"Sentence {i}-{j} has some words." for j in range(i)) for i in range(1, 12)
    )
    found = passages(text, limit)
    assert squeezed("".join(found)) == squeezed(text)
    assert max(map(len, found)) <= limit
    assert all(found)


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="limit must be 1 character or more, got 0"):
        passages("x", 0)
