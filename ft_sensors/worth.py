"""Whether training a domain again can pay off, from the event log alone.

The same rows, base and recipe give the same adapter, byte for byte: training again can only gain
when something arrived since the corpus was composed, or when base or recipe are others.
"""

import dagster as dg

from ft_assets.partitions import WEEKS

CORPUS, ADAPTER = dg.AssetKey("training_corpus"), dg.AssetKey("lora_adapter")
ARRIVALS = (
    *("anonymized_logs", "anonymized_documents", "anonymized_examples"),
    *("raw_corrections", "raw_users"),
)


def newest_record(
    instance: dg.DagsterInstance, name: str, *partitions: str, before: float | None = None
) -> dg.EventLogRecord | None:
    """The newest materialization of any of these partitions, or the newest until a moment."""
    selected = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey(name),
        asset_partitions=list(partitions),
        before_timestamp=before,
    )
    records = instance.fetch_materializations(selected, limit=1).records
    return records[0] if records else None


def arrived_since_the_corpus(instance: dg.DagsterInstance, domain: str) -> list[str]:
    """What was taken up of a domain since the corpus of its newest adapter was composed.

    A corpus that was never trained on counts as an arrival; so does a domain without any.
    """
    corpus, adapter = (
        newest_record(instance, asset.to_user_string(), domain) for asset in (CORPUS, ADAPTER)
    )
    if not corpus or not adapter or adapter.timestamp < corpus.timestamp:
        return [CORPUS.to_user_string()]
    weeks = [f"{domain}|{week}" for week in instance.get_dynamic_partitions(WEEKS)]
    found = []
    for name in ARRIVALS:
        partitions = weeks if name == "anonymized_logs" else [domain]
        newest = newest_record(instance, name, *partitions) if partitions else None
        if newest and newest.timestamp > corpus.timestamp:
            found.append(name)
    return found
