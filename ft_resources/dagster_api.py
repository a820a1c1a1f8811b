"""The webserver's GraphQL API, as far as this platform uses it: launch, backfill, watch.

Errors name what was asked and what the webserver answered; texts of rows are in neither.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

LAUNCH = """
mutation($e: ExecutionParams!) { launchRun(executionParams: $e) { __typename
  ... on LaunchRunSuccess { run { id } }
  ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""
BACKFILL = """
mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename
  ... on LaunchBackfillSuccess { backfillId }
  ... on PartitionKeysNotFoundError { message }
  ... on PythonError { message } } }
"""
BACKFILL_STATE = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PartitionBackfill { id status error { message } runs(limit: 200) { id status }
    assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
      assetKey { path } numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed } } } }
  ... on PythonError { message } } }
"""
RUNS = """
query($f: RunsFilter!) { runsOrError(filter: $f) { __typename
  ... on Runs { results { id status tags { key value } } }
  ... on PythonError { message } } }
"""
RUN = """
query($id: ID!) { runOrError(runId: $id) { __typename
  ... on Run { id status tags { key value } } } }
"""
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { __typename ... on PythonError { message } } } } } }
"""
DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }
"""
RUNNING = ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING")


@dataclass(frozen=True)
class Run:
    id: str
    status: str  # SUCCESS, FAILURE, CANCELED, or one of RUNNING
    tags: dict[str, str]

    @property
    def ended(self) -> bool:
        return self.status not in RUNNING


@dataclass(frozen=True)
class Backfill:
    id: str
    status: str
    runs: tuple[str, ...]
    assets: dict[str, tuple[int, int, int]]  # key -> partitions asked, materialized, failed

    @property
    def ended(self) -> bool:
        return self.status.startswith("COMPLETED") or self.status in ("FAILED", "CANCELED")


class DagsterApi:
    """Raises ConnectionError when nobody answers and RuntimeError when the answer is a refusal."""

    def __init__(self, url: str, location: str = "ft", timeout_s: float = 60.0) -> None:
        self._url = f"{url.rstrip('/')}/graphql"
        self._location = location
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on the way to our own webserver

    def launch(
        self,
        assets: Iterable[str],
        *,
        partition: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start one run of these assets; return its id."""
        wanted = {**(tags or {}), **({"dagster/partition": partition} if partition else {})}
        execution = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": self._location,
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": [name]} for name in assets],
                "assetCheckSelection": None,
            },
            "runConfigData": {"ops": config} if config else {},
            "mode": "default",
            "executionMetadata": {"tags": _tags(wanted)},
        }
        answer = self._ask(LAUNCH, {"e": execution})["launchRun"]
        return self._expect(answer, "LaunchRunSuccess")["run"]["id"]

    def backfill(self, assets: Sequence[str], partitions: Sequence[str], title: str) -> str:
        """Start a backfill of these assets over these partitions; return its id."""
        params = {
            "assetSelection": [{"path": [name]} for name in assets],
            "partitionNames": list(partitions),
            "title": title,
            "tags": _tags({"ft/trigger": "backfill"}),
        }
        answer = self._ask(BACKFILL, {"p": params})["launchPartitionBackfill"]
        return self._expect(answer, "LaunchBackfillSuccess")["backfillId"]

    def backfill_state(self, backfill_id: str) -> Backfill:
        answer = self._ask(BACKFILL_STATE, {"id": backfill_id})["partitionBackfillOrError"]
        found = self._expect(answer, "PartitionBackfill")
        counts = (found["assetBackfillData"] or {}).get("assetBackfillStatuses", [])
        return Backfill(
            found["id"],
            found["status"],
            tuple(run["id"] for run in found["runs"]),
            {
                "/".join(c["assetKey"]["path"]): (
                    c["numPartitionsTargeted"],
                    c["numPartitionsMaterialized"],
                    c["numPartitionsFailed"],
                )
                for c in counts
                if c
            },
        )

    def run(self, run_id: str) -> Run:
        return _run(self._expect(self._ask(RUN, {"id": run_id})["runOrError"], "Run"))

    def runs(self, tags: Mapping[str, str] | None = None) -> list[Run]:
        """Runs that have all these tags, the newest first."""
        answer = self._ask(RUNS, {"f": {"tags": _tags(tags or {})}})["runsOrError"]
        return [_run(found) for found in self._expect(answer, "Runs")["results"]]

    def runs_under_way(self) -> list[Run]:
        """Runs that have a process, or are about to."""
        wanted = {"f": {"statuses": ["STARTING", "STARTED", "CANCELING"]}}
        answer = self._ask(RUNS, wanted)["runsOrError"]
        return [_run(found) for found in self._expect(answer, "Runs")["results"]]

    def problems(self) -> list[str]:
        """Why the instance cannot work yet: locations that are not loaded, daemons not healthy."""
        entries = self._ask(LOCATIONS, {})["workspaceOrError"]["locationEntries"]
        found = []
        for entry in entries:
            state = entry["locationOrLoadError"] or {}
            if state.get("__typename") == "PythonError":
                raise RuntimeError(f"code location {entry['name']}: {state['message']}")
            if entry["loadStatus"] != "LOADED":
                found.append(f"code location {entry['name']} is loading")
        daemons = self._ask(DAEMONS, {})["instance"]["daemonHealth"]["allDaemonStatuses"]
        found += [
            f"daemon {d['daemonType']}" for d in daemons if d["required"] and not d["healthy"]
        ]
        return found

    def wait_ready(self, seconds: float) -> None:
        """Raises TimeoutError naming what is not ready."""
        deadline = time.monotonic() + seconds
        while problems := self.problems():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready after {seconds:g} s: {', '.join(problems)}")
            time.sleep(0.5)

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            reply = self._session.post(
                self._url,
                json={"query": query, "variables": dict(variables)},
                timeout=self._timeout_s,
            )
        except requests.RequestException as error:
            raise ConnectionError(f"{self._url}: {type(error).__name__}; is it running?") from None
        body = reply.json()
        if body.get("errors"):
            raise RuntimeError(f"{self._url}: {body['errors'][0]['message']}")
        return body["data"]

    def _expect(self, answer: dict[str, Any], kind: str) -> dict[str, Any]:
        if answer["__typename"] != kind:
            raise RuntimeError(f"{self._url}: {answer}")
        return answer


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _run(found: Mapping[str, Any]) -> Run:
    return Run(found["id"], found["status"], {t["key"]: t["value"] for t in found["tags"]})
