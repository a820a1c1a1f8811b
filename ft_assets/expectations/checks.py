"""The guard in front of main: validate what a draft holds, publish the page, merge or refuse.

Every guarded asset has two checks: `great_expectations` blocks, `great_expectations_unusual` warns.
Both show counts and links alone, never the offending text.
"""

import json
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import dagster as dg
import pandas as pd

from ft_assets.expectations.derived import PARTITION, Given, derive
from ft_assets.expectations.gx import ExpectationResult, Outcome, SuiteResult, validate
from ft_assets.expectations.page import PAGE, Subject, figure_text, number, render
from ft_assets.expectations.suite import Severity
from ft_assets.expectations.usual import WINDOW, Earlier, Figures, earlier_weeks, figures
from ft_assets.partitions import WEEKS, split_key
from ft_assets.publishing import facts_of, markdown_table, newest
from ft_assets.settings import platform
from ft_resources.lakefs.client import MAIN, Draft, LakeFS
from ft_resources.lakefs.ref import Ref

EXPECTATIONS = "great_expectations"
UNUSUAL = "great_expectations_unusual"
FIGURES = "figures"  # metadata: what later weeks are compared with
DOCS = "data_docs/"
LISTED = 60  # lines of a table in the UI
VERSIONS = 10  # materializations looked through for the version before


@dataclass(frozen=True)
class Merged:
    refs: dict[str, Ref]  # by the prefix that was written
    facts: dict[str | None, dict[str, Any]]  # metadata by partition


@dataclass(frozen=True)
class _Judged:
    key: str
    result: SuiteResult
    earlier: Sequence[Earlier]


def expectation_checks(asset: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            EXPECTATIONS,
            asset=asset,
            blocking=True,
            description="Nothing is merged into main unless everything that must hold holds.",
        ),
        dg.AssetCheckSpec(
            UNUSUAL,
            asset=asset,
            description="Volume, labels, duplicates, lengths and languages against earlier weeks.",
        ),
    ]


def guarded(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    draft: Draft,
    tables: Mapping[str, pd.DataFrame],
    message: str,
    given: Given | None = None,
) -> Generator[dg.AssetCheckResult, None, Merged]:
    """Validate the tables that `draft` holds, by partition key; write their pages, commit, merge.

    Yields both checks. Raises dg.Failure when something that must hold does not: main is as it was,
    and the branch with data and pages stays.
    """
    asset = context.asset_key.to_user_string()
    judged = _judge(context, asset, tables, given or Given())
    for one in judged:
        pages = {e.label: _address(_folder(asset, one.key, e.label)) for e in one.earlier}
        html = render(
            _subject(asset, one.key), one.result, one.earlier, pages, _listing(asset, one)
        )
        draft.write(_folder(asset, one.key), {PAGE: html})
    draft.commit(message)

    if any(not one.result.success for one in judged):
        links = {one.key: draft.object_url(_folder(asset, one.key) + PAGE) for one in judged}
        yield from _checks(judged, links, draft.url)
        raise _refusal(asset, judged, draft)
    merged = draft.merge()
    links = {one.key: lakefs.object_url(merged[_folder(asset, one.key)], PAGE) for one in judged}
    yield from _checks(judged, links, None)
    facts: dict[str | None, dict[str, Any]] = {
        one.key: {
            "validation": dg.MetadataValue.url(links[one.key]),
            FIGURES: dg.MetadataValue.json(one.result.figures),
        }
        for one in judged
    }
    return Merged(merged, facts)


def _judge(
    context: dg.AssetExecutionContext,
    asset: str,
    tables: Mapping[str, pd.DataFrame],
    given: Given,
) -> list[_Judged]:
    settings = platform()
    suites = {key: settings.suite(asset, split_key(key)[0]) for key in tables}
    given = replace(given, shared_events=_shared(tables))
    known = _known(context.instance, context.asset_key, tables)
    judged = []
    for key in sorted(tables):
        columns = {column for e in suites[key].expectations for column in e.columns}
        table = derive(tables[key].assign(**{PARTITION: key}), columns, given)
        known[key] = figures(table, suites[key])
        earlier = _earlier(context, key, known)
        result = validate(table, suites[key], _parameters(given), earlier, _is_over(key))
        judged.append(_Judged(key, result, earlier))
    return judged


def _shared(tables: Mapping[str, pd.DataFrame]) -> frozenset[str]:
    """Events that more than one of the partitions has."""
    counts = Counter(e for t in tables.values() if "event_id" in t for e in set(t["event_id"]))
    return frozenset(event for event, count in counts.items() if count > 1)


def _parameters(given: Given) -> dict[str, float]:
    return {"min_rows": given.min_rows}


def _known(
    instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Mapping[str, object]
) -> dict[str, Figures]:
    """Figures of the weeks before those of this run, from their newest materializations."""
    known: dict[str, Figures] = {}
    for domain in {split_key(key)[0] for key in keys}:
        asked = sorted(split_key(key)[1] for key in keys if split_key(key)[0] == domain)
        if not asked[0]:
            continue
        before = [
            week
            for week in sorted(instance.get_dynamic_partitions(WEEKS))
            if week < asked[-1] and week not in asked
        ]
        for week in before[-(WINDOW + len(asked)) :]:
            found = facts_of(newest(instance, asset, f"{domain}|{week}")).get(FIGURES)
            if found:
                known[f"{domain}|{week}"] = found
    return known


def _earlier(
    context: dg.AssetExecutionContext, key: str, known: Mapping[str, Figures]
) -> list[Earlier]:
    """The weeks before, or the last version of what is taken up whole with other figures: making
    the same once more compares with the same.
    """
    if split_key(key)[1]:
        return earlier_weeks(key, known)
    selected = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[key])
    for record in context.instance.fetch_materializations(selected, limit=VERSIONS).records:
        found = facts_of(record.asset_materialization).get(FIGURES)
        if found and json.dumps(found, sort_keys=True) != json.dumps(known[key], sort_keys=True):
            return [Earlier("the last version", found)]
    return []


def _is_over(key: str) -> bool:
    """Whether the week of the key has ended: until then few rows say nothing."""
    week = split_key(key)[1]
    if not week:
        return True
    end = date.fromisoformat(week) + timedelta(days=7)
    return datetime.now(UTC) >= datetime.combine(end, time(), UTC)


def _checks(
    judged: Sequence[_Judged], links: Mapping[str, str], branch: str | None
) -> Generator[dg.AssetCheckResult]:
    for name, severity, level in (
        (EXPECTATIONS, Severity.CRITICAL, dg.AssetCheckSeverity.ERROR),
        (UNUSUAL, Severity.WARNING, dg.AssetCheckSeverity.WARN),
    ):
        found = [(one.key, r) for one in judged for r in one.result.of(severity)]
        failing = [(key, r) for key, r in found if r.fails]
        metadata: dict[str, Any] = {
            "expectations": len(found),
            "failed": len(failing),
            "rows": sum(one.result.rows for one in judged),
        }
        if len(judged) == 1:
            metadata["report"] = dg.MetadataValue.url(links[judged[0].key])
            metadata["results"] = _table(failing or found)
        else:
            metadata["reports"] = _by_partition(judged, severity, links)
            if failing:
                metadata["results"] = _table(failing, with_partition=True)
        if branch:
            metadata["branch"] = dg.MetadataValue.url(branch)
        yield dg.AssetCheckResult(
            check_name=name, passed=not failing, severity=level, metadata=metadata
        )


def _by_partition(
    judged: Sequence[_Judged], severity: Severity, links: Mapping[str, str]
) -> dg.MetadataValue:
    rows = []
    for one in judged[:LISTED]:
        found = [r for r in one.result.of(severity) if r.outcome is not Outcome.NOT_JUDGED]
        held = f"{sum(not r.fails for r in found)} of {len(found)}"
        rows.append([one.key, f"{one.result.rows:,}", held, f"[open]({links[one.key]})"])
    return markdown_table(["partition", "rows", "hold", "report"], rows + _more(len(judged)))


def _table(
    found: Sequence[tuple[str, ExpectationResult]], with_partition: bool = False
) -> dg.MetadataValue:
    """Failing expectations, or all of one partition where none fails."""
    head = ["expectation", "column", "result", "rows", "unexpected", "now", "limits"]
    rows = [([key] if with_partition else []) + _cells(r) for key, r in found[:LISTED]]
    return markdown_table(
        (["partition"] if with_partition else []) + head, rows + _more(len(found))
    )


def _more(count: int) -> list[list[object]]:
    return [[f"and {count - LISTED} more"]] if count > LISTED else []


def _cells(result: ExpectationResult) -> list[object]:
    expectation, band = result.expectation, result.band
    limits = ""
    if band is not None:
        limits = " to ".join("..." if v is None else number(v) for v in (band.low, band.high))
    return [
        expectation.note or expectation.type,
        ", ".join(expectation.columns),
        result.outcome.value + (f" ({result.problem})" if result.problem else ""),
        result.element_count,
        "" if result.unexpected_count is None else result.unexpected_count,
        "" if result.figure is None else figure_text(result, result.figure),
        limits,
    ]


def _refusal(asset: str, judged: Sequence[_Judged], draft: Draft) -> dg.Failure:
    """The failure of an asset whose data did not meet its suite; main is as it was."""
    failed = sum(len(one.result.failed) for one in judged)
    suites = ", ".join(sorted({one.result.suite for one in judged}))
    return dg.Failure(
        f"{asset}: {failed} expectations of suite {suites!r} do not hold; nothing was merged, "
        f"the data is on branch {draft.branch}",
        metadata={"branch": dg.MetadataValue.url(draft.url)},
        allow_retries=False,
    )


def _subject(asset: str, key: str) -> Subject:
    return Subject(asset, *split_key(key))


def _folder(asset: str, key: str, week: str | None = None) -> str:
    """Beside the data, not in it: a page is no part of the digest that is the data version."""
    domain, own = split_key(key)
    week = own if week is None else week
    return f"{DOCS}{asset}/domain={domain}/" + (f"week={week}/" if own else "")


def _listing(asset: str, judged: _Judged) -> str:
    folder = f"{DOCS}{asset}/domain={split_key(judged.key)[0]}/"
    return "objects?" + urlencode({"ref": MAIN, "path": folder}, safe="/")


def _address(folder: str) -> str:
    """Of the newest page, seen from another page: the commit of a page is not known in it."""
    return "?" + urlencode({"ref": MAIN, "path": folder + PAGE}, safe="/")
