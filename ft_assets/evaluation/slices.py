"""Into what groups the evaluation rows fall: by task, topic and language, and by week of the logs.

Topics and weeks are columns of the evaluation set, where its source had them; the language is
found here. A value is "" where a row has none; whoever groups leaves such rows out.
"""

from collections.abc import Sequence

import pandas as pd

from ft_assets.corpus.screen.language import UNDETERMINED, detect

COLUMNS = ("task", "topic", "origin")
MIN_PERIOD_ROWS = 15


def slices_of(table: pd.DataFrame) -> dict[str, list[str]]:
    """The value of each row, by column; columns the table lacks are left out."""
    slices = {
        name: table[name].fillna("").astype(str).tolist() for name in COLUMNS if name in table
    }
    codes = [
        detect(f"{p} {r}").code for p, r in zip(table["prompt"], table["response"], strict=True)
    ]
    slices["language"] = ["" if code == UNDETERMINED else code for code in codes]
    return slices


def periods_of(weeks: Sequence[str], min_rows: int = MIN_PERIOD_ROWS) -> list[str]:
    """The period of each row: its week, or neighbouring weeks together until they have rows enough.

    Named "first..last". "" for a row without a week; weeks that never reach `min_rows` at the end
    join the period before them.
    """
    counts: dict[str, int] = {}
    for week in weeks:
        if week:
            counts[week] = counts.get(week, 0) + 1
    groups: list[list[str]] = []
    rows = 0
    for week in sorted(counts):
        if not groups or rows >= min_rows:
            groups.append([])
            rows = 0
        groups[-1].append(week)
        rows += counts[week]
    if len(groups) > 1 and rows < min_rows:
        few = groups.pop()
        groups[-1] += few
    names = {
        week: group[0] if len(group) == 1 else f"{group[0]}..{group[-1]}"
        for group in groups
        for week in group
    }
    return [names.get(week, "") for week in weeks]
