"""Where the keys are: one SQLite file with a data key per subject, wrapped by the tenant key.

A subject is a name such as "user:u17"; the file knows it only as a keyed hash. Destroying a subject
removes its key for good and leaves a tombstone, so that no new key is made for it silently. Several
processes and threads may use one file: each call opens a connection of its own, which is also what
makes a fork harmless.

What "for good" means: the key is overwritten in place and deleted, the file is rebuilt without it
(VACUUM; zeroes in freed pages alone would leave traces inside pages that SQLite has reordered), and
the write-ahead log is cut to nothing. It does not reach copies: a backup of the file holds the keys
it held. Keep backups for a shorter time than an erasure may take, and destroy again after restoring
one. Blocks that a disk or a
copy-on-write file system has set aside are out of reach too; the tenant key protects those.
"""

import fcntl
import hmac
import os
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag

from ft_resources.vault.keys import KEY_BYTES, Erased, TenantKey, VaultError, WrongTenantKey

SUBJECT_BYTES = 16
BUSY_SECONDS = 30

_TABLES = """
CREATE TABLE IF NOT EXISTS vault_keys (name TEXT PRIMARY KEY, wrapped BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subjects (id BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS linked (
  owner BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (owner, id)
) WITHOUT ROWID;
"""


class KeyStore:
    """Data keys by subject. The file and its folder are made on first use, for the owner alone."""

    def __init__(self, file: Path, tenant_key: TenantKey) -> None:
        self.file = file
        self._tenant_key = tenant_key
        self._prepare()

    @property
    def tenant(self) -> str:
        return self._tenant_key.tenant

    def subject_id(self, subject: str) -> bytes:
        """16 bytes of HMAC-SHA256; the same for a name as long as the vault lives."""
        return hmac.digest(self._index_key, subject.encode("utf-8", "surrogatepass"), "sha256")[
            :SUBJECT_BYTES
        ]

    def keys(self, ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """The data keys of those ids that have one; destroyed and unknown ids are left out."""
        with self._connection() as db:
            return {id_: self._unwrap(id_, w) for id_, w in _wrapped(db, list(set(ids))).items()}

    def keys_for_writing(self, ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """The same, and new keys for new subjects; destroyed subjects are left out."""
        wanted = list(dict.fromkeys(ids))
        with self._connection() as db:
            found = _wrapped(db, wanted)
            if missing := [id_ for id_ in wanted if id_ not in found]:
                with _transaction(db):
                    gone = _tombstones(db, missing)
                    new = [
                        (id_, self._tenant_key.wrap(os.urandom(KEY_BYTES), id_))
                        for id_ in missing
                        if id_ not in gone
                    ]
                    # Another process may have been first: its key holds.
                    db.executemany("INSERT OR IGNORE INTO subjects VALUES (?, ?)", new)
                    found |= _wrapped(db, missing)
            return {id_: self._unwrap(id_, wrapped) for id_, wrapped in found.items()}

    def key_of(self, subject_id: bytes) -> bytes:
        """Raises Erased, or VaultError for a subject nobody has written about."""
        if key := self.keys([subject_id]).get(subject_id):
            return key
        if self.is_erased(subject_id):
            raise Erased("the subject was erased: its key is destroyed")
        raise VaultError("no such subject in this vault")

    def is_erased(self, subject_id: bytes) -> bool:
        return bool(self.erased_among([subject_id]))

    def erased_among(self, ids: Iterable[bytes]) -> set[bytes]:
        with self._connection() as db:
            return _tombstones(db, list(set(ids)))

    def link(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Note that the second subject of each pair goes when the first is erased.

        What an erased subject is linked to is destroyed at once. Whoever has the file alone learns
        how many are linked to one subject, not to which.
        """
        wanted = dict.fromkeys(pairs)
        owners = {owner: self.subject_id(owner) for owner, _ in wanted}
        links = {owner: self._link_id(owner) for owner in owners}
        rows = [(links[owner], self.subject_id(name)) for owner, name in wanted]
        with self._connection() as db, _transaction(db):
            db.executemany("INSERT OR IGNORE INTO linked VALUES (?, ?)", rows)
            erased = _tombstones(db, list(owners.values()))
            buried = _tombstones(db, [id_ for _, id_ in rows]) if erased else set()
        gone = [
            id_
            for (owner, _), (_, id_) in zip(wanted, rows, strict=True)
            if owners[owner] in erased and id_ not in buried
        ]
        if gone:
            self.destroy(gone)

    def linked(self, subject: str) -> list[bytes]:
        """The ids of what goes when this subject is erased."""
        select = "SELECT id FROM linked WHERE owner = ? ORDER BY id"
        with self._connection() as db:
            return [row[0] for row in db.execute(select, (self._link_id(subject),))]

    def _link_id(self, subject: str) -> bytes:
        return self.subject_id(f"linked to {subject}")

    def counts(self) -> tuple[int, int]:
        """How many subjects have a key, and how many are erased."""
        with self._connection() as db:
            keys = db.execute("SELECT count(*) FROM subjects").fetchone()[0]
            return keys, db.execute("SELECT count(*) FROM tombstones").fetchone()[0]

    def destroy(self, ids: Iterable[bytes]) -> int:
        """Remove keys for good and leave tombstones; how many keys there were.

        A subject that had no key is buried too. Raises VaultError when another process holds the
        file so long that traces may be left; then call it again.
        """
        wanted = [(id_,) for id_ in dict.fromkeys(ids)]
        with self._connection() as db:
            with _transaction(db):
                held = len(_wrapped(db, [id_ for (id_,) in wanted]))
                # In place first: a cell of equal size is overwritten where it lies.
                for step in (
                    "UPDATE subjects SET wrapped = zeroblob(length(wrapped)) WHERE id = ?",
                    "DELETE FROM subjects WHERE id = ?",
                    "INSERT OR IGNORE INTO tombstones VALUES (?)",
                ):
                    db.executemany(step, wanted)
            self._forget(db)
        return held

    def _forget(self, db: sqlite3.Connection) -> None:
        try:
            db.execute("VACUUM")
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            busy = True
        if busy:
            raise VaultError(
                f"the keys are deleted, but {self.file} is in use and could not be cleaned of "
                "traces; stop what uses it and run the same again"
            )

    def rewrap(self, new: TenantKey) -> int:
        """Wrap every key by another tenant key, in one step; how many keys that were.

        Subject ids and encrypted rows stay as they are. Keys that a process has in memory
        go on working until its call ends.
        """
        if new.tenant != self.tenant:
            raise VaultError(f"this vault belongs to tenant {self.tenant!r}, not {new.tenant!r}")
        with self._connection() as db:
            with _transaction(db):
                subjects = db.execute("SELECT id, wrapped FROM subjects").fetchall()
                for id_, wrapped in subjects:
                    key = new.wrap(self._unwrap(id_, wrapped), id_)
                    db.execute("UPDATE subjects SET wrapped = ? WHERE id = ?", (key, id_))
                for name, wrapped in db.execute("SELECT name, wrapped FROM vault_keys").fetchall():
                    key = new.wrap(self._tenant_key.unwrap(wrapped, name.encode()), name.encode())
                    db.execute("UPDATE vault_keys SET wrapped = ? WHERE name = ?", (key, name))
            self._tenant_key = new
            self._forget(db)
        return len(subjects)

    def backup(self, target: Path) -> None:
        """A consistent copy, while others write. It holds every key that is there now."""
        with self._connection() as db, closing(sqlite3.connect(target)) as copy:
            target.chmod(0o600)
            db.backup(copy)

    def vault_key(self, name: str) -> bytes:
        """A key of the vault itself: the same after `rewrap`. Made when it is first asked for."""
        with self._connection() as db:
            return self._vault_key(db, name)

    def _vault_key(self, db: sqlite3.Connection, name: str) -> bytes:
        select = "SELECT wrapped FROM vault_keys WHERE name = ?"
        found = db.execute(select, (name,)).fetchone()
        if not found:
            wrapped = self._tenant_key.wrap(os.urandom(KEY_BYTES), name.encode())
            db.execute("INSERT OR IGNORE INTO vault_keys VALUES (?, ?)", (name, wrapped))
            found = db.execute(select, (name,)).fetchone()
        try:
            return self._tenant_key.unwrap(found[0], name.encode())
        except InvalidTag:
            raise self._wrong_key() from None

    def _unwrap(self, id_: bytes, wrapped: bytes) -> bytes:
        try:
            return self._tenant_key.unwrap(wrapped, id_)
        except InvalidTag:
            raise self._wrong_key() from None

    def _wrong_key(self) -> WrongTenantKey:
        return WrongTenantKey(
            f"FT_TENANT_KEY is not the key of {self.file} (tenant {self.tenant!r}), or the file "
            "was changed; set the key it was made with; restart what runs since before a rotation"
        )

    def _prepare(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            # The owner's alone from the first byte; SQLite gives its log the same mode.
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
        # Two processes must not both turn a new file into a database.
        with self.file.with_suffix(".lock").open("w") as lock, self._connection() as db:
            fcntl.flock(lock, fcntl.LOCK_EX)
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)
            self._index_key = self._vault_key(db, "index")

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, timeout=BUSY_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA temp_store = MEMORY")  # VACUUM must not copy keys to other folders
            yield db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Generator[None]:
    with db:  # commits, or rolls back what raised
        db.execute("BEGIN IMMEDIATE")
        yield


IDS_IN_ONE_QUERY = 500


def _wrapped(db: sqlite3.Connection, ids: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(_select(db, "SELECT id, wrapped FROM subjects", ids))


def _tombstones(db: sqlite3.Connection, ids: Sequence[bytes]) -> set[bytes]:
    return {row[0] for row in _select(db, "SELECT id FROM tombstones", ids)}


def _select(db: sqlite3.Connection, select: str, ids: Sequence[bytes]) -> list[tuple]:
    found: list[tuple] = []
    for first in range(0, len(ids), IDS_IN_ONE_QUERY):
        some = ids[first : first + IDS_IN_ONE_QUERY]
        places = ",".join("?" * len(some))
        found += db.execute(f"{select} WHERE id IN ({places})", some).fetchall()
    return found
