"""A delivery: the records of one file or query, and their fields under the names of the schema."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ft_assets.raw.annotation_exports import annotation_of, expand
from ft_assets.raw.convert import convert
from ft_assets.raw.feed import Feed
from ft_assets.raw.formats import DOCUMENTS, TABLES, Format, format_of, read_records
from ft_assets.raw.json_objects import check_values, parse_object
from ft_assets.raw.mapping import apply
from ft_assets.raw.quarantine import Problem
from ft_assets.raw.resubmit import Resubmitted, resolved_ids, without_marks
from ft_assets.raw.schema import Row
from ft_assets.raw.sources import Line, SourceFile, list_feeds
from ft_assets.raw.sql_records import SqlQuery, read_query

Fields = dict
Source = SourceFile | SqlQuery


@dataclass(frozen=True)
class Delivery:
    name: str
    feed: Feed
    convert: bool  # types by the schema
    json_lines: bool
    lines: Callable[[int], Iterator[Line]]  # of at most so many bytes each
    fill_domain: bool = False  # of records that name none: it is the one they are listed under

    @property
    def plain(self) -> bool:
        """JSON lines with the schema's own names and types: readable by patterns on their bytes."""
        special = self.feed.map or self.convert or isinstance(self.feed, Resubmitted)
        return self.json_lines and not special

    def fields(self, line: Line, model: type[Row], domain: str) -> Fields | Problem:
        """The record under the schema's names, not validated yet."""
        if line.problem:
            return Problem(line.problem)
        found = parse_object(line.data) if line.fields is None else line.fields
        if isinstance(found, Problem):
            return found
        if isinstance(self.feed, Resubmitted):
            found = without_marks(found)
        if self.feed.export:
            found = annotation_of(found, self.feed.map)
        elif self.feed.map:
            found = apply(self.feed.map, found)
        if self.fill_domain and "domain" in model.model_fields:
            found = {"domain": domain, **found}
        if self.convert:
            found = convert(found, model)
        return (line.fields is not None and check_values(found)) or found

    def field_pattern(self, name: str) -> re.Pattern[bytes]:
        """Finds the text of a field in the bytes of a JSON line that cannot be parsed."""
        rule = self.feed.map.get(name)
        key = (rule.source or name).rsplit(".", 1)[-1] if rule else name
        return re.compile(rb'(?<!\\)"%b"\s*:\s*"([^"\\]+)"' % re.escape(key.encode()))


def list_sources(feeds: Sequence[Feed]) -> list[Source]:
    """What the feeds hold now: files in reading order, then queries, then corrections."""
    corrections = [feed for feed in feeds if isinstance(feed, Resubmitted)]
    first = [feed for feed in feeds if not isinstance(feed, Resubmitted)]
    queries = [SqlQuery(feed) for feed in first if feed.sql]
    return [*list_feeds(first), *queries, *list_feeds(corrections)]


def read_marks(sources: Iterable[Source], max_line_bytes: int) -> frozenset[str]:
    """The ids of the records that corrections among the sources stand for."""
    return resolved_ids(
        fields
        for source in sources
        if isinstance(source.feed, Resubmitted)
        for line in open_delivery(source).lines(max_line_bytes)
        if isinstance(fields := parse_object(line.data), dict)
    )


def open_delivery(file: Source) -> Delivery:
    """Raises OSError when the file cannot be opened."""
    if isinstance(file, SqlQuery):
        return Delivery(
            file.name,
            file.feed,
            file.feed.convert is not False,
            False,
            lambda max_bytes: read_query(file, max_bytes),
            bool(file.feed.map),
        )
    form = Format(file.feed.format) if file.feed.format else format_of(file)
    if export := file.feed.export:
        return Delivery(
            file.name,
            file.feed,
            True,
            False,
            lambda max_bytes: expand(read_records(file, form, max_bytes), export),
            True,
        )
    types = form in TABLES if file.feed.convert is None else file.feed.convert
    return Delivery(
        file.name,
        file.feed,
        types,
        form is Format.JSONL,
        lambda max_bytes: read_records(file, form, max_bytes),
        bool(file.feed.map) or form in DOCUMENTS,
    )
