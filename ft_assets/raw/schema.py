"""The shape of every source a domain delivers, strict: a value has its type or is refused.

Nothing is converted: "4" is not a rating, epoch milliseconds are not a timestamp, a time without a
zone is no time. Fields that a feed may leave out have a default here; every other one is required.
What a text says is not looked at here: empty, broken or huge texts are the corpus stage's matter.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ft_assets.raw.quarantine import Problem, Reason

UnknownFields = Literal["refuse", "ignore"]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before it there were no such logs: a broken clock
FUTURE_SLACK = timedelta(days=1)  # clocks of other machines, and day-only dates in other zones
MAX_DEPTH = 32  # levels of objects and lists; writing the row again must not exhaust the stack
INT64 = 2**63 - 1  # what a Parquet column holds
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)")
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


def parse_timestamp(text: str) -> datetime:
    """ISO 8601 with a zone, year 2000 or later. ValueError does not repeat the text."""
    if not TIMESTAMP.fullmatch(text):
        raise ValueError("not an ISO 8601 time with a zone")
    moment = datetime.fromisoformat(text)
    if not EARLIEST.year <= moment.year < datetime.max.year:
        raise ValueError("year out of range")
    if moment < EARLIEST:
        raise ValueError("year out of range")
    return moment


def format_timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _expected(info: ValidationInfo) -> Mapping[str, Any]:
    if info.context is None:
        raise TypeError("validate with context={'domain': ..., 'now': ...}; read_row does")
    return info.context


def _timestamp(value: object, info: ValidationInfo) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("bad_timestamp", "not a string")
    try:
        moment = parse_timestamp(value)
    except ValueError as error:
        raise PydanticCustomError("bad_timestamp", "not a time") from error
    if moment > _expected(info)["now"] + FUTURE_SLACK:
        raise PydanticCustomError("bad_timestamp", "in the future")
    return moment


def _expected_domain(value: object, info: ValidationInfo) -> str:
    domain = _expected(info)["domain"]
    if value != domain:
        raise PydanticCustomError("domain_mismatch", "not the domain of this feed")
    return domain


Timestamp = Annotated[datetime, BeforeValidator(_timestamp), PlainSerializer(format_timestamp)]
DomainName = Annotated[str, BeforeValidator(_expected_domain)]
# No blank or control character at either end: " u1" and "u1" must not be two people.
Id = Annotated[
    str, StringConstraints(max_length=256, pattern=r"^[^\s\p{C}]([^\p{C}]*[^\s\p{C}])?$")
]
Count = Annotated[int, Field(ge=0, le=INT64)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id_field: ClassVar[str]
    week_field: ClassVar[str | None] = None  # set: rows belong to the week of this time


class Interaction(Row):
    id_field: ClassVar[str] = "event_id"
    week_field: ClassVar[str | None] = "ts"

    event_id: Id
    ts: Timestamp
    domain: DomainName
    user_id: Id
    session_id: Id
    turn: Count = 0
    prompt: str
    response: str
    model_version: str | None = None
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    thumb: Literal["up", "down"] | None = None
    correction: str | None = None  # the user's own wording of a better answer
    regenerated: bool = False
    clicked: bool = False
    latency_ms: Count | None = None


class Document(Row):
    id_field: ClassVar[str] = "doc_id"

    doc_id: Id
    domain: DomainName
    kind: str
    title: str
    text: str
    topic: str | None = None
    version: Count = 1
    updated_at: Timestamp | None = None
    access: Literal["public", "internal", "restricted"]
    source: str | None = None
    source_id: str | None = None
    license: str | None = None


class Annotation(Row):
    id_field: ClassVar[str] = "annotation_id"

    annotation_id: Id
    domain: DomainName
    task: str
    prompt: str
    response: str
    labels: dict[str, Any] = {}
    annotator_id: Id | None = None
    created_at: Timestamp | None = None
    agreement: Share | None = None
    source: str | None = None
    license: str | None = None


class Correction(Row):
    id_field: ClassVar[str] = "correction_id"

    correction_id: Id
    ts: Timestamp
    domain: DomainName
    event_id: Id | None = None
    reviewer_id: Id | None = None
    prompt: str
    original_response: str | None = None
    corrected_response: str
    reason: str | None = None
    severity: str | None = None
    status: Literal["approved", "pending", "rejected"]
    origin: str | None = None
    source: str | None = None
    license: str | None = None


class User(Row):
    id_field: ClassVar[str] = "user_id"

    user_id: Id
    region: str | None = None
    training_consent: bool  # no default: silence is not consent
    erasure_requested_at: Timestamp | None = None


class EvalCase(Row):
    # Test sets carry columns of their own; they are left out, not refused.
    model_config = ConfigDict(extra="ignore")

    id_field: ClassVar[str] = "eval_id"

    eval_id: Id
    domain: DomainName
    task: str
    prompt: str
    response: str
    topic: str | None = None
    bucket: str | None = None
    license: str | None = None


def read_row(
    data: bytes, model: type[Row], domain: str, now: datetime, unknown_fields: UnknownFields
) -> dict[str, Any] | Problem:
    """The line as a row of plain JSON values (times as UTC text), or what is wrong with it."""
    found = _parse_object(data)
    if isinstance(found, Problem):
        return found
    if unknown_fields == "ignore":
        found = {name: value for name, value in found.items() if name in model.model_fields}
    try:
        row = model.model_validate(found, context={"domain": domain, "now": now})
    except ValidationError as error:
        return _problem(error.errors(include_url=False, include_context=False))
    return row.model_dump()


class _Refused(ValueError):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason.value)
        self.problem = problem


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Refused(
            Problem(Reason.DUPLICATE_KEY, _names(n for n in found if names.count(n) > 1))
        )
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused(Problem(Reason.NOT_JSON))
    return number


def _no_constant(_name: str) -> float:
    raise _Refused(Problem(Reason.NOT_JSON))  # NaN, Infinity, -Infinity


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_no_constant
)


def _parse_object(data: bytes) -> dict[str, Any] | Problem:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Problem(Reason.NOT_UTF8)
    try:
        found = _DECODER.decode(text)
    except _Refused as error:
        return error.problem
    except RecursionError:
        return Problem(Reason.NESTED_TOO_DEEP)
    except ValueError:
        return Problem(Reason.NOT_JSON)
    if not isinstance(found, dict):
        return Problem(Reason.NOT_AN_OBJECT)
    deep = [name for name, value in found.items() if _too_deep(value)]
    if deep:
        return Problem(Reason.NESTED_TOO_DEEP, _names(deep))
    if "\\u" in text:  # the text was valid UTF-8: a surrogate can only come from an escape
        lone = [name for name, value in found.items() if _unwritable([name, value])]
        if lone:
            return Problem(Reason.LONE_SURROGATE, _names(lone))
    return found


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for parent in level
            if isinstance(parent, dict | list)
            for item in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _unwritable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


_RANGE_ERRORS = (
    "greater_than",
    "less_than",
    "string_too",
    "string_pattern",
    "finite_number",
    "too_",
)
_ORDER = list(Reason)


def _problem(errors: list[ErrorDetails]) -> Problem:
    reasons = {_reason(error) for error in errors}
    return Problem(min(reasons, key=_ORDER.index), _names(str(error["loc"][0]) for error in errors))


def _reason(error: Mapping[str, Any]) -> Reason:
    kind = error["type"]
    exact = {
        "missing": Reason.MISSING_FIELD,
        "extra_forbidden": Reason.UNKNOWN_FIELD,
        "bad_timestamp": Reason.BAD_TIMESTAMP,
        "domain_mismatch": Reason.DOMAIN_MISMATCH,
    }
    if kind in exact:
        return exact[kind]
    if kind == "literal_error":
        return Reason.OUT_OF_RANGE if isinstance(error["input"], str) else Reason.WRONG_TYPE
    return Reason.OUT_OF_RANGE if kind.startswith(_RANGE_ERRORS) else Reason.WRONG_TYPE


def _names(names: Any) -> str:
    """Field names, sorted; one that is no identifier could be somebody's data and is not told."""
    shown = {name if FIELD_NAME.fullmatch(name) else "(unnamed)" for name in names}
    return ", ".join(sorted(shown))
