"""What people's reactions say about an answer: signals, preference pairs, and what to look at.

Explicit signals are thumb, rating and a correction of the user's own; implicit ones are a second
try and a click. Each becomes a score in [0, 1], 1 good; correcting their bias is not done here.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ft_assets.corpus.screen.influence import capped

Row = Mapping[str, Any]

VOTES = ("thumb", "rating")
RATING_RANGE = 4  # 1 to 5
REVIEW_SCORE = 0.5  # answers scored below it, and not yet corrected, are for a person
EDIT_SCORE = 0.25  # a user who rewrote the answer did not want it as it was
RETRY_SCORE = 0.25
CLICK_SCORE = 0.75


def signals(events: Iterable[Row]) -> list[dict[str, Any]]:
    """One row per event and signal: event_id, user, conversation, model_version, signal, score."""
    rows = []
    for event in events:
        found: dict[str, float] = {}
        if event["thumb"]:
            found["thumb"] = 1.0 if event["thumb"] == "up" else 0.0
        if event["rating"] is not None:
            found["rating"] = (event["rating"] - 1) / RATING_RANGE
        if event["correction"]:
            found["correction"] = EDIT_SCORE
        if event["regenerated"]:
            found["regenerated"] = RETRY_SCORE
        if event["clicked"]:
            found["clicked"] = CLICK_SCORE
        rows += [
            {
                "event_id": event["event_id"],
                "week": event["week"],
                "user": event["user"],
                "conversation": event["conversation"],
                "model_version": event["model_version"],
                "signal": signal,
                "explicit": signal in {"thumb", "rating", "correction"},
                "score": score,
            }
            for signal, score in found.items()
        ]
    return rows


def preference_pairs(
    events: Iterable[Row], allowed_users: set[str], max_per_week: int | None = None
) -> list[dict[str, Any]]:
    """Chosen and rejected answers to one prompt: a user's correction, or what a retry gave.

    Only of users who consented, and of each user's pairs of a week `max_per_week`, picked by hash.
    A retry counts when the same prompt comes again in the
    conversation, the first answer was asked to be regenerated and the second was not.
    """
    pairs = []
    tried: dict[tuple[str, str], Row] = {}
    for event in sorted(events, key=lambda e: (e["ts"], e["event_id"])):
        if event["user"] not in allowed_users:
            continue
        if event["correction"]:
            pairs.append(_pair(event, event["correction"], event["response"], "correction"))
        place = (event["conversation"], event["prompt"])
        first = tried.pop(place, None)
        if first and not event["regenerated"] and event["response"] != first["response"]:
            pairs.append(_pair(event, event["response"], first["response"], "retry"))
        if event["regenerated"]:
            tried[place] = event
    pairs = [pair for pair in pairs if pair["chosen"] and pair["rejected"]]
    if max_per_week is None:
        return pairs
    owners = {pair["pair_id"]: f"{pair['user']}\0{pair['week']}" for pair in pairs}
    kept = capped(owners, max_per_week)
    return [pair for pair in pairs if pair["pair_id"] in kept]


def review_queue(
    events: Iterable[Row], scored: Iterable[Row], ignored_raters: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Answers with a mean score below REVIEW_SCORE and no correction yet, worst first.

    Thumbs and ratings of ignored raters do not count.
    """
    scores: dict[str, list[float]] = {}
    for row in scored:
        if row["user"] in ignored_raters and row["signal"] in VOTES:
            continue
        scores.setdefault(row["event_id"], []).append(row["score"])
    rows = []
    for event in events:
        found = scores.get(event["event_id"])
        if found and not event["correction"] and sum(found) / len(found) < REVIEW_SCORE:
            rows.append(
                {
                    "event_id": event["event_id"],
                    "week": event["week"],
                    "prompt": event["prompt"],
                    "response": event["response"],
                    "model_version": event["model_version"],
                    "score": sum(found) / len(found),
                    "signals": len(found),
                    "origin": "log",
                    "reason": "badly_received",
                }
            )
    return sorted(rows, key=lambda row: (row["score"], -row["signals"], row["event_id"]))


def from_evaluation(picked: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows of the queue from rows that an evaluation picked out (evaluation/review_sample.py).

    The response is the reference, not what the model said; nobody reacted to it.
    """
    return [
        {
            "event_id": row["row_id"],
            "week": "",
            "prompt": row["prompt"],
            "response": row["response"],
            "model_version": row["adapter"],
            "score": None,
            "signals": 0,
            "origin": "evaluation",
            "reason": row["reason"],
        }
        for row in picked
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
