import sqlite3
import stat
from dataclasses import dataclass

import pytest

from ft_resources.vault.keys import Erased, Tampered, TenantKey, VaultError
from ft_resources.vault.originals import Originals, UnknownToken
from ft_resources.vault.store import KeyStore

TENANT = TenantKey("acme", b"k" * 32)


@dataclass(frozen=True)
class Kept:
    token: str
    value: str
    type: str = "EMAIL"
    subjects: tuple[str, ...] = ("user:a",)


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "keys.db", TENANT)


@pytest.fixture
def originals(store):
    return Originals(store.file.with_name("originals.db"), store)


def on_disk(originals):
    return b"".join(f.read_bytes() for f in sorted(originals.file.parent.iterdir()))


def test_a_value_comes_back_by_its_token(originals, store):
    assert (
        originals.keep([Kept("<EMAIL_xyz>", "jane@x.com"), Kept("k@l.example", "é\ud83d\0")]) == 2
    )
    for again in (originals, Originals(originals.file, store)):
        assert again.reveal("<EMAIL_xyz>").values == ["jane@x.com"]
        assert again.reveal("k@l.example").values == ["é\ud83d\0"]
        assert again.reveal("<EMAIL_xyz>").type == again.type_of("<EMAIL_xyz>") == "EMAIL"
    assert "jane" not in repr(originals.reveal("<EMAIL_xyz>"))


def test_each_is_kept_once_and_spellings_are_all_told(originals):
    kept = [Kept("T", "jane@x.com"), Kept("T", "JANE@x.com")]
    assert originals.keep(kept * 2) == 2
    assert originals.keep(reversed(kept)) == 0
    assert set(originals.reveal("T").values) == {"jane@x.com", "JANE@x.com"}
    assert originals.counts() == {"EMAIL": 2}


def test_more_than_one_batch(originals):
    assert (
        originals.keep(Kept(f"T{n}", f"v{n}", subjects=(f"user:{n}",)) for n in range(1203)) == 1203
    )
    assert originals.reveal("T1202").values == ["v1202"]


def test_the_file_holds_no_value_no_token_no_subject(originals, store):
    originals.keep([Kept("<EMAIL_xyz>", "jane@x.com" * 9, subjects=("user:jane",))])
    there = on_disk(originals)
    for plain in (b"jane@x", b"EMAIL_xyz", b"user:jane"):
        assert plain not in there
    assert store.subject_id("user:jane") not in originals.file.read_bytes()
    assert stat.S_IMODE(originals.file.stat().st_mode) == 0o600


def test_lengths_are_rounded(originals):
    originals.keep([Kept("A", "x"), Kept("B", "x" * 28), Kept("C", "x" * 29)])
    with sqlite3.connect(originals.file) as db:
        sizes = sorted(row[0] for row in db.execute("SELECT length(sealed) FROM originals"))
    assert sizes == [32 + 28, 32 + 28, 64 + 28]


def test_an_erased_subject_takes_its_originals_along(originals, store):
    originals.keep([Kept("T", "v"), Kept("U", "w", subjects=("user:b",))])
    originals.keep([Kept("V", "x", subjects=("user:a", "user:b"))])
    store.destroy([store.subject_id("user:a")])
    for token in ("T", "V"):
        with pytest.raises(Erased):
            originals.reveal(token)
    assert originals.reveal("U").values == ["w"]
    assert originals.keep([Kept("T2", "v")]) == 0
    with pytest.raises(UnknownToken):
        originals.reveal("T2")


def test_what_somebody_else_wrote_too_is_still_theirs(originals, store):
    originals.keep([Kept("T", "v"), Kept("T", "v", subjects=("user:b",))])
    store.destroy([store.subject_id("user:a")])
    assert originals.reveal("T").values == ["v"]


def test_a_lost_key_is_not_taken_for_an_erasure(originals, store, tmp_path):
    store.backup(tmp_path / "old.db")
    originals.keep([Kept("T", "v", subjects=("user:new",))])
    old = Originals(originals.file, KeyStore(tmp_path / "old.db", TENANT))
    with pytest.raises(VaultError, match="restore its newest backup"):
        old.reveal("T")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE originals SET sealed = (SELECT sealed FROM originals WHERE type = 'SSN')",
        "UPDATE originals SET type = 'ZIP' WHERE type = 'EMAIL'",
        "UPDATE originals SET subjects = (SELECT subjects FROM originals WHERE type = 'SSN')",
        "UPDATE originals SET sealed = zeroblob(60)",
        "UPDATE originals SET sealed = zeroblob(3)",
    ],
)
def test_a_row_that_was_changed_or_moved_is_told(originals, change):
    originals.keep([Kept("T", "v"), Kept("S", "w", "SSN", ("user:b",))])
    with sqlite3.connect(originals.file) as db:
        db.execute(change + " WHERE type = 'EMAIL'" * ("WHERE type = 'EMAIL'" not in change))
    with pytest.raises(Tampered, match="changed after writing"):
        originals.reveal("T")


def test_after_a_rotation_everything_is_still_there(originals, store):
    originals.keep([Kept("T", "v")])
    new = TenantKey("acme", b"n" * 32)
    store.rewrap(new)
    assert Originals(originals.file, KeyStore(store.file, new)).reveal("T").values == ["v"]


def test_an_original_needs_a_subject(originals):
    with pytest.raises(ValueError, match="needs a subject"):
        originals.keep([Kept("T", "v", subjects=())])
