"""What a person must see: which answers of a domain, why, and what stands beside each.

Reasons, most pressing first: `safety` (the screening refused the row as toxic or as an injection),
`high_stakes` (a rule of the domain matches prompt or answer), `badly_received`, `low_agreement`
(reactions to one answer contradict each other), and `audit`, a share drawn by hash whatever was
said: whoever looks only at what a signal found never learns what the signals miss.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from ft_assets.feedback.signals import VOTES

Row = Mapping[str, Any]

REASONS = ("safety", "high_stakes", "badly_received", "low_agreement", "audit")
UNSAFE = frozenset({"toxic", "prompt_injection"})  # verdicts of the screening
REVIEW_SCORE = 0.5  # a mean score below it is badly received
CONTRADICTION = 0.75  # between the best and the worst reaction to one answer
MAX_ANSWERS = 9  # beside each other; a page chooses with the keys 1 to 9
UNIT = 2**64


@dataclass(frozen=True)
class ReviewPolicy:
    high_stakes: Sequence[str] = ()  # RE2 patterns, case ignored
    audit_share: float = 0.01  # of the answers
    max_items: int = 200  # of a domain; the most pressing and newest
    salt: str = "audit-1"


def review_queue(
    events: Sequence[Row],
    scored: Iterable[Row],
    verdicts: Mapping[str, str],
    decided: Collection[str],
    policy: ReviewPolicy,
    ignored_raters: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The queue, most pressing first, without answers that a person corrected or decided already.

    `verdicts`: reason of the screening by event id. Thumbs and ratings of ignored raters count for
    nothing.
    """
    scores: dict[str, list[float]] = {}
    for row in scored:
        if row["score"] is None or (row["user"] in ignored_raters and row["signal"] in VOTES):
            continue
        scores.setdefault(row["event_id"], []).append(row["score"])
    rules = [re2.compile(f"(?i){pattern}") for pattern in policy.high_stakes]
    beside = _beside(events)
    rows: list[dict[str, Any]] = []
    for event in events:
        event_id = event["event_id"]
        if event["correction"] or event_id in decided:
            continue
        found = scores.get(event_id, [])
        reasons = _reasons(event, found, verdicts.get(event_id, ""), rules, policy)
        if reasons:
            rows.append(
                {
                    "event_id": event_id,
                    "week": event["week"],
                    "prompt": event["prompt"],
                    "response": event["response"],
                    "answers": _answers(event, beside),
                    "model_version": event["model_version"],
                    "score": sum(found) / len(found) if found else None,
                    "signals": len(found),
                    "origin": "log",
                    "reason": reasons[0],
                    "reasons": reasons,
                }
            )
    rows.sort(key=lambda row: (row["week"], row["event_id"]), reverse=True)
    rows.sort(key=_pressing)
    return rows[: policy.max_items]


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
            "answers": [{"label": "reference", "text": row["response"]}],
            "model_version": row["adapter"],
            "score": None,
            "signals": 0,
            "origin": "evaluation",
            "reason": row["reason"],
            "reasons": [row["reason"]],
        }
        for row in picked
    ]


def to_items(queue: Iterable[Row]) -> list[dict[str, Any]]:
    """The queue as the gateway takes it (PUT /admin/review/DOMAIN)."""
    return [
        {
            "item_id": f"{row['origin']}:{row['event_id']}",
            "event_id": row["event_id"] if row["origin"] == "log" else None,
            "prompt": row["prompt"],
            "answers": [dict(answer) for answer in row["answers"]],
            "reasons": [*row["reasons"]],
            "model_version": row["model_version"],
            "week": row["week"] or None,
        }
        for row in queue
    ]


def _reasons(
    event: Row, scores: Sequence[float], verdict: str, rules: Sequence[Any], policy: ReviewPolicy
) -> list[str]:
    found = {
        "safety": verdict in UNSAFE,
        "high_stakes": any(r.search(event["prompt"]) or r.search(event["response"]) for r in rules),
        "badly_received": bool(scores) and sum(scores) / len(scores) < REVIEW_SCORE,
        "low_agreement": bool(scores) and max(scores) - min(scores) >= CONTRADICTION,
        "audit": _draw(event["event_id"], policy.salt) < policy.audit_share,
    }
    return [reason for reason in REASONS if found[reason]]


def _draw(event_id: str, salt: str) -> float:
    digest = hashlib.sha256(f"{salt}:{event_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / UNIT


def _pressing(row: Row) -> tuple[int, float]:
    return REASONS.index(row["reason"]), 1.0 if row["score"] is None else row["score"]


def _beside(events: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Events by conversation and prompt: the answers to one question of one person."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for event in events:
        groups.setdefault((event["conversation"], event["prompt"]), []).append(event)
    return groups


def _answers(event: Row, beside: Mapping[tuple[str, str], list[Row]]) -> list[dict[str, str]]:
    """The answer in question first, then others to the same question, and their corrections."""
    answers = [
        {"label": f"answer of {event['model_version'] or 'a model'}", "text": event["response"]}
    ]
    for other in beside[event["conversation"], event["prompt"]]:
        if other is not event:
            label = f"another answer, of {other['model_version'] or 'a model'}"
            answers.append({"label": label, "text": other["response"]})
        if other["correction"]:
            answers.append({"label": "the user's own wording", "text": other["correction"]})
    seen: set[str] = set()
    kept = []
    for answer in answers:
        if answer["text"] not in seen:
            seen.add(answer["text"])
            kept.append(answer)
    return kept[:MAX_ANSWERS]
