"""From raw rows to a training corpus and an evaluation set, without personal data."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from ft_assets.corpus.anonymize import (
    Anonymized,
    anonymize_cases,
    anonymize_documents,
    anonymize_examples,
    anonymize_logs,
    consent_states,
)
from ft_assets.corpus.compose import (
    CorpusRow,
    Counts,
    EvalRow,
    Policy,
    compose_eval,
    compose_training,
)
from ft_assets.corpus.mixture import Replay
from ft_assets.expectations.checks import expectation_checks, guarded
from ft_assets.expectations.derived import Given
from ft_assets.partitions import all_weeks_of_the_domain, domain_weeks, domains, split_key
from ft_assets.publishing import (
    Refs,
    count_metadata,
    counted,
    markdown_table,
    materialized,
    one,
    open_draft,
)
from ft_assets.raw import schema
from ft_assets.raw.intake import take_up
from ft_assets.raw.sources import list_files
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.pseudonyms import Pseudonyms

ALL_WEEKS = dg.AssetIn(partition_mapping=all_weeks_of_the_domain)


@dg.asset(
    partitions_def=domain_weeks,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=expectation_checks("anonymized_logs"),
)
def anonymized_logs(
    context: dg.AssetExecutionContext, raw_logs: Refs, lakefs: LakeFS, pseudonyms: Pseudonyms
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Cleaned events with identifiers replaced by placeholders, users by pseudonyms."""
    done = {
        key: anonymize_logs(lakefs.read_rows(one(raw_logs, "raw_logs", key)), pseudonyms.of)
        for key in context.partition_keys
    }
    draft = open_draft(context, lakefs, lakefs.repository, raw_logs)
    tables = {key: pd.DataFrame(result.rows) for key, result in done.items()}
    for key, table in tables.items():
        draft.write(_log_prefix(key), {"rows.parquet": to_parquet(table)})
    message = f"anonymized_logs: {', '.join(done)}"[:200]
    merged = yield from guarded(context, lakefs, draft, tables, message)
    refs: dict[str | None, Ref] = {key: merged.refs[_log_prefix(key)] for key in done}
    facts = {key: _anonymized_facts(r) | merged.facts[key] for key, r in done.items()}
    yield materialized(context, lakefs, refs, facts)


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    check_specs=expectation_checks("anonymized_documents"),
)
def anonymized_documents(
    context: dg.AssetExecutionContext, raw_documents: Refs, lakefs: LakeFS
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Documents, cleaned and with identifiers replaced by placeholders."""
    domain = context.partition_key
    raw = lakefs.read_rows(one(raw_documents, "raw_documents", domain))
    yield from _publish_anonymized(context, lakefs, raw_documents, anonymize_documents(raw))


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    check_specs=expectation_checks("anonymized_examples"),
)
def anonymized_examples(
    context: dg.AssetExecutionContext,
    raw_annotations: Refs,
    raw_corrections: Refs,
    lakefs: LakeFS,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Annotated pairs and approved corrections, cleaned and with identifiers replaced."""
    domain = context.partition_key
    result = anonymize_examples(
        lakefs.read_rows(one(raw_annotations, "raw_annotations", domain)),
        lakefs.read_rows(one(raw_corrections, "raw_corrections", domain)),
    )
    inputs = {
        "raw_annotations": raw_annotations[domain],
        "raw_corrections": raw_corrections[domain],
    }
    yield from _publish_anonymized(context, lakefs, inputs, result)


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    ins={"anonymized_logs": ALL_WEEKS},
    check_specs=expectation_checks("eval_set"),
)
def eval_set(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    anonymized_examples: Refs,
    raw_users: Refs,
    lakefs: LakeFS,
    pseudonyms: Pseudonyms,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """The domain's own test cases and the held-out rows; never part of the training corpus."""
    domain = context.partition_key
    settings = platform()
    cases = take_up(
        list_files(settings.sources(domain, "eval")),
        schema.EvalCase,
        domain=domain,
        now=datetime.now(UTC),
        unknown_fields="ignore",
    )
    own = anonymize_cases(cases.rows)
    logs, examples = _inputs(lakefs, domain, anonymized_logs, anonymized_examples)
    consent = _consent(lakefs, domain, raw_users, pseudonyms)
    chosen = compose_eval(own.rows, examples, logs, consent, _policy())

    table = pd.DataFrame(chosen.rows, columns=pd.Index(EVAL_COLUMNS))
    inputs = {
        **anonymized_logs,
        "examples": anonymized_examples[domain],
        "users": raw_users[domain],
    }
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"eval_set/domain={domain}/"
    draft.write(prefix, {"rows.parquet": to_parquet(table)})
    message = f"eval_set: {domain}, {len(table)} rows"
    merged = yield from guarded(context, lakefs, draft, {domain: table}, message)
    counts = chosen.counts
    facts = {
        **count_metadata(
            counts.rows_in
            + len(cases.quarantined)
            + sum(cases.dropped.values())
            + sum(own.dropped.values()),
            counts.rows_out,
            len(cases.quarantined),
            {**counts.dropped, **_prefixed("own_case", {**cases.dropped, **own.dropped})},
        ),
        "rows_by_origin": markdown_table(["origin", "rows"], sorted(counts.by_split.items())),
        **merged.facts[domain],
    }
    yield materialized(context, lakefs, {domain: merged.refs[prefix]}, {domain: facts})


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    ins={"anonymized_logs": ALL_WEEKS},
    check_specs=expectation_checks("training_corpus"),
)
def training_corpus(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    anonymized_examples: Refs,
    anonymized_documents: Refs,
    raw_users: Refs,
    eval_set: Refs,
    lakefs: LakeFS,
    pseudonyms: Pseudonyms,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """What the adapter learns from: consented, filtered, deduplicated, split, in chat form."""
    domain = context.partition_key
    logs, examples = _inputs(lakefs, domain, anonymized_logs, anonymized_examples)
    documents = table_rows(lakefs, one(anonymized_documents, "anonymized_documents", domain))
    consent = _consent(lakefs, domain, raw_users, pseudonyms)
    evaluation = table_rows(lakefs, one(eval_set, "eval_set", domain))
    corpus = compose_training(logs, examples, documents, consent, evaluation, _policy())

    table = pd.DataFrame(corpus.rows, columns=pd.Index(CORPUS_COLUMNS))
    inputs = {
        **anonymized_logs,
        "examples": anonymized_examples[domain],
        "documents": anonymized_documents[domain],
        "users": raw_users[domain],
        "eval_set": eval_set[domain],
    }
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"training_corpus/domain={domain}/"
    draft.write(prefix, {"rows.parquet": to_parquet(table)})
    message = f"training_corpus: {domain}, {len(table)} rows"
    given = Given.of(platform().corpus.min_rows, evaluation)
    merged = yield from guarded(context, lakefs, draft, {domain: table}, message, given)
    facts = {
        **_corpus_facts(corpus.counts),
        "weeks": dg.MetadataValue.json(_weeks(anonymized_logs)),
        **merged.facts[domain],
    }
    yield materialized(context, lakefs, {domain: merged.refs[prefix]}, {domain: facts})


CORPUS_COLUMNS = list(CorpusRow.__annotations__)
EVAL_COLUMNS = list(EvalRow.__annotations__)


def _log_prefix(key: str) -> str:
    return "anonymized_logs/domain={}/week={}/".format(*split_key(key))


def _publish_anonymized(
    context: dg.AssetExecutionContext, lakefs: LakeFS, inputs: Refs, result: Anonymized
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    asset, domain = context.asset_key.to_user_string(), context.partition_key
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"{asset}/domain={domain}/"
    table = pd.DataFrame(result.rows)
    draft.write(prefix, {"rows.parquet": to_parquet(table)})
    message = f"{asset}: {domain}, {len(table)} rows"
    merged = yield from guarded(context, lakefs, draft, {domain: table}, message)
    facts = _anonymized_facts(result) | merged.facts[domain]
    yield materialized(context, lakefs, {domain: merged.refs[prefix]}, {domain: facts})


def _anonymized_facts(result: Anonymized) -> dict[str, Any]:
    return {
        **count_metadata(result.rows_in, len(result.rows), 0, result.dropped),
        "identifiers_masked": sum(result.masked.values()),
        **counted("identifiers_by_type", "type", result.masked),
        **counted("texts_repaired", "repair", result.fixes),
    }


def _corpus_facts(counts: Counts) -> dict[str, Any]:
    return {
        **count_metadata(counts.rows_in, counts.rows_out, 0, counts.dropped),
        "rows_by_kind": dg.MetadataValue.json(dict(sorted(counts.by_kind.items()))),
        "dropped_by_kind": dg.MetadataValue.json(dict(sorted(counts.dropped_by_kind.items()))),
        "rows_by_split": markdown_table(["split", "rows"], sorted(counts.by_split.items())),
        "documents_in": counts.documents_in,
        "documents_used": counts.documents_used,
    }


def _inputs(
    lakefs: LakeFS, domain: str, logs: Refs, examples: Refs
) -> tuple[list[dict], list[dict]]:
    events = [row for _, ref in sorted(logs.items()) for row in table_rows(lakefs, ref)]
    return events, table_rows(lakefs, one(examples, "anonymized_examples", domain))


def table_rows(lakefs: LakeFS, ref: Ref) -> list[dict]:
    table = lakefs.read_table(ref)
    # Parquet reads a missing number or text back as NaN; rows know only None.
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _consent(lakefs: LakeFS, domain: str, users: Refs, pseudonyms: Pseudonyms) -> dict[str, str]:
    return consent_states(lakefs.read_rows(one(users, "raw_users", domain)), pseudonyms.of)


def _policy() -> Policy:
    settings = platform().corpus
    return Policy(
        held_out_share=settings.held_out_share,
        validation_share=settings.validation_share,
        document_share=settings.document_share,
        document_access=tuple(settings.document_access),
        rating_floor=settings.rating_floor,
        mixture=dict(settings.mixture),
        replay=Replay(**settings.replay.model_dump()) if settings.replay else None,
        salt=settings.split_salt,
    )


def _weeks(logs: Refs) -> list[str]:
    return sorted(split_key(key)[1] for key in logs)


def _prefixed(prefix: str, counts: dict[str, int]) -> dict[str, int]:
    return {f"{prefix}_{reason}": count for reason, count in counts.items()}
