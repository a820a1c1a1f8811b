import random
import re
import sys

import pandas as pd
import pytest

from ft_assets.monitoring.drift import DriftLimits, Verdict, limit_at, measure_drift

LIMITS = DriftLimits()
COFFEE = ["latte", "espresso", "oat", "milk", "syrup", "large", "iced", "extra", "shot", "cup"]
LOANS = [
    "loan",
    "mortgage",
    "interest",
    "rate",
    "term",
    "repay",
    "account",
    "balance",
    "fee",
    "credit",
]
SHARED = [
    "please",
    "can",
    "you",
    "tell",
    "me",
    "how",
    "the",
    "order",
    "is",
    "going",
    "for",
    "my",
    "new",
    "one",
    "today",
]


def prompts(seed: int, rows: int, *topics: list[str], share: float = 1.0) -> pd.DataFrame:
    """Questions of shared words with some of a topic; `share` of them of the first topic."""
    pick = random.Random(seed)
    texts = []
    for _ in range(rows):
        topic = topics[0] if pick.random() < share else topics[-1]
        texts.append(
            " ".join(pick.choices(SHARED, k=pick.randrange(4, 30)) + pick.choices(topic, k=4)) + "?"
        )
    return pd.DataFrame({"prompt": texts, "user": "u"})


@pytest.fixture(scope="module")
def loans() -> pd.DataFrame:
    return prompts(0, 900, LOANS)


def test_a_new_topic_is_drift(loans: pd.DataFrame):
    result = measure_drift(loans, prompts(1, 300, COFFEE, LOANS, share=0.6), LIMITS, seed=0)
    assert (result.drifted, result.reason) == (True, Verdict.DRIFTED)
    assert result.score is not None
    assert result.score > 0.7
    assert (result.n_reference, result.n_current) == (900, 300)
    assert result.columns["prompt"] == result.score


@pytest.mark.parametrize("rows", [60, 120, 300])
def test_the_same_topics_are_stable(loans: pd.DataFrame, rows: int):
    result = measure_drift(loans, prompts(2, rows, LOANS), LIMITS, seed=0)
    assert (result.drifted, result.reason) == (False, Verdict.STABLE)
    assert result.score == pytest.approx(0.5, abs=0.12)


def test_sizes_far_apart_do_not_move_the_score(loans: pd.DataFrame):
    few, many = prompts(3, 80, LOANS), prompts(4, 3000, LOANS)
    assert measure_drift(few, many, LIMITS, seed=0).score == pytest.approx(0.5, abs=0.12)
    assert measure_drift(many, few, LIMITS, seed=0).score == pytest.approx(0.5, abs=0.12)


def test_the_same_seed_gives_the_same_score_and_leaves_the_tables_alone(loans: pd.DataFrame):
    current, copy = prompts(5, 100, LOANS), prompts(5, 100, LOANS)
    scores = [measure_drift(loans, current, LIMITS, seed=s).score for s in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]
    pd.testing.assert_frame_equal(current, copy)


@pytest.mark.parametrize(("before", "now"), [(49, 200), (200, 49), (0, 0)])
def test_too_few_rows_are_not_called_stable(before: int, now: int):
    result = measure_drift(prompts(1, before, LOANS), prompts(2, now, COFFEE), LIMITS, seed=0)
    assert (result.reason, result.score, result.drifted, result.html) == (
        Verdict.TOO_FEW_ROWS,
        None,
        False,
        "",
    )
    assert (result.n_reference, result.n_current) == (before, now)


def test_blank_and_missing_prompts_are_no_rows(loans: pd.DataFrame):
    blank = pd.DataFrame({"prompt": ["", "  ", None] * 50 + ["loan rate"] * 40})
    assert measure_drift(loans, blank, LIMITS, seed=0).reason is Verdict.TOO_FEW_ROWS


@pytest.mark.parametrize(
    "text",
    [
        "? !",  # no word at all
        "a b c",  # none that the classifier reads as a word
        "the and of",  # stop words
        "loan",  # in all rows, so it tells nothing
    ],
)
def test_texts_without_a_vocabulary_have_no_score(text: str):
    same = pd.DataFrame({"prompt": [text] * 100})
    result = measure_drift(same, same, LIMITS, seed=0)
    assert (result.reason, result.score, result.drifted) == (Verdict.NO_SCORE, None, False)


def test_an_error_that_is_not_about_words_is_raised(loans: pd.DataFrame):
    with pytest.raises(KeyError, match="prompt"):
        measure_drift(loans.rename(columns={"prompt": "text"}), loans, LIMITS, seed=0)


def test_a_few_pasted_books_are_not_drift(loans: pd.DataFrame):
    current = prompts(6, 200, LOANS)
    current.loc[:3, "prompt"] = "loan interest " * 30_000
    result = measure_drift(loans, current, LIMITS, seed=0)
    assert result.reason is Verdict.STABLE
    # And they do not hide that all others have become longer.
    longer = current.assign(prompt=current["prompt"] + " " + current["prompt"])
    assert measure_drift(loans, longer, LIMITS, seed=0).columns["log_words"] > 0.3


@pytest.mark.parametrize(
    ("rows", "limit"),
    [(50, 0.665), (100, 0.616), (200, 0.6), (2000, 0.6), (1, 0.99)],
)
def test_the_limit_is_higher_where_chance_reaches_further(rows: int, limit: float):
    assert limit_at(rows, 0.6) == pytest.approx(limit, abs=0.001)
    assert limit_at(rows, 0.9) >= 0.9


def test_the_limit_decides(loans: pd.DataFrame):
    current = prompts(1, 300, COFFEE, LOANS, share=0.6)
    strict = measure_drift(loans, current, DriftLimits(score_limit=0.95), seed=0)
    assert (strict.drifted, strict.reason, strict.limit) == (False, Verdict.STABLE, 0.95)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"score_limit": 0.5}, "score_limit must lie between 0.5 and 1, got 0.5"),
        ({"score_limit": 1.0}, "score_limit must lie between 0.5 and 1, got 1.0"),
        ({"min_rows": 5}, "min_rows must be 10 or more and at most max_rows, got 5 and 2000"),
        ({"max_rows": 20}, "min_rows must be 10 or more and at most max_rows, got 50 and 20"),
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        DriftLimits(**wrong)


def test_the_page_is_self_contained_and_nothing_reports_home(loans: pd.DataFrame):
    html = measure_drift(loans, prompts(2, 100, LOANS), LIMITS, seed=0).html
    assert "<html" in html
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?://", html)
    assert "evidently.telemetry" not in sys.modules
