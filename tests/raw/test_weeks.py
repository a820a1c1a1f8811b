"""Weeks by name, and the cheap reading of them, which must never differ from the full one."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from ft_assets.raw.weeks import Glance, glance, line_time, parse_week, week_of


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        (datetime(2026, 8, 31, tzinfo=UTC), "2026-08-31"),
        (datetime(2026, 9, 6, 23, 59, 59, tzinfo=UTC), "2026-08-31"),
        (datetime(2026, 9, 7, tzinfo=UTC), "2026-09-07"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2026-12-28"),
        (datetime(2026, 9, 7, 1, tzinfo=timezone(timedelta(hours=2))), "2026-08-31"),
        (datetime(2026, 9, 6, 23, tzinfo=timezone(timedelta(hours=-2))), "2026-09-07"),
    ],
)
def test_week_of(moment: datetime, week: str) -> None:
    assert week_of(moment) == week


def test_a_time_without_a_zone_has_no_week() -> None:
    with pytest.raises(ValueError, match="zone"):
        week_of(datetime(2026, 9, 1))


def test_parse_week() -> None:
    assert parse_week("2026-08-31") == date(2026, 8, 31)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-09-01", "must be a Monday; that week is 2026-08-31"),
        ("2026-02-30", "must be a date like"),
        ("20260831", "must be a date like"),
        ("2026-W36", "must be a date like"),
        ("", "must be a date like"),
    ],
)
def test_parse_week_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_week(text)


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (rb'{"ts": "2026-09-01T10:00:00Z"}', "2026-09-01T10:00:00+00:00"),
        (rb'{"ts"  :  "2026-09-01T00:00:00+02:00", "x', "2026-09-01T00:00:00+02:00"),
        (rb'{"prompt": "\"ts\": \"2026-09-01T10:00:00Z\""}', None),
        (rb'{"a\"ts": "2026-09-01T10:00:00Z"}', None),
        (rb'{"ts": "2026-09-01T10:00:00"}', None),
        (rb'{"ts": "1970-01-01T00:00:00Z"}', None),
        (rb'{"ts": "9999-12-31T23:59:59-14:00"}', None),
        (rb'{"ts": 1788000000000}', None),
        (b'{"ts": "\xff2026-09-01T10:00:00Z"}', None),
        (b"", None),
    ],
)
def test_line_time(line: bytes, time: str | None) -> None:
    found = line_time(line)
    assert (found and found.isoformat()) == time


@pytest.mark.parametrize(
    "line",
    [
        rb'{"event_id": "e1", "meta": {"ts": "2026-09-01T10:00:00Z"}}',
        rb'{"event_id": "e1", "\u0074s": "2026-09-01T10:00:00Z"}',
        rb'{"event_id": "e\u0031", "ts": "2026-09-01T10:00:00Z"}',
        rb'{"event_id": "e1", "ts": "2026\u002d09-01T10:00:00Z"}',
        rb'{"event_id": "e1", "prompt": "a { b", "ts": "2026-09-01T10:00:00Z"}',
    ],
)
def test_a_glance_gives_up_where_only_parsing_is_certain(line: bytes) -> None:
    assert glance(line) is None


def test_a_glance_sees_keys_only() -> None:
    line = rb'{"a\"event_id": "e0", "event_id": "e1", "ts": "2026-09-01T10:00:00Z"}'
    assert glance(line) == Glance(datetime(2026, 9, 1, 10, tzinfo=UTC), b"e1")
