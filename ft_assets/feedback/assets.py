"""What people made of the answers: signals per week, preference pairs, and the review queue."""

import dagster as dg
import pandas as pd

from ft_assets.corpus.anonymize import consent_states
from ft_assets.corpus.screen.from_settings import influence_policy
from ft_assets.corpus.screen.influence import ignored_raters, with_capped_votes
from ft_assets.feedback.signals import from_evaluation, signals
from ft_assets.feedback.signals import preference_pairs as pairs_of
from ft_assets.feedback.signals import review_queue as queue_of
from ft_assets.partitions import ALL_WEEKS, domain_weeks, domains, split_key
from ft_assets.publishing import Refs, markdown_table, materialized, newest_ref, one, open_draft
from ft_assets.settings import platform
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
    *("event_id", "week", "prompt", "response", "model_version", "score", "signals"),
    *("origin", "reason"),
]
REVIEW = "review.parquet"  # of an eval_report
EVAL_REPORT = dg.AssetKey("eval_report")  # a later stage: looked up, no input of the asset


@dg.asset(
    partitions_def=domain_weeks,
    group_name="feedback",
    kinds={"lakefs", "python"},
    code_version="1",
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
    code_version="1",
    ins={"anonymized_logs": ALL_WEEKS},
)
def preference_pairs(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
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
    limit = platform().screening_of(domain).max_votes
    table = pd.DataFrame(pairs_of(events, allowed, limit), columns=pd.Index(PAIR_COLUMNS))
    return _publish(
        context, lakefs, {**anonymized_logs, "users": raw_users[domain]}, table, "origin"
    )


@dg.asset(
    partitions_def=domains,
    group_name="feedback",
    kinds={"lakefs", "python"},
    code_version="1",
    ins={"anonymized_logs": ALL_WEEKS, "feedback_signals": ALL_WEEKS},
)
def review_queue(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    feedback_signals: Refs,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """What a person should look at: badly received answers that nobody has corrected yet, worst
    first, then the rows that the newest evaluation picked out (origin "evaluation")."""
    domain = context.partition_key
    events = [row for _, ref in sorted(anonymized_logs.items()) for row in lakefs.read_records(ref)]
    scored = [
        row for _, ref in sorted(feedback_signals.items()) for row in lakefs.read_records(ref)
    ]
    ignored = ignored_raters(events, influence_policy(platform().screening_of(domain)))
    inputs, picked = dict(anonymized_logs), []
    report = newest_ref(context.instance, EVAL_REPORT, domain)
    if report is not None and REVIEW in lakefs.names(report):
        inputs["eval_report"] = report
        picked = lakefs.read_records(report, REVIEW)
    rows = [*queue_of(events, scored, ignored), *from_evaluation(picked)]
    table = pd.DataFrame(rows, columns=pd.Index(QUEUE_COLUMNS))
    return _publish(context, lakefs, inputs, table, "reason")


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
) -> dg.MaterializeResult:
    asset, domain = context.asset_key.to_user_string(), context.partition_key
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"{asset}/domain={domain}/"
    draft.write(prefix, {"rows.parquet": to_parquet(table)})
    draft.commit(f"{asset}: {domain}, {len(table)} rows")
    ref = draft.merge()[prefix]
    counts = sorted(table[by].value_counts().items())
    facts = {"dagster/row_count": len(table), "rows": markdown_table([by, "rows"], counts)}
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


def _prefix(key: str) -> str:
    return "feedback_signals/domain={}/week={}/".format(*split_key(key))
