"""From an adapter that passed its gate to the champion that serves, or back."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from ft_assets.deployment.canary import Limits, Replay, Verdict, judge, sample
from ft_assets.deployment.rollout_plan import plan_of
from ft_assets.deployment.rollout_view import (
    arms_table,
    decision_of,
    evidence_chart,
    evidence_table,
    history_table,
    one_line,
    outcome_of,
)
from ft_assets.partitions import domains
from ft_assets.publishing import (
    Refs,
    facts_of,
    markdown_table,
    materialized,
    one,
    open_draft,
    picture,
)
from ft_assets.settings import platform
from ft_resources.adapter_format import MANIFEST
from ft_resources.adapter_manifest import VERSION
from ft_resources.gateway.client import GatewayClient
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import CHALLENGER, ModelRegistry
from ft_resources.signing import sign

CANARY_CHECK = "canary"
BEHIND = "aliases_behind"  # a fact: MLflow did not take the aliases yet
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
    settings, rollout = platform().canary_of(domain), None
    share = 0.0 if before["champion"] == name else settings.share
    if settings.decide_by == "evidence" and before["champion"] not in (None, name):
        # A first adapter has no control: it is judged by replay.
        rollout = client.begin_rollout(domain, name, plan_of(settings).to_dict())
        share = rollout["share"]
    elif before["champion"] != name:
        client.route(
            domain,
            champion=before["champion"],
            previous=before["previous"],
            canary=name,
            share=share,
        )

    record = {
        "adapter": name,
        "adapter_ref": adapter.to_dict(),
        "champion_before": before["champion"],
        "share": share,
        "version": version,
        "rollout": rollout["rollout"] if rollout else None,
    }
    ref = publish(
        context,
        lakefs,
        {"adapter": adapter, "report": report},
        {"release.json": record, MANIFEST: signed},
    )
    facts = {
        "adapter": name,
        "share": record["share"],
        "decided_by": "evidence" if rollout else "replay",
        "rollout": record["rollout"] or "none",
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
    output_required=False,
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
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """The champion of the domain after its canary was promoted or rolled back.

    A canary that people decide takes days: until the gateway has decided nothing is materialized,
    and `follow_rollouts` asks again when it has.
    """
    domain = context.partition_key
    release_ref = one(canary_release, "canary_release", domain)
    release = lakefs.read_json(release_ref, "release.json")
    client = gateway.client()
    shown: dict[str, Any] = {}
    if release.get("rollout"):
        rollout = _rollout(client, domain, release)
        decision = decision_of(rollout)
        if decision is None:
            context.log.info(f"{one_line(rollout)}: not decided, nothing to materialize")
            yield dg.AssetCheckResult(
                check_name=CANARY_CHECK,
                passed=True,
                metadata={"decision": "open", "state": rollout["state"]},
            )
            return
        verdict = Verdict(decision, f"{rollout['state']}: {rollout['reason']}", ())
        if decision == "promoted" and _route(client, domain)["champion"] != release["adapter"]:
            verdict = Verdict("rolled_back", "rolled back by a person after its promotion", ())
        shown = evidence_facts(rollout)
    else:
        rows = sample(
            lakefs.read_records(one(eval_set, "eval_set", domain)),
            platform().canary_of(domain).replay_rows,
        )
        verdict = _replayed(client, domain, release, rows)
    promoted = verdict.decision == "promoted"

    now = _route(client, domain)
    ours = promoted and now["champion"] == release["adapter"]
    adapter_ref = (
        release["adapter_ref"] if ours else _champion_ref(context, domain, now["champion"])
    )
    # The gateway has decided; the registry follows, now or later.
    behind = _aliases_behind(context, registry, domain, now["champion"])
    lineage = lakefs.read_json(Ref(**adapter_ref), "lineage.json") if adapter_ref else {}
    if lineage:
        lakefs.move_tag(champion_tag(domain), Ref(**lineage["corpus"]))
    record = {
        "champion": now["champion"],
        "previous": now["previous"],
        "candidate": release["adapter"],
        "adapter_ref": adapter_ref,
        "verdict": {**verdict.to_dict(), **({"rollout": rollout} if shown else {})},
    }
    ref = publish(context, lakefs, {"release": release_ref}, {"deployment.json": record})
    facts = {
        "champion": now["champion"] or "none",
        "previous": now["previous"] or "none",
        "candidate": release["adapter"],
        "decision": verdict.decision,
        "reason": verdict.reason,
        "training_weeks": dg.MetadataValue.json(lineage.get("weeks", [])),
        "adapter_ref": dg.MetadataValue.json(adapter_ref or {}),
        "routing_generation": client.routing()["generation"],
        "gateway": dg.MetadataValue.url(f"{gateway.url}/v1/models"),
        BEHIND: behind,
        **(shown or {"rules": _rules(verdict)}),
    }
    result = materialized(context, lakefs, {domain: ref}, {domain: facts})
    check = dg.AssetCheckResult(
        check_name=CANARY_CHECK,
        passed=promoted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "decision": verdict.decision,
            "reason": verdict.reason,
            "candidate": release["adapter"],
        },
    )
    yield result._replace(check_results=[check])


def champion_tag(domain: str) -> str:
    """The lakeFS tag on the corpus that the champion of a domain learned from."""
    return f"champion-{domain}"


def evidence_facts(rollout: Mapping[str, Any]) -> dict[str, Any]:
    """A rollout on a page: both arms, what can decide, the curve, and how it went."""
    facts = {
        "outcome": outcome_of(rollout) or "open",
        "rollout_state": rollout["state"],
        "arms": markdown_table(*arms_table(rollout)),
        "evidence": markdown_table(*evidence_table(rollout)),
        "history": markdown_table(*history_table(rollout)),
    }
    if svg := evidence_chart(rollout):
        facts["log_evidence"] = picture(svg, "log evidence over reactions")
    return facts


def _rules(verdict: Verdict) -> dg.MetadataValue:
    return markdown_table(
        ["rule", "value", "limit", "passed"],
        [[r.rule, f"{r.value:.3f}", r.limit, r.passed] for r in verdict.rules],
    )


def _rollout(client: GatewayClient, domain: str, release: Mapping[str, Any]) -> dict[str, Any]:
    rollout = client.rollout(domain)
    if rollout["rollout"] != release["rollout"]:
        raise dg.Failure(
            f"the gateway follows {rollout['rollout']} of {rollout['candidate']}, not "
            f"{release['rollout']} of {release['adapter']}; materialize canary_release first",
            allow_retries=False,
        )
    return rollout


def _replayed(
    client: GatewayClient, domain: str, release: Mapping[str, Any], rows: list[dict[str, Any]]
) -> Verdict:
    """Judge the canary by replay, and make the routing so."""
    route = _route(client, domain)
    name, champion = release["adapter"], route["champion"]
    if champion == name:
        return Verdict("promoted", "it is the champion already", ())
    if route["canary"] != name:
        raise dg.Failure(
            f"{name} is not the canary of {domain} (that is {route['canary']}); "
            "materialize canary_release first",
            allow_retries=False,
        )
    canary = _replay(client, name, rows)
    limits = _limits(domain)
    verdict = judge(canary, _replay(client, champion, rows) if champion else None, limits)
    if verdict.decision == "promoted":
        client.route(domain, champion=name, previous=champion, canary=None, share=0.0)
    else:
        client.route(domain, champion=champion, previous=route["previous"], canary=None, share=0.0)
    return verdict


def _aliases_behind(
    context: dg.AssetExecutionContext, registry: ModelRegistry, domain: str, champion: str | None
) -> bool:
    """Point the registry at the champion; True when it did not answer: tried again later."""
    try:
        registry.follow(domain, champion)
    except ConnectionError as error:
        context.log.warning(f"the aliases of {domain} are set later: {error}")
        return True
    return False


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


def _limits(domain: str) -> Limits:
    settings = platform().canary_of(domain)
    return Limits(
        settings.max_error_share,
        settings.max_empty_share,
        settings.max_latency_ratio,
        settings.max_loss_gap_nats,
    )


def adapter_event(
    instance: dg.DagsterInstance, domain: str, name: str | None
) -> dg.AssetMaterialization | None:
    """The event that made the adapter of this name, or None."""
    if name is None:
        return None
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("lora_adapter"), asset_partitions=[domain]),
        limit=100,
    ).records
    events = (record.asset_materialization for record in records)
    return next((e for e in events if e and facts_of(e)["adapter"] == name), None)


def _champion_ref(
    context: dg.AssetExecutionContext, domain: str, name: str | None
) -> dict[str, str] | None:
    event = adapter_event(context.instance, domain, name)
    return facts_of(event).get("ref")


def _mlflow_run(context: dg.AssetExecutionContext, domain: str, name: str) -> str:
    event = adapter_event(context.instance, domain, name)
    if event is None:
        raise dg.Failure(f"no materialization of lora_adapter[{domain}] made {name}")
    return str(facts_of(event)["mlflow_run_id"])


def publish(
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
