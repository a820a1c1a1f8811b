import pytest

from ft_assets.corpus.columns import find_in_columns


def cells(table: str) -> list[tuple[str, str]]:
    return [(table[start:end], kind) for start, end, kind in find_in_columns(table)]


@pytest.mark.parametrize(
    ("header", "value", "kind"),
    [
        ("mrn", "48392", "ID"),
        ("Member ID", "123456", "ID"),
        ("Kundennr", "123456", "ID"),
        ("numero de poliza", "83726", "ID"),
        ("codice fiscale", "RSSMRA85T10A562S", "ID"),
        ("BSN", "123456782", "ID"),
        ("passport_no", "X1234567", "ID"),
        ("customer_id", "100234567", "ID"),
        ("geboortedatum", "1980-02-01", "DATE"),
        ("data_nascita", "01/02/1980", "DATE"),
        ("screen_name", "jdoe", "USERNAME"),
        ("home_phone", "555 2134", "PHONE"),
        ("ssn", "123456789", "SSN"),
        ("zip code", "90210", "ZIP"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_header_names_the_cells_below(header, value, kind, separator):
    table = f"name{separator}{header}\nAnn{separator}{value}\nBo{separator}\n"
    if separator == "|":
        table = f"| name | {header} |\n|---|---|\n| Ann | {value} |"
    assert cells(table) == [(value, kind)]


@pytest.mark.parametrize(
    "table",
    [
        "customer_id,total\n26798,15.00",  # row numbers are nobody's
        "order_id,sku\n26798112,123-45-6789",
        "year,account\n2019,sales",
        "Dear Ann, account\nyou have 12345, thanks",
        "mrn,name\nnull,N/A",
    ],
)
def test_other_tables_stay(table):
    assert cells(table) == []


def test_a_list_of_insert_values():
    table = "INSERT INTO p (id, ssn, name) VALUES (1, '123456789', 'A, B'), (2, '987654321', 'C');"
    assert cells(table) == [("123456789", "SSN"), ("987654321", "SSN")]


def test_quoted_cells_hold_the_separator():
    assert cells('address,phone\n"1 Oak Lane, Rye",5552134') == [
        ("1 Oak Lane, Rye", "STREET_ADDRESS"),
        ("5552134", "PHONE"),
    ]
