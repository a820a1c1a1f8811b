"""`ft leaks` finds a value wherever a reader of the disk could, and says nothing of it."""

import gzip
import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from ft_assets.cli import app
from ft_assets.leaks import Hit, Values, search

VALUE = "Zoë.O'Hara@example.org"
LONG = "x" * 20_000 + VALUE + "y" * 20_000  # over several pages of a database


def _parquet(**columns: list) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return buffer.getvalue()


def _database(file: Path, cell: object) -> None:
    connection = sqlite3.connect(file)
    connection.execute('create table "odd ""name" (a, b)')
    connection.execute('insert into "odd ""name" values (1, ?)', (cell,))
    connection.commit()
    connection.close()


def _arrow(file: Path) -> None:
    table = pa.table({"rows": [[{"text": VALUE}]]})
    with pa.ipc.new_file(
        file, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as out:
        out.write_table(table)


CARRIERS: dict[str, Callable[[Path], object]] = {
    "text": lambda f: f.write_text(f"a {VALUE}."),
    "other case": lambda f: f.write_text(VALUE.replace("O'Hara", "O'HARA").replace("ex", "EX")),
    "json escapes": lambda f: f.write_text(json.dumps({"a": VALUE})),
    "url": lambda f: f.write_text("?q=Zo%C3%AB.O%27Hara%40example.org&x"),
    "utf-16": lambda f: f.write_bytes(VALUE.encode("utf-16")),
    "gzip": lambda f: f.write_bytes(gzip.compress(VALUE.encode())),
    "gzip in gzip": lambda f: f.write_bytes(gzip.compress(gzip.compress(VALUE.encode()))),
    "zstd": lambda f: f.write_bytes(pa.compress(VALUE.encode(), "zstd", asbytes=True)),
    "zip": lambda f: f.write_bytes(_zipped(VALUE.encode())),
    "parquet": lambda f: f.write_bytes(_parquet(a=["", VALUE])),
    "nested parquet": lambda f: f.write_bytes(_parquet(a=[[{"b": VALUE}]])),
    "binary parquet": lambda f: f.write_bytes(_parquet(a=[b"Zoe", b"jane@example.org"])),
    "arrow": _arrow,
    "zlib": lambda f: f.write_bytes(zlib.compress(VALUE.encode())),
    "database": lambda f: _database(f, VALUE),
    "long cell": lambda f: _database(f, LONG),
    "compressed cell": lambda f: _database(f, zlib.compress(VALUE.encode())),
    "weights": lambda f: save_file({"w": pd.Series([1.0]).to_numpy()}, f, metadata={"note": VALUE}),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_value_is_found_in(carrier: str, tmp_path: Path):
    CARRIERS[carrier](tmp_path / "file")
    found = search([tmp_path], Values(["nobody@example.net", VALUE, "jane@example.org"]))
    number = 3 if carrier == "binary parquet" else 2
    assert found.hits == [Hit(str(tmp_path / "file"), number)]
    assert (found.files, found.unreadable) == (1, [])


def test_what_was_deleted_from_a_database_is_found_in_its_pages(tmp_path: Path):
    file = tmp_path / "a.db"
    _database(file, VALUE)
    connection = sqlite3.connect(file)
    connection.execute("pragma secure_delete = off")
    connection.execute('delete from "odd ""name"')
    connection.commit()
    connection.close()
    assert len(search([tmp_path], Values([VALUE])).hits) == 1


def test_nothing_is_found_in_what_is_clean(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps({"a": "zoe.ohara@example.org"}))
    (tmp_path / "b.parquet").write_bytes(_parquet(a=["Zoë"], b=[1]))
    found = search([tmp_path], Values([VALUE]))
    assert (found.hits, found.files) == ([], 2)


def test_a_file_that_breaks_off_is_searched_as_it_is_and_named(tmp_path: Path):
    broken = tmp_path / "a.gz"
    broken.write_bytes(gzip.compress(b"x" * 5000)[:-6] + VALUE.encode())
    found = search([tmp_path], Values([VALUE]))
    assert found.unreadable == [str(broken)]
    assert [hit.value for hit in found.hits] == [1]


@pytest.mark.parametrize("values", [[], ["abc"], ["long enough", " ab "]])
def test_values_that_would_be_found_everywhere_are_refused(values: list[str]):
    with pytest.raises(ValueError, match=r"no values|fewer than"):
        Values(values)


def test_the_command_never_repeats_the_value(tmp_path: Path):
    (tmp_path / "values.txt").write_text(f"nobody@example.net\n\n{VALUE}\n")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "log.txt").write_text(VALUE)
    ran = CliRunner().invoke(app, ["leaks", str(tmp_path / "values.txt"), str(tmp_path / "state")])
    assert ran.exit_code == 1
    assert "value 2 is in" in ran.output
    assert VALUE not in ran.output
    (tmp_path / "state" / "log.txt").unlink()
    ran = CliRunner().invoke(app, ["leaks", str(tmp_path / "values.txt"), str(tmp_path / "state")])
    assert ran.exit_code == 0
