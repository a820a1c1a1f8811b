"""Which files a pattern finds, in which order, and how their lines are read."""

import gzip
import io
from pathlib import Path

import fsspec
import pytest

from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import (
    KEPT_OF_TOO_LONG,
    Line,
    SourceFile,
    list_files,
    pieces,
    read_lines,
)


def put(folder: Path, **files: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def names(patterns: list[str]) -> list[str]:
    return [file.name for file in list_files(patterns)]


def only(path: Path) -> SourceFile:
    (file,) = list_files([str(path)])
    return file


def test_files_are_read_base_first_and_numbers_by_value(tmp_path: Path) -> None:
    feed = tmp_path / "legal"
    order = ["logs.jsonl.gz", "logs-2.jsonl", "logs-10.jsonl", "logs-2026-11-23.jsonl.gz"]
    put(feed, **dict.fromkeys(reversed(order), b"{}"))
    assert names([f"{feed}/logs*.jsonl*"]) == [f"legal/{name}" for name in order]


def test_each_file_comes_once_from_folder_file_glob_and_url(tmp_path: Path) -> None:
    feed = tmp_path / "legal"
    put(feed, **{"users.jsonl": b"{}", "notes.txt": b"x", "logs.jsonl.gz": b""})
    put(feed / "more.jsonl", **{"inner.jsonl": b"{}"})
    patterns = [str(feed), f"{feed}/users.jsonl", f"{feed}/u*", f"file://{feed}/*.jsonl"]
    assert names(patterns) == ["legal/logs.jsonl.gz", "legal/users.jsonl"]


@pytest.mark.parametrize("pattern", ["{}/nothing", "{}/nothing/*.jsonl", "{}/*.parquet"])
def test_what_is_not_there_is_no_file(tmp_path: Path, pattern: str) -> None:
    assert list_files([pattern.format(tmp_path)]) == []


def test_unfinished_uploads_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, **dict.fromkeys(("logs.jsonl.tmp", ".logs.jsonl", "logs.jsonl.part"), b""))
    assert list_files([f"{tmp_path}/*logs*", f"{tmp_path}/.logs*", str(tmp_path)]) == []


def test_a_name_with_glob_signs_is_a_name_first(tmp_path: Path) -> None:
    put(tmp_path, **{"logs[1].jsonl": b"{}", "logs1.jsonl": b"{}"})
    assert names([f"{tmp_path}/logs[1].jsonl"]) == [f"{tmp_path.name}/logs[1].jsonl"]


def test_files_of_one_name_are_told_apart_by_url(tmp_path: Path) -> None:
    for side in ("a", "b"):
        put(tmp_path / side / "legal", **{"logs.jsonl": b"{}"})
    files = list_files([f"{tmp_path}/a/legal", f"{tmp_path}/b/legal"])
    assert [file.name for file in files] == [file.url for file in files]


def test_other_file_systems_go_by_protocol() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/feed-of-test/legal/logs.jsonl", b'{"a": 1}\n')
    (file,) = list_files(["memory://feed-of-test/legal/logs*"])
    assert (file.name, file.size) == ("legal/logs.jsonl", 9)
    assert list(read_lines(file)) == [Line(1, b'{"a": 1}')]
    assert list(read_lines(file)) == [Line(1, b'{"a": 1}')]


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    put(tmp_path, **{"a.jsonl": b"one", "b.jsonl": b"one", "c.jsonl": b"two"})
    a, b, c = (file.fingerprint for file in list_files([str(tmp_path)]))
    assert a == b != c
    assert SourceFile("x", "x", 1, etag="e1").fingerprint == "etag:e1"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a\nb\n", [Line(1, b"a"), Line(2, b"b")]),
        (b"a\r\nb", [Line(1, b"a"), Line(2, b"b")]),
        (b"\n  \t\na\n\r\n\nb\n", [Line(3, b"a"), Line(6, b"b")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [Line(1, b"a"), Line(2, b"\xef\xbb\xbfb")]),
        (b"\xef\xbb\xbf", []),
        (b"a\rb\x00\n", [Line(1, b"a\rb\x00")]),
        (b"12345678\n1234567\r\n12", [Line(1, b"12345678"), Line(2, b"1234567"), Line(3, b"12")]),
        (b"12345678\r\nx", [Line(1, b"12345678"), Line(2, b"x")]),
        (b"123456789\nx", [Line(1, b"123456789", Reason.LINE_TOO_LONG), Line(2, b"x")]),
        (b"x\n123456789", [Line(1, b"x"), Line(2, b"123456789", Reason.LINE_TOO_LONG)]),
    ],
)
def test_lines(tmp_path: Path, content: bytes, expected: list[Line], packed: bool) -> None:
    put(tmp_path, **{"logs.data": gzip.compress(content, mtime=0) if packed else content})
    assert list(read_lines(only(tmp_path / "logs.data"), max_line_bytes=8)) == expected


def test_of_a_line_over_the_limit_only_the_beginning_is_kept(tmp_path: Path) -> None:
    put(tmp_path, **{"logs.jsonl": b"x" * 5_000_000 + b"\nlast\n"})
    long, last = read_lines(only(tmp_path / "logs.jsonl"), max_line_bytes=100_000)
    assert (long.problem, len(long.data)) == (Reason.LINE_TOO_LONG, KEPT_OF_TOO_LONG)
    assert last == Line(2, b"last")


def test_pieces_add_up_to_the_stream() -> None:
    content = b"a\r\n\n" + b"x" * 50 + b"\n" + b"y" * 50
    found = list(pieces(io.BytesIO(content), 10))
    assert sum(piece.length for piece in found) == len(content)
    assert [piece.ended for piece in found] == [True, True, True, False]
    assert [piece.too_long for piece in found] == [False, False, True, True]


LINES = b"".join(b'{"number": %d, "text": "%d"}\n' % (n, n * 7919) for n in range(2000))
PACKED = gzip.compress(LINES, mtime=0)


@pytest.mark.parametrize(
    "damaged",
    [
        PACKED[: len(PACKED) // 2],
        PACKED[:-4],
        PACKED[:3000] + b"\x00" * 40 + PACKED[3040:],
        PACKED + b"rubbish at the end",
        PACKED[:5],
    ],
)
def test_a_file_that_breaks_off_gives_its_lines_and_one_problem(
    tmp_path: Path, damaged: bytes
) -> None:
    put(tmp_path, **{"logs.jsonl.gz": damaged})
    *lines, last = read_lines(only(tmp_path / "logs.jsonl.gz"))
    assert last == Line(len(lines) + 1, b"", Reason.UNREADABLE_FILE)
    good = LINES.split(b"\n")
    if damaged != PACKED[:3000] + b"\x00" * 40 + PACKED[3040:]:
        assert [line.data for line in lines] == good[: len(lines)]
    assert all(line.problem is None for line in lines)
    if len(damaged) >= len(PACKED) - 4 and damaged[:3040] == PACKED[:3040]:
        assert len(lines) == 2000


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    put(tmp_path, **{"logs.jsonl.gz": gzip.compress(b"a\n", mtime=0) + gzip.compress(b"b\n")})
    assert list(read_lines(only(tmp_path / "logs.jsonl.gz"))) == [Line(1, b"a"), Line(2, b"b")]


def test_a_file_that_went_away_raises(tmp_path: Path) -> None:
    put(tmp_path, **{"logs.jsonl": b"a\n"})
    file = only(tmp_path / "logs.jsonl")
    (tmp_path / "logs.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        list(read_lines(file))
