"""Lines that were not taken up: each with a reason from a closed list, kept whole for repair.

`raw` holds the line as delivered, so it is personal data: quarantine lives in the raw zone alone.
Reason and detail name fields, never values, and may be shown anywhere.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a line is quarantined. In `Problem`s of one line the first of this order is reported."""

    UNREADABLE_FILE = "unreadable_file"  # the file breaks off here; the rest was not read
    ENCRYPTED_FILE = "encrypted_file"  # with a password that is not the empty one
    FILE_TOO_LARGE = "file_too_large"
    BAD_SIDECAR = "bad_sidecar"  # the file beside it is no mapping of YAML or JSON
    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"  # NaN and Infinity are not JSON either
    NOT_CSV = "not_csv"  # quotes that CSV does not allow there
    COLUMN_COUNT = "column_count"  # more or fewer cells than the header of the table
    NESTED_TOO_DEEP = "nested_too_deep"
    DUPLICATE_KEY = "duplicate_key"  # two values for one field: nobody can say which one holds
    NOT_AN_OBJECT = "not_an_object"
    LONE_SURROGATE = "lone_surrogate"  # an escape that is no character; cannot be written as UTF-8
    UNANSWERED = "unanswered"  # a task without an answer of a person; dropped, not quarantined
    DOMAIN_MISMATCH = "domain_mismatch"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_TIMESTAMP = "bad_timestamp"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_FIELD = "unknown_field"
    CONFLICTING_ID = "conflicting_id"  # an id that an earlier row has, with other content
    CONSENT_UNCLEAR = "consent_unclear"  # a later line about this user could not be read


@dataclass(frozen=True, slots=True)
class Problem:
    reason: Reason
    detail: str = ""  # names of fields


@dataclass(frozen=True, slots=True)
class Quarantined:
    source_file: str
    source_line: int  # 1-based
    reason: Reason
    detail: str
    raw: str
    week: str = ""  # logs: the week the line is counted in


def readable(data: bytes) -> str:
    """The bytes as text; what is not UTF-8 becomes a backslash escape."""
    return data.decode("utf-8", "backslashreplace")


def to_lines(quarantined: Iterable[Quarantined]) -> bytes:
    """Compressed JSON lines; equal records give equal bytes."""
    lines = (json.dumps(asdict(record), sort_keys=True) + "\n" for record in quarantined)
    return gzip.compress("".join(lines).encode(), mtime=0)
