"""The raw zone at rest: what the raw assets write and the corpus assets read, encrypted.

The folder holds keys.db, the data keys (store.py), and what stands behind reversible pseudonyms
(originals.py) with the log of who asked for it (audit.py). Without both that folder and
FT_TENANT_KEY nobody reads a raw row; back up both, apart from each other.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import dagster as dg

from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.vault import subjects
from ft_resources.vault.keys import TenantKey
from ft_resources.vault.originals import Original, Originals
from ft_resources.vault.sealed_rows import Row, Rows, Written, write_rows
from ft_resources.vault.store import KeyStore

ROWS = "rows.enc"
QUARANTINE = "quarantine.enc"
KEYS_FILE = "keys.db"
ORIGINALS_FILE = "originals.db"
LINKED_TOGETHER = 4096  # rows; each time costs a flush to the disk
ERASED = "erased"  # the drop reason of rows whose subject was erased


@dataclass(frozen=True)
class Sealed:
    """An object to store. `erased` rows were left out: their subject's key is destroyed."""

    data: bytes = field(repr=False)
    rows: int
    erased: int


@dataclass(frozen=True)
class Opened:
    """What can still be read of an object; `erased` rows cannot."""

    rows: list[dict[str, Any]] = field(repr=False)
    erased: int


def erased_count(*objects: Sealed | Opened) -> dict[str, int]:
    """The rows of these objects that an erasure took, as a drop reason; none for none."""
    erased = sum(each.erased for each in objects)
    return {ERASED: erased} if erased else {}


class RawZone(dg.ConfigurableResource):
    """Encrypts by subject. `prefix` is where an object lies: rows open at that place alone."""

    tenant: str
    tenant_key: str  # 64 hex digits
    folder: str  # of the vault

    @property
    def keys_file(self) -> Path:
        return Path(self.folder) / KEYS_FILE

    def store(self) -> KeyStore:
        return KeyStore(self.keys_file, TenantKey.parse(self.tenant, self.tenant_key))

    def write_rows(self, prefix: str, source: str, rows: Iterable[Row]) -> Sealed:
        """`source` is domain and kind of the rows, "finance/logs"."""
        out = io.BytesIO()
        written = self.stream_rows(out, prefix, source, rows)
        return Sealed(out.getvalue(), written.rows, written.erased)

    def stream_rows(self, out: BinaryIO, prefix: str, source: str, rows: Iterable[Row]) -> Written:
        """`write_rows` in bounded memory."""
        store = self.store()
        owners = _Owners(store)
        owned = ((owners.living(subjects.of_row(row, source)), row) for row in _linked(store, rows))
        return write_rows(out, owned, store, prefix + ROWS)

    def write_quarantine(
        self,
        prefix: str,
        domain: str,
        records: Iterable[Row],
        user_fields: Sequence[str] = ("user_id",),
    ) -> Sealed:
        """Records have the line as delivered in `raw`."""
        store = self.store()
        owners = _Owners(store)
        owned = (
            (owners.living(subjects.of_line(record["raw"], domain, user_fields)), record)
            for record in records
        )
        out = io.BytesIO()
        written = write_rows(out, owned, store, prefix + QUARANTINE)
        return Sealed(out.getvalue(), written.rows, written.erased)

    def read_rows(self, lakefs: LakeFS, ref: Ref) -> Opened:
        """Raises Tampered or VaultError (keys.py); never for rows whose key is destroyed."""
        return self._read(lakefs, ref, ROWS)

    def read_quarantine(self, lakefs: LakeFS, ref: Ref) -> Opened:
        return self._read(lakefs, ref, QUARANTINE)

    def open_rows(self, stream: BinaryIO, prefix: str, name: str = ROWS) -> Rows:
        """The rows of a stored object one after the other, in bounded memory."""
        return Rows(stream, self.store(), prefix + name)

    def _read(self, lakefs: LakeFS, ref: Ref, name: str) -> Opened:
        found = self.open_rows(io.BytesIO(lakefs.read(ref, name)), ref.path, name)
        return Opened(list(found), found.erased)

    def surrogate_key(self) -> bytes:
        """Of pseudonyms, hashes and shifts of dates; the same after a rotation."""
        return self.store().vault_key("surrogates")

    def originals(self) -> Originals:
        return Originals(Path(self.folder) / ORIGINALS_FILE, self.store())

    def keep_originals(self, originals: Iterable[Original]) -> int:
        """Store what stands behind tokens and surrogates; how many were new."""
        found = list(originals)
        return self.originals().keep(found) if found else 0

    def destroy(self, names: Iterable[str]) -> int:
        """Make what these subjects own unreadable in every commit; how many keys that were.

        Those of a user's events go too: a correction of one names no user. What belongs to no
        person ("source:", "quarantine:") gets a new key with its next row.
        """
        store = self.store()
        owners = _Owners(store)
        ids = []
        for name in names:
            if not subjects.SUBJECT.fullmatch(name):
                raise ValueError(
                    "a subject is written kind:name, with the kinds user, reviewer, annotator, "
                    "event, source, quarantine, document and example"
                )
            ids += [store.subject_id(each) for each in owners.living((name,))]
            ids += store.linked(name)
        return store.destroy(ids)


def _linked(store: KeyStore, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, after the store knows which events are whose."""
    stream = iter(rows)
    while batch := list(islice(stream, LINKED_TOGETHER)):
        pairs = [
            (f"user:{row['user_id']}", f"event:{row['event_id']}")
            for row in batch
            if row.get("user_id") and row.get("event_id")
        ]
        if pairs:
            store.link(pairs)
        yield from batch


class _Owners:
    """Gives sources and quarantines another name once their key was destroyed."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._current: dict[str, str] = {}

    def living(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if names[0].startswith(("source:", "quarantine:")):
            return (self._current.get(names[0]) or self._find(names[0]),)
        return names

    def _find(self, name: str) -> str:
        current, generation = name, 1
        while self._store.is_erased(self._store.subject_id(current)):
            generation += 1
            current = f"{name}#{generation}"
        self._current[name] = current
        return current
