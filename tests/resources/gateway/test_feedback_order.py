"""Feedback that is late, comes twice or out of order counts once: at the gateway and at intake."""

import itertools
import json
from datetime import UTC, datetime

import pytest

from ft_assets.raw.intake import take_up
from ft_assets.raw.schema import Interaction
from ft_assets.raw.sources import list_files
from ft_resources.gateway.landing import FEEDBACK, with_feedback

ANSWER = {
    "event_id": "e1",
    "ts": "2026-03-02T10:00:00.000Z",
    "domain": "legal",
    "user_id": "u",
    "session_id": "s",
    "turn": 0,
    "prompt": "p",
    "response": "r",
    "model_version": "m",
    "latency_ms": 3,
    **dict.fromkeys(("rating", "thumb", "correction", "comment", "edit_share")),
    **dict.fromkeys(("regenerated", "clicked", "copied", "abandoned"), False),
}
REPORTS = [
    ({"thumb": "up"}, 1),
    ({"thumb": "down", "comment": "too long"}, 2),
    ({"copied": True}, 3),
    ({"thumb": "up", "rating": 4}, 4),
]


def told(reports):
    row = ANSWER
    for fields, order in reports:
        row = with_feedback(row, fields, order)
    return {name: row[name] for name in FEEDBACK}


def test_reports_in_any_order_say_the_same():
    expected = told(REPORTS)
    assert (expected["thumb"], expected["rating"], expected["comment"]) == ("up", 4, "too long")
    for order in itertools.permutations(REPORTS):
        assert told(order) == expected


def test_reports_that_come_again_change_nothing():
    assert told([*REPORTS, *REPORTS[::-1], *REPORTS]) == told(REPORTS)
    row = with_feedback(ANSWER, {"thumb": "up"}, 5)
    assert with_feedback(row, {"thumb": "up"}, 5) is row
    assert with_feedback(row, {"thumb": "down"}, 5) is row
    assert with_feedback(row, {"thumb": "up"}, None) is row


def test_saying_it_again_later_holds_against_what_was_said_between():
    assert (
        told([({"thumb": "up"}, 1), ({"thumb": "up"}, 9), ({"thumb": "down"}, 5)])["thumb"] == "up"
    )


def test_without_an_order_the_last_one_holds():
    row = ANSWER
    for thumb in ("up", "down", "up"):
        row = with_feedback(row, {"thumb": thumb}, None)
    assert (row["thumb"], row["feedback_seq"]) == ("up", 3)


@pytest.mark.parametrize("ordered", [True, False])
def test_intake_takes_the_lines_in_any_order(tmp_path, ordered):
    rows = [ANSWER]
    for fields, order in [*REPORTS, ({"edit_share": 0.5}, 2)]:
        rows.append(with_feedback(rows[-1], fields, order if ordered else None))
    first, *later = rows
    expected = {name: rows[-1][name] for name in FEEDBACK}
    for number, lines in enumerate(itertools.permutations(later)):
        file = tmp_path / str(number) / "logs.jsonl"
        file.parent.mkdir()
        file.write_text("".join(json.dumps(row) + "\n" for row in (first, *lines, *lines[:2])))
        now = datetime(2026, 4, 1, tzinfo=UTC)
        intake = take_up(list_files([str(file)]), Interaction, domain="legal", now=now)
        assert intake.quarantined == []
        [row] = intake.rows
        assert {name: row[name] for name in FEEDBACK} == expected
