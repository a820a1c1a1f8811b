"""An ASCII shadow of a text, in which patterns are searched instead of the text itself.

Each kept character becomes exactly one byte: full-width and other digits become 0-9, accents fall
off, exotic dashes and spaces become "-" and " ", Cyrillic and Greek become the nearest Latin
letter, letters of other scripts "q", any other sign "\\x01". Scripts written without spaces become
"\\x02", which is no letter: a number touches the words around it there. Words of those scripts that
name a value become a byte of their own (vocabulary.NAMES), repeated over their length. Invisible
characters and combining marks are left out. An escape is the one character it stands for:
"%40", "%2540", "&#64;", "\\u0040", "=40" and "\\/" (not so inside a URL for what would end it, nor
in a Windows path). So one pattern finds a number in every script, keywords need no accents, and
positions are byte positions.

The shadow is for searching only; spans are mapped back to the text by `Shadow.span`. Not undone:
base64, and of quoted-printable all but "@" and the letters of Latin-1.
"""

import html
import re
import unicodedata
from typing import NamedTuple

from ft_assets.corpus import vocabulary as words

_SIGN = "\x01"
_UNSPACED = "\x02"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00ad"
_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_DOTS = "\u3002\uff61\u2024\u30fb\u00b7"
_NO_CATEGORY = ("Mn", "Me", "Cf")
# "n°" and "nº" are number signs: both read "no".
_LETTERS = {"\u00b0": "o", "\u00ba": "o", "\u00aa": "a", "\u00df": "s", "\u00f8": "o",
            "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0110": "D",
            "\u00e6": "a", "\u00c6": "A", "\u0153": "o", "\u0152": "O", "\u0131": "i",
            "\u00f0": "d", "\u00d0": "D", "\u00fe": "t", "\u00de": "T", "\u2116": "N",
            "\u5e74": "-", "\u6708": "-", "\ub144": "-", "\uc6d4": "-",
            "\u65e5": "\x11", "\uc77c": "\x11"}  # fmt: skip  # year, month, day
_LATIN = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґјљњћђџ" + "αβγδεζηθικλμνξοπρσςτυφχψω",
        "abvgdejzijklmnoprstufhccssxyxeuaiiegjlncdd" + "avgdeziqiklmnxoprsstyfhpo",
        strict=True,
    )
)
_LATIN |= {char.upper(): latin.upper() for char, latin in _LATIN.items() if char != "ς"}
# First and last code points: Thai to Myanmar, Khmer, kana, Bopomofo, Han, Hangul.
_NO_SPACES = (
    (0x0E00, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x3005, 0x318F), (0x31A0, 0x9FFF),
    (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0xFF66, 0xFFDC), (0x20000, 0x3FFFF),
)  # fmt: skip


class _Table(dict[int, str]):
    """Computed once per code point and kept: a text uses few different ones."""

    def __missing__(self, code_point: int) -> str:
        self[code_point] = folded = _fold(chr(code_point))
        return folded


def _fold(char: str) -> str:
    """One ASCII character, or "" for what is left out."""
    category = unicodedata.category(char)
    if char.isascii():
        return char
    if char in _LETTERS:
        return _LETTERS[char]
    if char in _DASHES:
        return "-"
    if category in _NO_CATEGORY:
        return ""
    if char in _QUOTES:
        return "'"
    if char in _DOUBLE_QUOTES:
        return '"'
    if char in _DOTS:
        return "."
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "Zs":
        return " "
    if category in ("Zl", "Zp") or char == "\u0085":
        return "\n"
    base = unicodedata.normalize("NFKD", char)[0]
    if base.isascii() and base.isprintable() and base != " ":
        return base
    if base in _LATIN:
        return _LATIN[base]
    if category[0] != "L" and category != "Mc":
        return _SIGN
    return _UNSPACED if any(low <= ord(char) <= high for low, high in _NO_SPACES) else "q"


_TABLE = _Table()
# Most text of Western Europe folds byte by byte; what is beyond, run by run.
_LATIN_1 = bytes(ord(_fold(chr(code))) for code in range(256))
_BEYOND_LATIN_1 = re.compile("[^\x00-\xff]+")
_NAMES = re.compile("|".join(f"({names})" for names in words.NAMES.values()))
_NAMED_SCRIPTS = re.compile("[\u0590-\u0fff\u3000-\ud7ff]")
_NAME_BYTES = tuple(words.NAMES)
_KEPT = (
    r"(?<![A-Za-z])[A-Za-z]:\\{1,2}[A-Za-z][^\s\"'<>|]{0,300}"  # a path: "C:\new" has no line break
)
_URL = r"[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s\"'<>]{1,4000}"
_CODED = (
    r"%(?:25){0,2}[2-7][0-9A-Fa-f]|(?<=[A-Za-z0-9._-])=40(?=[A-Za-z0-9-]{1,63}\.[A-Za-z]{2})|"
    r"=C[23]=[89AB][0-9A-F]|&(?:#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5}|amp|lt|gt|quot|apos|nbsp|commat|"
    r"period|colon|hyphen|dash|shy|sol|lpar|rpar|plus|num|lowbar|equals);|"
    r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrt\"'/])"
)
_ANY_CODED = re.compile(_CODED)  # fast to tell that there is none
_ESCAPES = re.compile(f"(?P<kept>{_KEPT})|(?P<url>{_URL})|(?P<coded>{_CODED})")
# Without space, quotes, angle brackets, backslash, caret, grave, braces and bar, which end a URL.
_IN_URL = re.compile(
    r"%(?:25){0,2}(?:2[1345689A-Fa-f]|3[0-9ABDFabdf]|4[0-9A-Fa-f]|5[0-9ABDFabdf]|6[1-9A-Fa-f]|7[0-9AEae])"
)
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


class Shadow(NamedTuple):
    data: bytes
    positions: list[int] | None  # of each byte in the text; None: the same as in the data
    length: int  # of the text

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Code points of the text; what was left out behind the last character belongs to it."""
        if self.positions is None:
            return start, end
        after = self.positions[end] if end < len(self.positions) else self.length
        return self.positions[start], after


def cast(text: str) -> Shadow:
    """Never raises on any str."""
    plain, places = text, None
    signs = "%" in text or "&" in text or "\\" in text or "=40" in text or "=C" in text
    if signs and _ANY_CODED.search(text):
        plain, places = _without_escapes(text)
    if plain.isascii():
        return Shadow(plain.encode("ascii"), places, len(text))
    try:
        return Shadow(plain.encode("latin-1").translate(_LATIN_1), places, len(text))
    except UnicodeEncodeError:
        folded = _beyond_latin_1(plain)
    if len(folded) != len(plain):
        kept = [i for i, char in enumerate(plain) if _TABLE[ord(char)]]
        places = kept if places is None else [places[i] for i in kept]
    return Shadow(folded.encode("latin-1").translate(_LATIN_1), places, len(text))


def _beyond_latin_1(plain: str) -> str:
    if _NAMED_SCRIPTS.search(plain):
        plain = _NAMES.sub(_name_byte, plain)
    return _BEYOND_LATIN_1.sub(_folded_run, plain)


def _folded_run(run: re.Match[str]) -> str:
    return run[0].translate(_TABLE)


def _name_byte(name: re.Match[str]) -> str:
    return _NAME_BYTES[(name.lastindex or 1) - 1] * len(name[0])


def _without_escapes(text: str) -> tuple[str, list[int] | None]:
    """The text with each escape as one character, and where each character was."""
    parts: list[str] = []
    places: list[int] = []
    last = 0
    for start, end, char in _escapes(text):
        parts += [text[last:start], char]
        places += range(last, start + 1)
        last = end
    if not parts:
        return text, None
    places += range(last, len(text))
    return "".join([*parts, text[last:]]), places


def _escapes(text: str) -> list[tuple[int, int, str]]:
    found = []
    for match in _ESCAPES.finditer(text):
        if match["url"]:
            inner = _IN_URL.finditer(text, *match.span())
            found += [(*code.span(), _decoded(code[0])) for code in inner]
        elif match["coded"]:
            found.append((*match.span(), _decoded(match[0])))
    return found


def _decoded(code: str) -> str:
    """Always one character; what has none (a NUL, a plane too far) is a sign."""
    if code[0] == "%":
        return chr(int(code[-2:], 16))
    if code[0] == "=":  # quoted-printable: "@", and the letters of Latin-1 in UTF-8
        return bytes.fromhex(code.replace("=", "")).decode()
    if code[0] == "&":
        char = html.unescape(code)
        return char if len(char) == 1 else _SIGN
    if code[1] in "ux":
        return chr(int(code[2:], 16))
    return _CONTROL.get(code[1], code[1])
