"""Records that were quarantined and come back corrected.

A correction is a delivery of its own: a file below `{landing}/{domain}/resubmitted/<source>/` with
the row under the schema's names and the id of the record that it stands for. Intake counts the
record as dropped because "resubmitted" and the row as every other one, so both lines are counted
once. The id is a digest of place and content: a file that is delivered anew under the same name,
with other content, resolves nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from ft_assets.raw.feed import Feed
from ft_assets.raw.quarantine import Quarantined

RESOLVES = "resolves"  # the id of the record
RESOLVES_WEEK = "resolves_week"  # where it is counted; "" for sources without weeks
MARKS = (RESOLVES, RESOLVES_WEEK)


class Resubmitted(Feed):
    """The feed of corrections; its records carry marks besides the fields of the schema."""


def record_id(file: str, line: int, raw: str) -> str:
    """16 hexadecimal digits; it tells nothing about the record."""
    text = f"{file}\0{line}\0{raw}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:16]


def id_of(record: Quarantined) -> str:
    return record_id(record.source_file, record.source_line, record.raw)


def folder_of(landing: str, domain: str, kind: str) -> str:
    return f"{landing}/{domain}/resubmitted/{kind}"


def resubmitted_feed(landing: str, domain: str, kind: str) -> Resubmitted:
    return Resubmitted(files=[folder_of(landing, domain, kind)], format="jsonl")


def without_marks(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in MARKS}


def resolved_ids(objects: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(found[RESOLVES]) for found in objects if RESOLVES in found)


def land(folder: str, record: str, week: str, row: Mapping[str, Any], now: datetime) -> str:
    """Write the correction of a record, whole or not at all; the address of its file.

    A later correction of the same record is a file of its own. Raises OSError.
    """
    line = json.dumps({**row, RESOLVES: record, RESOLVES_WEEK: week}, ensure_ascii=False) + "\n"
    name = f"{now:%Y%m%dT%H%M%S.%fZ}-{record}.jsonl".replace(".", "", 1)
    url = f"{folder}/{name}"
    if "://" in folder:
        with fsspec.open(url, "wb") as out:  # object stores show a file when it is complete
            out.write(line.encode())  # type: ignore[union-attr]
        return url
    Path(folder).mkdir(parents=True, exist_ok=True)
    unfinished = Path(f"{url}.tmp")
    with unfinished.open("wb") as out:
        out.write(line.encode())
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(url)
    return url
