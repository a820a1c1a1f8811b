"""What stands behind the tokens and surrogates of anonymized texts, encrypted by subject.

One row per token, subjects and value: AES-256-GCM-SIV under a key made of the subjects' data keys,
with tenant, type and token authenticated. So destroying the key of a subject makes all originals of
their texts unreadable, and a row cannot be passed off as another's. The file tells, without keys,
how many values there are, of which type and of about what length (steps of 32 bytes), and which of
them have the same subjects; tokens and subjects are keyed hashes that occur in no other file.

Erasing a subject does not reach the same value in somebody else's text: that is theirs too.
"""

import hmac
import os
import sqlite3
import struct
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from ft_resources.vault.keys import NONCE_BYTES, Erased, Tampered, VaultError, derive
from ft_resources.vault.store import BUSY_SECONDS, SUBJECT_BYTES, KeyStore

BATCH = 500
_STEP = 32  # bytes; lengths are rounded up to it

_TABLE = """
CREATE TABLE IF NOT EXISTS originals (
  token BLOB NOT NULL, subjects BLOB NOT NULL, type TEXT NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY (token, subjects, sealed)
) WITHOUT ROWID
"""


class Original(Protocol):
    """A value with the text that took its place and the subjects whose text it stood in."""

    @property
    def token(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def subjects(self) -> tuple[str, ...]: ...


class UnknownToken(VaultError):
    """Nothing was ever kept under this token."""


@dataclass(frozen=True)
class Revealed:
    type: str
    values: list[str] = field(repr=False)  # spellings; more than one value only by a rare chance


class Originals:
    """The originals of one vault; the file lies beside its keys."""

    def __init__(self, file: Path, store: KeyStore) -> None:
        self.file, self._store = file, store
        secret = store.vault_key("originals")
        self._token_key = derive(secret, "tokens")
        # One block that is itself a keyed hash, so that ECB is a permutation and nothing else.
        blind = Cipher(algorithms.AES(derive(secret, "subjects")), modes.ECB())  # noqa: S305
        self._blinding, self._unblinding = blind.encryptor(), blind.decryptor()
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        with self._connection() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(_TABLE)

    def keep(self, originals: Iterable[Original]) -> int:
        """Keep them, each once however often it comes; how many are new. Those of erased subjects
        are left out. All or nothing per 500; durable on return.
        """
        new = 0
        stream = iter(originals)
        while batch := list(islice(stream, BATCH)):
            ids = [self._ids(each.subjects) for each in batch]
            keys = self._store.keys_for_writing(id_ for some in ids for id_ in some)
            rows = [
                (
                    self.token_id(each.token),
                    b"".join(self._blinding.update(id_) for id_ in some),
                    each.type,
                    self._seal(each, some, keys),
                )
                for each, some in zip(batch, ids, strict=True)
                if all(id_ in keys for id_ in some)
            ]
            with self._connection() as db, db:
                done = db.executemany("INSERT OR IGNORE INTO originals VALUES (?, ?, ?, ?)", rows)
                new += done.rowcount
        return new

    def type_of(self, token: str) -> str:
        """Raises UnknownToken."""
        return self._rows(token)[0][1]

    def reveal(self, token: str) -> Revealed:
        """Raises UnknownToken, Erased when every subject who had it is erased, Tampered."""
        found: dict[str, None] = {}
        erased = False
        rows = self._rows(token)
        for blinded, kind, sealed in rows:
            parts = (
                blinded[at : at + SUBJECT_BYTES] for at in range(0, len(blinded), SUBJECT_BYTES)
            )
            ids = tuple(self._unblinding.update(part) for part in parts)
            keys = self._store.keys(ids)
            if missing := set(ids) - keys.keys():
                if missing - self._store.erased_among(missing):
                    raise VaultError(
                        f"{self._store.file} is older than {self.file.name}: a key is "
                        "missing that was not destroyed; restore its newest backup"
                    )
                erased = True
                continue
            found[self._open(token, kind, ids, keys, sealed)] = None
        if not found and erased:
            raise Erased("the subject was erased: nobody can read this value any more")
        return Revealed(rows[0][1], list(found))

    def counts(self) -> dict[str, int]:
        """Kept values by type, erased ones too."""
        with self._connection() as db:
            return dict(db.execute("SELECT type, count(*) FROM originals GROUP BY type ORDER BY 1"))

    def token_id(self, token: str) -> bytes:
        return hmac.digest(self._token_key, token.encode("utf-8", "surrogatepass"), "sha256")[:16]

    def _rows(self, token: str) -> list[tuple[bytes, str, bytes]]:
        select = "SELECT subjects, type, sealed FROM originals WHERE token = ?"
        with self._connection() as db:
            rows = db.execute(select, (self.token_id(token),)).fetchall()
        if not rows:
            raise UnknownToken("no such token or surrogate in this vault")
        return rows

    def _ids(self, subjects: Sequence[str]) -> tuple[bytes, ...]:
        if not subjects:
            raise ValueError("an original needs a subject, be it its source")
        return tuple(sorted({self._store.subject_id(subject) for subject in subjects}))

    def _seal(self, original: Original, ids: tuple[bytes, ...], keys: dict[bytes, bytes]) -> bytes:
        secret = b"".join(keys[id_] for id_ in ids)
        context = self._context(original.token, original.type, ids)
        value = original.value.encode("utf-8", "surrogatepass")
        plain = struct.pack(">I", len(value)) + value
        plain += bytes(-len(plain) % _STEP)
        nonce_key = hmac.digest(secret, b"ft-originals/1 nonce", "sha256")
        nonce = hmac.digest(nonce_key, context + plain, "sha256")[:NONCE_BYTES]
        return nonce + _cipher(secret).encrypt(nonce, plain, context)

    def _open(
        self,
        token: str,
        kind: str,
        ids: tuple[bytes, ...],
        keys: dict[bytes, bytes],
        sealed: bytes,
    ) -> str:
        cipher = _cipher(b"".join(keys[id_] for id_ in ids))
        context = self._context(token, kind, ids)
        try:
            plain = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):  # a nonce that is too short
            raise Tampered(f"{self.file.name}: a value was changed after writing") from None
        (length,) = struct.unpack(">I", plain[:4])
        return plain[4 : 4 + length].decode("utf-8", "surrogatepass")

    def _context(self, token: str, kind: str, ids: tuple[bytes, ...]) -> bytes:
        head = f"{self._store.tenant}|{kind}|{token}|".encode("utf-8", "surrogatepass")
        return head + b"".join(ids)

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, timeout=BUSY_SECONDS)) as db:
            db.execute("PRAGMA synchronous = FULL")
            yield db


def _cipher(secret: bytes) -> AESGCMSIV:
    return AESGCMSIV(hmac.digest(secret, b"ft-originals/1 encrypt", "sha256"))
