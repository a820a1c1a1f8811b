"""The body of POST /feedback, checked.

Explicit: a thumb, a rating, a comment, the user's own correction. Implicit: the answer was asked
for again, clicked, copied, left, or changed before it was used (`edit_share`, 0 to 1 of its words).
`order` is the client's own: a time in milliseconds or a counter, growing per answer. A report that
comes late or again is told by it, and adds what is not known yet without undoing what is newer.
"""

from collections.abc import Mapping
from typing import Any

from ft_resources.gateway.chat import (
    SEED_LIMIT,
    clean_text,
    flag,
    invalid,
    read_id,
    whole_number,
)
from ft_resources.gateway.landing import FEEDBACK

MAX_FIELD_NAME = 40  # characters that an error repeats
FEEDBACK_FIELDS = frozenset({"id", "order", *FEEDBACK})
TEXTS = ("comment", "correction")
FLAGS = ("regenerated", "clicked", "copied", "abandoned")


def read_feedback(body: Mapping[str, Any]) -> tuple[str, dict[str, Any], int | None]:
    """Return (answer id, fields that say something, order). Absent or null changes nothing."""
    for name in sorted(body.keys() - FEEDBACK_FIELDS):
        named = name if name.isidentifier() and len(name) <= MAX_FIELD_NAME else None
        allowed = ", ".join(sorted(FEEDBACK_FIELDS))
        raise invalid(f"{named or 'a field'} is not a field of feedback; allowed: {allowed}", named)
    fields: dict[str, Any] = {}
    if (thumb := body.get("thumb")) is not None:
        if thumb not in ("up", "down"):
            raise invalid("thumb must be up, down or null", "thumb")
        fields["thumb"] = thumb
    if (rating := whole_number(body.get("rating"), "rating", 1, 5)) is not None:
        fields["rating"] = rating
    if (share := body.get("edit_share")) is not None:
        # NaN is in no range.
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise invalid("edit_share must be a number from 0 to 1", "edit_share")
        fields["edit_share"] = float(share)
    for name in TEXTS:
        if body.get(name) is not None:
            fields[name] = clean_text(body[name], name)
            if not fields[name].strip():
                raise invalid(f"{name} must not be blank; leave it out", name)
    for name in FLAGS:
        # Something that happened cannot be taken back by a later report that does not mention it.
        if flag(body.get(name), name):
            fields[name] = True
    order = whole_number(body.get("order"), "order", 1, SEED_LIMIT - 1)
    return read_id(body.get("id"), "id"), fields, order
