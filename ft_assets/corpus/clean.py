"""Repair what transport did to a text: mojibake, markup, escapes, invisible characters.

Only damage is repaired; wording, spelling and layout stay. What a reader would get wrong:
- Compatibility forms are folded for the full-width block and the Latin ligatures alone. NFKC over
  the whole text would turn "10²" into "102" and "½" into "1/2", so the rest is only NFC.
- Tags are removed by name. "a < b", "<5 mg", "<EMAIL_1>", "List<String>" and log XML such as
  "<user>" are not HTML and stay, and so does everything inside backticks.
- A joiner inside an emoji or between Arabic or Indic letters is spelling, not noise.
- Inner tabs (tables, code) and trailing spaces (a line break in Markdown) stay.

Mojibake follows ftfy (https://ftfy.readthedocs.io), whose other fixes are switched off.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import ftfy
from ftfy.badness import is_bad
from ftfy.chardata import C1_CONTROL_RE, UTF8_DETECTOR_RE

# Each round undoes one layer of escaping or of tags hidden in tags. Honest text needs two.
MAX_ROUNDS = 6

_MOJIBAKE = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    fix_surrogates=False,
    remove_control_chars=False,
    normalization=None,
)

_SURROGATE = re.compile("[\ud800-\udfff]")
_CODE = re.compile(r"```.*?```|`[^`\n]{1,500}`", re.DOTALL)

_BLOCK_TAGS = (
    "address|article|aside|blockquote|center|dd|div|dl|dt|fieldset|figcaption|figure|footer|"
    "h[1-6]|hr|main|nav|ol|p|pre|table|tbody|tfoot|thead|tr|ul"
)
_INLINE_TAGS = (
    "a|abbr|b|big|body|caption|cite|code|col|colgroup|del|dfn|em|font|head|html|i|iframe|img|ins|"
    "kbd|mark|meta|noscript|q|s|samp|small|span|strike|strong|sub|td|th|tt|u|var|wbr"
)
# Words that usage lines and logs also put in angle brackets: removed only with an attribute.
_ATTRIBUTE_TAGS = (
    "audio|button|form|header|input|label|link|option|script|section|select|source|style|svg|"
    "textarea|title|video"
)
# An equals sign, so that "if x <p and q> y" is no paragraph.
_ATTRIBUTES = r"(?:\s[^<>=]{0,1000}=[^<>]{0,1000})?"
# Their content is not text either: from an opening to the next closing mark.
_HIDDEN = (
    (re.compile("<!--"), re.compile("-->")),
    (re.compile(r"<script\b[^<>]{0,1000}>", re.I), re.compile(r"</script\s{0,3}>", re.I)),
    (re.compile(r"<style\b[^<>]{0,1000}>", re.I), re.compile(r"</style\s{0,3}>", re.I)),
)
_TAG = re.compile(
    r"(?P<drop><!doctype\b[^<>]{0,500}>|<\?xml\b[^<>]{0,500}\?>)"
    r"|(?P<br>[ \t]{0,3}\r?\n?<br\b[^<>]{0,200}>\n?)"
    r"|(?P<item><li\b[^<>]{0,1000}>)"
    r"|(?P<sup><sup\b[^<>]{0,1000}>)"
    rf"|(?P<block></?(?:{_BLOCK_TAGS}){_ATTRIBUTES}\s{{0,3}}/?>)"
    rf"|(?P<inline></?(?:{_INLINE_TAGS}|{_ATTRIBUTE_TAGS}){_ATTRIBUTES}\s{{0,3}}/?>"
    r"|</(?:li|sup|br)\s{0,3}>)",
    re.IGNORECASE,
)
_ATTRIBUTE_ONLY = re.compile(rf"<(?:{_ATTRIBUTE_TAGS})\s*/?>", re.IGNORECASE)
_CELL = re.compile(r"</t[dh]", re.IGNORECASE)
# With the semicolon only: "?a=1&copy=2" is a query string, not a copyright sign.
_AMPERSANDS = re.compile(r"&(?:(?:amp|#0{0,5}38|#x0{0,5}26);)+", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")

_TERMINAL_ESCAPE = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff]"
)
# Scripts that spell with joiners: Arabic, Syriac, Indic, Tibetan, Khmer, Mongolian.
_JOINING = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u0fff\u1780-\u18af"
_EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_INVISIBLE = re.compile(
    f"(?<![{_EMOJI}{_JOINING}])[\u200c\u200d]"
    f"|[\u200c\u200d](?![{_EMOJI}{_JOINING}])"
    "|[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\uffa0\U000e0000-\U000e007f]"
)
_LINE_END = re.compile("\r{1,4}\n|[\r\u0085\u2028\u2029]")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_TABBED_LINE_END = re.compile(r"(?<![ \t])(?=[ \t]{0,200}\t)[ \t]{1,200}(?=\n)")
_FULLWIDTH = {
    **{cp: cp - 0xFEE0 for cp in range(0xFF01, 0xFF5F)},
    0x3000: 0x20,
    **{cp: unicodedata.normalize("NFKC", chr(cp)) for cp in range(0xFB00, 0xFB07)},
    **{cp: unicodedata.normalize("NFKC", chr(cp)) for cp in range(0xFFE0, 0xFFE7)},
}
_HAS_FULLWIDTH = re.compile("[\uff01-\uff5e\u3000\ufb00-\ufb06\uffe0-\uffe6]")


@dataclass(frozen=True)
class Cleaned:
    text: str
    fixes: frozenset[str]  # names from FIXES that changed something


def clean(text: str) -> Cleaned:
    """Return `text` repaired and stripped. Idempotent; never raises on any str."""
    fixes: set[str] = set()
    for _ in range(MAX_ROUNDS):
        before = text
        for name, fix in _STEPS:
            fixed = fix(text)
            if fixed != text:
                fixes.add(name)
                text = fixed
        if text == before:
            return Cleaned(text, frozenset(fixes))
    # Deeper nesting is built, not met: without these two characters there is nothing to undo.
    text = text.replace("<", " ").replace("&", " ")
    for _ in range(MAX_ROUNDS):
        text = _rounds_without_markup(text)
    return Cleaned(text, frozenset({*fixes, "html_markup"}))


def _rounds_without_markup(text: str) -> str:
    for name, fix in _STEPS:
        if not name.startswith("html"):
            text = fix(text)
    return text


def _surrogates(text: str) -> str:
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _mojibake(text: str) -> str:
    if text.isascii() or not (
        is_bad(text) or UTF8_DETECTOR_RE.search(text) or C1_CONTROL_RE.search(text)
    ):
        return text
    # By line: one healthy accent elsewhere in the text must not keep a broken line broken.
    return "".join(
        line if line.isascii() else ftfy.fix_encoding(line, _MOJIBAKE)
        for line in text.splitlines(keepends=True)
    )


def _outside_code(text: str, fix: Callable[[str], str]) -> str:
    if "`" not in text:
        return fix(text)
    parts, last = [], 0
    for code in _CODE.finditer(text):
        parts += [fix(text[last : code.start()]), code[0]]
        last = code.end()
    return "".join([*parts, fix(text[last:])])


def _markup(text: str) -> str:
    if "<" not in text or ">" not in text:
        return text
    return _outside_code(text, lambda part: _TAG.sub(_untag, _without_hidden(part)))


def _without_hidden(text: str) -> str:
    for opening, closing in _HIDDEN:
        kept, last = [], 0
        while (start := opening.search(text, last)) and (end := closing.search(text, start.end())):
            kept.append(text[last : start.start()])
            last = end.end()
        text = "".join([*kept, text[last:]])
    return text


def _untag(tag: re.Match[str]) -> str:
    match tag.lastgroup:
        case "br" | "block":
            return "\n" if _inside(tag) else ""
        case "item":
            return "\n- "
        case "sup":
            return "^"
        case "inline" if _ATTRIBUTE_ONLY.fullmatch(tag[0]):
            return tag[0]
        case "inline" if _CELL.match(tag[0]):
            return " "
    return ""


def _inside(tag: re.Match[str]) -> bool:
    """Whether a line break here is new: adjacent block tags make one break, not one each."""
    if tag.lastgroup == "br":
        return True
    before = tag.string[max(0, tag.start() - 1) : tag.start()]
    return before not in ("", "\n", ">")


def _entities(text: str) -> str:
    if "&" not in text or ";" not in text:
        return text
    return _outside_code(
        text, lambda part: _ENTITY.sub(lambda m: html.unescape(m[0]), _AMPERSANDS.sub("&", part))
    )


def _control(text: str) -> str:
    if "\x1b" in text:
        text = _TERMINAL_ESCAPE.sub("", text)
    return _CONTROL.sub("", text)


def _invisible(text: str) -> str:
    return text if text.isascii() else _INVISIBLE.sub("", text)


def _line_endings(text: str) -> str:
    return _LINE_END.sub("\n", text)


def _fullwidth(text: str) -> str:
    if text.isascii() or not _HAS_FULLWIDTH.search(text):
        return text
    return text.translate(_FULLWIDTH)


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _whitespace(text: str) -> str:
    if not text.isascii():
        text = _SPACE.sub(" ", text)
    if "\t" in text:
        text = _TABBED_LINE_END.sub("", text)
    # The first line keeps its indentation only when there is something before it to align with.
    return text.strip()


# Mojibake first: its broken bytes look like control characters and no-break spaces.
_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("surrogates", _surrogates),
    ("mojibake", _mojibake),
    ("html_markup", _markup),
    ("html_entities", _entities),
    ("line_endings", _line_endings),
    ("control_chars", _control),
    ("zero_width", _invisible),
    ("fullwidth", _fullwidth),
    ("composition", _nfc),
    ("whitespace", _whitespace),
)
FIXES = tuple(name for name, _ in _STEPS)
