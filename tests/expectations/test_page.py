"""The page of a validation: self-contained, the same for the same result, no value of a row."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from ft_assets.expectations.gx import validate
from ft_assets.expectations.page import Subject, render
from ft_assets.expectations.suite import Expectation, Severity, Suite
from tests.expectations.test_usual import WATCHED, earlier, week

PLANTED = "jane.roe@example.org"
SUBJECT = Subject("anonymized_logs", "finance", "2026-11-16")


class Tags(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "rect", "polyline", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> bytes:
    history = earlier()
    result = validate(week(99, up=0.1), WATCHED, {}, history)
    return render(SUBJECT, result, history, {e.label: f"?ref=main&path={e.label}" for e in history})


def test_it_needs_nothing_from_anywhere(page):
    tags = Tags(page)
    assert not tags.open
    assert not {"script", "link", "img", "iframe", "form", "object"} & tags.names
    assert {link[:10] for link in tags.links} == {"?ref=main&"}
    assert not re.findall(rb"url\(|@import|https?://", page)


def test_the_same_result_is_the_same_page(page):
    history = earlier()
    result = validate(week(99, up=0.1), WATCHED, {}, history)
    pages = {e.label: f"?ref=main&path={e.label}" for e in history}
    assert render(SUBJECT, result, history, pages) == page


def test_it_says_what_is_unusual_and_shows_the_weeks_before(page):
    text = page.decode()
    assert "Everything that must hold holds; 1 unusual" in text
    assert "8 earlier weeks, w0 to w7" in text
    assert text.count("<svg") == len(WATCHED.expectations) - 1  # a mix has no chart
    assert text.count('<a href="?ref=main&amp;path=w') == 8


def test_no_value_of_a_row_is_on_it():
    table = pd.DataFrame({"text": [PLANTED, f"<b>{PLANTED}</b>"], "number": [4711, 4711]})
    suite = Suite(
        "s",
        [
            Expectation("expect_column_values_to_be_unique", "number"),
            Expectation("expect_column_values_to_not_match_regex", "text", {"regex": "@"}),
            Expectation("expect_column_max_to_be_between", "number", {"max_value": 1}),
            Expectation("expect_column_most_common_value_to_be_in_set", "text", {"value_set": []}),
            Expectation("expect_column_mean_to_be_between", "text", {"min_value": 1}),
        ],
    )
    text = render(SUBJECT, validate(table, suite)).decode()
    assert "5 failed: nothing is merged" in text
    assert PLANTED not in text
    assert "4711" not in text
    assert "100.00 %" in text


def test_what_a_suite_says_is_escaped():
    note = "<script>alert(1)</script>"
    suite = Suite("s", [Expectation("expect_column_to_exist", "a", note=note)])
    text = render(Subject(note, note), validate(pd.DataFrame({"a": [1]}), suite)).decode()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_long_list_of_values_is_cut():
    suite = Suite(
        "s",
        [
            Expectation(
                "expect_column_values_to_be_in_set",
                "a",
                {"value_set": list(range(1000))},
                Severity.WARNING,
            )
        ],
    )
    assert len(render(SUBJECT, validate(pd.DataFrame({"a": [1]}), suite))) < 8000
