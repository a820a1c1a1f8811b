"""What a look at a source tells: the weeks and sources with other content, and nothing else."""

import gzip
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ft_assets.raw.changes import Scan, from_json, look, scan
from ft_assets.raw.feed import Feed
from ft_assets.raw.sources import SourceFile, list_feeds, list_files
from ft_assets.raw.sql_records import SqlQuery

FIRST, SECOND, THIRD = "2026-08-31", "2026-09-07", "2026-09-14"
DAYS = {FIRST: "2026-09-01", SECOND: "2026-09-09", THIRD: "2026-09-15"}


def event(week: str, **more: object) -> bytes:
    return json.dumps({"event_id": "e", "ts": f"{DAYS[week]}T10:00:00Z", **more}).encode() + b"\n"


class Look:
    """One look after the other at a file, as the sensor has them."""

    def __init__(self, path: Path, packed: bool = False, feed: Feed | None = None) -> None:
        self.path, self.packed, self.feed = path, packed, feed
        self.known, self.clock = Scan(), 1_000_000_000

    def file(self) -> SourceFile:
        found = list_feeds([self.feed]) if self.feed else list_files([str(self.path)])
        return found[0]

    def __call__(self, content: bytes | None = None) -> set[str]:
        if content is not None:
            self.clock += 10
            self.path.write_bytes(gzip.compress(content) if self.packed else content)
            os.utime(self.path, (self.clock, self.clock))
        before, self.known = self.known, scan(self.file(), self.known, "legal")
        self.known = from_json(json.loads(json.dumps(self.known.to_json())))
        return self.known.changed_since(before)


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def looked(request: pytest.FixtureRequest, tmp_path: Path) -> Look:
    return Look(tmp_path / "logs.jsonl", request.param)


def test_new_lines_tell_their_own_weeks_alone(looked: Look) -> None:
    content = event(FIRST) + b"rubbish\n"
    assert looked(content) == {FIRST}
    assert looked() == set()
    assert looked(content + event(SECOND)) == {SECOND}
    assert looked(content + event(SECOND) + event(FIRST, late=True)) == {FIRST}
    assert looked.known.offset == len(content + event(SECOND) + event(FIRST, late=True))


def test_a_line_that_is_still_growing(looked: Look) -> None:
    content = event(FIRST)
    assert looked(content) == {FIRST}
    half = content + event(SECOND)[:-2]  # the time is there, the end is not
    assert looked(half) == {SECOND}
    assert looked.known.offset == len(content)
    assert looked(content + event(SECOND)) == {SECOND}
    assert looked(content + event(SECOND)) == set()


def test_a_last_line_without_line_end_is_a_line(looked: Look) -> None:
    assert looked(event(FIRST)) == {FIRST}
    whole = event(FIRST) + event(FIRST, more=1).rstrip()
    assert looked(whole) == {FIRST}
    assert looked(whole + b"\n") == set()
    assert looked(whole + b"\n" + event(SECOND)) == {SECOND}


@pytest.mark.parametrize("more", [b"", event(THIRD), event(THIRD) * 2000])
def test_a_rewritten_file_tells_the_weeks_that_are_others(looked: Look, more: bytes) -> None:
    """Of equal length, and longer: what lies before the old end tells that it was not appended."""
    looked(event(FIRST, text="old") + event(SECOND) + more)
    extra = event(SECOND, more=2) if more else b""
    expected = {FIRST, SECOND} if more else {FIRST}
    assert looked(event(FIRST, text="new") + event(SECOND) + more + extra) == expected


def test_lines_that_have_gone_are_a_change(looked: Look) -> None:
    looked(event(FIRST) + event(SECOND))
    assert looked(event(SECOND)) == {FIRST}
    assert looked(b"") == {SECOND}


def test_a_touched_file_and_lines_in_another_order_are_none(looked: Look) -> None:
    looked(event(FIRST) + event(SECOND))
    assert looked(event(FIRST) + event(SECOND)) == set()
    assert looked(event(SECOND) + event(FIRST)) == set()


def test_an_unchanged_file_is_not_opened(looked: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(event(FIRST))
    monkeypatch.setattr("ft_assets.raw.changes.open_delivery", None)
    assert looked() == set()


def test_a_line_without_a_time_counts_with_the_one_before(looked: Look) -> None:
    looked(event(FIRST) + event(SECOND))
    assert looked(event(FIRST) + b"broken\n" + event(SECOND)) == {FIRST}


def test_only_new_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Look(tmp_path / "logs.jsonl")
    old = event(FIRST) * 5000
    looked(old)
    read: list[int] = []
    from ft_assets.raw import changes

    whole = changes.pieces

    def counting(*arguments: Any) -> Any:
        for piece in whole(*arguments):
            read.append(piece.length)
            yield piece

    monkeypatch.setattr(changes, "pieces", counting)
    assert looked(old + event(SECOND)) == {SECOND}
    assert sum(read) == len(event(SECOND))


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    content = b"".join(event(FIRST, text=str(n * 7919)) for n in range(2000))
    (tmp_path / "logs.jsonl.gz").write_bytes(gzip.compress(content)[:-2000])
    [file] = list_files([str(tmp_path)])
    found = scan(file, Scan(), "legal")
    assert (found.weeks.keys(), found.offset) == ({FIRST}, 0)


def test_a_table_tells_the_weeks_that_are_others(tmp_path: Path) -> None:
    looked = Look(tmp_path / "logs.csv")
    head = b"event_id,ts\n"
    assert looked(head + b"1,2026-09-01T10:00:00Z\n2,2026-09-09T10:00:00Z\n") == {FIRST, SECOND}
    assert looked(head + b"1,2026-09-01T10:00:00Z\n3,2026-09-09T10:00:00Z\n") == {SECOND}


def test_what_an_older_version_noted_is_read_anew() -> None:
    assert from_json([12, 12]) == from_json(None) == Scan()


def query(folder: Path, **more: str) -> SqlQuery:
    return SqlQuery(
        Feed(sql=f"sqlite:///{folder}/a.db", query="SELECT id AS event_id, ts FROM t", **more)
    )


def run(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "a.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("watch", [{}, {"watch": "SELECT count(*), max(ts) FROM t"}])
def test_a_query_tells_the_weeks_that_are_others(tmp_path: Path, watch: dict[str, str]) -> None:
    row = "INSERT INTO t VALUES ({}, '{}T10:00:00Z')".format
    run(tmp_path, "CREATE TABLE t (id TEXT, ts TEXT)", row(1, DAYS[FIRST]), row(2, DAYS[SECOND]))
    source = query(tmp_path, **watch)
    first = scan(source, Scan(), "legal")
    assert first.changed_since(Scan()) == {FIRST, SECOND}
    known, other = look(source, None)
    assert other
    assert scan(source, first, "legal").changed_since(first) == set()
    assert look(source, known)[1] is False
    run(tmp_path, row(3, DAYS[SECOND]))
    assert scan(source, first, "legal").changed_since(first) == {SECOND}
    assert look(source, known)[1] is True


def test_a_watched_query_is_not_asked_again(tmp_path: Path) -> None:
    run(tmp_path, "CREATE TABLE t (id TEXT, ts TEXT)")
    source = query(tmp_path, watch="SELECT 1")
    known = scan(source, Scan(), "legal")
    run(tmp_path, f"INSERT INTO t VALUES (1, '{DAYS[FIRST]}T10:00:00Z')")
    assert scan(source, known, "legal") is known


def test_a_source_that_is_taken_up_whole_changes_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    clock = 1_000_000_000

    def seen(content: bytes | None, known: dict[str, str] | None) -> tuple[dict[str, str], bool]:
        nonlocal clock
        clock += 10
        if content is not None:
            path.write_bytes(content)
        os.utime(path, (clock, clock))
        return look(list_files([str(path)])[0], known)

    known, other = seen(b"old", None)
    assert other
    known, other = seen(None, known)
    assert not other
    known, other = seen(b"new", known)
    assert other
    assert look(list_files([str(path)])[0], known) == (known, False)
