"""Follow runs to their end and tell what they make, as it is made."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import dagster as dg

from ft_assets.publishing import facts_of, newest
from ft_resources.dagster_api import DagsterApi, Run

T = TypeVar("T")
POLL_SECONDS = 2.0
WILL_RETRY, RETRY_RUN = "dagster/will_retry", "dagster/auto_retry_run_id"
# Metadata worth a word on the line of a materialization, in this order.
TOLD = (
    *("rows_in", "rows_out", "quarantined", "identifiers_masked", "steps", "perplexity_base"),
    *("perplexity_champion", "perplexity_candidate", "gate", "decision", "verdict", "score"),
)


class RunFailed(RuntimeError):
    """A run that the demo needs did not succeed."""


class Watch:
    """What happened in one Dagster instance since it was last looked at."""

    def __init__(
        self,
        api: DagsterApi,
        instance: dg.DagsterInstance,
        assets: Iterable[str],
        say: Callable[[str], None],
        tick: Callable[[], None],
    ) -> None:
        self._api = api
        self._instance = instance
        self._seen = dict.fromkeys(assets, 0)
        self._say = say
        self._tick = tick

    def facts(self, asset: str, partition: str | None) -> dict:
        """Metadata of the newest materialization, {} when there is none."""
        return facts_of(newest(self._instance, dg.AssetKey(asset), partition))

    def partitions(self, asset: str, domain: str) -> list[str]:
        """Weeks of a domain that are materialized."""
        keys = self._instance.get_materialized_partitions(dg.AssetKey(asset))
        return [week for d, _, week in (key.partition("|") for key in keys) if d == domain]

    def until_ended(self, run_ids: Iterable[str], seconds: float) -> list[Run]:
        """The runs in this order; of one that Dagster tried again, the last try."""
        waiting = list(run_ids)

        def ended() -> list[Run] | None:
            runs = [self._last_try(run_id) for run_id in waiting]
            return runs if all(run.ended for run in runs) else None

        return self.until(ended, f"{len(waiting)} runs to end", seconds)

    def until_succeeded(self, run_ids: Iterable[str], seconds: float) -> None:
        """Raises RunFailed with the error of the first run that fails."""
        waiting = list(run_ids)

        def succeeded() -> bool | None:
            runs = [self._last_try(run_id) for run_id in waiting]
            for run in runs:
                if run.ended and run.status != "SUCCESS":
                    raise RunFailed(f"run {run.id} {run.status}: {self.error_of(run.id)}")
            return True if all(run.ended for run in runs) else None

        self.until(succeeded, f"{len(waiting)} runs to succeed", seconds)

    def _last_try(self, run_id: str) -> Run:
        run = self._api.run(run_id)
        while run.ended and run.status != "SUCCESS" and run.tags.get(WILL_RETRY) == "true":
            again = run.tags.get(RETRY_RUN)
            if again is None:
                return Run(run.id, "QUEUED", run.tags)  # the next try is about to be made
            run = self._api.run(again)
        return run

    def until(self, done: Callable[[], T | None], what: str, seconds: float) -> T:
        """Poll until `done` gives something. Raises RunFailed when it takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            self._tick()
            self._tell_news()
            if (found := done()) is not None:
                self._tell_news()
                return found
            if time.monotonic() > deadline:
                raise RunFailed(f"waited {seconds:g} s for {what}")
            time.sleep(POLL_SECONDS)

    def error_of(self, run_id: str) -> str:
        """The failure as Dagster recorded it: its class and message, no stack."""
        records = self._instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        ).records
        for record in records:
            event = record.event_log_entry.dagster_event
            error = event.step_failure_data.error if event else None
            if error is not None:
                cause = error.cause or error
                return cause.message.strip()[:600]
        return "no step failed; see the logs of the daemon and the code server"

    def _tell_news(self) -> None:
        for asset, cursor in self._seen.items():
            records = self._instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_storage_id=cursor),
                limit=200,
                ascending=True,
            ).records
            if records:
                self._seen[asset] = records[-1].storage_id
                for line in _lines(asset, records):
                    self._say(line)


def _lines(asset: str, records: Sequence[dg.EventLogRecord]) -> list[str]:
    """One line per partition; the weeks of one domain together."""
    by_domain: dict[str, list[dg.AssetMaterialization]] = {}
    for record in records:
        if event := record.asset_materialization:
            by_domain.setdefault((record.partition_key or "").split("|")[0], []).append(event)
    lines = []
    for domain, events in by_domain.items():
        facts = (
            _facts(events[-1]) if len(events) == 1 else f"{len(events)} weeks: {_summed(events)}"
        )
        lines.append(f"  {asset:21} {domain:12} {facts}".rstrip())
    return lines


def _facts(event: dg.AssetMaterialization) -> str:
    facts = facts_of(event)
    found = {name: facts[name] for name in TOLD if name in facts}
    return ", ".join(
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found.items()
    )


def _summed(events: Sequence[dg.AssetMaterialization]) -> str:
    sums: Counter[str] = Counter()
    for event in events:
        sums.update({name: value for name, value in facts_of(event).items() if name in TOLD})
    return ", ".join(f"{name} {number}" for name, number in sums.items())
