"""Weeks: which one a time belongs to, and which one a line of logs, without parsing it.

A week is named by the date of its Monday, UTC. The time of a line is read by a pattern on its
bytes; `glance` says when that reading is certain to equal what full parsing would give.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from ft_assets.raw.delivery import Delivery
from ft_assets.raw.quarantine import Problem
from ft_assets.raw.schema import Row, parse_timestamp
from ft_assets.raw.sources import Line

# Within a JSON string a quote is escaped, so `"ts":` with no backslash before it can only be a key.
TIME_PATTERN = re.compile(rb'(?<!\\)"ts"\s*:\s*"([^"\\]{1,64})"')
ID_PATTERN = re.compile(rb'(?<!\\)"event_id"\s*:\s*"([^"\\]*)"')


class Glance(NamedTuple):
    time: datetime | None
    event_id: bytes


def week_of(moment: datetime) -> str:
    """The Monday (UTC) of the week of this time, as 2026-08-31."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone has no week; give it one")
    day = moment.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def parse_week(text: str) -> date:
    """The Monday that the text names."""
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"week {text!r}: must be a date like 2026-08-31")
    if day.weekday():
        monday = day - timedelta(days=day.weekday())
        raise ValueError(f"week {text!r}: must be a Monday; that week is {monday.isoformat()}")
    return day


def line_time(data: bytes) -> datetime | None:
    """The time that the line names first, valid line or not; None when it names none."""
    match = TIME_PATTERN.search(data)
    if match is None:
        return None
    try:
        return parse_timestamp(match[1].decode("ascii"))
    except ValueError:
        return None


def glance(data: bytes) -> Glance | None:
    """Time and id of an event line, or None when only parsing can tell them for certain.

    With one opening brace there is one object. Were the line valid, what the patterns find are its
    own fields: a nested one needs a second brace, a repeated one is refused.
    """
    if data.count(b"{") != 1:
        return None
    event_id, time = ID_PATTERN.search(data), TIME_PATTERN.search(data)
    if event_id is None or time is None:
        return None
    return Glance(line_time(data), event_id[1])


def record_time(
    line: Line, fields: Mapping[str, Any] | Problem, delivery: Delivery, model: type[Row]
) -> datetime | None:
    """The time of a record, valid or not; None when it names none."""
    if delivery.plain:
        return line_time(line.data)
    value = None if isinstance(fields, Problem) else fields.get(str(model.week_field))
    if not isinstance(value, str):
        return None
    try:
        return parse_timestamp(value)
    except ValueError:
        return None
