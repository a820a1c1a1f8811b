"""A feed: where the records of one source lie, and how they are read."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ft_assets.raw.mapping import FieldRule
from ft_assets.raw.schema import UnknownFields

FormatName = Literal["jsonl", "json", "csv", "parquet", "arrow"]


class Feed(BaseModel):
    """One entry of a source in platform.yaml; a text alone is its `files`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: Annotated[list[str], Field(min_length=1)]
    format: FormatName | None = None  # null: told by content and name
    map: dict[str, FieldRule] = {}
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


PLAIN = Feed(files=["-"])  # of a file that nobody said more about
