"""Values of formats that know fewer types than the schema: read as the type of their field.

CSV has text alone, tables have numbers where a feed in JSON has ids, pandas makes floats of
integers with gaps. A value is converted only where it can mean one thing; every other one stays and
is refused by the schema. Empty cells of anything but a required text are fields that are not there.
"""

import json
import re
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ft_assets.raw.json_objects import parse_object
from ft_assets.raw.quarantine import Problem
from ft_assets.raw.schema import Row

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def convert(fields: Mapping[str, Any], model: type[Row]) -> dict[str, Any]:
    """The fields with the types that the model's fields have, where that is certain."""
    kinds = _kinds(model)
    result = {}
    for name, value in fields.items():
        kind, required = kinds.get(name, (str, False))
        if value is None or (value == "" and not (kind is str and required)):
            continue
        result[name] = _AS[kind](value)
    return result


def _integer(value: Any) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return value


def _boolean(value: Any) -> Any:
    if isinstance(value, str):
        return _BOOLEANS.get(value.strip().lower(), value)
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return value


def _text(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = parse_object(value.encode("utf-8", "surrogatepass"))
    return value if isinstance(found, Problem) else found


_AS: dict[type, Callable[[Any], Any]] = {
    int: _integer,
    float: _number,
    bool: _boolean,
    str: _text,
    dict: _object,
}


@cache
def _kinds(model: type[Row]) -> dict[str, tuple[type, bool]]:
    """Per field its kind (a time is text) and whether it is required."""
    return {
        name: (_kind(field.annotation), field.is_required())
        for name, field in model.model_fields.items()
    }


def _kind(annotation: Any) -> type:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _kind(next(arg for arg in get_args(annotation) if arg is not type(None)))
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return type(get_args(annotation)[0])
    kind = origin or annotation
    return kind if kind in _AS else str


def as_json(fields: Mapping[str, Any]) -> str:
    """The fields as one JSON line, as quarantine keeps them; never raises."""
    return json.dumps(fields, ensure_ascii=False, default=repr)
