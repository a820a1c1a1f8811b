"""From raw rows to a training corpus and an evaluation set, without personal data."""

import glob
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
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
from ft_assets.corpus.benchmarks import benchmark_prints
from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.composed import Counts, Reason
from ft_assets.corpus.dedup_assets import read_batches, read_clusters, read_passages
from ft_assets.corpus.fingerprints import Fingerprints
from ft_assets.corpus.mixture import Replay
from ft_assets.corpus.operators import DomainOperators
from ft_assets.corpus.screen_assets import RATERS, refused_keys
from ft_assets.corpus.surrogates import Surrogates
from ft_assets.corpus.tagger_assets import detector_of, with_tagger
from ft_assets.expectations.checks import expectation_checks, guarded
from ft_assets.expectations.derived import Given
from ft_assets.partitions import ALL_WEEKS, domain_weeks, domains, split_key
from ft_assets.publishing import (
    Refs,
    count_metadata,
    counted,
    counts_table,
    markdown_table,
    materialized,
    one,
    open_draft,
    share,
)
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.vault.raw_zone import RawZone

DUPLICATES = (Reason.EXACT_DUPLICATE, Reason.NEAR_DUPLICATE)


@dg.asset(
    partitions_def=domain_weeks,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="2",
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=expectation_checks("anonymized_logs"),
)
def anonymized_logs(
    context: dg.AssetExecutionContext,
    raw_logs: Refs,
    pii_tagger: Ref | None,
    lakefs: LakeFS,
    raw_zone: RawZone,
    pseudonyms: Pseudonyms,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Cleaned events with identifiers replaced by placeholders, users by pseudonyms."""
    done, detector = {}, detector_of(lakefs, pii_tagger)
    for key in context.partition_keys:
        raw = raw_zone.read_rows(lakefs, one(raw_logs, "raw_logs", key))
        operators = _operators(split_key(key)[0], raw_zone)
        result = anonymize_logs(raw.rows, pseudonyms.of, detector, operators)
        done[key] = result.without_erased(raw.erased)
        raw_zone.keep_originals(result.originals)
    inputs = with_tagger(raw_logs, pii_tagger)
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    tables = {key: pd.DataFrame(result.rows) for key, result in done.items()}
    for key, table in tables.items():
        draft.write(_log_prefix(key), {"rows.parquet": to_parquet(table)})
    message = f"anonymized_logs: {', '.join(done)}"[:200]
    merged = yield from guarded(context, lakefs, draft, tables, message)
    refs: dict[str | None, Ref] = {key: merged.refs[_log_prefix(key)] for key in done}
    facts = {
        key: _anonymized_facts(result, split_key(key)[0]) | merged.facts[key]
        for key, result in done.items()
    }
    yield materialized(context, lakefs, refs, facts)


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    check_specs=expectation_checks("anonymized_documents"),
)
def anonymized_documents(
    context: dg.AssetExecutionContext,
    raw_documents: Refs,
    pii_tagger: Ref | None,
    lakefs: LakeFS,
    raw_zone: RawZone,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Documents, cleaned and with identifiers replaced by placeholders."""
    domain = context.partition_key
    raw = raw_zone.read_rows(lakefs, one(raw_documents, "raw_documents", domain))
    detector = detector_of(lakefs, pii_tagger)
    result = anonymize_documents(raw.rows, detector, _operators(domain, raw_zone))
    result = result.without_erased(raw.erased)
    raw_zone.keep_originals(result.originals)
    yield from _publish_anonymized(context, lakefs, with_tagger(raw_documents, pii_tagger), result)


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
    pii_tagger: Ref | None,
    lakefs: LakeFS,
    raw_zone: RawZone,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Annotated pairs and approved corrections, cleaned and with identifiers replaced."""
    domain = context.partition_key
    annotations = raw_zone.read_rows(lakefs, one(raw_annotations, "raw_annotations", domain))
    corrections = raw_zone.read_rows(lakefs, one(raw_corrections, "raw_corrections", domain))
    operators = _operators(domain, raw_zone)
    result = anonymize_examples(
        annotations.rows, corrections.rows, detector_of(lakefs, pii_tagger), operators
    )
    result = result.without_erased(annotations.erased + corrections.erased)
    raw_zone.keep_originals(result.originals)
    inputs = {
        "raw_annotations": raw_annotations[domain],
        "raw_corrections": raw_corrections[domain],
    }
    yield from _publish_anonymized(context, lakefs, with_tagger(inputs, pii_tagger), result)


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="1",
    ins={"log_signatures": ALL_WEEKS, "screened_logs": ALL_WEEKS},
    check_specs=expectation_checks("eval_set"),
)
def eval_set(
    context: dg.AssetExecutionContext,
    log_signatures: Refs,
    screened_logs: Refs,
    anonymized_examples: Refs,
    screened_texts: Refs,
    duplicate_clusters: Refs,
    influence_report: Refs,
    raw_users: Refs,
    raw_eval_cases: Refs,
    pii_tagger: Ref | None,
    lakefs: LakeFS,
    raw_zone: RawZone,
    pseudonyms: Pseudonyms,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """The domain's own test cases and the held-out rows; never part of the training corpus."""
    domain = context.partition_key
    cases = raw_zone.read_rows(lakefs, one(raw_eval_cases, "raw_eval_cases", domain))
    detector = detector_of(lakefs, pii_tagger)
    own = anonymize_cases(cases.rows, detector, _operators(domain, raw_zone))
    own = own.without_erased(cases.erased)
    raw_zone.keep_originals(own.originals)
    logs, examples = read_batches(lakefs, domain, log_signatures, anonymized_examples)
    verdicts = [
        *(ref for _, ref in sorted(screened_logs.items())),
        one(screened_texts, "screened_texts", domain),
        one(influence_report, "influence_report", domain),
    ]
    chosen = compose_eval(
        own.rows,
        examples,
        logs,
        _consent(lakefs, raw_zone, domain, raw_users, pseudonyms),
        _policy(domain),
        refused=refused_keys(map(lakefs.read_records, verdicts)),
        clusters=read_clusters(lakefs, duplicate_clusters, domain),
        ignored_raters=_ignored_raters(lakefs, verdicts[-1]),
    )

    table = chosen.table.to_pandas()
    inputs = {
        **_prefixed("log_signatures/", log_signatures),
        **_prefixed("screened_logs/", screened_logs),
        "duplicate_clusters": duplicate_clusters[domain],
        "screened_texts": screened_texts[domain],
        "influence_report": influence_report[domain],
        "examples": anonymized_examples[domain],
        "users": raw_users[domain],
        "cases": raw_eval_cases[domain],
    }
    draft = open_draft(context, lakefs, lakefs.repository, with_tagger(inputs, pii_tagger))
    prefix = f"eval_set/domain={domain}/"
    draft.write(prefix, {"rows.parquet": to_parquet(table)})
    message = f"eval_set: {domain}, {len(table)} rows"
    merged = yield from guarded(context, lakefs, draft, {domain: table}, message)
    counts = chosen.counts
    facts = {
        **count_metadata(
            counts.rows_in + sum(own.dropped.values()),
            counts.rows_out,
            0,
            {**counts.dropped, **_prefixed("own_case_", own.dropped)},
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
    ins={"log_signatures": ALL_WEEKS, "screened_logs": ALL_WEEKS},
    check_specs=expectation_checks("training_corpus"),
)
def training_corpus(
    context: dg.AssetExecutionContext,
    log_signatures: Refs,
    screened_logs: Refs,
    anonymized_examples: Refs,
    passage_signatures: Refs,
    screened_texts: Refs,
    duplicate_clusters: Refs,
    influence_report: Refs,
    raw_users: Refs,
    eval_set: Refs,
    lakefs: LakeFS,
    raw_zone: RawZone,
    pseudonyms: Pseudonyms,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """What the adapter learns from: consented, filtered, deduplicated, split, in chat form."""
    domain = context.partition_key
    logs, examples = read_batches(lakefs, domain, log_signatures, anonymized_examples)
    verdicts = [
        *(ref for _, ref in sorted(screened_logs.items())),
        one(screened_texts, "screened_texts", domain),
        one(influence_report, "influence_report", domain),
    ]
    passages, passage_clusters = read_passages(lakefs, passage_signatures, domain)
    evaluation = lakefs.read_records(one(eval_set, "eval_set", domain))
    corpus = compose_training(
        logs,
        examples,
        passages,
        _consent(lakefs, raw_zone, domain, raw_users, pseudonyms),
        evaluation,
        _policy(domain),
        refused=refused_keys(map(lakefs.read_records, verdicts)),
        clusters=read_clusters(lakefs, duplicate_clusters, domain),
        passage_clusters=passage_clusters,
        benchmarks=_benchmarks(),
        ignored_raters=_ignored_raters(lakefs, verdicts[-1]),
    )

    table = corpus.table.to_pandas()
    inputs = {
        **_prefixed("log_signatures/", log_signatures),
        **_prefixed("screened_logs/", screened_logs),
        "duplicate_clusters": duplicate_clusters[domain],
        "screened_texts": screened_texts[domain],
        "influence_report": influence_report[domain],
        "examples": anonymized_examples[domain],
        "passages": passage_signatures[domain],
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
        "weeks": dg.MetadataValue.json(_weeks(log_signatures)),
        **merged.facts[domain],
    }
    yield materialized(context, lakefs, {domain: merged.refs[prefix]}, {domain: facts})


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
    facts = _anonymized_facts(result, domain) | merged.facts[domain]
    yield materialized(context, lakefs, {domain: merged.refs[prefix]}, {domain: facts})


def _operators(domain: str, raw_zone: RawZone) -> DomainOperators:
    by_type = platform().operators_of(domain)
    keyed = any(operator.keyed for operator in by_type.values())
    return DomainOperators(by_type, Surrogates(raw_zone.surrogate_key()) if keyed else None)


def _anonymized_facts(result: Anonymized, domain: str) -> dict[str, Any]:
    by_type: Counter[str] = Counter()
    for (kind, _), values in result.masked.items():
        by_type[kind] += values
    operators = sorted((*names, values) for names, values in result.masked.items())
    return {
        **count_metadata(result.rows_in, len(result.rows), 0, result.dropped),
        "identifiers_masked": by_type.total(),
        **counted("identifiers_by_type", "type", by_type),
        "operators": dg.MetadataValue.json(
            {kind: each.model_dump() for kind, each in platform().operators_of(domain).items()}
        ),
        "identifiers_by_operator": markdown_table(["type", "operator", "values"], operators),
        **counted("texts_repaired", "repair", result.fixes),
    }


def _corpus_facts(counts: Counts) -> dict[str, Any]:
    return {
        **count_metadata(counts.rows_in, counts.rows_out, 0, counts.dropped),
        "rows_by_kind": dg.MetadataValue.json(dict(sorted(counts.by_kind.items()))),
        "dropped_by_kind": dg.MetadataValue.json(dict(sorted(counts.dropped_by_kind.items()))),
        **counted("kinds", "kind", counts.by_kind),
        "rows_by_split": counts_table("split", counts.by_split),
        "rows_by_week": counts_table("week", counts.by_week),
        "duplicate_share": share(
            sum(counts.dropped.get(reason, 0) for reason in DUPLICATES), counts.rows_in
        ),
        "contaminated_by_benchmark": counts_table("benchmark", counts.contaminated),
        "rows_of_the_largest_user_or_document": counts.largest_group,
        "replayed_char_share": counts.replayed_char_share,
        "documents_in": counts.documents_in,
        "documents_used": counts.documents_used,
    }


def _ignored_raters(lakefs: LakeFS, influence: Ref) -> frozenset[str]:
    return frozenset(row["user"] for row in lakefs.read_records(influence, RATERS))


def _benchmarks() -> dict[str, Fingerprints]:
    settings = platform()
    return {
        name: benchmark_prints(
            name,
            [
                Path(file)
                for pattern in found.files
                for file in glob.glob(settings.path(pattern), recursive=True)
            ],
            found.prompt,
            found.response,
        )
        for name, found in settings.corpus.benchmarks.items()
    }


def _consent(
    lakefs: LakeFS, raw_zone: RawZone, domain: str, users: Refs, pseudonyms: Pseudonyms
) -> dict[str, str]:
    """A user whose row was erased is not listed, and so has given no consent."""
    rows = raw_zone.read_rows(lakefs, one(users, "raw_users", domain)).rows
    return consent_states(rows, pseudonyms.of)


def _policy(domain: str) -> Policy:
    settings = platform().corpus
    return Policy(
        max_user_share=platform().screening_of(domain).max_user_share,
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


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in values.items()}
