"""Put in the place of each masked value what its operator makes of it.

Masking (redact.py) leaves numbered placeholders; this writes the text with surrogates, hashes,
years ... in their stead. What is left over is counted in the text with placeholders, so nothing
that was put in is taken for a leak, and nothing that was left is hidden by it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ft_assets.corpus.date_forms import read_date
from ft_assets.corpus.persons import Mention, People, Person, parse
from ft_assets.corpus.policy import (
    AnyOperator,
    Generalise,
    Hash,
    Keep,
    Mask,
    Pseudonymize,
    Redact,
    Replace,
    ShiftDates,
    resolve,
)
from ft_assets.corpus.redact import Masked, Replaced, normalised
from ft_assets.corpus.surrogates import Surrogates

_CONSONANTS = "bcdfghjkmnpqrstvwxz"  # no word, no number: no pattern finds a token
_LETTERS_OF_A_TOKEN = 20  # 19 ** 20 is about 2 ** 85
# Three digits of ZIP codes in which fewer than 20 000 people live: the Department of Health's
# guidance on 45 CFR 164.514(b)(2)(i)(B), after the census of 2000.
SMALL_ZIP_AREAS = frozenset(
    "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893".split()  # noqa: SIM905
)
_AGE = re.compile(r"\d{1,3}")
_OLDEST_AGE = 89


@dataclass(frozen=True)
class Owner:
    """Whose row a text is of."""

    subjects: tuple[str, ...]  # names of vault subjects, whose keys its originals are kept under
    shift_by: str  # dates of one of these move together
    year: int | None = None  # in which the row was written


@dataclass(frozen=True)
class Original:
    """What stands behind a token or surrogate of a text, to be kept in the vault."""

    token: str
    type: str
    value: str = field(repr=False)
    subjects: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Rendered:
    text: str
    counts: Counter[tuple[str, str]]  # (type, operator) -> values replaced
    originals: list[Original] = field(repr=False)


class DomainOperators:
    """The operators of a domain. `surrogates` may be None where none of them needs a key."""

    def __init__(self, by_type: Mapping[str, AnyOperator], surrogates: Surrogates | None) -> None:
        self._by_type = by_type
        self._surrogates = surrogates
        self.types = frozenset(t for t, each in by_type.items() if not isinstance(each, Keep))
        keyed = sorted(kind for kind, each in by_type.items() if each.keyed)
        if keyed and surrogates is None:
            raise ValueError(f"the operators of {', '.join(keyed)} need the key of the tenant")

    def render(self, document: Sequence[tuple[Masked, Owner]]) -> list[Rendered]:
        """The texts of one document or conversation, in order: persons are known through all."""
        people = People()
        if self._by_type["PERSON"].keyed:
            for masked, _ in document:
                for each in masked.replaced:
                    if each.type == "PERSON":
                        people.learn(parse(each.value))
        return [self._render(masked, owner, people) for masked, owner in document]

    def _render(self, masked: Masked, owner: Owner, people: People) -> Rendered:
        if not masked.replaced:
            return Rendered(masked.text, Counter(), [])
        parts, last, originals = [], 0, []
        counts: Counter[tuple[str, str]] = Counter()
        for each in masked.replaced:
            operator = self._by_type[each.type]
            counts[each.type, operator.operator] += 1
            placeholder = masked.text[each.start : each.end]
            new = self._applied(operator, each, placeholder, owner, people)
            if isinstance(operator, Replace | Pseudonymize) and operator.reversible:
                originals.append(Original(new, each.type, each.value, owner.subjects))
            parts += [masked.text[last : each.start], new]
            last = each.end
        return Rendered("".join([*parts, masked.text[last:]]), counts, originals)

    def _applied(
        self, operator: AnyOperator, each: Replaced, placeholder: str, owner: Owner, people: People
    ) -> str:
        match operator:
            case Replace(reversible=True):
                return f"<{each.type}_{self._token(each, people)}>"
            case Replace():
                return operator.new_value or placeholder
            case Redact():
                return ""
            case Mask():
                return masked_but_last(each.value, operator.masking_char, operator.keep_last)
            case Hash():
                identity = _identity(each, people)
                return self._keyed.digest(f"hash {each.type}", identity).hex()[: operator.length]
            case Pseudonymize():
                if each.type == "DATE":
                    return self._shifted(each.value, None, owner) or placeholder
                if each.type == "PERSON":
                    return self._keyed.person(*_person(each.value, people))
                return self._keyed.of(each.type, each.value)
            case ShiftDates():
                return self._shifted(each.value, operator.day_first, owner) or placeholder
            case Generalise():
                return generalised(each.type, each.value, operator, owner.year) or placeholder
        return placeholder

    @property
    def _keyed(self) -> Surrogates:
        if self._surrogates is None:
            raise ValueError("an operator needs the key of the tenant")
        return self._surrogates

    def _token(self, each: Replaced, people: People) -> str:
        return self._keyed.letters(
            f"token {each.type}", _identity(each, people), _CONSONANTS, _LETTERS_OF_A_TOKEN
        )

    def _shifted(self, value: str, day_first: bool | None, owner: Owner) -> str | None:
        """None for a date that cannot be read."""
        written = read_date(value, day_first)
        return written.moved(self._keyed.shift_days(owner.shift_by)) if written else None


PLACEHOLDERS = DomainOperators(resolve("placeholders", {}), None)


def masked_but_last(value: str, char: str, keep_last: int) -> str:
    places = [place for place, letter in enumerate(value) if letter.isalnum()]
    kept = set(places[len(places) - min(keep_last, len(places) // 2) :])
    return "".join(
        char if letter.isalnum() and place not in kept else letter
        for place, letter in enumerate(value)
    )


def generalised(kind: str, value: str, operator: Generalise, year: int | None) -> str | None:
    """None for what cannot be read: then a placeholder stays."""
    if kind == "AGE":
        over = [match for match in _AGE.finditer(value) if int(match[0]) > _OLDEST_AGE]
        if not _AGE.search(value):
            return None
        for match in reversed(over):
            value = f"{value[: match.start()]}90+{value[match.end() :]}"
        return value
    if kind == "ZIP":
        digits = "".join(char for char in value if char.isalnum())
        if not digits.isascii() or not digits.isdigit() or len(digits) not in (5, 9):
            return None
        return "000" if digits[:3] in SMALL_ZIP_AREAS else digits[:3]
    written = read_date(value)
    if written is None or written.year is None:
        return None
    oldest = max(operator.oldest_year, (year or 0) - _OLDEST_AGE - 1)
    return f"{oldest} or earlier" if written.year <= oldest else str(written.year)


def _person(value: str, people: People) -> tuple[Mention, Person]:
    mention = parse(value)
    return mention, people.resolve(mention)


def _identity(each: Replaced, people: People) -> str:
    """What the spellings of one value have in common."""
    if each.type != "PERSON":
        return normalised(each.type, each.value)
    person = _person(each.value, people)[1]
    return f"{person.given} {person.family}".strip() or normalised(each.type, each.value)
