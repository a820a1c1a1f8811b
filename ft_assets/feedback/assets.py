"""What people made of the answers: signals per week, preference pairs, and the review queue."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg
import pandas as pd

from ft_assets.corpus.anonymize import consent_states
from ft_assets.corpus.screen.from_settings import influence_policy
from ft_assets.corpus.screen.influence import ignored_raters, with_capped_votes
from ft_assets.feedback.review import ReviewPolicy, from_evaluation, to_items
from ft_assets.feedback.review import review_queue as queue_of
from ft_assets.feedback.reviewed import agreement_table, decided_answers
from ft_assets.feedback.signals import preference_pairs as pairs_of
from ft_assets.feedback.signals import signals
from ft_assets.partitions import ALL_WEEKS, domain_weeks, domains, split_key
from ft_assets.publishing import Refs, markdown_table, materialized, newest_ref, one, open_draft
from ft_assets.settings import platform
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.vault.raw_zone import RawZone

SIGNAL_COLUMNS = [
    "event_id",
    "week",
    "user",
    "conversation",
    "model_version",
    "signal",
    "explicit",
    "score",
]
PAIR_COLUMNS = [
    "pair_id",
    "week",
    "prompt",
    "chosen",
    "rejected",
    "origin",
    "event_id",
    "user",
]
QUEUE_COLUMNS = [
    *("event_id", "week", "prompt", "response", "answers", "model_version", "score", "signals"),
    *("origin", "reason", "reasons"),
]
AGREEMENT_COLUMNS = ["reviewers", "both decided", "same", "Cohen's kappa"]
REVIEW = "review.parquet"  # of an eval_report
EVAL_REPORT = dg.AssetKey("eval_report")  # a later stage: looked up, no input of the asset


@dg.asset(
    partitions_def=domain_weeks,
    group_name="feedback",
    kinds={"lakefs", "python"},
    code_version="2",
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def feedback_signals(
    context: dg.AssetExecutionContext, anonymized_logs: Refs, lakefs: LakeFS
) -> dg.MaterializeResult:
    """Explicit and implicit reactions to the answers of one domain and week, as scores."""
    found = {key: _signals(lakefs, anonymized_logs, key) for key in context.partition_keys}
    draft = open_draft(context, lakefs, lakefs.repository, anonymized_logs)
    for key, table in found.items():
        draft.write(_prefix(key), {"rows.parquet": to_parquet(table)})
    draft.commit(f"feedback_signals: {', '.join(found)}"[:200])
    merged = draft.merge()
    refs: dict[str | None, Ref] = {key: merged[_prefix(key)] for key in found}
    facts = {
        key: {
            "dagster/row_count": len(table),
            "signals": markdown_table(
                ["signal", "answers", "mean score"],
                [
                    [name, len(group), f"{group['score'].mean():.2f}"]
                    for name, group in table.groupby("signal")
                ],
            ),
        }
        for key, table in found.items()
    }
    return materialized(context, lakefs, refs, facts)


@dg.asset(
    partitions_def=domains,
    group_name="feedback",
    kinds={"lakefs", "python"},
    code_version="2",
    ins={"anonymized_logs": ALL_WEEKS},
)
def preference_pairs(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    anonymized_examples: Refs,
    raw_users: Refs,
    lakefs: LakeFS,
    raw_zone: RawZone,
    pseudonyms: Pseudonyms,
) -> dg.MaterializeResult:
    """Chosen and rejected answers to the same prompt, of users who consented."""
    domain = context.partition_key
    users = raw_zone.read_rows(lakefs, one(raw_users, "raw_users", domain)).rows
    states = consent_states(users, pseudonyms.of)
    allowed = {user for user, state in states.items() if state == "granted"}
    events = [row for _, ref in sorted(anonymized_logs.items()) for row in lakefs.read_records(ref)]
    examples = lakefs.read_records(one(anonymized_examples, "anonymized_examples", domain))
    reviewed = [row for row in examples if row["kind"] == "correction"]
    limit = platform().screening_of(domain).max_votes
    pairs = pairs_of(events, allowed, limit, reviewed)
    inputs = {
        **anonymized_logs,
        "users": raw_users[domain],
        "examples": anonymized_examples[domain],
    }
    table = pd.DataFrame(pairs, columns=pd.Index(PAIR_COLUMNS))
    return _publish(context, lakefs, inputs, table, "origin")


@dg.asset(
    partitions_def=domains,
    group_name="feedback",
    kinds={"lakefs", "python"},
    code_version="2",
    ins={
        "anonymized_logs": ALL_WEEKS,
        "feedback_signals": ALL_WEEKS,
        "screened_logs": ALL_WEEKS,
    },
)
def review_queue(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    feedback_signals: Refs,
    screened_logs: Refs,
    raw_corrections: Refs,
    lakefs: LakeFS,
    raw_zone: RawZone,
    gateway: GatewayAccess,
) -> dg.MaterializeResult:
    """What a person must see, most pressing first, then the rows that the newest evaluation picked
    out (origin "evaluation"). The gateway's review page gets it; what was decided leaves it."""
    domain = context.partition_key
    settings, screening = platform().review_of(domain), platform().screening_of(domain)
    events, scored, screened = (
        [row for _, ref in sorted(refs.items()) for row in lakefs.read_records(ref)]
        for refs in (anonymized_logs, feedback_signals, screened_logs)
    )
    corrections = raw_zone.read_rows(lakefs, one(raw_corrections, "raw_corrections", domain)).rows
    ignored = ignored_raters(events, influence_policy(screening))
    inputs = {**anonymized_logs, "corrections": raw_corrections[domain]}
    picked = []
    report = newest_ref(context.instance, EVAL_REPORT, domain)
    if report is not None and REVIEW in lakefs.names(report):
        inputs["eval_report"] = report
        picked = lakefs.read_records(report, REVIEW)
    policy = ReviewPolicy(settings.high_stakes, settings.audit_share, settings.max_items)
    verdicts = {row["key"].removeprefix("log:"): row["reason"] for row in screened}
    decided = decided_answers(corrections)
    rows = [
        *queue_of(events, scored, verdicts, decided, policy, ignored),
        *from_evaluation(picked),
    ]
    table = pd.DataFrame(rows, columns=pd.Index(QUEUE_COLUMNS))
    told = {
        "agreement": markdown_table(AGREEMENT_COLUMNS, agreement_table(corrections)),
        "gateway": _hand_over(context, gateway, domain, rows, settings.reviewers),
    }
    return _publish(context, lakefs, inputs, table, "reason", told)


def _hand_over(
    context: dg.AssetExecutionContext,
    gateway: GatewayAccess,
    domain: str,
    rows: list[dict[str, Any]],
    reviewers: int,
) -> str:
    """Give the queue to the review page. A gateway that is down gets the next one."""
    try:
        done = gateway.client().put_review(domain, to_items(rows), reviewers)
    except ConnectionError as error:
        context.log.warning("the review page keeps its earlier queue: %s", error)
        return "not there; its review page keeps the earlier queue"
    return f"{done['open']} to decide"


def _signals(lakefs: LakeFS, logs: Refs, key: str) -> pd.DataFrame:
    events = lakefs.read_records(one(logs, "anonymized_logs", key))
    limit = platform().screening_of(split_key(key)[0]).max_votes
    return pd.DataFrame(signals(with_capped_votes(events, limit)), columns=pd.Index(SIGNAL_COLUMNS))


def _publish(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    inputs: Refs,
    table: pd.DataFrame,
    by: str,
    told: Mapping[str, Any] = MappingProxyType({}),
) -> dg.MaterializeResult:
    asset, domain = context.asset_key.to_user_string(), context.partition_key
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"{asset}/domain={domain}/"
    draft.write(prefix, {"rows.parquet": to_parquet(table)})
    draft.commit(f"{asset}: {domain}, {len(table)} rows")
    ref = draft.merge()[prefix]
    counts = sorted(table[by].value_counts().items())
    facts = {"dagster/row_count": len(table), "rows": markdown_table([by, "rows"], counts), **told}
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


def _prefix(key: str) -> str:
    return "feedback_signals/domain={}/week={}/".format(*split_key(key))
