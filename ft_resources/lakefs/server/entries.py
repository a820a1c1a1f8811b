"""What the store knows about one object: the record that a tree points to.

Two records are the same object when size, checksum, user metadata and content type agree. mtime is
not part of it, so a second upload of equal bytes is no change and never a conflict; it is part of
the record's id, so records must be compared by `identity`, not by id.
"""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    address: str  # sha256 hex of the content: its place among the blobs
    size: int
    checksum: str  # md5 hex, which lakeFS clients compare with a local md5
    content_type: str
    metadata: dict[str, str]
    mtime: int  # Unix seconds

    @property
    def identity(self) -> tuple[int, str, str, tuple[tuple[str, str], ...]]:
        return self.size, self.checksum, self.content_type, tuple(sorted(self.metadata.items()))


def encode(entry: Entry) -> bytes:
    fields = (
        entry.address,
        entry.size,
        entry.checksum,
        entry.content_type,
        entry.metadata,
        entry.mtime,
    )
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()


def decode(record: bytes) -> Entry:
    return Entry(*json.loads(record))


def record_id(record: bytes) -> bytes:
    """The id git would give the record as a blob; trees hold it."""
    header = b"blob %d\0" % len(record)
    return hashlib.sha1(header + record, usedforsecurity=False).digest()
