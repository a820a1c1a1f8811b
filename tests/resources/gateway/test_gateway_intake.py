"""Whatever the gateway writes, the pipeline takes up: no line of it is quarantined."""

from datetime import UTC, datetime

import pytest
import requests

from ft_assets.raw.intake import take_up
from ft_assets.raw.schema import Interaction
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import FEEDBACK_MERGED

ODD = 'Grüße\n\t\u2028\u200b\x00\x7f🙂 "quoted" \\u0041 <|end|> ' + "x" * 40


def taken(gateway, domain):
    files = list_files([str(gateway.landing / domain / "logs")])
    return take_up(files, Interaction, domain=domain, now=datetime.now(UTC))


def ask(gateway, domain="legal", headers=None, **body):
    full = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, **body}
    url = f"{gateway.url}/v1/chat/completions"
    return requests.post(url, json={"model": domain, **full}, headers=headers, timeout=30)


@pytest.mark.parametrize("domain", ["legal", "finance", "health"])
def test_every_row_is_taken_up_with_its_feedback(gateway, domain):
    bodies = [
        {},
        {"user": "Zoë 7", "metadata": {"session_id": "s 1"}},
        {"messages": [{"role": "user", "content": ODD}]},
        {"messages": [{"role": "user", "content": ""}]},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "?"},
            ]
        },
        {"temperature": 2, "seed": 3, "max_tokens": 30},
    ]
    ids = [ask(gateway, domain, **body).json()["id"] for body in bodies]
    streamed = ask(gateway, domain, stream=True).text
    feedback = [
        {"thumb": "up"},
        {"thumb": "down", "rating": 1},
        {"correction": ODD},
        {"regenerated": True},
        {"clicked": True, "rating": 5},
        {"comment": ODD, "order": 10},
        {"edit_share": 0.5, "copied": True, "abandoned": True},
        {"thumb": "up", "comment": "late", "order": 9},
    ]
    for fields in feedback:
        body = {"id": ids[0], **fields}
        assert requests.post(f"{gateway.url}/feedback", json=body, timeout=30).ok
    requests.post(f"{gateway.url}/feedback", json={"id": ids[1], "rating": 3}, timeout=30)

    intake = taken(gateway, domain)
    assert intake.quarantined == []
    assert intake.dropped == {FEEDBACK_MERGED: 8}
    rows = {row["event_id"]: row for row in intake.rows}
    assert [*rows][:-1] == ids
    assert [*rows][-1] in streamed
    merged = {"thumb": "down", "rating": 5, "correction": ODD, "regenerated": True, "clicked": True}
    merged |= {"comment": ODD, "edit_share": 0.5, "copied": True, "abandoned": True}
    assert {name: rows[ids[0]][name] for name in merged} == merged
    assert rows[ids[1]]["rating"] == 3
    assert rows[ids[2]]["prompt"] == ODD


def test_a_thumb_may_change_its_mind_twice(gateway):
    answer = ask(gateway).json()["id"]
    for thumb in ("up", "down", "up"):
        body = {"id": answer, "thumb": thumb}
        assert requests.post(f"{gateway.url}/feedback", json=body, timeout=30).ok
    [row] = [row for row in taken(gateway, "legal").rows if row["event_id"] == answer]
    assert row["thumb"] == "up"


IDS = [
    "",
    " ",
    " u1",
    "u1\u00a0",
    "u\u200b1",
    "\x7f",
    "\u2028",
    "\ufeff",
    "\ue000",
    "\u0378",
    "x" * 257,
]
FINE = ["Zoë", "a b", "a\u00a0b", "用户", "🙂", "x" * 256]


@pytest.mark.parametrize("user", [*IDS, *FINE])
def test_an_id_is_refused_rather_than_quarantined_later(gateway, user):
    before = taken(gateway, "legal")
    reply = ask(gateway, user=user)
    assert reply.status_code == (200 if user in FINE else 400)
    after = taken(gateway, "legal")
    assert after.quarantined == []
    assert len(after.rows) == len(before.rows) + (user in FINE)


# In UTF-8, É ends with what is a control character in Latin-1, and à with a blank.
@pytest.mark.parametrize("session", ["CAFÉ", "voilà"])
def test_a_session_in_a_header_is_utf_8(gateway, session):
    answer = ask(gateway, headers={"X-Session-Id": session.encode()}).json()
    intake = taken(gateway, "legal")
    assert intake.quarantined == []
    [row] = [row for row in intake.rows if row["event_id"] == answer["id"]]
    assert row["session_id"] == session


def test_a_session_in_a_header_that_is_none(gateway):
    reply = ask(gateway, headers={"X-Session-Id": b"caf\xe9"})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "X-Session-Id"
