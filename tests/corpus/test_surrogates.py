import hashlib
import ipaddress
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_assets.corpus import checksums
from ft_assets.corpus.invented_words import given_names
from ft_assets.corpus.persons import People, parse
from ft_assets.corpus.policy import TYPES
from ft_assets.corpus.surrogates import Surrogates

ACME, OTHER = Surrogates(b"a" * 32), Surrogates(b"b" * 32)


def person(text, keyed=ACME, *others):
    people = People()
    for each in (text, *others):
        people.learn(parse(each))
    mention = parse(text)
    return keyed.person(mention, people.resolve(mention))


@pytest.mark.parametrize(
    ("kind", "one", "same"),
    [
        ("EMAIL", "jane.doe@acme.com", "Jane.Doe@ACME.com"),
        ("PHONE", "+1 (555) 213-4442", "555.213.4442"),
        ("USERNAME", "@jdoe", "@JDoe"),
        ("URL", "https://x.com/u/jane", "HTTPS://X.com/u/jane".replace("HTTPS", "https")),
        ("STREET_ADDRESS", "12 Rue de la Paix", "12, rue de la Paix"),
        ("LOCATION", "San Jose", "san jose".title()),
        ("ORG", "Foo Bar", "foo  bar"),
    ],
)
def test_spellings_of_one_value_share_a_surrogate(kind, one, same):
    assert ACME.of(kind, one) == ACME.of(kind, same) != OTHER.of(kind, one)
    assert Surrogates(b"a" * 32).of(kind, one) == ACME.of(kind, one)


def bare(text):
    return "".join(char for char in text if char.isalnum())


@pytest.mark.parametrize(
    ("kind", "one", "same"),
    [
        ("CREDIT_CARD", "4111 1111 1111 1111", "4111111111111111"),
        ("IBAN", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("IBAN", "gb82 west 1234 5698 7654 32", "GB82-WEST-1234-5698-7654-32".lower()),
        ("SSN", "078-05-1120", "078051120"),
        ("ID", "AB-12.34", "AB1234"),
        ("ZIP", "28016-1234", "280161234"),
    ],
)
def test_numbers_keep_the_form_they_are_written_in(kind, one, same):
    new, again = ACME.of(kind, one), ACME.of(kind, same)
    assert bare(new) == bare(again) != bare(one)
    assert [c if not c.isalnum() else "" for c in new] == [
        c if not c.isalnum() else "" for c in one
    ]
    assert bare(OTHER.of(kind, one)) != bare(new)


def test_surrogates_belong_to_nobody():
    card = bare(ACME.of("CREDIT_CARD", "4111 1111 1111 1111"))
    assert card.startswith("99")
    assert checksums.luhn(card)
    assert not checksums.card_issuer(card)
    for iban in ("DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947"):
        new = ACME.of("IBAN", iban)
        assert (new[:2], len(new)) == ("ZZ", len(iban))
        assert checksums.mod_97(new)
        assert not checksums.iban(new)
    assert ACME.of("EMAIL", "a@b.com").endswith(".example")
    assert ACME.of("URL", "https://b.com/x").split("/")[2].endswith(".example")
    assert ACME.of("PHONE", "555-213-4442").startswith("+999 ")
    assert ipaddress.ip_address(ACME.of("IP", "fe80::1")) in ipaddress.ip_network("2001:db8::/32")


def test_addresses_of_one_company_stay_at_one_company():
    hosts = {ACME.of("EMAIL", f"{name}@acme.com").split("@")[1] for name in "abc"}
    assert len(hosts) == 1
    assert ACME.of("URL", "https://www.acme.com/x").split("/")[2] in hosts
    assert ACME.of("EMAIL", "a@other.com").split("@")[1] not in hosts


def test_an_ip_address_stays_one():
    for value in ("192.168.1.7", "00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7"):
        new = ACME.of("IP", value)
        assert new != value
        assert [c for c in new if not c.isalnum()] == [c for c in value if not c.isalnum()]
    assert ACME.of("IP", "10.0.0.7/24").endswith("/24")
    assert ipaddress.ip_address(ACME.of("IP", "10.0.0.7"))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_short_numbers_are_permuted_and_none_stays(size):
    values = [f"{n:0{size}d}" for n in range(10**size)]
    new = [ACME.of("ID", value) for value in values]
    assert sorted(new) == values
    assert not [pair for pair in zip(values, new, strict=True) if pair[0] == pair[1]]


MANY = 100_000
NAMES = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", "user{}@one-company.com"),
        ("USERNAME", "user{}"),
        ("ORG", "Company {}"),
        ("STREET_ADDRESS", "{} Main Street"),
        ("CREDIT_CARD", "4{:015d}"),
    ],
)
def test_drawn_surrogates_of_100_000_values_differ(kind, value):
    mine = {ACME.of(kind, value.format(n)) for n in range(MANY)}
    assert len(mine) == MANY
    assert not mine & {OTHER.of(kind, value.format(n)) for n in range(0, MANY, 10)}


def test_surrogates_of_100_000_persons_differ():
    given = [*given_names()["female"], *given_names()["male"]][:500]
    mentions = (parse(f"{first} Family{n}") for first in given for n in range(200))
    mine = {ACME.person(mention, mention.person) for mention in mentions}
    assert len(mine) == MANY


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(TYPES - {"AGE", "DATE", "PERSON"})), NAMES)
def test_any_value_has_a_surrogate(kind, value):
    new = ACME.of(kind, value)
    assert new == ACME.of(kind, value)
    if any(char.isascii() and char.isalnum() for char in value):
        assert new != value


@settings(max_examples=100, deadline=None)
@given(NAMES)
def test_any_name_has_a_surrogate(text):
    assert person(text) == person(text)


def test_one_person_however_written():
    full = person("John Smith")
    given, family = full.split()
    assert given in given_names()["male"]
    for text, expected in {
        "Smith, John": f"{family}, {given}",
        "JOHN SMITH": full.upper(),
        "john smith": full.lower(),
        "J. Smith": f"{given[0]}. {family}",
        "Mr Smith": f"Mr {family}",
        "Mr. John Smith": f"Mr. {full}",
        "John": given,
        "Smith": family,
        "John Smith's": f"{full}'s",
        "John Smith, MD": f"{full}, MD",
        "Jöhn Smith": full,
    }.items():
        assert person(text, ACME, "John Smith") == expected
    assert person("John Q. Smith").split()[::2] == full.split()
    assert person("Mary Smith", ACME, "John Smith") != person("Mary Smith", OTHER)


def test_a_name_that_is_not_resolved_tells_nothing_of_itself():
    for text in ("Don Quijada", "M. Dupont", "Anna Do", "李雷", "O'Brien", "van der Berg"):
        new = person(text)
        words = {word for word in text.replace(".", " ").split() if word[:1].isupper()}
        assert not words & set(new.replace(".", " ").split()), (text, new)


def test_figures_in_a_name_do_not_stay():
    for text in ("John Smith 19840512", "1984john", "jdoe1984", "John, 4111222233334444"):
        new = person(text)
        assert not re.search(r"1984|4111", new), new
        assert re.sub(r"\w", "", new).replace("-", "") == re.sub(r"\w", "", text)


def test_the_key_is_not_shown_and_has_32_bytes():
    assert "61" not in repr(ACME)
    assert "aaa" not in repr(ACME)
    with pytest.raises(ValueError, match="32 bytes"):
        Surrogates(b"short")


def test_all_dates_of_a_subject_move_together():
    days = [ACME.shift_days(f"user:{n}") for n in range(5000)]
    assert {min(days), max(days)} == {-365, 365}
    assert 0 not in days
    assert ACME.shift_days("user:1") == ACME.shift_days("user:1")
    assert [OTHER.shift_days(f"user:{n}") for n in range(20)] != days[:20]


def test_surrogates_are_part_of_the_format():
    """A corpus is made over months: another release must give the same surrogates."""
    values = [
        ACME.of("EMAIL", "a@b.com"),
        ACME.of("PHONE", "555-213-4442"),
        ACME.of("ID", "AB-1234567"),
        ACME.of("ID", "7"),
        ACME.of("IBAN", "DE89370400440532013000"),
        ACME.of("IP", "10.0.0.7"),
        ACME.of("ORG", "Foo GmbH"),
        person("Anna Kowalska"),
        str(ACME.shift_days("user:1")),
    ]
    digest = hashlib.sha256("\n".join(values).encode()).hexdigest()
    assert digest[:16] == "1f1c51c0c50569a4", values
