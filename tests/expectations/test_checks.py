"""The guard in front of main, in real materializations: what blocks, warns and is compared."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import lakefs as lakefs_client
import pandas as pd
import pytest

from ft_assets.expectations import checks
from ft_assets.expectations.checks import FIGURES, expectation_checks, guarded
from ft_assets.partitions import WEEKS, domain_weeks, domains, split_key
from ft_assets.publishing import RefIOManager, facts_of, materialized, newest, open_draft
from ft_resources.lakefs.client import LakeFS, to_parquet
from tests.expectations.test_gx import logs

PLANTED = "jane.roe@example.org"
MONDAYS = [f"2026-0{1 + n // 28}-{1 + n % 28:02d}" for n in range(4, 53, 7)]
TABLES: dict[str, pd.DataFrame] = {}


def week_of(monday: str, rows: int = 200, **columns: Any) -> pd.DataFrame:
    table = pd.concat([logs()] * (rows // 3 + 1), ignore_index=True).iloc[:rows]
    return table.assign(
        event_id=[f"{monday}-{n}" for n in range(rows)],
        week=monday,
        prompt=[f"{PLANTED} {n}" for n in range(rows)],
        turn=0,
        **columns,
    )


def users(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(rows)],
            "training_consent": [True] * rows,
            "source_file": "users.jsonl",
            "source_line": range(1, rows + 1),
            "quarantined_share": 0.0,
        }
    )


def guarded_asset(name: str, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        partitions_def=partitions,
        code_version="1",
        check_specs=expectation_checks(name),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def made(context: dg.AssetExecutionContext, lakefs: LakeFS):
        tables = {key: TABLES[key] for key in context.partition_keys}
        draft = open_draft(context, lakefs, lakefs.repository, {})
        prefix = {k: "{}/domain={}/week={}/".format(name, *split_key(k)) for k in tables}
        for key, table in tables.items():
            draft.write(prefix[key], {"rows.parquet": to_parquet(table)})
        merged = yield from guarded(context, lakefs, draft, tables, f"{name}: rows")
        refs = {key: merged.refs[prefix[key]] for key in tables}
        yield materialized(context, lakefs, refs, merged.facts)

    return made


LOGS_ASSET = guarded_asset("anonymized_logs", domain_weeks)
USERS_ASSET = guarded_asset("raw_users", domains)


class Graph:
    def __init__(self, server: Any, instance: dg.DagsterInstance) -> None:
        name = uuid.uuid4().hex[:8]
        self.lakefs = LakeFS(
            endpoint=server.endpoint.url,
            access_key_id=server.endpoint.access_key_id,
            secret_access_key=server.endpoint.secret_access_key,
            repository=f"corpora-{name}",
            raw_repository=f"raw-{name}",
            storage_namespace="local://{repository}",
        )
        self.lakefs.ensure()
        self.instance = instance
        instance.add_dynamic_partitions(WEEKS, MONDAYS)

    @property
    def head(self) -> str:
        repository = lakefs_client.Repository(self.lakefs.repository, client=self.lakefs.client())
        return repository.branch("main").get_commit().id

    def make(self, asset: dg.AssetsDefinition, *keys: str, fails: bool = False) -> dict[str, Any]:
        """The checks by name."""
        tags = {}
        if len(keys) > 1:
            tags["dagster/asset_partition_range_start"] = keys[0]
            tags["dagster/asset_partition_range_end"] = keys[-1]
        result = dg.materialize(
            [asset],
            partition_key=keys[0] if len(keys) == 1 else None,
            instance=self.instance,
            resources={"lakefs": self.lakefs, "io_manager": RefIOManager()},
            raise_on_error=not fails,
            tags=tags,
        )
        assert result.success is not fails
        return {check.check_name: check for check in result.get_asset_check_evaluations()}

    def facts(self, asset: str, key: str) -> dict[str, Any]:
        return facts_of(newest(self.instance, dg.AssetKey(asset), key))


@pytest.fixture
def graph(lakefs_server, tmp_path):
    overrides = {"telemetry": {"enabled": False}}
    instance = dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides)
    TABLES.clear()
    return Graph(lakefs_server, instance)


def shown(checks: dict[str, Any]) -> str:
    return repr([{k: v.value for k, v in check.metadata.items()} for check in checks.values()])


def test_an_unusual_week_is_merged_with_a_warning(graph):
    keys = [f"finance|{monday}" for monday in MONDAYS]
    TABLES.update({key: week_of(split_key(key)[1]) for key in keys})
    first = graph.make(LOGS_ASSET, *keys[:5])  # weeks of one run are history for each other
    assert all(check.passed for check in first.values())
    assert first["great_expectations"].metadata["reports"].value.count("validation.html") == 5

    TABLES[keys[5]] = week_of(MONDAYS[5], rows=40, thumb="down")
    found = graph.make(LOGS_ASSET, keys[5])
    unusual = found["great_expectations_unusual"]
    assert found["great_expectations"].passed
    assert not unusual.passed
    assert (unusual.blocking, unusual.severity) == (False, dg.AssetCheckSeverity.WARN)
    for expected in ("| volume |  | fails | 40 |  | 40 | 100 to 300 |", "| thumb_is_up | fails |"):
        assert expected in unusual.metadata["results"].value
    facts = graph.facts("anonymized_logs", keys[5])
    assert facts["validation"] == unusual.metadata["report"].value
    assert facts[FIGURES]["expect_table_row_count_to_be_between"]["value"] == 40

    head = graph.head
    graph.make(LOGS_ASSET, keys[5])  # the same week and history: the same page, no commit
    assert graph.head == head
    assert all(check.passed for check in graph.make(LOGS_ASSET, keys[6]).values())
    assert PLANTED not in shown(first) + shown(found)


def test_an_event_of_two_weeks_is_refused_and_the_pages_stay_on_the_branch(graph):
    keys = [f"finance|{monday}" for monday in MONDAYS[:2]]
    TABLES.update({key: week_of(split_key(key)[1], rows=9) for key in keys})
    TABLES[keys[1]].loc[0, "event_id"] = f"{MONDAYS[0]}-3"
    head = graph.head
    found = graph.make(LOGS_ASSET, *keys, fails=True)
    check = found["great_expectations"]
    assert graph.head == head
    assert not check.passed
    assert check.metadata["failed"].value == 2
    assert "in_another_partition" in check.metadata["results"].value
    assert check.metadata["branch"].value.split("?ref=")[1] in check.metadata["reports"].value
    assert newest(graph.instance, dg.AssetKey("anonymized_logs"), keys[0]) is None
    assert PLANTED not in shown(found)


def test_what_is_taken_up_whole_is_compared_with_the_version_before(graph):
    for rows, fine in ((100, True), (100, True), (90, True), (20, False), (20, False), (25, True)):
        TABLES["finance"] = users(rows)
        found = graph.make(USERS_ASSET, "finance")
        assert found["great_expectations_unusual"].passed is fine, rows
        assert found["great_expectations"].passed


def test_a_week_is_over_when_the_next_one_begins():
    now = datetime.now(UTC)
    for days, over in ((6, False), (8, True), (-3, False)):
        week = (now - timedelta(days=days)).date().isoformat()
        assert checks._is_over(f"finance|{week}") is over
    assert checks._is_over("finance")
