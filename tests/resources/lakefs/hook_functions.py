"""Functions that test servers register for hooks of type `python`."""

from collections.abc import Mapping
from typing import Any


def needs_ticket(event: Mapping[str, Any]) -> str:
    ticket = event.get("commit_metadata", {}).get("ticket")
    if not ticket:
        raise ValueError(f"{event['event_type']} on {event['branch_id']} has no ticket")
    return f"ticket {ticket}"


def refuse(event: Mapping[str, Any]) -> None:
    raise PermissionError(f"{event['event_type']} is refused")


def accept(event: Mapping[str, Any]) -> str:
    return " ".join(sorted(event))
