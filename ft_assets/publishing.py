"""How every asset reaches main: open a draft, write, commit, check, merge, and say so in the UI.

Refs travel in materialization metadata, under "ref"; RefIOManager reads them back from there, so an
asset's arguments are refs and no pickle is ever written.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from ft_assets.bar_chart import bar_chart
from ft_assets.settings import platform
from ft_resources.lakefs.client import Draft, LakeFS
from ft_resources.lakefs.ref import Ref

REF = "ref"

Refs = dict[str, Ref]  # by partition key


class RefIOManager(dg.ConfigurableIOManager):
    """Loads upstream refs from the event log; stores nothing."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Nothing to store: the asset has put its ref into the metadata."""

    def load_input(self, context: dg.InputContext) -> Refs | Ref | None:
        """Refs by partition key (only of materialized partitions), or one ref, or None."""
        instance = context.step_context.instance
        if not context.has_asset_partitions:
            return newest_ref(instance, context.asset_key, None)
        found = {
            key: newest_ref(instance, context.asset_key, key)
            for key in sorted(context.asset_partition_keys)
        }
        return {key: ref for key, ref in found.items() if ref}


def newest(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None
) -> dg.AssetMaterialization | None:
    """The newest materialization event of an asset or of one partition of it."""
    selected = asset
    if partition is not None:
        selected = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[partition])
    records = instance.fetch_materializations(selected, limit=1).records
    return records[0].asset_materialization if records else None


def newest_ref(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None
) -> Ref | None:
    event = newest(instance, asset, partition)
    return ref_of(event) if event else None


def ref_of(event: dg.AssetMaterialization) -> Ref:
    """Raises KeyError when the event was not written by this platform."""
    return Ref(**facts_of(event)[REF])


def facts_of(event: dg.AssetMaterialization | None) -> dict[str, Any]:
    """The plain values of an event's metadata; none for no event."""
    return {name: value.value for name, value in event.metadata.items()} if event else {}


def one(refs: Refs, asset: str, partition: str) -> Ref:
    """The ref of a partition. Raises dg.Failure when it was never materialized."""
    if partition not in refs:
        raise dg.Failure(
            f"{asset}[{partition}] is not there yet; materialize it first", allow_retries=False
        )
    return refs[partition]


def open_draft(
    context: dg.AssetExecutionContext, lakefs: LakeFS, repository: str, inputs: Mapping[str, Ref]
) -> Draft:
    """A branch of its own for this materialization, with its lineage as commit metadata."""
    asset = context.asset_key.to_user_string()
    partitioned = context.has_partition_key or context.has_partition_key_range
    keys = list(context.partition_keys) if partitioned else []
    partition = f"{keys[0]}..{keys[-1]}" if len(keys) > 1 else "".join(keys)
    spec = context.assets_def.specs_by_key[context.asset_key]
    metadata = {
        "run_id": context.run.run_id,
        "asset": asset,
        "partition": partition,
        "code_version": spec.code_version or "",
        "inputs": json.dumps({name: ref.uri for name, ref in sorted(inputs.items())}),
        "::lakefs::Dagster::url[url:ui]": (
            f"{platform().services.dagster.url}/runs/{context.run.run_id}"
        ),
    }
    branch = f"run-{context.run.run_id[:8]}-{asset}-{partition}"[:120].rstrip("-.")
    attempt = context.retry_number
    return lakefs.draft(repository, branch + (f"-retry{attempt}" if attempt else ""), metadata)


def ref_metadata(lakefs: LakeFS, ref: Ref) -> dict[str, dg.MetadataValue]:
    """What every materialization shows of its data."""
    return {
        REF: dg.MetadataValue.json(ref.to_dict()),
        "lakefs_uri": dg.MetadataValue.text(ref.uri),
        "lakefs_commit": dg.MetadataValue.url(lakefs.commit_url(ref)),
        "lakefs_diff": dg.MetadataValue.url(diff_url(lakefs, ref)),
    }


def diff_url(lakefs: LakeFS, ref: Ref) -> str:
    """Where a person sees what the commit of a ref changed against its first parent.

    Both lakeFS's own pages and the embedded ones show it on the page of the commit. Where a
    materialization changed nothing its ref names the commit that was there, of another run perhaps.
    """
    return lakefs.commit_url(ref) + "#changes"


def count_metadata(
    rows_in: int, rows_out: int, quarantined: int, dropped: Mapping[str, int]
) -> dict[str, Any]:
    """The row counts of a stage. Raises ValueError unless every row is accounted for."""
    if rows_in != rows_out + quarantined + sum(dropped.values()):
        raise ValueError(
            f"rows do not add up: {rows_in} in, {rows_out} out, {quarantined} quarantined, "
            f"{sum(dropped.values())} dropped"
        )
    return {
        "rows_in": rows_in,
        "rows_out": rows_out,
        "quarantined": quarantined,
        "dropped": dg.MetadataValue.json(dict(sorted(dropped.items()))),
        "drop_reasons": counts_table("dropped because", dropped),
        "dagster/row_count": rows_out,
    }


def counted(name: str, label: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Metadata of counts by label, such as a language mix: a table, and bars where there are any.

    `label` heads the column of labels; "language_mix" becomes "language_mix" and
    "language_mix_chart".
    """
    shown: dict[str, Any] = {name: counts_table(label, counts)}
    if svg := bar_chart(counts, name.replace("_", " ")):
        shown[f"{name}_chart"] = picture(svg, name.replace("_", " "))
    return shown


def counts_table(label: str, counts: Mapping[str, int]) -> dg.MetadataValue:
    """Largest first, with the share of each and a last line that adds up."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    rows = [[name, f"{count:,}", f"{count / total:.1%}"] for name, count in ordered if count]
    return markdown_table(
        [label, "rows", "share"], [*rows, ["total", f"{total:,}", "100.0%" if total else ""]]
    )


def share(part: int, whole: int) -> float:
    """A share to show, such as that of duplicates: 0 to 1, four digits; 0 of nothing is 0."""
    if not 0 <= part <= whole:
        raise ValueError(f"a share needs 0 <= part <= whole, got {part} of {whole}")
    return round(part / whole, 4) if whole else 0.0


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    lines = [_table_line(header), "|" + "---|" * len(header)]
    lines += [_table_line(row) for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _table_line(cells: Sequence[object]) -> str:
    """A cell must neither end its column nor its line."""
    texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(texts) + " |"


def picture(svg: str, alt: str) -> dg.MetadataValue:
    """An SVG as the UI shows it: a data URI in Markdown."""
    data = base64.b64encode(svg.encode()).decode("ascii")
    return dg.MetadataValue.md(f"![{alt}](data:image/svg+xml;base64,{data})")


def materialized(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    refs: Mapping[str | None, Ref],
    metadata: Mapping[str | None, Mapping[str, Any]],
) -> dg.MaterializeResult:
    """The result of an asset: per partition its ref and facts, data version = content digest.

    Dagster gives one data version to all partitions that one run makes together; for such a run it
    is the digest over their digests, and the exact one of each partition is in its "ref".
    """
    digests = [ref.digest for _, ref in sorted(refs.items(), key=lambda item: item[0] or "")]
    version = digests[0] if len(digests) == 1 else combined(digests)
    shared: dict[str, Any] = {}
    for key, ref in refs.items():
        facts = {**metadata.get(key, {}), **ref_metadata(lakefs, ref)}
        if key is None:
            shared = facts
        else:
            context.add_asset_metadata(facts, partition_key=key)
    return dg.MaterializeResult(value=None, metadata=shared, data_version=dg.DataVersion(version))


def combined(digests: list[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
