"""The shape of every source a domain delivers, strict: a value has its type or is refused.

Nothing is converted: "4" is not a rating, epoch milliseconds are not a timestamp, a time without a
zone is no time. Fields that a feed may leave out have a default here; every other one is required.
What a text says is not looked at here: empty, broken or huge texts are the corpus stage's matter.
"""

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

from ft_assets.raw.json_objects import field_names, parse_object
from ft_assets.raw.quarantine import Problem, Reason

UnknownFields = Literal["refuse", "ignore"]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before it there were no such logs: a broken clock
FUTURE_SLACK = timedelta(days=1)  # clocks of other machines, and day-only dates in other zones
INT64 = 2**63 - 1  # what a Parquet column holds
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)")


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
    comment: str | None = None  # the user's, on the answer
    edit_share: Share | None = None  # of the answer's words that were changed before it was used
    regenerated: bool = False
    clicked: bool = False
    copied: bool = False
    abandoned: bool = False  # the user left without using it
    latency_ms: Count | None = None
    feedback_seq: Count = 0  # grows with every change of the feedback; 0: the feed does not count


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


MODELS: dict[str, type[Row]] = {  # by the name that a source has in platform.yaml
    "logs": Interaction,
    "documents": Document,
    "annotations": Annotation,
    "corrections": Correction,
    "users": User,
    "eval": EvalCase,
}


def read_row(
    data: bytes, model: type[Row], domain: str, now: datetime, unknown_fields: UnknownFields
) -> dict[str, Any] | Problem:
    """The line as a row of plain JSON values (times as UTC text), or what is wrong with it."""
    found = parse_object(data)
    if isinstance(found, Problem):
        return found
    return read_fields(found, model, domain, now, unknown_fields)


def read_fields(
    fields: Mapping[str, Any],
    model: type[Row],
    domain: str,
    now: datetime,
    unknown_fields: UnknownFields,
) -> dict[str, Any] | Problem:
    """The same of an object that is parsed already."""
    if unknown_fields == "ignore":
        fields = {name: value for name, value in fields.items() if name in model.model_fields}
    try:
        row = model.model_validate(fields, context={"domain": domain, "now": now})
    except ValidationError as error:
        return _problem(error.errors(include_url=False, include_context=False))
    return row.model_dump()


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
    return Problem(
        min(reasons, key=_ORDER.index), field_names(str(error["loc"][0]) for error in errors)
    )


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
