"""Verdicts on rows: which ones no corpus should learn from, by row, by week and over all weeks."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from ft_assets.corpus.screen.domains import DomainProfiles
from ft_assets.corpus.screen.from_settings import influence_policy, screen_policy
from ft_assets.corpus.screen.influence import UserInfluence, influence
from ft_assets.corpus.screen.language_mix import language_mix_svg
from ft_assets.corpus.screen.profile_texts import profile_texts
from ft_assets.corpus.screen.reasons import Verdict
from ft_assets.corpus.screen.screening import screen, screen_documents
from ft_assets.partitions import ALL_WEEKS, domain_weeks, domains, split_key
from ft_assets.publishing import (
    Refs,
    combined,
    count_metadata,
    markdown_table,
    materialized,
    one,
    open_draft,
    picture,
)
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref

VERDICT_COLUMNS = ["key", "reason", "language", "scores"]
PROFILES = "profiles.bin"
RATERS = "raters.parquet"
PROFILED = "profiled"  # of screened_logs: whether rows of another domain were looked for


@dg.asset(
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
)
def domain_profiles(
    context: dg.AssetExecutionContext,
    anonymized_documents: Refs,
    anonymized_examples: Refs,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """Word statistics of every domain's static text, by which a row of another domain is told."""
    texts = {
        domain: profile_texts(
            lakefs.read_records(anonymized_documents[domain])
            if domain in anonymized_documents
            else [],
            lakefs.read_records(anonymized_examples[domain])
            if domain in anonymized_examples
            else [],
        )
        for domain in sorted({*anonymized_documents, *anonymized_examples})
    }
    profiles = DomainProfiles.fit(texts)
    inputs = {f"documents/{key}": ref for key, ref in anonymized_documents.items()}
    inputs |= {f"examples/{key}": ref for key, ref in anonymized_examples.items()}
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    draft.write("domain_profiles/", {PROFILES: profiles.to_bytes()})
    draft.commit(f"domain_profiles: {', '.join(profiles.domains)}"[:200])
    ref = draft.merge()["domain_profiles/"]
    margins = dict(zip(profiles.domains, profiles.margins, strict=True))
    facts = {
        "domains": dg.MetadataValue.json(list(profiles.domains)),
        "inputs": profile_inputs(anonymized_documents, anonymized_examples),
        "profiles": markdown_table(
            ["domain", "texts", "margin"],
            [[name, len(texts[name]), f"{margins[name]:.2f}"] for name in profiles.domains],
        ),
    }
    return materialized(context, lakefs, {None: ref}, {None: facts})


@dg.asset(
    partitions_def=domain_weeks,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def screened_logs(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    domain_profiles: Ref | None,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """A verdict per event of one domain and week: why it is not learned from, or that it may be."""
    profiles = (
        DomainProfiles.from_bytes(lakefs.read(domain_profiles, PROFILES))
        if domain_profiles
        else None
    )
    done = {
        key: _screened(
            lakefs.read_records(one(anonymized_logs, "anonymized_logs", key)), key, profiles
        )
        for key in context.partition_keys
    }
    inputs = dict(anonymized_logs)
    if domain_profiles:
        inputs["domain_profiles"] = domain_profiles
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    for key, verdicts in done.items():
        draft.write(_log_prefix(key), {"rows.parquet": to_parquet(_table(verdicts))})
    draft.commit(f"screened_logs: {', '.join(done)}"[:200])
    merged = draft.merge()
    refs: dict[str | None, Ref] = {key: merged[_log_prefix(key)] for key in done}
    facts = {
        key: {**_facts(verdicts.values()), PROFILED: _covers(profiles, split_key(key)[0])}
        for key, verdicts in done.items()
    }
    return materialized(context, lakefs, refs, facts)


@dg.asset(partitions_def=domains, group_name="corpus", kinds={"lakefs", "python"}, code_version="1")
def screened_texts(
    context: dg.AssetExecutionContext,
    anonymized_documents: Refs,
    anonymized_examples: Refs,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """A verdict per passage of a document and per example of one domain."""
    domain = context.partition_key
    policy = screen_policy(platform().screening_of(domain))
    documents = one(anonymized_documents, "anonymized_documents", domain)
    examples = one(anonymized_examples, "anonymized_examples", domain)
    rows = lakefs.read_records(examples)
    verdicts = screen_documents(lakefs.read_records(documents), policy) | {
        f"{row['kind']}:{row['example_id']}": verdict
        for row, verdict in zip(rows, screen(rows, policy), strict=True)
    }
    inputs = {"anonymized_documents": documents, "anonymized_examples": examples}
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"screened_texts/domain={domain}/"
    draft.write(prefix, {"rows.parquet": to_parquet(_table(verdicts))})
    draft.commit(f"screened_texts: {domain}, {len(verdicts)} rows")
    ref = draft.merge()[prefix]
    return materialized(context, lakefs, {domain: ref}, {domain: _facts(verdicts.values())})


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    ins={"anonymized_logs": ALL_WEEKS},
)
def influence_report(
    context: dg.AssetExecutionContext, anonymized_logs: Refs, lakefs: LakeFS
) -> dg.MaterializeResult:
    """Over all weeks: whose votes are ignored, which answers are pushed, who weighs how much."""
    domain = context.partition_key
    events = [row for _, ref in sorted(anonymized_logs.items()) for row in lakefs.read_records(ref)]
    found = influence(events, influence_policy(platform().screening_of(domain)))
    draft = open_draft(context, lakefs, lakefs.repository, anonymized_logs)
    prefix = f"influence_report/domain={domain}/"
    verdicts = {f"log:{event}": Verdict(why, "") for event, why in found.refused.items()}
    raters = pd.DataFrame(
        sorted(found.ignored_raters.items()), columns=pd.Index(["user", "finding"])
    )
    draft.write(
        prefix,
        {"rows.parquet": to_parquet(_table(verdicts)), RATERS: to_parquet(raters)},
    )
    draft.commit(f"influence_report: {domain}, {len(found.refused)} events refused")
    ref = draft.merge()[prefix]
    facts = {
        **count_metadata(
            len(events), len(events) - len(verdicts), 0, Counter(map(str, found.refused.values()))
        ),
        "users": found.users,
        "effective_users": round(found.effective_users, 1),
        "ignored_raters": len(found.ignored_raters),
        "top_users": markdown_table(
            ["user", "rows", "share", "votes", "up", "finding"], map(_top_line, found.top)
        ),
    }
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


def profile_inputs(documents: Refs, examples: Refs) -> str:
    """Digest of the texts that profiles are made of, by their refs."""
    return combined(
        [
            f"{kind}/{d}/{refs[d].digest}"
            for kind, refs in (("documents", documents), ("examples", examples))
            for d in sorted(refs)
        ]
    )


def _covers(profiles: DomainProfiles | None, domain: str) -> bool:
    """Whether rows of the domain could be told from those of another one."""
    return profiles is not None and len(profiles.domains) > 1 and domain in profiles.domains


def refused_keys(tables: Iterable[list[dict]]) -> dict[str, str]:
    """Row keys with their reason, from the tables of screened and influence assets; first wins."""
    refused: dict[str, str] = {}
    for rows in tables:
        for row in rows:
            if row["reason"]:
                refused.setdefault(row["key"], row["reason"])
    return refused


def _screened(rows: list[dict], key: str, profiles: DomainProfiles | None) -> dict[str, Verdict]:
    policy = screen_policy(platform().screening_of(split_key(key)[0]))
    verdicts = screen(rows, policy, profiles)
    return {f"log:{r['event_id']}": v for r, v in zip(rows, verdicts, strict=True)}


def _table(verdicts: Mapping[str, Verdict]) -> pd.DataFrame:
    rows = [
        [key, v.reason, v.language, json.dumps(v.scores, sort_keys=True)]
        for key, v in sorted(verdicts.items())
    ]
    return pd.DataFrame(rows, columns=pd.Index(VERDICT_COLUMNS))


def _facts(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    found = list(verdicts)
    reasons = Counter(str(verdict.reason) for verdict in found if verdict.reason)
    languages = Counter(verdict.language for verdict in found)
    mix = sorted(languages.items(), key=lambda item: (-item[1], item[0]))
    return {
        **count_metadata(len(found), len(found) - reasons.total(), 0, reasons),
        "languages": markdown_table(
            ["language", "rows", "share"],
            [[name, rows, f"{rows / len(found):.1%}"] for name, rows in mix],
        ),
        "language_mix": picture(language_mix_svg(languages), "share of rows by language"),
    }


def _top_line(user: UserInfluence) -> list[object]:
    up = "" if user.up_share is None else f"{user.up_share:.0%}"
    return [user.user[:12], user.rows, f"{user.share:.1%}", user.votes, up, user.finding]


def _log_prefix(key: str) -> str:
    return "screened_logs/domain={}/week={}/".format(*split_key(key))
