"""The asset lora_adapter on a lakeFS, its training in this process."""

import json
import uuid
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml

from ft_assets.adapters.assets import lora_adapter
from ft_assets.adapters.train import train_all
from ft_assets.partitions import domains
from ft_assets.publishing import RefIOManager, facts_of, newest
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import MlflowTracking
from ft_resources.trainer import LocalTrainer
from ft_resources.vault.raw_zone import RawZone
from tests.adapters.small import RECIPE, write_corpus

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
DOMAIN, WEEKS = "finance", ["2026-W01", "2026-W02"]


class TrainerHere(LocalTrainer):
    """A subprocess would take seconds to import torch."""

    fails: bool = False

    def run(self, context, module, job, folder):
        assert module == "ft_assets.adapters.train"
        told = []
        train_all(job, told.append)
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
        model = {"folder": base["base"], "digest": base["base_digest"]}
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
                "trainer": TrainerHere(work_folder=work, threads=1, fails=fails),
                "mlflow": Untracked(tracking_uri="", artifacts="", experiment="", pages=""),
                "io_manager": RefIOManager(),
                "raw_zone": RawZone(tenant="t", tenant_key="5a" * 32, folder=f"{work}/vault"),
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
    third = world.train(str(file))
    assert third["parent"] == second["digest"]
    world.report("deployed_model", DOMAIN, {"adapter_ref": first["ref"]})
    again = world.train(str(file))
    assert (again["parent"], again["digest"]) == (first["digest"], second["digest"])


def test_a_full_fine_tune_is_no_adapter(lakefs_server, base, tmp_path):
    world = World(lakefs_server, base, tmp_path)
    world.corpus(WEEKS[:1])
    with pytest.raises(dg.Failure, match="is a model, not an adapter"):
        world.train("full")
    assert newest(world.instance, lora_adapter.key, DOMAIN) is None
