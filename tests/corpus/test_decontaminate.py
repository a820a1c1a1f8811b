import random
import time

import pytest

from ft_assets.corpus.decontaminate import EvalIndex, EvalText, Rule


def text(seed: int, length: int) -> str:
    pick = random.Random(seed)
    return " ".join(f"w{pick.randrange(5000)}" for _ in range(length))


LONG_QUESTION = f"Summarise this visit. {text(1, 120)}"
LONG_ANSWER = text(2, 60)
SHORT_QUESTION = "Is there a way to track my card?"
EVALUATION = [
    EvalText("long", LONG_QUESTION, LONG_ANSWER),
    EvalText("short", SHORT_QUESTION, "card_arrival"),
    EvalText("dialogue", "Yes, that works for me.", "Your table for two is booked at seven."),
]


@pytest.fixture(scope="module")
def index() -> EvalIndex:
    return EvalIndex(EVALUATION)


@pytest.mark.parametrize(
    ("prompt", "response", "rule", "eval_id"),
    [
        (SHORT_QUESTION, "card_arrival", Rule.SAME_PROMPT, "short"),
        (SHORT_QUESTION, "lost_or_stolen_card", Rule.SAME_PROMPT, "short"),  # another answer
        ("is there a way to TRACK my card", "x", Rule.SAME_PROMPT, "short"),
        ("Hi! Is there a way to track my card?", "card_arrival", Rule.NEAR_DUPLICATE, "short"),
        ("Please. " + LONG_QUESTION, LONG_ANSWER, Rule.NEAR_DUPLICATE, "long"),
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
    overlap = index.overlap(prompt, response)
    assert overlap is not None
    assert (overlap.rule, overlap.eval_id) == (rule, eval_id)


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
    assert index.overlap(prompt, response) is None


def test_prompts_without_words_are_compared_as_they_are():
    index = EvalIndex([EvalText("a", "??", "What do you mean?")])
    assert index.overlap("??", "x") is not None
    assert index.overlap("!!", "x") is None


def test_the_answer_does_not_depend_on_the_order_of_the_evaluation_rows():
    twins = [EvalText(key, "the very same question", f"answer {key}") for key in "ba"]
    for texts in (twins, twins[::-1]):
        overlap = EvalIndex(texts).overlap("The very same question?", "x")
        assert overlap is not None
        assert overlap.eval_id == "a"


def test_the_rarest_ngrams_are_enough_to_find_containment():
    # A phrase that every evaluation row shares must not hide what is their own.
    common = text(20, 30)
    texts = [EvalText(f"e{i}", f"q{i}", f"{common} {text(100 + i, 30)}") for i in range(50)]
    index = EvalIndex(texts)
    for i in (0, 49):
        found = index.overlap("other", f"{text(900, 200)} {common} {text(100 + i, 30)}")
        assert found is not None
        assert found.eval_id == f"e{i}"
    assert index.overlap("other", f"{common} {text(901, 200)}") is None


def test_no_evaluation_rows_means_no_overlap():
    assert EvalIndex([]).overlap("a", "b") is None


def test_a_row_costs_little_however_many_evaluation_rows_there_are():
    index = EvalIndex(EvalText(f"e{i}", text(i, 40), text(i + 10_000, 40)) for i in range(2000))
    rows = [(text(i, 40), text(i + 1, 40)) for i in range(50_000, 51_000)]
    started = time.process_time()
    assert not any(index.overlap(*row) for row in rows)
    assert time.process_time() - started < 10
