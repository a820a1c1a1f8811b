"""A corrected record stands for the one it corrects; both lines are counted, each once."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ft_assets.raw import schema
from ft_assets.raw.changes import Scan, scan
from ft_assets.raw.delivery import list_sources
from ft_assets.raw.feed import Feed
from ft_assets.raw.intake import take_up
from ft_assets.raw.resubmit import folder_of, id_of, land, record_id, resubmitted_feed
from ft_assets.raw.taken import Intake

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK1, WEEK2 = "2026-08-31", "2026-09-07"


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        **{"event_id": f"e{number}", "ts": "2026-09-02T10:00:00Z", "domain": "legal"},
        **{"user_id": "u1", "session_id": "s1", "prompt": "Is it due?", "response": "Yes."},
        **changes,
    }


class Feeds:
    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        (folder / "legal").mkdir()

    def put(self, *rows: dict[str, Any] | bytes, name: str = "feed.jsonl") -> None:
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        (self.folder / "legal" / name).write_bytes(b"".join(line + b"\n" for line in lines))

    def sources(self) -> list:
        own = Feed(files=[f"{self.folder}/legal/feed*"])
        return list_sources([resubmitted_feed(str(self.folder), "legal", self.kind), own])

    def take(self, **options: Any) -> Intake:
        model = schema.MODELS[self.kind]
        intake = take_up(self.sources(), model, domain="legal", now=NOW, **options)
        kept = len(intake.rows) + len(intake.quarantined) + sum(intake.dropped.values())
        assert intake.rows_in == kept
        return intake

    def correct(self, record: Any, row: dict[str, Any]) -> str:
        folder = folder_of(str(self.folder), "legal", self.kind)
        return land(folder, id_of(record), record.week, row, NOW)


@pytest.fixture
def logs(tmp_path: Path) -> Feeds:
    return Feeds(tmp_path, "logs")


@pytest.fixture
def users(tmp_path: Path) -> Feeds:
    return Feeds(tmp_path, "users")


def test_a_corrected_row_is_taken_up_in_place_of_the_record(logs: Feeds) -> None:
    logs.put(event(1), event(2, rating="4"), b"{broken", event(3))
    before = logs.take()
    assert [r.reason.value for r in before.quarantined] == ["wrong_type", "not_json"]
    logs.correct(before.quarantined[0], event(2, rating=4))
    after = logs.take()
    assert [(row["event_id"], row["rating"]) for row in after.rows] == [
        ("e1", None),
        ("e3", None),
        ("e2", 4),
    ]
    assert after.rows[2]["source_file"].startswith("logs/20261123T120000")
    assert after.quarantined == before.quarantined[1:]
    assert after.dropped == {"resubmitted": 1}
    assert after.rows_in == before.rows_in + 1


def test_a_correction_that_does_not_fit_is_quarantined_itself(logs: Feeds) -> None:
    logs.put(event(1, rating="4"))
    [record] = logs.take().quarantined
    logs.correct(record, event(1, rating=9))
    after = logs.take()
    assert [r.reason.value for r in after.quarantined] == ["out_of_range"]
    assert after.dropped == {"resubmitted": 1}
    again = after.quarantined[0]
    folder = folder_of(str(logs.folder), "legal", "logs")
    land(folder, id_of(again), again.week, event(1, rating=5), datetime(2026, 11, 24, tzinfo=UTC))
    last = logs.take()
    assert (last.quarantined, last.dropped) == ([], {"resubmitted": 2})
    assert [row["rating"] for row in last.rows] == [5]


def test_a_line_that_has_become_good_meanwhile_is_one_row(logs: Feeds) -> None:
    logs.put(event(1, extra=1))
    [record] = logs.take().quarantined
    logs.correct(record, event(1))
    after = logs.take(unknown_fields="ignore")
    assert (len(after.rows), after.quarantined, after.dropped) == (1, [], {"redelivered": 1})


def test_another_line_at_the_same_place_is_not_resolved(logs: Feeds) -> None:
    logs.put(event(1, rating="4"))
    [record] = logs.take().quarantined
    logs.correct(record, event(1, rating=4))
    logs.put(event(1, rating="five"))
    after = logs.take()
    assert [r.reason.value for r in after.quarantined] == ["wrong_type"]


def test_both_weeks_are_told_and_some_weeks_are_as_all(logs: Feeds) -> None:
    logs.put(event(1), b"{broken")
    [record] = logs.take().quarantined
    assert record.week == WEEK1
    logs.correct(record, event(2, ts="2026-09-09T10:00:00Z"))
    correction = logs.sources()[-1]
    assert scan(correction, Scan(), "legal").weeks.keys() == {WEEK1, WEEK2}
    whole = logs.take().by_week([WEEK1, WEEK2])
    for week in (WEEK1, WEEK2):
        some = logs.take(weeks=[week])
        assert (some.rows, some.dropped) == (whole[week].rows, whole[week].dropped)
    assert whole[WEEK1].dropped == {"resubmitted": 1}
    assert [row["event_id"] for row in whole[WEEK2].rows] == ["e2"]


def test_a_conflict_is_resolved_like_every_problem(logs: Feeds) -> None:
    logs.put(event(1), event(1, response="No."))
    [record] = logs.take().quarantined
    logs.correct(record, event(2, response="No."))
    after = logs.take()
    assert [row["event_id"] for row in after.rows] == ["e1", "e2"]
    assert (after.quarantined, after.dropped) == ([], {"resubmitted": 1})


def test_a_corrected_line_suspends_its_user_no_longer(users: Feeds) -> None:
    users.put(
        {"user_id": "u1", "training_consent": True},
        {"user_id": "u1", "training_consent": "no"},
    )
    before = users.take()
    assert [r.reason.value for r in before.quarantined] == ["wrong_type", "consent_unclear"]
    users.correct(before.quarantined[0], {"user_id": "u1", "training_consent": False})
    after = users.take()
    assert [(row["user_id"], row["training_consent"]) for row in after.rows] == [("u1", False)]
    assert (after.quarantined, after.dropped) == ([], {"resubmitted": 1, "superseded": 1})


def test_nothing_half_written_is_seen_and_urls_work(logs: Feeds) -> None:
    logs.put(event(1, rating="4"))
    [record] = logs.take().quarantined
    place = Path(logs.correct(record, event(1)))
    assert [file.name for file in place.parent.iterdir()] == [place.name]
    url = land("memory://landing/legal", id_of(record), "", event(1), NOW)
    with fsspec.open(url, "rb") as stored:
        assert json.loads(stored.read())["resolves"] == id_of(record)  # type: ignore[union-attr]


def test_an_id_depends_on_place_and_content() -> None:
    ids = {
        record_id(*args) for args in [("a", 1, "x"), ("a", 1, "y"), ("a", 2, "x"), ("b", 1, "x")]
    }
    assert len(ids) == 4
    assert record_id("a", 1, "x\ud800") == record_id("a", 1, "x\ud800")
