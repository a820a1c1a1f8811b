"""The body of POST /feedback, checked."""

from collections.abc import Mapping
from typing import Any

from ft_resources.gateway.chat import clean_text, flag, invalid, read_id, whole_number

MAX_FIELD_NAME = 40  # characters that an error repeats
FEEDBACK_FIELDS = frozenset({"id", "thumb", "rating", "correction", "regenerated", "clicked"})


def read_feedback(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return (completion id, fields that say something). What is absent or null changes nothing."""
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
    if body.get("correction") is not None:
        fields["correction"] = clean_text(body["correction"], "correction")
        if not fields["correction"].strip():
            raise invalid("correction must not be blank; leave it out", "correction")
    for name in ("regenerated", "clicked"):
        # Something that happened cannot be taken back by a later report that does not mention it.
        if flag(body.get(name), name):
            fields[name] = True
    return read_id(body.get("id"), "id"), fields
