"""What training costs, adapter by adapter."""

import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ft_assets.monitoring.costs import Spent, cost_chart, spent, totals
from ft_assets.partitions import domains
from ft_assets.publishing import (
    Refs,
    facts_of,
    markdown_table,
    materialized,
    open_draft,
    picture,
)
from ft_resources.lakefs.client import LakeFS

EVENTS = 500  # trainings of a domain, and reports, that are looked at
LISTED = 30  # newest trainings in the table


@dg.asset(
    partitions_def=domains,
    group_name="monitoring",
    kinds={"lakefs", "python"},
    code_version="1",
)
def cost_report(
    context: dg.AssetExecutionContext, lora_adapter: Refs, eval_report: Refs, lakefs: LakeFS
) -> dg.MaterializeResult:
    """Tokens, seconds, memory, estimated energy, CO2e and money of every training of a domain, and
    what a point of perplexity cost. Refused adapters count: they were paid for."""
    domain = context.partition_key
    trainings = _trainings(context.instance, domain)
    total = totals(trainings)
    record = {
        "domain": domain,
        "trainings": [one.to_dict() for one in trainings],
        "total": total,
        "estimate": "energy, CO2e and money follow from measured seconds and the price table "
        "`costs` of platform.yaml; no meter was read",
    }
    inputs = {"lora_adapter": lora_adapter[domain], "eval_report": eval_report[domain]}
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    path = f"cost_report/domain={domain}/"
    draft.write(path, {"costs.json": json.dumps(record, indent=1, sort_keys=True).encode()})
    draft.commit(f"cost_report: {domain}, {len(trainings)} trainings")
    ref = draft.merge()[path]
    facts: dict[str, Any] = {
        "trainings": len(trainings),
        "money": total["money"],
        "kwh_estimate": total["kwh"],
        "co2e_grams_estimate": total["co2e_grams"],
        "tokens": total["tokens"],
        "seconds": total["seconds"],
        "costs": markdown_table(HEADS, map(_line, trainings[-LISTED:][::-1])),
    }
    if trainings:
        facts["currency"] = trainings[-1].cost["currency"]
        if (price := trainings[-1].per_point) is not None:
            facts["money_per_point_of_the_newest"] = price
        facts["over_time"] = picture(cost_chart(trainings), "cost of each training")
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


HEADS = [
    *("day", "adapter", "gate", "tokens", "seconds", "peak MiB", "Wh (est.)", "g CO2e (est.)"),
    *("money", "points", "against", "money per point"),
]


def _line(one: Spent) -> list[object]:
    cost = one.cost
    price = "-" if one.per_point is None else f"{one.per_point:.2g} {cost['currency']}"
    memory = cost["peak_memory_mib"]
    return [
        datetime.fromtimestamp(one.at, UTC).date(),
        one.adapter,
        one.outcome,
        f"{cost['tokens']:,}",
        f"{cost['seconds']:.1f}",
        "-" if memory is None else f"{memory:,.0f}",
        f"{cost['kwh'] * 1000:.3g}",
        f"{cost['co2e_grams']:.2g}",
        f"{cost['money']:.2g} {cost['currency']}",
        "-" if one.points is None else f"{one.points:+.1f}",
        one.against,
        price,
    ]


def _trainings(instance: dg.DagsterInstance, domain: str) -> list[Spent]:
    """Oldest first; of an adapter that was evaluated several times the newest report counts."""
    reports: dict[str, dict[str, Any]] = {}
    for record in _events(instance, "eval_report", domain):
        facts = facts_of(record.asset_materialization)
        reports.setdefault(facts["adapter"], facts)
    found = []
    for record in _events(instance, "lora_adapter", domain):
        facts = facts_of(record.asset_materialization)
        if "cost" in facts:
            found.append(spent(record.timestamp, facts, reports.get(facts["adapter"])))
    return found[::-1]


def _events(instance: dg.DagsterInstance, asset: str, domain: str) -> list[dg.EventLogRecord]:
    """Newest first."""
    selected = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[domain])
    return list(instance.fetch_materializations(selected, limit=EVENTS).records)
