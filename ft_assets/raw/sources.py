"""Files of a feed and their lines, from any file system fsspec knows, read as a stream.

Compression is told by the first bytes, not by the name. A file that breaks off gives the lines
before the break and then one line marked unreadable; a file that cannot be opened raises, because
trying again may help. A pattern that matches nothing gives no file: whether that is an error is for
the caller to say.
"""

import gzip
import hashlib
import io
import re
import zlib
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import fsspec
from fsspec.core import url_to_fs

from ft_assets.raw.feed import PLAIN, DocumentFeed, Feed
from ft_assets.raw.quarantine import Reason

MAX_LINE_BYTES = 16 * 2**20
KEPT_OF_TOO_LONG = 4096  # bytes of an over-long line that are kept to recognise it by
BOM = b"\xef\xbb\xbf"
MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "created")  # of fsspec's stores
GZIP_MAGIC = b"\x1f\x8b"
ENDINGS = r"\.(jsonl|ndjson|json|csv|tsv|parquet|arrow)"
DOCUMENT_ENDINGS = rf"{ENDINGS[:-1]}|txt|text|md|markdown|html|htm|xhtml|pdf|docx)"
DOCUMENT_NAME = re.compile(rf".+{DOCUMENT_ENDINGS}(\.[0-9]+)?(\.gz)?", re.IGNORECASE)
SIDECAR = re.compile(r"(.+)\.meta\.(ya?ml|json)", re.IGNORECASE)  # tells about the file beside it
DATA_NAME = re.compile(rf".+{ENDINGS}(\.[0-9]+)?(\.gz)?", re.IGNORECASE)  # .1: rotated
# Written beside the real file until an upload is complete.
# What Hugging Face's `datasets` writes beside the data.
DATASET_NOTES = re.compile(r"(dataset_info|dataset_infos|dataset_dict|state)\.json|cache-.*\.arrow")
UNFINISHED_NAME = re.compile(r"\..*|.*(\.tmp|\.part|\.partial|\.crdownload|\.swp|~)")
BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class SourceFile:
    url: str
    name: str  # folder/file: the same on every machine, so equal content stays equal
    size: int  # bytes as stored
    etag: str = ""  # of object stores
    feed: Feed = PLAIN  # how it is read
    modified: str = field(default="", compare=False)  # as the store says it
    sidecar: str = ""  # address of the file that tells about this one

    @cached_property
    def fingerprint(self) -> str:
        """Changes when the content does: the store's etag, else sha256 of the stored bytes."""
        if self.etag and not self.sidecar:
            return f"etag:{self.etag}"
        digest = hashlib.sha256()
        for url in filter(None, (self.url, self.sidecar)):
            with fsspec.open(url, "rb") as stream:
                while block := stream.read(2**20):  # type: ignore[union-attr]
                    digest.update(block)
        return f"sha256:{digest.hexdigest()}"


class Line(NamedTuple):
    """A record as delivered. Lines of text have `data`; rows of a table have `fields`."""

    number: int  # 1-based: of the line, or of the record where a format has no lines
    data: bytes  # without line end and byte order mark
    problem: Reason | None = None
    fields: dict[str, Any] | None = None  # values as JSON has them


class Piece(NamedTuple):
    """A line as it lies in the stream, however long it is."""

    data: bytes
    length: int  # bytes in the stream, line end and skipped rest included
    ended: bool  # by a line feed; false: the stream ended first
    too_long: bool


def list_feeds(feeds: Iterable[Feed]) -> list[SourceFile]:
    """The files of all feeds in reading order; one that two feeds name belongs to the first."""
    found: dict[str, SourceFile] = {}
    for feed in feeds:
        names = DOCUMENT_NAME if isinstance(feed, DocumentFeed) else DATA_NAME
        for file in list_files(feed.files or [], names):
            found.setdefault(file.url, replace(file, feed=feed))
    return in_reading_order(found.values())


def list_files(patterns: Iterable[str], names: re.Pattern[str] = DATA_NAME) -> list[SourceFile]:
    """Files of these folders, files and globs, each once, in reading order.

    A folder, and a glob that ends in * without naming an ending, give files whose names fit `names`
    alone. A file is named by its path below the folder that the pattern names, and that folder.
    The order is that of the names without their ending, numbers by value: logs, logs-2, logs-10.
    """
    found: dict[str, SourceFile] = {}
    for pattern in patterns:
        filesystem, path = url_to_fs(pattern)
        filesystem.invalidate_cache()
        matches = _matches(filesystem, path, names)
        beside = {m[1]: i for i in matches if (m := SIDECAR.fullmatch(i["name"]))}
        for info in matches:
            if SIDECAR.fullmatch(info["name"]):
                continue
            url = filesystem.unstrip_protocol(info["name"])
            etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
            sidecar = beside.get(info["name"])
            when = " ".join(_modified(each) for each in (info, sidecar) if each)
            found[url] = SourceFile(
                url,
                _name(info["name"].replace("\\", "/"), path.replace("\\", "/")),
                int(info["size"]),
                etag,
                modified=when,
                sidecar=filesystem.unstrip_protocol(sidecar["name"]) if sidecar else "",
            )
    return in_reading_order(found.values())


def in_reading_order(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Sorted; files of one name are named by their URLs."""
    files = sorted(files, key=lambda file: _reading_order(file.url))
    times = Counter(file.name for file in files)
    return [file if times[file.name] == 1 else replace(file, name=file.url) for file in files]


def _name(file: str, pattern: str) -> str:
    """folder/path below it: the same on every machine, however deep the file lies."""
    pattern = pattern.rstrip("/")
    wild = re.search(r"[*?\[]", pattern)
    if file == pattern or not wild:
        folder = pattern if file.startswith(f"{pattern}/") else file.rpartition("/")[0]
    else:
        folder = pattern[: wild.start()].rpartition("/")[0]
    return f"{folder.rpartition('/')[2]}/{file[len(folder) :].strip('/')}".lstrip("/")


def _modified(info: dict) -> str:
    return next((f"{info[key]} {info['size']}" for key in MODIFIED if info.get(key)), "")


def _matches(
    filesystem: fsspec.AbstractFileSystem, path: str, names: re.Pattern[str]
) -> list[dict]:
    def fit(found: Iterable[dict]) -> list[dict]:
        return [
            x
            for x in found
            if (names.fullmatch(_base(x)) or SIDECAR.fullmatch(_base(x)))
            and not DATASET_NOTES.fullmatch(_base(x))
        ]

    if filesystem.isfile(path):  # before globbing: a name may hold [ or *
        beside = [f"{path}.meta.{ending}" for ending in ("yaml", "yml", "json")]
        return [filesystem.info(x) for x in (path, *filter(filesystem.isfile, beside))]
    if filesystem.isdir(path):
        inside = filesystem.ls(path, detail=True)
        found = fit(inside)
        if any(_base(info) == "dataset_dict.json" for info in inside):  # a folder per split
            found += fit(filesystem.glob(f"{path}/*/*", detail=True).values())
    elif re.search(r"[*?\[]", path):
        found = filesystem.glob(path, detail=True).values()
        if re.fullmatch(r"[^.]*\*", path.rsplit("/", 1)[-1]):
            found = fit(found)
        elif names is DOCUMENT_NAME:
            found = [*found, *filesystem.glob(f"{path}.meta.*", detail=True).values()]
    else:
        found = []
    return [
        info
        for info in found
        if info["type"] == "file" and not UNFINISHED_NAME.fullmatch(_base(info))
    ]


def _base(info: dict) -> str:
    return info["name"].rsplit("/", 1)[-1]


def _reading_order(url: str) -> tuple[list[tuple[int, str]], str]:
    stem = re.sub(rf"({ENDINGS})?(\.gz)?$", "", url, flags=re.IGNORECASE)
    parts = re.findall(r"[0-9]+|[^0-9]+", stem)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], url


def read_lines(file: SourceFile, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Every line that holds more than blanks; numbers count the blank ones too."""
    number = 0
    with open_content(file) as stream:
        try:
            for piece in pieces(stream, max_line_bytes):
                number += 1
                data = piece.data.removeprefix(BOM) if number == 1 else piece.data
                if piece.too_long:
                    yield Line(number, data[:KEPT_OF_TOO_LONG], Reason.LINE_TOO_LONG)
                elif data.strip():
                    yield Line(number, data)
        except BROKEN_GZIP:
            yield Line(number + 1, b"", Reason.UNREADABLE_FILE)


@contextmanager
def open_content(file: SourceFile) -> Generator[io.BufferedIOBase, None, None]:
    """The file's content, unpacked when it is gzip."""
    with fsspec.open(file.url, "rb") as stored:
        stream = io.BufferedReader(stored)  # type: ignore[arg-type]
        if stream.peek(2)[:2] == GZIP_MAGIC:
            with gzip.open(stream) as unpacked:
                yield unpacked
        else:
            yield stream


def pieces(stream: io.BufferedIOBase, max_line_bytes: int) -> Iterator[Piece]:
    """Lines of the stream; of one over the limit only its beginning is ever in memory."""
    while block := stream.readline(max_line_bytes + 2):  # 2: a line at the limit may end in CR LF
        length, rest = len(block), block
        while not rest.endswith(b"\n") and (rest := stream.readline(2**20)):
            length += len(rest)
        ended = rest.endswith(b"\n")
        data = block.removesuffix(b"\n").removesuffix(b"\r")
        yield Piece(data, length, ended, too_long=len(data) > max_line_bytes)
