"""One rule per written form of an identifier: a pattern for RE2 and a check in Python.

A pattern proposes, its check decides: check digits, shape, and the words just before and after.
Rules are searched in the shadow of a text (shadow.py). All repetition is bounded, and checks look
at short windows only, so that no input is slow. Patterns have no groups, which RE2 is slow at:
where a pattern holds more than the value, `value` finds that behind the match, or inside it.

To add an identifier: a word in vocabulary.py if a known rule would find it beside that word; else
a `Rule` here, and a line for it in tests/corpus/test_detect.py, with one that must not match.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

import re2

from ft_assets.corpus import checksums
from ft_assets.corpus import vocabulary as words

Found = tuple[int, int] | None  # where in the shadow
Check = Callable[[str, int, int], Found]


@dataclass(frozen=True)
class Rule:
    type: str
    pattern: str
    check: Check
    rank: int  # of two that overlap the lower rank stays
    value: re.Pattern[str] | None = None  # with a group: inside the match; without: behind it
    # A simpler pattern that is in every text in which `pattern` is: all triggers are searched in
    # one pass, and counted repetition, which makes that pass slow, is left to `pattern`.
    trigger: str = ""  # "": the pattern itself
    retry: bool = False  # after a match that fails the check, at its next group of digits


class Before:
    (
        """Whether the characters just before a place end in a pattern; RE2, as `re` """
        """takes 100x longer."""
    )

    def __init__(self, pattern: str, size: int = 40) -> None:
        self._pattern = re2.compile(f"(?i)(?:{pattern})$".encode())
        self._size = size

    def __call__(self, shadow: str, place: int) -> bool:
        window = shadow[max(0, place - self._size) : place].encode("ascii")
        return self._pattern.search(window) is not None


# Letters and digits around a value make it part of something longer.
_EDGE = r"(?:^|[^A-Za-z0-9])"
_PUNCT = r"""[\s"'`:=>#.|(\[\]{}\\*/\x01\x02-]"""
_MARKUP = r"(?:</?[A-Za-z!][^<>\n]{0,60}>\s{0,3}){0,3}"
_WORD_END = rf"(?:{words.NUMBER})?(?:\b|[_#.: ])"  # "passportNumber"
# Between the word that names a value and the value: `": "`, " is ", "-Nr. ", "=", ">", "#".
_IS = (
    r"(?:is|was|are|ist|lautet|est|es|e|are|of|von|de|del|du|for|the|my|mi|with|holder|in|no|to|"
    r"di|do|da|van|ar|er|on|jest|sam|ending)"
)
_LINK = (
    rf"[ \t]{{0,3}}(?:\([^()\n]{{0,20}}\))?[ _-]?(?:{words.NUMBER}\b[.o]{{0,2}})?"
    rf"{_PUNCT}{{0,8}}{_MARKUP}(?:\b{_IS}\b[\s:\"'(]{{1,3}}){{0,2}}"
    rf"(?:{words.NUMBER}\b[\s.:#=\"'>]{{0,4}})?"
)
_VALUE = re.compile(r"[A-Za-z0-9]{1,24}(?:[-/._ ][A-Za-z0-9]{1,20}){0,6}")


def _window(shadow: str, start: int, size: int = 40) -> str:
    return shadow[max(0, start - size) : start].lower()


def _alone(shadow: str, start: int, end: int) -> bool:
    """Not a piece of a longer number, word, decimal or path."""
    before, after = shadow[start - 1 : start], shadow[end : end + 1]
    if before.isalnum() or after.isalnum() or before == "_" or after == "_":
        return False
    if before in (".", ",", "-", "/", ":", "$", "#") and shadow[start - 2 : start - 1].isdigit():
        return False
    if (before and before in "$#") or shadow[start - 2 : start] in ("$ ", "# "):
        return False
    return not (after in (".", ",", "-", "/", ":", "%") and shadow[end + 1 : end + 2].isdigit())


_not_personal = Before(
    rf"(?:^|[^a-z])(?:{words.NOT_PERSONAL})[\s:#.=\"'(-]{{0,4}}"
    rf"(?:{words.NUMBER}\b[\s:#.=\"']{{0,3}})?(?:is |was )?"
)
_UNITS_AFTER = re.compile(
    r"\s?(?:%|\$|eur|usd|gbp|euros?|dollars?|chf|pounds?|million|billion|thousand|"
    r"mg|ml|kg|km|cm|mm|"
    r"ms|sec|minutes|hours|days|years|people|items|units|bytes|kb|mb|gb|px|rows|times)\b"
)


_NO_DIGITS = re.compile(r"[^0-9]+")


def _digits(value: str) -> str:
    return _NO_DIGITS.sub("", value)


# --- network ---------------------------------------------------------------------------------

_URL = r"(?i)(?:[a-z][a-z0-9+.-]{1,15}(?::[a-z]{2,12})?://|www\.)[^\s<>\"'`\x01\x02|\\^{}]{3}"
# Without a scheme: a host in lower case with a path.
_URL_BARE = (
    rf"\b(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,5}}(?:{words.COMMON_TLDS})"
    r"(?::[0-9]{2,5})?/[a-zA-Z0-9~@]"
)
_EMAIL = (
    r"(?:\"[^\"@\n]{1,40}\"|[A-Za-z0-9_+'&.~%!#$*/=?^-]{1,64})@"
    r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){1,8}|localhost|"
    r"\[[0-9A-Fa-f.:]{3,45}\])"
)
# Names and hosts in scripts without spaces.
_EMAIL_UNSPACED = (
    r"[A-Za-z0-9._+\x02-]{1,64}@[A-Za-z0-9\x02-]{0,62}\x02[A-Za-z0-9\x02-]{0,62}(?:\.[A-Za-z0-9\x02-]{1,63}){1,4}|"
    r"\x02{1,20}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}"
)
_EMAIL_SPACED = (
    rf"[A-Za-z0-9][A-Za-z0-9_+.-]{{1,63}}(?:@ |"
    rf" @ ?)[A-Za-z0-9-]{{2,63}}(?: ?\. ?[a-z0-9-]{{2,63}}){{0,4}} ?\. ?(?"
    rf":{words.COMMON_TLDS})\b"
)
_AT = (
    r"(?:\s{0,2}[\[({<]\s?(?:at|@|arroba|arobase|a-?t|a|klammeraffe|"
    r"chiocciola|apenstaartje|snabel-?a|malpa|sobaka)\s?[\])}>]\s{0,2}|"
    r"[ _]{1,2}(?:at|arroba|arobase|klammeraffe|"
    r"chiocciola|apenstaartje|snabel-?a|malpa|sobaka)[ _]{1,2})"
)
_DOT = (
    r"(?:\s{0,2}[\[({<]\s?(?:dot|punkt|punto|point|ponto|tocka|kropka|tochka|\.)\s?[\])}>]\s{0,2}|"
    r"[ _]{1,2}(?:dot|punkt|punto|point|ponto|punt|kropka|tocka)[ _]{1,2})"
)
_JOIN = (
    rf"(?:{_DOT}|[ ](?:underscore|dash|hyphen|minus|plus|guion(?: bajo)?|tiret(?: du bas)?|"
    r"unterstrich|bindestrich|trattino(?: basso)?|hifen|underline)[ ])"
)
_EMAIL_SPELLED = (
    rf"(?i)\b[A-Za-z0-9][A-Za-z0-9._+-]{{0,40}}(?:{_JOIN}[A-Za-z0-9._+-]{{1,30}}){{0,3}}"
    rf"(?:{_AT}|\s?@\s?)[A-Za-z0-9-]{{1,40}}(?:(?:{_DOT}|"
    rf"\.)[A-Za-z0-9-]{{1,30}}){{0,3}}{_DOT}[A-Za-z]{{2,12}}\b"
)
_EMAIL_HALF_SPELLED = (
    rf"(?i)\b[A-Za-z0-9][A-Za-z0-9._+-]{{1,40}}{_AT}[A-Za-z0-9-]{{1,40}}(?"
    rf":\.[A-Za-z0-9-]{{1,30}}){{0,3}}\.(?:{words.COMMON_TLDS})\b"
)


# Patterns stop after some hundred characters; what goes on is taken along up to this many.
_MAX_TAIL = 4000


def _tail(shadow: str, end: int, allowed: re.Pattern[str]) -> int:
    more = allowed.match(shadow, end, end + _MAX_TAIL)
    return more.end() if more else end


_URL_CHARS = re.compile(r"[^\s<>\"'`\x01\x02|\\^{}]+")
_TOKEN_CHARS = re.compile(r"[A-Za-z0-9_.-]+")


def _url(shadow: str, start: int, end: int) -> Found:
    if start and shadow[start - 1].isalnum():
        return None
    end = _tail(shadow, end, _URL_CHARS)
    while end > start and shadow[end - 1] in ".,;:!?)]'*_>":
        if shadow[end - 1] == ")" and "(" in shadow[start:end]:
            break
        end -= 1
    return (start, end) if end - start > 6 else None


# Behind these the sign belongs to what stands before the address: "to=", "a/", "x#".
_FIELD = re.compile(
    r"(?:^|[&?/])(?:to|from|cc|bcc|mail|e-?mail|user(?:name)?|login|sender|rcpt|"
    r"recipient|address|[a-z_]{1,20})=(?=[^=]*$)|^[#/!*=$?^]+"
)


_ROLES = re.compile(words.ROLE_MAILBOXES)


def _name_start(name: str) -> int:
    """Where the local part begins: "a=1&mail=jane" is a query, "SRS0=ab=jane" a name."""
    field = _FIELD.search(name)
    return field.end() if field and field.end() < len(name) else 0


def _email(shadow: str, start: int, end: int) -> Found:
    while start < end and shadow[start] in ".-'%~&+":
        start += 1
    value = shadow[start:end]
    name, _, host = value.rpartition("@")
    if not name or _ROLES.fullmatch(name.lower()):
        return None
    name_at = _name_start(name)
    start, name = start + name_at, name[name_at:]
    if host == "localhost" or host.startswith("["):
        return start, end
    labels = host.split(".")
    if len(labels) == 4 and all(label.isdigit() and int(label) < 256 for label in labels):
        return start, end
    while len(labels) > 1 and not (labels[-1].isalpha() and len(labels[-1]) > 1):
        if labels[-1].startswith("xn--"):
            break
        end -= len(labels.pop()) + 1
    return (start, end) if len(labels) > 1 else None


def _as_it_is(shadow: str, start: int, end: int) -> Found:
    return start, end


_PHRASE = re.compile(
    r" at .* (?:point|punto|punkt) (?!(?:com|org|net|edu|gov|info|fr|es|de|uk|"
    r"eu|ch|br|pt|mx|nl|pl)$)",
    re.IGNORECASE,
)


def _spelled(shadow: str, start: int, end: int) -> Found:
    """ "at some point in time" is no address."""
    return None if _PHRASE.search(shadow[start:end]) else (start, end)


def _half_spelled(shadow: str, start: int, end: int) -> Found:
    """ "meet me at amazon.com" is no address: the name must look like one."""
    name = shadow[start:end].split(" at ")[0]
    if " at " in shadow[start:end] and not re.search(r"[\d._+-]", name):
        return None
    return start, end


_IPV4 = r"\b[0-9]{1,3}(?:\[?\.\]?[0-9]{1,3}){3}\b|\bip-[0-9]{1,3}(?:-[0-9]{1,3}){3}\b"
_IPV6 = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
_version_before = Before(
    r"(?:[a-z]/|\bv|version|ver\.?|release|build|firmware|section|sec\.?|chapter|clause|article|"
    r"paragraph|abschnitt|kapitel|seccion|rev\.?|sdk|driver|update|patch|\x01)[\s:=]{0,2}",
    size=16,
)


_address_word = Before(
    r"(?:ip|ipv4|host|addr(?:ess)?|client|server|from|peer|remote|ping|src|dst|source|via|gateway|"
    r"dest(?:ination)?|dns|login|forwarded-for|real-ip|adresse|direccion|indirizzo)"
    r"[\s\"':=(\[>\x01\x02-]{1,4}(?:(?:is|was|ist|est|es) )?",
    size=24,
)


def _ipv4(shadow: str, start: int, end: int) -> Found:
    if shadow.startswith("ip-", start, end):
        start += 3
    written = re.findall("[0-9]+", shadow[start:end])
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in written):
        return None
    before = shadow[start - 1 : start]
    # "1.2.3.4-5.6.7.8" is a range; "kernel-5.15.0.91" is a version.
    dashed = before == "-" and not shadow[start - 2 : start - 1].isdigit()
    if (
        before in (".", "_")
        or (dashed and shadow[start - 3 : start] != "ip-")
        or shadow[end : end + 1] == "_"
    ):
        return None
    if shadow[end : end + 1] == "." and shadow[end + 1 : end + 2].isdigit():
        return None
    if _version_before(shadow, start):
        return None
    parts = [int(part) for part in written]
    # "6.1.5.4" is a clause; networks in use have a larger part, or are 10.x and 127.x.
    if parts[0] != 10 and max(parts) < 30 and not _address_word(shadow, start):
        return None
    return start, end


_IPV4_TAIL = re.compile(r"(?:\.\d{1,3}){3}(?![\w.])")


def _ipv6(shadow: str, start: int, end: int) -> Found:
    if shadow[start - 1 : start].isalnum() or shadow[end : end + 1].isalnum():
        return None
    end = _tail(shadow, end, _IPV4_TAIL)
    value = shadow[start:end]
    # A trailing separator belongs to the sentence, except in "fe80::".
    if value.endswith(":") and not value.endswith("::"):
        value, end = value[:-1], end - 1
    if value.startswith(":") and not value.startswith("::"):
        value, start = value[1:], start + 1
    if len(value) < 6 or not any(char.isdigit() for char in value) or value.count(":") < 2:
        return None
    if value.count(":") < 4 and not re.search("[A-Fa-f]", value):
        return None  # "10::20"
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return None
    return start, end


_MAC_BARE = r"(?i)\bmac(?:[ _-]?addr(?:ess)?)?[\"']?\s{0,2}[=:]\s{0,2}[\"']?"
_MAC_BARE_VALUE = re.compile(r"[0-9A-Fa-f]{12}\b")
_MAC = r"(?i)\b[0-9A-F]{2}(?:[:-][0-9A-F]{2}){5}\b|\b[0-9A-F]{4}\.[0-9A-F]{4}\.[0-9A-F]{4}\b"


def _mac(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    if shadow[start - 1 : start] in (":", "-", ".") or shadow[end : end + 1] in (":", "-"):
        return None
    mixed = ":" in value and "-" in value
    return None if mixed or len(set(value) - set(":-.")) < 2 else (start, end)


# --- money -----------------------------------------------------------------------------------

_IBAN = r"(?i)[A-Z]{2}[ -]?[0-9]{2}(?:[ .\n-]?[A-Z0-9]){11,31}"
_CARD = r"[0-9](?:(?:[ .-]{0,2}|[ .+_/\n-]{1,3})[0-9]){11,18}"
_card_word = Before(rf"(?:^|[^a-z])(?:{words.CARD})[^\d\n]{{0,30}}")


_IBAN_GROUPS = re.compile(r"\w{4}(?:([ .-]?)\w{4}(?:\1\w{4}){1,7}(?:\1\w{1,3})?)")


def _iban(shadow: str, start: int, end: int) -> Found:
    length = checksums.IBAN_LENGTHS.get(shadow[start : start + 2].upper())
    if length is None:
        return None
    if shadow[start - 1 : start].isalnum() and shadow[max(0, start - 4) : start].lower() != "iban":
        return None
    value, stop = "", start
    while stop < end and len(value) < length:
        if shadow[stop].isalnum():
            value += shadow[stop].upper()
        stop += 1
    if len(value) < length or shadow[stop : stop + 1].isalnum() or not checksums.iban(value):
        return None
    # One text in a hundred of this shape holds by chance: "at 2211 Old Earhart Road".
    written = shadow[start:stop]
    one_case = written in (written.upper(), written.lower()) or _IBAN_GROUPS.fullmatch(written)
    return (start, stop) if one_case and len(_digits(value)) >= 8 else None


_UNUSUAL_GAP = re.compile(r"[+_/\n]|[ .-]{3}")
_CARD_GROUPS = re.compile(
    r"\d{4}([ .+_/\n-]{1,3})\d{4}([ .+_/\n-]{1,3})\d{4}([ .+_/\n-]{1,3})\d{4}|"
    r"\d{4}([ .+_/\n-]{1,3})\d{6}\4\d{4,5}|\d(?:([ -])\d)(?:\5\d){11,17}"
)


def _card(shadow: str, start: int, end: int) -> Found:
    before = shadow[start - 1 : start]
    # The track of a magnetic stripe, and the number sign of Cyrillic print.
    track = shadow[max(0, start - 2) : start] in ("%B", "N", " N", ":N")
    if (before.isalnum() and not track) or (before and before in "+.-_"):
        return None
    written = shadow[start:end]
    digits = _digits(written)
    plain = len(written) - len(digits) <= 8 and not _UNUSUAL_GAP.search(written)
    if not plain and not _CARD_GROUPS.match(written):
        return None
    named = _card_word(shadow, start)
    # A longer run may hold the card and what follows it: "4111 1111 1111 1111 123".
    for length in sorted({len(digits), 16, 15, 14, 13}, reverse=True):
        head = digits[:length]
        if length > len(digits) or len(set(head)) < 2:
            continue
        if not (named or checksums.card_issuer(head)) or not checksums.luhn(head):
            continue
        stop = start
        while length:
            length -= shadow[stop].isdigit()
            stop += 1
        if shadow[stop : stop + 1].isalnum():
            continue
        if checksums.card_issuer(head) and (named or not _not_personal(shadow, start)):
            return start, stop
        if named and len(head) == len(digits):
            return start, stop
    return None


# --- numbers of persons ----------------------------------------------------------------------

_ID_STRONG = rf"(?i){_EDGE}(?:{words.ID_STRONG})s?{_WORD_END}{_LINK}"
_ID_INTERNAL = rf"(?i){_EDGE}(?:{words.ID_INTERNAL}){_WORD_END}{_LINK}"
_ID_WEAK = (
    rf"(?i){_EDGE}(?:{words.ID_WEAK})[s]?[ \t(]{{0,2}}(?:{words.NUMBER})\b[.\s:#]{{0,4}}(?:o )?"
)
# "18949 / 91": court registers put spaces around the stroke.
_REGISTER_VALUE = re.compile(
    r"[A-Za-z0-9]{1,24}(?: ?[-/._] ?[A-Za-z0-9]{1,20}| [A-Za-z0-9]{1,20}){0,6}"
)
_WEAK_VALUE = re.compile(r"\d[\d /.-]*\d|\d+")
_TOKEN = re.compile(r"[A-Za-z0-9]+")
_DATE_LIKE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d|\d{1,2}[/.]\d{1,2}[/.](?:19|20)?\d\d")


_DIGIT = re.compile("[0-9]")
_OTHER_NUMBER = re.compile(words.NOT_PERSONAL)
_sentence_end = Before(
    r"[a-z]{5}[!?]\s|[a-z]{3}(?:[a-mo-z][a-z]|[a-z][a-npqs-z])\.\s", size=7
)  # not "Kundennr. "


def _id_after_word(shadow: str, start: int, end: int) -> Found:
    """The tokens from `start` that belong to one id: each has a digit, or is a short code."""
    if not _DIGIT.search(shadow, start, end):
        return None
    first = _TOKEN.match(shadow, start, end)
    if first is None or _sentence_end(shadow, start):
        return None
    if _OTHER_NUMBER.fullmatch(first[0].lower()) and shadow[first.end() : first.end() + 1] != "-":
        return None
    stop = start
    for token in _TOKEN.finditer(shadow, start, end):
        gap = shadow[stop : token.start()] if stop > start else ""
        text = token[0]
        has_digit = any(char.isdigit() for char in text)
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
    value = shadow[start:stop]
    if shadow[stop : stop + 1].isalnum() or shadow[start - 1 : start].isalnum():
        return None
    digits = _digits(value)
    named_directly = (
        shadow[:start].rstrip(" \"'")[-1:] in (":", "=")
        if start < 8
        else shadow[start - 8 : start].rstrip(" \"'")[-1:] in (":", "=")
    )
    if len(digits) < 3 or len([c for c in value if c.isalnum()]) < (4 if named_directly else 5):
        return None
    if _DATE_LIKE.fullmatch(value) or _UNITS_AFTER.match(shadow[stop : stop + 12].lower()):
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
    value = _bare(shadow, *place)
    return place if len(value) >= 6 and len(_digits(value)) >= 4 else None


def _holder_id(shadow: str, start: int, end: int) -> Found:
    """ "patient 483920" and "claim C48392011"; not "claim 20230501" (a day), nor an amount."""
    if shadow[end : end + 1].isalnum() or shadow[end : end + 2] in (".0", ",0"):
        return None
    digits = _digits(shadow[start:end])
    coded = len(digits) < end - start
    if len(digits) < (4 if coded else 6) or (digits[:2] in ("19", "20") and len(digits) == 8):
        return None
    after = shadow[end : end + 12]
    amount = re.match(r"[.,]\d", after) or _UNITS_AFTER.match(after.lower())
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
    return place if len(_digits(value)) >= 6 or not value.isdigit() else None


def _id_after_weak_word(shadow: str, start: int, end: int) -> Found:
    number = _WEAK_VALUE.match(shadow, start, end)
    if number and ("/" in number[0] or len(_digits(number[0])) >= 4):
        stop = number.end()
        if shadow[stop : stop + 1].isalpha():
            return _id_after_word(shadow, start, end)
        return start, stop
    return _id_after_word(shadow, start, end)


_HL7_ID = r"(?:^|\n|\r)PID\|[^|\n]{0,10}\|[^|\n]{0,30}\|"
_HL7_VALUE = re.compile(r"[^|^\n]{3,40}")
_PATH_ID = (
    r"(?i)/(?:patients?|users?|customers?|accounts?|members?|clients?|employees?|persons?|people|"
    r"profiles?|patienten|kunden|pacientes?|clientes?|usuarios?|utilisateurs?|"
    r"subscribers?|policies|"
    r"claims?|cases?|records?|students?|beneficiar(?:y|ies)|contacts?|encounters?)/"
)
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
    rf"(?i){_EDGE}(?:procedimiento|autos|recurso|sentencia|proc\.|processo|procedimento|ricorso|"
    r"causa|sent\.|affaire|requete|arret|rg|delo|sprawa|zaak|rolnummer|sag|mal|application|"
    r"beschwerde|petition)[ ]?(?:no?|nr|num(?:ero)?|n\.|nums?)?[.o]{0,2}[ :]{0,3}"
)
_COURT_VALUE = re.compile(r"(?:[A-Z]{1,2}[0-9]{0,2}-)?\d{1,7} ?/ ?(?:(?:19|20)\d\d|\d\d)(?!\d)")
_NESTED_ID = (
    r"(?i)\b(?:patient|member|passport|policy|insurance|employee|subscriber|"
    r"account|insured|student|"
    r"licen[cs]e|national_?id|tax|paciente|poliza|cuenta|konto|versicherung)s?"
    r"[\"']?\s{0,3}(?:=>|[:=])?\s{0,3}[{(\[<>\n]{1,3}\s{0,8}[\"'<]?(?:id|number|"
    r"no|nr|num|value)[\"']?"
    r"\s{0,2}(?:=>|[:=>])\s{0,2}[\"']?"
)
_HOLDER = rf"(?i){_EDGE}(?:{words.ID_HOLDER})[ :#=]{{1,3}}(?:is )?"
_HOLDER_VALUE = re.compile(r"[A-Z]{0,4}-?[0-9]{4,14}[A-Z]?")
_ACRONYM = (
    rf"{_EDGE}(?:{words.ID_ACRONYM.upper()})(?i:[ -]?(?:nr|nummer|number|"
    rf"numbers))?(?i:{_WORD_END})(?i:{_LINK})"
    rf"|"
    rf"(?i){_EDGE}(?:{words.ID_ACRONYM})(?:[ _-]?{words.NUMBER})?[\"']?\s{{0,2}}(?:=>|"
    rf"[:=])\s{{0,2}}[\"'(]?"
)
_ACRONYM_TRIGGER = (
    rf"{_EDGE}(?:{words.ID_ACRONYM.upper()})[^A-Z]|"
    rf"(?i){_EDGE}(?:{words.ID_ACRONYM})(?:[ _-]?{words.NUMBER})?[\"']?\s{{0,2}}[:=]"
)
_NAMED_UNSPACED = rf"\x04{{2}}{_LINK}"
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
    r"[A-Z0-9]{5,8}(?![A-Za-z0-9])|[A-Z0-9]{1,4}(?:[ .-]{1,3}[A-Z0-9]{1,4}){0,3}"
)
_CODED_ID = (
    r"\b(?:MRN|NHC|PAT|PT|PID|ACC|ACCT|CUST|EMP|POL|MEM|SUB|CLM|KD|KDNR|VNR|PNR|DOS|"
    r"EXP|HIST|STU|DL|LIC)[-_#]?[0-9]{4,14}\b"
)
_DOCKET = r"\b(?:[0-9]{1,3}|[IVX]{1,5}) [A-Z][A-Za-z]{0,3} [0-9]{1,5}/[0-9]{2}\b"
_docket_word = Before(
    r"(?:az|aktenzeichen|geschaftszeichen|gz|urteil|beschluss|verfahren|gericht)[^\d\n]{0,20}"
)
_SSN = r"\b[0-9]{3}(?:-| - )[0-9]{2}(?:-| - )[0-9]{4}\b"
_SSN_SPACED = r"\b[0-9]{3}[ .][0-9]{2}[ .][0-9]{4}\b|\b[0-9]{9}\b"
_ssn_word = Before(
    r"(?:ssn|social(?: security)?|sozialversicherung\w*|securite sociale|"
    r"seguridad social|tax id|itin|ss ?#|ss ?n(?:o|umber)|soc\.? ?sec\.?|s\.s\.n\.?|taxpayer)"
    r"[^\d]{0,20}"
)


_US_DOCKET = r"(?i)\b[0-9]:[0-9]{2}-(?:cv|cr|mc|bk|md|mj)-[0-9]{3,6}(?:-[A-Z]{2,4}){0,3}\b"


def _docket(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _docket_word(shadow, start) else None


def _path_id(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end].rstrip("._-")
    return (start, start + len(value)) if sum(c.isdigit() for c in value) >= 3 else None


def _plate_named(shadow: str, start: int, end: int) -> Found:
    """Capitals and digits, four to nine of them; a word behind the plate is not part of it."""
    stop, seen = start, ""
    for token in _TOKEN.finditer(shadow, start, end):
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


def _ssn(shadow: str, start: int, end: int) -> Found:
    named = _ssn_word(shadow, start)
    return (start, end) if named or _alone(shadow, start, end) else None


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
_NINO = r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b"
_NINO_ANY = r"(?i)\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b"
_nino_word = Before(
    r"(?:\bnino|national ins\w*|\bni ?(?:no|number|num|"
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


def _bare(shadow: str, start: int, end: int) -> str:
    return "".join(char for char in shadow[start:end] if char.isalnum()).upper()


def _checked(holds: Callable[[str], bool], length: int) -> Check:
    def check(shadow: str, start: int, end: int) -> Found:
        value = _bare(shadow, start, end)
        right_length = length in (0, len(value))
        return (start, end) if right_length and holds(value) else None

    return check


def _dni(shadow: str, start: int, end: int) -> Found:
    value = _bare(shadow, start, end)
    return (start, end) if len(value) == 9 and checksums.spanish_dni(value) else None


def _eleven_digits(shadow: str, start: int, end: int) -> Found:
    """Steuer-ID and PESEL hold by chance in one number of ten: bare, or beside their own words."""
    value = _bare(shadow, start, end)
    if not _alone(shadow, start, end) or _not_personal(shadow, start):
        return None
    left = _window(shadow, start)
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
    holds = checksums.chilean_rut(_bare(shadow, start, end))
    return (start, end) if holds and _rut_word(shadow, start) else None


def _indian_pan(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _pan_word(shadow, start) else None


def _nordic(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _nordic_word(shadow, start) else None


def _nhs(shadow: str, start: int, end: int) -> Found:
    named = _nhs_word(shadow, start) or re.match(r" \(?nhs\b", shadow[end : end + 6].lower())
    return (start, end) if named and checksums.nhs_number(_bare(shadow, start, end)) else None


# --- phones ----------------------------------------------------------------------------------

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
_NANP = (
    r"(?:\b1[ .-]{0,2})?\(?\b[2-9][0-9]{2}\)?[ .-]{0,3}[0-9]{3}[ .-]{1,3}[0-9]{4}"
    r"(?:[ ,;]{0,3}(?:x|ext\.?|extension)[ .:]{0,2}[0-9]{1,6})?"
)
_TRUNK = r"\(?\b0[1-9][0-9]{0,4}\)?[ ./-]{1,3}[0-9]{2,8}(?:[ ./-]{1,2}[0-9]{2,6}){0,4}"
# Russia and Brazil: a code in brackets, the number in two parts.
_BRACKETED = (
    r"\b[78][ -]?\([0-9]{3,5}\)[ -]?[0-9]{1,3}[ -]?[0-9]{2}[ -]?[0-9]{2}\b|"
    r"\([1-9][0-9]\) ?9?[2-9][0-9]{3}[ -][0-9]{4}\b"
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
    rf"(?i)(?:{_EDGE}(?:{words.PHONE})(?:[ _-]?(?:number|num|no|nr|nummer))?(?:\b|"
    rf"_)|\x03)(?:[ ](?:no|nr|number|num|me|us|him|her|them|back|is|at|on|to|der|die|"
    rf"unter|auf|mich|uns|mir|au|sur|me|moi|al|en|a|el|est|es|ist|lautet|my|mi|"
    rf"mobil[e]?|home|work|my registered|cell|please|"
    rf"line|numero|de|e|sou|er|ar|jest|du|del|le|la|les|nous|registered|movil|"
    rf"celular|portable|fijo|fixe|fisso|privat|now|or|"
    rf"text|sms|call)\b){{0,5}}"
    rf"{_PUNCT}{{0,8}}{_MARKUP}"
)
_PHONE_VALUE = re.compile(_NUMBERISH)
_PHONE_BEFORE_WORD = rf"(?i){_NUMBERISH}[ \t-]{{1,2}}\(?(?:{words.PHONE_AFTER})\b"
_PHONE_INSIDE = re.compile(f"({_NUMBERISH})")


def _phone(shadow: str, start: int, end: int) -> Found:
    if not _alone(shadow, start, end):
        return None
    if shadow[start] != "(" and _not_personal(shadow, start):
        return None
    digits = _digits(shadow[start:end])
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3:
        return None
    if shadow[start] == "(" and ")" not in shadow[start:end]:
        start += 1
    return start, end


def _international(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    digits = _digits(value)
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


def _trunk(shadow: str, start: int, end: int) -> Found:
    digits = _digits(shadow[start:end])
    pairs = re.fullmatch(r"0\d(?:[ .-]\d\d){4}", shadow[start:end])
    if not 9 <= len(digits) <= 12 or (_DATE_LIKE.search(shadow, start, end) and not pairs):
        return None
    # Behind another group of digits it is the middle of a longer number.
    return None if _inside_number(shadow, start) else _phone(shadow, start, end)


def _inside_number(shadow: str, start: int) -> bool:
    return start > 1 and shadow[start - 1] in " -" and shadow[start - 2].isdigit()


def _bare_phone(shadow: str, start: int, end: int) -> Found:
    left = _window(shadow, start, 24)
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
    return (
        None if _UNITS_AFTER.match(shadow[end : end + 12].lower()) else _phone(shadow, start, end)
    )


def _phone_by_word(shadow: str, start: int, end: int) -> Found:
    while start < end and shadow[start] == " ":
        start += 1
    digits = _digits(shadow[start:end])
    if not 6 <= len(digits) <= 15:
        return None
    after = shadow[end : end + 1]
    if after.isalnum() or (after in (",", ".") and shadow[end + 1 : end + 2].isdigit()):
        return None
    if shadow[start] == "(" and ")" not in shadow[start:end]:
        start += 1
    value = shadow[start:end]
    if re.fullmatch(r"\d{1,3}\.\d{1,3} ?- ?\d{1,3}\.\d{1,3}", value):
        return None  # a range: "pH 7.35-7.45"
    if _DATE_LIKE.match(value) or re.fullmatch(r"(?:19|20)\d\d[ -](?:19|20)\d\d", value):
        return None
    return None if _UNITS_AFTER.match(shadow[end : end + 12].lower()) else (start, end)


# --- dates and ages --------------------------------------------------------------------------

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
_BORN_SIGN = r"(?:^|[\s(,])(?:\*|b\.) ?"
RECORD = rf"(?i)\b(?:{words.RECORD})"


def _calendar(value: str) -> bool:
    value = re.split(r"(?<=\d)[T ](?=\d\d:)", value)[0]
    numbers = [int(n) for n in re.findall(r"\d+", value)]
    if len(numbers) < 3:
        return True
    if numbers[0] > 31:
        return 1 <= numbers[1] <= 12 and 1 <= numbers[2] <= 31
    return min(numbers[:2]) >= 1 and max(numbers[:2]) <= 31 and min(numbers[:2]) <= 12


def _date(shadow: str, start: int, end: int) -> Found:
    if not _calendar(shadow[start:end]) or not _date_edges(shadow, start, end):
        return None
    end += shadow[end : end + 1] == "\x11"  # the sign for "day"
    return (start, end) if _personal_date(shadow, start) else None


def date_of_record(shadow: str, start: int, end: int) -> Found:
    """A full date in a text that is somebody's record; a clock time beside it makes a log line."""
    if not _calendar(shadow[start:end]) or not _date_edges(shadow, start, end):
        return None
    if re.match(r"[T ]?:?\d{1,2}:\d\d", shadow[end : end + 6]) or ":" in shadow[start:end]:
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
    number = int(_digits(shadow[start:end]))
    return (start, end) if number <= 120 and shadow[end : end + 1] != "%" else None


def _age_inside(shadow: str, start: int, end: int) -> Found:
    number = re.search(r"\d+", shadow[start:end])
    return _age(shadow, start + number.start(), start + number.end()) if number else None


# --- places, names, secrets ------------------------------------------------------------------

_CAP = r"(?:[A-Z0-9][A-Za-z0-9'.-]{0,25})"
_STREET_WORDS_EN = (
    "Street|St|Avenue|Ave|Av|Boulevard|Blvd|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|"
    "Ter|Highway|Hwy|Parkway|Pkwy|Square|Sq|Crescent|Close|Circle|Cir|Trail|Alley|"
    "Row|Gardens|Grove|"
    "Hill|Mews|Plaza|Loop|Pike|Park"
)
_STREET_WORDS_FR = (
    r"rue|avenue|av\.?|boulevard|bd\.?|blvd|place|chemin|allee|impasse|quai|cours|route|passage|"
    "square|sentier|faubourg|residence"
)
_STREET_WORDS_ES = (
    r"calle|c/|avda\.?|avenida|av[./]|plaza|pza\.?|plza\.?|paseo|camino|carretera|ctra\.?|ronda|"
    r"travesia|urbanizacion|urb\.|glorieta|viale|via|corso|piazza|vicolo|largo|"
    r"rua|travessa|alameda|praca"
)
_STREET_DE_TRIGGER = (
    r"(?i)(?:strasse|strase|straase|str\.?|weg|platz|allee|gasse|damm|ufer|chaussee|"
    r"steig|pfad|ring|"
    r"promenade) [0-9]|\b(?:am|an der|an den|auf der|im|in der|unter den|zum|"
    r"zur) [a-z-]+ (?:[a-z-]+ )?[0-9]"
)
_UNIT = (
    r"(?:(?:Flat|Unit|Apt|Apartment|Suite|Shop|Level|"
    r"Room)\.?[ ]#?[A-Za-z0-9]{1,5}(?:,[ ]?|[ ]?/[ ]?|[ ]))?"
)
_STREET_EN = (
    rf"\b{_UNIT}[0-9]{{1,6}}(?:[-/][0-9]{{1,4}})?[A-Za-z]?,?[ ](?:(?:N|S|E|W|NE|"
    rf"NW|SE|SW|North|South|East|"
    rf"West)\.?[ ])?(?:{_CAP}[ ]){{1,4}}"
    rf"(?:{_STREET_WORDS_EN})\b\.?(?:[ ](?:N|S|E|W|NE|NW|SE|SW)\b\.?|[ ][0-9]{{1,4}}\b)?"
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Room|Rm|#)\.?[ ]?#?[A-Za-z0-9-]{1,6})?"
    rf"(?:,[ ](?:{_CAP}[ ]?){{1,3}}(?:,?[ ][A-Z]{{2}}\b)(?:[ ][0-9]{{5}}(?:-[0-9]{{4}})?)?)?"
)
# In one case throughout only the full words: "123 main street", "123 MAIN STREET".
_STREET_CASED = (
    r"\b[0-9]{1,5} (?:[a-z]{3,20} ){1,2}(?:street|avenue|boulevard|lane|road)\b"
    r"|\b[0-9]{1,5}[A-Z]? (?:[A-Z]{1,20}\.? ){1,3}(?:STREET|ST|AVENUE|AVE|"
    r"BOULEVARD|BLVD|ROAD|RD|LANE|LN|"
    r"DRIVE|DR|COURT|CT|WAY|TERRACE|PLACE|CLOSE|SQUARE)\b"
)
# The rest of Europe: the street before its number.
_STREET_SUFFIXED = (
    r"\b[A-Z][a-z'-]{2,25}(?:straat|laan|gracht|kade|singel|plein|dijk|gatan|"
    r"vagen|gata|veien|vej|gade|allen|gaten|"
    r"katu|tie|torget|"
    r"stien)[ ][0-9]{1,4}(?:[ -]?[A-Za-z]\b)?(?:,?[ ][0-9]{1,2}\.?[ ](?:tv|th|"
    r"mf|og|sal)\b\.?)?"
    r"|\b(?:[Uu]l|[Aa]l|[Pp]l|[Oo]s|[Pp]rosp|[Pp]er|"
    r"[Nn]ab)\.[ ](?:[A-Z][A-Za-z.'-]{1,25}[ ,]{1,2}){1,4}(?:[Dd]\.[ ]?|"
    r"[Bb]ud\.[ ]?)?"
    r"[0-9]{1,4}[a-zA-Z]?(?:[/-][0-9]{1,4})?(?:,?[ ](?:kv|k|m|lok|of)\.?[ ]?[0-9]{1,4})?"
    r"|\b[A-Z][a-z]{2,20} (?:utca|ut|ter|korut|sokak|caddesi|cd\.|sk\.|mah\.|"
    r"ulica|cesta|trg|bulvar\w{0,3})(?:[ ]No:?)?[ ][0-9]{1,4}\b"
)
# A value in quotes or in an element that the name says to be an address.
_STREET_KEY = (
    r"(?i)[\"'<](?:\w{1,20}[_-])?(?:street|address|addr|anschrift|adresse|"
    r"direccion|domicilio|indirizzo|endereco|strasse|calle|rue)"
    r"(?:[_-]?(?:line)?_?[1-3])?(?:[\"']\s{0,2}(?:=>|[:=])\s{0,2}[\"']|>)"
)
_STREET_KEY_VALUE = re.compile(r"[^\"'<>\n@]{0,80}?\d[^\"'<>\n@]{0,80}")
_STREET_DE = (
    rf"\b(?:{_CAP}[ ])?[A-Z][A-Za-z-]{{1,30}}(?:strasse|strase|straase|str\.?|weg|"
    rf"platz|allee|gasse|damm|ufer|chaussee|steig|pfad|"
    rf"promenade)[ ][0-9]{{1,4}}[ ]?[a-z]?\b(?:[ ]?[-/+][ ]?[0-9]{{1,4}}[a-z]?\b)?"
    rf"|\b(?:{_CAP}[ -]){{1,3}}(?:Strasse|Strase|Str\.?|Weg|Platz|Allee|Gasse|Damm|"
    rf"Ufer|Ring)[ ][0-9]{{1,4}}[ ]?[a-z]?\b"
    r"|\b(?:Am|An der|An den|Auf der|Im|In der|Unter den|Zum|"
    r"Zur)[ ](?:[A-Z][A-Za-z-]{2,25}[ ]){1,2}[0-9]{1,4}[a-z]?\b"
)
_NAME_WORDS = (
    r"(?:(?i:de|du|des|dei|degli|delle|del|la|las|los|le|les|el|y|e|da|das|do|dos|"
    r"d'|l'|di|della)[ ]?){0,3}"
)
_STREET_FR = (
    rf"\b[0-9]{{1,4}}[ ]?(?:bis\b|ter\b|quater\b|"
    rf"[a-d]\b)?,?[ ](?i:{_STREET_WORDS_FR})[ ](?"
    rf":{_NAME_WORDS}[A-Z0-9'][A-Za-z0-9'.-]{{1,25}}[ ]?){{1,4}}"
)
_STREET_ES = (
    rf"\b(?i:{_STREET_WORDS_ES})[ ]?(?:{_NAME_WORDS}[A-Z][A-Za-z0-9'.-]{{0,25}}[ "
    rf",]{{0,2}}){{1,5}}(?:n[o.]{{0,2}}[ ]?)?(?:[0-9]{{1,4}}\b|"
    rf"s/n)(?:[ ]?/?[A-D]\b)?(?:,?[ ]?[0-9]{{1,2}}[ ]?o?[.]?[ ]?(?:[A-H]|(?i:izq|der|"
    rf"dcha)[a-z]{{0,6}})?\b)?"
)
_PO_BOX = (
    r"(?i)\b(?:p\.?[ ]?o\.?[ ]?box|post ?box|postfach|boite postale|b\.p\.|"
    r"apartado (?:de correos|postal)|caixa postal|postbus|postboks|"
    r"skrytka pocztowa|casella postale|"
    r"rr ?[0-9]{1,3},? box|rural route [0-9]{1,3},? box)[ ]#?[0-9]{1,6}(?: [0-9]{2}){0,2}\b"
)
_ZIP_WORD = (
    r"(?i)\b(?:zip(?:[ _-]?code)?|post(?:al)?[ _-]?code|postleitzahl|plz|"
    r"code postal|codigo postal|c\.?p\.?|cap|cep|postnummer|pin[ _-]?code|kod pocztowy|psc|"
    r"postinumero|iranyitoszam|posta kodu|indeks|pocztow\w{1,3}|kodepos|eircode)"
    r"""[\s"':=>.-]{1,5}"""
    r"|\x06[\s\x01\x02:.-]{0,3}"
)
_ZIP_VALUE = re.compile(
    r"(?:\d{2}[- ]\d{3}(?!\d)|\d{3}[ -]\d{2}(?!\d)|\d{3}-\d{4}|\d{5}-?\d{3}|"
    r"\d{6}|\d{4}[ ]?[A-Z]{2}|"
    r"\d{4,5}(?:-\d{3,4})?|[A-Z]\d{2}[ ]?[A-Z0-9]{4}|"
    r"(?i:[A-Z]{1,2}\d[A-Z0-9]?[ ]?\d[A-Z]{2})|"
    r"[A-Z]{1,2}\d[A-Z0-9]?[ ]?\d[A-Z]{2}|"
    r"[A-Z]\d[A-Z][ ]?\d[A-Z]\d|\d{4}[ ]?[A-Z]{2})\b"
)
_ZIP_UK = (
    r"\b(?:[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][ABD-HJLNP-UW-Z]{2}|"
    r"[ABCEGHJ-NPRSTVXY][0-9][A-Z] [0-9][A-Z][0-9])\b"
)
# Letter of the country before it: "D-10115 Berlin".
_ZIP_COUNTRY = (
    r"\b(?:D|A|CH|F|I|B|L|NL|DK|S|SE|N|FI|FIN|E|PL|CZ|SK|LT|LV|LU)-[0-9]{4,5} [A-Z][a-z]{2}"
)
_ZIP_COUNTRY_INSIDE = re.compile(r"[A-Z]+-([0-9]+)")
_ZIP_US = (
    r"\b(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|"
    r"O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]) [0-9]{5}(?:-[0-9]{4})?\b"
)
_ZIP_INSIDE = re.compile(r"[A-Z]{2} ([0-9-]+)")
# After a street: "12 rue de la Paix, 75002 Paris".
_ZIP_TOWN = re.compile(r"[ ,\n]{1,3}((?:[A-Z]{1,2}-)?\d{4,5}(?:[ ][A-Z]{2})?)\b(?=[ ]+[A-Z])")


def street_zip(shadow: str, end: int) -> Found:
    zipcode = _ZIP_TOWN.match(shadow, end, end + 14 + 2)
    return (zipcode.start(1), zipcode.end(1)) if zipcode else None


def _street(shadow: str, start: int, end: int) -> Found:
    while end > start and shadow[end - 1] in " ,.'":
        end -= 1
    if shadow[start - 1 : start] in (".", "-", "/", "$", ",") and start:
        return None
    return start, end


_NO_STREET = re.compile(r" (?:the|and|per|hour|mile|minute|year|day|lane|way|new|of|from|for)s? ")


def _street_cased(shadow: str, start: int, end: int) -> Found:
    """ "3 lane road", "2 way street" and "20 years on the road" are not addresses."""
    return None if _NO_STREET.search(shadow[start:end].lower()) else _street(shadow, start, end)


_USERNAME_KEY = (
    rf"""(?i)(?:{_EDGE}(?:{words.USERNAME})|\x10)(?:["']?[ \t]{{0,2}}(?:=>|=|"""
    rf""":)[ \t]{{0,4}}["'@]?|>)"""
)
_USERNAME_PATH = (
    r"(?i)(?:^|[\s\"'=:(,\[>])(?:file://)?(?:[a-z]:)?(?:[/\\]{1,2}(?:home|users|"
    r"documents and settings)[/\\]{1,2}|/~)"
    r"|(?-i:(?:^|[A-Za-z.,:;] |[\n(\x01])/?u/)"
)
_USERNAME_PATH_VALUE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{1,40}(?=[/\\\s:\"',;)\]]|$)")
_USERNAME_DOMAIN = r"\b[A-Z][A-Z0-9-]{1,14}\\{1,2}[A-Za-z][A-Za-z0-9._-]{1,30}"
_USERNAME_DOMAIN_INSIDE = re.compile(r"[^\\]+\\+([A-Za-z0-9._-]+)")
_USERNAME_UID = r"\b(?:uid|euid|gid)=[0-9]{1,10}\([A-Za-z][A-Za-z0-9._-]{1,31}\)"
_USERNAME_UID_INSIDE = re.compile(r"[^(]+\(([^)]+)")
_USERNAME_SUDO = r"\bsudo(?:\[[0-9]+\])?: {1,8}[a-z_][a-z0-9._-]{1,31} : (?:TTY|PWD|USER|command)"
_USERNAME_SUDO_INSIDE = re.compile(r"[^:]+: +(\S+)")
_USERNAME_AT_HOST = r"'[A-Za-z0-9._-]{2,32}'@'[A-Za-z0-9.%_-]{1,60}'"
_USERNAME_AT_HOST_INSIDE = re.compile(r"'([^']+)")
_DISCORD = r"\b[A-Za-z0-9_.]{2,32}#[0-9]{4}\b"
_DISCORD_WORD = Before(r"discord[^\n]{0,20}")
_USERNAME_SAID = (
    r"(?i)\b(?:user[ ]?name|login|screen name|(?:\w{2,9} )?handle|gamertag|"
    r"benutzername|nutzername|nom d'utilisateur|"
    r"identifiant|pseudo|nombre de usuario|usuario|nome utente)[ ]{1,2}(?:is|was|"
    r"ist|lautet|est|es|e)[ ]['\"@]?"
    r"|(?i)\b(?:ig|insta(?:gram)?|twitter|skype|discord|telegram|snap(?:chat)?|"
    r"tiktok|psn|xbox)(?: ?(?:id|handle|name|user|"
    r"account|tag)){1,2}:? ['\"@]?"
)
_USERNAME_LOG = (
    r"(?i)\b(?:(?:failed password for )?invalid user|failed password for|"
    r"accepted (?:password|publickey) for|session (?:opened|closed) for user|"
    r"authentication (?:failure|failed) for(?: user)?|logged in as|log-?in (?:by|"
    r"from|of|for)(?: user)?|su: \(to [a-z]+\)) ['\"]?"
)
_USERNAME_VALUE = re.compile(r"(?:live:)?[A-Za-z0-9][A-Za-z0-9._@\\-]{1,63}")
_USERNAME_ACTS = (
    r"\b(?:User|user|USER) ['\"]?[A-Za-z0-9][A-Za-z0-9._-]{1,40}['\"]? (?:has |was |"
    r"is )?(?:logged|updated|created|deleted|changed|"
    r"failed|authenticated|signed|uploaded|downloaded|requested|accessed|added|"
    r"removed|reset|locked|unlocked|"
    r"connected|disconnected|opened|closed|joined|left|modified|performed|executed|"
    r"submitted|approved|"
    r"rejected|exported|imported|viewed|edited|registered|granted|revoked|denied|"
    r"started|stopped|from)\b"
)
_USERNAME_ACTOR = re.compile(r"[Uu](?:ser|SER) ['\"]?([A-Za-z0-9][A-Za-z0-9._-]{1,40})")
_USERNAME_CLF = r"[0-9a-fA-F:.]{3,39} - [A-Za-z0-9][A-Za-z0-9._@-]{1,40} \["
_USERNAME_CLIENT = re.compile(r"[0-9a-fA-F:.]+ - (\S+)")
_HANDLE = r"(?:^|[\s(\[{\"'.,;:!?\x01\x02*|>/-])@[A-Za-z0-9_]{2,30}(?:\.[A-Za-z0-9_]{2,30}){0,2}"
_HANDLE_INSIDE = re.compile(r"[^@]?(@[\w.]+)")


_NOT_USERNAMES = re.compile(words.NOT_USERNAMES)
_NOT_HANDLES = re.compile(words.NOT_HANDLES)
_speaker = Before(
    r"(?:[^a-z_\"'-]|^)(?:user|usr|nutzer|benutzer|usuario|utente|utilisateur|actor|player|"
    r"instagram|insta|twitter|telegram|slack|skype|discord|snapchat|line id|"
    r"login|log in|account name):\s{1,4}"
)
# A field of a log line or the end of it: "login: jdoe | ok", but not "login: please enter".
_FIELD_ENDS = re.compile(r"[\"']?(?:$|\n|[,;|)\]}<&]|[ \t]+(?:\||[A-Za-z_.]{2,20}=))")


def _username(shadow: str, start: int, end: int) -> Found:
    while end > start and shadow[end - 1] in ".-@\\":
        end -= 1
    value = shadow[start:end].lower()
    # "User: Hello" is a chat; "user: h.ello7" and "user=hello" are not.
    if _speaker(shadow, start) and not re.search(r"[\d._@\\-]", value):
        word = _window(shadow, start, 20)
        named = re.search(
            r"(?:login|log in|account name|actor|skype|discord|line id|"
            r"de usuario|utilisateur):\s+$",
            word,
        )
        if not (named and shadow[start].islower() and _FIELD_ENDS.match(shadow, end, end + 30)):
            return None
    plain = value.isalpha() and shadow[end : end + 6] == " from "
    if (
        plain
        and _window(shadow, start, 13).endswith("user ")
        and not _window(shadow, start, 13).endswith("invalid user ")
    ):
        return None
    return (
        None
        if _NOT_USERNAMES.fullmatch(value) or value.isdigit() or len(value) < 2
        else (start, end)
    )


def _login(shadow: str, start: int, end: int) -> Found:
    """A name in a path or beside a domain: system accounts are nobody's."""
    value = shadow[start:end].lower().rstrip(".-")
    system = _NOT_USERNAMES.fullmatch(value) or value in (
        "runner",
        "ubuntu",
        "node",
        "app",
        "shared",
    )
    return None if system or len(value) < 2 else (start, start + len(value))


def _discord(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _DISCORD_WORD(shadow, start) else None


def _handle(shadow: str, start: int, end: int) -> Found:
    while shadow[end - 1] == ".":
        end -= 1
    dot = shadow.find(".", start, end)
    # "@example.com" and "@angular.module" are not two words of a name; "@jane.doe" is.
    if dot >= 0 and re.fullmatch(words.COMMON_TLDS, shadow[end - 3 : end].split(".")[-1]):
        return None
    if _NOT_HANDLES.fullmatch(shadow[start + 1 : end].lower()) or shadow[start + 1 : end].isdigit():
        return None
    after = shadow[end : end + 1]
    if (after and after in "(/@-=") or (after == "." and shadow[end + 1 : end + 2].islower()):
        return None
    return start, end


_CREDENTIAL_KEY = (
    rf"""(?i){_EDGE}(?:{words.CREDENTIAL})["']?[ \t]{{0,2}}(?:=|:|"""
    rf"""=>)[ \t]{{0,2}}["']?(?:bearer |basic |token |digest )?"""
)
_SECRET_VALUE = re.compile(r"""(?:[^\s"'<>,;&|\x01]|&(?![A-Za-z_]{1,30}=)){6,200}""")
_CREDENTIAL_FORM = (
    r"\b(?:eyJ[A-Za-z0-9_-]{10,400}\.[A-Za-z0-9_-]{4,100}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255}"
    r"|glpat-[A-Za-z0-9_-]{20,60}|xox[abprs]-[A-Za-z0-9-]{10,200}|AIza[0-9A-Za-z_-]{35}"
    r"|(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{20,200}|"
    r"hf_[A-Za-z0-9]{30,60}|(?:AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[0-9A-Z]{16}|"
    r"npm_[A-Za-z0-9]{30,60}"
    r"|SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{16,60}|"
    r"do[opr]_v1_[a-f0-9]{40,80}|(?:AC|SK)[a-f0-9]{32}\b|"
    r"ya29\.[A-Za-z0-9_-]{20,200}"
    r"|pypi-[A-Za-z0-9_-]{30,300}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|"
    r"sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|lin_api_[A-Za-z0-9]{30,60}"
    r"|AAAA[BCE]3NzaC1[A-Za-z0-9+/=]{12,400}|key-[a-f0-9]{32}\b|"
    r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b|dckr_pat_[A-Za-z0-9_-]{20,60}"
    r"|[Bb]earer [A-Za-z0-9_.~+/-]{20,400})"
)
_PRIVATE_KEY = r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
_PRIVATE_KEY_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s:,.\\]|-(?!-----BEGIN))+")


def _private_key(shadow: str, start: int, end: int) -> Found:
    closing = shadow.find("-----END", end, end + 2 * _MAX_TAIL)
    if closing >= 0:
        line = _tail(shadow, closing, re.compile(r"-----END [A-Z ]{0,30}-----"))
        return start, line
    return start, _tail(shadow, end, _PRIVATE_KEY_BODY)


def _secret_form(shadow: str, start: int, end: int) -> Found:
    return start, _tail(shadow, end, _TOKEN_CHARS)


def _secret(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if not mixed and _password_key(shadow, start):
        mixed = value.isalnum() and not _NOT_PASSWORDS.fullmatch(value.lower())
    return (start, end) if mixed and "://" not in value and "(" not in value else None


_password_key = Before(
    r"(?:passw(?:or)?d|pwd|passwort|kennwort)[\"']?\s?=[\"']?|(?:passw(?:or)?d|"
    r"pwd)[\"']\s?:\s?[\"']|\bpwd: "
)
_NOT_PASSWORDS = re.compile(
    "required|password|string|secret|invalid|incorrect|expired|changed|hidden|redacted|masked|"
    "false|undefined|optional|process|config|settings|getpass|default|unknown|encrypted|empty"
)


# --- wallets and coordinates -----------------------------------------------------------------

_WALLET = (
    r"\b(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|(?:bc1|tb1|"
    r"ltc1)[02-9ac-hj-np-z]{11,71}|0x[0-9a-fA-F]{40}|"
    r"[LM][1-9A-HJ-NP-Za-km-z]{26,33}|T[1-9A-HJ-NP-Za-km-z]{33}|"
    r"r[1-9A-HJ-NP-Za-km-z]{24,34}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}|"
    r"addr1[0-9a-z]{50,100}|D[5-9A-HJ-NP-U][1-9A-HJ-NP-Za-km-z]{32})\b"
)
_WALLET_TRIGGER = (
    r"\b(?:[13LMTD][1-9A-HJ-NP-Za-km-z]{2}|r[1-9A-HJ-NP-Za-km-z]{4}|bc1|tb1|ltc1|"
    r"0x[0-9a-fA-F]{2}|4[0-9AB]|addr1)[0-9A-Za-z]{20}"
)
_PRIVATE_WALLET_KEY = r"\b[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b"


def _wallet(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    if value.startswith(("bc1", "tb1", "ltc1", "addr1")):
        return (start, end) if any(c.isdigit() for c in value[4:]) else None
    if value.startswith("0x"):
        return start, end
    alphabet = checksums.RIPPLE if value[0] == "r" else checksums.BITCOIN
    return (start, end) if value[0] == "4" or checksums.base58(value, alphabet) else None


_DEGREES = r"-?[0-9]{1,3}\.[0-9]{3,12}"
_COORDINATE_WORD = (
    r"(?i)(?:^|[^a-z])(?:lat(?:itude)?|lon(?:gitude)?|lng|breitengrad|langengrad|"
    r"latitud|longitud)[\"']?\s{0,2}[=:>]{1,2}\s{0,2}[\"']?"
)
_COORDINATE_VALUE = re.compile(r"-?\d{1,3}\.\d{2,15}")
_COORDINATE_PAIR = (
    rf"{_DEGREES} ?o? ?[NSns]?[,; ]{{1,2}}{_DEGREES} ?(?:o ?)?[EWewOo]?\b"
    r"|\b[0-9]{1,2} ?o ?[0-9]{1,2} ?['\x01] ?[0-9]{1,2}(?:\.[0-9]{1,4})? ?(?:\"|'') ?[NS][, ]{1,2}"
    r"[0-9]{1,3} ?o ?[0-9]{1,2} ?['\x01] ?[0-9]{1,2}(?:\.[0-9]{1,4})? ?(?:\"|'') ?[EWO]\b"
)
_coordinate_word = Before(
    r"(?:gps|geo|coord\w{0,7}|koordinat\w{0,3}|lat ?/ ?(?:lon|lng)|lat_?lon|"
    r"lat_?lng|location|position|@|ll=|q=|\bat)[\s\"':=(\[\x01]{0,4}"
)


def _coordinates(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    hemispheres = re.search(r"[NS]\b.*[EWO]$", value)
    if not hemispheres and not (_coordinate_word(shadow, start) and "." in value):
        return None
    if not hemispheres and not all(len(n) > 3 for n in re.findall(r"\.(\d+)", value)):
        return None
    return start, end


_SIX_DIGITS = r"[0-9](?:[ ./()-]{0,3}[0-9]){5}"
_NINE_DIGITS = r"[0-9](?:[ ./|-]{0,3}[0-9]){8}"


def _words(alternation: str) -> str:
    return rf"(?i){_EDGE}(?:{alternation})"


RULES: tuple[Rule, ...] = (
    Rule("ID", _PRIVATE_KEY, _private_key, 0, trigger="PRIVATE KEY-----"),
    Rule("URL", _URL, _url, 1, trigger=r"(?i)[a-z0-9]://|www\."),
    Rule("EMAIL", _EMAIL, _email, 1, trigger=r"[A-Za-z0-9_+'&.~%!#$*/=?^\"-]@[A-Za-z0-9[]"),
    Rule(
        "URL", _URL_BARE, _url, 3, trigger=rf"\.(?:{words.COMMON_TLDS})(?::[0-9]+)?/[a-zA-Z0-9~@]"
    ),
    Rule(
        "EMAIL",
        _EMAIL_UNSPACED,
        _as_it_is,
        3,
        trigger=r"\x02[a-zA-Z0-9._+\x02-]*@|@[a-zA-Z0-9\x02-]*\x02",
    ),
    Rule("EMAIL", _EMAIL_SPACED, _as_it_is, 2, trigger=r"[A-Za-z0-9_+.-](?:@ | @)"),
    Rule("EMAIL", _EMAIL_SPELLED, _spelled, 2, trigger=f"(?i){_DOT}[a-z]"),
    Rule(
        "EMAIL",
        _EMAIL_HALF_SPELLED,
        _half_spelled,
        2,
        trigger=rf"(?i){_AT}[a-z0-9][a-z0-9.-]*\.(?:{words.COMMON_TLDS})\b",
    ),
    Rule("IBAN", _IBAN, _iban, 2, trigger=r"[A-Za-z]{2}[ -]?[0-9]{2}[ .\n-]?[A-Za-z0-9]{2}"),
    Rule("CREDIT_CARD", _CARD, _card, 3, trigger=r"[0-9](?:[ .+_/\n-]{0,3}[0-9]){11}", retry=True),
    Rule("SSN", _SSN, _ssn, 4),
    Rule("IP", _IPV6, _ipv6, 4, trigger="[0-9A-Fa-f:]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]"),
    Rule(
        "ID",
        _MAC,
        _mac,
        4,
        trigger=r"(?i)[0-9A-F]{2}[:-][0-9A-F]{2}[:-][0-9A-F]{2}[:-]|[0-9A-F]{4}\.[0-9A-F]{4}\.",
    ),
    Rule("ID", _MAC_BARE, _as_it_is, 4, _MAC_BARE_VALUE),
    Rule(
        "IP",
        _IPV4,
        _ipv4,
        4,
        trigger=r"[0-9]\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]|ip-[0-9]+-[0-9]+-",
    ),
    Rule(
        "ID",
        _CREDENTIAL_FORM,
        _secret_form,
        4,
        trigger=r"\b(?:eyJ|A(?:KIA|SIA|GPA|IDA|ROA|IPA|NPA|NVA)[0-9A-Z]|gh[pousr]_|"
        r"github_pat|glpat-|xox[abprs]-|AIza|"
        r"[spr]k[-_]|hf_|npm_|SG\.|do[opr]_v1|(?:AC|SK)[a-f0-9]{8}|ya29\.|pypi-|"
        r"shp[a-z]{2}_|sq0|lin_api|[Bb]earer |AAAA[BCE]3|key-[a-f0-9]|"
        r"[0-9]{8,10}:AA|dckr_)",
    ),
    Rule("SSN", _SSN_SPACED, _ssn_beside_word, 5, trigger=_NINE_DIGITS),
    Rule(
        "ID", _DNI, _dni, 5, trigger=r"[0-9]{3}\.?[0-9]{3}[ -]?[A-Za-z]\b|\b[XYZxyz][ -]?[0-9]{7}"
    ),
    Rule("ID", _NIR, _checked(checksums.french_nir, 15), 5, trigger=_NIR_TRIGGER),
    Rule("ID", _CODICE_FISCALE, _checked(checksums.italian_tax_code, 16), 5),
    Rule("ID", _NINO, _as_it_is, 6, trigger=r"\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"),
    Rule("ID", _RVNR, _checked(checksums.german_social_security, 12), 5),
    Rule("ID", _BELGIAN, _checked(checksums.belgian_number, 11), 5),
    Rule("ID", _CPF, _as_it_is, 5),
    Rule("ID", _NORDIC, _nordic, 5),
    Rule("ID", _ELEVEN, _eleven_digits, 5, trigger=_NINE_DIGITS),
    Rule("ID", _NHS, _nhs, 5, trigger=_NINE_DIGITS),
    Rule("ID", _HL7_ID, _as_it_is, 5, _HL7_VALUE, trigger=r"PID\|"),
    Rule("PHONE", _PHONE_AFTER_WORD, _phone_by_word, 6, _PHONE_VALUE, trigger=_SIX_DIGITS),
    Rule("ID", _ID_STRONG, _id_after_word, 6, _VALUE, trigger=_words(words.ID_STRONG)),
    Rule("ID", _NAMED_UNSPACED, _id_after_word, 6, _VALUE, trigger=r"\x04\x04"),
    Rule("ID", _ACRONYM, _long_id, 6, _VALUE, trigger=_ACRONYM_TRIGGER),
    Rule(
        "ID",
        _NESTED_ID,
        _id_after_word,
        6,
        _VALUE,
        trigger=r"(?i)\b(?:id|number|no|nr|num|value)[\"']?\s{0,2}[:=>]",
    ),
    Rule("ID", _HOLDER, _holder_id, 9, _HOLDER_VALUE),
    Rule("ID", _COURT, _as_it_is, 8, _COURT_VALUE),
    Rule(
        "ID", _PLATE_WORD, _plate_named, 6, _PLATE_VALUE, trigger=_PLATE_WORD.split("(?:\\b|_)")[0]
    ),
    Rule("ID", _AHV, _checked(checksums.ean13, 13), 5),
    Rule("ID", _CHINESE, _checked(checksums.chinese_id, 18), 4),
    Rule("ID", _KOREAN, _ssn, 5),
    Rule("ID", _EMIRATES, _as_it_is, 4),
    Rule("ID", _PAKISTANI, _ssn, 5),
    Rule("ID", _CURP, _as_it_is, 5),
    Rule("ID", _VIN, _vin, 5, trigger=r"[A-HJ-NPR-Z0-9]{9}"),
    Rule("ID", _CNPJ, _as_it_is, 5),
    Rule("ID", _RUT, _checked(checksums.chilean_rut, 0), 5),
    Rule("ID", _RUT_PLAIN, _rut, 5),
    Rule("ID", _NINO_ANY, _nino, 5),
    Rule("ID", _CUIT, _checked(checksums.argentine_cuit, 11), 5),
    Rule("ID", _SNILS, _checked(checksums.russian_snils, 11), 5),
    Rule("ID", _NRIC, _checked(checksums.singapore_nric, 9), 5),
    Rule("ID", _MBI, _as_it_is, 5),
    Rule("ID", _INDIAN_PAN, _indian_pan, 5),
    Rule("ID", _BRAZILIAN_CASE, _as_it_is, 4),
    Rule("ID", _SPACED_FISCALE, _checked(checksums.italian_tax_code, 16), 5),
    Rule("ID", _HKID, _as_it_is, 5),
    Rule("ID", _WALLET, _wallet, 4, trigger=_WALLET_TRIGGER),
    Rule("ID", _PRIVATE_WALLET_KEY, _wallet, 4, trigger=r"\b[5KL][1-9A-HJ-NP-Za-km-z]{20}"),
    Rule("STREET_ADDRESS", _COORDINATE_WORD, _as_it_is, 9, _COORDINATE_VALUE),
    Rule(
        "STREET_ADDRESS",
        _COORDINATE_PAIR,
        _coordinates,
        8,
        trigger=r"[0-9]\.[0-9]{3}[0-9NSns o]*[,; ]|(?:\"|'') ?[NS]",
    ),
    Rule("DATE", _BIRTHDAY, _as_it_is, 8, _BIRTHDAY_VALUE, trigger=_BIRTHDAY.split("\\b")[0]),
    Rule("DATE", rf"{_BORN_SIGN}(?:{_DATE})", _born_sign, 8, trigger=r"\* ?[0-9]|\bb\. ?[0-9A-Z]"),
    Rule("PHONE", _BRACKETED, _phone, 8, trigger=_SIX_DIGITS),
    Rule("ID", _ID_INTERNAL, _internal_id, 6, _VALUE, trigger=_words(words.ID_INTERNAL)),
    Rule("ID", _CODED_ID, _as_it_is, 6),
    Rule("ID", _PATH_ID, _path_id, 6, _PATH_VALUE),
    Rule("ID", _US_DOCKET, _as_it_is, 5),
    Rule("ID", _DOCKET, _docket, 6),
    Rule("ID", _PLATE_FORM, _plate, 6),
    Rule("DATE", _DATE, _date, 7, trigger=_DATE_TRIGGER),
    Rule("DATE", _DATE_COMPACT, _date_compact, 7, trigger=_YEAR + "[01][0-9][0-3][0-9]"),
    Rule("PHONE", _INTERNATIONAL, _international, 7, trigger=_SIX_DIGITS),
    Rule("PHONE", _NANP, _phone, 8, trigger=_SIX_DIGITS),
    Rule("PHONE", _TRUNK, _trunk, 8, trigger=_SIX_DIGITS),
    Rule("PHONE", _SPANISH, _phone, 8, trigger=_NINE_DIGITS),
    Rule("ID", _ID_WEAK, _id_after_weak_word, 8, _REGISTER_VALUE),
    Rule(
        "PHONE",
        _PHONE_BEFORE_WORD,
        _phone_by_word,
        8,
        _PHONE_INSIDE,
        trigger=rf"(?i)[0-9][ \t-]{{1,2}}\(?(?:{words.PHONE_AFTER})\b",
    ),
    Rule("PHONE", _BARE, _bare_phone, 9, trigger="[0-9]{10}"),
    Rule(
        "STREET_ADDRESS",
        _STREET_EN,
        _street,
        9,
        trigger=rf"[0-9A-Za-z'.-] (?:{_STREET_WORDS_EN})\b",
    ),
    Rule("STREET_ADDRESS", _STREET_CASED, _street_cased, 9),
    Rule(
        "STREET_ADDRESS",
        _STREET_SUFFIXED,
        _street,
        9,
        trigger=r"(?:straat|laan|gracht|kade|singel|plein|dijk|gatan|vagen|gata|veien|"
        r"vej|gade|allen|gaten|katu|tie|torget|stien|"
        r"utca|ut|ter|korut|sokak|caddesi|cd\.|sk\.|mah\.|ulica|cesta|trg|"
        r"No:?) [0-9]|bulvar|\b[A-Za-z][a-z]{1,4}\. [A-Z]",
    ),
    Rule("STREET_ADDRESS", _STREET_KEY, _as_it_is, 10, _STREET_KEY_VALUE),
    Rule("STREET_ADDRESS", _STREET_DE, _street, 9, trigger=_STREET_DE_TRIGGER),
    Rule(
        "STREET_ADDRESS",
        _STREET_FR,
        _street,
        9,
        trigger=rf"(?i)[0-9a-drs],? (?:{_STREET_WORDS_FR}) ",
    ),
    Rule(
        "STREET_ADDRESS", _STREET_ES, _street, 9, trigger=rf"\b(?i:{_STREET_WORDS_ES})[ ]?[A-Zadel]"
    ),
    Rule("STREET_ADDRESS", _PO_BOX, _as_it_is, 9),
    Rule("ZIP", _ZIP_WORD, _as_it_is, 9, _ZIP_VALUE),
    Rule("ZIP", _ZIP_UK, _as_it_is, 10),
    Rule("ZIP", _ZIP_COUNTRY, _as_it_is, 10, _ZIP_COUNTRY_INSIDE),
    Rule("ZIP", _ZIP_US, _as_it_is, 10, _ZIP_INSIDE),
    Rule("AGE", _AGE_AFTER_WORD, _age, 10, _AGE_VALUE, trigger=_AGE_TRIGGER),
    Rule("AGE", _AGE_BEFORE_WORD, _age, 10, _AGE_INSIDE, trigger=_AGE_TRIGGER),
    Rule("AGE", _AGE_APPOSITION, _age_inside, 10),
    Rule("AGE", _AGE_OLD, _age_inside, 10),
    Rule("AGE", _AGE_SEX, _age_inside, 10),
    Rule("ID", _CREDENTIAL_KEY, _secret, 10, _SECRET_VALUE, trigger=_words(words.CREDENTIAL)),
    Rule("USERNAME", _USERNAME_KEY, _username, 11, _USERNAME_VALUE),
    Rule("USERNAME", _USERNAME_SAID, _username, 11, _USERNAME_VALUE),
    Rule("USERNAME", _USERNAME_LOG, _username, 11, _USERNAME_VALUE),
    Rule(
        "USERNAME",
        _USERNAME_ACTS,
        _username,
        11,
        _USERNAME_ACTOR,
        trigger=r"\b(?:User|user|USER) ['\"]?[A-Za-z0-9]",
    ),
    Rule(
        "USERNAME",
        _USERNAME_CLF,
        _username,
        11,
        _USERNAME_CLIENT,
        trigger="[0-9a-fA-F] - [A-Za-z0-9]",
    ),
    Rule("USERNAME", _USERNAME_PATH, _login, 11, _USERNAME_PATH_VALUE),
    Rule(
        "USERNAME",
        _USERNAME_DOMAIN,
        _login,
        11,
        _USERNAME_DOMAIN_INSIDE,
        trigger=r"[A-Z0-9]\\[\\A-Za-z]",
    ),
    Rule("USERNAME", _USERNAME_UID, _login, 11, _USERNAME_UID_INSIDE),
    Rule("USERNAME", _USERNAME_SUDO, _login, 11, _USERNAME_SUDO_INSIDE),
    Rule("USERNAME", _USERNAME_AT_HOST, _login, 11, _USERNAME_AT_HOST_INSIDE, trigger="'@'"),
    Rule("USERNAME", _DISCORD, _discord, 11, trigger="[A-Za-z0-9_.]#[0-9]{4}"),
    Rule("USERNAME", _HANDLE, _handle, 12, _HANDLE_INSIDE, trigger="@[A-Za-z0-9_]{2}"),
)
RECORD_DATE = Rule("DATE", _DATE, date_of_record, 8)
TYPES = frozenset(rule.type for rule in RULES)
