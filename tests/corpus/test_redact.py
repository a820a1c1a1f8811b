import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_assets.corpus.detect import TYPES, Span, find
from ft_assets.corpus.redact import DEFAULT_TYPES, Placeholders, residual


@pytest.mark.parametrize(
    ("text", "expected", "counts"),
    [
        ("", "", {}),
        ("nothing here", "nothing here", {}),
        (
            "a@x.com, not c@x.com or A@X.com",
            "<EMAIL_1>, not <EMAIL_2> or <EMAIL_1>",
            {"EMAIL": 3},
        ),
        ("call 555-213-4442 or (555) 213 4442", "call <PHONE_1> or <PHONE_1>", {"PHONE": 2}),
        ("or +1 555 213 4442, 555.213.4442", "or <PHONE_1>, <PHONE_1>", {"PHONE": 2}),
        (
            "IBAN DE89 3704 0044 0532 0130 00 = DE89370400440532013000",
            "IBAN <IBAN_1> = <IBAN_1>",
            {"IBAN": 2},
        ),
        ("MRN 515-34-16 and MRN 5153416", "MRN <ID_1> and MRN <ID_1>", {"ID": 2}),
        ("a 54-year-old", "a 54-year-old", {}),
    ],
)
def test_mask(text, expected, counts):
    masked = Placeholders().mask(text)
    assert (masked.text, masked.counts) == (expected, counts)
    assert residual(masked.text) == {}
    again = Placeholders().mask(masked.text)
    assert (again.text, again.counts) == (masked.text, {})


def test_one_value_has_one_placeholder_through_a_conversation():
    names = Placeholders()
    assert names.mask("I am a@x.com").text == "I am <EMAIL_1>"
    assert names.mask("b@x.com wrote to a@x.com").text == "<EMAIL_2> wrote to <EMAIL_1>"
    assert Placeholders().mask("b@x.com").text == "<EMAIL_1>"


def test_a_person_has_one_placeholder_however_named():
    texts = ["Mr Smith called", "Dear John Smith", "Smith, John Q.", "Ann Smith"]
    whole = [Span(0, 8, "PERSON"), Span(5, 15, "PERSON"), Span(0, 14, "PERSON")]
    spans = [[span] for span in (*whole, Span(0, 9, "PERSON"))]
    names = Placeholders()
    for text, found in zip(texts, spans, strict=True):
        names.learn(text, found)
    masked = [names.mask(text, found).text for text, found in zip(texts, spans, strict=True)]
    assert masked == ["<PERSON_1> called", "Dear <PERSON_1>", "<PERSON_1>", "<PERSON_2>"]


def test_placeholders_in_the_input_are_not_taken():
    names = Placeholders()
    assert names.mask("<EMAIL_2> wrote to a@x.com").text == "<EMAIL_2> wrote to <EMAIL_3>"
    assert names.mask("<PHONE_x> <email_1> <OTHER_1>").counts == {}


def test_a_value_dressed_as_a_placeholder_is_masked():
    masked = Placeholders().mask("<SSN_078051120> and <PHONE_5552134442>").text
    assert "078051120" not in masked
    assert "5552134442" not in masked


def test_placeholder_beside_a_word_that_names_a_value():
    text = "phone: <PHONE_1> MRN <ID_12345> user=<USERNAME_1> born <DATE_1>"
    assert residual(text) == {}
    assert Placeholders().mask(text).text == text


def test_types_choose_what_is_masked():
    text = "a 54-year-old, a@x.com"
    assert Placeholders(TYPES).mask(text).text == "a <AGE_1>-year-old, <EMAIL_1>"
    assert (TYPES | {"PERSON"}) - {"AGE"} == DEFAULT_TYPES
    assert residual(text) == {"EMAIL": 1}
    assert residual(text, TYPES) == {"AGE": 1, "EMAIL": 1}


VALUES = [
    "a@example.com", "555-213-4442", "+49 30 901820", "4111 1111 1111 1111", "078-05-1120",
    "DE89370400440532013000", "192.168.1.7", "fe80::1ff:fe23:4567:890a", "https://x.example/a?b=1",
    "MRN 5153416", "account 99213345", "born 1/2/1980", "@jane_doe", "user=jdoe7", "CP: 28016",
    "12 rue de la Paix, 75002 Paris", "phone 5552134 / 5552135", "00:1b:44:11:3a:b7", "X1234567L",
    "jane%40x.com", "jane&#64;x.com", "\\u0040", "\\n", "电话 13812345678", "DNI: 12345678Z",
    "/home/jdoe/",
    "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe", "lat=52.520008", "patient: {id: 48392}",
    "паспорт 4509 123456",
    "name at host dot com", "passport no", "call", "Tel.", "no.", "mrn", "<EMAIL_1>", "<ID_2>",
]  # fmt: skip
GLUE = ["", " ", ", ", "\n", ": ", "=", "/", "-", "|", " - ", '","', "(", ">", "."]


@pytest.mark.parametrize("seed", range(150))
def test_nothing_is_left_however_values_meet(seed):
    dice = random.Random(seed)
    text = "".join(dice.choice(VALUES) + dice.choice(GLUE) for _ in range(12))
    names = Placeholders()
    masked = names.mask(text)
    assert residual(masked.text) == {}
    assert names.mask(masked.text).text == masked.text


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=80))
def test_never_raises_and_is_idempotent(text):
    masked = Placeholders(TYPES).mask(text).text
    assert residual(masked, TYPES) == {}
    assert Placeholders(TYPES).mask(masked).text == masked


PIECES = st.one_of(
    st.sampled_from(
        [*VALUES, *GLUE, "\ud83d", "\u200b", "\u00ad", "%", "&", "\\", "年", "中", "\x00", "0"]
    ),
    st.text(st.characters(), max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_spans_are_in_order_and_exactly_what_is_replaced(text):
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    masked = Placeholders(TYPES).mask(text).text
    assert residual(masked, TYPES) == {}
    assert Placeholders(TYPES).mask(masked).text == masked


def test_each_span_is_replaced_exactly():
    text = "a@x.com; call 555-213-4442 (Ann), IBAN DE89 3704 0044 0532 0130 00."
    spans = find(text)
    parts, last = [], 0
    for span in spans:
        parts += [text[last : span.start], f"<{span.type}_1>"]
        last = span.end
    assert Placeholders().mask(text).text == "".join([*parts, text[last:]])
