"""Search everything below some folders for values that must not be there: `ft leaks`.

Files are opened as far as a reader of the disk could: gzip, zstd, zip, Parquet, Arrow, SQLite with
its write-ahead log and compressed cells, and anything else as bytes. A value is looked for as
UTF-8, as JSON and URLs escape it, and in UTF-16; upper and lower case are one. A hit names the file
and the number of the value, never the value. Not found: what is encrypted, or cut into pieces.
"""

import gzip
import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import re2

MIN_LENGTH = 5  # shorter values are found everywhere by chance
SQLITE_MAGIC = b"SQLite format 3\0"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
MAX_DEPTH = 4  # containers in containers


@dataclass(frozen=True, order=True)
class Hit:
    file: str
    value: int  # number of the value, from 1


@dataclass
class Searched:
    files: int = 0
    bytes: int = 0  # after unpacking
    hits: list[Hit] = field(default_factory=list)
    unreadable: list[str] = field(
        default_factory=list
    )  # files that could not be opened or unpacked


class Values:
    """Values to look for, compiled to one pattern. Raises ValueError for one that is too short."""

    def __init__(self, values: Iterable[str]) -> None:
        self._numbers: dict[bytes, int] = {}
        for number, value in enumerate(values, start=1):
            if len(value.strip()) < MIN_LENGTH:
                raise ValueError(
                    f"value {number} has fewer than {MIN_LENGTH} characters and would be found "
                    "everywhere; leave it out"
                )
            for form in _forms(value.strip()):
                self._numbers.setdefault(form.lower(), number)
        if not self._numbers:
            raise ValueError("no values to look for")
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = 1 << 30
        options.log_errors = False
        longest_first = sorted(self._numbers, key=lambda form: (-len(form), form))
        self._pattern = re2.compile("|".join(map(_pattern, longest_first)).encode(), options)

    def __len__(self) -> int:
        return len(set(self._numbers.values()))

    def find(self, data: bytes) -> set[int]:
        return {self._numbers[match[0].lower()] for match in self._pattern.finditer(data)}


def _forms(value: str) -> set[bytes]:
    return {
        value.encode(),
        json.dumps(value)[1:-1].encode(),
        quote(value, safe="").encode(),
        value.encode("utf-16-le"),
    }


def _pattern(form: bytes) -> str:
    """Byte by byte, both cases of ASCII letters; RE2's own (?i) would fold the bytes of UTF-8."""
    return "".join(
        f"[\\x{byte:02x}\\x{byte - 32:02x}]" if 97 <= byte <= 122 else f"\\x{byte:02x}"
        for byte in form
    )


def search(folders: Iterable[Path], values: Values) -> Searched:
    """Every regular file below the folders; one at a time is in memory as a whole.

    What vanishes meanwhile is passed over. A file that cannot be unpacked is searched as it is and
    named in `unreadable`.
    """
    done = Searched()
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if file.is_symlink():
                continue
            found: set[int] = set()
            try:
                for data in _contents(file):
                    done.bytes += len(data)
                    found |= values.find(data)
            except FileNotFoundError:
                continue
            except (
                OSError,
                EOFError,
                zlib.error,
                zipfile.BadZipFile,
                sqlite3.Error,
                pa.ArrowException,
            ):
                done.unreadable.append(str(file))
                found |= values.find(file.read_bytes())
            done.files += 1
            done.hits += [Hit(str(file), number) for number in sorted(found)]
    return done


def _contents(file: Path) -> Iterator[bytes]:
    """What is in a file, unpacked; of SQLite the pages too, which hold what was deleted."""
    with file.open("rb") as stream:
        head = stream.read(16)
    if head == SQLITE_MAGIC:
        yield file.read_bytes()
        yield from _cells(file)
    else:
        yield from _unpacked(file.read_bytes(), MAX_DEPTH)


def _unpacked(data: bytes, depth: int) -> Iterator[bytes]:
    yield data
    if not depth:
        return
    if data[:2] == b"\x1f\x8b":
        yield from _unpacked(gzip.decompress(data), depth - 1)
    elif data[:4] == ZSTD_MAGIC:
        plain = pa.CompressedInputStream(pa.py_buffer(data), "zstd").read()
        yield from _unpacked(plain, depth - 1)
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                yield from _unpacked(archive.read(member), depth - 1)
    elif data[:4] == b"PAR1":
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches():
            yield from _texts(batch)
    elif data[:6] == b"ARROW1":
        reader = pa.ipc.open_file(pa.BufferReader(data))
        for number in range(reader.num_record_batches):
            yield from _texts(reader.get_batch(number))
    elif data[:2] in ZLIB_HEADERS:
        plain = _inflated(data)
        if plain is not None:
            yield from _unpacked(plain, depth - 1)


def _texts(batch: pa.RecordBatch) -> Iterator[bytes]:
    """The cells, as JSON: nested ones too."""
    for column in batch.columns:
        for start in range(0, len(column), 4096):
            cells = column.slice(start, 4096).to_pylist()
            yield json.dumps(cells, default=_readable, ensure_ascii=False).encode(
                "utf-8", "replace"
            )


def _readable(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _cells(file: Path) -> Iterator[bytes]:
    """Every text and blob of every table, unpacked; pages alone would cut long ones in pieces."""
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)
    try:
        connection.text_factory = bytes
        tables = connection.execute("select name from sqlite_master where type = 'table'")
        for (name,) in tables.fetchall():
            quoted = name.decode().replace('"', '""')
            for row in connection.execute(f'select * from "{quoted}"'):  # noqa: S608  (a table's own name)
                for cell in row:
                    if isinstance(cell, bytes):
                        yield from _unpacked(cell, MAX_DEPTH)
    finally:
        connection.close()


def _inflated(data: bytes) -> bytes | None:
    """None when it only looks like zlib."""
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return None
