"""A SQL query is a source like a file: of SQLite, and of a PostgreSQL where one is installed."""

import json
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from ft_assets.raw import schema
from ft_assets.raw.changes import Scan, scan
from ft_assets.raw.delivery import list_sources
from ft_assets.raw.intake import take_up
from ft_assets.raw.taken import Intake
from ft_assets.settings import PlatformError, load_platform

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSWORD = "of-the-tests-7q"
TABLE = """
CREATE TABLE chats (
  id INTEGER, sent TIMESTAMP, who INTEGER, thread TEXT, q TEXT, a TEXT, score NUMERIC(3, 1),
  again BOOLEAN, took DOUBLE PRECISION
)
"""
ROWS = [
    (1, "2026-09-02 10:00:00", 7, "t:1", "Is it due?", "Yes.", 5, True, 40.0),
    (2, "2026-09-09 10:00:00", 8, "t:1", "100% sure?", "Yes.", None, False, None),
    (3, "2026-09-09 11:00:00", 8, None, "Why?", "So.", 9, False, 1.0),
    (4, None, 8, "t:1", "When?", "Now.", 1, False, 1.0),
]
MAP = {
    "event_id": "id",
    "ts": {"from": "sent", "zone": "UTC"},
    "user_id": "who",
    "session_id": "thread",
    "prompt": "q",
    "response": "a",
    "rating": "score",
    "regenerated": "again",
    "latency_ms": "took",
}


@dataclass
class Database:
    url: str  # without password
    password_env: str | None = None

    def fill(self, rows: list[tuple]) -> None:
        password = os.environ[self.password_env] if self.password_env else None
        engine = create_engine(make_url(self.url).set(password=password))
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS chats"))
            connection.execute(text(TABLE))
            names = [f"v{n}" for n in range(9)]
            marks = ", ".join(f":{name}" for name in names)
            for row in rows:
                values = dict(zip(names, row, strict=True))
                connection.execute(text(f"INSERT INTO chats VALUES ({marks})"), values)
        engine.dispose()


def postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Database]:
    """A server of its own, run by another user where this one is root, which PostgreSQL refuses."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL on this machine: neither initdb nor /usr/lib/postgresql")
    pytest.importorskip("psycopg", reason="no psycopg: pip install -e '.[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="ft-postgres-"))
    owner: dict[str, Any] = {}
    if os.getuid() == 0:
        owner = {"user": "nobody", "extra_groups": []}
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    init = [programs / "initdb", "-D", folder / "data", "-U", "ft", "-A", "scram-sha-256"]
    init += ["--pwfile", folder / "password", "--no-sync", "-E", "UTF8"]
    subprocess.run([str(x) for x in init], check=True, capture_output=True, cwd=folder, **owner)
    serve = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
    serve += ["-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, **owner)
        try:
            os.environ["FT_TEST_PASSWORD"] = PASSWORD
            database = Database(
                f"postgresql+psycopg://ft@127.0.0.1:{port}/postgres", "FT_TEST_PASSWORD"
            )
            _wait_for(database, server, folder / "log")
            yield database
        finally:
            os.environ.pop("FT_TEST_PASSWORD", None)
            server.terminate()
            server.wait(30)
            shutil.rmtree(folder)


def _wait_for(database: Database, server: subprocess.Popen, log: Path) -> None:
    import psycopg

    for _ in range(300):
        assert server.poll() is None, log.read_text()
        url = make_url(database.url)
        try:
            psycopg.connect(
                host=url.host,
                port=url.port,
                user=url.username,
                password=PASSWORD,
                dbname="postgres",
            ).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(log.read_text())


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "postgres":
        return request.getfixturevalue("postgres")
    return Database(f"sqlite:///{tmp_path}/crm.db")


def platform_file(folder: Path, **feed: Any) -> Path:
    file = folder / "platform.yaml"
    sources = {"logs": {k: v for k, v in feed.items() if v is not None}}
    file.write_text(json.dumps({"domains": {"legal": {"sources": sources}}}))
    return file


def feeds(folder: Path, database: Database, query: str, **more: Any) -> list:
    more = {"map": MAP, "password_env": database.password_env, **more}
    settings = load_platform(platform_file(folder, sql=database.url, query=query, **more))
    return list_sources(settings.sources("legal", "logs"))


def taken(sources: list, **options: Any) -> Intake:
    intake = take_up(sources, schema.Interaction, domain="legal", now=NOW, **options)
    assert intake.rows_in == len(intake.rows) + len(intake.quarantined)
    return intake


def test_rows_of_a_query_are_typed_and_counted(tmp_path: Path, database: Database) -> None:
    database.fill(ROWS)
    sources = feeds(tmp_path, database, "SELECT * FROM chats ORDER BY id")
    intake = taken(sources)
    fields = ("event_id", "user_id", "rating", "regenerated", "latency_ms", "week", "source_line")
    assert [tuple(row[name] for name in fields) for row in intake.rows] == [
        ("1", "7", 5, True, 40, "2026-08-31", 1),
        ("2", "8", None, False, None, "2026-09-07", 2),
    ]
    assert intake.rows[0]["ts"] == "2026-09-02T10:00:00Z"
    assert [(r.source_line, r.reason.value, r.detail) for r in intake.quarantined] == [
        (3, "missing_field", "rating, session_id"),
        (4, "missing_field", "ts"),
    ]
    assert json.loads(intake.quarantined[0].raw)["q"] == "Why?"
    assert taken(sources, weeks=["2026-08-31"]).rows == intake.rows[:1]
    assert scan(sources[0], Scan(), "legal").weeks.keys() == {"2026-08-31", "2026-09-07"}


def test_signs_of_a_query_mean_what_they_mean_to_the_database(
    tmp_path: Path, database: Database
) -> None:
    database.fill(ROWS)
    query = "SELECT * FROM chats WHERE thread LIKE 't:1%' AND q LIKE '%\\%%' ESCAPE '\\'"
    query += " AND q <> ' :x'"
    if "postgres" in database.url:
        query += " AND id::text = '2' AND sent::time = '10:00'"
    assert [row["event_id"] for row in taken(feeds(tmp_path, database, query)).rows] == ["2"]


def test_two_columns_of_one_name(tmp_path: Path, database: Database) -> None:
    database.fill(ROWS[:1])
    query = "SELECT a.*, b.id FROM chats a, chats b"
    with pytest.raises(ValueError, match="'id' twice; tell them apart with AS"):
        taken(feeds(tmp_path, database, query))


def test_a_refused_query_says_so_without_its_words(tmp_path: Path, database: Database) -> None:
    database.fill(ROWS)
    with pytest.raises(ConnectionError, match="the database refused") as error:
        taken(feeds(tmp_path, database, "SELECT 'Jane Roe' FROM nothing"))
    assert "Jane" not in str(error.value)
    assert error.value.__suppress_context__


def test_rows_are_streamed(tmp_path: Path, database: Database) -> None:
    """The first record is there before the database has made the last."""
    database.fill([(n, *ROWS[0][1:]) for n in range(40)])
    query = "SELECT a.* FROM chats a, chats b, chats c, chats d, chats e, chats f"  # 4e9 rows
    [source] = feeds(tmp_path, database, query)
    from ft_assets.raw.delivery import open_delivery

    lines = open_delivery(source).lines(2**20)
    assert next(lines).number == 1
    lines.close()


def test_a_wrong_or_missing_password_is_not_told(
    tmp_path: Path, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "SELECT 1 AS id"
    monkeypatch.setenv("FT_TEST_PASSWORD", "wrong-9z")
    with pytest.raises(ConnectionError, match="OperationalError") as error:
        taken(feeds(tmp_path, postgres, query))
    assert "wrong-9z" not in str(error.value)
    monkeypatch.delenv("FT_TEST_PASSWORD")
    with pytest.raises(ValueError, match="set the environment variable FT_TEST_PASSWORD"):
        taken(feeds(tmp_path, postgres, query))


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(FileNotFoundError, match=r"no database at .*none\.db"):
        taken(feeds(tmp_path, database, "SELECT 1"))
    assert not (tmp_path / "none.db").exists()


def test_a_path_of_the_file_is_relative_to_it(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "crm.db").execute("CREATE TABLE chats (id INTEGER)").close()
    [source] = feeds(tmp_path, Database("sqlite:///crm.db"), "SELECT id FROM chats")
    assert taken([source]).rows_in == 0
    assert source.name.startswith("crm.db/query-")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql+nothing://u@h/d", "unknown database 'mysql.nothing'"),
        ("oracle+oracledb://u@h/d", "no driver oracledb; install it"),
    ],
)
def test_a_driver_that_is_not_there(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        taken(feeds(tmp_path, Database(url), "SELECT 1"))


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ({"sql": "sqlite:///a.db"}, "'sql' needs 'query'"),
        ({"sql": "a.db", "query": "q"}, "must look like postgresql"),
        ({"query": "q"}, "one of 'files' and 'sql'"),
        ({"files": "x", "sql": "sqlite:///a.db", "query": "q"}, "one of 'files' and 'sql'"),
        ({"files": "x", "query": "q"}, "'query' belongs to 'sql'"),
        ({"sql": "sqlite:///a.db", "query": "q", "format": "csv"}, "'format' belongs to 'files'"),
        ({"sql": "postgresql://u:geheim-3@h/d", "query": "q"}, "no password in this file"),
        ({"sql": "postgresql://h/d?user=u&password=geheim-3", "query": "q"}, "no password"),
    ],
)
def test_a_wrong_feed_is_told_without_its_password(
    tmp_path: Path, feed: dict[str, str], told: str
) -> None:
    with pytest.raises(PlatformError, match=told) as error:
        load_platform(platform_file(tmp_path, **feed))
    assert "logs.0" in str(error.value)
    assert "geheim-3" not in str(error.value)
