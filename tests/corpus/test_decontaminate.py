import random
import time

import numpy as np
import pytest

from ft_assets.corpus.decontaminate import RULES, EvalIndex, Rule
from ft_assets.corpus.fingerprints import Fingerprints, fingerprint_pairs, fingerprint_texts


def text(seed: int, length: int) -> str:
    pick = random.Random(seed)
    return " ".join(f"w{pick.randrange(5000)}" for _ in range(length))


Case = tuple[str, str, str]  # key, prompt, response


def prints(cases: list[Case]) -> Fingerprints:
    keys, prompts, responses = zip(*cases, strict=True) if cases else ((), (), ())
    return fingerprint_pairs(keys, [""] * len(keys), prompts, responses)


def overlap(index: EvalIndex, prompt: str, response: str) -> tuple[Rule, str] | None:
    found = index.overlaps(prints([("row", prompt, response)]))
    return (RULES[found.rules[0]], str(index.keys[found.rows[0]])) if found.found[0] else None


LONG_QUESTION = f"Summarise this visit. {text(1, 120)}"
LONG_ANSWER = text(2, 60)
SHORT_QUESTION = "Is there a way to track my card?"
EVALUATION = [
    ("long", LONG_QUESTION, LONG_ANSWER),
    ("short", SHORT_QUESTION, "card_arrival"),
    ("dialogue", "Yes, that works for me.", "Your table for two is booked at seven."),
]


@pytest.fixture(scope="module")
def index() -> EvalIndex:
    return EvalIndex(prints(EVALUATION))


@pytest.mark.parametrize(
    ("prompt", "response", "rule", "eval_id"),
    [
        (SHORT_QUESTION, "card_arrival", Rule.SAME_PROMPT, "short"),
        (SHORT_QUESTION, "lost_or_stolen_card", Rule.SAME_PROMPT, "short"),  # another answer
        ("is there a way to TRACK my card", "x", Rule.SAME_PROMPT, "short"),
        ("Hi! Is there a way to track my card?", "card_arrival", Rule.SAME_PROMPT, "short"),
        ("Please. " + LONG_QUESTION, LONG_ANSWER, Rule.SAME_PROMPT, "long"),
        ("Now: " + LONG_QUESTION, LONG_ANSWER, Rule.NEAR_DUPLICATE, "long"),
        # Pasted whole into a longer row: too long for a near duplicate.
        (text(3, 200) + LONG_QUESTION, LONG_ANSWER + text(4, 200), Rule.CONTAINS_TEXT, "long"),
        (text(3, 200), text(5, 100) + " " + LONG_ANSWER, Rule.CONTAINS_ANSWER, "long"),
        ("", f"{text(6, 300)} {LONG_ANSWER} {text(7, 300)}", Rule.CONTAINS_ANSWER, "long"),
        # 4 of 60 words changed leave 8-grams enough only if the changes lie together.
        (
            "x",
            text(8, 90) + " " + " ".join(LONG_ANSWER.split()[4:]),
            Rule.CONTAINS_ANSWER,
            "long",
        ),
    ],
)
def test_overlaps(index: EvalIndex, prompt: str, response: str, rule: Rule, eval_id: str):
    assert overlap(index, prompt, response) == (rule, eval_id)


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("Is there a way to cancel my card?", "cancel_card"),
        ("How do I track it?", "card_arrival"),  # a label may be shared
        (text(9, 150), text(10, 60)),
        (f"Summarise this visit. {text(11, 120)}", text(12, 60)),  # only the wrapper is shared
        ("Thanks!", "Your table for two is booked at eight."),  # short phrases prove nothing
        ("Great, see you then!", "Your table for two is booked at seven."),
        (text(13, 100), " ".join(LONG_ANSWER.split()[:30])),  # half of the answer
        ("", ""),
    ],
)
def test_clean_rows(index: EvalIndex, prompt: str, response: str):
    assert overlap(index, prompt, response) is None


def test_prompts_without_words_are_compared_as_they_are():
    index = EvalIndex(prints([("a", "??", "What do you mean?")]))
    assert overlap(index, "??", "x") is not None
    assert overlap(index, "!!", "x") is None


def test_the_answer_does_not_depend_on_the_order_of_the_evaluation_rows():
    twins = [(key, "the very same question", f"answer {key}") for key in "ba"]
    for texts in (twins, twins[::-1]):
        index = EvalIndex(prints(texts))
        assert overlap(index, "The very same question?", "x") == (Rule.SAME_PROMPT, "a")


def test_the_rarest_ngrams_are_enough_to_find_containment():
    # A phrase that every evaluation row shares must not hide what is their own.
    common = text(20, 30)
    index = EvalIndex(
        prints([(f"e{i}", f"q{i}", f"{common} {text(100 + i, 30)}") for i in range(50)])
    )
    for i in (0, 49):
        found = overlap(index, "other", f"{text(900, 200)} {common} {text(100 + i, 30)}")
        assert found == (Rule.CONTAINS_TEXT, f"e{i}")
    assert overlap(index, "other", f"{common} {text(901, 200)}") is None


def test_a_passage_that_holds_an_answer_overlaps(index: EvalIndex):
    texts = [f"{text(6, 300)} {LONG_ANSWER}", text(7, 300)]
    found = index.overlaps(fingerprint_texts(["p1", "p2"], ["", ""], texts))
    assert found.found.tolist() == [True, False]


def test_only_the_rows_asked_for_are_looked_up(index: EvalIndex):
    rows = prints([("a", SHORT_QUESTION, "x"), ("b", SHORT_QUESTION, "x")])
    assert index.overlaps(rows, np.array([False, True])).found.tolist() == [False, True]


def test_no_evaluation_rows_means_no_overlap():
    assert overlap(EvalIndex(prints([])), "a", "b") is None


def test_a_row_costs_little_however_many_evaluation_rows_there_are():
    index = EvalIndex(prints([(f"e{i}", text(i, 40), text(i + 10_000, 40)) for i in range(2000)]))
    rows = prints([(f"r{i}", text(i, 40), text(i + 1, 40)) for i in range(50_000, 51_000)])
    started = time.process_time()
    assert not index.overlaps(rows).found.any()
    assert time.process_time() - started < 2
