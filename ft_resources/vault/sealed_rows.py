"""Rows at rest: each one compressed, then encrypted under the keys of the people it is about.

    b"FTROWS1\n"
    u16 length of the context, the context (where the object lies), 16 bytes that prove the vault
    per row:  u32 length of what follows, u8 number of subjects, 16 bytes for each of them,
              12 bytes of nonce, ciphertext, 16 bytes of tag
    u32 zero, u64 rows, 32 bytes of HMAC-SHA256 over everything before

All numbers are big-endian. Encryption is AES-256-GCM-SIV (RFC 8452) with a synthetic nonce: the
first 96 bits of HMAC-SHA256 over context and plaintext. So equal rows at the same place give equal
bytes (an equal data version), and two different rows share a nonce with probability n^2 / 2^97,
2^-50 for ten million rows of one subject; even then GCM-SIV gives nothing away but equality.

Each row is compressed by itself, against a fixed dictionary of field names: never together with
rows of somebody else, whose text its length would then tell about. Context and subjects are
authenticated with the row, so that it cannot be moved to another object or person; the HMAC at the
end notices rows that were taken out, repeated or put in another order.

A row about several people needs the keys of all of them: with one destroyed it is unreadable.

What the bytes tell without a key: how many rows there are, how long each one is compressed, and
which rows of this object have the same subjects. Subjects are encrypted per object (one AES block,
a keyed permutation), so that nobody can follow one of them from object to object. An older version
of an object in place of a newer one is not noticed here: that is what commit ids are for.
"""

import hmac
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from ft_resources.vault.keys import NONCE_BYTES, Tampered, VaultError, derive
from ft_resources.vault.store import SUBJECT_BYTES, KeyStore

Row = Mapping[str, Any]

MAGIC = b"FTROWS1\n"
BATCH = 512  # rows whose keys are looked up together
KNOWN_SUBJECTS = 20_000  # ciphers kept in memory
MAX_FRAME = 2**30  # bytes; a longer one is no row but broken bytes

# What rows of the raw zone have in common. Part of the format: other words need another MAGIC.
_WORDS = (
    b'{"access": "internal", "agreement": null, "annotation_id": "annotator_id": "clicked": false, '
    b'"corrected_response": "correction": null, "correction_id": "created_at": "doc_id": '
    b'"domain": "eval_id": "event_id": "kind": "labels": {}, "latency_ms": "license": null, '
    b'"model_version": "origin": "original_response": "prompt": "rating": null, "reason": '
    b'"regenerated": false, "response": "reviewer_id": "session_id": "severity": "source": null, '
    b'"source_id": null, "source_file": ".jsonl", "source_line": "status": "approved", "task": '
    b'"text": "thumb": null, "title": "topic": null, "training_consent": true, "ts": "20'
    b'T00:00:00Z", "turn": 0, "updated_at": null, "user_id": "version": 1, "week": "20'
)


@dataclass(frozen=True)
class Written:
    rows: int  # in the object
    erased: int  # left out: a subject of theirs was erased


def write_rows(
    out: BinaryIO, rows: Iterable[tuple[Sequence[str], Row]], store: KeyStore, context: str
) -> Written:
    """Write (subjects, row) pairs; memory holds a batch of them. Equal pairs give equal bytes."""
    crypt = _Crypt(store, context)
    mac = hmac.new(crypt.mac_key, digestmod="sha256")

    def put(data: bytes) -> None:
        mac.update(data)
        out.write(data)

    put(crypt.header)
    written = erased = 0
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        ids = [crypt.ids(subjects) for subjects, _ in batch]
        crypt.load(ids, store.keys_for_writing)
        for subjects, (_, row) in zip(ids, batch, strict=True):
            if frame := crypt.seal(subjects, row):
                put(struct.pack(">I", len(frame)) + frame)
                written += 1
            else:
                erased += 1
    put(struct.pack(">IQ", 0, written))
    out.write(mac.digest())
    return Written(written, erased)


class Rows:
    """The rows of an object, once, in order; `erased` counts those whose key is destroyed.

    Iterating raises Tampered for bytes that are not those written, at the latest behind the last
    row; VaultError when this vault never had the keys.
    """

    def __init__(self, stream: BinaryIO, store: KeyStore, context: str) -> None:
        self.erased = 0
        self._stream, self._store, self._context = stream, store, context

    def __iter__(self) -> Iterator[dict[str, Any]]:
        crypt = _Crypt(self._store, self._context)
        mac = hmac.new(crypt.mac_key, digestmod="sha256")
        crypt.check_header(self._take(len(crypt.header)))
        mac.update(crypt.header)
        count = 0
        frames = self._frames(mac)
        while batch := list(islice(frames, BATCH)):
            count += len(batch)
            split = [crypt.split(frame) for frame in batch]
            crypt.load([ids for ids, _ in split], self._store.keys)
            self._refuse_unknown(crypt, [ids for ids, _ in split])
            for ids, sealed in split:
                row = crypt.open(ids, sealed)
                if row is None:
                    self.erased += 1
                else:
                    yield row
        end = self._take(8)
        mac.update(end)
        if not hmac.compare_digest(mac.digest(), self._take(32)) or self._stream.read(1):
            raise Tampered(f"{self._context}: rows were taken out, added or put in another order")
        if struct.unpack(">Q", end)[0] != count:
            raise Tampered(f"{self._context}: not as many rows as were written")

    def _frames(self, mac: "hmac.HMAC") -> Iterator[bytes]:
        while True:
            head = self._take(4)
            mac.update(head)
            (length,) = struct.unpack(">I", head)
            if length == 0:
                return
            if length > MAX_FRAME:
                raise Tampered(f"{self._context}: a length that no row has")
            frame = self._take(length)
            mac.update(frame)
            yield frame

    def _take(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) != length:
            raise Tampered(f"{self._context}: breaks off before its end, or is no object of rows")
        return data

    def _refuse_unknown(self, crypt: "_Crypt", ids: list[tuple[bytes, ...]]) -> None:
        """A key that is gone without a tombstone was lost, not destroyed: say so."""
        without = crypt.without_key(ids)
        if without and (lost := without - self._store.erased_among(without)):
            raise VaultError(
                f"{self._context}: {self._store.file} has no key for {len(lost)} subjects and no "
                "record of their erasure; is it older than the data? Restore its newest backup"
            )


class _Crypt:
    """The keys of one object, as far as they are in memory."""

    def __init__(self, store: KeyStore, context: str) -> None:
        self._store = store
        self._context = context.encode()
        secret = store.vault_key("containers")
        self.mac_key = derive(secret, f"mac {context}")
        proof = hmac.digest(self.mac_key, b"header", "sha256")[:16]
        self.header = MAGIC + struct.pack(">H", len(self._context)) + self._context + proof
        # One block that is itself a keyed hash, so that ECB is a permutation and nothing else.
        blind = Cipher(algorithms.AES(derive(secret, f"ids {context}")), modes.ECB())  # noqa: S305
        self._blinding, self._unblinding = blind.encryptor(), blind.decryptor()
        self._ids: dict[tuple[str, ...], tuple[bytes, ...]] = {}
        self._keys: dict[bytes, bytes] = {}
        self._ciphers: dict[tuple[bytes, ...], tuple[AESGCMSIV, bytes, bytes]] = {}

    def without_key(self, ids: list[tuple[bytes, ...]]) -> set[bytes]:
        return {id_ for subjects in ids for id_ in subjects} - self._keys.keys()

    def check_header(self, header: bytes) -> None:
        if header == self.header:
            return
        if not header.startswith(MAGIC):
            raise Tampered(f"{self._context.decode()}: not an object of encrypted rows")
        if header[:-16] != self.header[:-16]:
            raise Tampered(f"{self._context.decode()}: was written at another place")
        raise VaultError(
            f"{self._context.decode()}: was written with another vault than {self._store.file}"
        )

    def ids(self, subjects: Sequence[str]) -> tuple[bytes, ...]:
        key = tuple(subjects)
        if not key:
            raise ValueError("a row needs a subject, be it its source")
        found = self._ids.get(key)
        if found is None:
            found = tuple(sorted({self._store.subject_id(subject) for subject in key}))
            self._ids[key] = found
            if len(self._ids) > KNOWN_SUBJECTS:
                self._ids.clear()
        return found

    def load(
        self,
        ids: list[tuple[bytes, ...]],
        keys: Callable[[Iterable[bytes]], dict[bytes, bytes]],
    ) -> None:
        """Have the keys of these subjects, as far as there are any."""
        if len(self._keys) > KNOWN_SUBJECTS:
            self._keys.clear()
            self._ciphers.clear()
        if wanted := self.without_key(ids):
            self._keys |= keys(sorted(wanted))

    def seal(self, ids: tuple[bytes, ...], row: Row) -> bytes | None:
        cipher = self._cipher(ids)
        if cipher is None:
            return None
        aead, nonce_key, context = cipher
        text = json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
        plain = _deflate(text)
        nonce = hmac.digest(nonce_key, context + plain, "sha256")[:NONCE_BYTES]
        names = b"".join(self._blinding.update(id_) for id_ in ids)
        return bytes([len(ids)]) + names + nonce + aead.encrypt(nonce, plain, context)

    def split(self, frame: bytes) -> tuple[tuple[bytes, ...], bytes]:
        end = 1 + frame[0] * SUBJECT_BYTES
        names = [frame[at : at + SUBJECT_BYTES] for at in range(1, end, SUBJECT_BYTES)]
        if not names or len(frame) < end + NONCE_BYTES + 16:
            raise Tampered(f"{self._context.decode()}: a row that is too short")
        return tuple(self._unblinding.update(name) for name in names), frame[end:]

    def open(self, ids: tuple[bytes, ...], sealed: bytes) -> dict[str, Any] | None:
        cipher = self._cipher(ids)
        if cipher is None:
            return None
        aead, _, context = cipher
        try:
            plain = aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except InvalidTag:
            raise Tampered(f"{self._context.decode()}: a row was changed after writing") from None
        return json.loads(_inflate(plain))

    def _cipher(self, ids: tuple[bytes, ...]) -> tuple[AESGCMSIV, bytes, bytes] | None:
        found = self._ciphers.get(ids)
        if found is None and all(id_ in self._keys for id_ in ids):
            secret = b"".join(self._keys[id_] for id_ in ids)
            context = self._store.tenant.encode() + b"|" + b"".join(ids) + b"|" + self._context
            aead = AESGCMSIV(hmac.digest(secret, b"ft-rows/1 encrypt", "sha256"))
            found = aead, hmac.digest(secret, b"ft-rows/1 nonce", "sha256"), context
            self._ciphers[ids] = found
        return found


def _deflate(text: bytes) -> bytes:
    # A window of 4 KiB and little state: setting up is most of the cost for a short row.
    packer = zlib.compressobj(6, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return packer.compress(text) + packer.flush()


def _inflate(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(-12, _WORDS)
    return unpacker.decompress(data) + unpacker.flush()
