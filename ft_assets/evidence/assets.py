"""What is known of the model that serves, in one place that opens without any service."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from ft_assets.corpus.anonymize import consent_states
from ft_assets.corpus.tagger.choice import MODEL
from ft_assets.evidence.card import model_card
from ft_assets.evidence.facts import (
    Checked,
    Made,
    checks,
    consent,
    corpus_rows,
    masked,
    stages,
)
from ft_assets.evidence.page import render
from ft_assets.evidence.provenance import Step, behind, parse, trace
from ft_assets.evidence.stored import CARD, EVIDENCE, PAGE, prefix
from ft_assets.evidence.verify import verified
from ft_assets.partitions import domains
from ft_assets.publishing import (
    Refs,
    facts_of,
    markdown_table,
    materialized,
    one,
    open_draft,
)
from ft_resources.adapter_format import CONFIG, MANIFEST, WEIGHTS
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.signing import sign
from ft_resources.vault.raw_zone import RawZone

VERSION = 1
HOLDS = "evidence_holds"
EVENTS = 2000  # of one asset that are looked through for those of a lineage
NO_PERSON = "None is configured: gate and canary decide."


@dg.asset(
    partitions_def=domains,
    group_name="evidence",
    kinds={"lakefs"},
    code_version="1",
    check_specs=[
        dg.AssetCheckSpec(
            HOLDS,
            asset="evidence_pack",
            description="Digests, signature, bindings and consent were tested, and hold.",
        )
    ],
)
def evidence_pack(
    context: dg.AssetExecutionContext,
    deployed_model: Refs,
    lakefs: LakeFS,
    raw_zone: RawZone,
    pseudonyms: Pseudonyms,
    gateway: GatewayAccess,
) -> dg.MaterializeResult:
    """Model card and evidence of what serves: data, consent, checks, approval, cost, how to repeat
    it; one page and JSON, without personal data."""
    domain = context.partition_key
    deployed = one(deployed_model, "deployed_model", domain)
    deployment = lakefs.read_json(deployed, "deployment.json")
    if deployment["champion"] is None:
        passed = dg.AssetCheckResult(check_name=HOLDS, passed=True, metadata={"adapter": "none"})
        return dg.MaterializeResult(metadata={"adapter": "none"}, check_results=[passed])

    record = _record(
        context, lakefs, domain, deployed, deployment, raw_zone, pseudonyms, gateway.signing_key
    )
    signed = sign(record, gateway.signing_key.encode())
    files = {
        EVIDENCE: json.dumps(signed, indent=1, sort_keys=True).encode(),
        PAGE: render(signed).encode(),
        CARD: model_card(signed).encode(),
    }
    draft = open_draft(context, lakefs, lakefs.repository, {"deployed_model": deployed})
    draft.write(prefix(domain), files)
    draft.commit(f"evidence_pack: {record['adapter']['name']}")
    ref = draft.merge()[prefix(domain)]
    claims = markdown_table(
        ["claim", "holds", "value"],
        [[c["claim"], "yes" if c["holds"] else "NO", c["value"]] for c in record["verified"]],
    )
    facts = {
        "adapter": record["adapter"]["name"],
        "page": dg.MetadataValue.url(lakefs.object_url(ref, PAGE)),
        "json": dg.MetadataValue.url(lakefs.object_url(ref, EVIDENCE)),
        "model_card": dg.MetadataValue.url(lakefs.object_url(ref, CARD)),
        "weeks": ", ".join(record["weeks"]),
        "verified": claims,
        "steps_behind_it": len(record["lineage"]),
        "not_recorded": dg.MetadataValue.json(record["not_recorded"]),
        "reproduce": f"`{record['reproduce']['command']}`",
    }
    failing = [c["claim"] for c in record["verified"] if not c["holds"]]
    check = dg.AssetCheckResult(
        check_name=HOLDS,
        passed=not failing,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"adapter": record["adapter"]["name"], "failing": failing, "claims": claims},
    )
    result = materialized(context, lakefs, {domain: ref}, {domain: facts})
    return result._replace(check_results=[check])


def _record(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    domain: str,
    deployed: Ref,
    deployment: Mapping[str, Any],
    raw_zone: RawZone,
    pseudonyms: Pseudonyms,
    key: str,
) -> dict[str, Any]:
    name = deployment["champion"]
    adapter = Ref(**deployment["adapter_ref"])
    lineage = lakefs.read_json(adapter, "lineage.json")
    promotion = _promotion(lakefs, deployed, name)
    steps = trace(lakefs.history, [promotion.uri], lambda step: _is_another(step, adapter.uri))
    [release] = [s for s in steps if s.address in steps[-1].inputs and s.asset == "canary_release"]
    manifest = _manifest(lakefs, _ref(release.address))
    report, corpus = _ref(manifest["eval_report"]), _ref(manifest["corpus"])
    decision = lakefs.read_json(report, "decision.json")
    own = [step for step in steps if not _is_another(step, adapter.uri)]
    made = _made(context.instance, own)
    runs = {s.run: context.instance.get_run_by_id(s.run) for s in own if s.asset in APPROVED}
    table = lakefs.read_table(corpus)
    data = behind(steps, [corpus.uri])
    [users] = [s for s in data if s.asset == "raw_users" and s.address in data[-1].inputs]
    rows = raw_zone.read_rows(lakefs, _ref(users.address)).rows
    subjects = consent(table, consent_states(rows, pseudonyms.of))
    training, composed = made.get(adapter.uri), made.get(corpus.uri)
    with TemporaryDirectory() as folder:
        files = lakefs.download(adapter, Path(folder))
        claims = verified(
            adapter=files,
            lineage=lineage,
            manifest=manifest,
            decision=decision,
            report=_objects(lakefs, report),
            corpus=_objects(lakefs, corpus),
            consent=subjects,
            key=key.encode(),
        )
    # What two assets read at different commits, unchanged, is one step to count.
    once = {(s.asset, s.partition, s.run): s.address for s in data}
    counted = [made[address] for address in once.values() if address in made]
    promoted = lakefs.read_json(promotion, "deployment.json")
    return {
        "version": VERSION,
        "adapter": {
            "name": name,
            "domain": domain,
            "digest": lineage["digest"],
            "base_digest": lineage["base_digest"],
            "recipe": lineage["recipe"],
            "seed": lineage["seed"],
            "address": adapter.uri,
            "training": lineage["training"],
        },
        "manifest": manifest,
        "weeks": lineage["weeks"],
        "data": {
            **corpus_rows(table),
            "dropped": dict(composed.facts["dropped"]) if composed else {},
            "dropped_by_kind": dict(composed.facts["dropped_by_kind"]) if composed else {},
            "stages": stages(counted),
        },
        "consent": subjects,
        "checks": checks(_checked(context.instance, own)),
        "gate": {
            "outcome": decision["outcome"],
            "rules": decision["decision"]["rules"],
            "comparisons": decision["comparisons"],
            "models": decision["names"],
            "perplexity": {arm: found["perplexity"] for arm, found in decision["arms"].items()},
        },
        "canary": promoted["verdict"],
        "privacy": {
            **masked(counted),
            "tagger": _tagger(lakefs, data),
            "differential_privacy": lineage["training"].get("privacy"),
        },
        "approval": {
            "gate": decision["outcome"],
            "canary": promoted["verdict"]["decision"],
            "person": NO_PERSON,
            "runs": [_launch(s, runs[s.run]) for s in own if s.asset in APPROVED],
        },
        "cost": training.facts.get("cost") if training else None,
        "lineage": [step.to_dict() for step in steps],
        "not_recorded": sorted(f"{s.asset}[{s.partition}]" for s in own if s.address not in made),
        "verified": claims,
        "reproduce": {
            "command": f"ft reproduce {name} --platform platform.yaml",
            "expected_sha256": {
                name: _sha256(lakefs.read(adapter, name)) for name in (WEIGHTS, CONFIG)
            },
            "versions": lineage.get("versions", {}),
            "cpu_capability": lineage["training"]["cpu_capability"],
            "threads": lineage["training"]["threads"],
        },
    }


APPROVED = frozenset({"lora_adapter", "eval_report", "canary_release", "deployed_model"})


def _is_another(step: Step, address: str) -> bool:
    """Adapters it went on from or was compared with: named, but their lineage is their own."""
    return step.asset == "lora_adapter" and step.address != address


def _promotion(lakefs: LakeFS, deployed: Ref, name: str) -> Ref:
    """The newest deployment that promoted the adapter: later candidates may have been refused."""
    for written in lakefs.history(deployed.repository, deployed.commit, deployed.path):
        ref = Ref(deployed.repository, written.commit, deployed.path, "")
        record = lakefs.read_json(ref, "deployment.json")
        if record["champion"] == record["candidate"] == name:
            return ref
    raise dg.Failure(f"no deployment has promoted {name}; materialize deployed_model again")


def _manifest(lakefs: LakeFS, release: Ref) -> dict[str, Any]:
    try:
        return lakefs.read_json(release, MANIFEST)
    except FileNotFoundError:
        raise dg.Failure(
            f"{release.uri} has no signed manifest: it was released before manifests were kept; "
            "materialize canary_release and deployed_model again",
            allow_retries=False,
        ) from None


def _ref(address: str) -> Ref:
    return Ref(*parse(address), "")


def _objects(lakefs: LakeFS, ref: Ref) -> dict[str, bytes]:
    return {name: lakefs.read(ref, name) for name in lakefs.names(ref)}


def _made(instance: dg.DagsterInstance, steps: Sequence[Step]) -> dict[str, Made]:
    """What Dagster recorded of the steps, by address; nothing of one that it does not know."""
    wanted: dict[str, dict[tuple[str, str], list[str]]] = {}
    for step in steps:
        by_run = wanted.setdefault(step.asset, {})
        by_run.setdefault((step.run, step.partition), []).append(step.address)
    found: dict[str, Made] = {}
    for asset, by_run in wanted.items():
        records = instance.fetch_materializations(_selected(asset, by_run), limit=EVENTS).records
        for record in records:
            place = record.run_id, record.partition_key or ""
            if place in by_run:
                facts = facts_of(record.asset_materialization)
                for address in by_run[place]:
                    found.setdefault(address, Made(asset, place[1], facts))
    return found


def _selected(asset: str, by_run: Iterable[tuple[str, str]]) -> dg.AssetKey | dg.AssetRecordsFilter:
    partitions = sorted({partition for _, partition in by_run if partition})
    if not partitions:
        return dg.AssetKey(asset)
    return dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=partitions)


def _checked(instance: dg.DagsterInstance, steps: Sequence[Step]) -> list[Checked]:
    """The evaluations of the runs that made the steps, of the assets they made."""
    assets: dict[str, set[str]] = {}
    for step in steps:
        assets.setdefault(step.run, set()).add(step.asset)
    found = []
    for run in sorted(assets):
        for record in instance.get_records_for_run(
            run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records:
            event = record.event_log_entry.asset_check_evaluation
            if event and (asset := event.asset_key.to_user_string()) in assets[run]:
                facts = {name: value.value for name, value in event.metadata.items()}
                found.append(
                    Checked(asset, event.check_name, event.passed, bool(event.blocking), run, facts)
                )
    return found


def _launch(step: Step, run: dg.DagsterRun | None) -> dict[str, str]:
    """Which run made a step, and what started it."""
    tags = run.tags if run else {}
    by = "a person or program without a name (no `user` tag on the run)"
    if not run:
        by = "not known: Dagster has no such run any more"
    for tag, what in LAUNCHED_BY.items():
        if tag in tags:
            by = f"{what} {tags[tag]}"
            break
    return {"asset": step.asset, "run": step.run, "by": by, "cause": tags.get("ft/trigger", "")}


LAUNCHED_BY = {
    "dagster/sensor_name": "sensor",
    "dagster/schedule_name": "schedule",
    "dagster/backfill": "backfill",
    "user": "user",
}


def _tagger(lakefs: LakeFS, steps: Sequence[Step]) -> dict[str, Any]:
    """Which tagger of names the newest of the steps used, and its scores on development data."""
    from ft_assets.corpus.tagger.model_file import from_bytes

    taggers = [step for step in steps if step.asset == "pii_tagger"]
    if not taggers:
        return {"kind": "none"}
    ref = _ref(taggers[-1].address)
    found: dict[str, Any] = {"address": ref.uri, "versions": len(taggers)}
    if MODEL not in lakefs.names(ref):
        return {"kind": "not trained here", **found}
    content = lakefs.read(ref, MODEL)
    known = from_bytes(content)[1]
    return {
        "kind": "trained",
        "sha256": _sha256(content),
        "threshold": known.threshold,
        "scores": known.scores,
        **found,
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
