"""The whole state of a domain back to the champion before: routing, registry, data tag, Dagster.

Routing first, and alone if need be: what does not answer is told, and nothing is undone for it.
Without the gateway nothing is changed at all, so that the others never name what does not serve.
"""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from ft_assets.deployment.assets import BEHIND, adapter_event, champion_tag
from ft_assets.publishing import facts_of, ref_metadata
from ft_resources.gateway.client import GatewayClient
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import ModelRegistry

DEPLOYED = "deployed_model"
ROUTING, REGISTRY, DATA, DAGSTER = "routing", "registry alias", "lakeFS data tag", "Dagster"


@dataclass(frozen=True)
class Step:
    name: str
    done: bool
    told: str
    seconds: float


@dataclass
class Rollback:
    """Brings the parts of one domain together with what the gateway routes."""

    domain: str
    client: GatewayClient
    registry: ModelRegistry
    lakefs: LakeFS
    instance: dg.DagsterInstance

    def run(self, why: str) -> list[Step]:
        """Stop the rollout that runs, or go back one champion; then the rest.

        Raises ConnectionError when the gateway does not answer, ValueError when there is nothing
        to go back to; nothing was changed then.
        """
        began = time.perf_counter()
        before = self.route()
        to = "champion" if before.get("rollout") and not _held_back(before) else "previous"
        self.client.rollback(self.domain, to)
        after = self.route()
        told = f"{before['champion']} -> {after['champion']}"
        if to == "champion":
            told = f"{before.get('canary') or before.get('shadow')} stopped; {after['champion']}"
        steps = [Step(ROUTING, True, told, time.perf_counter() - began)]
        return steps + self.follow(f"{why}: {told}")

    def follow(self, reason: str) -> list[Step]:
        """Let registry, data tag and Dagster name what is routed now."""
        route = self.route()
        adapter = self._adapter(route["champion"])
        registry = _step(REGISTRY, lambda: self._alias(route["champion"]))
        data = _step(DATA, lambda: self._tag(adapter))
        behind = not registry.done
        return [
            registry,
            data,
            _step(DAGSTER, lambda: self._record(route, adapter, reason, behind)),
        ]

    def route(self) -> dict[str, Any]:
        route = self.client.routing()["domains"].get(self.domain)
        if route is None:
            raise ValueError(f"nothing is routed for {self.domain}")
        return route

    def _adapter(self, champion: str | None) -> Ref | None:
        event = adapter_event(self.instance, self.domain, champion)
        return Ref(**facts_of(event)["ref"]) if event else None

    def _alias(self, champion: str | None) -> str:
        self.registry.follow(self.domain, champion)
        return f"champion is {champion}"

    def _tag(self, adapter: Ref | None) -> str:
        if adapter is None:
            raise FileNotFoundError("no materialization of lora_adapter made this champion")
        corpus = Ref(**self.lakefs.read_json(adapter, "lineage.json")["corpus"])
        self.lakefs.move_tag(champion_tag(self.domain), corpus)
        return f"{champion_tag(self.domain)} is {corpus.commit[:12]}"

    def _record(self, route: dict[str, Any], adapter: Ref | None, reason: str, behind: bool) -> str:
        """A materialization of its own: what read the old champion shows up as stale."""
        champion = route["champion"]
        weeks = self.lakefs.read_json(adapter, "lineage.json")["weeks"] if adapter else []
        record = {
            "champion": champion,
            "previous": route["previous"],
            "candidate": None,
            "adapter_ref": adapter.to_dict() if adapter else None,
            "verdict": {"decision": "rolled_back", "reason": reason, "rules": []},
        }
        branch = f"rollback-{self.domain}-{uuid.uuid4().hex[:8]}"
        prefix = f"{DEPLOYED}/domain={self.domain}/"
        draft = self.lakefs.draft(
            self.lakefs.repository, branch, {"asset": DEPLOYED, "partition": self.domain}
        )
        text = json.dumps(record, indent=1, sort_keys=True).encode()
        draft.write(prefix, {"deployment.json": text})
        draft.commit(f"{DEPLOYED}: {self.domain} rolled back")
        ref = draft.merge()[prefix]
        facts: dict[str, Any] = {
            "champion": champion or "none",
            "previous": route["previous"] or "none",
            "candidate": "none",
            "decision": "rolled_back",
            "reason": reason,
            "training_weeks": dg.MetadataValue.json(weeks),
            "adapter_ref": dg.MetadataValue.json(record["adapter_ref"] or {}),
            "routing_generation": self.client.routing()["generation"],
            BEHIND: behind,
            **ref_metadata(self.lakefs, ref),
        }
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                dg.AssetKey(DEPLOYED),
                partition=self.domain,
                metadata=facts,
                tags={"dagster/data_version": ref.digest},
            )
        )
        return "deployed_model says so; what was made of the old champion is stale"


def roll_back(
    home: Path,
    domain: str,
    client: GatewayClient,
    registry: ModelRegistry,
    lakefs: LakeFS,
    why: str,
) -> list[Step]:
    """`Rollback.run` with the Dagster instance of this folder."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return Rollback(domain, client, registry, lakefs, instance).run(why)


def _held_back(route: dict[str, Any]) -> bool:
    return not route.get("canary") and not route.get("shadow")


def _step(name: str, work: Callable[[], str]) -> Step:
    began = time.perf_counter()
    try:
        told, done = work(), True
    except (ConnectionError, FileNotFoundError, FileExistsError, PermissionError) as error:
        told, done = str(error), False
    return Step(name, done, told, time.perf_counter() - began)
