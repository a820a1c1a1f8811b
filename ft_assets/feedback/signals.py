"""What people's reactions say about an answer: signals, and preference pairs.

Explicit signals are thumb, rating, comment and a correction of the user's own; implicit ones are a
second try, a click, a copy, leaving, and how much of the answer was changed. Each becomes a score
in [0, 1], 1 good; a comment has none, what it means is for a person. Correcting their bias is not
done here.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ft_assets.corpus.screen.influence import capped

Row = Mapping[str, Any]

VOTES = ("thumb", "rating")
EXPLICIT = frozenset({"thumb", "rating", "comment", "correction"})
RATING_RANGE = 4  # 1 to 5
LOW_RATING = 2  # an answer rated so or lower was bad
EDIT_SCORE = 0.25  # a user who rewrote the answer did not want it as it was
RETRY_SCORE = 0.25
CLICK_SCORE = 0.75
COPY_SCORE = 0.75
ABANDON_SCORE = 0.25
COMPARED_WORDS = 2_000  # of an answer and its correction


def signals(events: Iterable[Row]) -> list[dict[str, Any]]:
    """One row per event and signal: event_id, user, conversation, model_version, signal, score."""
    rows = []
    for event in events:
        found: dict[str, float | None] = {}
        if event["thumb"]:
            found["thumb"] = 1.0 if event["thumb"] == "up" else 0.0
        if event["rating"] is not None:
            found["rating"] = (event["rating"] - 1) / RATING_RANGE
        if event["correction"]:
            found["correction"] = EDIT_SCORE
        if (share := edit_share(event)) is not None:
            found["edit_share"] = 1 - share
        if event["regenerated"]:
            found["regenerated"] = RETRY_SCORE
        if event["clicked"]:
            found["clicked"] = CLICK_SCORE
        # Logs that were taken up before these were known lack them.
        if event.get("copied"):
            found["copied"] = COPY_SCORE
        if event.get("abandoned"):
            found["abandoned"] = ABANDON_SCORE
        if event.get("comment"):
            found["comment"] = None
        rows += [
            {
                "event_id": event["event_id"],
                "week": event["week"],
                "user": event["user"],
                "conversation": event["conversation"],
                "model_version": event["model_version"],
                "signal": signal,
                "explicit": signal in EXPLICIT,
                "score": score,
            }
            for signal, score in found.items()
        ]
    return rows


def edit_share(event: Row) -> float | None:
    """The share of an answer's words that were changed, 0 to 1: as reported, or by its correction.

    None when neither is there. A distance of words, by longest matching blocks.
    """
    told = event.get("edit_share")
    if told is not None and told == told:  # a column of a table holds NaN for none
        return float(told)
    if not event["correction"] or not event["response"]:
        return None
    before = event["response"].split()[:COMPARED_WORDS]
    after = event["correction"].split()[:COMPARED_WORDS]
    return 1 - difflib.SequenceMatcher(None, before, after, autojunk=False).ratio()


def preference_pairs(
    events: Iterable[Row],
    allowed_users: set[str],
    max_per_week: int | None = None,
    reviewed: Iterable[Row] = (),
) -> list[dict[str, Any]]:
    """Chosen and rejected answers to one prompt: a user's correction, a reviewer's, or a retry.

    Only of users who consented, and of each user's pairs of a week `max_per_week`, picked by hash.
    A retry counts when the same prompt comes again in the conversation, the first answer was badly
    received (asked for again, thumb down, a low rating, or left) and the second was not.
    `reviewed`: examples with prompt, response and the event_id of the answer that they correct.
    """
    pairs = []
    tried: dict[tuple[str, str], Row] = {}
    allowed: dict[str, Row] = {}
    for event in sorted(events, key=lambda e: (e["ts"], e["event_id"])):
        if event["user"] not in allowed_users:
            continue
        allowed[event["event_id"]] = event
        if event["correction"]:
            pairs.append(_pair(event, event["correction"], event["response"], "correction"))
        place = (event["conversation"], event["prompt"])
        first, bad = tried.pop(place, None), _was_bad(event)
        if first and not bad and event["response"] != first["response"]:
            pairs.append(_pair(event, event["response"], first["response"], "retry"))
        if bad:
            tried[place] = event
    pairs += _of_reviewers(reviewed, allowed)
    pairs = [pair for pair in pairs if pair["chosen"] and pair["rejected"]]
    if max_per_week is None:
        return pairs
    owners = {pair["pair_id"]: f"{pair['user']}\0{pair['week']}" for pair in pairs}
    kept = capped(owners, max_per_week)
    return [pair for pair in pairs if pair["pair_id"] in kept]


def _was_bad(event: Row) -> bool:
    rating = event["rating"]
    return bool(
        event["regenerated"]
        or event["thumb"] == "down"
        or (rating is not None and rating <= LOW_RATING)
        or event.get("abandoned")
    )


def _of_reviewers(reviewed: Iterable[Row], events: Mapping[str, Row]) -> list[dict[str, Any]]:
    """A pair for each answer that a reviewer wrote anew; the last one of an answer counts."""
    better: dict[str, str] = {}
    for row in sorted(reviewed, key=lambda r: r["example_id"]):
        event = events.get(row["event_id"] or "")
        if event is not None and row["response"] != event["response"]:
            better[event["event_id"]] = row["response"]
    return [
        _pair(events[event_id], text, events[event_id]["response"], "review")
        for event_id, text in better.items()
    ]


def _pair(event: Row, chosen: str, rejected: str, origin: str) -> dict[str, Any]:
    return {
        "pair_id": f"{origin}:{event['event_id']}",
        "week": event["week"],
        "prompt": event["prompt"],
        "chosen": chosen,
        "rejected": rejected,
        "origin": origin,
        "event_id": event["event_id"],
        "user": event["user"],
    }
