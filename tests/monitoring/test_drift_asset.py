"""The report as a materialization: what it stores, shows, and remembers of the report before."""

import json
import uuid

import dagster as dg
import pandas as pd
import pytest

from ft_assets import definitions
from ft_assets.partitions import WEEKS
from ft_assets.publishing import facts_of, newest, ref_of
from ft_assets.settings import platform as settings
from ft_resources.lakefs.client import LakeFS, to_parquet
from tests.monitoring.test_drift import WEEKS as ALL
from tests.monitoring.test_effects import COFFEE, LOANS, events

TRAINED = ALL[:5]
ASSETS = [asset for stage in definitions.STAGES for asset in dg.load_assets_from_modules([stage])]


@pytest.fixture
def lakefs(lakefs_server):
    name, endpoint = uuid.uuid4().hex[:8], lakefs_server.endpoint
    store = LakeFS(
        endpoint=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        repository=f"corpora-{name}",
        raw_repository=f"raw-{name}",
        storage_namespace="local://{repository}",
    )
    store.ensure()
    return store


class Platform:
    def __init__(self, instance: dg.DagsterInstance, lakefs: LakeFS) -> None:
        self.instance, self.lakefs = instance, lakefs

    def put(self, asset: str, key: str, files: dict[str, bytes]) -> dict:
        """Files of a partition on main, with the event that hands on their ref."""
        draft = self.lakefs.draft(self.lakefs.repository, f"put-{uuid.uuid4().hex[:6]}", {})
        prefix = f"{asset}/{key.replace('|', '/')}/"
        draft.write(prefix, files)
        draft.commit("put")
        ref = draft.merge()[prefix].to_dict()
        event = dg.AssetMaterialization(asset, partition=key, metadata={"ref": ref})
        self.instance.report_runless_asset_event(event)
        return ref

    def week(self, number: int, *topics: list[str], share: float = 1.0) -> None:
        week = ALL[number]
        self.instance.add_dynamic_partitions(WEEKS, [week])
        table = events(number, 60, *(topics or (LOANS,)), share=share, week=week)
        signals = pd.DataFrame({"event_id": table["event_id"], "signal": "thumb", "score": 1.0})
        self.put("anonymized_logs", f"legal|{week}", {"rows.parquet": to_parquet(table)})
        self.put("feedback_signals", f"legal|{week}", {"rows.parquet": to_parquet(signals)})

    def report(self) -> tuple[dict, dict]:
        """The facts and the stored record of a report made now."""
        done = dg.materialize(
            ASSETS,
            selection=["drift_report"],
            partition_key="legal",
            instance=self.instance,
            resources={**definitions.resources(settings()), "lakefs": self.lakefs},
        )
        assert done.success
        event = newest(self.instance, dg.AssetKey("drift_report"), "legal")
        return facts_of(event), self.lakefs.read_json(ref_of(event), "drift.json")


@pytest.fixture
def platform(tmp_path, lakefs):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        made = Platform(instance, lakefs)
        for number in range(len(TRAINED)):
            made.week(number)
        lineage = {"lineage.json": json.dumps({"weeks": TRAINED}).encode()}
        adapter = made.put("lora_adapter", "legal", lineage)
        deployment = {"champion": "legal@1", "adapter_ref": adapter}
        made.put("deployed_model", "legal", {"deployment.json": json.dumps(deployment).encode()})
        yield made


def test_the_report_of_a_week_and_of_the_same_week_when_more_of_it_arrived(platform):
    facts, record = platform.report()
    assert (facts["verdict"], facts["remedy"], record["weeks"]) == ("nothing_new", "none", [])

    platform.week(5, COFFEE, LOANS, share=0.7)
    facts, record = platform.report()
    assert (facts["verdict"], facts["remedy"], facts["drifted"]) == ("drifted", "retrain", True)
    assert facts["newest_week"] == ALL[5]
    assert facts["score"] > facts["limit"] >= 0.6
    assert "at most 4 expected a year over all domains" in facts["false_alarms"]
    assert "words of prompts (AUC)" in facts["streams"]
    assert f"| {ALL[5]} | drifted | retrain |" in facts["weeks"]
    assert "data:image/svg+xml" in facts["over_time"]
    assert "report.html" in facts["report"]
    assert record["reference_weeks"] == TRAINED
    assert record["current_weeks"] == [ALL[5]]
    assert record["weeks"][-1]["look"] == 1

    again, same = platform.report()
    assert (again["cause"], same["weeks"][-1]["look"]) == (facts["cause"], 1)
    platform.week(5)
    later, other = platform.report()
    assert later["cause"] != facts["cause"]
    assert (other["weeks"][-1]["look"], later["remedy"]) == (2, "none")
