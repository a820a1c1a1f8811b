"""Every line is counted once, in one week, whatever is wrong with it."""

import gzip
import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_assets.raw import schema
from ft_assets.raw.changes import Scan, scan
from ft_assets.raw.intake import take_up
from ft_assets.raw.quarantine import Reason, to_lines
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import Intake

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK1, WEEK2, WEEK3 = "2026-08-31", "2026-09-07", "2026-09-14"
DAYS = {WEEK1: "2026-09-02", WEEK2: "2026-09-08", WEEK3: "2026-09-20"}


def event(event_id: str = "e1", week: str = WEEK1, **changes: object) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "ts": f"{DAYS[week]}T10:00:00Z",
        "domain": "legal",
        "user_id": "u1",
        "session_id": "s1",
        "turn": 0,
        "prompt": "Is it due?",
        "response": "Yes.",
        "rating": None,
        "thumb": None,
        "correction": None,
        "regenerated": False,
        "clicked": False,
        "latency_ms": 5,
        **changes,
    }


def line(row: dict[str, Any] | bytes) -> bytes:
    return row if isinstance(row, bytes) else json.dumps(row).encode()


def take(
    *files: Iterable[dict[str, Any] | bytes],
    model: type[schema.Row] = schema.Interaction,
    **options: Any,
) -> Intake:
    with tempfile.TemporaryDirectory() as folder:
        for number, rows in enumerate(files):
            content = b"\n".join(line(row) for row in rows) + b"\n"
            (Path(folder) / f"feed-{number}.jsonl").write_bytes(content)
        listed = list_files([folder])
        intake = take_up(listed, model, domain="legal", now=NOW, **options)
    assert intake.rows_in == len(intake.rows) + len(intake.quarantined) + sum(
        intake.dropped.values()
    )
    return intake


def reasons(intake: Intake) -> list[tuple[int, str, str]]:
    return [(r.source_line, r.reason.value, r.detail) for r in intake.quarantined]


def test_rows_know_where_they_come_from_and_their_week() -> None:
    intake = take([event("e1"), b"", event("e2", WEEK2)], [event("e3", WEEK3)])
    places = [(r["event_id"], r["week"], r["source_line"]) for r in intake.rows]
    assert places == [("e1", WEEK1, 1), ("e2", WEEK2, 3), ("e3", WEEK3, 1)]
    assert [row["source_file"].split("/")[1] for row in intake.rows] == [
        "feed-0.jsonl",
        "feed-0.jsonl",
        "feed-1.jsonl",
    ]
    assert (intake.rows_in, list(intake.files().values())) == (3, [2, 1])


def test_quarantine_keeps_the_line_whole_and_equal_records_give_equal_bytes() -> None:
    broken = b'{"event_id": "e1", "prompt": "caf\xe9 \x00'
    intake = take([broken])
    (record,) = intake.quarantined
    assert record.reason is Reason.NOT_UTF8
    assert record.raw == '{"event_id": "e1", "prompt": "caf\\xe9 \x00'
    stored = to_lines(intake.quarantined)
    assert stored[4:8] == bytes(4)  # no time of writing
    assert json.loads(gzip.decompress(stored))["reason"] == "not_utf8"


def test_the_same_line_twice_is_a_redelivery() -> None:
    intake = take([event("e1"), event("e2"), event("e1")], [event("e1")])
    assert [row["event_id"] for row in intake.rows] == ["e1", "e2"]
    assert intake.dropped == {"redelivered": 2}


def test_feedback_that_comes_later_is_merged_into_the_event() -> None:
    intake = take(
        [
            event(rating=2, clicked=True),
            event(rating=4, thumb="down"),
            event(thumb="up", regenerated=True, correction="No."),
            event(rating=2, clicked=True),  # old lines again: they must not win back
            event(rating=5),
            event(rating=4, thumb="down"),
        ]
    )
    (row,) = intake.rows
    kept = {name: row[name] for name in ("rating", "thumb", "correction")}
    assert kept == {"rating": 5, "thumb": "up", "correction": "No."}
    assert (row["regenerated"], row["clicked"], row["source_line"]) == (True, True, 1)
    assert intake.dropped == {"feedback_merged": 3, "redelivered": 2}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [0, 3, 1, 2, 1, 3, 0]])
def test_feedback_that_is_counted_may_return_to_what_it_was(order: list[int]) -> None:
    rows = [
        event(),
        event(thumb="up", feedback_seq=1),
        event(thumb="down", rating=1, feedback_seq=2),
        event(thumb="up", rating=1, feedback_seq=3),
    ]
    intake = take([rows[place] for place in order])
    (row,) = intake.rows
    assert (row["thumb"], row["rating"]) == ("up", 1)
    assert "feedback_seq" not in row
    assert intake.dropped.get("redelivered", 0) == len(order) - 4


@pytest.mark.parametrize(
    "change",
    [{"response": "No."}, {"user_id": "u2"}, {"ts": "2026-09-02T10:00:01Z"}, {"latency_ms": 6}],
)
def test_an_id_with_other_content_is_a_conflict(change: dict[str, Any]) -> None:
    intake = take([event(rating=1), event(rating=5, **change)])
    assert [row["rating"] for row in intake.rows] == [1]
    assert reasons(intake) == [(2, "conflicting_id", "event_id")]


def test_a_broken_line_does_not_own_its_id() -> None:
    intake = take([event("e1", turn=-1), event("e1")])
    assert [row["source_line"] for row in intake.rows] == [2]


def test_late_events_reach_their_own_week() -> None:
    intake = take([event("e1", WEEK2), event("e2", WEEK3), event("e3", WEEK1)])
    assert [len(part.rows) for part in intake.by_week([WEEK1, WEEK2, WEEK3]).values()] == [1, 1, 1]


def test_lines_without_a_time_are_counted_with_their_neighbours() -> None:
    undated, bad = b"rubbish", event("e4", ts=5)
    first = [undated, undated, event("e1", WEEK1), bad, event("e2", WEEK2), undated]
    intake = take(first, [undated], [undated, event("e3", WEEK3)])
    weeks = [(r.source_file.split("/")[1], r.source_line, r.week) for r in intake.quarantined]
    assert sorted(weeks) == [
        ("feed-0.jsonl", 1, WEEK1),
        ("feed-0.jsonl", 2, WEEK1),
        ("feed-0.jsonl", 4, WEEK1),
        ("feed-0.jsonl", 6, WEEK2),
        ("feed-1.jsonl", 1, WEEK2),
        ("feed-2.jsonl", 1, WEEK3),
    ]


def test_a_broken_line_that_names_its_time_is_counted_there() -> None:
    half = line(event("e2", WEEK2))[:60]
    far = event("e3", ts="2099-01-01T00:00:00Z")
    intake = take([event("e1", WEEK1), half, far])
    assert [(r.source_line, r.week) for r in intake.quarantined] == [(2, WEEK2), (3, WEEK2)]


def test_only_rubbish_is_counted_though_it_has_no_week() -> None:
    intake = take([b"rubbish"], [b"more"])
    assert [record.week for record in intake.quarantined] == ["", ""]


def test_a_conflict_in_another_week_is_still_seen() -> None:
    rows = [event("e1", WEEK1), event("e1", WEEK2), event("e2", WEEK2)]
    intake = take(rows, weeks=[WEEK2])
    assert [row["event_id"] for row in intake.rows] == ["e2"]
    assert reasons(intake) == [(2, "conflicting_id", "event_id")]
    assert take(rows, weeks=[WEEK1]).quarantined == []


def test_lines_that_break_off_or_run_over_are_each_one_record(tmp_path: Path) -> None:
    content = b"\n".join(line(event(f"e{n}", prompt=str(n * 7919) * 20)) for n in range(300))
    (tmp_path / "logs.jsonl.gz").write_bytes(gzip.compress(content)[:-500])
    (tmp_path / "logs-2.jsonl").write_bytes(line(event("x" * 900)) + b"\n" + line(event("last")))
    files = list_files([str(tmp_path)])
    intake = take_up(
        files, schema.Interaction, domain="legal", now=NOW, max_line_bytes=800, weeks=[WEEK1]
    )
    assert intake.reasons() == {"line_too_long": 1, "unreadable_file": 1}
    assert intake.rows_in == len(intake.rows) + 2
    assert intake.rows[-1]["event_id"] == "last"


def test_weeks_of_a_source_without_weeks_are_refused() -> None:
    with pytest.raises(ValueError, match="User rows have no week"):
        take([], model=schema.User, weeks=[WEEK1])


def test_unknown_fields_follow_the_option() -> None:
    rows = [event(debug=1)]
    assert take(rows).reasons() == {"unknown_field": 1}
    assert len(take(rows, unknown_fields="ignore").rows) == 1


def document(version: int, updated_at: str | None, text: str) -> dict[str, Any]:
    return {
        "doc_id": "d1",
        "domain": "legal",
        "kind": "memo",
        "title": "t",
        "text": text,
        "version": version,
        "updated_at": updated_at,
        "access": "public",
    }


@pytest.mark.parametrize(
    ("rows", "kept", "dropped"),
    [
        ([(1, None, "a"), (2, None, "b")], "b", {"superseded": 1}),
        ([(10, None, "a"), (9, None, "b")], "a", {"superseded": 1}),
        ([(1, "2026-02-01T00:00:00Z", "a"), (1, "2026-01-31T23:00:00-05:00", "b")], "b", None),
        ([(1, "2026-02-01T00:00:00Z", "a"), (1, None, "b")], "a", None),
        ([(1, None, "a"), (1, None, "b")], "b", {"superseded": 1}),
        (
            [(1, None, "a"), (1, None, "a"), (0, None, "z")],
            "a",
            {"redelivered": 1, "superseded": 1},
        ),
    ],
)
def test_of_a_document_the_newest_edition_is_kept(
    rows: list[tuple[int, str | None, str]], kept: str, dropped: dict[str, int] | None
) -> None:
    intake = take([document(*row) for row in rows], model=schema.Document)
    assert [row["text"] for row in intake.rows] == [kept]
    assert intake.dropped == (dropped or {"superseded": 1})


def test_a_newer_edition_stands_where_its_line_is() -> None:
    other = {**document(1, None, "x"), "doc_id": "d2"}
    rows = [document(1, None, "a"), other, document(2, None, "b")]
    intake = take(rows, model=schema.Document)
    assert [row["source_line"] for row in intake.rows] == [2, 3]


def user(consent: object, erasure: str | None = None) -> dict[str, Any]:
    return {"user_id": "u1", "training_consent": consent, "erasure_requested_at": erasure}


ERASED = "2026-10-01T00:00:00Z"


@pytest.mark.parametrize(
    ("rows", "kept", "dropped", "refused"),
    [
        ([user(True), user(False)], [(False, None)], {"superseded": 1}, {}),
        ([user(False), user(True)], [(True, None)], {"superseded": 1}, {}),
        ([user(True), user(True)], [(True, None)], {"redelivered": 1}, {}),
        ([user(True, ERASED), user(False)], [(False, ERASED)], {"superseded": 1}, {}),
        ([user(True), user("no")], [], {}, {"consent_unclear": 1, "wrong_type": 1}),
        ([user(True), line(user(True))[:-9]], [], {}, {"consent_unclear": 1, "not_json": 1}),
        ([user("no"), user(True)], [(True, None)], {}, {"wrong_type": 1}),
        (
            [user(True, ERASED), user("no"), user(True)],
            [(True, ERASED)],
            {},
            {"consent_unclear": 1, "wrong_type": 1},
        ),
    ],
)
def test_of_a_user_the_last_word_is_kept_but_erasure_is_never_undone(
    rows: list[dict[str, Any] | bytes],
    kept: list[tuple[bool, str | None]],
    dropped: dict[str, int],
    refused: dict[str, int],
) -> None:
    intake = take(rows, model=schema.User)
    assert [(r["training_consent"], r["erasure_requested_at"]) for r in intake.rows] == kept
    assert (intake.dropped, intake.reasons()) == (dropped, refused)


def test_the_unclear_user_line_is_quarantined_with_its_text() -> None:
    intake = take([user(True), user("no")], model=schema.User)
    by_reason = {record.reason: record for record in intake.quarantined}
    assert json.loads(by_reason[Reason.CONSENT_UNCLEAR].raw) == user(True)


def correction(status: str, text: str = "Yes.", ts: str = "2026-09-02T10:00:00Z") -> dict[str, Any]:
    return {
        "correction_id": "c1",
        "ts": ts,
        "domain": "legal",
        "prompt": "Is it due?",
        "corrected_response": text,
        "status": status,
    }


@pytest.mark.parametrize(
    ("rows", "status", "dropped", "refused"),
    [
        ([correction("pending"), correction("approved")], "approved", {"superseded": 1}, {}),
        (
            [correction("rejected", ts="2026-09-03T10:00:00Z"), correction("approved")],
            "rejected",
            {"superseded": 1},
            {},
        ),
        ([correction("pending"), correction("pending")], "pending", {"redelivered": 1}, {}),
        (
            [correction("pending"), correction("approved", "No.")],
            "pending",
            {},
            {"conflicting_id": 1},
        ),
    ],
)
def test_a_decision_on_the_same_correction_replaces_the_earlier_one(
    rows: list[dict[str, Any]], status: str, dropped: dict[str, int], refused: dict[str, int]
) -> None:
    intake = take(rows, model=schema.Correction)
    assert [row["status"] for row in intake.rows] == [status]
    assert (intake.dropped, intake.reasons()) == (dropped, refused)


def test_annotations_of_one_id_conflict() -> None:
    row = {"annotation_id": "a1", "domain": "legal", "task": "qa", "prompt": "p", "response": "r"}
    intake = take([row, row, {**row, "response": "other"}], model=schema.Annotation)
    assert intake.dropped == {"redelivered": 1}
    assert reasons(intake) == [(3, "conflicting_id", "annotation_id")]


TIMES = st.sampled_from(
    [f"{day}T{hour}:00:00Z" for day in DAYS.values() for hour in ("00", "23")]
    + ["2026-09-07T01:00:00+02:00", "1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "soon", 5, None]
)
EVENTS = st.fixed_dictionaries(
    {
        "event_id": st.sampled_from(["e1", "e2", "e3", 'e"4', "", None]),
        "ts": TIMES,
        "rating": st.sampled_from([None, None, 1, 5, 9, "4"]),
        "clicked": st.booleans(),
        "prompt": st.sampled_from(
            ["a", "b", 'x "ts": "2026-09-08T10:00:00Z" y', "{brace}", "\ud800", "é\u0000"]
        ),
    },
    optional={"debug": st.just({"ts": "2026-09-20T10:00:00Z"}), "thumb": st.just("up")},
)
ODD_LINES = st.sampled_from(
    [
        b"",
        b"  \t",
        b"rubbish",
        b"\xef\xbb\xbf" + line(event("bom")),
        b"\xff\xfe" + line(event("e1")),
        line(event("e1", WEEK2)) + b"\r",
        line(event("e1"))[:70],
        line(event("e1")) * 2,
        line(event("e1", WEEK3)).replace(b'"ts"', rb'"\u0074s"'),
        line(event("e1", WEEK3)).replace(b'"event_id"', rb'"event_i\u0064"'),
        line(event("e2"))[:-1] + b', "ts": "2026-09-08T10:00:00Z"}',
        line(event("e2"))[:-1] + rb', "\u0074s": "2026-09-08T10:00:00Z"}',
        line(event("e3")).replace(b": 5", b": NaN"),
        line(event("e3", WEEK2)).replace(b": 5", b": 1e400"),
        b"[" * 3000,
        b"\x00" * 30,
        b'{"ts": "2026-09-08T10:00:00Z", "event_id": "' + b"x" * 3000,
    ]
)


def mutated(base: bytes, at: int, piece: bytes) -> bytes:
    return base[: at % (len(base) + 1)] + piece + base[(at + len(piece)) % (len(base) + 1) :]


LINES = st.one_of(
    EVENTS.map(lambda changes: line(event(**changes))),
    ODD_LINES,
    st.builds(
        mutated,
        EVENTS.map(lambda changes: line(event(**changes))),
        st.integers(0, 400),
        st.binary(max_size=3),
    ),
)


@settings(max_examples=250, deadline=None)
@given(
    files=st.lists(st.lists(LINES, max_size=12), max_size=3),
    cut=st.integers(0, 60),
    unknown_fields=st.sampled_from(["refuse", "ignore"]),
)
def test_every_line_is_counted_once_and_some_weeks_equal_all(
    files: list[list[bytes]], cut: int, unknown_fields: schema.UnknownFields
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, lines in enumerate(files):
            packed = gzip.compress(b"\n".join(lines), mtime=0)
            content = packed[:-cut] if cut and number == 1 else packed
            (Path(folder) / f"logs-{number}.jsonl.gz").write_bytes(content)
        listed = list_files([folder])

        def taken(weeks: list[str] | None) -> Intake:
            return take_up(
                listed,
                schema.Interaction,
                domain="legal",
                now=NOW,
                weeks=weeks,
                unknown_fields=unknown_fields,
                max_line_bytes=2000,
            )

        whole = taken(None)
        told = set[str]().union(*(scan(file, Scan(), "legal").sums() for file in listed))
        found = {week for week, _ in whole.lines} - {""}
        parts = whole.by_week(sorted(found))
        for week, part in parts.items():
            assert taken([week]) == part
        for weeks in ([WEEK1, WEEK3], [WEEK2, "2030-01-07"]):
            some = taken(weeks)
            assert {w: p for w, p in some.by_week(weeks).items() if p.rows_in} == {
                w: p for w, p in parts.items() if w in weeks
            }

    for intake in [*parts.values(), whole]:
        ends = len(intake.rows) + len(intake.quarantined) + sum(intake.dropped.values())
        assert intake.rows_in == ends
    assert not found or sum(part.rows_in for part in parts.values()) == whole.rows_in
    if not cut:
        lines = [x for file in files for x in b"\n".join(file).split(b"\n")]
        assert whole.rows_in == sum(1 for x in lines if x.removeprefix(b"\xef\xbb\xbf").strip())
    ids = [row["event_id"] for row in whole.rows]
    assert len(ids) == len(set(ids))
    # A key written with escapes is the one thing the sensor's cheap scan does not see.
    if not any(b"\\u0074s" in x for file in files for x in file):
        assert {row["week"] for row in whole.rows} <= told


def test_forty_thousand_lines_take_seconds(tmp_path: Path) -> None:
    start = datetime(2026, 8, 31, tzinfo=UTC)
    rows = (
        event(f"e{n}", ts=schema.format_timestamp(start + timedelta(minutes=n)), prompt="x" * 900)
        for n in range(40_000)
    )
    (tmp_path / "logs.jsonl").write_bytes(b"\n".join(line(row) for row in rows))
    files = list_files([str(tmp_path)])
    began = datetime.now(UTC)
    intake = take_up(files, schema.Interaction, domain="legal", now=NOW)
    assert len(intake.rows) == 40_000
    assert datetime.now(UTC) - began < timedelta(seconds=30)  # 2 on an idle core
