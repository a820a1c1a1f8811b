"""Addresses of the network: e-mail, URL, IP and MAC."""

import ipaddress
import re

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import Before, Family, Found, Rule, as_it_is, tail

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
_URL_CHARS = re.compile(r"[^\s<>\"'`\x01\x02|\\^{}]+")


def _url(shadow: str, start: int, end: int) -> Found:
    if start and shadow[start - 1].isalnum():
        return None
    end = tail(shadow, end, _URL_CHARS)
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


_FILE_ENDINGS = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "json", "html"})


def _email(shadow: str, start: int, end: int) -> Found:
    while start < end and shadow[start] in ".-'%~&+":
        start += 1
    value = shadow[start:end]
    name, _, host = value.rpartition("@")
    name_at = _name_start(name)
    start, name = start + name_at, name[name_at:]
    if not name or _ROLES.fullmatch(name.lower()):
        return None
    if host == "localhost" or host.startswith("["):
        return start, end
    labels = host.split(".")
    if len(labels) == 4 and all(label.isdigit() and int(label) < 256 for label in labels):
        return start, end
    while len(labels) > 1 and not (labels[-1].isalpha() and len(labels[-1]) > 1):
        if labels[-1].startswith("xn--"):
            break
        end -= len(labels.pop()) + 1
    file = labels[-1].lower() in _FILE_ENDINGS  # "logo@2x.png"
    return (start, end) if len(labels) > 1 and not file else None


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
# Five groups or more, or the gap "::": clock times have neither.
_HEX = "[0-9A-Fa-f]{1,4}"
_IPV6 = (
    rf"(?:{_HEX}(?::{_HEX}){{0,6}})?::(?:{_HEX}(?::{_HEX}){{0,6}})?:?"
    rf"|:?{_HEX}(?::{_HEX}){{4,7}}:?"
)
_version_before = Before(
    r"(?:[a-z]/|\bv|version|ver\.?|release|build|firmware|section|sec\.?|chapter|clause|article|"
    r"paragraph|abschnitt|kapitel|seccion|rev\.?|sdk|driver|update|patch|\x01)[\s:=]{0,2}",
    size=16,
)
_upgrade = Before(r"(?:upgrad|updat|downgrad|bump|migrat)[a-z]{0,4} [^\n]{0,40}", size=52)
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
    if _version_before(shadow, start) or _upgrade(shadow, start):
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
    end = tail(shadow, end, _IPV4_TAIL)
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


# Behind its name an address may lack an end that exists: "E-mail: jane@clinic".
_EMAIL_NAMED = (
    r"(?i)(?:e-?mail|correo(?: electronico)?|courriel|mail)[\"']?[ ]?[:=]+[ ]?[\"'<]?"
    r"[a-z0-9._+-]{1,64}@[a-z0-9-]{2,63}"
)
_EMAIL_NAMED_INSIDE = re.compile(r"[^@]*?([A-Za-z0-9._+-]+@[A-Za-z0-9-]+)")


def _named_email(shadow: str, start: int, end: int) -> Found:
    name = shadow[start:end].partition("@")[0].lower()
    return None if _ROLES.fullmatch(name) else (start, tail(shadow, end, _HOST_CHARS))


_HOST_CHARS = re.compile(r"(?:\.?[A-Za-z0-9-]+){0,8}")

EMAILS = (
    Rule("EMAIL", _EMAIL_NAMED, _named_email, 3, _EMAIL_NAMED_INSIDE),
    Rule(
        "EMAIL",
        _EMAIL,
        _email,
        1,
        trigger=r"[A-Za-z0-9_+'&.~%!#$*/=?^\"-]@[A-Za-z0-9[]",
    ),
    Rule(
        "EMAIL",
        _EMAIL_UNSPACED,
        as_it_is,
        3,
        trigger=r"\x02[a-zA-Z0-9._+\x02-]*@|@[a-zA-Z0-9\x02-]*\x02",
    ),
    Rule("EMAIL", _EMAIL_SPACED, as_it_is, 2, trigger=r"[A-Za-z0-9_+.-](?:@ | @)"),
)
SPELLED_EMAILS = Family(
    (
        Rule("EMAIL", _EMAIL_SPELLED, _spelled, 2, trigger=f"(?i){_DOT}[a-z]"),
        Rule(
            "EMAIL",
            _EMAIL_HALF_SPELLED,
            _half_spelled,
            2,
            trigger=rf"(?i){_AT}[a-z0-9][a-z0-9.-]*\.(?:{words.COMMON_TLDS})\b",
        ),
    ),
    sign=rf"(?i){_DOT}[a-z]|{_AT}[a-z0-9][a-z0-9.-]*\.(?:{words.COMMON_TLDS})\b",
    before=260,
)
URLS = Family(
    (
        Rule("URL", _URL, _url, 1, trigger=r"(?i)[a-z0-9]://|www\."),
        Rule(
            "URL",
            _URL_BARE,
            _url,
            3,
            trigger=rf"\.(?:{words.COMMON_TLDS})(?::[0-9]+)?/[a-zA-Z0-9~@]",
        ),
    ),
    sign=rf"(?i)[a-z0-9]://|www\.|\.(?:{words.COMMON_TLDS})(?::[0-9]+)?/[a-z0-9~@]",
    before=340,
    after=80,
)
HOSTS = Family(
    (
        Rule("IP", _IPV6, _ipv6, 4, trigger="[0-9A-Fa-f:]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]"),
        Rule(
            "ID",
            _MAC,
            _mac,
            4,
            trigger=r"(?i)[0-9A-F]{2}[:-][0-9A-F]{2}[:-][0-9A-F]{2}[:-]|[0-9A-F]{4}\.[0-9A-F]{4}\.",
        ),
        Rule("ID", _MAC_BARE, as_it_is, 4, _MAC_BARE_VALUE),
        Rule(
            "IP",
            _IPV4,
            _ipv4,
            4,
            trigger=r"[0-9]\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]{1,3}\[?\.\]?[0-9]|ip-[0-9]+-[0-9]+-",
        ),
    ),
)
