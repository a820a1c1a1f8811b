# ruff: noqa: E501, RUF001  (rows of tables stay on one line; look-alike characters are what is tested)
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_assets.corpus.clean import FIXES, clean


@pytest.mark.parametrize(
    ("damaged", "text", "fixes"),
    [
        ("", "", set()),
        ("Nothing to do here: a < b, R&D, 50 %.", None, set()),
        ("a menu â€¦ and letâ€™s go", "a menu … and let’s go", {"mojibake"}),
        ("schÃ¶n\ncafé", "schön\ncafé", {"mojibake"}),
        ("“curly” quotes – stay…", None, set()),
        ('<div class="msg"><p>one</p><p>two</p></div>', "one\ntwo", {"html_markup"}),
        ("one<br/><br/>two\r<br/>three", "one\n\ntwo\nthree", {"html_markup"}),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b", {"html_markup"}),
        ("<td>a</td><td>b</td>", "a b", {"html_markup"}),
        ("10<sup>3</sup> H<sub>2</sub>O", "10^3 H2O", {"html_markup"}),
        ("a<!-- x --><script>f()</script><style>p{}</style>b", "ab", {"html_markup"}),
        ("<a href='x'>link</a> <IMG SRC=y>", "link", {"html_markup"}),
        ("dose <5 mg if a<b and c>d", None, set()),
        ("<EMAIL_1> <user id='3'><name>x</name></user>", None, set()),
        ("List<String>, cp <source> <title>", None, set()),
        ("if x <p and q> y", None, set()),
        ("write `<b>` or ```\n<div>&amp;\n``` here", None, set()),
        ("R&amp;D &lt;5&nbsp;mg &#233;", "R&D <5 mg é", {"html_entities"}),
        ("x &amp;amp; y &#38;#38; z", "x & y & z", {"html_entities"}),
        ("&amp;lt;b&amp;gt;bold", "bold", {"html_entities", "html_markup"}),
        ("?a=1&copy=2&lt=3", None, set()),
        ("Wha\x1ft \x08is\x7f \x00this\x0b", "What is this", {"control_chars"}),
        ("\x1b[31mred\x1b[0m", "red", {"control_chars"}),
        ("syn\ufeffdro\u200bme re\u2060su\u200dlts\u00ad", "syndrome results", {"zero_width"}),
        ("a\u202etxt.exe\u202c", "atxt.exe", {"zero_width"}),
        ("👨\u200d👩\u200d👧 می\u200cخواهم ❤\ufe0f", None, set()),
        ("a\r\nb\rc\r\r\nd\u2028e", "a\nb\nc\nd\ne", {"line_endings"}),
        ("Ｉｓ １７ｑ２３．１？\u3000ﬁne", "Is 17q23.1? fine", {"fullwidth"}),
        ("10² ½ cup ™ ℝ Ⅻ", None, set()),
        ("e\u0301tude", "étude", {"composition"}),
        ("\t text \u00a0here.\t \nnext  line\tcolumn \n", "text  here.\nnext  line\tcolumn", {"whitespace"}),
        ("\ud83d\ude00 and \ud83d", "😀 and \ufffd", {"surrogates"}),
    ],
)  # fmt: skip
def test_clean(damaged, text, fixes):
    cleaned = clean(damaged)
    assert cleaned.text == (damaged if text is None else text)
    assert cleaned.fixes - {"whitespace", "line_endings"} == fixes - {"whitespace", "line_endings"}
    assert fixes <= cleaned.fixes
    assert cleaned.fixes <= set(FIXES)


PIECES = st.sampled_from(
    ["<", ">", "<p>", "</b>", "<br/>", "&amp;", "&lt;", "&gt;", "&#38;", ";", "&", "amp;", "`", "```",
     "Ã©", "â€™", "é", "e\u0301", "\u200d", "\u200b", "\r", "\n", "\t", " ", "\u00a0", "\u3000", "ａ",
     "\ud83d", "\ude00", "\x00", "\x1b[0m", "\x85", "\x9d", "<!--", "-->", "<script>", "</script>",
     "👩", "<td", " a=b>", "x"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(st.characters(), max_size=60), st.lists(PIECES, max_size=30).map("".join)))
def test_cleaning_twice_is_cleaning_once(text):
    once = clean(text).text
    assert clean(once).text == once


@pytest.mark.parametrize("layers", [1, 4, 40])
def test_layers_of_escaping_end(layers):
    text = "<b>x</b>"
    for _ in range(layers):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    once = clean(text).text
    assert clean(once).text == once
    nested = clean("<" * layers + "b>" * layers).text
    assert clean(nested).text == nested


@pytest.mark.parametrize(
    "unit",
    ["<!--", "<script>", "<a " + "=" * 900, "&amp;", "&amp", "<", "`", "```a", "\r", "\t", "\t x",
     "Ã©", "\u200d", "\x1b[", "é\n", " <br"],
)  # fmt: skip
def test_no_input_is_slow(unit):
    start = time.process_time()
    clean(unit * (200_000 // len(unit)))
    assert time.process_time() - start < 5
