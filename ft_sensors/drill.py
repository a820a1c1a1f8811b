"""Rehearse a rollback: there and back again, with the seconds of each part."""

import time

import dagster as dg

from ft_assets.deployment.rollback_assets import Rollback
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.mlflow import ModelRegistry


class DrillConfig(dg.Config):
    domain: str


@dg.op
def rehearse(
    context: dg.OpExecutionContext,
    config: DrillConfig,
    gateway: GatewayAccess,
    registry: ModelRegistry,
    lakefs: LakeFS,
) -> None:
    """Go back to the champion before, for real, and forward again.

    For these seconds the one before answers. Fails when a part did not follow.
    """
    client = gateway.client()
    rollback = Rollback(config.domain, client, registry, lakefs, context.instance)
    try:
        before = rollback.route()
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    if before.get("rollout") or not before["previous"]:
        raise dg.Failure(
            f"{config.domain} has no previous champion, or a rollout runs: nothing to rehearse",
            allow_retries=False,
        )
    back = rollback.run("drill")
    began = time.perf_counter()
    client.route(config.domain, champion=before["champion"], previous=before["previous"])
    forward = time.perf_counter() - began
    again = rollback.follow("drill: back to where it was")
    for step in (*back, *again):
        context.log.info(f"{step.name}: {step.told} ({step.seconds:.2f} s)")
    context.add_output_metadata(
        {
            **{f"{step.name}, seconds": round(step.seconds, 3) for step in back},
            "routing forward, seconds": round(forward, 3),
            "whole rollback, seconds": round(sum(step.seconds for step in back), 3),
        }
    )
    if failed := [f"{s.name}: {s.told}" for s in (*back, *again) if not s.done]:
        raise dg.Failure("; ".join(failed), allow_retries=False)


@dg.job(executor_def=dg.in_process_executor)
def rollback_drill() -> None:
    """`ft rollback` rehearsed; give it a domain that was promoted at least twice."""
    rehearse()
