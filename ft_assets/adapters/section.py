"""Typed sections of a recipe: frozen dataclasses whose fields carry what they allow.

    @dataclass(frozen=True)
    class Preference(Section):
        beta: float = number(0.1, 1e-3, 100)
        loss: str = choice("sigmoid", "ipo")

A section checks itself when it is made. A recipe names it once, as
`preference: Preference | None = section(Preference)`.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self


def number(default: float, low: float, high: float) -> Any:
    """A field from `low` to `high`, both allowed; a whole number if `default` is an int."""
    return field(default=default, metadata={"bounds": (low, high)})


def choice(default: str, *others: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


def flag(default: bool) -> Any:
    return field(default=default, metadata={"choices": (default, not default)})


def section(kind: "type[Section]") -> Any:
    """A field that holds a section, or nothing when the recipe does not name it."""
    return field(default=None, metadata={"section": kind})


@dataclass(frozen=True)
class Section:
    def __post_init__(self) -> None:
        for one in fields(self):
            _check(one.name, getattr(self, one.name), type(one.default), one.metadata)

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON has them, without the sections that are not named."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Return the section with these values, the rest by default.

        Raises ValueError naming key, value and what is allowed; a key of a section inside is named
        with its section, `privacy.epsilon`.
        """
        known = {one.name: one for one in fields(cls)}
        given = {}
        for key, value in values.items():
            if key not in known:
                raise ValueError(
                    f"{key}: unknown key (value {value!r}); allowed: {', '.join(known)}"
                )
            inner = known[key].metadata.get("section")
            if inner is not None and isinstance(value, dict):
                try:
                    given[key] = inner.of(value)
                except ValueError as error:
                    raise ValueError(f"{key}.{error}") from None
            elif isinstance(value, list):
                given[key] = tuple(value)
            else:
                given[key] = _read(value, type(known[key].default))
        return cls(**given)


def _read(value: Any, kind: type) -> Any:
    # YAML 1.1 reads 2e-4 as text: a number needs a dot there (2.0e-4).
    if kind is float and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _check(key: str, value: Any, kind: type, allowed: Any) -> None:
    if "bounds" in allowed:
        low, high = allowed["bounds"]
        numbers = int if kind is int else int | float
        # bool is an int in Python; NaN fails every comparison.
        if isinstance(value, bool) or not isinstance(value, numbers) or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{key}: got {value!r}; allowed: {what} from {low:g} to {high:g}")
    elif "choices" in allowed:
        if not any(type(value) is type(c) and value == c for c in allowed["choices"]):
            shown = ", ".join(str(c).lower() if kind is bool else c for c in allowed["choices"])
            raise ValueError(f"{key}: got {value!r}; allowed: {shown}")
    elif value is not None and "section" in allowed and not isinstance(value, allowed["section"]):
        raise ValueError(f"{key}: got {value!r}; allowed: keys and values")
