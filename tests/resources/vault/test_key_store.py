import multiprocessing
import secrets
import sqlite3
import stat
import threading

import pytest

from ft_resources.vault.keys import Erased, TenantKey, VaultError, WrongTenantKey
from ft_resources.vault.store import KeyStore

TENANT = TenantKey("acme", b"k" * 32)


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "vault" / "keys.db", TENANT)


def ids(store, *names):
    return [store.subject_id(name) for name in names]


def on_disk(store):
    return b"".join(f.read_bytes() for f in sorted(store.file.parent.iterdir()))


def test_a_subject_keeps_its_key_and_shares_it_with_nobody(store):
    a, b = ids(store, "user:a", "user:b")
    first = store.keys_for_writing([a, b])
    assert first[a] != first[b]
    assert {len(key) for key in first.values()} == {32}
    again = KeyStore(store.file, TENANT)
    assert again.keys([a, b]) == first == again.keys_for_writing([b, a])


def test_reading_makes_no_key(store):
    [a] = ids(store, "user:a")
    assert store.keys([a]) == {}
    with pytest.raises(VaultError, match="no such subject"):
        store.key_of(a)


def test_the_file_holds_neither_names_nor_keys_in_clear(store):
    [a] = ids(store, "user:jane@x.com")
    key = store.keys_for_writing([a])[a]
    bytes_there = on_disk(store)
    assert a in bytes_there
    assert b"jane" not in bytes_there
    assert key not in bytes_there
    assert stat.S_IMODE(store.file.stat().st_mode) == 0o600


def test_more_subjects_than_one_query_takes(store):
    many = ids(store, *(f"user:{n}" for n in range(1201)))
    made = store.keys_for_writing(many)
    assert len(set(made.values())) == 1201
    assert store.keys(many) == made


@pytest.mark.parametrize("tenant", [TenantKey("acme", b"x" * 32), TenantKey("other", b"k" * 32)])
def test_another_key_or_tenant_is_a_clear_error(store, tenant):
    with pytest.raises(WrongTenantKey, match="FT_TENANT_KEY"):
        KeyStore(store.file, tenant)


def test_a_wrapped_key_moved_to_another_subject_does_not_open(store):
    a, b = ids(store, "user:a", "user:b")
    store.keys_for_writing([a, b])
    with sqlite3.connect(store.file) as db:
        db.execute(
            "UPDATE subjects SET wrapped = (SELECT wrapped FROM subjects WHERE id = ?)"
            " WHERE id = ?",
            (a, b),
        )
    with pytest.raises(WrongTenantKey, match="was changed"):
        store.keys([b])


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "aa" * 31, "é" * 64])
def test_a_tenant_key_that_is_none(text):
    with pytest.raises(VaultError, match="64 hex digits"):
        TenantKey.parse("acme", text)


def test_a_tenant_key_does_not_show_itself():
    assert "6b6b" not in repr(TENANT)
    assert "kkkk" not in repr(TENANT)


def test_destroying_removes_the_key_from_the_disk_for_good(store):
    names = [f"user:{n}" for n in range(300)]
    everyone = ids(store, *names)
    store.keys_for_writing(everyone)
    with sqlite3.connect(store.file) as db:
        wrapped = dict(db.execute("SELECT id, wrapped FROM subjects").fetchall())
    gone, kept = everyone[::3], [i for i in everyone if i not in set(everyone[::3])]
    assert store.destroy(gone) == 100
    left = on_disk(store)
    assert not [id_ for id_ in gone if wrapped[id_] in left or wrapped[id_][12:28] in left]
    assert all(wrapped[id_] in left for id_ in kept)
    assert len(store.keys(kept)) == 200
    assert store.keys(gone) == {}


def test_a_destroyed_subject_gets_no_new_key(store):
    a, never_seen = ids(store, "user:a", "user:never-seen")
    store.keys_for_writing([a])
    assert store.destroy([a, never_seen]) == 1
    for again in (store, KeyStore(store.file, TENANT)):
        assert again.keys_for_writing([a, never_seen]) == {}
        assert again.is_erased(never_seen)
        with pytest.raises(Erased):
            again.key_of(a)
    assert store.destroy([a]) == 0


def test_links_are_kept_and_tell_the_file_alone_nothing(store):
    store.link([("user:a", "event:1"), ("user:a", "event:2"), ("user:b", "event:3")])
    store.link([("user:a", "event:1")])
    assert store.linked("user:a") == sorted(ids(store, "event:1", "event:2"))
    assert KeyStore(store.file, TENANT).linked("user:b") == ids(store, "event:3")
    assert store.linked("event:1") == []
    with sqlite3.connect(store.file) as db:
        owners = {row[0] for row in db.execute("SELECT owner FROM linked")}
    assert not owners & set(ids(store, "user:a", "user:b"))


def test_what_an_erased_subject_is_linked_to_is_destroyed(store):
    a, event, other = ids(store, "user:a", "event:1", "event:2")
    store.keys_for_writing([a, event, other])
    store.destroy([a])
    store.link([("user:a", "event:1"), ("user:b", "event:2")])
    assert store.is_erased(event)
    assert store.keys([event, other]).keys() == {other}
    assert store.counts() == (1, 2)


def test_traces_that_cannot_be_cleaned_are_told(store, monkeypatch):
    [a] = ids(store, "user:a")
    store.keys_for_writing([a])
    monkeypatch.setattr("ft_resources.vault.store.BUSY_SECONDS", 0.05)
    with sqlite3.connect(store.file, isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM subjects").fetchall()
        with pytest.raises(VaultError, match="run the same again"):
            store.destroy([a])
        reader.execute("ROLLBACK")
    reader.close()
    assert store.keys([a]) == {}
    assert store.destroy([a]) == 0


def test_rotation_keeps_every_key_and_shuts_out_the_old_one(store):
    [a] = ids(store, "user:a")
    before = store.keys_for_writing([a]), store.vault_key("containers")
    new = TenantKey("acme", b"n" * 32)
    assert store.rewrap(new) == 1
    with pytest.raises(WrongTenantKey):
        KeyStore(store.file, TENANT)
    for rotated in (store, KeyStore(store.file, new)):
        assert (rotated.keys([a]), rotated.vault_key("containers")) == before
        assert rotated.subject_id("user:a") == a


def test_a_rotation_that_fails_changes_nothing(store):
    a, b = ids(store, "user:a", "user:b")
    before = store.keys_for_writing([a, b])
    with sqlite3.connect(store.file) as db:
        kept = db.execute("SELECT wrapped FROM subjects WHERE id = ?", (b,)).fetchone()
        db.execute("UPDATE subjects SET wrapped = zeroblob(60) WHERE id = ?", (b,))
    with pytest.raises(WrongTenantKey):
        store.rewrap(TenantKey("acme", b"n" * 32))
    with sqlite3.connect(store.file) as db:
        db.execute("UPDATE subjects SET wrapped = ? WHERE id = ?", (*kept, b))
    assert KeyStore(store.file, TENANT).keys([a, b]) == before


def test_a_backup_opens_like_the_original(store, tmp_path):
    [a] = ids(store, "user:a")
    made = store.keys_for_writing([a])
    store.backup(tmp_path / "copy.db")
    assert KeyStore(tmp_path / "copy.db", TENANT).keys([a]) == made
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def _keys_in_a_process(file, names, out):
    store = KeyStore(file, TENANT)
    out.put(store.keys_for_writing([store.subject_id(name) for name in names]))


def test_processes_and_threads_agree_on_new_keys(tmp_path):
    """The file does not exist when they start."""
    file = tmp_path / "vault" / "keys.db"
    names = [f"user:{n}" for n in range(40)]
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    workers = [
        context.Process(target=_keys_in_a_process, args=(file, names[::step], out))
        for step in (1, -1, 2)
    ]
    for worker in workers:
        worker.start()
    found = [out.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    store = KeyStore(file, TENANT)
    threads = [
        threading.Thread(target=lambda: found.append(store.keys_for_writing(found[0])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = store.keys(found[0])
    assert len(whole) == 40
    assert len(found) == 7
    assert all(part.items() <= whole.items() for part in found)


def test_two_vaults_share_nothing(tmp_path):
    one, other = (KeyStore(tmp_path / name / "keys.db", TENANT) for name in "ab")
    assert one.subject_id("user:a") != other.subject_id("user:a")
    assert secrets.compare_digest(one.vault_key("x"), other.vault_key("x")) is False
