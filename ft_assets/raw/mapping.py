"""How the fields of a feed become those of the schema: other names, nested ones, other words.

Rules come from platform.yaml (docs/sources.md has the reference). A rule that finds nothing leaves
its field out; a value that it cannot read it leaves as it is. What that means the schema says.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ft_assets.raw.schema import format_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
_MISSING = object()
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]+)?")
_DIRECTIVE = re.compile(r"%[a-zA-Z]")  # of strptime

Scalar = str | int | float | bool | None


class FieldRule(BaseModel):
    """Where one field of the schema comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str | None = Field(default=None, alias="from", min_length=1)  # a.b.0: nested
    const: Scalar = None
    default: Scalar = None  # where the feed says nothing
    values: dict[Scalar, Scalar] = {}  # other values stay as they are
    time: str | None = None  # iso, epoch_s, epoch_ms, epoch_us, epoch_ns or a format of strptime
    zone: str | None = None  # of times that name none, Europe/Berlin

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, rule: object) -> object:
        return {"from": rule} if isinstance(rule, str) else rule

    @field_validator("time")
    @classmethod
    def _known_time(cls, time: str | None) -> str | None:
        if time not in (None, "iso", *EPOCHS) and not _DIRECTIVE.search(str(time)):
            raise ValueError(f"must be iso, {', '.join(EPOCHS)} or a format like '%d.%m.%Y %H:%M'")
        return time

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError("must be a time zone like UTC or Europe/Berlin")
        return zone

    @model_validator(mode="after")
    def _one_origin(self) -> "FieldRule":
        given = self.model_fields_set
        if ("source" in given) == ("const" in given):
            raise ValueError("needs one of 'from' and 'const'")
        if "const" in given and len(given) > 1:
            raise ValueError("'const' stands alone")
        return self

    @property
    def top(self) -> str:
        """The field of the feed that it reads, "" for none."""
        return (self.source or "").split(".", 1)[0]

    def value(self, fields: Mapping[str, Any]) -> Any:
        """`_MISSING` when the feed does not say."""
        if self.source is None:
            return self.const
        found = _find(fields, self.source)
        if found is _MISSING or (found is None and "default" in self.model_fields_set):
            return self.default if "default" in self.model_fields_set else _MISSING
        if self.values:
            found = self._words().get(_word(found), found)
        return self._as_time(found) if self.time or self.zone else found

    def _words(self) -> dict[str, Scalar]:
        return {_word(key): value for key, value in self.values.items()}

    def _as_time(self, value: Any) -> Any:
        try:
            moment = _read_time(value, self.time or "iso")
            if moment.tzinfo is None:
                if self.zone is None:
                    return value
                moment = moment.replace(tzinfo=ZoneInfo(self.zone))
            return format_timestamp(moment)
        except (ValueError, OverflowError, TypeError):
            return value


Rules = Mapping[str, FieldRule]


def apply(rules: Rules, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under the names of the schema; those that no rule reads keep their name.

    A field of the feed that has the name of a mapped one, but is read by no rule, is kept as
    "unmapped_<name>", so that it counts as unknown.
    """
    read = {rule.source for rule in rules.values()} | {rule.top for rule in rules.values()}
    result = {
        f"unmapped_{name}" if name in rules else name: value
        for name, value in fields.items()
        if name not in read
    }
    return {**result, **values_of(rules, fields)}


def values_of(rules: Rules, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the rules alone give."""
    found = {name: rule.value(fields) for name, rule in rules.items()}
    return {name: value for name, value in found.items() if value is not _MISSING}


def _find(fields: Any, path: str) -> Any:
    """A key that holds the dots itself comes before a nested one."""
    if isinstance(fields, dict):
        if path in fields:
            return fields[path]
        head, dot, rest = path.partition(".")
        return _find(fields[head], rest) if dot and head in fields else _MISSING
    if isinstance(fields, list):
        head, dot, rest = path.partition(".")
        if re.fullmatch(r"-?[0-9]{1,6}", head) and -len(fields) <= int(head) < len(fields):
            return _find(fields[int(head)], rest) if dot else fields[int(head)]
    return _MISSING


def _word(value: Any) -> str:
    """So that YAML's 1, JSON's 1.0 and a CSV cell's "1" are one key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "null" if value is None else str(value)


def _read_time(value: Any, form: str) -> datetime:
    if form in EPOCHS:
        if isinstance(value, bool) or not _NUMBER.fullmatch(text := str(value).strip()):
            raise ValueError("not a number")
        return EPOCH + timedelta(microseconds=int(Decimal(text) * 10**6 // EPOCHS[form]))
    if not isinstance(value, str):
        raise ValueError("not a text")
    return datetime.fromisoformat(value) if form == "iso" else datetime.strptime(value, form)
