"""The real graph in this process, on an embedded lakeFS and an instance of its own."""

import gzip
import importlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import lakefs

from ft_assets import definitions
from ft_assets.lineage import CORPUS, SOURCES, WEEKLY
from ft_assets.partitions import WEEKS
from ft_assets.publishing import newest
from ft_assets.settings import platform
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import MlflowTracking, ModelRegistry
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.trainer import LocalTrainer
from ft_resources.vault.raw_zone import RawZone
from tests.resources.gateway import world as gateways
from tests.resources.lakefs.running import ServerProcess


class TrainerHere(LocalTrainer):
    """Jobs in this process: one of their own takes seconds to import torch."""

    def run(
        self, context: dg.AssetExecutionContext, module: str, job: dict[str, Any], folder: Path
    ) -> list[Any]:
        told: list[Any] = []
        run_here(module, job, told.append)
        return told


def run_here(module: str, job: dict[str, Any], progress: Callable[[Any], None]) -> None:
    main = "score_all" if module.endswith(".score") else "train_all"
    getattr(importlib.import_module(module), main)(job, progress)


@dataclass
class World:
    folder: Path
    instance: dg.DagsterInstance
    resources: dict[str, Any]
    lakefs: LakeFS
    raw_zone: RawZone
    assets: list = field(default_factory=list)

    def land(self, domain: str, name: str, rows: Iterable[Mapping[str, Any]] | bytes) -> None:
        """Put a file into the landing folder; bytes as they are, rows as JSON lines."""
        file = Path(platform().landing_folder) / domain / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(rows, bytes):
            rows = "".join(json.dumps(row) + "\n" for row in rows).encode()
        file.write_bytes(gzip.compress(rows) if name.endswith(".gz") else rows)

    def land_feed(self, feed: Path, domain: str, logs: bool = True) -> None:
        target = Path(platform().landing_folder) / domain
        target.mkdir(parents=True, exist_ok=True)
        for file in (feed / domain).iterdir():
            if logs or not file.name.startswith("logs"):
                shutil.copy(file, target / file.name)

    def make(
        self,
        *names: str,
        partition: str | None = None,
        weeks: tuple[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        fails: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets; `weeks` is the first and last key of a range."""
        tags = dict(tags or {})
        if weeks:
            tags["dagster/asset_partition_range_start"] = f"{partition}|{weeks[0]}"
            tags["dagster/asset_partition_range_end"] = f"{partition}|{weeks[1]}"
            partition = None
        result = dg.materialize(
            self.assets,
            selection=[*names],
            partition_key=partition,
            instance=self.instance,
            resources=self.resources,
            run_config={"ops": dict(config)} if config else None,
            raise_on_error=not fails,
            tags=tags,
        )
        assert result.success is not fails
        return result

    def take_up(self, domain: str, weeks: list[str]) -> None:
        self.instance.add_dynamic_partitions(WEEKS, weeks)
        span = (weeks[0], weeks[-1])
        self.make(*WEEKLY, partition=domain, weeks=span)

    def make_corpus(self, domain: str) -> None:
        self.make(*SOURCES, *CORPUS, partition=domain)

    def event(self, asset: str, partition: str | None = None) -> dg.AssetMaterialization | None:
        return newest(self.instance, dg.AssetKey(asset), partition)

    def facts(self, asset: str, partition: str | None = None) -> dict[str, Any]:
        event = self.event(asset, partition)
        assert event is not None, f"{asset}[{partition}] was not materialized"
        return {name: value.value for name, value in event.metadata.items()}

    def ref(self, asset: str, partition: str | None = None) -> Ref:
        return Ref(**self.facts(asset, partition)["ref"])

    def raw_rows(self, asset: str, partition: str) -> list[dict[str, Any]]:
        return self.raw_zone.read_rows(self.lakefs, self.ref(asset, partition)).rows

    def repository(self, raw: bool = False) -> lakefs.Repository:
        name = self.lakefs.raw_repository if raw else self.lakefs.repository
        return lakefs.Repository(name, client=self.lakefs.client())

    def head(self, raw: bool = False) -> str:
        return self.repository(raw).branch("main").get_commit().id


def make_world(
    folder: Path, server: ServerProcess, gateway: gateways.Running | None = None
) -> World:
    landing = Path(platform().landing_folder)
    shutil.rmtree(landing, ignore_errors=True)
    landing.mkdir(parents=True)
    name = uuid.uuid4().hex[:8]
    endpoint = server.endpoint
    store = LakeFS(
        endpoint=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        repository=f"corpora-{name}",
        raw_repository=f"raw-{name}",
        storage_namespace="local://{repository}",
    )
    store.ensure()
    raw_zone = RawZone(tenant="tests", tenant_key="5a" * 32, folder=str(folder / "vault"))
    tracking = f"sqlite:///{folder}/mlflow.db"
    resources = {
        **definitions.resources(platform()),
        "lakefs": store,
        "raw_zone": raw_zone,
        "pseudonyms": Pseudonyms(key="pseudonym-key-of-the-tests"),
        "trainer": LocalTrainer(work_folder=str(folder / "work"), threads=1),
        "mlflow": MlflowTracking(
            tracking_uri=tracking,
            artifacts=str(folder / "artifacts"),
            experiment="tests",
            pages="http://127.0.0.1:1",
        ),
        "registry": ModelRegistry(tracking_uri=tracking),
        "gateway": GatewayAccess(
            url=gateway.url if gateway else "http://127.0.0.1:1",
            admin_key=gateways.ADMIN_KEY,
            signing_key=gateways.SIGNING_KEY.decode(),
        ),
    }
    assets = [
        asset for stage in definitions.STAGES for asset in dg.load_assets_from_modules([stage])
    ]
    home = folder / "dagster"
    home.mkdir()
    instance = dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}})
    world = World(folder, instance, resources, store, raw_zone, assets)
    world.make("pii_tagger")
    return world
