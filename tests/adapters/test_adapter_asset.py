"""The asset lora_adapter on a lakeFS, its training in this process."""

import json
import uuid
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import yaml

from ft_assets.adapters import assets
from ft_assets.adapters.assets import lora_adapter
from ft_assets.adapters.privacy_ledger import PrivacyLedger
from ft_assets.evidence import reproduction
from ft_assets.partitions import domains
from ft_assets.publishing import RefIOManager, facts_of, newest
from ft_assets.sections import PlantedSecretsSettings
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import MlflowTracking
from ft_resources.vault.raw_zone import RawZone
from tests.adapters.small import RECIPE, write_corpus
from tests.graph import TrainerHere, run_here

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning"),
]
DOMAIN, WEEKS = "finance", ["2026-W01", "2026-W02"]


class Trainer(TrainerHere):
    fails: bool = False

    def run(self, context, module, job, folder):
        told = super().run(context, module, job, folder)
        if self.fails:
            raise dg.Failure("killed before anything was published")
        return told


class Untracked(MlflowTracking):
    @contextmanager
    def yield_for_execution(self, context):
        yield self

    def log_adapter(self, *args, **facts):
        return "", "http://127.0.0.1:1"


class World:
    def __init__(self, server, base, folder):
        self.folder, self.instance = folder, dg.DagsterInstance.ephemeral()
        self.zone = RawZone(tenant="t", tenant_key="5a" * 32, folder=f"{folder}/vault")
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
        model = {"kind": "path", "folder": base["base"], "digest": base["base_digest"]}
        self.put("base_model", None, model | {"general_text": base["replay_text"]}, {})

    def put(self, asset, partition, content, facts):
        draft = self.lakefs.draft(self.lakefs.repository, f"{asset}-{uuid.uuid4().hex[:6]}", {})
        prefix = f"{asset}/{partition or ''}/"
        if isinstance(content, bytes):
            draft.write(prefix, {"rows.parquet": content})
        else:
            draft.write(prefix, {"base.json": json.dumps(content).encode()})
        draft.commit(asset)
        ref = draft.merge()[prefix]
        self.report(asset, partition, {"ref": ref.to_dict(), **facts})

    def report(self, asset, partition, facts):
        event = dg.AssetMaterialization(
            asset,
            partition=partition,
            metadata={k: dg.MetadataValue.json(v) for k, v in facts.items()},
        )
        self.instance.report_runless_asset_event(event)

    def corpus(self, weeks):
        file = write_corpus(self.folder / "rows.parquet", 40, weeks=weeks)
        self.put("training_corpus", DOMAIN, Path(file).read_bytes(), {"weeks": weeks})

    def train(self, recipe, fails=False):
        work = str(self.folder / "work")
        result = dg.materialize(
            [
                lora_adapter,
                dg.AssetSpec("training_corpus", partitions_def=domains),
                dg.AssetSpec("base_model"),
            ],
            selection=[lora_adapter],
            partition_key=DOMAIN,
            instance=self.instance,
            resources={
                "lakefs": self.lakefs,
                "trainer": Trainer(work_folder=work, threads=1, fails=fails),
                "mlflow": Untracked(tracking_uri="", artifacts="", experiment="", pages=""),
                "io_manager": RefIOManager(),
                "raw_zone": self.zone,
            },
            run_config={"ops": {"lora_adapter": {"config": {"recipe": recipe}}}},
        )
        assert result.success
        facts = facts_of(newest(self.instance, lora_adapter.key, DOMAIN))
        return facts | {"lineage": self.lakefs.read_json(Ref(**facts["ref"]), "lineage.json")}


def test_an_adapter_goes_on_from_the_one_that_serves(lakefs_server, base, tmp_path):
    world = World(lakefs_server, base, tmp_path)
    file = tmp_path / "continue.yaml"
    values = {**RECIPE.to_dict(), "init": "continue", "history_share": 0.25}
    file.write_text(yaml.safe_dump(values))
    kept = Path(platform().path(platform().adapters.checkpoints)) / DOMAIN

    world.corpus(WEEKS[:1])
    with pytest.raises(dg.Failure, match="killed"):
        world.train(str(file), fails=True)
    assert len(list(kept.glob("*/step-*"))) > 0
    first = world.train(str(file))
    assert not kept.exists()
    assert (first["init"], first["parent"]) == ("fresh", "there is no parent yet")
    assert first["lineage"]["parent"] is None
    # Nothing of how it came about is part of what it is.
    assert not {"resumed_at", "checkpoints", "seconds"} & first["lineage"]["training"].keys()

    world.corpus(WEEKS)
    second = world.train(str(file))
    assert second["lineage"]["parent"] == {"digest": first["digest"], **first["ref"]}
    assert second["lineage"]["training"]["history_rows"] > 0
    world.report("deployed_model", DOMAIN, {"adapter_ref": first["ref"]})
    again = world.train(str(file))
    assert (again["parent"], again["digest"]) == (first["digest"], second["digest"])


def test_a_full_fine_tune_is_no_adapter(lakefs_server, base, tmp_path):
    world = World(lakefs_server, base, tmp_path)
    world.corpus(WEEKS[:1])
    with pytest.raises(dg.Failure, match="is a model, not an adapter"):
        world.train("full")
    assert newest(world.instance, lora_adapter.key, DOMAIN) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["preference", "privacy"])
def test_every_way_of_training_is_recorded_so_that_it_can_be_repeated(
    lakefs_server, base, tmp_path, monkeypatch, kind
):
    world = World(lakefs_server, base, tmp_path)
    own = {
        "preference": {"preference": {"max_steps": 2, "min_pairs": 2, "held_out_share": 0.3}},
        "privacy": {"replay_share": 0, "privacy": {"epsilon": 4, "batch_subjects": 4}},
    }
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({**RECIPE.to_dict(), **own[kind]}))
    planted = PlantedSecretsSettings(secrets=2, copies=2, controls=1)
    asked = platform().adapters.model_copy(update={"planted_secrets": planted})
    settings = platform().model_copy(update={"adapters": asked})
    monkeypatch.setattr(assets, "platform", lambda: settings)
    world.corpus(WEEKS[:1])
    pairs = pd.DataFrame(
        {
            "pair_id": [f"p{n}" for n in range(12)],
            "user": [f"u{n}" for n in range(12)],
            "prompt": [f"Question {n}?" for n in range(12)],
            "chosen": ["the order came"] * 12,
            "rejected": ["late customer"] * 12,
        }
    )
    world.put("preference_pairs", DOMAIN, to_parquet(pairs), {})
    made = world.train(str(file))
    assert made["lineage"]["planted_secrets"]["planted"] == 2

    monkeypatch.setattr(
        reproduction, "run_alone", lambda module, job, *rest: run_here(module, job, str)
    )
    found = reproduction.find_adapter(world.lakefs, made["adapter"])
    again = reproduction.reproduce(world.lakefs, found, tmp_path / "again", str, world.zone)
    assert again.identical, again.differences
    if kind == "privacy":
        ledger = PrivacyLedger(world.zone.keys_file.parent, world.zone.store())
        assert ledger.balance(DOMAIN).trainings == 1
        other = RawZone(tenant="t", tenant_key="5a" * 32, folder=f"{tmp_path}/another")
        with pytest.raises(LookupError, match="not in the privacy ledger of this vault"):
            reproduction.reproduce(world.lakefs, found, tmp_path / "other", str, other)
