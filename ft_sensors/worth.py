"""Whether training a domain again can pay off, from the event log alone.

The same rows, base and recipe give the same adapter, byte for byte: training again can only gain
when something arrived since the corpus was composed, and what arrived is only worth its cost when
it differs from what was learned (drift). A drift report that was answered already, by an adapter
that was then refused or rolled back, is no reason to pay again.
"""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from ft_assets.partitions import WEEKS
from ft_assets.publishing import facts_of

DRIFT_REPORT = dg.AssetKey("drift_report")
CORPUS, ADAPTER = dg.AssetKey("training_corpus"), dg.AssetKey("lora_adapter")
ARRIVALS = ("anonymized_logs", "anonymized_documents", "anonymized_examples", "raw_users")


@dataclass(frozen=True)
class Worth:
    worth: bool
    reason: str
    drift: dict[str, Any]  # facts of the drift report; none without one


def worth_training(instance: dg.DagsterInstance, domain: str) -> Worth:
    """Whether the newest drift report asks for training that can change the adapter, and why."""
    report = _newest(instance, DRIFT_REPORT, domain)
    if report is None:
        return Worth(False, "no report yet", {})
    drift = facts_of(report.asset_materialization)
    if not drift["drifted"]:
        return Worth(False, f"{drift['verdict']}: another training cannot pay off", drift)
    corpus, adapter = (_newest(instance, asset, domain) for asset in (CORPUS, ADAPTER))
    trained = corpus and adapter and adapter.timestamp > corpus.timestamp
    if trained and not _arrived_since(instance, domain, corpus.timestamp):
        name = facts_of(adapter.asset_materialization).get("adapter", "an adapter")
        cost = facts_of(adapter.asset_materialization).get("cost_summary")
        return Worth(
            False,
            f"drifted, but nothing arrived since the corpus of {name} was composed: the same corpus"
            f" gives the same adapter{f' ({cost})' if cost else ''}",
            drift,
        )
    return Worth(True, f"drifted: score {drift['score']:.3f}", drift)


def _newest(
    instance: dg.DagsterInstance, asset: dg.AssetKey, *partitions: str
) -> dg.EventLogRecord | None:
    selected = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=list(partitions))
    records = instance.fetch_materializations(selected, limit=1).records
    return records[0] if records else None


def _arrived_since(instance: dg.DagsterInstance, domain: str, moment: float) -> list[str]:
    """What was taken up of the domain after `moment`."""
    weeks = [f"{domain}|{week}" for week in instance.get_dynamic_partitions(WEEKS)]
    found = []
    for name in ARRIVALS:
        partitions = weeks if name == "anonymized_logs" else [domain]
        newest = _newest(instance, dg.AssetKey(name), *partitions) if partitions else None
        if newest and newest.timestamp > moment:
            found.append(name)
    return found
