"""A feed with other names, words and times needs no code."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ft_assets.raw import schema
from ft_assets.raw.changes import Scan, scan
from ft_assets.raw.intake import take_up
from ft_assets.raw.mapping import FieldRule, apply
from ft_assets.raw.sources import list_feeds
from ft_assets.raw.taken import Intake
from ft_assets.settings import Platform, PlatformError, load_platform

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs" / "sources.md"


def mapped(rule: Any, fields: dict[str, Any]) -> Any:
    """The value of the field `x`, or "nothing"."""
    return apply({"x": FieldRule.model_validate(rule)}, fields).get("x", "nothing")


@pytest.mark.parametrize(
    ("rule", "fields", "value"),
    [
        ("a", {"a": 1}, 1),
        ("a", {"a": None}, None),
        ("a", {}, "nothing"),
        ("a.b.c", {"a": {"b": {"c": "deep"}}}, "deep"),
        ("a.b", {"a.b": "flat", "a": {"b": "deep"}}, "flat"),
        ("a.b", {"a": "text"}, "nothing"),
        ("a.0.b", {"a": [{"b": 1}, {"b": 2}]}, 1),
        ("a.-1.b", {"a": [{"b": 1}, {"b": 2}]}, 2),
        ("a.2", {"a": [1, 2]}, "nothing"),
        ({"const": "legal"}, {"x": "other"}, "legal"),
        ({"const": None}, {}, None),
        ({"from": "a", "default": 3}, {}, 3),
        ({"from": "a", "default": 3}, {"a": None}, 3),
        ({"from": "a", "default": 3}, {"a": 0}, 0),
        ({"from": "a", "values": {"+1": "up"}}, {"a": "+1"}, "up"),
        ({"from": "a", "values": {1: "up"}}, {"a": "1"}, "up"),
        ({"from": "a", "values": {"1": "up"}}, {"a": 1.0}, "up"),
        ({"from": "a", "values": {True: "up"}}, {"a": True}, "up"),
        ({"from": "a", "values": {"1": "up"}}, {"a": True}, True),
        ({"from": "a", "values": {"none": None}}, {"a": "none"}, None),
        ({"from": "a", "values": {"b": "c"}}, {"a": "z"}, "z"),
        ({"from": "a", "values": {"b": "c"}}, {"a": ["b"]}, ["b"]),
    ],
)
def test_values(rule: Any, fields: dict[str, Any], value: Any) -> None:
    assert mapped(rule, fields) == value


@pytest.mark.parametrize(
    ("rule", "given", "time"),
    [
        ({"time": "epoch_s"}, 1788328800, "2026-09-02T06:00:00Z"),
        ({"time": "epoch_s"}, 1788328800.25, "2026-09-02T06:00:00.250000Z"),
        ({"time": "epoch_s"}, "1788328800", "2026-09-02T06:00:00Z"),
        ({"time": "epoch_ms"}, 1788328800123, "2026-09-02T06:00:00.123000Z"),
        ({"time": "epoch_us"}, 1788328800123456, "2026-09-02T06:00:00.123456Z"),
        ({"time": "epoch_ns"}, 1788328800123456789, "2026-09-02T06:00:00.123456Z"),
        ({"zone": "UTC"}, "2026-09-02 06:00:00", "2026-09-02T06:00:00Z"),
        ({"zone": "Europe/Berlin"}, "2026-09-02T06:00:00", "2026-09-02T04:00:00Z"),
        ({"zone": "Europe/Berlin"}, "2026-09-02T06:00:00Z", "2026-09-02T06:00:00Z"),
        ({"time": "%d.%m.%Y %H:%M", "zone": "UTC"}, "02.09.2026 06:00", "2026-09-02T06:00:00Z"),
        ({"time": "%Y%m%d%H%M%S%z"}, "20260902060000+0200", "2026-09-02T04:00:00Z"),
        ({"time": "%d.%m.%Y"}, "02.09.2026", "02.09.2026"),  # no zone: left to be refused
        ({"time": "epoch_ms"}, "soon", "soon"),
        ({"time": "epoch_ms"}, True, True),
        ({"time": "epoch_s"}, 10**18, 10**18),
        ({"time": "iso", "zone": "UTC"}, 5, 5),
    ],
)
def test_times(rule: dict[str, Any], given: Any, time: Any) -> None:
    assert mapped({"from": "a", **rule}, {"a": given}) == time


def test_what_no_rule_reads_keeps_its_name_and_what_is_replaced_is_unknown() -> None:
    rules = {"prompt": FieldRule.model_validate("question.text")}
    fields = {"question": {"text": "Q", "lang": "en"}, "prompt": "old", "rating": 5}
    assert apply(rules, fields) == {"prompt": "Q", "unmapped_prompt": "old", "rating": 5}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, "one of 'from' and 'const'"),
        ({"from": "a", "const": 1}, "one of 'from' and 'const'"),
        ({"const": 1, "default": 2}, "'const' stands alone"),
        ({"from": "a", "time": "epoch"}, "epoch_ms"),
        ({"from": "a", "zone": "Berlin"}, "Europe/Berlin"),
        ({"source": "a"}, "source"),
    ],
)
def test_a_wrong_rule_says_what_is_allowed(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        FieldRule.model_validate(rule)


def platform_of(folder: Path, sources: str) -> Platform:
    file = folder / "platform.yaml"
    file.write_text(f"landing: {folder}\ndomains: {{legal: {{sources: {{{sources}}}}}}}\n")
    return load_platform(file)


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ("logs: [{files: x, map: {promt: q}}]", ["logs.0.map.promt", "no such field", "prompt"]),
        ("logs: {files: x, mapp: {}}", ["sources.logs.0.mapp", "unknown key", "map", "files"]),
        ("logs: {map: {}}", ["sources.logs.0", "one of 'files'"]),
        ("logs: {files: []}", ["sources.logs.0.files"]),
        ("logs: {files: x, format: xml}", ["sources.logs.0.format", "'xml'", "parquet"]),
        ("logs: {files: x, map: {ts: {from: t, tz: UTC}}}", ["map.ts.tz", "zone", "from"]),
        ("logs: {files: x, map: {ts: {from: t, zone: MEZ!}}}", ["map.ts.zone", "MEZ!"]),
        ("users: {files: x, map: {domain: d}}", ["users.0.map.domain", "training_consent"]),
    ],
)
def test_a_wrong_source_is_an_error_that_names_the_key(
    tmp_path: Path, sources: str, told: list[str]
) -> None:
    with pytest.raises(PlatformError) as error:
        platform_of(tmp_path, sources)
    assert not [word for word in told if word not in str(error.value)], str(error.value)


def taken(settings: Platform, kind: str, domain: str = "legal", **options: Any) -> Intake:
    files = list_feeds(settings.sources(domain, kind))
    return take_up(files, schema.MODELS[kind], domain=domain, now=NOW, **options)


CHAT = "logs: {files: '{landing}/chats.jsonl', map: {event_id: id, ts: {from: t, time: epoch_s}, "
CHAT += "user_id: who.id, session_id: s, prompt: q, response: a}}"
SECONDS = 1788328800  # 2026-09-02


def chat(number: int, week: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        **{"id": f"c{number}", "t": SECONDS + week * 7 * 86400, "who": {"id": "u7"}, "s": "s1"},
        **{"q": "Is it due?", "a": "Yes.", **changes},
    }


def put(folder: Path, *rows: dict[str, Any] | bytes) -> None:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / "chats.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def test_rows_belong_to_the_week_of_the_mapped_time(tmp_path: Path) -> None:
    settings = platform_of(tmp_path, CHAT)
    put(tmp_path, chat(1), chat(2, 1), {**chat(1), "thumb": "up"}, chat(3, 2))
    whole = taken(settings, "logs")
    assert [(row["event_id"], row["week"], row["thumb"]) for row in whole.rows] == [
        ("c1", "2026-08-31", "up"),
        ("c2", "2026-09-07", None),
        ("c3", "2026-09-14", None),
    ]
    assert {row["domain"] for row in whole.rows} == {"legal"}
    assert taken(settings, "logs", weeks=["2026-08-31"]).rows == whole.rows[:1]
    [file] = list_feeds(settings.sources("legal", "logs"))
    found = scan(file, Scan(), "legal")
    assert found.weeks.keys() == {"2026-08-31", "2026-09-07", "2026-09-14"}
    assert found.offset == file.size


def test_problems_name_fields_of_the_schema_and_keep_the_record_as_delivered(
    tmp_path: Path,
) -> None:
    settings = platform_of(tmp_path, CHAT)
    rows = [chat(1, q=5), chat(2, t="soon"), chat(3, extra=1), chat(4, prompt="x"), b"{broken"]
    put(tmp_path, chat(9), *rows, {**chat(5), "who": {}}, chat(6, 1, s=7))
    intake = taken(settings, "logs")
    assert [(r.source_line, r.reason.value, r.detail, r.week) for r in intake.quarantined] == [
        (2, "wrong_type", "prompt", "2026-08-31"),
        (3, "bad_timestamp", "ts", "2026-08-31"),
        (4, "unknown_field", "extra", "2026-08-31"),
        (5, "unknown_field", "unmapped_prompt", "2026-08-31"),
        (6, "not_json", "", "2026-08-31"),
        (7, "missing_field", "user_id", "2026-08-31"),
        (8, "wrong_type", "session_id", "2026-09-07"),
    ]
    assert json.loads(intake.quarantined[0].raw) == chat(1, q=5)


def test_a_feed_may_say_what_becomes_of_unknown_fields_and_of_types(tmp_path: Path) -> None:
    more = CHAT.removesuffix("}") + ", unknown_fields: ignore, convert: true}"
    settings = platform_of(tmp_path, more)
    put(tmp_path, chat(1, s=7, extra=1, rating="4"))
    [row] = taken(settings, "logs").rows
    assert (row["session_id"], row["rating"]) == ("7", 4)


def test_a_broken_line_suspends_the_user_by_the_name_the_feed_has(tmp_path: Path) -> None:
    sources = "users: {files: '{landing}/chats.jsonl', map: {user_id: who.id}}"
    settings = platform_of(tmp_path, sources)
    put(
        tmp_path,
        {"who": {"id": "u1"}, "training_consent": True},
        {"who": {"id": "u2"}, "training_consent": True},
        {"who": {"id": "u3"}, "training_consent": True},
        b'{"who": {"id": "u1"}, "training_consent":',
        {"who": {"id": "u2"}, "training_consent": "no"},
    )
    intake = taken(settings, "users")
    assert [row["user_id"] for row in intake.rows] == ["u3"]


def test_one_file_of_two_feeds_is_read_once(tmp_path: Path) -> None:
    both = f"logs: [{CHAT.removeprefix('logs: ')}, '{{landing}}/*.jsonl']"
    settings = platform_of(tmp_path, both)
    put(tmp_path, chat(1))
    assert [row["event_id"] for row in taken(settings, "logs").rows] == ["c1"]


def test_the_worked_example_of_the_documentation(tmp_path: Path) -> None:
    text = DOCS.read_text("utf-8")
    example = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "platform.yaml").write_text(f"landing: landing\n{example}")
    settings = load_platform(tmp_path / "platform.yaml")
    [record] = re.findall(r"The chat `(\{.*?\})` becomes", text)
    folder = tmp_path / "landing" / "support"
    (folder / "chats").mkdir(parents=True)
    (folder / "chats" / "a.jsonl.gz").write_text(record + "\n")  # gzip is told by content
    (folder / "people.csv").write_text("Person;Agreed;Gone\nu7;ja;\nu8;nein;05.10.2026 14:30\n")

    [row] = taken(settings, "logs", "support").rows
    kept = ("event_id", "ts", "user_id", "prompt", "response", "thumb", "latency_ms", "week")
    assert [row[name] for name in kept] == [
        *("c1", "2026-09-02T06:00:00Z", "u7", "Is it due?", "Yes.", "up", 40, "2026-08-31")
    ]
    users = taken(settings, "users", "support").rows
    assert [(u["user_id"], u["training_consent"], u["region"]) for u in users] == [
        ("u7", True, "de"),
        ("u8", False, "de"),
    ]
    assert users[1]["erasure_requested_at"] == "2026-10-05T12:30:00Z"
