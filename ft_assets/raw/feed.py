"""A feed: where the records of one source lie, and how they are read."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ft_assets.raw.mapping import FieldRule
from ft_assets.raw.schema import UnknownFields

PASSWORD = re.compile(r"://[^/@]*:[^/]*@|[?&]password=", re.IGNORECASE)
FormatName = Literal[
    "jsonl", "json", "csv", "parquet", "arrow", "text", "markdown", "html", "pdf", "docx"
]


class AboutDocuments(BaseModel):
    """What files of documents do not say themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    access: Literal["public", "internal", "restricted"] | None = None
    license: str | None = None
    kind: str | None = None
    topic: str | None = None
    source: str | None = None

    def told(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True, include=set(AboutDocuments.model_fields))


class DocumentRules(AboutDocuments):
    folders: dict[str, AboutDocuments] = {}  # below the feed's folder: hr, hr/contracts
    max_mib: Annotated[int, Field(ge=1, le=1024)] = 64  # of a file, and of what it unpacks to


class Feed(BaseModel):
    """One entry of a source in platform.yaml; a text alone is its `files`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: Annotated[list[str], Field(min_length=1)] | None = None
    sql: str | None = None  # a database URL of SQLAlchemy, without password
    query: str | None = None
    password_env: str | None = None  # name of the environment variable that holds it
    watch: str | None = None  # a small query whose answer changes when that of `query` does
    format: FormatName | None = None  # null: told by content and name
    map: dict[str, FieldRule] = {}
    export: Literal["label_studio", "argilla"] | None = None  # annotations: the tool's JSON export
    documents: DocumentRules = DocumentRules()  # of text, Markdown, HTML, PDF and DOCX files
    convert: bool | None = None  # types by the schema; null: where the format has too few
    unknown_fields: UnknownFields | None = None  # null: as the platform says

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, feed: Any) -> Any:
        if isinstance(feed, str):
            return {"files": [feed]}
        if isinstance(feed, dict) and isinstance(feed.get("files"), str):
            return {**feed, "files": [feed["files"]]}
        return feed

    @model_validator(mode="after")
    def _one_place(self) -> "Feed":
        if (self.files is None) == (self.sql is None):
            raise ValueError("needs one of 'files' and 'sql'")
        told = [name for name in ("query", "password_env", "watch") if getattr(self, name)]
        if self.sql is None and told:
            raise ValueError(f"{told[0]!r} belongs to 'sql'")
        if self.sql is not None:
            if not self.query:
                raise ValueError("'sql' needs 'query'")
            if self.format:
                raise ValueError("'format' belongs to 'files'")
            _check_url(self.sql)
        return self


def _check_url(url: str) -> None:
    if not re.match(r"[a-z0-9_+]+://", url):
        raise ValueError("sql: must look like postgresql+psycopg://user@host/database")
    if PASSWORD.search(url):
        raise ValueError("sql: no password in this file; name its variable in 'password_env'")


class DocumentFeed(Feed):
    """A feed of the source `documents`: its files may be documents as people write them."""


PLAIN = Feed(files=["-"])  # of a file that nobody said more about
