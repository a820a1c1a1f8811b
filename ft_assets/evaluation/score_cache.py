"""Scores of an arm, kept under what they depend on: champion and base are not computed again.

One JSON file for each arm, named by a digest of the key: adapter, base, rows, settings, versions.
A file appears whole or not at all. One that cannot be read, or is of another key, is computed
again and said so. Numbers and row ids, no texts. Of a domain the newest KEPT files stay.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

KEPT = 24  # files of a domain


def cached_scores(
    folder: Path,
    key: Mapping[str, Any],
    compute: Callable[[], dict[str, Any]],
    report: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """The scores of `key`: read, or computed and kept. `report` hears of a file that is broken."""
    stored = json.loads(json.dumps(key, sort_keys=True))
    name = hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()[:32]
    file = folder / f"{name}.json"
    if file.is_file():
        found = _read(file, stored)
        if found is not None:
            os.utime(file)
            return found
        report({"event": "score cache", "unreadable": file.name, "then": "computed again"})
    scores = compute()
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / f".{name}.writing-{os.getpid()}"
    work.write_text(json.dumps({"key": stored, "scores": scores}), "utf-8")
    work.replace(file)
    for old in sorted(folder.glob("*.json"), key=lambda f: f.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return scores


def _read(file: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    scores = content.get("scores")
    return scores if isinstance(scores, dict) else None
