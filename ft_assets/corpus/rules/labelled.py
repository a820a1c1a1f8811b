"""Numbers that a word names: medical records, accounts, policies, plates, dockets."""

import re

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import (
    DATE_LIKE,
    EDGE,
    LINK,
    TOKEN,
    UNITS_AFTER,
    WORD_END,
    Before,
    Family,
    Found,
    Rule,
    as_it_is,
    bare,
    digits_in,
    named,
)

_VALUE = re.compile(r"[A-Za-z0-9]{1,34}(?:[-/._ ][A-Za-z0-9]{1,20}){0,6}")
_ID_STRONG = rf"(?i){EDGE}(?:{words.ID_STRONG})s?{WORD_END}{LINK}"
_ID_INTERNAL = rf"(?i){EDGE}(?:{words.ID_INTERNAL}){WORD_END}{LINK}"
_ID_WEAK = (
    rf"(?i){EDGE}(?:{words.ID_WEAK})[s]?[ \t(]{{0,2}}(?:{words.NUMBER})\b[.\s:#]{{0,4}}(?:o )?"
)
# "18949 / 91": court registers put spaces around the stroke.
_REGISTER_VALUE = re.compile(
    r"[A-Za-z0-9]{1,24}(?: ?[-/._] ?[A-Za-z0-9]{1,20}| [A-Za-z0-9]{1,20}){0,6}"
)
_WEAK_VALUE = re.compile(r"\d[\d /.-]*\d|\d+")
_DIGIT = re.compile("[0-9]")
_OTHER_NUMBER = re.compile(words.NOT_PERSONAL)
_sentence_end = Before(
    r"[a-z]{5}[!?]\s|[a-z]{3}(?:[a-mo-z][a-z]|[a-z][a-npqs-z])\.\s", size=7
)  # not "Kundennr. "


_DASHED_DATE = re.compile(r"[0-3]?[0-9]-[0-3]?[0-9]-(?:[0-9]{2}){1,2}")


def _last_token(shadow: str, start: int, end: int) -> int:
    """The end of the tokens that belong together."""
    stop = start
    for token in TOKEN.finditer(shadow, start, end):
        gap = shadow[stop : token.start()] if stop > start else ""
        text = token[0]
        has_digit = not text.isalpha()
        next_digit = shadow[token.end() : token.end() + 2]
        if gap == " " and stop > start and not has_digit:
            # "12 190367 K 006": one capital between groups of digits.
            if (
                len(text) == 1
                and text.isupper()
                and next_digit[:1] == " "
                and next_digit[1:].isdigit()
            ):
                continue
            break
        # After a space a new word may start with a digit: "12345 2nd floor".
        if gap == " " and stop > start and not text.isdigit() and not text.isupper():
            break
        if gap == "." and stop > start and not has_digit:
            break
        if (
            not has_digit
            and not text.isupper()
            and (len(text) > 5 or gap or shadow[token.end() : token.end() + 1] == " ")
        ):
            break
        stop = token.end()
    return stop


def _id_after_word(shadow: str, start: int, end: int) -> Found:
    """The tokens from `start` that belong to one id: each has a digit, or is a short code."""
    first = TOKEN.match(shadow, start, end)
    if first is None or not _DIGIT.search(shadow, start, end):
        return None
    alone = first[0].isalpha() and shadow[first.end() : first.end() + 1] != "-"
    if alone and _OTHER_NUMBER.fullmatch(first[0].lower()):
        return None
    stop = first.end()
    if stop < end or first[0].isalpha():
        stop = _last_token(shadow, start, end)
    value = shadow[start:stop]
    if shadow[stop : stop + 1].isalnum() or shadow[start - 1 : start].isalnum():
        return None
    if _sentence_end(shadow, start):
        return None
    digits = value if value.isdigit() else digits_in(value)
    named_directly = (
        shadow[:start].rstrip(" \"'")[-1:] in (":", "=")
        if start < 8
        else shadow[start - 8 : start].rstrip(" \"'")[-1:] in (":", "=")
    )
    if len(digits) < 3 or len(bare(shadow, start, stop)) < (4 if named_directly else 5):
        return None
    # "Privacy Policy (09-04-20)"
    if shadow[start - 1 : start] == "(" and _DASHED_DATE.fullmatch(value):
        return None
    if DATE_LIKE.fullmatch(value) or UNITS_AFTER.match(shadow[stop : stop + 12].lower()):
        return None
    if shadow[stop : stop + 1] in (".", ",") and shadow[stop + 1 : stop + 3].isdigit():
        return None  # an amount: "account 1,250.00"
    while stop > start and not shadow[stop - 1].isalnum():
        stop -= 1
    return start, stop


def _long_id(shadow: str, start: int, end: int) -> Found:
    """Six characters, four of them digits, behind an acronym that has other meanings."""
    place = _id_after_word(shadow, start, end)
    if place is None:
        return None
    value = bare(shadow, *place)
    return place if len(value) >= 6 and len(digits_in(value)) >= 4 else None


def _holder_id(shadow: str, start: int, end: int) -> Found:
    """ "patient 483920" and "claim C48392011"; not "claim 20230501" (a day), nor an amount."""
    if shadow[end : end + 1].isalnum() or shadow[end : end + 2] in (".0", ",0"):
        return None
    digits = digits_in(shadow[start:end])
    coded = len(digits) < end - start
    if len(digits) < (4 if coded else 6) or (digits[:2] in ("19", "20") and len(digits) == 8):
        return None
    after = shadow[end : end + 12]
    amount = re.match(r"[.,]\d", after) or UNITS_AFTER.match(after.lower())
    return None if amount else (start, end)


_LIST_GAP = re.compile(r"[\"']?(?:\s?[,;/|&]\s{0,2}|\s(?:and|und|et|y|e|or|oder|ou|o)\s)[\"']?")


def next_id(shadow: str, start: int, end: int) -> Found:
    """A further value of a list in the same form: "MRNs 48392, 48393 and 48394"."""
    gap = _LIST_GAP.match(shadow, end, end + 8)
    if not gap:
        return None
    first, there = shadow[start:end], gap.end()
    other = shadow[there : there + len(first)]
    if shadow[there + len(first) : there + len(first) + 1].isalnum():
        return None
    same = len(other) == len(first) and all(
        a.isdigit() == b.isdigit() and a.isalpha() == b.isalpha()
        for a, b in zip(first, other, strict=True)
    )
    return (there, there + len(first)) if same else None


def _internal_id(shadow: str, start: int, end: int) -> Found:
    """Row numbers of users and customers say nothing outside their database: six digits do."""
    place = _id_after_word(shadow, start, end)
    if place is None:
        return None
    value = shadow[place[0] : place[1]]
    return place if len(digits_in(value)) >= 6 or not value.isdigit() else None


def _id_after_weak_word(shadow: str, start: int, end: int) -> Found:
    number = _WEAK_VALUE.match(shadow, start, end)
    if number and ("/" in number[0] or len(digits_in(number[0])) >= 4):
        stop = number.end()
        if shadow[stop : stop + 1].isalpha():
            return _id_after_word(shadow, start, end)
        return start, stop
    return _id_after_word(shadow, start, end)


_HL7_ID = r"(?:^|\n|\r)PID\|[^|\n]{0,10}\|[^|\n]{0,30}\|"
_HL7_EXTERNAL_ID = r"(?:^|\n|\r)PID\|[^|\n]{0,10}\|"
_HL7_VALUE = re.compile(r"[^|^\n]{3,40}")
_PATH_ID = (
    r"(?i)/(?:patients?|users?|customers?|accounts?|members?|clients?|employees?|persons?|people|"
    r"profiles?|patienten|kunden|pacientes?|clientes?|usuarios?|utilisateurs?|"
    r"subscribers?|policies|"
    r"claims?|cases?|records?|students?|beneficiar(?:y|ies)|contacts?|encounters?)/"
)
# FHIR: a reference to a resource of a person.
_REFERENCE = r"\b(?:Patient|Practitioner|RelatedPerson|Person|Encounter)/"
_PATH_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,40}")
_PLATE_FORM = (
    r"\b(?:[A-Z]{2}-[0-9]{3}-[A-Z]{2}|[0-9]{4} ?[B-DF-HJ-NP-TV-Z]{3}|"
    r"[A-Z]{2}[0-9]{2} [A-Z]{3}|[A-Z]{1,3}-[A-Z]{1,2} ?[0-9]{1,4}[EH]?)\b"
)
_plate_word = Before(
    r"(?:^|[^a-z])(?:plate|registration|reg|vehicle|car|kennzeichen|fahrzeug|auto|"
    r"wagen|pkw|matricula|coche|"
    r"vehiculo|immatricul\w*|voiture|vehicule|plaque|targa|kfz)(?:[^a-z\d\n][^\d\n]{0,25})?"
)
_COURT = (
    rf"(?i){EDGE}(?:procedimiento|autos|recurso|sentencia|proc\.|processo|procedimento|ricorso|"
    r"causa|sent\.|affaire|requete|arret|rg|delo|sprawa|zaak|rolnummer|sag|mal|application|"
    r"beschwerde|petition)[ ]?(?:no?|nr|num(?:ero)?|n\.|nums?)?[.o]{0,2}[ :]{0,3}"
    r"[A-Z0-9-]{0,12}[0-9] ?/ ?[0-9]{2,4}"
)
_COURT_INSIDE = re.compile(
    r"[^/]*?((?:\b[A-Z]{1,2}[0-9]{0,2}-)?(?<![0-9])[0-9]{1,7} ?/ ?"
    r"(?:(?:19|20)[0-9]{2}|[0-9]{2})(?![0-9]))"
)
_NESTED_ID = (
    r"(?i)(?:\b|_|bank|user|customer|client)(?:patient|member|passport|policy|insurance|employee|subscriber|"
    r"account|insured|student|"
    r"licen[cs]e|national_?id|tax|paciente|poliza|cuenta|konto|versicherung)s?"
    r"[\"']?\s{0,3}(?:=>|[:=])?\s{0,3}[{(\[<>\n]{1,3}\s{0,8}[\"'<]?(?:id|number|"
    r"no|nr|num|value)[\"']?"
    r"\s{0,2}(?:=>|[:=>])\s{0,2}[\"']?"
)
_HOLDER = (
    rf"(?i){EDGE}(?:{words.ID_HOLDER})[ :#=]{{1,3}}(?:is |{words.NUMBER}\b[.o]{{0,2}}[ :]{{1,2}})?"
)
_HOLDER_VALUE = re.compile(r"[A-Z]{0,4}-?[0-9]{4,14}[A-Z]?")
_ACRONYM = (
    rf"{EDGE}(?:{words.ID_ACRONYM.upper()})(?i:[ -]?(?:nr|nummer|number|"
    rf"numbers))?(?i:{WORD_END})(?i:{LINK})"
    rf"|"
    rf"(?i){EDGE}(?:{words.ID_ACRONYM})(?:[ _-]?{words.NUMBER})?[\"']?\s{{0,2}}(?:=>|"
    rf"[:=])\s{{0,2}}[\"'(]?"
)
_ACRONYM_TRIGGER = (
    rf"{EDGE}(?:{words.ID_ACRONYM.upper()})[^A-Z]|"
    rf"(?i){EDGE}(?:{words.ID_ACRONYM})(?:[ _-]?{words.NUMBER})?[\"']?\s{{0,2}}[:=]"
)
_NAMED_UNSPACED = rf"\x04{{2}}{LINK}"
_PLATE_WORD = (
    r"(?i)(?:^|[^a-z0-9])(?:(?:licen[cs]e|number|registration)[ _-]?plates?|"
    r"plates?|plate[ _-]?(?:no|number)|"
    r"(?:kfz-?)?kennzeichen|immatricul\w{1,8}|plaque|matricula|targa|placas?|kenteken|gosnomer|"
    r"rejestracj[ai]|nr rej\.?|reg\.?(?:istration)?(?: ?(?:no|nr|number|plate|"
    r"mark))?|rekisteri\w{0,8}|"
    r"registreringsnummer|spz|rendszam|plaka)(?:\b|"
    r"_)[\s\"':=.#>\x01\x02-]{1,5}(?:(?:is|ist|est|es|e|de|no|nr)\b[ .:]{1,2})?"
)
_PLATE_VALUE = re.compile(
    r"[A-Z0-9]{5,8}(?![A-Za-z0-9])|[A-Z0-9]{1,4}(?:[ .-]{1,3}[A-Z0-9]{1,5}){0,3}"
)
_CODED_ID = (
    r"\b(?:MRN|NHC|PAT|PT|PID|ACC|ACCT|CUST|EMP|POL|MEM|SUB|CLM|KD|KDNR|VNR|PNR|DOS|"
    r"EXP|HIST|STU|DL|LIC)[-_#]?[0-9]{4,14}\b"
)
# A case of pathology: year and running number.
_PATHOLOGY = r"\b[A-Z]{1,3}[0-9]{2}-[0-9]{4,7}\b"
_pathology_word = Before(
    r"(?:case|specimen|accession|patholog\w*|histolog\w*|biops\w*)[^0-9\n]{0,20}"
)
_DOCKET = r"\b(?:[0-9]{1,3}|[IVX]{1,5}) [A-Z][A-Za-z]{0,3} [0-9]{1,5}/[0-9]{2}\b"
_docket_word = Before(
    r"(?:az|aktenzeichen|geschaftszeichen|gz|urteil|beschluss|verfahren|gericht)[^\d\n]{0,20}"
)
_US_DOCKET = r"(?i)\b[0-9]:[0-9]{2}-(?:cv|cr|mc|bk|md|mj)-[0-9]{3,6}(?:-[A-Z]{2,4}){0,3}\b"


def _pathology(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _pathology_word(shadow, start) else None


def _docket(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _docket_word(shadow, start) else None


def _path_id(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end].rstrip("._-")
    return (start, start + len(value)) if sum(c.isdigit() for c in value) >= 3 else None


def _plate_named(shadow: str, start: int, end: int) -> Found:
    """Capitals and digits, four to nine of them; a word behind the plate is not part of it."""
    stop, seen = start, ""
    for token in TOKEN.finditer(shadow, start, end):
        if len(seen) + len(token[0]) > 9:
            break
        seen += token[0]
        stop = token.end()
    if shadow[stop : stop + 1].isalnum() or not 4 <= len(seen) <= 9:
        return None
    mixed = any(c.isdigit() for c in seen) and any(c.isalpha() for c in seen)
    return (start, stop) if mixed else None


def _plate(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _plate_word(shadow, start) else None


# The word and its value in one: "SSN078-05-1120", "passportNoX1234567".
_GLUED = (
    rf"(?i)(?:^|[^A-Za-z0-9_-])(?:{words.ID_STRONG})(?:{words.NUMBER})?"
    r"[A-Z]{0,3}[0-9](?:[ -]?[0-9]){6,18}[A-Z]?"
)
_GLUED_INSIDE = re.compile(
    r"[^0-9]*?((?:(?<=[a-z])[A-Z]{1,3})?[0-9](?:[ -]?[0-9]){6,18}[A-Z]?(?![A-Za-z0-9]))"
)
# Windows: a security identifier that a domain gave.
_SID = r"\bS-1-5-21(?:-[0-9]{1,10}){4}\b"


NAMED = Family(
    (
        Rule("ID", _ID_STRONG, _id_after_word, 6, _VALUE, trigger=named(words.ID_STRONG)),
        Rule("ID", _ACRONYM, _long_id, 6, _VALUE, trigger=_ACRONYM_TRIGGER),
        Rule("ID", _ID_INTERNAL, _internal_id, 6, _VALUE, trigger=named(words.ID_INTERNAL)),
        Rule("ID", _HOLDER, _holder_id, 9, _HOLDER_VALUE),
        Rule(
            "ID",
            _NESTED_ID,
            _id_after_word,
            6,
            _VALUE,
            trigger=r"(?i)\b(?:id|number|no|nr|num|value)[\"']?\s{0,2}[:=>]",
        ),
        Rule("ID", _NAMED_UNSPACED, _id_after_word, 6, _VALUE, trigger=r"\x04\x04"),
        Rule("ID", _ID_WEAK, _id_after_weak_word, 8, _REGISTER_VALUE),
    ),
    after=600,
)
FORMS = Family(
    (
        Rule("ID", _GLUED, as_it_is, 7, _GLUED_INSIDE),
        Rule("ID", _SID, as_it_is, 4),
        Rule("ID", _HL7_ID, as_it_is, 5, _HL7_VALUE, trigger=r"PID\|"),
        Rule("ID", _COURT, as_it_is, 8, _COURT_INSIDE),
        Rule(
            "ID",
            _PLATE_WORD,
            _plate_named,
            6,
            _PLATE_VALUE,
            trigger=_PLATE_WORD.split("(?:\\b|_)")[0],
        ),
        Rule("ID", _CODED_ID, as_it_is, 6),
        Rule("ID", _PATH_ID, _path_id, 6, _PATH_VALUE),
        Rule("ID", _REFERENCE, _path_id, 6, _PATH_VALUE),
        Rule("ID", _HL7_EXTERNAL_ID, as_it_is, 5, _HL7_VALUE, trigger=r"PID\|"),
        Rule("ID", _PATHOLOGY, _pathology, 6),
        Rule("ID", _US_DOCKET, as_it_is, 5),
        Rule("ID", _DOCKET, _docket, 6),
        Rule("ID", _PLATE_FORM, _plate, 6),
    ),
)
