"""Test cases of a domain, in a file that who knows the domain can edit: YAML, one entry a case.

    cases:
      - name: overdraft fee
        prompt: How much is the overdraft fee?
        judge: numeric
        expected: 12.50
        tolerance: 0.01

docs/evaluation.md shows every way to judge. A file with an error is refused whole, naming file,
case and key.
"""

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import re2
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
MAX_PATTERN_MEMORY = 8 << 20  # bytes of a compiled pattern


class CaseError(ValueError):
    """A file of cases does not say what it must."""


class _Case(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(min_length=1, max_length=120)]
    prompt: Text
    must_pass: bool = False  # a candidate that does not pass this case is refused


class ExactCase(_Case):
    judge: Literal["exact"]
    expected: Text  # compared in lower case, without punctuation and articles


class ContainsCase(_Case):
    judge: Literal["contains"]
    expected: Text | Annotated[list[Text], Field(min_length=1)]  # all of them, whatever the case


class RegexCase(_Case):
    judge: Literal["regex"]
    expected: Text  # RE2, found anywhere in the answer

    @model_validator(mode="after")
    def _compiles(self) -> "RegexCase":
        compiled_pattern(self.expected)
        return self


class NumericCase(_Case):
    judge: Literal["numeric"]
    expected: Annotated[float, Field(strict=False, allow_inf_nan=False)]
    tolerance: Annotated[float, Field(strict=False, ge=0, allow_inf_nan=False)] = 0.0  # absolute


class ChoiceCase(_Case):
    judge: Literal["choice"]
    expected: Text
    choices: Annotated[list[Text], Field(min_length=2, max_length=26)]

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "ChoiceCase":
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("choices: one is there twice")
        if self.expected not in self.choices:
            raise ValueError("expected: must be one of the choices, letter for letter")
        return self


class ModelCase(_Case):
    judge: Literal["model"]
    expected: Text  # what a good answer says, or how to tell one: read by the judge model


Case = ExactCase | ContainsCase | RegexCase | NumericCase | ChoiceCase | ModelCase
_CASE: TypeAdapter[Any] = TypeAdapter(Annotated[Case, Field(discriminator="judge")])
JUDGES = ("exact", "contains", "regex", "numeric", "choice", "model")


def compiled_pattern(pattern: str) -> Any:
    """Raises ValueError for a pattern RE2 does not know: look-around and back-references."""
    options = re2.Options()
    options.max_mem = MAX_PATTERN_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"expected: not an RE2 pattern: {error}") from None


def find_case_files(patterns: Iterable[str], root: Path) -> list[Path]:
    """Files of the globs, relative to `root`. Raises CaseError for one that finds nothing."""
    files: list[Path] = []
    for pattern in patterns:
        found = sorted(glob.glob(str(root / pattern), recursive=True))
        if not found:
            raise CaseError(f"cases: no file {pattern} below {root}")
        files += [Path(name) for name in found if Path(name) not in files]
    return files


def read_cases(files: Sequence[Path]) -> list[Case]:
    """The cases of all files, in order. Raises CaseError naming every wrong case and key."""
    cases: list[Case] = []
    wrong: list[str] = []
    seen: dict[str, Path] = {}
    for file in files:
        for place, entry in enumerate(_entries(file), start=1):
            name = entry.get("name") if isinstance(entry, dict) else None
            where = f"{file}: case {place}" + (f" ({name})" if isinstance(name, str) else "")
            try:
                case = _CASE.validate_python(entry)
            except ValidationError as error:
                wrong += [f"{where}: {_explain(problem)}" for problem in error.errors()]
                continue
            if case.name in seen:
                wrong.append(f"{where}: name: is in {seen[case.name]} already")
            seen.setdefault(case.name, file)
            cases.append(case)
    if wrong:
        raise CaseError("\n".join(wrong))
    return cases


def _entries(file: Path) -> list[Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        # The mark says line and column; its snippet would repeat text of the file.
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise CaseError(f"{file}: not YAML{line}: {problem}") from None
    except UnicodeDecodeError:
        raise CaseError(f"{file}: not UTF-8") from None
    entries = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(entries, list) or set(content) != {"cases"}:
        raise CaseError(f"{file}: expected one key, cases, with a list of cases")
    if not entries:
        raise CaseError(f"{file}: cases: there is none")
    return entries


def _explain(problem: Any) -> str:
    kind, loc = problem["type"], [str(part) for part in problem["loc"]]
    key = ".".join(part for part in loc if part not in JUDGES)
    if kind == "union_tag_not_found":
        return f"judge: is missing; one of {', '.join(JUDGES)}"
    if kind == "union_tag_invalid":
        return f"judge: one of {', '.join(JUDGES)}"
    if kind == "extra_forbidden":
        return f"{key}: unknown key for judge {loc[0]}"
    if kind == "missing":
        return f"{key}: is missing"
    message = re.sub(r"^Value error, ", "", problem["msg"])
    return f"{key}: {message}" if key else message
