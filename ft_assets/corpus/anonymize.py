"""Raw rows to rows that may leave the raw zone: cleaned, masked, and owned by a pseudonym.

One numbering of placeholders per conversation (logs), document or example: the same address keeps
one placeholder inside it, and two of them cannot be joined on it. Users and conversations become
keyed hashes. Rows without a prompt or response after cleaning are dropped. Names, places and
organisations in free text are not found here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ft_assets.corpus.clean import clean
from ft_assets.corpus.redact import Placeholders, residual

Row = Mapping[str, Any]
Pseudonym = Callable[[str, str], str]  # (kind, value) -> keyed hash


class Reason(StrEnum):
    EMPTY_TEXT = "empty_text"
    ERASED = "erased"  # its subject's key is destroyed: the raw row cannot be read
    NOT_APPROVED = "not_approved"  # a correction that no reviewer has approved


@dataclass
class Anonymized:
    """`identifiers_left` of each row counts what the detector still finds in its masked text."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    masked: Counter[str] = field(default_factory=Counter)  # identifiers by type
    fixes: Counter[str] = field(default_factory=Counter)  # texts by what cleaning repaired
    dropped: Counter[str] = field(default_factory=Counter)
    rows_in: int = 0

    def without_erased(self, rows: int) -> "Anonymized":
        """Itself, with rows counted that came in unreadable."""
        self.rows_in += rows
        if rows:
            self.dropped[Reason.ERASED] += rows
        return self

    def _text(self, placeholders: Placeholders, text: str) -> str:
        cleaned = clean(text)
        self.fixes.update(cleaned.fixes)
        masked = placeholders.mask(cleaned.text)
        self.masked.update(masked.counts)
        return masked.text.strip()


def anonymize_logs(rows: Iterable[Row], pseudonym: Pseudonym) -> Anonymized:
    """Interactions in the order of conversation, turn and time."""
    result = Anonymized()
    conversations: dict[str, Placeholders] = {}
    for row in sorted(rows, key=lambda r: (r["session_id"], r["turn"], r["ts"], r["event_id"])):
        result.rows_in += 1
        names = conversations.setdefault(row["session_id"], Placeholders())
        prompt = result._text(names, row["prompt"])
        response = result._text(names, row["response"])
        correction = result._text(names, row["correction"]) if row.get("correction") else None
        if not prompt or not (response or correction):
            result.dropped[Reason.EMPTY_TEXT] += 1
            continue
        result.rows.append(
            {
                "event_id": row["event_id"],
                "ts": row["ts"],
                "week": row["week"],
                "domain": row["domain"],
                "user": pseudonym("user", row["user_id"]),
                "conversation": pseudonym("conversation", row["session_id"]),
                "turn": row["turn"],
                "prompt": prompt,
                "response": response,
                "correction": correction or None,
                "model_version": row["model_version"],
                "rating": row.get("rating"),
                "thumb": row.get("thumb"),
                "regenerated": bool(row.get("regenerated")),
                "clicked": bool(row.get("clicked")),
                "latency_ms": row.get("latency_ms"),
                "identifiers_left": _left(prompt, response, correction or ""),
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_documents(rows: Iterable[Row]) -> Anonymized:
    result = Anonymized()
    for row in sorted(rows, key=lambda r: r["doc_id"]):
        result.rows_in += 1
        names = Placeholders()
        title, text = result._text(names, row["title"]), result._text(names, row["text"])
        if not text:
            result.dropped[Reason.EMPTY_TEXT] += 1
            continue
        result.rows.append(
            {
                **{name: row.get(name) for name in ("doc_id", "domain", "kind", "topic")},
                "title": title,
                "text": text,
                "access": row["access"],
                "license": row.get("license"),
                "identifiers_left": _left(title, text),
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_examples(annotations: Iterable[Row], corrections: Iterable[Row]) -> Anonymized:
    """Gold pairs, and the pairs that reviewers corrected and approved."""
    result = Anonymized()
    for row in sorted(annotations, key=lambda r: r["annotation_id"]):
        result.rows_in += 1
        _add_example(result, row, row["annotation_id"], "annotation", row["task"], row["response"])
    for row in sorted(corrections, key=lambda r: r["correction_id"]):
        result.rows_in += 1
        if row["status"] != "approved":
            result.dropped[Reason.NOT_APPROVED] += 1
            continue
        response = row["corrected_response"]
        _add_example(result, row, row["correction_id"], "correction", "correction", response)
    return result


def anonymize_cases(rows: Iterable[Row]) -> Anonymized:
    """The domain's own test cases."""
    result = Anonymized()
    for row in sorted(rows, key=lambda r: r["eval_id"]):
        result.rows_in += 1
        names = Placeholders()
        prompt, response = result._text(names, row["prompt"]), result._text(names, row["response"])
        if not prompt or not response:
            result.dropped[Reason.EMPTY_TEXT] += 1
            continue
        result.rows.append(
            {
                **{name: row[name] for name in ("eval_id", "domain", "task")},
                "prompt": prompt,
                "response": response,
            }
        )
    return result


def consent_states(users: Iterable[Row], pseudonym: Pseudonym) -> dict[str, str]:
    """granted | refused | erased by the user's pseudonym."""
    return {
        pseudonym("user", row["user_id"]): (
            "erased"
            if row["erasure_requested_at"]
            else ("granted" if row["training_consent"] else "refused")
        )
        for row in users
    }


def _add_example(
    result: Anonymized, row: Row, example_id: str, kind: str, task: str, answer: str
) -> None:
    names = Placeholders()
    prompt, response = result._text(names, row["prompt"]), result._text(names, answer)
    if not prompt or not response:
        result.dropped[Reason.EMPTY_TEXT] += 1
        return
    result.rows.append(
        {
            "example_id": example_id,
            "kind": kind,
            "domain": row["domain"],
            "task": task,
            "prompt": prompt,
            "response": response,
            "event_id": row.get("event_id"),
            "license": row.get("license"),
            "identifiers_left": _left(prompt, response),
            "source_file": row["source_file"],
            "source_line": row["source_line"],
        }
    )


def _left(*texts: str) -> int:
    return sum(sum(residual(text).values()) for text in texts)
