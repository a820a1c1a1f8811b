"""Dates that words tie to a person, and ages."""

import re

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import (
    EDGE,
    Before,
    Family,
    Found,
    Rule,
    as_it_is,
    card_near,
    digits_in,
)

_YEAR = r"(?:19|20)[0-9]{2}"
_DATE = (
    rf"(?i)\b(?:{_YEAR}[-/.] ?[0-9]{{1,2}}[-/.] ?[0-9]{{1,2}}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    rf"|{_YEAR}[ -](?:{words.MONTH})[ -][0-9]{{1,2}}"
    rf"|[0-9]{{1,2}}[ ]?[/.-][ ]?[0-9]{{1,2}}[ ]?[/.-][ ]?(?:{_YEAR}|[0-9]{{2}})"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|er|\.|o)?[ -/]{{1,2}}(?:de |of |"
    rf"d')?(?:{words.MONTH})[ -/,]{{1,2}}(?:de |del )?(?:{_YEAR}|[0-9]{{2}}\b)"
    rf"|(?:{words.MONTH})[ -]{{1,2}}[0-9]{{1,2}}(?:st|nd|rd|th)?(?:,[ ]?|[ ]|-){_YEAR}"
    rf"|(?:{words.MONTH}),?[ ](?:de |del |of )?{_YEAR})\b"
)
_DATE_TRIGGER = (
    rf"(?i)[0-9] ?[-/.] ?[0-9]{{1,2}} ?[-/.] ?[0-9]|[a-z.,] (?:de |del |of )?{_YEAR}|"
    rf"[a-z.]-[0-9]{{2}}|[a-z./]/[0-9]{{2}}|(?:{words.MONTH})[ -/,]{{1,2}}(?:de |"
    rf"del )?[0-9]{{2}}"
)
_DATE_COMPACT = rf"\b{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\b"
_personal_date = Before(
    rf"(?:(?:^|[^a-z])(?:{words.PERSONAL_DATE})|\x05)(?:[^a-z\d][^\d\n]{{0,30}}|\n)?", size=50
)
_birth = Before(rf"(?:(?:^|[^a-z])(?:{words.BIRTH})|\x05)(?:[^a-z\d][^\d\n]{{0,24}})?")
# Forms that are dates only where a birthday stands: without a year, or a year alone.
_BIRTHDAY = (
    r"(?i)(?:^|[^a-z])(?:d\.?o\.?b\.?|birth(?:day|date|[ _-]date)|"
    r"date[ _-]?of[ _-]?birth|geburts(?:tag|datum)|"
    r"date de naissance|fecha de nacimiento|cumpleanos|anniversaire|compleanno|"
    r"aniversario|data di nascita|"
    r"data de nascimento|(?:year|month) of birth|birth[ _-]?year|yob|"
    r"geburtsjahr|jahrgang|annee de naissance|"
    r"ano de nacimiento|anno di nascita|geboortejaar|fodelsear)\b"
    r"[\s\"':=>.-]{0,5}(?:(?:is|was|on|ist|am|est|le|es|el|e|il)\b[ :]{1,2}){0,2}"
)
_BIRTHDAY_VALUE = re.compile(
    rf"\d{{1,2}}[ ]\d{{1,2}}[ ](?:19|20)\d\d\b|\d{{1,2}}[/-](?:19|20)\d\d\b|"
    rf"(?:{words.MONTH})[ ]\d{{1,2}}\b|"
    rf"\d{{1,2}}\.?[ ](?:de )?(?:{words.MONTH})(?![a-z])|(?:19|20)\d\d(?![\d/-])|\d{{6}}(?!\d)",
    re.IGNORECASE,
)
# "b. 1 Feb 1980", "* 01.02.1980"
_BORN = rf"(?:^|[\s(,])(?:\*|b\.) ?(?:{_DATE})"
RECORD = rf"(?i)\b(?:{words.RECORD})"


_CLOCK_TIME = re.compile(r"(?<=\d)[T ](?=\d\d:)")
_NUMBERS = re.compile("[0-9]+")


def _calendar(value: str) -> bool:
    numbers = [int(n) for n in _NUMBERS.findall(_CLOCK_TIME.split(value, 1)[0])]
    if len(numbers) < 3:
        return True
    if numbers[0] > 31:
        return 1 <= numbers[1] <= 12 and 1 <= numbers[2] <= 31
    return min(numbers[:2]) >= 1 and max(numbers[:2]) <= 31 and min(numbers[:2]) <= 12


def _date(shadow: str, start: int, end: int) -> Found:
    if not _date_edges(shadow, start, end) or not _personal_date(shadow, start):
        return None
    if not _calendar(shadow[start:end]):
        return None
    end += shadow[end : end + 1] == "\x11"  # the sign for "day"
    return start, end


_TIME_BEHIND = re.compile(r"[T ]?:?\d{1,2}:\d\d")


def date_of_record(shadow: str, start: int, end: int) -> Found:
    """A full date in a text that is somebody's record; a clock time beside it makes a log line."""
    if not _date_edges(shadow, start, end) or ":" in shadow[start:end]:
        return None
    if _TIME_BEHIND.match(shadow, end, end + 6) or not _calendar(shadow[start:end]):
        return None
    if re.search(r"[/.-]\d\d$", shadow[start:end]) and not re.search(r"\d{4}", shadow[start:end]):
        two_digit = re.fullmatch(r"\d{1,2}([/.-])\d{1,2}\1\d\d", shadow[start:end])
        return (start, end) if two_digit else None
    return start, end


def _date_edges(shadow: str, start: int, end: int) -> bool:
    before, after = shadow[start - 1 : start], shadow[end : end + 1]
    if before and before in "./-_" and shadow[start - 2 : start - 1].isalnum():
        return False
    return not (after and after in "/-_" and shadow[end + 1 : end + 2].isalnum())


def _born_sign(shadow: str, start: int, end: int) -> Found:
    while not shadow[start].isdigit():
        start += 1
    return (start, end) if _calendar(shadow[start:end]) else None


def _date_compact(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _birth(shadow, start) else None


_AGE_AFTER_WORD = (
    r"(?i)\b(?:age[ds]?|aged?[ _]?(?:at|of)|edad|alter|age[e]?s?|eta|"
    r"idade|leeftijd|wiek|alder|ika|vozrast|vek)\b[\s\"':=>.-]{1,5}(?:(?:de|of|is|von|es) )?"
    r"|(?i)\b(?:turn(?:ed|ing|s)?|i'm|i am|he is|she is|when (?:he|she) was|just turned) "
    r"|(?i)\b(?:varon|mujer|paciente|hombre|nin[oa]|lactante)[^.\d\n]{0,25} "
    r"|(?i)\b(?:je suis age[e]? de|j'ai|tengo|ho|tenho|patiente? de|ich bin) "
)
_AGE_UNITS = (
    r"(?:years?|yrs?|jahre|ans|anos|anni|jaar|lat|let|ar|vuotta|yas|lata|roku|rokiv|aastat|godina)"
)
# "Marie, 93 ans, ..." and "93F with": only where it stands for the person.
_AGE_APPOSITION = rf"(?i)(?:[,(] ?|\n)[0-9]{{1,3}} {_AGE_UNITS}(?= ?[,.;)])".replace(
    "(?= ?[,.;)])", " ?[,.;)]"
)
_AGE_OLD = (
    r"(?i)\b[0-9]{1,3} (?:jaar oud|ar gammal|ar gammel|anos de idade|"
    r"anni di eta|ans d'age|lat zycia|vuotta vanha|yasinda|let stary)\b"
    r"|\b[0-9]{1,3} ?y\.o\.|\b[0-9]{1,3}\x0f"
)
_AGE_SEX = (
    r"\b[0-9]{2,3} ?(?:yo ?)?[FMfm] (?:with|w/|presents?|presenting|who|c/o|"
    r"admitted|pt|patient|s/p|h/o|hx)\b"
)
_AGE_VALUE = re.compile(
    r"\d{1,3}(?: ?(?:anos|ans|anni|meses|dias)\b|(?= ?(?:[.,;:!?)\n|\"'}<&]|$|"
    r"[ ]?(?:y|year|jahre|and|but|this|next|today|on|sex|gender|genre)\b)))"
)
_AGE_BEFORE_WORD = (
    r"(?i)\b[0-9]{1,3}(?:[ -]{0,2}(?:years?|yrs?)[ -]{0,2}old|[ -]?(?:y/o|yo|yof|"
    r"yom)\b|[ -]?jahrige[rnms]?|[ ]jahre alt|-jahrig)"
    r"|(?i)\b[0-9]{1,3} (?:anos|meses)(?: de edad|[,.;]| con | que | sin | y |"
    r" natural| diagnosticad| remitid| fumador| sexo)"
)
_AGE_TRIGGER = (
    r"(?i)[0-9][ -]{0,2}(?:y|anos|meses|ans|anni|jahr)|(?:age[ds]?|at|of|edad|alter|"
    r"eta|idade|leeftijd|wiek|alder|ika|vozrast|vek|am|i'm|is|was|turn(?:ed|s|"
    r"ing)?|bin|[ds]e)[\s\"':=>.-]{1,5}[0-9]"
    r"|\b(?:varon|mujer|paciente|hombre|nin[oa]|lactante|j'ai|tengo|ho|tenho)\b"
)
_AGE_INSIDE = re.compile(r"(\d{1,3}(?: (?:anos|meses))?)", re.IGNORECASE)


def _age(shadow: str, start: int, end: int) -> Found:
    number = int(digits_in(shadow[start:end]))
    return (start, end) if number <= 120 and shadow[end : end + 1] != "%" else None


def _age_inside(shadow: str, start: int, end: int) -> Found:
    number = re.search(r"\d+", shadow[start:end])
    return _age(shadow, start + number.start(), start + number.end()) if number else None


_HL7_BIRTH = r"PID\|(?:[^|\n]{0,80}\|){6}"
_HL7_BIRTH_VALUE = re.compile(rf"{_YEAR}[0-9]{{4}}")
# Month and year, on a card or a passport.
_EXPIRY = (
    rf"(?i){EDGE}(?:exp(?:iry|ires?|iring|iration|\.|_?date)?|valid(?:ity)?|good|gultig|valable|"
    r"cad(?:uca|ucidad|\.)?|vence|vencimiento|scad(?:enza|e|\.)?|validade|ablauf)"
    r"(?:[ _-]?(?:date|month|year|mm|yy|thru|through|until|till|to|bis|jusqu'au|hasta|al|el))?"
    r"[\"']?[\s:=>(]{1,4}[\"']?(?:(?:is|am|on|in|le|el|end)\b[ :]{1,2})?"
)
_EXPIRY_VALUE = re.compile(
    r"(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4][0-9](?![0-9/-])|"
    r"20[2-4][0-9][/-](?:0[1-9]|1[0-2])(?![0-9/-])"
)
# Without a stroke only beside a card: "0927", and month and year as fields of their own.
_CARD_EXPIRY = (
    rf"(?i){EDGE}exp(?:iry|ires?|iration|_?date)?(?:[ _-]?(?:month|year|mm|yy|date))?"
    r"[\"']?\s{0,2}[:=]\s{0,2}[\"']?"
)
_CARD_EXPIRY_VALUE = re.compile(
    r"(?:(?:0[1-9]|1[0-2])(?:[2-4][0-9])?|[1-9]|(?:20)?[2-4][0-9])(?![0-9])"
)


def _card_expiry(shadow: str, start: int, end: int) -> Found:
    return (start, end) if card_near(shadow, start) else None


DATES = Family(
    (
        Rule("DATE", _HL7_BIRTH, as_it_is, 8, _HL7_BIRTH_VALUE),
        Rule("DATE", _EXPIRY, as_it_is, 8, _EXPIRY_VALUE),
        Rule("DATE", _CARD_EXPIRY, _card_expiry, 8, _CARD_EXPIRY_VALUE),
        Rule("DATE", _BIRTHDAY, as_it_is, 8, _BIRTHDAY_VALUE, trigger=_BIRTHDAY.split("\\b")[0]),
        Rule("DATE", _BORN, _born_sign, 8, trigger=r"\* ?[0-9]|\bb\. ?[0-9A-Z]"),
        Rule("DATE", _DATE, _date, 7, trigger=_DATE_TRIGGER),
        Rule("DATE", _DATE_COMPACT, _date_compact, 7, trigger=_YEAR + "[01][0-9][0-3][0-9]"),
    ),
)
AGES = Family(
    (
        Rule("AGE", _AGE_AFTER_WORD, _age, 10, _AGE_VALUE, trigger=_AGE_TRIGGER),
        Rule("AGE", _AGE_BEFORE_WORD, _age, 10, _AGE_INSIDE, trigger=_AGE_TRIGGER),
        Rule("AGE", _AGE_APPOSITION, _age_inside, 10),
        Rule("AGE", _AGE_OLD, _age_inside, 10),
        Rule("AGE", _AGE_SEX, _age_inside, 10),
    ),
)
RECORD_DATE = Rule("DATE", _DATE, date_of_record, 8)
