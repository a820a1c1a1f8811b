"""Which format a file has, and its records, read as a stream.

Binary formats are told by their first bytes, the others by the file's name; without a name that
tells, a file that begins with "[" is a JSON array, one whose first line opens an object without
closing it is that object, and every other one is JSON lines.
"""

from collections.abc import Iterator
from enum import StrEnum

from ft_assets.raw.arrow_records import read_arrow, read_parquet
from ft_assets.raw.csv_records import read_csv
from ft_assets.raw.document_files import read_document
from ft_assets.raw.feed import DocumentFeed
from ft_assets.raw.json_array import read_array
from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import (
    BOM,
    BROKEN_GZIP,
    DATA_NAME,
    DOCUMENT_NAME,
    MAX_LINE_BYTES,
    Line,
    SourceFile,
    open_content,
    read_lines,
)

ARROW_STREAM = b"\xff\xff\xff\xff"  # the continuation mark that every message begins with


class Format(StrEnum):
    JSONL = "jsonl"
    JSON = "json"  # an array of objects, or one object over many lines
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"  # file or stream
    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"


# Formats that have text or numbers where the schema has another type.
TABLES = frozenset({Format.CSV, Format.PARQUET, Format.ARROW})
DOCUMENTS = frozenset({Format.TEXT, Format.MARKDOWN, Format.HTML, Format.PDF, Format.DOCX})
_READERS = {
    Format.JSON: read_array,
    Format.CSV: read_csv,
    Format.PARQUET: read_parquet,
    Format.ARROW: read_arrow,
}
_BY_NAME = {
    "jsonl": Format.JSONL,
    "ndjson": Format.JSONL,
    "csv": Format.CSV,
    "tsv": Format.CSV,
    "parquet": Format.PARQUET,
    "arrow": Format.ARROW,
    "txt": Format.TEXT,
    "text": Format.TEXT,
    "md": Format.MARKDOWN,
    "markdown": Format.MARKDOWN,
    "html": Format.HTML,
    "htm": Format.HTML,
    "xhtml": Format.HTML,
    "pdf": Format.PDF,
    "docx": Format.DOCX,
}


def format_of(file: SourceFile) -> Format:
    """Raises OSError when the file cannot be opened; a broken one has the format of its name."""
    try:
        with open_content(file) as stream:
            head = stream.read(4096)
    except BROKEN_GZIP:
        head = b""
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head.startswith((b"ARROW1", ARROW_STREAM)):
        return Format.ARROW
    documents = isinstance(file.feed, DocumentFeed)
    if documents and head.startswith(b"%PDF-"):
        return Format.PDF
    named = (DOCUMENT_NAME if documents else DATA_NAME).fullmatch(file.url)
    if named and (found := _BY_NAME.get(named[1].lower())):
        return found
    text = head.removeprefix(BOM).lstrip()
    first, line_end, _ = text.partition(b"\n")
    opened = line_end and first.startswith(b"{") and first.rstrip()[-1:] in b"{[,:"
    opened = opened and first.count(b"{") > first.count(b"}")
    return Format.JSON if text.startswith(b"[") or opened else Format.JSONL


def read_records(
    file: SourceFile, form: Format, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[Line]:
    """Every record of the file; one that breaks off ends with a line marked unreadable."""
    if form is Format.JSONL:
        yield from read_lines(file, max_line_bytes)
        return
    number = 0
    with open_content(file) as stream:
        try:
            lines = (
                read_document(file, form, stream, max_line_bytes)
                if form in DOCUMENTS
                else _READERS[form](stream, max_line_bytes)
            )
            for line in lines:
                number = line.number
                yield line
        except BROKEN_GZIP:
            yield Line(number + 1, b"", Reason.UNREADABLE_FILE)
