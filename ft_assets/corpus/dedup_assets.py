"""What is kept so that a new week costs a week: fingerprints per week, clusters over all weeks."""

import io
from collections import Counter
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ft_assets.corpus.chunk import PASSAGE_CHARS
from ft_assets.corpus.dedup import NONE, ROLES, Clusters, Role, find_clusters
from ft_assets.corpus.pool import (
    Batch,
    batch_files,
    batch_from,
    example_batch,
    log_batch,
    passage_batch,
    timed,
)
from ft_assets.partitions import ALL_WEEKS, domain_weeks, domains, split_key
from ft_assets.publishing import Refs, markdown_table, materialized, newest_ref, one, open_draft
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref

CLUSTERS_FILE = "rows.parquet"


@dg.asset(
    partitions_def=domain_weeks,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="2",
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def log_signatures(
    context: dg.AssetExecutionContext, anonymized_logs: Refs, lakefs: LakeFS
) -> dg.MaterializeResult:
    """What duplicates and contamination are found by, made once per row of a week."""
    draft = open_draft(context, lakefs, lakefs.repository, anonymized_logs)
    facts: dict[str | None, dict[str, Any]] = {}
    for key in context.partition_keys:
        logs = read_arrow(lakefs, one(anonymized_logs, "anonymized_logs", key))
        batch = log_batch(logs)
        files = batch_files(batch)
        draft.write(_signature_prefix(key), files)
        facts[key] = {
            "dagster/row_count": len(batch.prints),
            "kept": markdown_table(["file", "bytes"], [[n, len(b)] for n, b in files.items()]),
        }
    draft.commit(f"log_signatures: {', '.join(context.partition_keys)}"[:200])
    merged = draft.merge()
    refs: dict[str | None, Ref] = {key: merged[_signature_prefix(str(key))] for key in facts}
    return materialized(context, lakefs, refs, facts)


@dg.asset(partitions_def=domains, group_name="corpus", kinds={"lakefs", "python"}, code_version="2")
def passage_signatures(
    context: dg.AssetExecutionContext, anonymized_documents: Refs, lakefs: LakeFS
) -> dg.MaterializeResult:
    """The passages that documents are cut into, with fingerprints and clusters."""
    domain = context.partition_key
    documents = read_arrow(lakefs, one(anonymized_documents, "anonymized_documents", domain))
    batch = passage_batch(documents, PASSAGE_CHARS)
    clusters = find_clusters([batch.prints])
    draft = open_draft(context, lakefs, lakefs.repository, anonymized_documents)
    prefix = f"passage_signatures/domain={domain}/"
    draft.write(prefix, batch_files(batch) | {CLUSTERS_FILE: _parquet(clusters)})
    draft.commit(f"passage_signatures: {domain}, {len(clusters)} passages")
    return materialized(
        context, lakefs, {domain: draft.merge()[prefix]}, {domain: _facts(clusters, [batch])}
    )


@dg.asset(
    partitions_def=domains,
    group_name="corpus",
    kinds={"lakefs", "python"},
    code_version="3",
    ins={"log_signatures": ALL_WEEKS},
)
def duplicate_clusters(
    context: dg.AssetExecutionContext,
    log_signatures: Refs,
    anonymized_examples: Refs,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """Which interactions and examples say the same thing, over all weeks.

    The clusters of the last materialization are taken over as far as the rows are the same.
    """
    domain = context.partition_key
    logs, examples = read_batches(lakefs, domain, log_signatures, anonymized_examples)
    newest = newest_ref(context.instance, context.asset_key, domain)
    known = _clusters_in(lakefs, newest) if newest else NONE
    batches = [*logs, *examples]
    clusters = find_clusters([batch.prints for batch in batches], known)

    draft = open_draft(
        context,
        lakefs,
        lakefs.repository,
        {**log_signatures, "examples": anonymized_examples[domain]},
    )
    prefix = f"duplicate_clusters/domain={domain}/"
    draft.write(prefix, {CLUSTERS_FILE: _parquet(clusters)})
    draft.commit(f"duplicate_clusters: {domain}, {len(clusters)} rows")
    return materialized(
        context, lakefs, {domain: draft.merge()[prefix]}, {domain: _facts(clusters, batches)}
    )


def read_batches(
    lakefs: LakeFS, domain: str, signatures: Refs, examples: Refs
) -> tuple[list[Batch], list[Batch]]:
    """The logs of all weeks as they are kept, and the examples with owners and times of these."""
    weeks = [batch_from(partial(lakefs.read, ref)) for _, ref in sorted(signatures.items())]
    pairs = read_arrow(lakefs, one(examples, "anonymized_examples", domain))
    return weeks, [timed(example_batch(pairs), weeks)]


def read_passages(lakefs: LakeFS, passages: Refs, domain: str) -> tuple[list[Batch], Clusters]:
    """The passages of a domain's documents and which of them say the same thing."""
    ref = one(passages, "passage_signatures", domain)
    return [batch_from(partial(lakefs.read, ref))], _clusters_in(lakefs, ref)


def read_clusters(lakefs: LakeFS, clusters: Refs, domain: str) -> Clusters:
    return _clusters_in(lakefs, one(clusters, "duplicate_clusters", domain))


def read_arrow(lakefs: LakeFS, ref: Ref, name: str = "rows.parquet") -> pa.Table:
    return pq.read_table(io.BytesIO(lakefs.read(ref, name)))


def _clusters_in(lakefs: LakeFS, ref: Ref) -> Clusters:
    return Clusters.from_table(read_arrow(lakefs, ref, CLUSTERS_FILE))


def _parquet(clusters: Clusters) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(clusters.to_table(), buffer, compression="zstd")
    return buffer.getvalue()


def _signature_prefix(key: str) -> str:
    return "log_signatures/domain={}/week={}/".format(*split_key(key))


def _facts(clusters: Clusters, batches: list[Batch]) -> dict[str, Any]:
    sizes = Counter(clusters.sizes().tolist())
    copies = int(np.count_nonzero(clusters.roles != ROLES.index(Role.REPRESENTATIVE)))
    index = sum(b.prints.bands.nbytes + b.prints.keys.nbytes for b in batches)
    roles = Counter(clusters.roles.tolist())
    return {
        "dagster/row_count": len(clusters),
        "duplicate_share": round(copies / max(len(clusters), 1), 4),
        "rows_by_role": markdown_table(
            ["role", "rows"], [[role, roles[place]] for place, role in enumerate(ROLES)]
        ),
        "cluster_sizes": markdown_table(["rows in a cluster", "clusters"], sorted(sizes.items())),
        "index_bytes": index,
    }
