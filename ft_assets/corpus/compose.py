"""Choose, per domain, the rows to train on and the rows to evaluate on, and count every other one.

Interactions and examples are judged first on permission, screening and feedback, then every
duplicate cluster and conversation is put on one side (split.py) and one row of each cluster stays.
`compose_eval` and `compose_training` make the same judgement, so a row that one calls held out is
held out for the other. A document never becomes an evaluation row; its unit here is the passage:
`rows_in` counts passages, not documents.

Consent is looked up for interactions and for the corrections made of them (the prompt is the
user's). Annotations and corrections without an event belong to no user.

Rows come as batches with fingerprints (pool.py), or as plain rows, which are fingerprinted here.
With batches, all that costs time per character was done when the batch was made; per old row there
is a hash of its owner, a look-up of its n-grams and the writing of it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from ft_assets.corpus.chunk import PASSAGE_CHARS
from ft_assets.corpus.composed import (
    Corpus,
    Counts,
    EvalSet,
    Reason,
    corpus_table,
    drops,
    eval_table,
    training_counts,
)
from ft_assets.corpus.decontaminate import EvalIndex
from ft_assets.corpus.dedup import NONE, Clusters, find_clusters
from ft_assets.corpus.fingerprints import Fingerprints, fingerprint_pairs
from ft_assets.corpus.mixture import Replay, left_out_of_replay, older_rows, over_weight
from ft_assets.corpus.near_copies import NEAR_DUPLICATE_THRESHOLD
from ft_assets.corpus.pool import (
    Batch,
    Pool,
    example_batch,
    log_batch,
    passage_batch,
    timed,
)
from ft_assets.corpus.screen.influence import over_user_share
from ft_assets.corpus.split import SIDES, Side, groups, side, side_of_earliest, sides

pc: Any = pyarrow.compute  # makes its functions at import, so a type checker finds none

Row = Mapping[str, Any]
Rows = Sequence[Row] | Sequence[Batch]


class Consent(StrEnum):
    GRANTED = "granted"
    REFUSED = "refused"
    ERASED = "erased"


KINDS = ("log", "annotation", "correction", "document")


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
    mixture: Mapping[str, float] = field(default_factory=dict)  # weight by kind; see mixture.py
    replay: Replay | None = None  # None: all weeks are used whole
    max_user_share: float = 1.0  # of the rows that belong to users
    salt: str = "split-1"  # another salt is another split: a held-out row may come into training

    def __post_init__(self) -> None:
        side("", self.held_out_share, self.validation_share, self.salt)  # checks the shares
        if not 0 < self.max_user_share <= 1:
            raise ValueError(f"max_user_share must be above 0 to 1, got {self.max_user_share}")
        if not 0 <= self.document_share <= 1:
            raise ValueError(f"document_share must be 0 to 1, got {self.document_share}")
        unknown = set(self.mixture) - set(KINDS)
        if unknown:
            raise ValueError(f"mixture: no kind {sorted(unknown)}; there are {', '.join(KINDS)}")


# Of two copies the more trustworthy stays, then the older: a copy that arrives later then neither
# replaces what was trained on nor changes its side.
_TRUST = {"annotation": 0, "correction": 1, "log": 2}


def compose_eval(
    own_cases: Sequence[Row],
    examples: Rows,
    logs: Rows,
    consent: Mapping[str, str],
    policy: Policy,
    *,
    refused: Mapping[str, str] | None = None,
    clusters: Clusters | None = None,
    ignored_raters: Collection[str] = (),
) -> EvalSet:
    """Return the domain's own cases, all but exact copies, then the held-out rows.

    A held-out row that overlaps an own case counts as contaminated and is dropped. `refused` is the
    verdict of the screening, reason by row key; `clusters` those of the same logs and examples.
    Votes of `ignored_raters` (users) say nothing about a response.
    """
    pool = _judge(logs, examples, consent, policy, refused or {}, clusters, ignored_raters)
    own = _own_cases(own_cases, policy)
    kept_own = np.flatnonzero(own.live)
    index = EvalIndex(_prints_of(own, kept_own), policy.near_duplicate_threshold)
    pool.drop(pool.side != SIDES.index(Side.HELD_OUT), Reason.NOT_HELD_OUT)
    for batch, span in pool.spans():
        found = index.overlaps(batch.prints, pool.live[span])
        pool.reason[span][found.found] = Reason.CONTAMINATED

    kept = np.flatnonzero(pool.live)
    topics = {f"own:{case['eval_id']}": case.get("topic") or "" for case in own_cases}
    table = pa.concat_tables(
        [eval_table(own, kept_own, "own", topics), eval_table(pool, kept, "held_out")]
    )
    origins = {"own": len(kept_own), "held_out": len(kept)}
    counts = Counts(
        rows_in=len(own) + len(pool),
        rows_out=len(table),
        by_kind=dict(Counter(pool.texts("kind")[kept].tolist())),
        by_split={name: count for name, count in origins.items() if count},
        **drops([own, pool]),
    )
    return EvalSet(table, counts)


def compose_training(
    logs: Rows,
    examples: Rows,
    documents: Rows,
    consent: Mapping[str, str],
    eval_rows: Iterable[Row],
    policy: Policy,
    *,
    refused: Mapping[str, str] | None = None,
    clusters: Clusters | None = None,
    passage_clusters: Clusters | None = None,
    ignored_raters: Collection[str] = (),
    benchmarks: Mapping[str, Fingerprints] | None = None,
) -> Corpus:
    """Return the training and validation rows.

    None overlaps `eval_rows` or a row of a benchmark; no training row overlaps a validation row.
    `refused` and `clusters` are as for compose_eval; a passage may be refused too.
    `passage_clusters` are those of the passages of `documents`, at the threshold of the policy.
    """
    refused = refused or {}
    talks = _judge(logs, examples, consent, policy, refused, clusters, ignored_raters)
    talks.drop(talks.side == SIDES.index(Side.HELD_OUT), Reason.HELD_OUT)
    # Validation asks how well conversations go, so it holds documents only for want of any.
    share = 0 if talks.live.any() else policy.validation_share
    texts = _passages(documents, policy, refused, share, passage_clusters)
    pools = [talks, texts]

    contaminated = _drop_overlaps(pools, list(eval_rows), benchmarks or {}, policy)
    older = _drop_unreplayed(pools, policy)
    _drop_over_user_share(talks, policy)
    _drop_over_weight(pools, policy)

    table = pa.concat_tables([corpus_table(p, o) for p, o in zip(pools, older, strict=True)])
    documents_in = len(set(texts.table["source_id"].to_pylist()))
    return Corpus(table, training_counts(pools, table, documents_in, contaminated))


def _judge(
    logs: Rows,
    examples: Rows,
    consent: Mapping[str, str],
    policy: Policy,
    refused: Mapping[str, str],
    clusters: Clusters | None,
    ignored_raters: Collection[str],
) -> Pool:
    """All interactions and examples, with group, side and the reason that drops them."""
    log_batches = _batches(logs, log_batch)
    pool = Pool(log_batches + [timed(b, log_batches) for b in _batches(examples, example_batch)])
    _check_permission(pool, consent)
    pool.refuse(refused)
    _check_feedback(pool, policy, ignored_raters)
    _check_length(pool, policy)
    if clusters is None:
        prints = [batch.prints for batch in pool.batches]
        clusters = find_clusters(prints, NONE, policy.near_duplicate_threshold)
    pool.group = groups(pool.texts("user"), pool.texts("conversation"), pool.keys)
    pool.side = sides(pool.group, policy.held_out_share, policy.validation_share, policy.salt)
    _keep_one_of_each(pool, clusters)
    return pool


def _batches(rows: Rows, make: Callable[[pa.Table], Batch]) -> list[Batch]:
    batches = [row for row in rows if isinstance(row, Batch)]
    plain = [dict(row) for row in rows if not isinstance(row, Batch)]
    return [*batches, make(pa.Table.from_pylist(plain))] if plain else batches


def _check_permission(pool: Pool, consent: Mapping[str, str]) -> None:
    states = {user: Consent(state) for user, state in consent.items()}
    users = pd.Series(pool.texts("user")).map(states)
    # Annotations and corrections of no event belong to nobody; a correction whose event is gone has
    # no known user.
    asked = (pool.texts("kind") == "log") | (pool.texts("event_id") != "")
    pool.drop(asked & (users == Consent.ERASED).to_numpy(), Reason.ERASURE_REQUESTED)
    pool.drop(asked & (users != Consent.GRANTED).to_numpy(), Reason.NO_CONSENT)


def _check_feedback(pool: Pool, policy: Policy, ignored_raters: Collection[str]) -> None:
    kinds, events = pool.texts("kind"), pool.texts("event_id")
    is_log = kinds == "log"
    fixed = set(events[kinds == "correction"].tolist()) - {""}
    pool.drop(
        is_log & np.array([event in fixed for event in events], bool),
        Reason.SUPERSEDED_BY_CORRECTION,
    )
    # Otherwise the complaint is about the response that the user replaced.
    judged = is_log & ~pool.numbers(pc.fill_null(pool.table["corrected"], False))
    rating = pool.numbers(pc.fill_null(pool.table["rating"], policy.rating_floor))
    regenerated = pool.numbers(pc.fill_null(pool.table["regenerated"], False))
    voted = judged & ~np.isin(pool.texts("user").astype(str), list(ignored_raters))
    pool.drop(voted & (pool.texts("thumb") == "down"), Reason.THUMBS_DOWN)
    pool.drop(voted & (rating < policy.rating_floor), Reason.LOW_RATING)
    pool.drop(judged & regenerated, Reason.REGENERATED)


def _check_length(pool: Pool, policy: Policy) -> None:
    for name in ("prompt", "response"):
        stripped = pc.utf8_length(pc.utf8_trim_whitespace(pool.table[name]))
        pool.drop(pool.numbers(stripped) < policy.min_chars, Reason.EMPTY_TEXT)
    pool.drop(pool.chars > policy.max_chars, Reason.TOO_LONG)


def _keep_one_of_each(pool: Pool, clusters: Clusters) -> None:
    """Keep one live row of each cluster: the most trusted, then the oldest of those that may stay.

    A row may stay on the side of its cluster's founder and of its conversation's first row; both
    are looked up among all rows, so that a withdrawn consent moves nobody else.
    """
    places = pool.place_of(clusters.keys)
    founder = np.empty(len(pool), np.int64)
    founder[places] = places[clusters.founders]
    by_time = places  # clusters are kept in order of time and key
    of_cluster = pool.side[founder]
    of_conversation = side_of_earliest(pool.texts("conversation"), by_time, pool.side)
    fits = (pool.side == of_cluster) & (pool.side == of_conversation)

    trust = pd.Series(pool.texts("kind")).map(_TRUST).to_numpy()
    rank = by_time[np.argsort(trust[by_time], kind="stable")]
    rank = rank[pool.live[rank]]
    copies = pd.Series(pool.digests[rank]).duplicated().to_numpy()
    # Rows that fit come first, so the first row of a cluster is the one that stays, if one may.
    order = rank[np.argsort(~fits[rank], kind="stable")]
    first = ~pd.Series(founder[order]).duplicated().to_numpy()
    stays = np.zeros(len(pool), bool)
    stays[order[first]] = True
    exact = np.zeros(len(pool), bool)
    exact[rank[copies]] = True

    pool.drop(~stays & exact, Reason.EXACT_DUPLICATE)
    pool.drop(~stays, Reason.NEAR_DUPLICATE)
    pool.drop(pool.side != of_cluster, Reason.SPLIT_CLUSTER)
    pool.drop(pool.side != of_conversation, Reason.SPLIT_CONVERSATION)


def _own_cases(cases: Sequence[Row], policy: Policy) -> Pool:
    rows = [
        {
            "kind": "own",
            "example_id": case["eval_id"],
            **{name: case[name] for name in ("domain", "prompt", "response")},
            "task": case.get("task"),
        }
        for case in cases
    ]
    pool = Pool(_batches(rows, example_batch))
    _check_length(pool, policy)
    order = np.argsort(pool.keys, kind="stable")
    copies = order[pd.Series(pool.digests[order]).duplicated().to_numpy()]
    which = np.zeros(len(pool), bool)
    which[copies] = True
    pool.drop(which, Reason.EXACT_DUPLICATE)
    return pool


def _passages(
    documents: Rows,
    policy: Policy,
    refused: Mapping[str, str],
    validation_share: float,
    clusters: Clusters | None,
) -> Pool:
    pool = Pool(_batches(documents, lambda rows: passage_batch(rows, policy.passage_chars)))
    pool.drop(~np.isin(pool.texts("access"), policy.document_access), Reason.RESTRICTED_DOCUMENT)
    pool.refuse(refused)
    _check_length(pool, policy)
    pool.group = np.char.add("document:", pool.texts("source_id").astype(str))
    # Documents are not held out: they would only be lost for training.
    pool.side = sides(pool.group, 0, validation_share, policy.salt)
    if clusters is None:
        prints = [batch.prints for batch in pool.batches]
        clusters = find_clusters(prints, NONE, policy.near_duplicate_threshold)
    _keep_one_of_each(pool, clusters)
    return pool


def _drop_overlaps(
    pools: Sequence[Pool],
    eval_rows: Sequence[Row],
    benchmarks: Mapping[str, Fingerprints],
    policy: Policy,
) -> dict[str, int]:
    """Drop what overlaps evaluation rows or benchmarks, then what gives a validation row away."""
    evaluation = fingerprint_pairs(
        [row["row_id"] for row in eval_rows],
        [""] * len(eval_rows),
        [row["prompt"] for row in eval_rows],
        [row["response"] for row in eval_rows],
    )
    threshold = policy.near_duplicate_threshold
    _drop_found(pools, EvalIndex(evaluation, threshold), None, Reason.CONTAMINATED)
    contaminated = {
        name: _drop_found(pools, EvalIndex(prints, threshold), None, Reason.CONTAMINATED_BENCHMARK)
        for name, prints in sorted(benchmarks.items())
    }
    for pool in pools:
        validation = np.flatnonzero(pool.live & (pool.side == SIDES.index(Side.VALIDATION)))
        index = EvalIndex(_prints_of(pool, validation), threshold)
        _drop_found(pools, index, Side.TRAIN, Reason.OVERLAPS_VALIDATION)
    return {name: count for name, count in contaminated.items() if count}


def _drop_found(pools: Sequence[Pool], index: EvalIndex, only: Side | None, reason: Reason) -> int:
    dropped = 0
    for pool in pools:
        asked = pool.live if only is None else pool.live & (pool.side == SIDES.index(only))
        for batch, span in pool.spans():
            found = index.overlaps(batch.prints, asked[span]).found
            pool.reason[span][found] = reason
            dropped += int(found.sum())
    return dropped


def _prints_of(pool: Pool, rows: np.ndarray) -> Fingerprints:
    """Fingerprints of a few rows, made again: cheaper than to pick them out of all."""
    texts = pool.table.select(["prompt", "response"]).take(pa.array(rows))
    return fingerprint_pairs(
        pool.keys[rows].tolist(),
        [""] * len(rows),
        texts["prompt"].to_pylist(),
        texts["response"].to_pylist(),
    )


def _drop_unreplayed(pools: Sequence[Pool], policy: Policy) -> list[np.ndarray]:
    """Which rows are of an older week; those not trained on again are dropped."""
    older = []
    for pool in pools:
        if policy.replay is None:
            older.append(np.zeros(len(pool), bool))
            continue
        old = older_rows(pool.texts("week"), policy.replay)
        share = policy.replay.share_of_older
        out = left_out_of_replay(pool.keys, old & pool.live, share, policy.salt)
        pool.drop(out, Reason.NOT_REPLAYED)
        older.append(old)
    return older


def _drop_over_user_share(pool: Pool, policy: Policy) -> None:
    """Of a user with too many rows keep some, chosen by hash: as the corpus grows, more of them."""
    users = pool.texts("user")
    owned = pool.live & (users != "")
    rows = dict(zip(pool.keys[owned].tolist(), users[owned].tolist(), strict=True))
    beyond = over_user_share(rows, policy.max_user_share, policy.salt)
    pool.refuse(dict.fromkeys(beyond, Reason.OVER_USER_SHARE))


def _drop_over_weight(pools: Sequence[Pool], policy: Policy) -> None:
    """Hold every kind to its weight, and documents to their share of the characters."""
    live = [np.flatnonzero(pool.live) for pool in pools]
    weights = dict(policy.mixture)
    reasons = dict.fromkeys(weights, Reason.OVER_MIXTURE)
    if "document" not in weights and policy.document_share < 1:
        share = policy.document_share
        weights["document"] = share / (1 - share)
        reasons["document"] = Reason.OVER_DOCUMENT_SHARE
    over = over_weight(
        np.concatenate([p.texts("kind")[r] for p, r in zip(pools, live, strict=True)]),
        np.concatenate([p.chars[r] for p, r in zip(pools, live, strict=True)]),
        np.concatenate([p.keys[r] for p, r in zip(pools, live, strict=True)]),
        weights,
        policy.salt,
    )
    begin = 0
    for pool, rows in zip(pools, live, strict=True):
        out = rows[over[begin : begin + len(rows)]]
        begin += len(rows)
        pool.reason[out] = [reasons[kind] for kind in pool.texts("kind")[out].tolist()]
