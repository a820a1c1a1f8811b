import math
import random

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from ft_assets.monitoring.effects import (
    EVENT_COLUMNS,
    Stream,
    auc,
    distance,
    main_model,
    measure,
    observed,
    told_apart,
    usable,
)

COFFEE = ["latte", "espresso", "oat", "milk", "syrup", "large", "iced", "extra", "shot", "cup"]
LOANS = ["loan", "mortgage", "interest", "rate", "term", "repay", "account", "fee", "credit"]
SHARED = ["please", "can", "you", "tell", "me", "how", "the", "order", "is", "going", "for", "my"]


def events(seed: int, rows: int, *topics: list[str], share: float = 1.0, week: str = "w1"):
    """Questions of shared words with some of a topic; `share` of them of the first topic."""
    pick = random.Random(seed)
    made = []
    for row in range(rows):
        topic = topics[0] if pick.random() < share else topics[-1]
        words = pick.choices(SHARED, k=pick.randrange(4, 30)) + pick.choices(topic, k=4)
        made.append(
            (f"{week}-{seed}-{row}", week, f"u{row % 20}", f"c{seed}-{row // 2}", "m", *words[:1])
        )
        made[-1] = (*made[-1][:5], " ".join(words) + "?", "Yes, it is. " + " ".join(topic[:3]))
    return pd.DataFrame(made, columns=pd.Index(EVENT_COLUMNS))


def seen(table: pd.DataFrame, signals: list[tuple[str, str, float]] | None = None) -> pd.DataFrame:
    columns = pd.Index(["event_id", "signal", "score"])
    return observed(table, pd.DataFrame(signals or [], columns=columns))


def effect(stream: Stream, before: pd.DataFrame, now: pd.DataFrame, seed: int = 0):
    dice = np.random.RandomState(seed)
    return measure(stream, usable(before, stream), usable(now, stream), dice)


@pytest.fixture(scope="module")
def loans() -> pd.DataFrame:
    return seen(events(0, 600, LOANS))


def test_a_new_topic_is_told_apart_and_the_same_ones_are_not(loans):
    words = Stream.PROMPT_WORDS
    assert effect(words, loans, seen(events(1, 200, COFFEE, LOANS, share=0.6))).value > 0.7
    for rows in (120, 200):
        same = effect(words, loans, seen(events(2, rows, LOANS))).value
        assert same == pytest.approx(0.5, abs=0.12)


def test_the_same_seed_gives_the_same_score_and_leaves_the_tables_alone(loans):
    now, copy = seen(events(3, 80, LOANS)), seen(events(3, 80, LOANS))
    scores = [effect(Stream.PROMPT_WORDS, loans, now, seed).value for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]
    pd.testing.assert_frame_equal(now, copy)


def test_a_conversation_is_not_told_by_its_own_words():
    """Each has a word of its own in all its rows; with rows in both halves it would be known."""
    sides = [
        pd.DataFrame(
            {
                "prompt": [f"private{side}x{row // 20} please order" for row in range(200)],
                "conversation": [f"{side}-{row // 20}" for row in range(200)],
            }
        )
        for side in (0, 1)
    ]
    score = told_apart(*sides, "prompt", np.random.RandomState(0))
    assert score == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("text", ["? !", "a b c", "the and of", "loan"])
def test_texts_without_a_vocabulary_have_no_score(text):
    table = seen(events(0, 100, LOANS).assign(prompt=text))
    assert effect(Stream.PROMPT_WORDS, table, table).value is None


def test_an_error_that_is_not_about_words_is_raised(loans):
    other = loans.rename(columns={"prompt": "text"})
    with pytest.raises(KeyError, match="prompt"):
        told_apart(other, other, "prompt", np.random.RandomState(0))


def test_auc_is_the_chance_that_a_one_ranks_higher():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 2.0, 3.0])
    assert auc(labels, scores) == (3 + 0.5) / 4
    assert auc(labels, -scores) == 1 - (3 + 0.5) / 4


def test_the_distance_is_that_of_jensen_and_shannon():
    dice = np.random.default_rng(0)
    before, now = dice.normal(0, 1, 4000), dice.normal(0.8, 1, 4000)
    edges = [-np.inf, *np.quantile(before, np.linspace(0.1, 0.9, 9)), np.inf]
    counts = [np.histogram(side, edges)[0] for side in (before, now)]
    assert distance(before, now) == pytest.approx(jensenshannon(*counts, base=2), abs=1e-6)
    assert distance(before, before) == 0
    assert distance(np.array([0.0, 0, 0, 1]), np.array([1.0, 1, 1, 1])) > 0.5


def test_a_few_pasted_books_are_not_drift_and_do_not_hide_it(loans):
    now = events(6, 200, LOANS)
    now.loc[:3, "prompt"] = "loan interest " * 30_000
    assert effect(Stream.PROMPT_LENGTH, loans, seen(now)).value < 0.2
    longer = now.assign(prompt=now["prompt"] + " " + now["prompt"])
    assert effect(Stream.PROMPT_LENGTH, loans, seen(longer)).value > 0.3


def test_reactions_are_votes_or_signs_that_an_answer_was_not_wanted():
    table = seen(
        events(0, 5, LOANS),
        [
            ("w1-0-0", "thumb", 0.0),
            ("w1-0-1", "rating", 1.0),
            ("w1-0-1", "regenerated", 0.25),
            ("w1-0-2", "clicked", 0.75),
            ("w1-0-3", "thumb", 1.0),
            ("w1-0-3", "rating", 0.5),
        ],
    )
    assert table[Stream.VOTES].fillna(-1).tolist() == [1, 0, -1, 0, -1]
    assert table[Stream.REDONE].tolist() == [0, 1, 0, 0, 0]
    assert len(usable(table, Stream.VOTES)) == 3


def test_a_share_is_worse_when_positive_and_its_chance_knows_who_reacted():
    def votes(bad: int, users: int) -> pd.DataFrame:
        found = seen(events(0, 200, LOANS))
        found[Stream.VOTES] = [1.0] * bad + [0.0] * (200 - bad)
        return found.assign(user=[f"u{row * users // 200}" for row in range(200)])

    many, few = (effect(Stream.VOTES, votes(20, n), votes(60, n)) for n in (200, 10))
    assert many.value == pytest.approx(2 * math.asin(0.3**0.5) - 2 * math.asin(0.1**0.5))
    assert many.chance == pytest.approx(math.sqrt(2 / 200))
    assert few.chance > 2 * many.chance
    assert effect(Stream.VOTES, votes(60, 200), votes(20, 200)).value < 0
    assert effect(Stream.VOTES, votes(0, 200), votes(0, 200)).value == 0


def test_blank_and_missing_texts_are_no_rows():
    table = events(0, 6, LOANS)
    table["prompt"] = ["", "  ", None, "loan?", "rate", "fee"]
    assert len(usable(seen(table), Stream.PROMPT_WORDS)) == 3
    assert len(usable(seen(table), Stream.PROMPT_QUESTION)) == 3


def test_the_model_of_a_week_is_the_one_that_answered_most():
    table = events(0, 10, LOANS)
    assert main_model(table.assign(model_version=["a"] * 4 + ["b"] * 6)) == "b"
    assert main_model(table.assign(model_version=None)) == ""
