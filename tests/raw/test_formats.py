"""A row is the same row in whatever format it is delivered, and no record of any is lost."""

import csv
import gzip
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ft_assets.raw import schema
from ft_assets.raw.changes import Scan, scan
from ft_assets.raw.formats import Format, format_of, read_records
from ft_assets.raw.intake import take_up
from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import Intake

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Rows = list[dict[str, Any]]


def as_jsonl(rows: Rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_json(rows: Rows) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def as_csv(rows: Rows, delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows([{k: _cell(v) for k, v in row.items()} for row in rows])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool | dict) else value


def as_parquet(rows: Rows) -> bytes:
    out = io.BytesIO()
    texts = [{k: _cell(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(texts), out, row_group_size=2)
    return out.getvalue()


def as_pandas_parquet(rows: Rows) -> bytes:
    out = io.BytesIO()
    texts = [{k: _cell(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
    pd.DataFrame(texts).to_parquet(out)
    return out.getvalue()


def as_arrow(rows: Rows, stream: bool = False) -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


WRITERS = {
    "feed.json": as_json,
    "feed.csv": as_csv,
    "feed.tsv": lambda rows: as_csv(rows, "\t"),
    "semicolons.csv": lambda rows: as_csv(rows, ";"),
    "feed.csv.gz": lambda rows: gzip.compress(as_csv(rows)),
    "feed.parquet": as_parquet,
    "pandas.parquet": as_pandas_parquet,
    "feed.arrow": as_arrow,
    "stream.arrow": lambda rows: as_arrow(rows, stream=True),
    "feed": as_parquet,  # told by its content
}


def take(
    folder: Path, name: str, content: bytes, model: type[schema.Row], **options: Any
) -> Intake:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(content)
    files = list_files([str(file)])
    intake = take_up(files, model, domain="legal", now=NOW, **options)
    file.unlink()
    kept = len(intake.rows) + len(intake.quarantined) + sum(intake.dropped.values())
    assert intake.rows_in == kept
    return intake


def values(intake: Intake) -> Rows:
    places = {"source_file", "source_line"}
    return [{k: v for k, v in row.items() if k not in places} for row in intake.rows]


# What CSV can carry: no lone surrogate, no NUL, no lone carriage return.
TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=30
)
WORD = st.from_regex(r"[a-zA-Z0-9][a-z0-9 ,;|\"'.]{0,6}[a-z0-9]", fullmatch=True)
TIME = st.datetimes(datetime(2026, 9, 1), datetime(2026, 11, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.isoformat()
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": WORD,
            "ts": TIME,
            "domain": st.just("legal"),
            "user_id": st.one_of(WORD, st.integers(0, 10**9).map(str)),
            "session_id": WORD,
            "turn": st.integers(0, 2**53),
            "prompt": TEXT,
            "response": TEXT,
            "rating": optional(st.integers(1, 5)),
            "thumb": optional(st.sampled_from(["up", "down"])),
            "correction": optional(TEXT.filter(bool)),
            "regenerated": st.booleans(),
            "latency_ms": optional(st.integers(0, 10**6)),
        }
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row["event_id"],
)
ANNOTATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "annotation_id": WORD,
            "domain": st.just("legal"),
            "task": WORD,
            "prompt": TEXT,
            "response": TEXT,
            "labels": st.fixed_dictionaries({"intent": WORD, "weight": st.integers(0, 9)}),
            "created_at": optional(TIME),
            "agreement": optional(st.floats(0, 1)),
        }
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda row: row["annotation_id"],
)
SLOW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", WRITERS)
@SLOW
@given(rows=EVENTS)
def test_events_are_the_same_in_every_format(tmp_path: Path, name: str, rows: Rows) -> None:
    expected = take(tmp_path, "feed.jsonl", as_jsonl(rows), schema.Interaction)
    found = take(tmp_path, name, WRITERS[name](rows), schema.Interaction)
    assert len(expected.rows) == len(rows)
    assert values(found) == values(expected)
    assert [row["source_file"] for row in found.rows] == [f"{tmp_path.name}/{name}"] * len(rows)


@pytest.mark.parametrize("name", WRITERS)
@SLOW
@given(rows=ANNOTATIONS)
def test_annotations_are_the_same_in_every_format(tmp_path: Path, name: str, rows: Rows) -> None:
    expected = take(tmp_path, "feed.jsonl", as_jsonl(rows), schema.Annotation)
    found = take(tmp_path, name, WRITERS[name](rows), schema.Annotation)
    assert len(expected.rows) == len(rows)
    assert values(found) == values(expected)


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        **{"event_id": f"e{number}", "ts": "2026-09-02T10:00:00Z", "domain": "legal"},
        **{"user_id": "u1", "session_id": "s1", "prompt": "Is it due?", "response": "Yes."},
        "thumb": None,
        **changes,
    }


HEADER = "event_id,ts,domain,user_id,session_id,prompt,response\n"


def cells(number: int, response: str = "Yes.") -> str:
    return f"e{number},2026-09-02T10:00:00Z,legal,u1,s1,Is it due?,{response}\n"


def reasons(intake: Intake) -> list[tuple[int, str]]:
    return [(record.source_line, record.reason.value) for record in intake.quarantined]


def test_a_broken_csv_record_costs_itself_alone(tmp_path: Path) -> None:
    text = HEADER + "".join(
        [
            cells(1, '"two\nlines, one cell"'),
            cells(2, '"a quote that is never closed'),
            cells(3),
            "\n",
            "e4,too,few\n",
            cells(5, '"text" behind a quote'),
            cells(6, 'a 5" pipe'),
            cells(7).replace("Is it due?", "x" * 4000),
            cells(8),
        ]
    )
    content = text.encode().replace(b"e8", b"e8\xff")
    intake = take(tmp_path, "feed.csv", content, schema.Interaction, max_line_bytes=2000)
    assert [row["event_id"] for row in intake.rows] == ["e1", "e3", "e6"]
    assert [row["source_line"] for row in intake.rows] == [2, 5, 9]
    assert intake.rows[0]["response"] == "two\nlines, one cell"
    assert reasons(intake) == [
        (4, "not_csv"),
        (7, "column_count"),
        (8, "not_csv"),
        (10, "line_too_long"),
        (11, "not_utf8"),
    ]
    assert intake.quarantined[0].raw == cells(2, '"a quote that is never closed').strip()


@pytest.mark.parametrize("header", ["a,a\n", "a,,b\n", '"a\n'])
def test_a_csv_without_a_usable_header(tmp_path: Path, header: str) -> None:
    intake = take(tmp_path, "feed.csv", (header + "1,2\n").encode(), schema.Interaction)
    assert reasons(intake) == [(1, "unreadable_file")]


def test_values_of_a_csv_that_are_no_such_type_are_refused(tmp_path: Path) -> None:
    rows = [
        event(1, rating="4.0"),
        event(2, rating="four"),
        event(3, rating="4.5"),
        event(4, regenerated="maybe"),
        event(5, regenerated="TRUE"),
        event(6, rating="7"),
        event(7, user_id=""),
        event(8, ts="02.09.2026"),
    ]
    intake = take(tmp_path, "feed.csv", as_csv(rows), schema.Interaction)
    assert [(row["event_id"], row["rating"], row["regenerated"]) for row in intake.rows] == [
        ("e1", 4, False),
        ("e5", None, True),
    ]
    assert [(r.reason.value, r.detail) for r in intake.quarantined] == [
        ("wrong_type", "rating"),
        ("wrong_type", "rating"),
        ("wrong_type", "regenerated"),
        ("out_of_range", "rating"),
        ("out_of_range", "user_id"),
        ("bad_timestamp", "ts"),
    ]
    assert json.loads(intake.quarantined[0].raw)["rating"] == "four"


def test_a_table_says_what_json_says_in_other_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            **{"event_id": [1, 2, 3, 4], "domain": ["legal"] * 4, "session_id": [7.0] * 4},
            "ts": pa.array([datetime(2026, 9, 2, 10, tzinfo=UTC)] * 4, pa.timestamp("ns", "UTC")),
            "user_id": pa.array(["a", "b", None, "c"]).dictionary_encode(),
            **{"prompt": ["p"] * 4, "response": ["r", "r", "r", "x" * 5000]},
            "rating": [5.0, float("nan"), 1.0, 1.0],
            "latency_ms": pa.array([1, None, 3, 4], pa.decimal128(9, 2)),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    intake = take(tmp_path, "feed.parquet", out.getvalue(), schema.Interaction, max_line_bytes=4000)
    assert [
        (row["event_id"], row["session_id"], row["ts"], row["rating"], row["latency_ms"])
        for row in intake.rows
    ] == [
        ("1", "7", "2026-09-02T10:00:00Z", 5, 1),
        ("2", "7", "2026-09-02T10:00:00Z", None, None),
    ]
    assert reasons(intake) == [(3, "missing_field"), (4, "line_too_long")]


def test_texts_of_a_table_that_are_no_utf_8(tmp_path: Path) -> None:
    good, bad = event(1), event(2)
    table = pa.Table.from_pylist([good, bad, event(3)])
    broken = pa.array([b"fine", b"\xff", b"fine"]).view(pa.string())
    table = table.set_column(table.schema.get_field_index("response"), "response", broken)
    out = io.BytesIO()
    pq.write_table(table, out)
    intake = take(tmp_path, "feed.parquet", out.getvalue(), schema.Interaction)
    assert [row["event_id"] for row in intake.rows] == ["e1", "e3"]
    assert reasons(intake) == [(2, "not_utf8")]


@pytest.mark.parametrize("name", ["feed.parquet", "feed.arrow", "feed.csv.gz"])
def test_a_file_that_breaks_off_is_told(tmp_path: Path, name: str) -> None:
    rows = [event(number, prompt=str(number * 7919) * 9) for number in range(3000)]
    content = WRITERS[name](rows)
    intake = take(tmp_path, name, content[: len(content) // 2], schema.Interaction)
    assert [record.reason for record in intake.quarantined][-1] is Reason.UNREADABLE_FILE


ARRAY = [
    (b"[]", []),
    (b"[ ]", []),
    (b'[{"a": 1}, {"b": [1, {"c": "]},{\\""}]}]', [b'{"a": 1}', b'{"b": [1, {"c": "]},{\\""}]}']),
    (b"\xef\xbb\xbf[1,\n2]\n", [b"1", b"2"]),
    (b"[1,,2]", [b"1", b"", b"2"]),
    (b'[{"a": "open},\n{"b": 2}]', [b'{"a": "open},\n{"b": 2}']),
]


@pytest.mark.parametrize(("content", "elements"), ARRAY)
@pytest.mark.parametrize("block", [1, 2, 3, 2**20])
def test_the_elements_of_an_array(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    elements: list[bytes],
    block: int,
) -> None:
    monkeypatch.setattr("ft_assets.raw.json_array.BLOCK", max(block, 4))
    (tmp_path / "a.json").write_bytes(content)
    [file] = list_files([str(tmp_path)])
    lines = list(read_records(file, Format.JSON))
    assert [line.data for line in lines if line.problem is None][: len(elements)] == elements[
        : len([line for line in lines if line.problem is None])
    ]
    assert len(lines) == len(elements)


def test_an_array_that_does_not_end_and_one_that_does_not_stop(tmp_path: Path) -> None:
    rows = as_json([event(1), event(2)])
    intake = take(tmp_path, "feed.json", rows[:-20], schema.Interaction)
    assert reasons(intake) == [(2, "unreadable_file")]
    intake = take(tmp_path, "feed.json", rows + b"[]", schema.Interaction)
    assert reasons(intake) == [(3, "not_json")]
    long = as_json([event(1), event(2, prompt="x" * 5000), event(3)])
    intake = take(tmp_path, "feed.json", long, schema.Interaction, max_line_bytes=1000)
    assert [row["event_id"] for row in intake.rows] == ["e1", "e3"]
    assert reasons(intake) == [(2, "line_too_long")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", b"[1]\n", Format.JSONL),
        ("a.json", b"\n [1]", Format.JSON),
        ("a.json", b'{"a": 1}', Format.JSONL),
        ("a.json", b'{"a": 1}\n{"a": 2', Format.JSONL),
        ("a.json", b'{\n "a": 1}\n', Format.JSON),
        ("a.json", b'{"a": [\r\n1]}\n', Format.JSON),
        ("a.json", b'{broken\n{"a": 1}\n', Format.JSONL),
        ("a.json", b'{"a": 1},\n{"a": 2},\n', Format.JSONL),
        ("a.jsonl", b'{\n "a": 1}\n', Format.JSONL),
        ("a.CSV", b"[a],b\n", Format.CSV),
        ("a.jsonl.1", b"[1]\n", Format.JSONL),
        ("a.parquet", b"", Format.PARQUET),
        ("a.dump", b"[1]", Format.JSON),
        ("a.dump", b"PAR1....", Format.PARQUET),
        ("a.csv", b"ARROW1\0\0", Format.ARROW),
        ("a.csv.gz", gzip.compress(b"a,b\n", mtime=0), Format.CSV),
    ],
)
def test_a_format_is_told_by_content_and_name(
    tmp_path: Path, name: str, content: bytes, expected: Format
) -> None:
    (tmp_path / name).write_bytes(content)
    [file] = list_files([str(tmp_path / name)])
    assert format_of(file) is expected


@pytest.mark.parametrize("name", WRITERS)
def test_weeks_and_some_weeks_alone(tmp_path: Path, name: str) -> None:
    days = ["2026-09-02", "2026-09-09", "2026-09-10", "2026-09-16"]
    rows: Rows = [event(n, ts=f"{day}T10:00:00Z") for n, day in enumerate(days)]
    rows += [{**rows[1], "thumb": "up"}, {**event(9), "ts": "2026-09-09T10:00:00Z", "user_id": ""}]
    content = WRITERS[name](rows)
    whole = take(tmp_path, name, content, schema.Interaction)
    some = take(tmp_path, name, content, schema.Interaction, weeks=["2026-09-07"])
    part = whole.by_week(["2026-09-07"])["2026-09-07"]
    assert (some.rows, some.quarantined, some.lines) == (part.rows, part.quarantined, part.lines)
    assert some.rows[0]["thumb"] == "up"
    (tmp_path / name).write_bytes(content)
    [file] = list_files([str(tmp_path / name)])
    assert scan(file, Scan(), "legal").weeks.keys() == {"2026-08-31", "2026-09-07", "2026-09-14"}


def test_one_object_over_many_lines_is_one_record(tmp_path: Path) -> None:
    content = json.dumps(event(1), indent=2).encode()
    intake = take(tmp_path, "feed.json", content, schema.Interaction)
    assert [(row["event_id"], row["source_line"]) for row in intake.rows] == [("e1", 1)]
    intake = take(tmp_path, "feed.json", content, schema.Interaction, max_line_bytes=50)
    assert reasons(intake) == [(1, "line_too_long")]
    assert take(tmp_path, "feed.json", b" \n", schema.Interaction).rows_in == 0


def test_a_user_whose_csv_line_cannot_be_read_is_suspended(tmp_path: Path) -> None:
    text = "user_id,training_consent\nu1,true\nu2,true\nu3,true\nu1,false,more\nu2,perhaps\n"
    intake = take(tmp_path, "users.csv", text.encode(), schema.User)
    assert [row["user_id"] for row in intake.rows] == ["u3"]
    told = [(r.source_line, r.reason.value) for r in intake.quarantined]
    assert sorted(told) == [
        (2, "consent_unclear"),
        (3, "consent_unclear"),
        (5, "column_count"),
        (6, "wrong_type"),
    ]


def peak_mib(script: str, *arguments: str) -> float:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


READ_ALL = """
import resource, sys
from ft_assets.raw.formats import format_of, read_records
from ft_assets.raw.sources import list_files
import pyarrow.parquet
[file] = list_files([sys.argv[1]])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert sum(1 for _ in read_records(file, format_of(file))) == int(sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("name", ["feed.json", "feed.csv", "feed.parquet"])
def test_reading_needs_no_more_memory_for_a_longer_file(tmp_path: Path, name: str) -> None:
    rows = [event(number, prompt=f"{number} " * 200) for number in range(25_000)]
    content = _parquet_of(rows) if name == "feed.parquet" else WRITERS[name](rows)
    (tmp_path / name).write_bytes(content)
    assert peak_mib(READ_ALL, str(tmp_path / name), "25000") < 24  # the texts are 29 MiB


def _parquet_of(rows: Rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=1000)
    return out.getvalue()


def test_fields_that_are_not_text_are_kept_readable_in_quarantine(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([event(1, response=b"\xff\x00")])
    out = io.BytesIO()
    pq.write_table(table, out)
    intake = take(tmp_path, "feed.parquet", out.getvalue(), schema.Interaction)
    assert reasons(intake) == [(1, "wrong_type")]
    kept: Mapping[str, Any] = json.loads(intake.quarantined[0].raw)
    assert kept["event_id"] == "e1"
