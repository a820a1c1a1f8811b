"""From an adapter that passed its gate to the champion that serves, or back."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from ft_assets.deployment.canary import Limits, Replay, Verdict, judge, sample
from ft_assets.partitions import domains
from ft_assets.publishing import (
    Refs,
    facts_of,
    markdown_table,
    materialized,
    one,
    open_draft,
)
from ft_assets.settings import platform
from ft_resources.adapter_format import MANIFEST
from ft_resources.adapter_manifest import VERSION
from ft_resources.gateway.client import GatewayClient
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import CHALLENGER, CHAMPION, ModelRegistry
from ft_resources.signing import sign

CANARY_CHECK = "canary"
MAX_NEW_TOKENS = 32  # of a replayed answer


@dg.asset(
    partitions_def=domains,
    group_name="deployment",
    kinds={"lakefs", "mlflow"},
    code_version="1",
)
def canary_release(
    context: dg.AssetExecutionContext,
    lora_adapter: Refs,
    eval_report: Refs,
    base_model: Ref,
    lakefs: LakeFS,
    gateway: GatewayAccess,
    registry: ModelRegistry,
) -> dg.MaterializeResult:
    """The adapter signed, registered, and loaded in the gateway on a small share of traffic."""
    domain = context.partition_key
    adapter, report = (
        one(lora_adapter, "lora_adapter", domain),
        one(eval_report, "eval_report", domain),
    )
    lineage = lakefs.read_json(adapter, "lineage.json")
    _require_passed(lakefs.read_json(report, "decision.json"), lineage, domain)
    name = lineage["adapter"]
    base = lakefs.read_json(base_model, "base.json")

    version = registry.register(
        domain, _mlflow_run(context, domain, name), name, {"lakefs": adapter.uri}
    )
    registry.set_alias(domain, CHALLENGER, version)

    client = gateway.client()
    client.load_base(base["folder"], base["digest"])
    before = _route(client, domain)
    with TemporaryDirectory() as folder:
        files = lakefs.download(adapter, Path(folder))
        (files / "lineage.json").unlink()
        manifest = {
            "version": VERSION,
            "name": name,
            "domain": domain,
            "digest": lineage["digest"],
            "base_digest": lineage["base_digest"],
            "generation": client.routing()["generation"] + 1,
            "corpus": Ref(**lineage["corpus"]).uri,
            "corpus_digest": lineage["corpus"]["digest"],
            "recipe": lineage["recipe"]["name"],
            "seed": lineage["seed"],
            "created_by_run": context.run.run_id,
            "eval_report": report.uri,
            "eval_report_digest": report.digest,
        }
        signed = sign(manifest, gateway.signing_key.encode())
        (files / MANIFEST).write_text(json.dumps(signed, indent=1, sort_keys=True))
        client.load_adapter(files)
    if before["champion"] != name:
        client.route(
            domain,
            champion=before["champion"],
            previous=before["previous"],
            canary=name,
            share=platform().canary.share,
        )

    record = {
        "adapter": name,
        "adapter_ref": adapter.to_dict(),
        "champion_before": before["champion"],
        "share": 0.0 if before["champion"] == name else platform().canary.share,
        "version": version,
    }
    ref = _publish(
        context,
        lakefs,
        {"adapter": adapter, "report": report},
        {"release.json": record, MANIFEST: signed},
    )
    facts = {
        "adapter": name,
        "share": record["share"],
        "champion_before": before["champion"] or "none",
        "registered_model": f"{domain} version {version}",
        "gateway": dg.MetadataValue.url(f"{gateway.url}/v1/models"),
    }
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


@dg.asset(
    partitions_def=domains,
    group_name="deployment",
    kinds={"lakefs", "mlflow"},
    code_version="1",
    check_specs=[
        dg.AssetCheckSpec(
            CANARY_CHECK, asset="deployed_model", description="The canary kept every limit."
        )
    ],
)
def deployed_model(
    context: dg.AssetExecutionContext,
    canary_release: Refs,
    eval_set: Refs,
    lakefs: LakeFS,
    gateway: GatewayAccess,
    registry: ModelRegistry,
) -> dg.MaterializeResult:
    """The champion of the domain after its canary was promoted or rolled back."""
    domain = context.partition_key
    release_ref = one(canary_release, "canary_release", domain)
    release = lakefs.read_json(release_ref, "release.json")
    rows = sample(
        lakefs.read_records(one(eval_set, "eval_set", domain)), platform().canary.replay_rows
    )
    client = gateway.client()
    route = _route(client, domain)
    name, champion = release["adapter"], route["champion"]
    if champion == name:
        verdict = Verdict("promoted", "it is the champion already", ())
    elif route["canary"] != name:
        raise dg.Failure(
            f"{name} is not the canary of {domain} (that is {route['canary']}); "
            "materialize canary_release first",
            allow_retries=False,
        )
    else:
        canary = _replay(client, name, rows)
        verdict = judge(canary, _replay(client, champion, rows) if champion else None, _limits())
        if verdict.decision == "promoted":
            client.route(domain, champion=name, previous=champion, canary=None, share=0.0)
        else:
            client.route(
                domain, champion=champion, previous=route["previous"], canary=None, share=0.0
            )
    registry.drop_alias(domain, CHALLENGER)
    if verdict.decision == "promoted":
        registry.set_alias(domain, CHAMPION, release["version"])
        adapter_ref = release["adapter_ref"]
    else:
        adapter_ref = _champion_ref(context, domain, champion)

    now = _route(client, domain)
    record = {
        "champion": now["champion"],
        "previous": now["previous"],
        "candidate": name,
        "adapter_ref": adapter_ref,
        "verdict": verdict.to_dict(),
    }
    lineage = lakefs.read_json(Ref(**adapter_ref), "lineage.json") if adapter_ref else {}
    ref = _publish(context, lakefs, {"release": release_ref}, {"deployment.json": record})
    facts = {
        "champion": now["champion"] or "none",
        "previous": now["previous"] or "none",
        "candidate": name,
        "decision": verdict.decision,
        "reason": verdict.reason,
        "rules": markdown_table(
            ["rule", "value", "limit", "passed"],
            [[r.rule, f"{r.value:.3f}", r.limit, r.passed] for r in verdict.rules],
        ),
        "training_weeks": dg.MetadataValue.json(lineage.get("weeks", [])),
        "adapter_ref": dg.MetadataValue.json(adapter_ref or {}),
        "routing_generation": client.routing()["generation"],
        "gateway": dg.MetadataValue.url(f"{gateway.url}/v1/models"),
    }
    result = materialized(context, lakefs, {domain: ref}, {domain: facts})
    check = dg.AssetCheckResult(
        check_name=CANARY_CHECK,
        passed=verdict.decision == "promoted",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"decision": verdict.decision, "reason": verdict.reason, "candidate": name},
    )
    return result._replace(check_results=[check])


def _require_passed(decision: dict[str, Any], lineage: dict[str, Any], domain: str) -> None:
    if decision["adapter"] != lineage["adapter"]:
        raise dg.Failure(
            f"eval_report[{domain}] is of {decision['adapter']}, the adapter is "
            f"{lineage['adapter']}; materialize eval_report first",
            allow_retries=False,
        )
    if decision["outcome"] != "passed":
        raise dg.Failure(
            f"{lineage['adapter']} did not pass its promotion gate: {decision['outcome']}",
            allow_retries=False,
        )


def _route(client: GatewayClient, domain: str) -> dict[str, Any]:
    empty = {"champion": None, "previous": None, "canary": None, "share": 0.0}
    return {**empty, **client.routing()["domains"].get(domain, {})}


def _replay(client: GatewayClient, name: str, rows: list[dict[str, Any]]) -> Replay:
    """Ask one adapter every prompt, and score the reference answers; none counts as traffic.

    A prompt that the gateway refuses as such (too long for the context) is no fault of the adapter.
    """
    errors, empty, refused, latencies = 0, 0, 0, []
    for row in rows:
        try:
            answer = client.chat(
                name,
                row["prompt"],
                max_tokens=MAX_NEW_TOKENS,
                temperature=0.0,
                probe=True,
            )
        except ValueError:
            refused += 1
            continue
        except (ConnectionError, LookupError):
            errors += 1
            continue
        latencies.append(answer.latency_ms)
        empty += not answer.text.strip()
    scored = [{"messages": json.loads(r["messages"])[:-1], "response": r["response"]} for r in rows]
    losses = tuple(client.score(name, scored))
    return Replay(len(rows) - refused, errors, empty, tuple(latencies), losses)


def _limits() -> Limits:
    settings = platform().canary
    return Limits(
        settings.max_error_share,
        settings.max_empty_share,
        settings.max_latency_ratio,
        settings.max_loss_gap_nats,
    )


def adapter_event(
    context: dg.AssetExecutionContext, domain: str, name: str | None
) -> dg.AssetMaterialization | None:
    """The event that made the adapter of this name, or None."""
    if name is None:
        return None
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("lora_adapter"), asset_partitions=[domain]),
        limit=100,
    ).records
    events = (record.asset_materialization for record in records)
    return next((e for e in events if e and facts_of(e)["adapter"] == name), None)


def _champion_ref(
    context: dg.AssetExecutionContext, domain: str, name: str | None
) -> dict[str, str] | None:
    event = adapter_event(context, domain, name)
    return facts_of(event).get("ref")


def _mlflow_run(context: dg.AssetExecutionContext, domain: str, name: str) -> str:
    event = adapter_event(context, domain, name)
    if event is None:
        raise dg.Failure(f"no materialization of lora_adapter[{domain}] made {name}")
    return str(facts_of(event)["mlflow_run_id"])


def _publish(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    inputs: Refs,
    records: Mapping[str, dict[str, Any]],
) -> Ref:
    asset, domain = context.asset_key.to_user_string(), context.partition_key
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"{asset}/domain={domain}/"
    files = {n: json.dumps(r, indent=1, sort_keys=True).encode() for n, r in records.items()}
    draft.write(prefix, files)
    draft.commit(f"{asset}: {domain}")
    return draft.merge()[prefix]
