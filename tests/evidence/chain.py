"""The steps behind a deployment in small: assets of the real names that write what the real ones
write, through the real drafts, refs and event log; nothing is trained and nothing is served."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
from safetensors.numpy import save

from ft_assets.partitions import ALL_WEEKS, domain_weeks, domains
from ft_assets.publishing import count_metadata, materialized, open_draft
from ft_resources.adapter_format import adapter_digest, adapter_name
from ft_resources.adapter_manifest import VERSION
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.signing import sign
from ft_resources.vault.raw_zone import RawZone

DOMAIN, WEEK = "finance", "2026-08-31"
KEY = "signing-key-of-the-tests"
BASE = "b0" * 32
RULE = {"rule": "better than the base", "outcome": "passed", "value": -0.5, "low": -0.6}
COST = {
    **{"tokens": 10, "seconds": 2.0, "cpu_seconds": 3.0, "gpu_seconds": 0.0, "kwh": 1e-5},
    **{"co2e_grams": 4e-3, "money": 1e-4, "currency": "EUR", "peak_memory_mib": 9.0},
    "by": "price table",
}
USERS = [
    {"user_id": f"U-{n}", "training_consent": n != 2, "erasure_requested_at": None}
    for n in range(4)
]
GX = [dg.AssetCheckSpec("great_expectations", asset="training_corpus", blocking=True)]


def write(context, lakefs, path, files, inputs, facts=None, repository=None):
    draft = open_draft(context, lakefs, repository or lakefs.repository, inputs)
    draft.write(path, files)
    draft.commit(path)
    ref = draft.merge()[path]
    key = context.partition_key if context.has_partition_key else None
    return materialized(context, lakefs, {key: ref}, {key: facts or {}})


def as_json(record):
    return json.dumps(record).encode()


@dg.asset(partitions_def=domain_weeks)
def raw_logs(context, lakefs: LakeFS):
    facts = count_metadata(9, 6, 2, {"erased": 1}) | {
        "quarantine_counts": dg.MetadataValue.json({"bad_timestamp": 2})
    }
    path = f"raw_logs/domain={DOMAIN}/week={WEEK}/"
    return write(context, lakefs, path, {"x": b"1"}, {}, facts, lakefs.raw_repository)


@dg.asset(partitions_def=domains)
def raw_users(context, lakefs: LakeFS, raw_zone: RawZone):
    path = f"raw_users/domain={DOMAIN}/"
    sealed = raw_zone.write_rows(path, f"{DOMAIN}/users", USERS)
    return write(context, lakefs, path, {"rows.enc": sealed.data}, {}, None, lakefs.raw_repository)


@dg.asset
def pii_tagger(context, lakefs: LakeFS):
    return write(context, lakefs, "pii_tagger/", {"tagger.json": as_json({"kind": "none"})}, {})


@dg.asset(partitions_def=domain_weeks)
def anonymized_logs(context, lakefs: LakeFS, raw_logs, pii_tagger):
    facts = count_metadata(6, 5, 0, {"too_short": 1}) | {
        "identifiers_masked": 7,
        "operators": dg.MetadataValue.json({"EMAIL": {"operator": "placeholder"}}),
    }
    path = f"anonymized_logs/domain={DOMAIN}/week={WEEK}/"
    inputs = {**raw_logs, "pii_tagger": pii_tagger}
    return write(context, lakefs, path, {"x": b"2"}, inputs, facts)


@dg.asset(partitions_def=domains, ins={"anonymized_logs": ALL_WEEKS}, check_specs=GX)
def training_corpus(context, lakefs: LakeFS, pseudonyms: Pseudonyms, anonymized_logs, raw_users):
    owners = [f"user:{pseudonyms.of('user', f'U-{n}')}" for n in (0, 1, 1)]
    table = pd.DataFrame(
        {
            "row_id": ["secret-row-1", "secret-row-2", "secret-row-3", "secret-row-4"],
            "kind": ["log", "log", "log", "document"],
            "split": ["train", "train", "validation", "train"],
            "week": [WEEK, WEEK, WEEK, ""],
            "group": [*owners, "document:handbook-of-secrets"],
            "license": ["", "", "CC0", "MIT"],
            "replayed": [False] * 4,
            "prompt": ["how do I tell a secret?"] * 4,
        }
    )
    facts = count_metadata(9, 4, 0, {"no_consent": 3, "near_duplicate": 2}) | {
        "dropped_by_kind": dg.MetadataValue.json({"log": {"no_consent": 3, "near_duplicate": 2}})
    }
    inputs = {**anonymized_logs, "users": raw_users[DOMAIN]}
    path = f"training_corpus/domain={DOMAIN}/"
    result = write(context, lakefs, path, {"rows.parquet": to_parquet(table)}, inputs, facts)
    check = dg.AssetCheckResult(
        check_name="great_expectations",
        passed=True,
        metadata={"expectations": 12, "failed": 0, "rows": 4},
    )
    return result._replace(check_results=[check])


@dg.asset
def base_model(context, lakefs: LakeFS):
    return write(context, lakefs, "base_model/", {"base.json": as_json({"digest": BASE})}, {})


def adapter_of(folder, corpus, base, number):
    """Files of an adapter of this number, and its name."""
    config = {"peft_type": "LORA", "r": 1}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(save({"x": np.full(1, number, "f4")}))
    digest = adapter_digest(folder, BASE)
    lineage = {
        **{"adapter": adapter_name(DOMAIN, digest), "digest": digest, "base_digest": BASE},
        **{"corpus": corpus.to_dict(), "base_model": base.to_dict(), "weeks": [WEEK]},
        **{"recipe": {"name": "tiny", "rank": 1, "device": "cpu", "precision": "fp32"}},
        **{"seed": 0, "versions": {"python": "3.11", "torch": "2.13.0"}, "parent": None},
        "training": {
            **{"domain": DOMAIN, "threads": 1, "steps": 2, "tokens": 10, "torch": "2.13.0"},
            **{"cpu_capability": "AVX2", "device": "cpu", "precision": "torch.float32"},
            **{"train_loss": [[1, 3.0], [2, 2.0]], "validation_loss": [[2, 2.5]]},
        },
    }
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    return {**files, "lineage.json": as_json(lineage)}, lineage["adapter"]


@dg.asset(partitions_def=domains, config_schema={"folder": str, "number": dg.Field(float)})
def lora_adapter(context, lakefs: LakeFS, training_corpus, base_model):
    files, name = adapter_of(
        Path(context.op_config["folder"]),
        training_corpus[DOMAIN],
        base_model,
        context.op_config["number"],
    )
    facts = {"adapter": name, "cost": dg.MetadataValue.json(COST)}
    inputs = {**training_corpus, "base": base_model}
    return write(context, lakefs, f"lora_adapter/domain={DOMAIN}/", files, inputs, facts)


@dg.asset(partitions_def=domains)
def eval_report(context, lakefs: LakeFS, lora_adapter):
    name = lakefs.read_json(lora_adapter[DOMAIN], "lineage.json")["adapter"]
    rule = {**RULE, "high": -0.4, "limit": -0.05, "says": "it is", "passed": True}
    decision = {
        **{"adapter": name, "outcome": "passed", "comparisons": {}, "names": {"candidate": name}},
        "decision": {"outcome": "passed", "rules": [rule]},
        "arms": {"base": {"perplexity": 100.0}, "candidate": {"perplexity": 50.0}},
    }
    facts = {"adapter": name, "gate": "passed"} | {
        "perplexity_base": 100.0,
        "perplexity_candidate": 50.0,
    }
    path = f"eval_report/domain={DOMAIN}/"
    files = {"decision.json": as_json(decision), "report.html": b"<html>"}
    return write(context, lakefs, path, files, {"lora_adapter": lora_adapter[DOMAIN]}, facts)


@dg.asset(partitions_def=domains)
def canary_release(context, lakefs: LakeFS, lora_adapter, eval_report):
    adapter, report = lora_adapter[DOMAIN], eval_report[DOMAIN]
    lineage = lakefs.read_json(adapter, "lineage.json")
    manifest = {
        **{"version": VERSION, "name": lineage["adapter"], "domain": DOMAIN, "generation": 1},
        **{"digest": lineage["digest"], "base_digest": BASE, "recipe": "tiny", "seed": 0},
        **{"corpus": Ref(**lineage["corpus"]).uri, "corpus_digest": lineage["corpus"]["digest"]},
        **{"eval_report": report.uri, "eval_report_digest": report.digest},
        "created_by_run": context.run.run_id,
    }
    files = {
        "release.json": as_json({"adapter": lineage["adapter"]}),
        "manifest.json": as_json(sign(manifest, KEY.encode())),
    }
    inputs = {"adapter": adapter, "report": report}
    return write(context, lakefs, f"canary_release/domain={DOMAIN}/", files, inputs)


@dg.asset(partitions_def=domains, config_schema={"promoted": dg.Field(bool, default_value=True)})
def deployed_model(context, lakefs: LakeFS, canary_release, lora_adapter):
    """Promotes the adapter, or keeps what the last deployment had."""
    adapter = lora_adapter[DOMAIN]
    name = lakefs.read_json(adapter, "lineage.json")["adapter"]
    promoted = context.op_config["promoted"]
    verdict = {"decision": "promoted" if promoted else "rolled_back", "reason": "so", "rules": []}
    record = {"champion": name, "adapter_ref": adapter.to_dict()}
    if not promoted:
        head = lakefs.head(lakefs.repository)
        last = Ref(lakefs.repository, head, f"deployed_model/domain={DOMAIN}/", "")
        kept = lakefs.read_json(last, "deployment.json")
        record = {name: kept[name] for name in ("champion", "adapter_ref")}
    files = {"deployment.json": as_json({**record, "candidate": name, "verdict": verdict})}
    inputs = {"release": canary_release[DOMAIN]}
    return write(context, lakefs, f"deployed_model/domain={DOMAIN}/", files, inputs)


WEEKLY = [raw_logs, anonymized_logs]
WHOLE = [pii_tagger, base_model]
BY_DOMAIN = [
    *(raw_users, training_corpus, lora_adapter, eval_report, canary_release, deployed_model),
]
