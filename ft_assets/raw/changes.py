"""What has changed in a source since the last look: by content, told from little facts.

A file whose size and time of change are the same is not opened. Of one that has grown only the new
lines are read, when what lies before them is what was there; every other one is read whole. Per
week a sum over the digests of its lines is kept: equal sums are an equal week. What is no longer
there is no change: landing zones are cleaned up.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ft_assets.raw.convert import as_json
from ft_assets.raw.delivery import Delivery, Source, open_delivery
from ft_assets.raw.json_objects import parse_object
from ft_assets.raw.resubmit import RESOLVES_WEEK, Resubmitted
from ft_assets.raw.schema import Interaction
from ft_assets.raw.sources import (
    BROKEN_GZIP,
    MAX_LINE_BYTES,
    Line,
    SourceFile,
    open_content,
    pieces,
)
from ft_assets.raw.sql_records import SqlQuery
from ft_assets.raw.weeks import record_time, week_of

SUM_BITS = 64
PROBE_BYTES = 2**16  # read at the beginning and before the offset, to know a file again


@dataclass(frozen=True)
class Scan:
    """What is known of a source of logs."""

    stat: str = ""  # changes when the source may have; "" for one that must be read to know
    offset: int = 0  # of the unpacked content: lines before it are in `weeks`
    probe: str = ""  # digest of what lies before the offset
    weeks: dict[str, int] = field(default_factory=dict)
    tail: dict[str, int] = field(default_factory=dict)  # a last line without line end

    def sums(self) -> dict[str, int]:
        return {
            week: (self.weeks.get(week, 0) + self.tail.get(week, 0)) % 2**SUM_BITS
            for week in {**self.weeks, **self.tail}
        }

    def changed_since(self, known: "Scan") -> set[str]:
        """Weeks of either that do not hold the same lines."""
        old, new = known.sums(), self.sums()
        return {week for week in {**old, **new} if old.get(week) != new.get(week)}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def stat_of(source: Source) -> str:
    """Raises ConnectionError or ValueError when a database does not answer."""
    if isinstance(source, SqlQuery):
        watch = source.feed.watch
        return _digest(json.dumps(source.answer(watch)).encode()) if watch else ""
    return f"{source.size} {source.modified} {source.etag}"


def fingerprint(source: Source) -> str:
    """Digest of the content: of the stored bytes, or of the rows that the query gives."""
    if isinstance(source, SourceFile):
        return source.fingerprint
    digest = hashlib.sha256()
    for line in open_delivery(source).lines(MAX_LINE_BYTES):
        digest.update(_bytes(line) + b"\n")
    return f"rows:{digest.hexdigest()}"


def scan(source: Source, known: Scan, domain: str) -> Scan:
    """The source of logs as it is now; `known` itself when nothing tells of a change.

    A line without a time counts with the one before it in what is read, as intake counts it.
    """
    stat = stat_of(source)
    if stat and stat == known.stat:
        return known
    delivery = open_delivery(source)
    weeks = _Weeks(delivery, domain)
    if not delivery.json_lines or not isinstance(source, SourceFile):
        for line in delivery.lines(MAX_LINE_BYTES):
            weeks.add(line)
        return Scan(stat, weeks=dict(weeks.sums))
    with open_content(source) as stream:
        offset = known.offset
        try:
            if not offset or _probe(stream, offset) != known.probe:
                offset = 0
            weeks.sums.update(known.weeks if offset else {})
            tail: Mapping[str, int] = {}
            stream.seek(offset)
            for piece in pieces(stream, MAX_LINE_BYTES):
                if piece.ended:
                    weeks.add(Line(1, piece.data))
                    offset += piece.length
                else:
                    tail = weeks.alone(Line(1, piece.data))
        except BROKEN_GZIP:
            return Scan(stat, weeks=dict(weeks.sums))  # intake tells of it; what is readable counts
        return Scan(stat, offset, _probe(stream, offset), dict(weeks.sums), dict(tail))


class _Weeks:
    def __init__(self, delivery: Delivery, domain: str) -> None:
        self.sums: Counter[str] = Counter()
        self._delivery, self._domain, self._last = delivery, domain, ""

    def add(self, line: Line) -> None:
        for week, number in self.alone(line).items():
            self.sums[week] = (self.sums[week] + number) % 2**SUM_BITS

    def alone(self, line: Line) -> dict[str, int]:
        """The weeks of one line, with its digest."""
        if not line.data.strip() and line.fields is None:
            return {}
        plain = self._delivery.plain
        fields = {} if plain else self._delivery.fields(line, Interaction, self._domain)
        time = record_time(line, fields, self._delivery, Interaction)
        self._last = week_of(time) if time else self._last
        weeks = {self._last, *self._resolved(line)} - {""}
        number = int(_digest(_bytes(line)), 16)
        return dict.fromkeys(weeks, number)

    def _resolved(self, line: Line) -> set[str]:
        """The week of the record that a correction stands for."""
        if not isinstance(self._delivery.feed, Resubmitted):
            return set()
        marks = parse_object(line.data)
        return {str(marks.get(RESOLVES_WEEK, ""))} if isinstance(marks, dict) else set()


def _bytes(line: Line) -> bytes:
    return line.data if line.fields is None else as_json(line.fields).encode("utf-8", "replace")


def _probe(stream: Any, offset: int) -> str:
    stream.seek(0)
    head = stream.read(min(PROBE_BYTES, offset))
    stream.seek(max(0, offset - PROBE_BYTES))
    return _digest(head + stream.read(min(PROBE_BYTES, offset)))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=SUM_BITS // 8).hexdigest()


def from_json(state: Any) -> Scan:
    """Of a cursor; what an older version wrote counts as nothing known."""
    names = Scan.__dataclass_fields__.keys()
    return Scan(**state) if isinstance(state, dict) and state.keys() == names else Scan()


def look(source: Source, known: Mapping[str, str] | None) -> tuple[dict[str, str], bool]:
    """What is known now of a source that is taken up whole, and whether its content is another."""
    known = known or {}
    stat = stat_of(source)
    if stat and stat == known.get("stat"):
        return dict(known), False
    watched = isinstance(source, SqlQuery) and stat
    content = stat if watched else fingerprint(source)
    return {"stat": stat, "content": content}, content != known.get("content")
