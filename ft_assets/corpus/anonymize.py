"""Raw rows to rows that may leave the raw zone: cleaned, masked, and owned by a pseudonym.

One numbering of placeholders per conversation (logs), document or example: the same address keeps
one placeholder inside it, and two of them cannot be joined on it. Users and conversations become
keyed hashes. Rows without a prompt or response after cleaning are dropped. What is masked is what
the detector finds (detector.py); a name found in one text of a conversation is masked in all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, islice
from typing import Any

from ft_assets.corpus.clean import clean
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.redact import DEFAULT_TYPES, Placeholders, residual

_TOGETHER = 200  # documents that are searched at once

Row = Mapping[str, Any]
# The texts of rows that belong together: a conversation, a document, an example.
Document = Sequence[tuple[Row, Sequence[str]]]
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

    def masked_texts(
        self, documents: Iterable[Document], detector: Detector
    ) -> Iterator[tuple[Row, list[str]]]:
        """Every row with its texts cleaned and masked, one numbering per document."""
        remaining = iter(documents)
        while chunk := list(islice(remaining, _TOGETHER)):
            cleaned = [
                [[self._clean(text) for text in texts] for _, texts in document]
                for document in chunk
            ]
            together = [[text for texts in rows for text in texts] for rows in cleaned]
            found = detector.find_in(together, DEFAULT_TYPES)
            for document, rows, spans in zip(chunk, cleaned, found, strict=True):
                names, spans_of = Placeholders(), iter(spans)
                for (row, _), texts in zip(document, rows, strict=True):
                    self.rows_in += 1
                    masked = [names.mask(text, next(spans_of)) for text in texts]
                    for one in masked:
                        self.masked.update(one.counts)
                    yield row, [one.text.strip() for one in masked]

    def _clean(self, text: str) -> str:
        cleaned = clean(text)
        self.fixes.update(cleaned.fixes)
        return cleaned.text


def anonymize_logs(rows: Iterable[Row], pseudonym: Pseudonym, detector: Detector) -> Anonymized:
    """Interactions in the order of conversation, turn and time."""
    result = Anonymized()
    ordered = sorted(rows, key=lambda r: (r["session_id"], r["turn"], r["ts"], r["event_id"]))
    conversations = (
        [(row, (row["prompt"], row["response"], row.get("correction") or "")) for row in turns]
        for _, turns in groupby(ordered, key=lambda r: r["session_id"])
    )
    for row, (prompt, response, correction) in result.masked_texts(conversations, detector):
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
                "identifiers_left": _left(prompt, response, correction),
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_documents(rows: Iterable[Row], detector: Detector) -> Anonymized:
    result = Anonymized()
    ordered = sorted(rows, key=lambda r: r["doc_id"])
    documents = ([(row, (row["title"], row["text"]))] for row in ordered)
    for row, (title, text) in result.masked_texts(documents, detector):
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


def anonymize_examples(
    annotations: Iterable[Row], corrections: Iterable[Row], detector: Detector
) -> Anonymized:
    """Gold pairs, and the pairs that reviewers corrected and approved."""
    result = Anonymized()
    examples = []
    for row in sorted(annotations, key=lambda r: r["annotation_id"]):
        own = {"example_id": row["annotation_id"], "kind": "annotation", "task": row["task"]}
        examples.append([({**row, **own}, (row["prompt"], row["response"]))])
    for row in sorted(corrections, key=lambda r: r["correction_id"]):
        if row["status"] != "approved":
            result.rows_in += 1
            result.dropped[Reason.NOT_APPROVED] += 1
            continue
        own = {"example_id": row["correction_id"], "kind": "correction", "task": "correction"}
        examples.append([({**row, **own}, (row["prompt"], row["corrected_response"]))])
    for row, (prompt, response) in result.masked_texts(examples, detector):
        if not prompt or not response:
            result.dropped[Reason.EMPTY_TEXT] += 1
            continue
        result.rows.append(
            {
                **{name: row[name] for name in ("example_id", "kind", "domain", "task")},
                "prompt": prompt,
                "response": response,
                "event_id": row.get("event_id"),
                "license": row.get("license"),
                "identifiers_left": _left(prompt, response),
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_cases(rows: Iterable[Row], detector: Detector) -> Anonymized:
    """The domain's own test cases."""
    result = Anonymized()
    ordered = sorted(rows, key=lambda r: r["eval_id"])
    cases = ([(row, (row["prompt"], row["response"]))] for row in ordered)
    for row, (prompt, response) in result.masked_texts(cases, detector):
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


def _left(*texts: str) -> int:
    return sum(sum(residual(text).values()) for text in texts)
