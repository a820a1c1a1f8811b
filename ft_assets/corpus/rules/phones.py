"""Telephone numbers: by a word beside them, or in a form that no other number has."""

import re

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import (
    DATE_LIKE,
    EDGE,
    MARKUP,
    NINE_DIGITS,
    PUNCT,
    SIX_DIGITS,
    UNITS_AFTER,
    Before,
    Family,
    Found,
    Rule,
    alone,
    as_it_is,
    digits_in,
    not_personal,
    window,
)

_COUNTRY_CODES = (
    r"1|7|20|27|3[0-4]|36|39|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|21[1-8]|"
    r"2[2-6]\d|29[0-9]|35\d|37\d|"
    r"38[0-9]|42[0-3]|50\d|59\d|67\d|68\d|69\d|80[08]|85\d|87\d|88\d|96\d|97\d|99\d"
)
_GAP = r"[ ./-]{0,3}"
_INTERNATIONAL = (
    r"(?:\[?\+ ?|\b00 ?|\b011[ -])\(?[1-9](?:[ ./()\]-]{0,4}[0-9]){6,14}(?:[ ,;]{0,3}(?:x|ext\.?|"
    r"extension|poste|durchwahl)[ .:]{0,2}[0-9]{1,6})?"
)
# An area that begins with 0 or 1 does not exist; made-up numbers have it, in the common spellings.
_NANP = (
    r"(?:(?:\b1[ .-]{0,2})?\(?\b[2-9][0-9]{2}\)?[ .-]{0,3}[0-9]{3}[ .-]{1,3}[0-9]{4}|"
    r"(?:\b1[ .-])?(?:\([0-9]{3}\) ?[0-9]{3}-|\b[0-9]{3}-[0-9]{3}-|\b[0-9]{3}\.[0-9]{3}\.|"
    r"\b[0-9]{3} [0-9]{3} )[0-9]{4})"
    r"(?:[ ,;]{0,3}(?:x|ext\.?|extension)[ .:]{0,2}[0-9]{1,6})?"
)
_TRUNK = (
    r"(?:\(?\b0[1-9][0-9]{0,4}\)?[ ./-]{1,3}|\(0[1-9][0-9]{0,4}\))"
    r"[0-9]{2,8}(?:[ ./-]{1,2}[0-9]{2,6}){0,4}"
)
# Russia, Brazil and Portugal: a code in brackets, the number in two or three parts.
_BRACKETED = (
    r"\b[78][ -]?\([0-9]{3,5}\)[ -]?[0-9]{1,3}[ -]?[0-9]{2}[ -]?[0-9]{2}\b|"
    r"(?:\([1-9][0-9]\) ?|\b[1-9][0-9] )9?[2-9][0-9]{3}-[0-9]{4}\b|"
    r"\([1-9][0-9]\) ?9?[2-9][0-9]{3} [0-9]{4}\b|"
    r"\([2-9][0-9]{1,2}\) ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b"
)
_SPANISH = (
    r"\b[6789][0-9]{2}[ .-][0-9]{3}[ .-][0-9]{3}\b|"
    r"\b[6789][0-9]{2}(?:[ .-][0-9]{2}){3}\b|\b[6789][0-9]{2}[ .-][0-9]{6}\b"
)
_BARE = r"\b(?:[2-9][0-9]{9}|0[1-9][0-9]{8,9})\b"
_NUMBERISH = r"[+(]{0,2}[ ]?[0-9](?:[ ./()-]{0,3}[0-9]){5,14}"
# Further numbers of the same person: "918823884 / 619128686".
_NEXT_PHONE = re.compile(rf"[ ]?(?:[/,;-]|o|or|y|and|und|et|ou|oder)[ ]({_NUMBERISH})")


def next_phone(shadow: str, end: int) -> Found:
    number = _NEXT_PHONE.match(shadow, end, end + 60)
    return _phone_by_word(shadow, *number.span(1)) if number else None


_PHONE_AFTER_WORD = (
    rf"(?i)(?:{EDGE}(?:{words.PHONE})(?:[ _-]?(?:number|num|no|nr|nummer|[1-3]))?(?:\b|"
    rf"_)|\x03)(?:[ ](?:no|nr|number|num|me|us|him|her|them|back|is|at|on|to|der|die|"
    rf"unter|auf|mich|uns|mir|au|sur|me|moi|al|en|a|el|est|es|ist|lautet|my|mi|"
    rf"mobil[e]?|home|work|my registered|cell|please|"
    rf"line|numero|de|e|sou|er|ar|jest|du|del|le|la|les|nous|registered|movil|"
    rf"celular|portable|fijo|fixe|fisso|privat|now|or|"
    rf"text|sms|call|the|customer|client|patient|caller|user|mother|father|wife|husband|"
    rf"office|again)\b){{0,5}}"
    rf"{PUNCT}{{0,8}}{MARKUP}"
)
_PHONE_VALUE = re.compile(_NUMBERISH)
_PHONE_BEFORE_WORD = rf"(?i){_NUMBERISH}[ \t-]{{1,2}}\(?(?:{words.PHONE_AFTER})\b"
_PHONE_INSIDE = re.compile(f"({_NUMBERISH})")


_EXTENDED = re.compile("[a-z,;]", re.IGNORECASE)


def _phone(shadow: str, start: int, end: int) -> Found:
    if not alone(shadow, start, end):
        return None
    pairs = shadow[start] == "0" and _PAIRS.fullmatch(shadow, start, end)  # France: no other number
    if shadow[start] != "(" and not pairs and not_personal(shadow, start):
        return None
    digits = digits_in(_EXTENDED.split(shadow[start:end], maxsplit=1)[0])
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3:
        return None
    if shadow[start] == "(" and ")" not in shadow[start:end]:
        start += 1
    return start, end


def _international(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    digits = digits_in(value)
    if value.startswith("0"):
        digits = digits[2:] if value.startswith("00") else digits[3:]
        if _inside_number(shadow, start):
            return None
        # Zeros at the head of a plain number pad it: "0012345678" is an order, "00 44 ..." is not.
        if value.isdigit() and not _phone_word(shadow, start):
            return None
        if not re.match(_COUNTRY_CODES, digits):
            return None
    if shadow[start - 1 : start].isalnum() or shadow[end : end + 1].isalnum():
        return None
    start += value.startswith("[") and "]" not in value
    return (start, end) if 7 <= len(digits) <= 16 else None


_phone_word = Before(rf"(?:^|[^a-z])(?:{words.PHONE})[^\d\n]{{0,20}}")


_PAIRS = re.compile(r"0\d(?:[ .-]\d\d){4}")


def _trunk(shadow: str, start: int, end: int) -> Found:
    # Behind another group of digits it is the middle of a longer number.
    if _inside_number(shadow, start) or not 9 <= len(digits_in(shadow[start:end])) <= 13:
        return None
    date = DATE_LIKE.search(shadow, start, end) and not _PAIRS.fullmatch(shadow, start, end)
    return None if date else _phone(shadow, start, end)


def _inside_number(shadow: str, start: int) -> bool:
    return start > 1 and shadow[start - 1] in " -" and shadow[start - 2].isdigit()


def _bare_phone(shadow: str, start: int, end: int) -> Found:
    left = window(shadow, start, 24)
    # "id=4279517380" names its own kind: it is not a phone.
    if re.search(r"[=:]\s?\"?\Z", left) and not _phone_word(shadow, start):
        return None
    if re.search(r"[a-z0-9_/#-]\Z", left):
        return None
    # A number that cannot be a North American one counts where a signature has its phone.
    if (
        shadow[start] != "0"
        and shadow[start + 3] in "01"
        and not re.search(r"(?:^|\n|\| ?)\Z", left)
    ):
        return None
    return None if UNITS_AFTER.match(shadow[end : end + 12].lower()) else _phone(shadow, start, end)


_OTHER = re.compile(" [/-] ")
_FURTHER = re.compile(r"[ ,;]{0,3}(?:x|ext\.?|extension|poste|durchwahl)[ .:]{0,2}[0-9]{1,6}", re.I)


def _phone_by_word(shadow: str, start: int, end: int) -> Found:
    while start < end and shadow[start] == " ":
        start += 1
    other = _OTHER.search(shadow, start, end)
    if other and len(digits_in(shadow[start : other.start()])) >= 7:
        end = other.start()  # "918823884 / 619128686": two numbers
    digits = digits_in(shadow[start:end])
    if not 6 <= len(digits) <= 15:
        return None
    further = _FURTHER.match(shadow, end, end + 20)
    end = further.end() if further else end
    after = shadow[end : end + 1]
    if after.isalnum() or (after in (",", ".") and shadow[end + 1 : end + 2].isdigit()):
        return None
    if shadow[start] == "(" and ")" not in shadow[start:end]:
        start += 1
    value = shadow[start:end]
    if re.fullmatch(r"\d{1,3}\.\d{1,3} ?- ?\d{1,3}\.\d{1,3}", value):
        return None  # a range: "pH 7.35-7.45"
    if DATE_LIKE.match(value) or re.fullmatch(r"(?:19|20)\d\d[ -](?:19|20)\d\d", value):
        return None
    return None if UNITS_AFTER.match(shadow[end : end + 12].lower()) else (start, end)


# Without the number before it: "ext. 5521", "Durchwahl 4412".
_EXTENSION = (
    rf"(?i)(?:{EDGE}(?:pager|beeper|durchwahl|nebenstelle)|"
    r"(?:[0-9,;:(\n] ?|\b(?:call|dial|at|on|tel|phone|my|reach|us) )"
    r"(?:ext\.?|extension|interno|anexo))"
    r"(?:[ ]?(?:no|nr|#|number)\b\.?)?[ :.#=]{1,3}"
)
_EXTENSION_VALUE = re.compile(r"[0-9]{4,6}(?![0-9A-Za-z]|[.,/:%-][0-9])")
# "sms sent to=5552134", "call failed, from: 12 34 56 78"
_MESSAGE = (
    rf"(?i){EDGE}(?:sms|mms|whatsapp|otp|call|dial(?:ed|led|ing)?|voicemail)\b[^\n]{{0,40}}"
    r"\b(?:to|from|dst|dest(?:ination)?|recipient)[\"']?[=:][\"' ]{0,2}"
)

PHONES = Family(
    (
        Rule("PHONE", _PHONE_AFTER_WORD, _phone_by_word, 6, _PHONE_VALUE, trigger=SIX_DIGITS),
        Rule("PHONE", _MESSAGE, _phone_by_word, 8, _PHONE_VALUE),
        Rule("PHONE", _EXTENSION, as_it_is, 9, _EXTENSION_VALUE),
        Rule("PHONE", _BRACKETED, _phone, 8, trigger=SIX_DIGITS),
        Rule("PHONE", _INTERNATIONAL, _international, 7, trigger=SIX_DIGITS),
        Rule("PHONE", _NANP, _phone, 8, trigger=SIX_DIGITS),
        Rule("PHONE", _TRUNK, _trunk, 8, trigger=SIX_DIGITS),
        Rule("PHONE", _SPANISH, _phone, 8, trigger=NINE_DIGITS),
        Rule(
            "PHONE",
            _PHONE_BEFORE_WORD,
            _phone_by_word,
            8,
            _PHONE_INSIDE,
            trigger=rf"(?i)[0-9][ \t-]{{1,2}}\(?(?:{words.PHONE_AFTER})\b",
        ),
        Rule("PHONE", _BARE, _bare_phone, 9, trigger="[0-9]{10}"),
    ),
)
