"""Identifiers in tables: a header line names the column, the rows below hold the values.

Read: comma, semicolon, tab and pipe separated lines (CSV, Markdown) and the two lists of an SQL
INSERT. A header counts when one of its cells is a known name; a row belongs to it while it has the
same number of cells. Quoted cells may hold the separator.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from ft_assets.corpus import vocabulary as words

_COLUMNS = (
    (
        "ID",
        r"mrn|medical_?record\w*|patient_?(?:id|no|number)|passport\w*|licen[cs]e\w*|"
        r"plate|vin|acct\w*|"
        r"account(?:_?(?:no|number|id|num))?|policy\w*|member_?(?:id|no|number)|"
        r"insurance_?(?:id|no|number)|"
        r"tax_?id|national_?id|nhs\w*|nhc|nass|dni|nie|nif|kontonummer|kundennummer|"
        r"personalnummer|"
        r"versicherten\w*|steuer\w*|numero_?client|numero_?dossier|poliza|expediente|"
        r"health_?plan\w*|"
        r"device_?id|serial\w*|imei|mac(?:_?addr\w*)?|employee_?(?:id|no)|badge\w*|"
        r"case_?(?:no|number)",
    ),
    ("SSN", r"ssn|social_?security\w*|sin"),
    (
        "PHONE",
        r"(?:\w+_)?(?:phone|tel|telephone|telefon|telefono|mobile|mobil|movil|cell|fax|"
        r"handy|portable)"
        r"(?:_?(?:no|nr|number|num))?|phone_?\w*|msisdn",
    ),
    ("EMAIL", r"e_?mail\w*|mail|correo\w*"),
    (
        "DATE",
        r"dob|birth\w*|date_?of_?birth|birth_?date|geburts\w*|geb_?datum|fecha_?nac\w*|"
        r"date_?naissance|"
        r"naissance|bday",
    ),
    ("USERNAME", r"user_?name|login|user|usr|uname|nick\w*|handle|benutzer\w*|usuario|utilisateur"),
    ("ZIP", r"zip\w*|postal\w*|post_?code|plz|cp|code_?postal|codigo_?postal"),
    (
        "STREET_ADDRESS",
        r"(?:street|home|postal|mailing|billing|shipping)?_?(?:address|addr)\w*|street|"
        r"strasse|"
        r"anschrift|adresse|direccion|domicilio|rue|calle",
    ),
    ("AGE", r"age|alter|edad"),
    ("CREDIT_CARD", r"cc_?(?:no|number|num)|card_?(?:no|number|num)|credit_?card\w*|pan"),
    ("IP", r"ip|ip_?addr\w*|client_?ip|remote_?ip"),
)
_BY_WORD = (
    ("ID", rf"(?:{words.ID_STRONG}|{words.ID_ACRONYM})s?(?:[ _-]?{words.NUMBER})?"),
    ("INTERNAL", words.ID_INTERNAL),
    ("DATE", rf"(?:(?:data|date|datum|fecha)[ _](?:de |di |da |of )?)?(?:{words.BIRTH})"),
    ("USERNAME", words.USERNAME),
)
_BY_NAME = [(kind, re.compile(names, re.IGNORECASE)) for kind, names in (*_COLUMNS, *_BY_WORD)]
# A header cell anywhere: without one nothing here needs to look.
_NAMES = "|".join(f"(?:{names})" for _, names in (*_COLUMNS, *_BY_WORD)).replace("_?", "[ _-]?")
TRIGGER = rf"""(?i)(?:^|[\n,;\t|(]) {{0,2}}["'`]?(?:{_NAMES})["'`]? {{0,2}}(?:[,;\t|)\r\n]|$)"""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ .#/()-]{0,40}")
_MAX_LINE = 4000  # characters; longer lines are not tables of records
_INSERT = re.compile(r"\(([^()\n]{3,1000})\)\s{0,3}values\s{0,3}", re.IGNORECASE)
_CELL = re.compile(r"'(?:[^'\\\n]|''|\\.){0,400}'|\"[^\"\n]{0,400}\"|[^,()'\"\n]{1,400}")

_TYPE = {"INTERNAL": "ID"}

Cell = tuple[int, int]


def find_in_columns(shadow: str) -> Iterator[tuple[int, int, str]]:
    if "," in shadow or ";" in shadow or "\t" in shadow or "|" in shadow:
        if "\n" in shadow:
            yield from _tables(shadow)
        if "values" in shadow.lower():
            yield from _inserts(shadow)


def _tables(shadow: str) -> Iterator[tuple[int, int, str]]:
    separator, kinds, start = "", [], 0
    for line in shadow.splitlines(keepends=True):
        end = start + len(line.rstrip("\r\n"))
        if end - start > _MAX_LINE or end == start:
            kinds = []
        else:
            cells = _split(shadow, start, end, separator) if kinds else []
            if kinds and len(cells) == len(kinds):
                for cell, kind in zip(cells, kinds, strict=True):
                    if kind and _is_value(kind, shadow[cell[0] : cell[1]]):
                        yield *cell, _TYPE.get(kind, kind)
            else:
                separator, kinds = _header(shadow, start, end)
        start += len(line)


def _header(shadow: str, start: int, end: int) -> tuple[str, list[str]]:
    """The separator and the type of each column, "" for the others; no types: not a header."""
    line = shadow[start:end]
    if any(char in line for char in ".!?") or sum(char.isdigit() for char in line) > 4:
        return "", []
    separator = max(",;\t|", key=line.count)
    if not line.count(separator):
        return "", []
    cells = _split(shadow, start, end, separator)
    names = [shadow[a:b] for a, b in cells]
    if len(names) < 2 or not all(_NAME.fullmatch(name) for name in names if name):
        return "", []
    # A row of lower-case or capitalised names, not a sentence with a comma.
    if max(len(name.split()) for name in names) > 3:
        return "", []
    kinds = [_kind(name) for name in names]
    return (separator, kinds) if any(kinds) else ("", [])


@lru_cache(4096)  # the statements of a log name the same columns
def _kind(name: str) -> str:
    key = re.sub(r"[ .#/()-]+", "_", name.strip()).strip("_")
    spaced = key.replace("_", " ")
    found = (kind for kind, names in _BY_NAME if names.fullmatch(key) or names.fullmatch(spaced))
    return next(found, "")


def _split(shadow: str, start: int, end: int, separator: str) -> list[Cell]:
    cells, quote, cell = [], "", start
    for place in range(start, end):
        char = shadow[place]
        if quote:
            quote = "" if char == quote else quote
        elif char == '"' and not shadow[cell:place].strip():
            quote = char
        elif char == separator:
            cells.append((cell, place))
            cell = place + 1
    cells.append((cell, end))
    if separator == "|":  # outer pipes of Markdown
        cells = [
            c for i, c in enumerate(cells) if 0 < i < len(cells) - 1 or shadow[c[0] : c[1]].strip()
        ]
    return [_trim(shadow, *c) for c in cells]


def _trim(shadow: str, start: int, end: int) -> Cell:
    while start < end and shadow[start] in " \t\"'":
        start += 1
    while end > start and shadow[end - 1] in " \t\"'":
        end -= 1
    return start, end


def _is_value(kind: str, value: str) -> bool:
    if value.lower() in ("", "null", "none", "n/a", "nan", "-") or set(value) <= set("-: "):
        return False
    if kind == "INTERNAL":  # row numbers of a database are nobody's
        return sum(char.isdigit() for char in value) >= (6 if value.isdigit() else 3)
    if kind in ("USERNAME", "STREET_ADDRESS"):
        return True
    if kind == "EMAIL":
        return "@" in value
    return sum(char.isdigit() for char in value) >= (1 if kind == "AGE" else 4)


def _inserts(shadow: str) -> Iterator[tuple[int, int, str]]:
    for insert in _INSERT.finditer(shadow):
        kinds = [_kind(name.strip(" `\"'[]")) for name in insert[1].split(",")]
        if not any(kinds):
            continue
        place = insert.end()
        while shadow[place : place + 1] == "(":
            close, cells = _values(shadow, place + 1)
            if len(cells) == len(kinds):
                for cell, kind in zip(cells, kinds, strict=True):
                    if kind and _is_value(kind, shadow[cell[0] : cell[1]]):
                        yield *cell, _TYPE.get(kind, kind)
            place = close
            while shadow[place : place + 1] and shadow[place] in ", \r\n\t":
                place += 1


def _values(shadow: str, place: int) -> tuple[int, list[Cell]]:
    """The cells up to the closing bracket and where the next character is."""
    cells: list[Cell] = []
    limit = place + _MAX_LINE
    while place < min(limit, len(shadow)):
        if shadow[place] == ")":
            return place + 1, cells
        cell = _CELL.match(shadow, place)
        if not cell or cell.end() == place:
            place += 1
            continue
        if cell[0].strip():
            cells.append(_trim(shadow, *cell.span()))
        place = cell.end()
    return place, cells
