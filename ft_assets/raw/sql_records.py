"""Rows of a SQL query as records, streamed through a server-side cursor.

The password comes from the environment; no error repeats it, the query's values or its rows. Some
weeks of a log are read in two passes, two runs of the query: a row that comes in between is taken
up if it belongs to one of them. Rows have no place of their own but their number, so a query should
say ORDER BY.
"""

import hashlib
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ft_assets.raw.arrow_records import table_line
from ft_assets.raw.feed import Feed
from ft_assets.raw.sources import Line

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

BATCH_ROWS = 256
EXTRAS = {"psycopg": "postgres", "psycopg2": "postgres"}  # driver -> extra of this project
# What `text()` would take for a parameter: feeds have none.
_COLON = re.compile(r"(?<![:\\]):(?=\w)")


@dataclass(frozen=True)
class SqlQuery:
    feed: Feed

    @property
    def name(self) -> str:
        """database/query-<digest>: the same on every machine."""
        digest = hashlib.sha256(str(self.feed.query).encode()).hexdigest()[:8]
        path = str(self.feed.sql).partition("://")[2].partition("?")[0]
        return f"{path.rsplit('/', 1)[-1] or 'database'}/query-{digest}"

    @property
    def url(self) -> str:
        return f"{self.feed.sql}#{self.name.rsplit('-', 1)[-1]}"

    def answer(self, query: str) -> list[list[str]]:
        """The rows of a small query as text, for `watch`."""
        with _connected(self) as connection, _run(connection, query) as result:
            return [[str(cell) for cell in row] for row in result]


def read_query(query: SqlQuery, max_line_bytes: int) -> Iterator[Line]:
    """Every row as fields. Raises ConnectionError when the database does not answer to the end,
    and ValueError when the settings cannot work: a driver or a password that is not there, two
    columns of one name.
    """
    with _connected(query) as connection, _run(connection, str(query.feed.query)) as result:
        names = list(result.keys())
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(
                f"feed {query.name}: the query gives {twice[0]!r} twice; tell them apart with AS"
            )
        for number, row in enumerate(result, start=1):
            yield table_line(number, dict(zip(names, row, strict=True)), max_line_bytes)


@contextmanager
def _run(connection: "Connection", query: str) -> Generator["CursorResult"]:
    from sqlalchemy import text

    result = connection.execute(text(_COLON.sub(r"\\:", query)))
    try:
        yield result
    finally:
        result.close()


@contextmanager
def _connected(query: SqlQuery) -> Generator["Connection"]:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = make_url(str(query.feed.sql))
    if url.get_backend_name() == "sqlite":
        _must_exist(query, url.database)
    if query.feed.password_env:
        url = url.set(password=_password(query, os.environ))
    try:
        engine = create_engine(url, poolclass=NullPool)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(str(error.name))
        how = f"pip install 'continuous-fine-tuning[{extra}]'" if extra else "install it"
        raise ValueError(f"feed {query.name}: no driver {error.name}; {how}") from None
    except NoSuchModuleError:
        raise ValueError(f"feed {query.name}: sql: unknown database {url.drivername!r}") from None
    try:
        with engine.connect().execution_options(yield_per=BATCH_ROWS) as connection:
            yield connection
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        state = getattr(cause, "sqlstate", None)
        raise ConnectionError(
            f"feed {query.name}: the database refused: {type(cause).__name__}"
            f"{f' (SQLSTATE {state})' if state else ''}; try the query in its own client"
        ) from None
    finally:
        engine.dispose()


def _must_exist(query: SqlQuery, database: str | None) -> None:
    """SQLite would make an empty one."""
    if database and not database.startswith("file:") and not Path(database).is_file():
        raise FileNotFoundError(f"feed {query.name}: no database at {database}")


def _password(query: SqlQuery, environment: Mapping[str, str]) -> str:
    name = str(query.feed.password_env)
    if not environment.get(name):
        raise ValueError(f"feed {query.name}: set the environment variable {name}")
    return environment[name]
