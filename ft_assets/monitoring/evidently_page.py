"""Evidently's own page on one week: data, text and descriptor drift of every column.

It shows, it does not decide: its text score is one split, its thresholds are per column, and all
columns are compared with the weeks the champion was trained on. The method of texts is fixed
because Evidently otherwise changes it, and the meaning of its threshold, with the number of rows.
"""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from ft_assets.monitoring.alarms import SHAPE_FLOOR
from ft_assets.monitoring.effects import DESCRIPTORS, SHARES, without_vocabulary

TEXT_METHOD = "abs_text_content_drift"
SHAPE_METHOD = "jensenshannon"
TEXTS = ("prompt", "response")


def evidently_page(
    baseline: pd.DataFrame, week: pd.DataFrame, score_limit: float, max_rows: int, seed: int
) -> tuple[str, dict[str, float]]:
    """Return the self-contained page (some MB) and the score of each column.

    Tables of effects.observed. Both are cut to equal size. A column that cannot be compared, such
    as texts without a word, is left out.
    """
    random = np.random.RandomState(seed)
    rows = min(len(baseline), len(week), max_rows)
    sides = [side.sample(rows, random_state=random) for side in (baseline, week)]
    texts = [name for name in TEXTS if all(side[name].notna().all() for side in sides)]
    try:
        return _report(*sides, texts, score_limit)
    except ValueError as error:
        if not texts or not without_vocabulary(error):
            raise
        return _report(*sides, [], score_limit)


def _report(
    before: pd.DataFrame, now: pd.DataFrame, texts: list[str], score_limit: float
) -> tuple[str, dict[str, float]]:
    with _quiet():
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

    shapes = [name for name in DESCRIPTORS if all(_varies(side[name]) for side in (before, now))]
    tables = []
    for side in (before, now):
        table = side[[*texts, *shapes]].copy()
        for name in SHARES:
            table[name] = side[name].map({0.0: "good", 1.0: "bad"}).fillna("none")
        tables.append(table)
    definition = DataDefinition(
        text_columns=texts,
        numerical_columns=[str(name) for name in shapes],
        categorical_columns=[str(name) for name in SHARES],
    )
    metric: Any = ValueDrift  # its fields are not in its signature
    metrics = [metric(column=name, method=TEXT_METHOD, threshold=score_limit) for name in texts]
    metrics += [
        metric(column=str(name), method=SHAPE_METHOD, threshold=SHAPE_FLOOR)
        for name in (*shapes, *SHARES)
    ]
    with _quiet():
        snapshot = Report(metrics).run(
            Dataset.from_pandas(tables[1], data_definition=definition),
            Dataset.from_pandas(tables[0], data_definition=definition),
        )
        html = snapshot.get_html_str(as_iframe=False)
    values = snapshot.dict()["metrics"]
    return html, {m["config"]["column"]: float(m["value"]) for m in values}


def _varies(column: pd.Series) -> bool:
    return column.notna().all() and column.nunique() > 1


@contextmanager
def _quiet() -> Generator[None]:
    """Without Evidently's warnings: its imports are deprecated ones, and its classifier complains
    of stopping at its 50 rounds, which is how it is built."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
