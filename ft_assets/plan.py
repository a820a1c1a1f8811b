"""What `ft plan` prints: which partitions are stale, why, and what making them would take.

Read from the Dagster instance and the definitions alone; nothing runs. A partition is stale when it
is missing, when its code is another version, when an input has other content than it was made from,
or when an input is stale itself. Files that no sensor has taken up yet are not seen. Estimates come
from what was made before: the median of the newest runs of the asset, in the domain or else in
others, and none where nothing ever ran.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg

from ft_assets.adapters.cost import HOUR, WATT_HOURS, Prices
from ft_assets.lineage import WEEKLY
from ft_assets.publishing import REF, facts_of, newest
from ft_assets.settings import Platform

PAGE = 1000  # events read at once
NEWEST = 5  # runs that an estimate is the median of
ROWS = "dagster/row_count"
CODE_VERSION, DATA_VERSION = "dagster/code_version", "dagster/data_version"
SHOWN = 3  # reasons named of one asset
DIGITS = {"rows": 0, "minutes": 2, "money": 4, "kwh": 5}  # shown, after the point


@dataclass(frozen=True)
class Made:
    """One materialization of one partition."""

    at: float  # seconds since 1970
    run_id: str
    digest: str  # of its content
    code_version: str
    rows: int | None
    cost: Mapping[str, Any]  # of a training; empty for others


@dataclass(frozen=True)
class Stale:
    asset: str
    partition: str | None
    why: tuple[str, ...]
    rows: int | None  # None: no estimate yet
    minutes: float | None
    money: float | None
    kwh: float | None

    @property
    def domain(self) -> str:
        return (self.partition or "").partition("|")[0]


History = dict[str, dict[str | None, list[Made]]]  # asset -> partition -> newest first


def tell(settings: Platform, home: Path, domain: str | None, as_json: bool) -> None:
    """Print what is stale on the instance in `home`, of one domain or of all."""
    from ft_assets.definitions import defs

    with dg.DagsterInstance.from_config(str(home)) as instance:
        stale = plan(instance, defs, settings)
        asked = asked_for(instance, settings)
    if domain is not None:
        stale = [one for one in stale if one.domain in (domain, "")]
        asked = {name: why for name, why in asked.items() if name == domain}
    print_plan(stale, asked, settings.costs.currency, as_json)


def plan(instance: dg.DagsterInstance, defs: dg.Definitions, settings: Platform) -> list[Stale]:
    """Every stale partition, inputs before what is made of them."""
    graph = defs.resolve_asset_graph()
    order = [
        key.to_user_string() for level in graph.toposorted_asset_keys_by_level for key in level
    ]
    history = {name: _history(instance, name) for name in order}
    prices = Prices.of(settings.costs.model_dump())
    seconds = _Seconds(instance, history)
    found: dict[tuple[str, str | None], Stale] = {}
    for name in order:
        node = graph.get(dg.AssetKey(name))
        parents = sorted(key.to_user_string() for key in node.parent_keys)
        for key in _keys(name, node.is_partitioned, settings, history):
            reasons = tuple(
                _reasons(name, key, node.code_version or "", parents, history, found, settings)
            )
            if reasons:
                found[name, key] = _estimated(name, key, reasons, history, seconds, prices)
    return list(found.values())


def asked_for(instance: dg.DagsterInstance, settings: Platform) -> dict[str, str]:
    """By domain what its newest drift report asks for, where it asks for anything."""
    found = {}
    for domain in settings.domains:
        facts = facts_of(newest(instance, dg.AssetKey("drift_report"), domain))
        if facts.get("drifted"):
            found[domain] = f"drift, {facts['remedy']}: {facts['why']}"
    return found


def print_plan(
    stale: Sequence[Stale], asked: Mapping[str, str], currency: str, as_json: bool
) -> None:
    total = totals(stale)
    if as_json:
        told = [asdict(one) for one in stale]
        print(json.dumps({"stale": told, "asked_for": asked, "total": total}, indent=1))
        return
    for domain, why in asked.items():
        print(f"{domain}: {why}")
    if not stale:
        print("nothing is stale")
        return
    print("Stale, and what making it would take; ? is not known before it ran once")
    heads = ("partitions", "rows", "minutes", currency, "kWh")
    for domain, groups in groupby(_grouped(stale).items(), key=lambda group: group[0][0]):
        columns = "".join(f"{head:>11}" for head in heads)
        print(f"\n{domain or 'all domains':24}{columns}")
        for (_, asset), group in groups:
            numbers = "".join(
                f"{_number(sum_of(group, name), digits):>11}" for name, digits in DIGITS.items()
            )
            print(f"  {asset:22}{len(group):>11}{numbers}")
            reasons = list(dict.fromkeys(why for one in group for why in one.why))
            more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
            print(f"    because {'; '.join(reasons[:SHOWN])}{more}")
    print()
    unknown = (
        f", {total['without_estimate']} without an estimate" if total["without_estimate"] else ""
    )
    print(
        f"{len(stale)} partitions, estimated {total['minutes']:.1f} minutes, "
        f"{total['money']:.4f} {currency}, {total['kwh']:.5f} kWh{unknown}"
    )


def totals(stale: Sequence[Stale]) -> dict[str, float]:
    known = {name: sum_of(stale, name) or 0.0 for name in ("minutes", "money", "kwh")}
    return {**known, "without_estimate": sum(one.minutes is None for one in stale)}


def sum_of(stale: Sequence[Stale], name: str) -> float | None:
    """None when none of them has an estimate."""
    values = [value for one in stale if (value := getattr(one, name)) is not None]
    return sum(values) if values else None


def _keys(
    name: str, partitioned: bool, settings: Platform, history: History
) -> Iterator[str | None]:
    """Partitions that should be there: a week exists in a domain once its raw logs do."""
    if not partitioned:
        yield None
    elif name in WEEKLY:
        there = {key for key in history["raw_logs"] if key}
        yield from sorted(key for key in there if key.partition("|")[0] in settings.domains)
    else:
        yield from settings.domains


def _reasons(
    name: str,
    key: str | None,
    code_version: str,
    parents: Sequence[str],
    history: History,
    stale: Mapping[tuple[str, str | None], Stale],
    settings: Platform,
) -> Iterator[str]:
    made = history[name].get(key)
    if not made:
        yield "missing"
        return
    if made[0].code_version != code_version:
        yield f"code version {made[0].code_version or 'none'} -> {code_version}"
    for parent in parents:
        again, newer = [], []
        for upstream in _upstream(parent, key, settings, history):
            if (parent, upstream) in stale:
                again.append(upstream)
            elif _changed(history[parent].get(upstream, []), made[0].at):
                newer.append(upstream)
        if newer:
            yield f"{parent} has other content{_named(newer)}"
        if again:
            yield f"{parent} is stale{_named(again)}"


def _upstream(
    parent: str, key: str | None, settings: Platform, history: History
) -> list[str | None]:
    """The partitions of an input that a partition is made of."""
    domain = (key or "").partition("|")[0]
    if parent in WEEKLY:
        if key and "|" in key:
            return [key]
        return [one for one in history["raw_logs"] if one and one.startswith(f"{domain}|")]
    return [None, domain] if key else [None, *settings.domains]  # it has one kind or the other


def _changed(made: Sequence[Made], since: float) -> bool:
    """Whether the newest content is another than the newest until then."""
    if not made or made[0].at <= since:
        return False
    before = next((one for one in made if one.at <= since), None)
    return before is None or before.digest != made[0].digest


def _named(keys: Sequence[str | None]) -> str:
    weeks = [key.partition("|")[2] for key in keys if key and "|" in key]
    if not weeks:
        return ""
    return f" ({weeks[0]})" if len(weeks) == 1 else f" ({len(weeks)} weeks)"


def _estimated(
    name: str,
    key: str | None,
    why: tuple[str, ...],
    history: History,
    seconds: "_Seconds",
    prices: Prices,
) -> Stale:
    like = _alike(history[name], key)
    rows = next((one.rows for one in like if one.rows is not None), None)
    costs = [one.cost for one in like if one.cost]
    took = seconds.of(name, like)
    if costs:
        cost = costs[0]
        return Stale(name, key, why, rows, cost["seconds"] / 60, cost["money"], cost["kwh"])
    if took is None:
        return Stale(name, key, why, rows, None, None, None)
    # One busy core: what an asset costs besides training was never metered.
    kwh = took * prices.core_watts * prices.overhead / HOUR / WATT_HOURS
    money = took / HOUR * prices.cpu_hour + kwh * prices.kwh
    return Stale(name, key, why, rows, took / 60, money, kwh)


def _alike(made: Mapping[str | None, list[Made]], key: str | None) -> list[Made]:
    """What was made of this partition, else of its domain, else of any; newest first."""
    if made.get(key):
        return made[key]
    domain = (key or "").partition("|")[0]
    for wanted in (f"{domain}|", ""):
        found = [
            one for k, all_of in made.items() if (k or "").startswith(wanted) for one in all_of
        ]
        if found:
            return sorted(found, key=lambda one: -one.at)
    return []


class _Seconds:
    """How long steps took; each run is asked about once."""

    def __init__(self, instance: dg.DagsterInstance, history: History) -> None:
        self._instance = instance
        self._together: dict[tuple[str, str], int] = {}  # partitions of one step
        self._runs: dict[str, dict[str, float]] = {}
        for name, made in history.items():
            for all_of in made.values():
                for one in all_of:
                    place = name, one.run_id
                    self._together[place] = self._together.get(place, 0) + 1

    def of(self, name: str, made: Sequence[Made]) -> float | None:
        runs = list(dict.fromkeys(one.run_id for one in made if one.run_id))[:NEWEST]
        found = [
            took / self._together[name, run]
            for run in runs
            if (took := self._steps(run).get(name)) is not None
        ]
        return median(found) if found else None

    def _steps(self, run_id: str) -> dict[str, float]:
        if run_id not in self._runs:
            self._runs[run_id] = {
                stats.step_key: stats.end_time - stats.start_time
                for stats in self._instance.get_run_step_stats(run_id)
                if stats.start_time and stats.end_time
            }
        return self._runs[run_id]


def _history(instance: dg.DagsterInstance, name: str) -> dict[str | None, list[Made]]:
    """Every materialization, by partition; runless ones have no run."""
    found: dict[str | None, list[Made]] = {}
    cursor = None
    while True:
        page = instance.fetch_materializations(dg.AssetKey(name), limit=PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event is None:
                continue
            facts, tags = facts_of(event), event.tags or {}
            ref = facts.get(REF)
            found.setdefault(record.partition_key, []).append(
                Made(
                    record.timestamp,
                    record.run_id,
                    ref["digest"] if ref else tags.get(DATA_VERSION, ""),
                    tags.get(CODE_VERSION, ""),
                    facts.get(ROWS),
                    facts.get("cost", {}),
                )
            )
        if not page.has_more:
            return found
        cursor = page.cursor


def _grouped(stale: Sequence[Stale]) -> dict[tuple[str, str], list[Stale]]:
    groups: dict[tuple[str, str], list[Stale]] = {}
    for one in stale:
        groups.setdefault((one.domain, one.asset), []).append(one)
    return dict(sorted(groups.items(), key=lambda item: item[0][0]))


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "?"
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if 0 < value < least else f"{value:,.{digits}f}"
