"""Say whether what people ask now still looks like what a model was trained on.

The score is Evidently's text drift: the ROC AUC of a classifier (tf-idf, linear) that tells current
from reference prompts on the half of the rows that it was not fitted on; 0.5 is chance. The method
is fixed here because Evidently otherwise changes it, and the meaning of its threshold, with the
number of rows. The mean of several splits is taken, and both samples have the same size, so that
neither the split nor the balance moves the score.

A small sample scatters around 0.5: see `limit_at`. Wording alone is looked at, so a change of
answers or of quality is not found, and neither is anything in texts without spaces between words
(one "word" per sentence). The other columns describe and do not decide.
"""

import math
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

SPLITS = 5
# Times the standard deviation that one split has when nothing changed. The mean of five has about
# 0.6 of it (measured), so this is more than 3 of its own. Rates: docs/decisions/0006-drift.md.
NOISE_DEVIATIONS = 2
TEXT_METHOD = "abs_text_content_drift"
SHAPE_METHOD = "jensenshannon"
SHAPE_LIMIT = 0.1  # Jensen-Shannon distance, Evidently's own default
WORD = r"(?u)\b\w\w+\b"  # what the classifier reads as a word


class Verdict(StrEnum):
    DRIFTED = "drifted"
    STABLE = "stable"
    TOO_FEW_ROWS = "too_few_rows"
    NO_SCORE = "no_score"  # no words to compare
    NOTHING_NEW = "nothing_new"  # no champion with known weeks, or no week after them


@dataclass(frozen=True)
class DriftLimits:
    score_limit: float = 0.6
    min_rows: int = 50  # of either side
    max_rows: int = 2_000  # of either side; more are sampled

    def __post_init__(self) -> None:
        if not 0.5 < self.score_limit < 1:
            raise ValueError(f"score_limit must lie between 0.5 and 1, got {self.score_limit}")
        if not 10 <= self.min_rows <= self.max_rows:
            raise ValueError(
                "min_rows must be 10 or more and at most max_rows, "
                f"got {self.min_rows} and {self.max_rows}"
            )


@dataclass(frozen=True)
class DriftResult:
    drifted: bool
    reason: Verdict
    score: float | None  # AUC, 0.5 is "cannot be told apart"; None where there is none
    limit: float
    n_reference: int  # rows given, not rows sampled
    n_current: int
    columns: dict[str, float] = field(default_factory=dict)
    html: str = ""  # self-contained page, some MB; "" without a score


def measure_drift(
    reference: pd.DataFrame, current: pd.DataFrame, limits: DriftLimits, seed: int
) -> DriftResult:
    """Compare the column `prompt` of two tables. Same rows, order and seed give the same score."""
    before, now = (_prompts(table) for table in (reference, current))
    rows = min(len(before), len(now), limits.max_rows)
    limit = limit_at(rows, limits.score_limit)

    def unscored(reason: Verdict) -> DriftResult:
        return DriftResult(False, reason, None, limit, len(reference), len(current))

    if rows < limits.min_rows:
        return unscored(Verdict.TOO_FEW_ROWS)
    if not (before.str.contains(WORD).any() and now.str.contains(WORD).any()):
        return unscored(Verdict.NO_SCORE)

    random = np.random.RandomState(seed)
    before, now = (_described(side.sample(rows, random_state=random)) for side in (before, now))
    try:
        snapshot, columns = _report(before, now, limit)
        scores = [columns["prompt"]]
        for _ in range(SPLITS - 1):
            # Evidently splits by position with a fixed seed: another order is another split.
            first, second = (side.sample(frac=1, random_state=random) for side in (before, now))
            scores.append(_report(first, second, limit, text_only=True)[1]["prompt"])
    except ValueError as error:
        if not _without_vocabulary(error):
            raise
        return unscored(Verdict.NO_SCORE)
    score = float(np.mean(scores))
    with _quiet():
        html = snapshot.get_html_str(as_iframe=False)
    return DriftResult(
        drifted=score > limit,
        reason=Verdict.DRIFTED if score > limit else Verdict.STABLE,
        score=score,
        limit=limit,
        n_reference=len(reference),
        n_current=len(current),
        columns={**columns, "prompt": score},
        html=html,
    )


def limit_at(rows: int, score_limit: float) -> float:
    """Return the limit for `rows` on each side: the given one, or the noise bound if higher.

    The classifier is scored on half of the rows, m of each side; the AUC of m against m of the same
    kind has variance (2m + 1) / 12m^2 (Mann-Whitney).
    """
    half = max(1, rows // 2)
    noise = math.sqrt((2 * half + 1) / (12 * half**2))
    return min(0.99, max(score_limit, 0.5 + NOISE_DEVIATIONS * noise))


def _prompts(table: pd.DataFrame) -> pd.Series:
    prompts = table["prompt"].dropna().astype(str)
    return prompts[prompts.str.strip() != ""].reset_index(drop=True)


def _described(prompts: pd.Series) -> pd.DataFrame:
    words = prompts.str.count(r"\w+")
    letters = prompts.str.count(r"[^\W\d_]")
    return pd.DataFrame(
        {
            "prompt": prompts,
            # Logarithm: a few pasted documents would else be all that a distance sees.
            "log_words": np.log1p(words),
            "letter_share": letters / prompts.str.len(),
            "question": prompts.str.contains("?", regex=False).astype(float),
        }
    ).reset_index(drop=True)


def _report(
    before: pd.DataFrame, now: pd.DataFrame, limit: float, text_only: bool = False
) -> tuple[Any, dict[str, float]]:
    """Return Evidently's snapshot and the score of every column."""
    with _quiet():
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

    shapes = [] if text_only else [name for name in before.columns if name != "prompt"]
    definition = DataDefinition(text_columns=["prompt"], numerical_columns=shapes)
    metric: Any = ValueDrift  # its fields are not in its signature
    metrics = [metric(column="prompt", method=TEXT_METHOD, threshold=limit)]
    metrics += [metric(column=name, method=SHAPE_METHOD, threshold=SHAPE_LIMIT) for name in shapes]
    with _quiet():
        snapshot = Report(metrics).run(
            Dataset.from_pandas(now[["prompt", *shapes]], data_definition=definition),
            Dataset.from_pandas(before[["prompt", *shapes]], data_definition=definition),
        )
    values = snapshot.dict()["metrics"]
    return snapshot, {m["config"]["column"]: float(m["value"]) for m in values}


@contextmanager
def _quiet() -> Generator[None]:
    """Without Evidently's warnings: its imports are deprecated ones, and its classifier complains
    of stopping at its 50 rounds, which is how it is built."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _without_vocabulary(error: ValueError) -> bool:
    return "empty vocabulary" in str(error) or "no terms remain" in str(error)
