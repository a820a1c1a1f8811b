"""What becomes of each type of personal data: operators, and the named policies that choose them.

Names are those of Presidio's anonymizer where it has the operator (replace, redact, mask, hash,
keep). DEFAULT stands for every type that is not named. docs/anonymization.md is the reference.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

DEFAULT = "DEFAULT"
# Equal to detector.TYPES, which a test holds: importing that would compile every pattern.
TYPES = frozenset(
    {"AGE", "CREDIT_CARD", "DATE", "EMAIL", "IBAN", "ID", "IP", "LOCATION", "ORG", "PERSON"}
    | {"PHONE", "SSN", "STREET_ADDRESS", "URL", "USERNAME", "ZIP"}
)


class _Operator(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def keyed(self) -> bool:
        """Whether it needs the key of the tenant."""
        return getattr(self, "reversible", False)


class Replace(_Operator):
    """A numbered placeholder, <EMAIL_1>, or `new_value`; a token of letters if reversible."""

    operator: Literal["replace"] = "replace"
    new_value: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    reversible: bool = False

    @model_validator(mode="after")
    def _can_be_reversed(self) -> "Replace":
        if self.reversible and self.new_value is not None:
            raise ValueError("new_value is the same for all values: it cannot be reversible")
        return self


class Redact(_Operator):
    """Nothing is left of it."""

    operator: Literal["redact"] = "redact"


class Mask(_Operator):
    """A character for each letter and digit; never more than half of them stay."""

    operator: Literal["mask"] = "mask"
    masking_char: Annotated[str, Field(pattern=r"^[^\w\s]$")] = "*"
    keep_last: Annotated[int, Field(ge=0, le=8)] = 0


class Hash(_Operator):
    """Hex digits of HMAC-SHA256 under the key of the tenant: equal for equal values."""

    operator: Literal["hash"] = "hash"
    length: Annotated[int, Field(ge=16, le=64)] = 32

    @property
    def keyed(self) -> bool:
        return True


class Pseudonymize(_Operator):
    """A surrogate of the same type (surrogates.py); dates are shifted."""

    operator: Literal["pseudonymize"] = "pseudonymize"
    reversible: bool = False

    @property
    def keyed(self) -> bool:
        return True


class ShiftDates(_Operator):
    """The same number of days for all dates of a subject, 1 to 365, earlier or later."""

    operator: Literal["shift_dates"] = "shift_dates"
    day_first: bool | None = None  # of 1/2/1980; null: month first with /, day first with . and -

    @property
    def keyed(self) -> bool:
        return True


class Generalise(_Operator):
    """Dates to the year, ages over 89 to 90+, ZIP codes to three digits (45 CFR 164.514(b)(2)).

    Years that tell an age over 89 become "1936 or earlier": those 90 years before the row, or
    before `oldest_year` for rows without a time.
    """

    operator: Literal["generalise"] = "generalise"
    oldest_year: Annotated[int, Field(ge=1900, le=2100)] = 1936


class Keep(_Operator):
    """Stays as it is and is not searched for."""

    operator: Literal["keep"] = "keep"


def _written_out(value: Any) -> Any:
    return {"operator": value} if isinstance(value, str) else value


def _known_type(name: str) -> str:
    if name not in TYPES and name != DEFAULT:
        allowed = ", ".join(sorted(TYPES))
        raise ValueError(f"unknown type {name!r}; allowed: {DEFAULT}, {allowed}")
    return name


Operator = Annotated[
    Annotated[
        Replace | Redact | Mask | Hash | Pseudonymize | ShiftDates | Generalise | Keep,
        Field(discriminator="operator"),
    ],
    BeforeValidator(_written_out),  # "redact" for { operator: redact }
]
OPERATORS: dict[str, type[BaseModel]] = {
    "replace": Replace,
    "redact": Redact,
    "mask": Mask,
    "hash": Hash,
    "pseudonymize": Pseudonymize,
    "shift_dates": ShiftDates,
    "generalise": Generalise,
    "keep": Keep,
}
AnyOperator = Replace | Redact | Mask | Hash | Pseudonymize | ShiftDates | Generalise | Keep
TypeName = Annotated[str, AfterValidator(_known_type)]
Operators = dict[TypeName, Operator]

POLICIES: dict[str, Mapping[str, AnyOperator]] = {
    "placeholders": {
        DEFAULT: Replace(),
        # An age below 90 identifies nobody and medicine cannot do without it; places and
        # organisations alone name no person.
        **{kind: Keep() for kind in ("AGE", "LOCATION", "ORG")},
    },
    "hipaa_safe_harbor": {
        DEFAULT: Replace(),
        **{kind: Generalise() for kind in ("DATE", "AGE", "ZIP")},
    },
    "gdpr_pseudonymized": {
        DEFAULT: Pseudonymize(reversible=True),
        "DATE": ShiftDates(),
        "AGE": Generalise(),
    },
}

_FITS: dict[str, frozenset[str]] = {
    "pseudonymize": TYPES - {"AGE"},
    "shift_dates": frozenset({"DATE"}),
    "generalise": frozenset({"DATE", "AGE", "ZIP"}),
}


class PolicyError(ValueError):
    """Operators do not fit; the message names type, operator and what is allowed."""


def resolve(
    policy: str,
    policies: Mapping[str, Mapping[str, AnyOperator]],
    *overriding: Mapping[str, AnyOperator],
) -> dict[str, AnyOperator]:
    """The operator of every type: of the policy, then of what overrides it, the last one wins.

    A policy of one's own that leaves types out is laid over `placeholders`. Raises PolicyError.
    """
    known = {**POLICIES, **policies}
    if policy not in known:
        raise PolicyError(f"unknown policy {policy!r}; allowed: {', '.join(sorted(known))}")
    chosen: dict[str, AnyOperator] = {**POLICIES["placeholders"]}
    for operators in (known[policy], *overriding):
        if DEFAULT in operators:
            chosen = {} if operators is known[policy] else chosen
        chosen |= operators
    found = {kind: chosen.get(kind, chosen[DEFAULT]) for kind in sorted(TYPES)}
    for kind, operator in found.items():
        fits = _FITS.get(operator.operator, TYPES)
        if kind not in fits:
            allowed = [name for name in OPERATORS if kind in _FITS.get(name, TYPES)]
            raise PolicyError(
                f"{kind}: {operator.operator!r} does not fit; allowed: {', '.join(allowed)}"
            )
    return found
