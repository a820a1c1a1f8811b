"""Choose, per domain, the rows to train on and the rows to evaluate on, and count every other one.

Interactions and examples are judged first on permission and feedback, then deduplicated, then put
on a side by owner; only then is a side chosen. `compose_eval` and `compose_training` make the same
judgement, so a row that one calls held out is held out for the other. A document never becomes an
evaluation row; its unit here is the passage: `rows_in` counts passages, not documents.

Consent is looked up for interactions and for the corrections made of them (the prompt is the
user's). Annotations and corrections without an event belong to no user.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypedDict

from ft_assets.corpus.chunk import PASSAGE_CHARS, passages
from ft_assets.corpus.decontaminate import EvalIndex, EvalText
from ft_assets.corpus.dedup import NEAR_DUPLICATE_THRESHOLD, Entry, Role, find_duplicates
from ft_assets.corpus.split import Owner, Side, across_sides, position, side

Row = Mapping[str, Any]


class Consent(StrEnum):
    GRANTED = "granted"
    REFUSED = "refused"
    ERASED = "erased"


class Reason(StrEnum):
    """Why a row is not used; a row that has several counts under the first in this order."""

    ERASURE_REQUESTED = "erasure_requested"
    NO_CONSENT = "no_consent"  # refused, or the user is not known
    SUPERSEDED_BY_CORRECTION = "superseded_by_correction"
    THUMBS_DOWN = "thumbs_down"
    LOW_RATING = "low_rating"
    REGENERATED = "regenerated"  # the user asked for another answer
    RESTRICTED_DOCUMENT = "restricted_document"
    EMPTY_TEXT = "empty_text"
    TOO_LONG = "too_long"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    SPLIT_CONVERSATION = "split_conversation"  # its users are on two sides; see split.py
    HELD_OUT = "held_out"
    NOT_HELD_OUT = "not_held_out"  # of compose_eval: the row is for training
    CONTAMINATED = "contaminated"  # overlaps an evaluation row
    OVERLAPS_VALIDATION = "overlaps_validation"  # for training, but a validation row gives it away
    OVER_DOCUMENT_SHARE = "over_document_share"


@dataclass(frozen=True)
class Policy:
    near_duplicate_threshold: float = NEAR_DUPLICATE_THRESHOLD
    held_out_share: float = 0.05
    validation_share: float = 0.05
    min_chars: int = 1  # of the prompt and of the response
    max_chars: int = 24_000  # of the two together
    passage_chars: int = PASSAGE_CHARS
    document_share: float = 0.25  # of the characters of the corpus
    document_access: tuple[str, ...] = ("public", "internal")
    rating_floor: int = 3
    salt: str = "split-1"  # another salt is another split: a held-out row may come into training

    def __post_init__(self) -> None:
        side("", self.held_out_share, self.validation_share, self.salt)  # checks the shares
        if not 0 <= self.document_share <= 1:
            raise ValueError(f"document_share must be 0 to 1, got {self.document_share}")


class CorpusRow(TypedDict):
    row_id: str
    kind: str  # log | annotation | correction | document
    domain: str
    week: str  # "" where the source has none
    group: str
    split: str  # train | validation
    messages: str  # JSON
    prompt: str
    response: str
    source_file: str
    source_line: int
    source_id: str
    license: str


class EvalRow(TypedDict):
    row_id: str
    origin: str  # own | held_out
    task: str
    prompt: str
    response: str
    messages: str  # JSON
    source_id: str


@dataclass(frozen=True)
class Counts:
    rows_in: int
    rows_out: int
    dropped: dict[str, int]
    by_kind: dict[str, int]  # rows out
    dropped_by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    by_split: dict[str, int] = field(default_factory=dict)  # rows out; of an EvalSet by origin
    documents_in: int = 0
    documents_used: int = 0  # with at least one passage in the corpus
    largest_group: int = 0  # rows out of the user or document with the most


@dataclass(frozen=True)
class Corpus:
    rows: list[CorpusRow]
    counts: Counts


@dataclass(frozen=True)
class EvalSet:
    rows: list[EvalRow]
    counts: Counts


@dataclass(slots=True)
class _Candidate:
    """A row on its way; `reason` is set once, by the first rule that drops it."""

    key: str
    kind: str
    prompt: str
    response: str
    rank: tuple[int, str]  # of two copies the lower stays
    source: Row
    source_id: str
    owner: Owner
    group: str = ""
    side: Side = Side.TRAIN
    reason: Reason | None = None

    @property
    def chars(self) -> int:
        return len(self.prompt) + len(self.response)


_VALIDATION = "validation\0"  # tells a validation row's key from an evaluation row's

# Of two copies the more trustworthy stays, then the older: a copy that arrives later then neither
# replaces what was trained on nor changes its side.
_TRUST = {"annotation": 0, "correction": 1, "log": 2}


def compose_eval(
    own_cases: Sequence[Row],
    examples: Sequence[Row],
    logs: Sequence[Row],
    consent: Mapping[str, str],
    policy: Policy,
) -> EvalSet:
    """Return the domain's own cases, all but exact copies, then the held-out rows.

    A held-out row that overlaps an own case counts as contaminated and is dropped.
    """
    candidates = _judge(logs, examples, consent, policy)
    own = _own_candidates(own_cases, policy)
    kept_own = [case for case in own if case.reason is None]
    index = _index(kept_own, policy)
    for row in candidates:
        if row.reason is None and row.side is not Side.HELD_OUT:
            row.reason = Reason.NOT_HELD_OUT
        if row.reason is None and index.overlap(row.prompt, row.response):
            row.reason = Reason.CONTAMINATED

    kept = kept_own + [row for row in candidates if row.reason is None]
    rows = [_eval_row(row) for row in kept]
    origins = dict(Counter(row["origin"] for row in rows))
    return EvalSet(rows, _counts(own + candidates, kept, by_split=origins))


def compose_training(
    logs: Sequence[Row],
    examples: Sequence[Row],
    documents: Sequence[Row],
    consent: Mapping[str, str],
    eval_rows: Iterable[Row],
    policy: Policy,
) -> Corpus:
    """Return the training and validation rows, none of which overlaps `eval_rows`."""
    conversations = _judge(logs, examples, consent, policy)
    for row in conversations:
        if row.reason is None and row.side is Side.HELD_OUT:
            row.reason = Reason.HELD_OUT
    # Validation asks how well conversations go, so it holds documents only for want of any.
    validation_share = (
        0 if any(r.reason is None for r in conversations) else policy.validation_share
    )
    texts = _judge_passages(documents, policy, validation_share)

    _drop_overlaps(conversations + texts, eval_rows, policy)
    _cap_documents(conversations, texts, policy)

    kept = [row for row in conversations + texts if row.reason is None]
    rows = [_corpus_row(row) for row in kept]
    counts = _counts(
        conversations + texts,
        kept,
        by_split=dict(Counter(row["split"] for row in rows)),
        documents_in=len(documents),
        documents_used=len({row.source_id for row in kept if row.kind == "document"}),
    )
    return Corpus(rows, counts)


def _judge(
    logs: Sequence[Row], examples: Sequence[Row], consent: Mapping[str, str], policy: Policy
) -> list[_Candidate]:
    """All interactions and examples, with side, group and the reason that drops them."""
    events = {log["event_id"]: log for log in logs}
    corrected = {
        example["event_id"]
        for example in examples
        if example["kind"] == "correction" and example["event_id"]
    }
    candidates = [_log_candidate(log) for log in logs]
    candidates += [_example_candidate(example, events) for example in examples]
    for row in candidates:
        row.reason = (
            _permission(row, consent) or _feedback(row, corrected, policy) or _length(row, policy)
        )
    _drop_duplicates(candidates, policy)
    live = [row for row in candidates if row.reason is None]
    for row in live:
        row.group = row.owner.group
        row.side = side(row.group, policy.held_out_share, policy.validation_share, policy.salt)
    across = across_sides([row.owner for row in live], [row.side for row in live])
    for row, leave_out in zip(live, across, strict=True):
        if leave_out:
            row.reason = Reason.SPLIT_CONVERSATION
    return candidates


def _log_candidate(log: Row) -> _Candidate:
    return _Candidate(
        key=f"log:{log['event_id']}",
        kind="log",
        prompt=log["prompt"],
        response=log["correction"] or log["response"],
        rank=(_TRUST["log"], log["ts"]),
        source=log,
        source_id=log["event_id"],
        owner=Owner(log["event_id"], log["user"], log["conversation"]),
    )


def _example_candidate(example: Row, events: Mapping[str, Row]) -> _Candidate:
    key = f"{example['kind']}:{example['example_id']}"
    event = events.get(example["event_id"] or "")
    return _Candidate(
        key=key,
        kind=example["kind"],
        prompt=example["prompt"],
        response=example["response"],
        rank=(_TRUST[example["kind"]], event["ts"] if event else ""),
        source=example,
        source_id=example["example_id"],
        owner=Owner(key, event["user"], event["conversation"]) if event else Owner(key),
    )


def _own_candidates(own_cases: Sequence[Row], policy: Policy) -> list[_Candidate]:
    cases = [
        _Candidate(
            key=f"own:{case['eval_id']}",
            kind="own",
            prompt=case["prompt"],
            response=case["response"],
            rank=(0, ""),
            source=case,
            source_id=case["eval_id"],
            owner=Owner(case["eval_id"]),
        )
        for case in own_cases
    ]
    entries = [Entry(case.key, case.prompt, case.response) for case in cases]
    for case, membership in zip(cases, find_duplicates(entries, threshold=1), strict=True):
        case.reason = _length(case, policy)
        if case.reason is None and membership.role is Role.EXACT:
            case.reason = Reason.EXACT_DUPLICATE
    return cases


def _judge_passages(
    documents: Sequence[Row], policy: Policy, validation_share: float
) -> list[_Candidate]:
    rows = []
    for document in documents:
        group = f"document:{document['doc_id']}"
        parts = passages(document["text"], policy.passage_chars)
        for number, text in enumerate(parts, start=1):
            row = _Candidate(
                key=f"{group}:{number:04d}",
                kind="document",
                prompt=_passage_prompt(document["title"], number, len(parts)),
                response=text,
                rank=(0, ""),
                source=document,
                source_id=document["doc_id"],
                owner=Owner(document["doc_id"]),
                group=group,
                # Documents are not held out: they would only be lost for training.
                side=side(group, 0, validation_share, policy.salt),
            )
            if document["access"] not in policy.document_access:
                row.reason = Reason.RESTRICTED_DOCUMENT
            rows.append(row)
    for row in rows:
        row.reason = row.reason or _length(row, policy)
    _drop_duplicates(rows, policy, with_prompt=False)  # the prompts differ by their numbering
    return rows


def _passage_prompt(title: str, number: int, total: int) -> str:
    return f'What does "{title}" say?' + (f" (part {number} of {total})" if total > 1 else "")


def _permission(row: _Candidate, consent: Mapping[str, str]) -> Reason | None:
    if row.kind != "log" and not row.source["event_id"]:
        return None
    # A correction whose event is gone has no known user either.
    state = consent.get(row.owner.user or "", Consent.REFUSED)
    if Consent(state) is Consent.ERASED:
        return Reason.ERASURE_REQUESTED
    return None if Consent(state) is Consent.GRANTED else Reason.NO_CONSENT


def _feedback(row: _Candidate, corrected: set[str], policy: Policy) -> Reason | None:
    if row.kind != "log":
        return None
    log = row.source
    if log["event_id"] in corrected:
        return Reason.SUPERSEDED_BY_CORRECTION
    if log["correction"]:
        return None  # the complaint is about the response that the user replaced
    if log["thumb"] == "down":
        return Reason.THUMBS_DOWN
    if log["rating"] is not None and log["rating"] < policy.rating_floor:
        return Reason.LOW_RATING
    return Reason.REGENERATED if log["regenerated"] else None


def _length(row: _Candidate, policy: Policy) -> Reason | None:
    if min(len(row.prompt.strip()), len(row.response.strip())) < policy.min_chars:
        return Reason.EMPTY_TEXT
    return Reason.TOO_LONG if row.chars > policy.max_chars else None


def _drop_duplicates(rows: Sequence[_Candidate], policy: Policy, with_prompt: bool = True) -> None:
    live = [row for row in rows if row.reason is None]
    entries = [
        Entry(row.key, row.prompt if with_prompt else "", row.response, row.rank) for row in live
    ]
    found = find_duplicates(entries, policy.near_duplicate_threshold)
    for row, membership in zip(live, found, strict=True):
        if membership.role is not Role.REPRESENTATIVE:
            row.reason = Reason(membership.role)


def _cap_documents(
    conversations: Sequence[_Candidate], texts: Sequence[_Candidate], policy: Policy
) -> None:
    """Drop passages, picked by hash, until documents hold no more than their share.

    A domain without conversations keeps all passages: there is nothing that they could crowd out.
    """
    base = sum(row.chars for row in conversations if row.reason is None)
    share = policy.document_share
    if not base or share == 1:
        return
    room = base * share / (1 - share)
    live = [row for row in texts if row.reason is None]
    for row in sorted(live, key=lambda row: (position(row.key, policy.salt), row.key)):
        room -= row.chars
        if room < 0:
            row.reason = Reason.OVER_DOCUMENT_SHARE


def _drop_overlaps(rows: Sequence[_Candidate], eval_rows: Iterable[Row], policy: Policy) -> None:
    """Drop what overlaps the evaluation rows, then the training rows that overlap validation."""
    texts = [EvalText(row["row_id"], row["prompt"], row["response"]) for row in eval_rows]
    evaluation = EvalIndex(texts, policy.near_duplicate_threshold)
    validation = [row for row in rows if row.reason is None and row.side is Side.VALIDATION]
    for row in validation:
        if evaluation.overlap(row.prompt, row.response):
            row.reason = Reason.CONTAMINATED
    # One index of both, because reading a row into words and shingles is the larger cost.
    clean = [row for row in validation if row.reason is None]
    both = EvalIndex(
        texts + [EvalText(f"{_VALIDATION}{row.key}", row.prompt, row.response) for row in clean],
        policy.near_duplicate_threshold,
    )
    for row in rows:
        if row.reason is None and row.side is Side.TRAIN:
            overlap = both.overlap(row.prompt, row.response)
            if overlap:
                of_validation = overlap.eval_id.startswith(_VALIDATION)
                row.reason = Reason.OVERLAPS_VALIDATION if of_validation else Reason.CONTAMINATED


def _index(cases: Iterable[_Candidate], policy: Policy) -> EvalIndex:
    texts = (EvalText(case.key, case.prompt, case.response) for case in cases)
    return EvalIndex(texts, policy.near_duplicate_threshold)


def _messages(prompt: str, response: str) -> str:
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return json.dumps(turns, ensure_ascii=False)


def _corpus_row(row: _Candidate) -> CorpusRow:
    return CorpusRow(
        row_id=row.key,
        kind=row.kind,
        domain=row.source["domain"],
        week=row.source.get("week") or "",
        group=row.group,
        split=str(row.side),
        messages=_messages(row.prompt, row.response),
        prompt=row.prompt,
        response=row.response,
        source_file=row.source["source_file"],
        source_line=row.source["source_line"],
        source_id=row.source_id,
        license=row.source.get("license") or "",
    )


def _eval_row(row: _Candidate) -> EvalRow:
    return EvalRow(
        row_id=row.key,
        origin="own" if row.kind == "own" else "held_out",
        task=row.source.get("task") or row.kind,
        prompt=row.prompt,
        response=row.response,
        messages=_messages(row.prompt, row.response),
        source_id=row.source_id,
    )


def _counts(
    rows: Sequence[_Candidate],
    kept: Sequence[_Candidate],
    by_split: dict[str, int],
    documents_in: int = 0,
    documents_used: int = 0,
) -> Counts:
    reasons = Counter(row.reason for row in rows if row.reason)
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.reason:
            by_kind[row.kind][str(row.reason)] += 1
    return Counts(
        rows_in=len(rows),
        rows_out=len(kept),
        dropped={str(reason): reasons[reason] for reason in Reason if reasons[reason]},
        by_kind=dict(Counter(row.kind for row in kept)),
        dropped_by_kind={kind: dict(found) for kind, found in by_kind.items()},
        by_split=by_split,
        documents_in=documents_in,
        documents_used=documents_used,
        largest_group=max(Counter(row.group for row in kept if row.group).values(), default=0),
    )
