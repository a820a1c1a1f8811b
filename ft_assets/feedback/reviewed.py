"""What reviewers decided on the gateway's page, read back from the corrections feed.

A line of it has `origin` review:VERDICT, `source` review:ITEM, the reviewer, and a status: pending
until enough reviewers agree, then approved or rejected. A reviewer who thought again has two lines
on one item; the newest one that was not rejected is the decision.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ft_resources.agreement import Decision, agreements

Row = Mapping[str, Any]

MARK = "review:"


def decided_answers(corrections: Iterable[Row]) -> set[str]:
    """Ids of answers on which nothing more is to be decided."""
    rows = list(corrections)
    standing = _standing(rows)
    waiting = {item for (item, _), row in standing.items() if row["status"] == "pending"}
    done = [row for (item, _), row in standing.items() if item not in waiting]
    done += [row for row in rows if not _is_of_the_page(row) and row["status"] == "approved"]
    return {row["event_id"] for row in done if row["event_id"]}


def decisions(corrections: Iterable[Row]) -> list[Decision]:
    return [
        Decision(item, reviewer, row["origin"].removeprefix(MARK))
        for (item, reviewer), row in _standing(corrections).items()
    ]


def _standing(corrections: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """By item and reviewer, the line that is the decision."""
    newest: dict[tuple[str, str], Row] = {}
    for row in sorted(corrections, key=lambda row: (row["ts"], row["status"] != "rejected")):
        if _is_of_the_page(row):
            newest[row["source"], row["reviewer_id"] or ""] = row
    return newest


def _is_of_the_page(row: Row) -> bool:
    return all((row[name] or "").startswith(MARK) for name in ("source", "origin"))


def agreement_table(corrections: Iterable[Row]) -> list[list[object]]:
    """Reviewers, items that both decided, how many alike, and Cohen's kappa."""
    return [
        [
            " and ".join(one.reviewers),
            one.items,
            one.same,
            "not defined" if one.kappa is None else f"{one.kappa:.2f}",
        ]
        for one in agreements(decisions(corrections))
    ]
