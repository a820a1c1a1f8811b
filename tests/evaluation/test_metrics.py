import math

import pytest

from ft_assets.evaluation.metrics import exact_match, overlap, perplexity, token_f1


@pytest.mark.parametrize(
    ("loss", "tokens", "expected"),
    [(0.0, 5, 1.0), (10 * math.log(8), 10, 8.0), (1e9, 1, math.exp(700))],
)
def test_perplexity(loss, tokens, expected):
    assert perplexity(loss, tokens) == pytest.approx(expected)


def test_perplexity_of_nothing():
    with pytest.raises(ValueError, match="0 tokens"):
        perplexity(0.0, 0)


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "f1"),
    [
        ("The cat.", "cat", 1, 1),
        ("a red, red cat", "the red cat", 0, 0.8),
        ("dog", "cat", 0, 0),
        ("", "", 1, 1),
        ("", "cat", 0, 0),
        ("the", "an", 1, 1),
    ],
)
def test_short_answers(answer, reference, exact, f1):
    assert exact_match(answer, reference) == exact
    assert token_f1(answer, reference) == pytest.approx(f1)


def test_equal_answers_overlap_fully():
    texts = ["the order was sent on friday by post", "yes"]
    found = overlap(texts, texts)
    assert (found.rows, found.rouge_l, found.exact_match, found.token_f1) == (2, 1, 1, 1)
    assert found.bleu == pytest.approx(1)


def test_exact_match_is_for_short_references_alone():
    long = "word " * 30
    found = overlap([long, "no"], [long, "yes"])
    assert (found.short_rows, found.exact_match, found.token_f1) == (1, 0, 0)
    assert overlap([long], [long]).exact_match is None


def test_no_answers_have_no_overlap():
    with pytest.raises(ValueError, match="no answers"):
        overlap([], [])
