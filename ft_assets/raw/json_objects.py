"""JSON objects of a feed, read strictly, and what no row may hold whatever format it came in.

NaN and Infinity are no JSON, a repeated key is refused, and what could not be written again as
UTF-8 JSON (a lone surrogate, a hundred nested lists) is not taken in.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from ft_assets.raw.quarantine import Problem, Reason

MAX_DEPTH = 32  # levels of objects and lists; writing the row again must not exhaust the stack
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


class _Refused(ValueError):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason.value)
        self.problem = problem


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Refused(
            Problem(Reason.DUPLICATE_KEY, field_names(n for n in found if names.count(n) > 1))
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


def parse_object(data: bytes) -> dict[str, Any] | Problem:
    """The object that these bytes hold, or what is wrong with them."""
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
    if too_deep := _nested_too_deep(found):
        return too_deep
    if "\\u" in text:  # the text was valid UTF-8: a surrogate can only come from an escape
        return _lone_surrogate(found) or found
    return found


def check_values(fields: Mapping[str, Any]) -> Problem | None:
    """What `parse_object` would refuse in an object that did not come as JSON."""
    if too_deep := _nested_too_deep(fields):
        return too_deep
    try:
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, TypeError):
        return _unlike_json(fields)
    return None


def _unlike_json(fields: Mapping[str, Any]) -> Problem | None:
    foreign = [name for name, value in fields.items() if not _is_json(value)]
    if foreign:
        return Problem(Reason.WRONG_TYPE, field_names(foreign))
    infinite = [name for name, value in fields.items() if not _finite_throughout(value)]
    if infinite:
        return Problem(Reason.OUT_OF_RANGE, field_names(infinite))
    return _lone_surrogate(fields)


def _nested_too_deep(fields: Mapping[str, Any]) -> Problem | None:
    nested = ((name, value) for name, value in fields.items() if isinstance(value, dict | list))
    deep = [name for name, value in nested if _too_deep(value)]
    return Problem(Reason.NESTED_TOO_DEEP, field_names(deep)) if deep else None


def _lone_surrogate(fields: Mapping[str, Any]) -> Problem | None:
    lone = [name for name, value in fields.items() if _unwritable([name, value])]
    return Problem(Reason.LONE_SURROGATE, field_names(lone)) if lone else None


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float)


def _finite_throughout(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite_throughout, value.values()))
    return not isinstance(value, list) or all(map(_finite_throughout, value))


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


def field_names(names: Any) -> str:
    """Field names, sorted; one that is no identifier could be somebody's data and is not told."""
    shown = {name if FIELD_NAME.fullmatch(name) else "(unnamed)" for name in names}
    return ", ".join(sorted(shown))
