"""What is known of a model that serves: from a chain of small steps; nothing is trained here."""

import base64
import hashlib
import json
import re
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from ft_assets import definitions
from ft_assets.cli import app
from ft_assets.evidence.assets import HOLDS, evidence_pack
from ft_assets.evidence.stored import EVIDENCE, newest_pack
from ft_assets.monitoring.cost_assets import cost_report
from ft_assets.partitions import WEEKS
from ft_assets.settings import platform
from ft_resources import secrets
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.vault.raw_zone import RawZone
from tests.evidence import chain
from tests.evidence.chain import DOMAIN, KEY, USERS, WEEK

# Dagster warns of its own insides.
pytestmark = pytest.mark.filterwarnings("ignore")


class World:
    def __init__(self, folder: Path, server) -> None:
        self.folder = folder
        endpoint, name = server.endpoint, folder.name.replace("_", "-")
        self.lakefs = LakeFS(
            endpoint=endpoint.url,
            access_key_id=endpoint.access_key_id,
            secret_access_key=endpoint.secret_access_key,
            repository=f"corpora-{name}",
            raw_repository=f"raw-{name}",
            storage_namespace="local://{repository}",
        )
        self.lakefs.ensure()
        self.pseudonyms = Pseudonyms(key="pseudonym-key-of-the-tests")
        self.resources = {
            "io_manager": definitions.resources(platform())["io_manager"],
            "lakefs": self.lakefs,
            "raw_zone": RawZone(tenant="tests", tenant_key="5a" * 32, folder=str(folder / "vault")),
            "pseudonyms": self.pseudonyms,
            "gateway": GatewayAccess(url="http://127.0.0.1:1", admin_key="", signing_key=KEY),
        }
        self.instance = dg.DagsterInstance.ephemeral()
        self.instance.add_dynamic_partitions(WEEKS, [WEEK])

    def make(self, *assets, partition=None, config=None):
        everything = [*chain.WEEKLY, *chain.WHOLE, *chain.BY_DOMAIN, cost_report, evidence_pack]
        return dg.materialize(
            everything,
            selection=list(assets),
            partition_key=partition,
            instance=self.instance,
            resources=self.resources,
            run_config={"ops": config or {}},
            tags={"user": "release manager"},
        )

    def release(self, number: float, promoted: bool = True) -> str:
        """Make an adapter and all that follows; the name of the adapter."""
        folder = self.folder / f"adapter-{number}"
        folder.mkdir()
        config = {
            "lora_adapter": {"config": {"folder": str(folder), "number": number}},
            "deployed_model": {"config": {"promoted": promoted}},
        }
        made = [*chain.BY_DOMAIN[2:], cost_report, evidence_pack]
        result = self.make(*made, partition=DOMAIN, config=config)
        [check] = [c for c in result.get_asset_check_evaluations() if c.check_name == HOLDS]
        assert check.passed
        return str(self.facts("lora_adapter")["adapter"])

    def facts(self, asset):
        selected = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[DOMAIN])
        event = self.instance.fetch_materializations(selected, 1).records[0].asset_materialization
        return {name: value.value for name, value in event.metadata.items()}

    def pack(self):
        return newest_pack(self.lakefs, DOMAIN, KEY.encode())


@pytest.fixture(scope="module")
def world(tmp_path_factory, lakefs_server) -> World:
    made = World(tmp_path_factory.mktemp("evidence"), lakefs_server)
    made.make(*chain.WHOLE)
    made.make(*chain.WEEKLY, partition=f"{DOMAIN}|{WEEK}")
    made.make(*chain.BY_DOMAIN[:2], partition=DOMAIN)
    made.release(1.0)
    return made


@pytest.fixture(scope="module")
def pack(world: World):
    return world.pack()


@pytest.fixture(scope="module")
def record(pack):
    return json.loads(pack.files[EVIDENCE])


def test_every_claim_was_tested_and_holds(world: World, record):
    assert len(record["verified"]) == 7
    assert all(one["holds"] for one in record["verified"]), record["verified"]
    assert record["adapter"]["name"] == world.facts("lora_adapter")["adapter"]
    assert record["not_recorded"] == []


def test_it_says_which_weeks_and_which_rows_were_left_out(record):
    assert record["weeks"] == [WEEK]
    data = record["data"]
    assert (data["rows"], data["by_week"]) == (4, {WEEK: 3})
    assert data["dropped"] == {"near_duplicate": 2, "no_consent": 3}
    stages = {stage["asset"]: stage for stage in data["stages"]}
    assert stages["raw_logs"]["rows_in"] == 9
    assert stages["raw_logs"]["quarantined_because"] == {"bad_timestamp": 2}
    assert stages["anonymized_logs"]["dropped"] == {"too_short": 1}
    assert {"kind": "log", "licence": "not stated", "rows": 2} in data["licences"]


def test_it_says_who_consented_and_names_nobody(world: World, pack, record):
    counts = record["consent"]
    assert (counts["listed_users"], counts["granted"], counts["refused"]) == (4, 3, 1)
    assert (counts["trained_on"], counts["without_consent"], counts["rows_of_users"]) == (2, 0, 3)
    secret = {u["user_id"] for u in USERS} | {"secret"}
    secret |= {world.pseudonyms.of("user", user["user_id"]) for user in USERS}
    text = b"\n".join(pack.files.values()).decode()
    assert not [value for value in secret if value in text]


def test_it_says_which_checks_ran_and_who_approved(record):
    [check] = [one for one in record["checks"] if one["asset"] == "training_corpus"]
    assert (check["check"], check["blocking"]) == ("great_expectations", True)
    assert (check["evaluations"], check["passed"], check["expectations"]) == (1, 1, 12)
    [rule] = record["gate"]["rules"]
    assert (rule["low"], rule["high"], rule["limit"]) == (-0.6, -0.4, -0.05)
    approval = record["approval"]
    assert (approval["gate"], approval["canary"]) == ("passed", "promoted")
    assert "None is configured" in approval["person"]
    assert [one["asset"] for one in approval["runs"]] == [
        *("lora_adapter", "eval_report", "canary_release", "deployed_model"),
    ]
    assert {one["by"] for one in approval["runs"]} == {"user release manager"}
    assert record["privacy"]["identifiers_masked"] == {"anonymized_logs": 7}
    assert record["privacy"]["operators"] == [{"EMAIL": {"operator": "placeholder"}}]
    assert record["cost"]["money"] == 1e-4


def test_lineage_goes_back_to_every_raw_commit(record):
    known = set()
    for step in record["lineage"]:
        assert set(step["inputs"]) <= known  # an input stands before what was made of it
        known.add(step["address"])
    steps = {(step["asset"], step["partition"]): step for step in record["lineage"]}
    assert steps["raw_logs", f"{DOMAIN}|{WEEK}"]["inputs"] == []
    assert {"pii_tagger", "base_model", "raw_users", "canary_release"} <= {a for a, _ in steps}


def test_the_page_asks_nothing_of_any_host(pack):
    html = pack.files["evidence.html"].decode()
    assert html.startswith("<!doctype html>")
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe" not in policy
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert digest in policy
    assert html.count("<svg") == 3
    # Nothing is loaded: addresses stand as text, the name space of SVG as an attribute.
    assert not re.search(r"<(script|link|img|iframe|a|object|embed)\b|\bsrc=|url\(|@import", html)
    assert not re.search(r"\sstyle=|\son\w+=", html)


def test_a_pack_that_was_changed_is_found_out(world: World, record, monkeypatch):
    changed = json.dumps({**record, "weeks": ["2020-01-06"]}).encode()
    monkeypatch.setattr(LakeFS, "read", lambda *arguments: changed)
    with pytest.raises(ValueError, match="signature does not match"):
        world.pack()


def test_the_command_writes_the_pack(world: World, pack, tmp_path: Path, monkeypatch):
    file, lakefs = tmp_path / "platform.yaml", world.lakefs
    file.write_text(
        f"domains: {{{DOMAIN}: {{}}}}\nservices: {{lakefs: {{url: '{lakefs.endpoint}'}}}}\n"
        f"versioning: {{repository: {lakefs.repository}, raw_repository: {lakefs.raw_repository}}}"
    )
    monkeypatch.setenv(secrets.LAKEFS_ACCESS_KEY_ID, lakefs.access_key_id)
    monkeypatch.setenv(secrets.LAKEFS_SECRET_ACCESS_KEY, lakefs.secret_access_key)
    monkeypatch.setenv(secrets.SIGNING_KEY, KEY)
    words = ["evidence", DOMAIN, "--platform", str(file), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert f"{pack.name}, signed by this platform" in done.output
    written = {f.name: f.read_bytes() for f in (tmp_path / "out").glob("*/*")}
    assert written == pack.files
    monkeypatch.setenv(secrets.SIGNING_KEY, "another")
    assert "signature does not match" in CliRunner().invoke(app, words).output


def test_the_same_evidence_makes_no_new_commit(world: World):
    before = world.lakefs.head(world.lakefs.repository)
    world.make(evidence_pack, partition=DOMAIN)
    assert world.lakefs.head(world.lakefs.repository) == before


def test_after_a_roll_back_it_is_of_what_serves_and_every_training_is_paid_for(
    world: World, record
):
    refused = world.release(2.0, promoted=False)
    after = json.loads(world.pack().files[EVIDENCE])
    assert refused != after["adapter"]["name"] == record["adapter"]["name"]
    assert after["verified"] == record["verified"]
    facts = world.facts("cost_report")
    assert (facts["trainings"], facts["money"]) == (2, 2e-4)
    assert facts["money_per_point_of_the_newest"] == pytest.approx(1e-4 / 50)
    assert "data:image/svg+xml" in facts["over_time"]
    promoted = world.release(3.0)
    assert json.loads(world.pack().files[EVIDENCE])["adapter"]["name"] == promoted
