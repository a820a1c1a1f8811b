"""Numbers that a state gives, found by their shape or check digits, words beside them or not."""

import re

from ft_assets.corpus import checksums
from ft_assets.corpus.rules.rule import (
    NINE_DIGITS,
    Before,
    Family,
    Found,
    Rule,
    alone,
    as_it_is,
    bare,
    checked,
    not_personal,
    window,
)

_SSN = r"\b[0-9]{3}(?:-| - )[0-9]{2}(?:-| - )[0-9]{4}\b"
_SSN_SPACED = r"\b[0-9]{3}[ .][0-9]{2}[ .][0-9]{4}\b|\b[0-9]{9}\b"
_ssn_word = Before(
    r"(?:ssn|social(?: security)?|sozialversicherung\w*|securite sociale|"
    r"seguridad social|tax id|itin|ss ?#|ss ?n(?:o|umber)|soc\.? ?sec\.?|s\.s\.n\.?|taxpayer)"
    r"[^\d]{0,20}"
)


def _ssn(shadow: str, start: int, end: int) -> Found:
    named = _ssn_word(shadow, start)
    return (start, end) if named or alone(shadow, start, end) else None


def _ssn_beside_word(shadow: str, start: int, end: int) -> Found:
    joined = shadow[start - 1 : start].isalnum() or shadow[end : end + 1].isalnum()
    return (start, end) if not joined and _ssn_word(shadow, start) else None


_DNI = r"(?i)\b(?:[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}|[XYZ][ -]?[0-9]{7})[ -]?[A-HJ-NP-TV-Z]\b"
_NIR = (
    r"\b[1-4][ .]?[0-9]{2}[ .]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ .]?(?:[0-9]{2}|"
    r"2[AB])[ .]?[0-9]{3}[ .]?[0-9]{3}[ .|/-]{0,3}[0-9]{2}\b"
)
_NIR_TRIGGER = r"[0-9](?:[ .]?[0-9AB]){12}"
_CODICE_FISCALE = r"(?i)\b[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]\b"
# Spain: province, number, check digits of an affiliation to the social security.
_NASS = r"\b(?:[0-4][0-9]|5[0-3]|66)(?: [0-9]{8} |/[0-9]{8}/)[0-9]{2}\b"
_NINO = r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b"
_NINO_ANY = r"(?i)\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Z]\b"
_nino_word = Before(
    r"(?:\bnino|\bssn|social security|national ins\w*|\bni ?(?:no|number|num|"
    r"#)?)[^a-z0-9]{0,4}(?:(?:no|number|is)[^a-z0-9]{1,3}){0,2}"
)
_RUT_PLAIN = r"(?i)\b[0-9]{7,8}-[0-9K]\b"
_rut_word = Before(r"\b(?:rut|run)[^a-z0-9]{0,4}(?:n?o?[.: ]{1,3})?")
_RVNR = r"\b[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}\b"
_BELGIAN = r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b"
_CPF = r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b"
_NORDIC = r"\b[0-9]{6}[-+A][0-9]{3,4}[0-9A-Y]\b|\b[0-9]{8}-[0-9]{4}\b"
_ELEVEN = r"\b[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b"
_NHS = r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}\b"
_AHV = r"\b756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}\b"
_CHINESE = (
    r"\b[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|"
    r"3[01])[0-9]{3}[0-9Xx]\b"
)
_KOREAN = r"\b[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])-[1-8][0-9]{6}\b"
_EMIRATES = r"\b784-(?:19|20)[0-9]{2}-[0-9]{7}-[0-9]\b"
_PAKISTANI = r"\b[1-7][0-9]{4}-[0-9]{7}-[0-9]\b"
_CURP = (
    r"(?i)\b[A-Z][AEIOUX][A-Z]{2}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|"
    r"3[01])[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[A-Z0-9][0-9]\b"
)
_VIN = r"\b[A-HJ-NPR-Z0-9]{17}\b"
_CNPJ = r"\b[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}\b"
_RUT = r"(?i)\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9K]\b"
_CUIT = r"\b(?:20|2[3-7]|30|33|34)-[0-9]{8}-[0-9]\b"
_SNILS = r"\b[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}\b"
_NRIC = r"\b[STFGM][0-9]{7}[A-Z]\b"
_MBI = (
    r"\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-"
    r"[AC-HJKMNP-RT-Y]{2}[0-9]{2}\b"
)
_INDIAN_PAN = r"(?i)\b[A-Z]{3}[PCHFATBLJG][A-Z][0-9]{4}[A-Z]\b"
_BRAZILIAN_CASE = r"\b[0-9]{7}-[0-9]{2}\.[0-9]{4}\.[0-9]\.[0-9]{2}\.[0-9]{4}\b"
_SPACED_FISCALE = r"(?i)\b[A-Z]{3} [A-Z]{3} [0-9]{2}[A-EHLMPRST][0-9]{2} [A-Z][0-9]{3} ?[A-Z]\b"
_HKID = r"\b[A-Z]{1,2}[0-9]{6}\([0-9A]\)"
_pan_word = Before(r"\bpan(?: ?card)?[^a-z0-9]{1,4}(?:is |no |number |card )?[^a-z0-9]{0,3}")
_vehicle_word = Before(r"(?:vin|fin|fahrgestell\w*|chassis|vehicle|car|truck)[^\n]{0,20}")
_nhs_word = Before(r"\bnhs\b[^\d\n]{0,20}")
_nordic_word = Before(
    r"(?:person\w*|cpr|hetu|fodsel\w*|henkilo\w*|kennitala|pnr|ssn|kods)[^\d\n]{0,20}"
)


def _dni(shadow: str, start: int, end: int) -> Found:
    value = bare(shadow, start, end)
    return (start, end) if len(value) == 9 and checksums.spanish_dni(value) else None


def _eleven_digits(shadow: str, start: int, end: int) -> Found:
    """Steuer-ID and PESEL hold by chance in one number of ten: bare, or beside their own words."""
    value = bare(shadow, start, end)
    if not alone(shadow, start, end) or not_personal(shadow, start):
        return None
    left = window(shadow, start)
    if re.search(r"(?:steuer|idnr|tax)", left) and checksums.german_tax_id(value):
        return start, end
    return (start, end) if "pesel" in left and checksums.polish_pesel(value) else None


def _vin(shadow: str, start: int, end: int) -> Found:
    """The check character is binding in North America and China only; elsewhere a word is."""
    value = shadow[start:end]
    letters = sum(char.isalpha() for char in value)
    if not 3 <= letters <= 13:
        return None
    return (start, end) if checksums.vin(value) or _vehicle_word(shadow, start) else None


def _nino(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _nino_word(shadow, start) else None


def _rut(shadow: str, start: int, end: int) -> Found:
    holds = checksums.chilean_rut(bare(shadow, start, end))
    return (start, end) if holds and _rut_word(shadow, start) else None


def _indian_pan(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _pan_word(shadow, start) else None


def _nordic(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _nordic_word(shadow, start) else None


def _nhs(shadow: str, start: int, end: int) -> Found:
    named = _nhs_word(shadow, start) or re.match(r" \(?nhs\b", shadow[end : end + 6].lower())
    return (start, end) if named and checksums.nhs_number(bare(shadow, start, end)) else None


NUMBERS = Family(
    (
        Rule("SSN", _SSN, _ssn, 4),
        Rule("SSN", _SSN_SPACED, _ssn_beside_word, 5, trigger=NINE_DIGITS),
        Rule(
            "ID",
            _DNI,
            _dni,
            5,
            trigger=r"[0-9]{3}\.?[0-9]{3}[ -]?[A-Za-z]\b|\b[XYZxyz][ -]?[0-9]{7}",
        ),
        Rule("ID", _NIR, checked(checksums.french_nir, 15), 5, trigger=_NIR_TRIGGER),
        Rule("ID", _CODICE_FISCALE, checked(checksums.italian_tax_code, 16), 5),
        Rule(
            "ID",
            _NINO,
            as_it_is,
            6,
            trigger=r"\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        ),
        Rule("ID", _NASS, as_it_is, 5),
        Rule("ID", _RVNR, checked(checksums.german_social_security, 12), 5),
        Rule("ID", _BELGIAN, checked(checksums.belgian_number, 11), 5),
        Rule("ID", _CPF, as_it_is, 5),
        Rule("ID", _NORDIC, _nordic, 5),
        Rule("ID", _ELEVEN, _eleven_digits, 5, trigger=NINE_DIGITS),
        Rule("ID", _NHS, _nhs, 5, trigger=NINE_DIGITS),
        Rule("ID", _AHV, checked(checksums.ean13, 13), 5),
        Rule("ID", _CHINESE, checked(checksums.chinese_id, 18), 4),
        Rule("ID", _KOREAN, _ssn, 5),
        Rule("ID", _EMIRATES, as_it_is, 4),
        Rule("ID", _PAKISTANI, _ssn, 5),
        Rule("ID", _CURP, as_it_is, 5),
        Rule("ID", _VIN, _vin, 5, trigger=r"[A-HJ-NPR-Z0-9]{9}"),
        Rule("ID", _CNPJ, as_it_is, 5),
        Rule("ID", _RUT, checked(checksums.chilean_rut, 0), 5),
        Rule("ID", _RUT_PLAIN, _rut, 5),
        Rule("ID", _NINO_ANY, _nino, 5),
        Rule("ID", _CUIT, checked(checksums.argentine_cuit, 11), 5),
        Rule("ID", _SNILS, checked(checksums.russian_snils, 11), 5),
        Rule("ID", _NRIC, checked(checksums.singapore_nric, 9), 5),
        Rule("ID", _MBI, as_it_is, 5),
        Rule("ID", _INDIAN_PAN, _indian_pan, 5),
        Rule("ID", _BRAZILIAN_CASE, as_it_is, 4),
        Rule("ID", _SPACED_FISCALE, checked(checksums.italian_tax_code, 16), 5),
        Rule("ID", _HKID, as_it_is, 5),
    ),
)
