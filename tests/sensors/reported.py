"""Events and runs as the platform writes them, put into an instance of a test's own."""

import dagster as dg

from ft_assets.lineage import RETRAINED

STARTED = dg.DagsterRunStatus.STARTED


def report(instance: dg.DagsterInstance, asset: str, partition: str | None, **facts) -> None:
    event = dg.AssetMaterialization(asset, partition=partition, metadata=facts)
    instance.report_runless_asset_event(event)


def trained(instance: dg.DagsterInstance, domain: str, **facts) -> None:
    """A corpus, and the adapter that was trained on it."""
    report(instance, "training_corpus", domain)
    report(instance, "lora_adapter", domain, adapter=f"{domain}@1", **facts)


def run(
    instance: dg.DagsterInstance, tags: dict[str, str], status=STARTED, assets=RETRAINED
) -> dg.DagsterRun:
    """A run of these assets in this state, as the queue or a worker reports it."""
    made = instance.add_run(
        dg.DagsterRun(
            job_name="one",
            tags=tags,
            status=dg.DagsterRunStatus.NOT_STARTED,
            asset_selection=frozenset(dg.AssetKey(name) for name in assets),
        )
    )
    happened = {
        dg.DagsterRunStatus.STARTED: dg.DagsterEventType.RUN_START,
        dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    }
    if status in happened:
        event = dg.DagsterEvent(happened[status].value, job_name="one", message="")
        instance.report_dagster_event(event, run_id=made.run_id)
    return made
