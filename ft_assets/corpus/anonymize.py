"""Raw rows to rows that may leave the raw zone: cleaned, masked, and owned by a pseudonym.

What is found (detector.py) becomes what the operators of the domain make of it (operators.py), by
default a numbered placeholder: the same address keeps one inside a conversation (logs), document or
example, and two of them cannot be joined on it. Users and conversations become keyed hashes. Rows
without a prompt or response after cleaning are dropped. Other columns than texts are left alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, islice
from typing import Any

from ft_assets.corpus.clean import clean
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.operators import PLACEHOLDERS, DomainOperators, Original, Owner
from ft_assets.corpus.redact import Placeholders, residual
from ft_resources.vault.subjects import of_row

_TOGETHER = 200  # documents that are searched at once

Row = Mapping[str, Any]
# The texts of rows that belong together: a conversation, a document, an example.
Document = Sequence[tuple[Row, Sequence[str]]]
Pseudonym = Callable[[str, str], str]  # (kind, value) -> keyed hash


class Reason(StrEnum):
    EMPTY_TEXT = "empty_text"
    ERASED = "erased"  # its subject's key is destroyed: the raw row cannot be read
    NOT_APPROVED = "not_approved"  # a correction that no reviewer has approved


@dataclass(frozen=True)
class MaskedRow:
    row: Row
    texts: list[str]
    left: int  # what patterns still find beside the values that were replaced


@dataclass
class Anonymized:
    """`identifiers_left` of each row counts what the detector still finds in its masked text."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    masked: Counter[tuple[str, str]] = field(default_factory=Counter)  # by type and operator
    fixes: Counter[str] = field(default_factory=Counter)  # texts by what cleaning repaired
    dropped: Counter[str] = field(default_factory=Counter)
    rows_in: int = 0
    # What the vault has to keep before the rows are seen by anybody, each once.
    originals: dict[Original, None] = field(default_factory=dict, repr=False)

    def without_erased(self, rows: int) -> "Anonymized":
        """Itself, with rows counted that came in unreadable."""
        self.rows_in += rows
        if rows:
            self.dropped[Reason.ERASED] += rows
        return self

    def masked_rows(
        self,
        documents: Iterable[Document],
        detector: Detector,
        operators: DomainOperators,
        owner_of: Callable[[Row], Owner],
    ) -> Iterator[MaskedRow]:
        """Every row with its texts cleaned and masked; persons are known through a document."""
        remaining = iter(documents)
        while chunk := list(islice(remaining, _TOGETHER)):
            cleaned = [
                [[self._clean(text) for text in texts] for _, texts in document]
                for document in chunk
            ]
            together = [[text for texts in rows for text in texts] for rows in cleaned]
            found = detector.find_in(together, operators.types)
            for document, rows, spans in zip(chunk, cleaned, found, strict=True):
                names, spans_of = Placeholders(operators.types), iter(spans)
                texts_of = (text for texts in rows for text in texts)
                for text, found_in_it in zip(texts_of, spans, strict=True):
                    names.learn(text, found_in_it)
                masked = [
                    (names.mask(text, next(spans_of)), owner_of(row))
                    for (row, _), texts in zip(document, rows, strict=True)
                    for text in texts
                ]
                left = (sum(residual(one.text, operators.types).values()) for one, _ in masked)
                done = iter(operators.render(masked))
                for row, texts in document:
                    self.rows_in += 1
                    rendered = [next(done) for _ in texts]
                    for one in rendered:
                        self.masked.update(one.counts)
                        self.originals.update(dict.fromkeys(one.originals))
                    yield MaskedRow(
                        row, [one.text.strip() for one in rendered], sum(islice(left, len(texts)))
                    )

    def _clean(self, text: str) -> str:
        cleaned = clean(text)
        self.fixes.update(cleaned.fixes)
        return cleaned.text


LOG_TEXTS = ("prompt", "response", "correction", "comment")
LOG_FLAGS = ("regenerated", "clicked", "copied", "abandoned")


def anonymize_logs(
    rows: Iterable[Row],
    pseudonym: Pseudonym,
    detector: Detector,
    operators: DomainOperators = PLACEHOLDERS,
) -> Anonymized:
    """Interactions in the order of conversation, turn and time."""
    result = Anonymized()
    ordered = sorted(rows, key=lambda r: (r["session_id"], r["turn"], r["ts"], r["event_id"]))
    conversations = (
        [(row, tuple(row.get(name) or "" for name in LOG_TEXTS)) for row in turns]
        for _, turns in groupby(ordered, key=lambda r: r["session_id"])
    )
    for done in result.masked_rows(conversations, detector, operators, _owner("logs", "event_id")):
        row, (prompt, response, correction, comment) = done.row, done.texts
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
                "comment": comment or None,
                "model_version": row["model_version"],
                "rating": row.get("rating"),
                "thumb": row.get("thumb"),
                "edit_share": row.get("edit_share"),
                **{name: bool(row.get(name)) for name in LOG_FLAGS},
                "latency_ms": row.get("latency_ms"),
                "identifiers_left": done.left,
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_documents(
    rows: Iterable[Row], detector: Detector, operators: DomainOperators = PLACEHOLDERS
) -> Anonymized:
    result = Anonymized()
    ordered = sorted(rows, key=lambda r: r["doc_id"])
    documents = ([(row, (row["title"], row["text"]))] for row in ordered)
    for done in result.masked_rows(documents, detector, operators, _owner("documents", "doc_id")):
        row, (title, text) = done.row, done.texts
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
                "identifiers_left": done.left,
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_examples(
    annotations: Iterable[Row],
    corrections: Iterable[Row],
    detector: Detector,
    operators: DomainOperators = PLACEHOLDERS,
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
    for done in result.masked_rows(examples, detector, operators, _owner("examples", "example_id")):
        row, (prompt, response) = done.row, done.texts
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
                "identifiers_left": done.left,
                "source_file": row["source_file"],
                "source_line": row["source_line"],
            }
        )
    return result


def anonymize_cases(
    rows: Iterable[Row], detector: Detector, operators: DomainOperators = PLACEHOLDERS
) -> Anonymized:
    """The domain's own test cases."""
    result = Anonymized()
    ordered = sorted(rows, key=lambda r: r["eval_id"])
    cases = ([(row, (row["prompt"], row["response"], row.get("topic") or ""))] for row in ordered)
    for done in result.masked_rows(cases, detector, operators, _owner("eval", "eval_id")):
        row, (prompt, response, topic) = done.row, done.texts
        if not prompt or not response:
            result.dropped[Reason.EMPTY_TEXT] += 1
            continue
        result.rows.append(
            {
                **{name: row[name] for name in ("eval_id", "domain", "task")},
                "topic": topic,
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


def _owner(kind: str, id_field: str) -> Callable[[Row], Owner]:
    """Whose row it is; dates move by its user, or by themselves where it names none."""

    def owner(row: Row) -> Owner:
        written = str(row.get("ts") or row.get("updated_at") or "")[:4]
        shift_by = f"user:{row['user_id']}" if row.get("user_id") else f"{kind}:{row[id_field]}"
        subjects = of_row(row, f"{row['domain']}/{kind}")
        return Owner(subjects, shift_by, int(written) if written.isdecimal() else None)

    return owner
