import hashlib

import pytest

from ft_resources.vault.audit import AuditLog
from ft_resources.vault.keys import Tampered, TenantKey
from ft_resources.vault.originals import Originals
from ft_resources.vault.reveal import Desk, Refused, Role, new_role_key
from ft_resources.vault.store import KeyStore
from tests.resources.vault.test_originals import Kept


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


KEY, DIGEST = new_role_key()
OTHER_KEY, OTHER_DIGEST = new_role_key()
ROLES = {
    "support": Role(frozenset({"EMAIL"}), DIGEST),
    "officer": Role(frozenset({"*"}), OTHER_DIGEST),
}
VALUE = "jane@secret.org"


@pytest.fixture
def desk(tmp_path):
    store = KeyStore(tmp_path / "keys.db", TenantKey("acme", b"k" * 32))
    originals = Originals(tmp_path / "originals.db", store)
    originals.keep([Kept("<EMAIL_bcd>", VALUE), Kept("<SSN_bcd>", "078-05-1120", "SSN")])
    return Desk(originals, AuditLog(tmp_path, store), ROLES)


def ask(desk, token="<EMAIL_bcd>", role="support", key=KEY, reason="ticket 4711", who="ann"):
    return desk.reveal(token, role, key, reason, who)


def test_a_value_is_given_out_and_the_log_says_so(desk):
    assert ask(desk).values == [VALUE]
    (entry,) = desk.audit.entries()
    told = {name: entry[name] for name in ("who", "action", "role", "token", "type", "reason")}
    assert told == {
        "who": "ann",
        "action": "reveal",
        "role": "support",
        "token": "<EMAIL_bcd>",
        "type": "EMAIL",
        "reason": "ticket 4711",
    }
    assert entry["outcome"] == "granted"
    assert VALUE not in desk.audit.file.read_text()
    assert desk.audit.verify() == 1


def test_all_types_for_a_star(desk):
    assert ask(desk, "<SSN_bcd>", "officer", OTHER_KEY).values == ["078-05-1120"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"key": ""}, "not proved"),
        ({"key": OTHER_KEY}, "not proved"),
        ({"key": DIGEST}, "not proved"),
        ({"role": "nobody"}, "roles: officer, support"),
        ({"reason": "  "}, "reason has 8 to 500"),
        ({"reason": "x" * 501}, "reason has 8 to 500"),
        ({"token": "<EMAIL_zzz>"}, "no such token"),
        ({"token": "<SSN_bcd>"}, "may not see SSN"),
    ],
)
def test_a_refusal_is_told_and_logged(desk, asked, why):
    with pytest.raises(Refused, match=why):
        ask(desk, **asked)
    (entry,) = desk.audit.entries()
    assert entry["outcome"] == "refused"
    assert why in str(entry["why"])
    assert len(str(entry["reason"])) <= 500


def test_a_password_proves_nothing(desk):
    weak = Desk(desk.originals, desk.audit, {"weak": Role(frozenset("*"), sha256("hunter2"))})
    with pytest.raises(Refused, match="not proved"):
        ask(weak, role="weak", key="hunter2")


def test_a_text_that_is_no_token_is_not_written_down(desk):
    with pytest.raises(Refused):
        ask(desk, token="Jane Doe, 12 Main Street")
    assert "Jane" not in desk.audit.file.read_text()


def test_an_erased_subject(desk):
    desk.originals._store.destroy([desk.originals._store.subject_id("user:a")])
    with pytest.raises(Refused, match="erased"):
        ask(desk)
    assert [entry["outcome"] for entry in desk.audit.entries()] == ["granted", "refused"]


def test_nothing_is_given_out_that_cannot_be_logged(desk):
    ask(desk)
    desk.audit.file.write_text("")
    with pytest.raises(Tampered):
        ask(desk)
