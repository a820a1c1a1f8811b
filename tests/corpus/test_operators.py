import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ft_assets.corpus.date_forms import read_date
from ft_assets.corpus.detect import Span, find
from ft_assets.corpus.detector import TYPES
from ft_assets.corpus.operators import (
    SMALL_ZIP_AREAS,
    DomainOperators,
    Owner,
    generalised,
    masked_but_last,
)
from ft_assets.corpus.policy import Generalise, Operators, resolve
from ft_assets.corpus.redact import Placeholders, residual
from ft_assets.corpus.surrogates import Surrogates

KEYED = Surrogates(b"a" * 32)
OWNER = Owner(("user:u1",), "user:u1", 2026)
TEXT = (
    "Jane Doe, born 1980-02-01, a 93-year-old, mail jane@acme.com, call 555-213-4442, "
    "SSN 078-05-1120, ZIP code: 03601"
)


def operators(policy="placeholders", keyed=KEYED, **by_type):
    read = TypeAdapter(Operators).validate_python(by_type)
    return DomainOperators(resolve(policy, {}, read), keyed)


def spans_of(text, types, persons=()):
    """What patterns find, and these names."""
    spans = find(text, types - {"PERSON", "LOCATION", "ORG"})
    spans += [
        Span(*match.span(), "PERSON")
        for name in persons
        for match in re.finditer(rf"\b{re.escape(name)}\b", text)
        if not any(span.start < match.end() and match.start() < span.end for span in spans)
    ]
    return sorted(spans)


def render(chosen, *texts, persons=("Jane Doe",), owner=OWNER):
    names = Placeholders(chosen.types)
    masked = [names.mask(text, spans_of(text, chosen.types, persons)) for text in texts]
    for one in masked:
        assert residual(one.text, chosen.types) == {}
    return chosen.render([(one, owner) for one in masked])


def test_placeholders_by_default():
    (done,) = render(operators(keyed=None), TEXT)
    assert done.text == (
        "<PERSON_1>, born <DATE_1>, a 93-year-old, mail <EMAIL_1>, call <PHONE_1>, "
        "SSN <SSN_1>, ZIP code: <ZIP_1>"
    )
    assert done.counts["EMAIL", "replace"] == 1
    assert done.originals == []


def test_safe_harbor():
    (done,) = render(operators("hipaa_safe_harbor", keyed=None), TEXT)
    assert done.text == (
        "<PERSON_1>, born 1980, a 90+-year-old, mail <EMAIL_1>, call <PHONE_1>, "
        "SSN <SSN_1>, ZIP code: 000"
    )
    assert done.counts == Counter(
        {
            **{(kind, "replace"): 1 for kind in ("PERSON", "EMAIL", "PHONE", "SSN")},
            **{(kind, "generalise"): 1 for kind in ("DATE", "AGE", "ZIP")},
        }
    )


def test_pseudonyms_with_what_stands_behind_them():
    chosen = operators("gdpr_pseudonymized")
    (done,) = render(chosen, TEXT)
    for value in ("Jane", "Doe", "acme", "4442", "1120", "03601", "1980-02-01"):
        assert value not in done.text
    days = KEYED.shift_days("user:u1")
    assert f"born {read_date('1980-02-01').moved(days)}, a 90+-year-old" in done.text
    kept = {original.type: original for original in done.originals}
    assert {kind: each.value for kind, each in kept.items()} == {
        "PERSON": "Jane Doe",
        "EMAIL": "jane@acme.com",
        "PHONE": "555-213-4442",
        "SSN": "078-05-1120",
        "ZIP": "03601",
    }
    assert all(original.token in done.text for original in done.originals)
    assert {original.subjects for original in done.originals} == {("user:u1",)}
    assert "jane" not in repr(done)
    assert "u1" not in repr(done.originals)


def test_a_reversible_placeholder_is_a_token_that_no_pattern_finds():
    chosen = operators(DEFAULT={"operator": "replace", "reversible": True})
    first, second = render(chosen, "mail jane@acme.com", "from JANE@acme.com")
    token = first.text.removeprefix("mail ")
    assert re.fullmatch("<EMAIL_[a-z]{20}>", token)
    assert second.text == f"from {token}"
    assert find(first.text) == []
    other = operators(
        keyed=Surrogates(b"b" * 32), DEFAULT={"operator": "replace", "reversible": True}
    )
    assert token not in render(other, "mail jane@acme.com")[0].text


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("redact", "mail "),
        ({"operator": "replace", "new_value": "<X>"}, "mail <X>"),
        ("mask", "mail ****@****.***"),
        ({"operator": "mask", "keep_last": 3, "masking_char": "#"}, "mail ####@####.com"),
        ("keep", "mail jane@acme.com"),
    ],
)
def test_operators_without_a_key(operator, expected):
    (done,) = render(operators(keyed=None, EMAIL=operator), "mail jane@acme.com")
    assert done.text == expected


def test_a_hash_is_keyed_and_the_same_for_every_spelling():
    chosen = operators(EMAIL={"operator": "hash", "length": 16})
    first, second = render(chosen, "jane@acme.com", "JANE@ACME.com")
    assert first.text == second.text
    assert re.fullmatch("[0-9a-f]{16}", first.text)
    other = operators(keyed=Surrogates(b"b" * 32), EMAIL="hash")
    assert not render(other, "jane@acme.com")[0].text.startswith(first.text)


def test_keyed_operators_need_the_key():
    with pytest.raises(ValueError, match="EMAIL, SSN need the key"):
        operators(keyed=None, EMAIL="hash", SSN={"operator": "replace", "reversible": True})


def test_one_person_through_a_conversation_and_across():
    chosen = operators(PERSON="pseudonymize")
    persons = ("John Smith", "Mr Smith", "Smith, John")
    a, b, c = render(chosen, "Mr Smith called", "I am John Smith", "Smith, John", persons=persons)
    _, given_name, family = b.text.rsplit(" ", 2)
    assert a.text == f"Mr {family} called"
    assert c.text == f"{family}, {given_name}"
    (again,) = render(operators(PERSON="pseudonymize"), "John Smith wrote", persons=persons)
    assert again.text == f"{given_name} {family} wrote"


def test_dates_of_a_subject_keep_their_intervals():
    chosen = operators(DATE="shift_dates")
    one, other = Owner((), "user:1"), Owner((), "user:2")
    (a,) = render(chosen, "born 1980-02-01, admitted 1980-02-11", owner=one)
    (b,) = render(chosen, "born 1980-02-01, admitted 1980-02-11", owner=other)
    assert a.text != b.text
    dates = [read_date(found) for found in re.findall(r"\d{4}-\d\d-\d\d", a.text)]
    assert len(dates) == 2
    assert dates[0].moved(10) == dates[1].text


def test_a_date_that_cannot_be_read_stays_a_placeholder():
    chosen = operators(DATE="shift_dates")
    masked = Placeholders(chosen.types).mask("on Shrove Tuesday", [Span(3, 17, "DATE")])
    assert chosen.render([(masked, OWNER)])[0].text == "on <DATE_1>"


@pytest.mark.parametrize(
    ("value", "keep", "expected"),
    [
        ("4111 1111 1111 1234", 4, "**** **** **** 1234"),
        ("1234", 4, "**34"),
        ("7", 4, "*"),
        ("", 4, ""),
        ("4111-2", 0, "****-*"),
    ],
)
def test_never_more_than_half_stays(value, keep, expected):
    assert masked_but_last(value, "*", keep) == expected


@pytest.mark.parametrize(
    ("kind", "value", "year", "expected"),
    [
        ("DATE", "12 March 1984", None, "1984"),
        ("DATE", "03/12/1936", None, "1936 or earlier"),
        ("DATE", "03/12/1937", None, "1937"),
        ("DATE", "03/12/1937", 2028, "1938 or earlier"),
        ("DATE", "03/12/1936", 2020, "1936 or earlier"),
        ("DATE", "12 March", None, None),
        ("DATE", "last week", None, None),
        ("AGE", "54", None, "54"),
        ("AGE", "89 ans", None, "89 ans"),
        ("AGE", "90", None, "90+"),
        ("AGE", "104 ans", None, "90+ ans"),
        ("AGE", "ninety", None, None),
        ("ZIP", "10115", None, "101"),
        ("ZIP", "10115-1234", None, "101"),
        ("ZIP", "03601", None, "000"),
        ("ZIP", "SW1A 1AA", None, None),
        ("ZIP", "1010", None, None),
    ],
)
def test_generalised(kind, value, year, expected):
    assert generalised(kind, value, Generalise(), year) == expected


def test_the_small_zip_areas_are_17():
    assert len(SMALL_ZIP_AREAS) == 17


PIECES = st.lists(
    st.sampled_from(
        [
            *("a@x.com", "555-213-4442", "078-05-1120", "DE89370400440532013000", "192.168.1.7"),
            *("https://x.example/a", "MRN 5153416", "born 1/2/1980", "@jane_doe", "CP: 28016"),
            *("<EMAIL_1>", "<PHONE_2>", " ", ", ", "\n", "=", ":", "phone ", "Jane Doe", "\ud83d"),
        ]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(PIECES, st.sampled_from(["placeholders", "hipaa_safe_harbor", "gdpr_pseudonymized"]))
def test_each_value_is_replaced_where_it_stood(text, policy):
    """What lies between the values is untouched, and every value is known by its place."""
    chosen = operators(policy)
    masked = Placeholders(chosen.types).mask(text, spans_of(text, chosen.types, ["Jane Doe"]))
    for each in masked.replaced:
        assert masked.text[each.start : each.end].startswith(f"<{each.type}_")
    rebuilt, last = [], 0
    for each in masked.replaced:
        rebuilt += [masked.text[last : each.start], each.value]
        last = each.end
    assert "".join([*rebuilt, masked.text[last:]]) == text
    (done,) = chosen.render([(masked, OWNER)])
    assert sum(done.counts.values()) == len(masked.replaced)
    assert "jane@" not in done.text
    assert chosen.types <= TYPES
