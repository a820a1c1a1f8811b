"""Whom a raw row is about: the names whose keys it is encrypted under.

A subject is "kind:name". Persons are users, reviewers and annotators; a row that names an event but
no user (a correction quotes what a user wrote) belongs to "event:<event_id>", whose key goes with
that of the user (KeyStore.link). What is about nobody belongs to its source.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

PERSON_FIELDS = {"user_id": "user", "reviewer_id": "reviewer", "annotator_id": "annotator"}
MAX_SUBJECTS = 8  # of one quarantined line; more is a dump, not a row about somebody
SUBJECT = re.compile(r"(user|reviewer|annotator|event|source|quarantine|document|example):\S.*")


def of_row(row: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """`source` is where the row comes from, "finance/documents"."""
    found = [f"{kind}:{row[name]}" for name, kind in PERSON_FIELDS.items() if row.get(name)]
    if not row.get("user_id") and row.get("event_id"):
        found.append(f"event:{row['event_id']}")
    return tuple(found) or (f"source:{source}",)


def of_line(line: str, domain: str, user_fields: Sequence[str] = ("user_id",)) -> tuple[str, ...]:
    """Of a line that was not taken up: every user whose id can be read, else the domain's
    quarantine. `user_fields` are the names of the user id in this feed.
    """
    names = _ids_of_object(line, user_fields)
    if names is None:
        names = _ids_in_text(line, user_fields)
    if not names or len(names) > MAX_SUBJECTS:
        return (f"quarantine:{domain}",)
    return tuple(f"user:{name}" for name in names)


def _ids_of_object(line: str, fields: Sequence[str]) -> list[str] | None:
    """None when the line is no JSON object, or has a field twice and so perhaps two owners."""
    found: dict[str, None] = {}
    repeated = False

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        names = [name for name, _ in pairs]
        repeated = repeated or len(names) != len(set(names))
        for name, value in pairs:
            if name in fields and isinstance(value, str | int) and str(value).strip():
                found[str(value).strip()] = None
        return dict(pairs)

    try:
        row = json.loads(line, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return None
    return None if repeated or not isinstance(row, dict) else list(found)


def _ids_in_text(line: str, fields: Sequence[str]) -> list[str]:
    names = "|".join(re.escape(name) for name in fields)
    pattern = rf"""(?:{names})["']?\s*[:=]\s*(?:"([^"\\]+)"|'([^'\\]+)'|([\w.@+-]+))"""
    found = (next(filter(None, match.groups())) for match in re.finditer(pattern, line))
    return list(dict.fromkeys(name.strip() for name in found if name.strip()))
