"""The raw zone: what was delivered, typed. The only assets that hold personal data."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from ft_assets.expectations.checks import expectation_checks, guarded
from ft_assets.lineage import RAW_OF
from ft_assets.partitions import domain_weeks, domains, split_key
from ft_assets.publishing import (
    count_metadata,
    counted,
    markdown_table,
    materialized,
    open_draft,
    share,
)
from ft_assets.raw import schema
from ft_assets.raw.delivery import list_sources
from ft_assets.raw.intake import take_up
from ft_assets.raw.taken import Intake
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.vault.raw_zone import QUARANTINE, ROWS, RawZone, erased_count

Made = Iterator[dg.AssetCheckResult | dg.MaterializeResult]


@dg.asset(
    partitions_def=domain_weeks,
    group_name="raw",
    kinds={"lakefs", "python"},
    code_version="2",
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=expectation_checks("raw_logs"),
)
def raw_logs(context: dg.AssetExecutionContext, lakefs: LakeFS, raw_zone: RawZone) -> Made:
    """Interaction events of one domain and week as delivered; what does not fit is quarantined."""
    wanted: dict[str, list[str]] = {}
    for key in context.partition_keys:
        domain, week = split_key(key)
        wanted.setdefault(domain, []).append(week)
    taken = {
        f"{domain}|{week}": intake
        for domain, weeks in wanted.items()
        for week, intake in _intake_by_week(domain, weeks).items()
    }
    yield from _publish(
        context,
        lakefs,
        raw_zone,
        "logs",
        taken,
        lambda key: "raw_logs/domain={}/week={}/".format(*split_key(key)),
    )


def _intake_by_week(domain: str, weeks: list[str]) -> dict[str, Intake]:
    intake = _take_up(domain, "logs", schema.Interaction, set(weeks))
    return intake.by_week(weeks)


def _raw_asset(kind: str, model: type[schema.Row], description: str) -> dg.AssetsDefinition:
    """One asset per source that is taken up whole; they are of equal shape."""

    name = RAW_OF[kind]

    @dg.asset(
        name=name,
        partitions_def=domains,
        group_name="raw",
        kinds={"lakefs", "python"},
        code_version="1",
        description=description,
        check_specs=expectation_checks(name),
    )
    def _asset(context: dg.AssetExecutionContext, lakefs: LakeFS, raw_zone: RawZone) -> Made:
        domain = context.partition_key
        taken = {domain: _take_up(domain, kind, model, None)}
        yield from _publish(
            context, lakefs, raw_zone, kind, taken, lambda key: f"{name}/domain={key}/"
        )

    return _asset


raw_documents = _raw_asset("documents", schema.Document, "Internal documents of a domain.")
raw_annotations = _raw_asset(
    "annotations", schema.Annotation, "Prompts and gold answers that annotators wrote."
)
raw_corrections = _raw_asset(
    "corrections", schema.Correction, "Answers that reviewers corrected, approved or not."
)
raw_users = _raw_asset("users", schema.User, "Who may be trained on: consent and erasure requests.")
raw_eval_cases = _raw_asset("eval", schema.EvalCase, "Test cases that a domain brings itself.")


def _take_up(domain: str, kind: str, model: type[schema.Row], weeks: set[str] | None) -> Intake:
    settings = platform()
    return take_up(
        list_sources(settings.sources(domain, kind)),
        model,
        domain=domain,
        now=datetime.now(UTC),
        weeks=weeks,
        unknown_fields=settings.intake.unknown_fields,
        max_line_bytes=settings.intake.max_line_mib * 2**20,
    )


def _user_fields(domain: str, kind: str) -> list[str]:
    """What the feeds of this kind call the user."""
    rules = [feed.map.get("user_id") for feed in platform().sources(domain, kind)]
    own = [rule.source.rsplit(".", 1)[-1] for rule in rules if rule and rule.source]
    return ["user_id", *own]


def _erasures(kind: str, intake: Intake) -> dict[str, int]:
    """How many people asked for it; retrain_on_erasure compares."""
    if kind != "users":
        return {}
    return {"erasure_requests": sum(bool(r["erasure_requested_at"]) for r in intake.rows)}


def _publish(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    raw_zone: RawZone,
    kind: str,
    taken: Mapping[str, Intake],
    prefix: Callable[[str], str],
) -> Made:
    draft = open_draft(context, lakefs, lakefs.raw_repository, {})
    written = {}
    for key, intake in taken.items():
        place, domain = prefix(key), key.split("|")[0]
        rows = raw_zone.write_rows(place, f"{domain}/{kind}", intake.rows)
        refused = raw_zone.write_quarantine(
            place, domain, map(asdict, intake.quarantined), _user_fields(domain, kind)
        )
        draft.write(place, {ROWS: rows.data, QUARANTINE: refused.data})
        written[key] = rows, refused
    message = f"{context.asset_key.to_user_string()}: take up {', '.join(taken)}"[:200]
    tables = {
        key: pd.DataFrame(intake.rows).assign(
            quarantined_share=share(len(intake.quarantined), intake.rows_in)
        )
        for key, intake in taken.items()
    }
    merged = yield from guarded(context, lakefs, draft, tables, message)
    refs: dict[str | None, Ref] = {key: merged.refs[prefix(key)] for key in taken}
    metadata: dict[str | None, dict[str, Any]] = {
        key: {
            **count_metadata(
                intake.rows_in,
                rows.rows,
                refused.rows,
                {**intake.dropped, **erased_count(rows, refused)},
            ),
            **counted("quarantine_reasons", "reason", intake.reasons()),
            "quarantine_counts": dg.MetadataValue.json(intake.reasons()),
            **_erasures(kind, intake),
            "files": markdown_table(["file", "rows"], sorted(intake.files().items())),
            **merged.facts[key],
        }
        for key, intake in taken.items()
        for rows, refused in [written[key]]
    }
    yield materialized(context, lakefs, refs, metadata)
