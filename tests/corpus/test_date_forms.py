from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ft_assets.corpus.date_forms import read_date


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("1980-02-01", "1980-05-11"),
        ("1980-02-01T10:22:01Z", "1980-05-11T10:22:01Z"),
        ("1980-02-01 10:22", "1980-05-11 10:22"),
        ("1980/2/1", "1980/5/11"),
        ("02/01/80", "05/11/80"),
        ("13.2.1980", "23.5.1980"),
        ("25-12-1999", "03-04-2000"),
        ("1. 2. 1980", "11. 5. 1980"),
        ("19800212", "19800522"),
        ("Feb 1, 1980", "May 11, 1980"),
        ("February 1st, 1980", "May 11th, 1980"),
        ("1st of March 1980", "9th of June 1980"),
        ("03-Mar-2020", "11-Jun-2020"),
        ("MARCH 3, 2020", "JUNE 11, 2020"),
        ("3. März 2020", "11. Juni 2020"),
        ("3. Dezember 2019", "12. März 2020"),
        ("1er mai 2001", "9 août 2001"),
        ("12 de octubre de 1999", "20 de enero de 2000"),
        ("03/2021", "06/2021"),
        ("March 2021", "June 2021"),
        ("Sept 5, 2020", "Dec 14, 2020"),
        ("1984", "1984"),
        ("3 March", "11 June"),
        ("December 31", "April 10"),
        ("09/27", "12/27"),
        ("29.02.2000", "08.06.2000"),
        ("el 30 de agosto de 1999", "el 8 de diciembre de 1999"),
        ("Le 1er mai 2001", "Le 9 août 2001"),
        ("on the 3rd of May 2001", "on the 11th of August 2001"),
        ("sep-04", "dec-04"),
        ("enero-03", "abril-03"),
        ("año 2003", "año 2003"),
        ("enero del año 2001", "abril del año 2001"),
    ],
)
def test_moved_by_100_days(text, moved):
    found = read_date(text)
    assert found is not None
    assert found.moved(100) == moved


@pytest.mark.parametrize(
    "text",
    [
        "",
        "next week",
        "99/99/9999",
        "30.02.2000",
        "Monday",
        "Monday, 1 May 2000",
        "1980-02-01 and more",
        "0000",
    ],
)
def test_what_is_no_date(text):
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("text", "day_first", "month"),
    [
        ("1/2/1980", None, 1),
        ("1/2/1980", True, 2),
        ("1.2.1980", None, 2),
        ("1.2.1980", False, 1),
        ("13/2/1980", False, 2),
        ("2/13/1980", True, 2),
    ],
)
def test_which_comes_first(text, day_first, month):
    found = read_date(text, day_first)
    assert found is not None
    assert found.month == month


FORMS = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%B %d, %Y", "%d %b %Y", "%Y%m%d"]


@given(st.dates(date(1902, 1, 1), date(2098, 1, 1)), st.integers(-365, 365), st.sampled_from(FORMS))
def test_intervals_and_form_stay(day, days, form):
    written = read_date(day.strftime(form), day_first="%d.%m" in form)
    assert written is not None
    again = read_date(written.moved(days), day_first="%d.%m" in form)
    assert again is not None
    assert (date(again.year, again.month, again.day) - day).days == days
