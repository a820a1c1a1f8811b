"""Published or constructed numbers whose check digits hold, and the same with one digit changed."""

import pytest

from ft_assets.corpus import checksums

HOLDING = [
    (checksums.luhn, "4111111111111111"),
    (checksums.luhn, "378282246310005"),
    (checksums.iban, "DE89370400440532013000"),
    (checksums.spanish_dni, "12345678Z"),
    (checksums.spanish_dni, "X1234567L"),
    (checksums.french_nir, "185057800608491"),
    (checksums.german_tax_id, "86095742719"),
    (checksums.german_social_security, "65170839J003"),
    (checksums.italian_tax_code, "RSSMRA85T10A562S"),
    (checksums.polish_pesel, "44051401359"),
    (checksums.belgian_number, "85073003328"),
    (checksums.dutch_bsn, "111222333"),
    (checksums.nhs_number, "9434765919"),
    (checksums.ean13, "7569217076985"),
    (checksums.chinese_id, "11010519491231002X"),
    (checksums.chilean_rut, "123456785"),
    (checksums.argentine_cuit, "20123456786"),
    (checksums.russian_snils, "11223344595"),
    (checksums.singapore_nric, "S1234567D"),
    (checksums.singapore_nric, "G1234567X"),
    (checksums.vin, "1HGCM82633A004352"),
    (checksums.vin, "11111111111111111"),
]


@pytest.mark.parametrize(("holds", "value"), HOLDING)
def test_holds_and_one_changed_digit_does_not(holds, value):
    assert holds(value)
    place = next(i for i, char in enumerate(value) if i > 2 and char.isdigit() and i != 8)
    changed = str((int(value[place]) + 1) % 10)
    assert not holds(value[:place] + changed + value[place + 1 :])


def test_addresses_of_coins():
    assert checksums.base58("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", checksums.BITCOIN)
    assert not checksums.base58("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", checksums.BITCOIN)
    assert checksums.base58("rEb8TK3gBgk5auZkwc6sHnwrGVJH8DuaLh", checksums.RIPPLE)


@pytest.mark.parametrize(
    ("digits", "issued"),
    [
        ("4111111111111111", True),
        ("2204000000000000", True),
        ("2205000000000000", False),
        ("2720990000000000", True),
        ("2721000000000000", False),
        ("37828224631000", False),
        ("9792000000000000", True),
        ("1234567890123456", False),
    ],
)
def test_card_issuer(digits, issued):
    assert checksums.card_issuer(digits) is issued
