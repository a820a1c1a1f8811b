"""Suites of expectations as YAML: what must hold of an asset's data, and what is unusual.

An entry names one expectation of Great Expectations with its arguments, and may add:

    severity: critical | warning   critical blocks the merge and is the default; warning is shown
    usual: {within: 50%}           the limits come from earlier weeks: at least so far from their
                                   median, further where the weeks differ more (usual.py)
    since_last: {fall: 50%}        not so much less than in the last version
    if_present: true               not judged where the column is not there
    fixed: true                    a domain may not change or remove it
    name: ...                      tells two expectations of one kind and column apart
    note: ...                      why; shown on the page

A list of columns stands for an expectation for each. `{$PARAMETER: name}` is a number that the
platform knows (PARAMETERS). A domain adds to a suite, or replaces an expectation of it, with files
of the same form: see `extend`.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from ft_assets.expectations.known import COMPARABLE, EXPECTATIONS, KL_DIVERGENCE, MIX_COLUMNS

SUITES = Path(__file__).parent / "suites"
PARAMETER = "$PARAMETER"
PARAMETERS = ("min_rows",)
MARKS = ("severity", "usual", "since_last", "if_present", "fixed", "name", "note")


class SuiteError(ValueError):
    """A suite does not say what it must; the message names the file and the entry."""


class Severity(StrEnum):
    CRITICAL = "critical"  # Great Expectations' own words
    WARNING = "warning"


class Reference(StrEnum):
    WEEKS = "earlier weeks"
    LAST = "the last version"


@dataclass(frozen=True)
class Usual:
    """Where the limits come from, and how near the usual value they may lie at most."""

    reference: Reference
    within: float
    relative: bool = False  # within is a share of the usual value
    falls_only: bool = False


@dataclass(frozen=True)
class Expectation:
    """One expectation by Great Expectations' name, such as "expect_column_values_to_be_unique"."""

    type: str
    column: str | None = None  # None: about the table, or about several columns
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = Severity.CRITICAL
    usual: Usual | None = None
    if_present: bool = False
    fixed: bool = False
    name: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """What a domain calls it by."""
        columns = ",".join(self.columns)
        return self.name or (f"{self.type}({columns})" if columns else self.type)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs."""
        if self.column is not None:
            return (self.column,)
        pair = [self.arguments[name] for name in ("column_A", "column_B") if name in self.arguments]
        of_table = self.type.startswith("expect_table_")
        return tuple(pair or (() if of_table else self.arguments.get("column_list", ())))


@dataclass(frozen=True)
class Suite:
    name: str
    expectations: Sequence[Expectation]


def suite_names() -> list[str]:
    return sorted(file.stem for file in SUITES.glob("*.yaml"))


@functools.cache
def load_suite(name: str) -> Suite:
    """The platform's own suite of an asset."""
    file = SUITES / f"{name}.yaml"
    if not file.is_file():
        raise SuiteError(f"no suite {name!r}; there are: {', '.join(suite_names())}")
    return read_suite(_content(file), file.name)


def read_suite(content: object, place: str) -> Suite:
    """Raises SuiteError, naming place, entry and what is allowed."""
    suite, entries = _head(content, place)
    found = [e for number, entry in enumerate(entries) for e in _read(entry, f"{place}: {number}")]
    keys = [expectation.key for expectation in found]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise SuiteError(f"{place}: {twice[0]} is there twice; give one of them a name")
    return Suite(suite, found)


def extend(suite: Suite, content: object, place: str) -> Suite:
    """Add what a domain asks for. An expectation of the same kind and column, or of the same name,
    takes the place of the suite's; `remove: key` takes one away. A fixed one stays as it is.
    """
    _, entries = _head(content, place)
    expectations = {expectation.key: expectation for expectation in suite.expectations}
    for number, entry in enumerate(entries):
        at = f"{place}: {number}"
        if isinstance(entry, dict) and set(entry) == {"remove"}:
            key = str(entry["remove"])
            if key not in expectations:
                raise SuiteError(f"{at}.remove: no {key!r}; there are: {', '.join(expectations)}")
            _changeable(expectations.pop(key), at)
            continue
        for expectation in _read(entry, at):
            _changeable(expectations.get(expectation.key), at)
            expectations[expectation.key] = expectation
    return replace(suite, expectations=list(expectations.values()))


def domain_suite(name: str, own: Iterable[str | Mapping[str, Any]], root: Path) -> Suite:
    """The suite of an asset with a domain's own: paths or globs below root, or inline."""
    suite = load_suite(name)
    for content, place in _own(own, root):
        if _head(content, place)[0] == name:
            suite = extend(suite, content, place)
    return suite


def check_own(own: Iterable[str | Mapping[str, Any]], root: Path) -> None:
    """Raises SuiteError for the first thing that is wrong with a domain's own expectations."""
    for content, place in _own(own, root):
        name, _ = _head(content, place)
        if name not in suite_names():
            raise SuiteError(f"{place}: suite {name!r}; there are: {', '.join(suite_names())}")
        extend(load_suite(name), content, place)


def _own(own: Iterable[str | Mapping[str, Any]], root: Path) -> Iterable[tuple[object, str]]:
    for number, item in enumerate(own):
        if not isinstance(item, str):
            yield item, f"inline {number}"
            continue
        files = sorted(root.glob(item)) if not Path(item).is_absolute() else [Path(item)]
        if not files:
            raise SuiteError(f"no file {item!r} below {root}")
        for file in files:
            yield _content(file), str(file.relative_to(root) if root in file.parents else file)


def _content(file: Path) -> object:
    try:
        return yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise SuiteError(f"{file.name}: not YAML: {error}") from None
    except OSError as error:
        raise SuiteError(f"{file}: cannot be read: {error.strerror}") from None


def _head(content: object, place: str) -> tuple[str, list[object]]:
    if not isinstance(content, Mapping):
        raise SuiteError(f"{place}: expected keys and values, got {type(content).__name__}")
    if unknown := sorted(set(map(str, content)) - {"suite", "expectations"}):
        raise SuiteError(f"{place}: {unknown[0]}: unknown key; allowed: suite, expectations")
    suite, entries = content.get("suite"), content.get("expectations")
    if not isinstance(suite, str):
        raise SuiteError(f"{place}: suite: must name one of {', '.join(suite_names())}")
    if not isinstance(entries, list):
        raise SuiteError(f"{place}: expectations: must be a list")
    return suite, entries


def _read(entry: object, at: str) -> list[Expectation]:
    """The expectations of one entry: one, or one for each column of a list."""
    if not isinstance(entry, dict):
        raise SuiteError(f"{at}: expected an expectation, got {type(entry).__name__}")
    kinds = [str(key) for key in entry if key not in MARKS]
    if len(kinds) != 1:
        raise SuiteError(
            f"{at}: one expectation and these keys are allowed: {', '.join(MARKS)}; "
            f"got {', '.join(kinds) or 'no expectation'}"
        )
    [kind] = kinds
    if kind not in EXPECTATIONS:
        raise SuiteError(f"{at}: {kind!r} is unknown; allowed: {', '.join(EXPECTATIONS)}")
    arguments, allowed = entry[kind] or {}, EXPECTATIONS[kind]
    if not isinstance(arguments, dict):
        raise SuiteError(f"{at}.{kind}: expected arguments, got {type(arguments).__name__}")
    for name in arguments:
        if name not in allowed:
            raise SuiteError(f"{at}.{kind}.{name}: unknown; allowed: {', '.join(allowed)}")
    lacking = [n for n in ("column", "column_A", "column_B") if n in allowed and n not in arguments]
    if lacking:
        raise SuiteError(f"{at}.{kind}: lacks {', '.join(lacking)}")
    for name, value in arguments.items():
        _check_parameter(value, f"{at}.{kind}.{name}")
    columns = arguments.get("column")
    rest = {name: value for name, value in arguments.items() if name != "column"}
    marks = _marks(entry, kind, f"{at}.{kind}")
    several = columns if isinstance(columns, list) else [columns]
    for column in several:
        if kind == KL_DIVERGENCE and marks["usual"] and column not in MIX_COLUMNS:
            raise SuiteError(
                f"{at}.{kind}.column: a mix is kept with its values; allowed: "
                f"{', '.join(MIX_COLUMNS)}; got {column!r}"
            )
    return [Expectation(kind, column, rest, **marks) for column in several]


def _marks(entry: Mapping[str, Any], kind: str, at: str) -> dict[str, Any]:
    usual = _usual(entry, kind, at)
    severity = entry.get("severity", Severity.WARNING if usual else Severity.CRITICAL)
    if severity not in list(Severity):
        raise SuiteError(f"{at}.severity: allowed: {', '.join(Severity)}; got {severity!r}")
    flags = {name: entry.get(name, False) for name in ("if_present", "fixed")}
    texts = {name: entry.get(name, "") for name in ("name", "note")}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise SuiteError(f"{at}.{name}: must be true or false, got {value!r}")
    for name, value in texts.items():
        if not isinstance(value, str):
            raise SuiteError(f"{at}.{name}: must be a text, got {value!r}")
    return {"severity": Severity(severity), "usual": usual, **flags, **texts}


def _usual(entry: Mapping[str, Any], kind: str, at: str) -> Usual | None:
    given = [name for name in ("usual", "since_last") if name in entry]
    if not given:
        return None
    if len(given) == 2:
        raise SuiteError(f"{at}: usual or since_last, not both")
    [name] = given
    if kind not in COMPARABLE:
        raise SuiteError(f"{at}.{name}: only with {', '.join(COMPARABLE)}")
    if name == "since_last" and kind == KL_DIVERGENCE:
        raise SuiteError(f"{at}.since_last: not with a mix; use usual")
    option, content = ("within" if name == "usual" else "fall"), entry[name]
    if not isinstance(content, dict) or set(content) != {option}:
        raise SuiteError(f"{at}.{name}: must be {{{option}: 0.1}} or {{{option}: 50%}}")
    amount, relative = _amount(content[option], f"{at}.{name}.{option}")
    if name == "usual":
        return Usual(Reference.WEEKS, amount, relative)
    return Usual(Reference.LAST, amount, relative, falls_only=True)


def _amount(value: object, at: str) -> tuple[float, bool]:
    """(0.5, True) of "50%", (0.5, False) of 0.5."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value)):
        amount, relative = float(match[1]) / 100, True
    elif isinstance(value, int | float) and not isinstance(value, bool):
        amount, relative = float(value), False
    else:
        raise SuiteError(f"{at}: must be a number or a percentage, got {value!r}")
    if not 0 < amount < float("inf"):
        raise SuiteError(f"{at}: must be more than 0, got {value!r}")
    return amount, relative


def _check_parameter(value: object, at: str) -> None:
    if isinstance(value, dict) and PARAMETER in value and value[PARAMETER] not in PARAMETERS:
        raise SuiteError(
            f"{at}.{PARAMETER}: allowed: {', '.join(PARAMETERS)}; got {value[PARAMETER]!r}"
        )


def _changeable(expectation: Expectation | None, at: str) -> None:
    if expectation is not None and expectation.fixed:
        raise SuiteError(f"{at}: {expectation.key} is fixed; a domain may not change it")
