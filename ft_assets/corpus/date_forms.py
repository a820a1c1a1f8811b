"""Dates as people write them: moved by days or cut to the year, in the form they were written in.

Read: numbers with -, / or . between them, names of months in English, German, French and Spanish,
eight digits, month and year, day and month, a year alone; a clock time behind stays. A date that
does not say whether day or month comes first is read month first with /, day first with . and -
(`day_first` settles it). Two figures of a year are 1950 to 2049. Without a day the 15th is taken,
without a month the first of July: there intervals hold to the month or year.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta

_MONTHS = (  # English, German, French, Spanish: each whole and short
    ("january", "jan", "januar", "jan", "janvier", "janv", "enero", "ene"),
    ("february", "feb", "februar", "feb", "fevrier", "fevr", "febrero", "feb"),
    ("march", "mar", "marz", "mrz", "mars", "mars", "marzo", "mar"),
    ("april", "apr", "april", "apr", "avril", "avr", "abril", "abr"),
    ("may", "may", "mai", "mai", "mai", "mai", "mayo", "may"),
    ("june", "jun", "juni", "jun", "juin", "juin", "junio", "jun"),
    ("july", "jul", "juli", "jul", "juillet", "juil", "julio", "jul"),
    ("august", "aug", "august", "aug", "aout", "aout", "agosto", "ago"),
    ("september", "sep", "september", "sep", "septembre", "sept", "septiembre", "sep"),
    ("october", "oct", "oktober", "okt", "octobre", "oct", "octubre", "oct"),
    ("november", "nov", "november", "nov", "novembre", "nov", "noviembre", "nov"),
    ("december", "dec", "dezember", "dez", "decembre", "dec", "diciembre", "dic"),
)
_WRITTEN = {"marz": "m\u00e4rz", "fevrier": "f\u00e9vrier", "fevr": "f\u00e9vr",
            "aout": "ao\u00fbt", "decembre": "d\u00e9cembre"}  # fmt: skip
# word -> (month, column); the first fits where two languages write alike
_PLACES: dict[str, list[tuple[int, int]]] = {
    "sept": [(9, 1)], "maerz": [(3, 2)], "fev": [(2, 5)], "januari": [(1, 2)],
}  # fmt: skip
for _month, _words in enumerate(_MONTHS, 1):
    for _column, _word in enumerate(_words):
        _PLACES.setdefault(_word, []).append((_month, _column))

_NAME = r"(?P<name>[^\W\d_]{3,12})"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_FORMS = [
    re.compile(form)
    for form in (
        r"(?P<year>\d{4})[-/. ] ?(?P<month>\d{1,2})[-/. ] ?(?P<day>\d{1,2})(?!\d)",
        r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)(?!\d)",
        r"(?P<a>\d{1,2}) ?(?P<sign>[-/. ]) ?(?P<b>\d{1,2}) ?[-/. ] ?(?P<year>\d{4}|\d{2})(?!\d)",
        rf"(?P<year>\d{{4}})[ -]{_NAME}[ -](?P<day>\d{{1,2}})(?!\d)",
        rf"(?P<day>\d{{1,2}})(?P<nth>st|nd|rd|th|er|\.|o|\u00ba)?[ /-]{{0,2}}(?:de |of |d')?"
        rf"{_NAME}\.?[ ,/-]{{1,2}}(?:de |del )?{_YEAR}(?!\d)",
        rf"{_NAME}\.?[ -]{{1,2}}(?P<day>\d{{1,2}})(?P<nth>st|nd|rd|th)?(?:, ?| |-)"
        r"(?P<year>\d{4})(?!\d)",
        rf"{_NAME}\.?,? (?:de |del |of |del a\u00f1o )?(?P<year>\d{{4}})(?!\d)",
        rf"{_NAME}\.?[-/](?P<year>\d{{4}}|\d{{2}})(?!\d)",
        rf"(?P<day>\d{{1,2}})(?P<nth>st|nd|rd|th|er|\.|\u00ba)? (?:de |of )?{_NAME}(?!\w)",
        rf"{_NAME}\.? (?P<day>\d{{1,2}})(?P<nth>st|nd|rd|th)?(?!\d)",
        r"(?P<month>\d{1,2}) ?[/-] ?(?P<year>\d{4}|\d{2})(?!\d)",
        r"(?P<year>\d{4})[/-](?P<month>\d{1,2})(?!\d)",
        r"(?P<year>(?:19|20)\d\d)(?!\d)",
    )
]
# Words that a date may begin with. Weekdays are none: they would tell by how much it was moved.
_ARTICLE = re.compile(
    r"(?:(?:the|on|in|since|el|del|de|en|desde|a\u00f1o|le|du|au|en|depuis|ann\u00e9e|"
    r"am|vom|den|dem|seit|im|jahr) ){1,2}",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?:[T ,]{1,2}(?:at |um |a |a las )?\d{1,2}:\d\d\S*.*)?", re.DOTALL)


@dataclass(frozen=True)
class WrittenDate:
    """A date, and where its parts stand in `text`. What it does not say is None."""

    text: str = field(repr=False)
    places: dict[str, tuple[int, int]]  # part of the date -> where it stands
    year: int | None = field(repr=False)
    month: int | None = field(repr=False)
    day: int | None = field(repr=False)

    @property
    def padded(self) -> bool:
        """Whether a single figure has a zero before it, as far as the text tells."""
        figures = [
            self.text[first:end]
            for name, (first, end) in self.places.items()
            if name in ("day", "month")
        ]
        if "name" in self.places:
            return any(figure.startswith("0") for figure in figures)
        return all(len(figure) == 2 for figure in figures)

    def moved(self, days: int) -> str:
        """The text with the date `days` later; a date without a year is taken from 2000."""
        missing_day = 15 if self.month else 1
        start = date(self.year or 2000, self.month or 7, self.day or missing_day)
        new = start + timedelta(days)
        parts, last = [], 0
        for name, (first, end) in sorted(self.places.items(), key=lambda place: place[1]):
            written = self.text[first:end]
            if name == "name":
                written = _month_name(self.text, written, start.month, new.month)
            else:
                written = _rewritten(name, written, new, self.padded)
            parts += [self.text[last:first], written]
            last = end
        return "".join([*parts, self.text[last:]])


def read_date(text: str, day_first: bool | None = None) -> WrittenDate | None:
    """None for what is no date that is known here, or none of the calendar."""
    article = _ARTICLE.match(text)
    for form in _FORMS:
        match = form.match(text, article.end() if article else 0)
        if match and _CLOCK.fullmatch(text, match.end()):
            found = _read(text, match, day_first)
            if found:
                return found
    return None


def _read(text: str, match: re.Match[str], day_first: bool | None) -> WrittenDate | None:
    parts = {name: value for name, value in match.groupdict().items() if value is not None}
    places = {name: match.span(name) for name in parts if name != "sign"}
    if "a" in parts:
        a, b = int(parts["a"]), int(parts["b"])
        first = day_first if day_first is not None else parts["sign"] != "/"
        first = a > 12 or (first and b <= 12)
        names = ("day", "month") if first else ("month", "day")
        places = {dict(zip("ab", names, strict=True)).get(n, n): s for n, s in places.items()}
        parts |= dict(zip(names, (parts["a"], parts["b"]), strict=True))
    month = int(parts["month"]) if "month" in parts else None
    if "name" in parts:
        known = _PLACES.get(_plain(parts["name"]))
        if known is None:
            return None
        month = known[0][0]
    year = int(parts["year"]) if "year" in parts else None
    if year is not None and len(parts["year"]) == 2:
        year += 2000 if year < 50 else 1900
    day = int(parts["day"]) if "day" in parts else None
    try:
        known_date = date(year if year is not None else 2000, month or 7, day or 1)
    except ValueError:
        return None
    in_reach = 2 <= known_date.year <= 9998  # a shift must not leave the calendar
    return WrittenDate(text, places, year, month, day) if in_reach else None


def _rewritten(part: str, written: str, new: date, padded: bool) -> str:
    if part == "year":
        return f"{new.year:04d}"[-len(written) :]
    if part == "nth":
        return _ordinal(written, new.day)
    number = new.day if part == "day" else new.month
    return f"{number:02d}" if padded else str(number)


# How the rest of a date tells the language of its month: "1er mai", "1. mai", "1 de mayo".
_SIGNS = (
    (re.compile(r"\b1er\b"), (4, 5)),
    (re.compile(r"\b\d+\. "), (2, 3)),
    (re.compile(r" del? "), (6, 7)),
)


def _month_name(text: str, written: str, old: int, new: int) -> str:
    columns = [column for month, column in _PLACES[_plain(written)] if month == old]
    told = next((columns_of for sign, columns_of in _SIGNS if sign.search(text)), ())
    column = next((column for column in columns if column in told), columns[0])
    name = _MONTHS[new - 1][column]
    name = _WRITTEN.get(name, name)
    if written.isupper():
        return name.upper()
    return name.capitalize() if written[0].isupper() else name


def _ordinal(written: str, day: int) -> str:
    if written.lower() in ("st", "nd", "rd", "th"):
        return {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day // 10 != 1 else 0, "th")
    return "" if written.lower() == "er" and day != 1 else written


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in decomposed if char.isalpha())
