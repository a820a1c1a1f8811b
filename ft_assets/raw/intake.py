"""Take up delivered files: typed rows, quarantine for what does not fit, a count for every line.

Every line that is not blank ends as exactly one row, one quarantined record or one drop. Log lines
belong to the week of their own time, however late they arrive; a line that names no time is counted
in the week of the dated line before it in its file (else the first after it), so that the weeks
together hold each line once. Taking up some weeks gives exactly what taking up all gives for them:
lines of other weeks are skipped unread only where their time and id are certain (`weeks.glance`).
What the same id delivered twice means is said in taken.py.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from ft_assets.raw.delivery import Delivery, Source, open_delivery, read_marks
from ft_assets.raw.quarantine import Problem
from ft_assets.raw.schema import (
    FUTURE_SLACK,
    Row,
    UnknownFields,
    User,
    parse_timestamp,
    read_fields,
)
from ft_assets.raw.sources import MAX_LINE_BYTES, Line
from ft_assets.raw.taken import Intake, RowDict, Seen, Taken
from ft_assets.raw.weeks import glance, record_time, week_of

CELLS = re.compile(rb'[^,;\t|"\n]+')


def take_up(
    files: Iterable[Source],
    model: type[Row],
    *,
    domain: str,
    now: datetime,
    weeks: Iterable[str] | None = None,
    unknown_fields: UnknownFields = "refuse",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Intake:
    """All lines of the files, or those of some weeks. Rows are JSON values with source_file and
    source_line (1-based), those of logs with `week` too.
    """
    if weeks is not None and model.week_field is None:
        raise ValueError(f"{model.__name__} rows have no week; take them up whole, weeks=None")
    files = list(files)
    wanted = None if weeks is None else frozenset(weeks)

    def read(line: Line, delivery: Delivery) -> Seen:
        return _examine(line, delivery, model, domain, now, unknown_fields)

    if wanted is None:
        seen = _with_weeks(files, read, model, max_line_bytes)
    else:

        def read_id(line: Line, delivery: Delivery) -> Seen:
            return _skim(line, delivery, model, domain, now) or read(line, delivery)

        ids = {
            line.row_id
            for line in _with_weeks(files, read_id, model, max_line_bytes)
            if line.row_id and line.week in wanted
        }

        def read_if_needed(line: Line, delivery: Delivery) -> Seen:
            found = read_id(line, delivery)
            if found.row_id and found.week not in wanted and found.row_id not in ids:
                return Seen(line, found.week, found.row_id)
            return found if found.row or found.problem else read(line, delivery)

        seen = _with_weeks(files, read_if_needed, model, max_line_bytes)

    taken = Taken(model, read_marks(files, max_line_bytes))
    for line in seen:
        taken.add(line)
    return taken.intake(wanted)


def _examine(
    line: Line,
    delivery: Delivery,
    model: type[Row],
    domain: str,
    now: datetime,
    unknown_fields: UnknownFields,
) -> Seen:
    fields = delivery.fields(line, model, domain)
    found = fields
    if not isinstance(fields, Problem):
        unknown_fields = delivery.feed.unknown_fields or unknown_fields
        found = read_fields(fields, model, domain, now, unknown_fields)
    if isinstance(found, Problem):
        time = record_time(line, fields, delivery, model) if model.week_field else None
        week = week_of(time) if time and time <= now + FUTURE_SLACK else ""
        users = _users_named(line, fields, delivery) if model is User else frozenset()
        return Seen(line, week, problem=found, users=users)
    week = week_of(parse_timestamp(found[model.week_field])) if model.week_field else ""
    return Seen(line, week, found[model.id_field], found)


def _users_named(line: Line, fields: RowDict | Problem, delivery: Delivery) -> frozenset[str]:
    """Of a table's line that cannot be taken apart, every cell may be the user."""
    if not isinstance(fields, Problem):
        return frozenset({str(fields.get(User.id_field))})
    if delivery.json_lines:
        named = delivery.field_pattern(User.id_field).search(line.data)
        cells = [named[1]] if named else []
    else:
        cells = CELLS.findall(line.data)
    return frozenset(cell.decode("utf-8", "replace").strip() for cell in cells)


def _skim(
    line: Line, delivery: Delivery, model: type[Row], domain: str, now: datetime
) -> Seen | None:
    """Week and id of a log line without validating it; None unless both are certain."""
    if line.problem:
        return None
    if delivery.plain:
        found = glance(line.data)
        time, row_id = found or (None, b"")
        row_id = row_id.decode("utf-8", "replace")
    else:
        fields = delivery.fields(line, model, domain)
        if isinstance(fields, Problem):
            return None
        time, row_id = record_time(line, fields, delivery, model), fields.get(model.id_field)
    if time is None or time > now + FUTURE_SLACK or not isinstance(row_id, str):
        return None
    return Seen(line, week_of(time), row_id)


def _with_weeks(
    files: Iterable[Source],
    read: Callable[[Line, Delivery], Seen],
    model: type[Row],
    max_line_bytes: int,
) -> Iterator[Seen]:
    """The lines in order, undated ones with the week of their neighbours.

    A file without any dated line counts with the end of the file before it, else with the beginning
    of the one after it.
    """
    last = ""
    waiting: list[Seen] = []
    for file in files:
        dated = False
        delivery = open_delivery(file)
        for line in delivery.lines(max_line_bytes):
            seen = read(line, delivery)
            seen.file = file.name
            if model.week_field and not seen.week:
                if not dated:
                    waiting.append(seen)
                    continue
                seen.week = last
            elif model.week_field:
                dated, last = True, seen.week
                for earlier in waiting:
                    earlier.week = last
                    yield earlier
                waiting = []
            yield seen
        if last:
            for earlier in waiting:
                earlier.week = last
                yield earlier
            waiting = []
    yield from waiting
