import json

import pytest

from ft_resources.vault.subjects import of_line, of_row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"user_id": "u1", "event_id": "e1"}, ("user:u1",)),
        ({"reviewer_id": "r1", "event_id": "e1"}, ("reviewer:r1", "event:e1")),
        ({"reviewer_id": None, "event_id": "e1"}, ("event:e1",)),
        ({"annotator_id": "a1"}, ("annotator:a1",)),
        ({"doc_id": "d1"}, ("source:finance/documents",)),
    ],
)
def test_of_row(row, expected):
    assert of_row(row, "finance/documents") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"user_id": "u1", "x": NaN}', ("user:u1",)),
        ('{"user_id": " u\\u0031 "}', ("user:u1",)),
        ('{"a": {"user_id": 7}}', ("user:7",)),
        ('{"user_id": "u1", "user_id": "u2"}', ("user:u1", "user:u2")),
        ('{"user_id": "u1", "prompt": "brok', ("user:u1",)),
        ("user_id=u1;prompt=hello", ("user:u1",)),
        ("2026,u1,hello", ("quarantine:finance",)),
        ("", ("quarantine:finance",)),
        ("[" * 100_000, ("quarantine:finance",)),
        ('{"user_id": ""}', ("quarantine:finance",)),
        (json.dumps([{"user_id": f"u{n}"} for n in range(9)]), ("quarantine:finance",)),
    ],
)
def test_of_line(line, expected):
    assert of_line(line, "finance") == expected


def test_a_feed_with_another_name_for_the_user():
    assert of_line('{"uid": "u1"}', "finance", ("user_id", "uid")) == ("user:u1",)
