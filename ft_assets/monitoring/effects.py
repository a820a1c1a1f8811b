"""How far one week is from a baseline, stream by stream, as an effect size.

A stream is one thing that can change: the words of prompts or of answers, a descriptor of them, or
the share of bad reactions. Effect sizes:

- words: the ROC AUC of Evidently's text classifier (tf-idf, linear) that tells the week from the
  baseline; 0.5 is "cannot be told apart". A classifier two-sample test (Lopez-Paz and Oquab, 2017).
  Cross-fitted in folds of conversations, so that a dialogue is never on both sides.
- descriptors: Jensen-Shannon distance of the histograms over tenths of the baseline, 0 to 1.
- shares: Cohen's h, 2 asin sqrt(p) of the week less that of the baseline; positive is worse.

Words are runs of two letters or more: nothing is found in texts without spaces between words.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from ft_assets.feedback.signals import VOTES

WORD = r"(?u)\b\w\w+\b"  # what the classifier reads as a word
FOLDS = 4  # each row is scored once, by what was fitted on the others
BASELINE_RATIO, BASELINE_ROWS = 4, 1_000  # a small week is told from more rows than it has itself
TENTHS = np.linspace(0, 1, 11)[1:-1]
EVENT_COLUMNS = (
    *("event_id", "week", "user", "conversation", "model_version"),
    *("prompt", "response"),
)


class Stream(StrEnum):
    PROMPT_WORDS = "prompt_words"
    ANSWER_WORDS = "answer_words"
    PROMPT_LENGTH = "prompt_length"
    PROMPT_LETTERS = "prompt_letters"
    PROMPT_QUESTION = "prompt_question"
    ANSWER_LENGTH = "answer_length"
    ANSWER_LETTERS = "answer_letters"
    VOTES = "votes"
    REDONE = "redone"


WORDS = (Stream.PROMPT_WORDS, Stream.ANSWER_WORDS)
COLUMN = {Stream.PROMPT_WORDS: "prompt", Stream.ANSWER_WORDS: "response"}
SHARES = (Stream.VOTES, Stream.REDONE)
DESCRIPTORS = tuple(stream for stream in Stream if stream not in (*WORDS, *SHARES))
# Judged against what people asked when the model was trained; the others against earlier weeks
# that the same model answered.
OF_PROMPTS = tuple(stream for stream in Stream if stream.startswith("prompt"))
TITLES = {
    Stream.PROMPT_WORDS: "words of prompts (AUC)",
    Stream.ANSWER_WORDS: "words of answers (AUC)",
    Stream.PROMPT_LENGTH: "length of prompts (JS distance)",
    Stream.PROMPT_LETTERS: "share of letters in prompts (JS distance)",
    Stream.PROMPT_QUESTION: "questions among prompts (JS distance)",
    Stream.ANSWER_LENGTH: "length of answers (JS distance)",
    Stream.ANSWER_LETTERS: "share of letters in answers (JS distance)",
    Stream.VOTES: "bad votes among votes (Cohen's h)",
    Stream.REDONE: "answers asked for again or rewritten (Cohen's h)",
}


@dataclass(frozen=True)
class Effect:
    value: float | None  # None: no words to compare
    chance: float = 1.0  # of a share, its standard deviation when nothing changed


def observed(events: pd.DataFrame, signals: pd.DataFrame) -> pd.DataFrame:
    """One row per event, with a column per stream besides words: a number, or NaN for none.

    `votes` is 1 for a bad one and 0 for a good one; `redone` is 1 when any other reaction says that
    the answer was not wanted as it was. `signals` has event_id, signal and score (0 to 1, 1 good)
    as in feedback_signals.
    """
    voted = signals["signal"].isin(VOTES)
    votes = signals[voted].groupby("event_id")["score"].mean()
    others = signals[~voted].groupby("event_id")["score"].min()
    table = events[list(EVENT_COLUMNS)].copy()
    for column, name in (("prompt", "prompt"), ("response", "answer")):
        texts = table[column].fillna("")
        table[column] = texts.where(texts.str.strip() != "")
        # Logarithm: a few pasted documents would else be all that a distance sees.
        table[f"{name}_length"] = np.log1p(table[column].str.count(r"\w+").astype(float))
        table[f"{name}_letters"] = table[column].str.count(r"[^\W\d_]") / table[column].str.len()
    table[Stream.PROMPT_QUESTION] = table["prompt"].str.contains("?", regex=False).astype(float)
    vote = table["event_id"].map(votes)
    table[Stream.VOTES] = (vote < 0.5).astype(float).where(vote.notna())
    table[Stream.REDONE] = (table["event_id"].map(others) < 0.5).astype(float)
    return table


def usable(table: pd.DataFrame, stream: Stream) -> pd.DataFrame:
    """The rows of a table that a stream can be read from."""
    return table[table[COLUMN.get(stream, stream)].notna()]


def measure(
    stream: Stream, baseline: pd.DataFrame, week: pd.DataFrame, random: np.random.RandomState
) -> Effect:
    """The effect of a week against its baseline; both hold usable rows alone."""
    if stream in WORDS:
        most = max(len(week), min(BASELINE_RATIO * len(week), BASELINE_ROWS))
        sides = (cut(baseline, most, random), week)
        return Effect(told_apart(*sides, COLUMN[stream], random))
    if stream in SHARES:
        return _share_effect(baseline, week, stream)
    before, now = (side[stream].to_numpy(float) for side in (baseline, week))
    return Effect(distance(before, now))


def cut(table: pd.DataFrame, rows: int, random: np.random.RandomState) -> pd.DataFrame:
    return table if len(table) <= rows else table.sample(rows, random_state=random)


def told_apart(
    before: pd.DataFrame, now: pd.DataFrame, column: str, random: np.random.RandomState
) -> float | None:
    """Mean ROC AUC over the folds; None where there are no words, or too few conversations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently's settings stop before convergence
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import SGDClassifier

    if not all(side[column].str.contains(WORD).any() for side in (before, now)):
        return None
    labels = np.r_[np.zeros(len(before)), np.ones(len(now))]
    both = pd.concat([before, now], ignore_index=True)
    try:
        # As in Evidently's roc_auc_domain_classifier, but for the vocabulary, which is made once.
        matrix = TfidfVectorizer(
            sublinear_tf=True, max_df=0.5, stop_words="english", token_pattern=WORD
        ).fit_transform(both[column])
    except ValueError as error:
        if not without_vocabulary(error):
            raise
        return None
    groups, members = np.unique(
        np.char.add(labels.astype(int).astype(str), both["conversation"].astype(str).to_numpy(str)),
        return_inverse=True,
    )
    scores = []
    fold = (random.permutation(len(groups)) % FOLDS)[members]
    for tested in (fold == number for number in range(FOLDS)):
        if min(len(set(labels[tested])), len(set(labels[~tested]))) < 2:
            return None
        classifier: Any = SGDClassifier(
            **{"alpha": 1e-4, "max_iter": 50, "penalty": "l1", "loss": "modified_huber"},
            class_weight="balanced",
            random_state=42,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            classifier.fit(matrix[~tested], labels[~tested])
        scores.append(auc(labels[tested], classifier.decision_function(matrix[tested])))
    return float(np.mean(scores))


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Of labels 0 and 1: the chance that a 1 has the higher score, ties as a half."""
    from scipy.stats import rankdata

    ones = labels == 1
    n = int(ones.sum())
    return float((rankdata(scores)[ones].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))


def distance(before: np.ndarray, now: np.ndarray) -> float:
    """Jensen-Shannon distance (base 2) over tenths of `before`."""
    edges = np.unique(np.quantile(before, TENTHS))
    sides = []
    for values in (before, now):
        # "left": a value on an edge belongs below it, so that two values make two bins.
        counts = np.bincount(np.searchsorted(edges, values, "left"), minlength=len(edges) + 1)
        sides.append(counts / counts.sum())
    middle = (sides[0] + sides[1]) / 2
    divergence = 0.0
    for side in sides:
        there = side > 0
        divergence += float((side[there] * np.log2(side[there] / middle[there])).sum()) / 2
    return math.sqrt(max(0.0, divergence))


def _share_effect(baseline: pd.DataFrame, week: pd.DataFrame, column: str) -> Effect:
    before, now = float(baseline[column].mean()), float(week[column].mean())
    value = 2 * math.asin(math.sqrt(now)) - 2 * math.asin(math.sqrt(before))
    spread = sum(_design_effect(side, column) / len(side) for side in (baseline, week))
    return Effect(value, math.sqrt(spread))


def _design_effect(table: pd.DataFrame, column: str) -> float:
    """Times the binomial variance of a share that it has because users react alike (Kish); >= 1."""
    values, share = table[column].to_numpy(float), float(table[column].mean())
    binomial = len(values) * share * (1 - share)
    if binomial == 0:
        return 1.0
    by_user = (table[column] - share).groupby(table["user"].fillna("")).sum()
    return max(1.0, float((by_user**2).sum()) / binomial)


def without_vocabulary(error: ValueError) -> bool:
    return "empty vocabulary" in str(error) or "no terms remain" in str(error)


def main_model(week: pd.DataFrame) -> str:
    """The model that answered most of a week; "" when none is named."""
    counts = week["model_version"].dropna().value_counts()
    return str(counts.index[0]) if len(counts) else ""


def span(weeks: Sequence[str]) -> str:
    return f"{weeks[0]} to {weeks[-1]}" if weeks else "no week"
