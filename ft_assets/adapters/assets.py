"""The frozen base model, and one LoRA adapter per domain trained on it."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from ft_assets.adapters.base_model import BaseSpec
from ft_assets.adapters.cost import Prices, cost_of, summary
from ft_assets.adapters.environment import file_digest, machine, versions
from ft_assets.adapters.loss_curve import loss_curve
from ft_assets.adapters.planted_secrets import plant_into, seed_of
from ft_assets.adapters.privacy_ledger import Balance, spend_privacy
from ft_assets.adapters.recipe import load_recipe
from ft_assets.partitions import domains
from ft_assets.publishing import (
    Refs,
    facts_of,
    markdown_table,
    materialized,
    newest,
    newest_ref,
    one,
    open_draft,
    picture,
)
from ft_assets.settings import platform
from ft_resources.adapter_format import adapter_name
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import MlflowTracking
from ft_resources.trainer import LocalTrainer
from ft_resources.vault.raw_zone import RawZone

TRAINER_POOL = "trainer"
BASE_PREFIX = "base_model/"


@dg.asset(
    group_name="adapters",
    kinds={"lakefs", "pytorch"},
    code_version="1",
    pool=TRAINER_POOL,
)
def base_model(
    context: dg.AssetExecutionContext, lakefs: LakeFS, trainer: LocalTrainer
) -> dg.MaterializeResult:
    """The model that all adapters share: a local path, a hub id, or the tiny one made here."""
    settings = platform()
    with trainer.workspace() as work:
        out = work / "base.json"
        job = {
            **asdict(base_spec()),
            "cache": settings.path(settings.base_model.cache),
            "out": str(out),
        }
        trainer.run(context, "ft_assets.adapters.base_model", job, work)
        made = json.loads(out.read_text("utf-8"))
    folder = Path(made["folder"])
    record = {"kind": settings.base_model.kind, **made}
    files = {"base.json": json.dumps(record, indent=1, sort_keys=True).encode()}
    if settings.base_model.kind == "embedded":
        # Small enough to travel; other kinds stay where they are.
        files |= {f"model/{f.name}": f.read_bytes() for f in folder.iterdir() if f.is_file()}
    draft = open_draft(context, lakefs, lakefs.repository, {})
    draft.write(BASE_PREFIX, files)
    draft.commit(f"base_model: {settings.base_model.kind} {made['digest'][:12]}")
    ref = draft.merge()[BASE_PREFIX]
    facts = {
        "base_digest": made["digest"],
        "kind": settings.base_model.kind,
        "folder": dg.MetadataValue.path(str(folder)),
        "files": markdown_table(["file", "bytes"], [[n, len(b)] for n, b in sorted(files.items())]),
    }
    return materialized(context, lakefs, {None: ref}, {None: facts})


class AdapterConfig(dg.Config):
    """Launch-time choice; empty means what platform.yaml says."""

    recipe: str = ""
    seed: int | None = None


@dg.asset(
    partitions_def=domains,
    group_name="adapters",
    kinds={"lakefs", "pytorch", "mlflow"},
    code_version="1",
    pool=TRAINER_POOL,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["preference_pairs"],  # read only where the recipe has a section `preference`
)
def lora_adapter(
    context: dg.AssetExecutionContext,
    config: AdapterConfig,
    training_corpus: Refs,
    base_model: Ref,
    lakefs: LakeFS,
    trainer: LocalTrainer,
    mlflow: MlflowTracking,
    raw_zone: RawZone,
) -> dg.MaterializeResult:
    """LoRA weights per domain, trained over the frozen base; all asked domains in one process."""
    settings = platform()
    recipe = load_recipe(config.recipe or settings.adapters.recipe)
    if recipe.method == "full":
        raise dg.Failure(
            f"recipe {recipe.name}: a full fine-tune is a model, not an adapter, and is not served "
            "as one; train it with `python -m ft_assets.adapters.train JOB.json` and name its "
            "folder as base_model (kind: path)",
            allow_retries=False,
        )
    seed = settings.adapters.seed if config.seed is None else config.seed
    base = lakefs.read_json(base_model, "base.json")
    refs: dict[str | None, Ref] = {}
    facts: dict[str | None, dict[str, Any]] = {}
    checkpoints = Path(settings.path(settings.adapters.checkpoints))
    with trainer.workspace() as work:
        jobs: list[dict[str, Any]] = []
        parents: dict[str, Ref] = {}
        planted: dict[str, dict[str, int]] = {}
        for domain in context.partition_keys:
            ref = one(training_corpus, "training_corpus", domain)
            corpus = work / f"{domain}.parquet"
            rows, encoded = lakefs.read(ref, "rows.parquet"), ref.digest
            if asked := settings.adapters.planted_secrets:
                planted[domain] = {
                    "seed": seed_of(ref.digest),
                    "planted": asked.secrets,
                    "copies": asked.copies,
                    "controls": asked.controls,
                }
                rows = plant_into(rows, planted[domain])
                encoded = hashlib.sha256(rows).hexdigest()
            corpus.write_bytes(rows)
            jobs.append(
                {
                    "domain": domain,
                    "corpus": str(corpus),
                    "tokens": {
                        "folder": f"{settings.path(settings.adapters.encoded)}/{domain}",
                        "corpus": encoded,
                    },
                    "out": str(work / "adapters" / domain),
                    "seed": seed,
                    "checkpoints": str(checkpoints / domain),
                }
            )
            parent = None if recipe.init == "fresh" else _parent(context, domain)
            if parent is not None:
                parents[domain] = parent
                jobs[-1]["parent"] = _parent_job(lakefs, parent, work / "parents" / domain)
        job = {
            "base": base["folder"],
            "base_digest": base["digest"],
            "recipe": recipe.to_dict(),
            "threads": settings.adapters.threads,
            "replay_text": base["general_text"],
            "energy_country": settings.costs.codecarbon_country,
            "jobs": jobs,
        }
        texts = {name: file_digest(Path(name)) for name in base["general_text"]}

        inputs = {f"parent of {domain}": ref for domain, ref in parents.items()}
        spent: dict[str, Balance] = {}
        if recipe.privacy:
            spent = spend_privacy(job, raw_zone, settings.adapters.privacy_budget)
            trainer.run(context, "ft_assets.adapters.private", job, work)
        else:
            trainer.run(context, "ft_assets.adapters.train", job, work)
        pairs = _newest_pairs(context) if recipe.preference else {}
        if recipe.preference:
            for one_job in jobs:
                file = work / f"{one_job['domain']}-pairs.parquet"
                file.write_bytes(lakefs.read(pairs[one_job["domain"]], "rows.parquet"))
                one_job |= {"adapter": one_job["out"], "pairs": str(file)}
            trainer.run(context, "ft_assets.adapters.preference", job, work)
            inputs |= {f"pairs of {domain}": ref for domain, ref in pairs.items()}
        draft = open_draft(
            context, lakefs, lakefs.repository, {**training_corpus, "base": base_model, **inputs}
        )
        trained = {}
        for job in jobs:
            domain, out = job["domain"], Path(job["out"])
            record = json.loads((out / "training.json").read_text("utf-8"))
            trained[domain] = record
            lineage = {
                "corpus": training_corpus[domain].to_dict(),
                "weeks": _corpus_weeks(context, domain, training_corpus[domain]),
                "base_model": base_model.to_dict(),
                "base_digest": base["digest"],
                "recipe": recipe.to_dict(),
                "seed": seed,
                "planted_secrets": planted.get(domain),
                "pairs": pairs[domain].to_dict() if recipe.preference else None,
                "versions": versions(),
                "general_text": texts,
                "adapter": adapter_name(domain, record["digest"]),
                "digest": record["digest"],
                "parent": {"digest": record["parent"], **parents[domain].to_dict()}
                if record["parent"]
                else None,
                "training": {k: v for k, v in record.items() if k not in MEASURED},
            }
            draft.write(
                _prefix(domain),
                {
                    **{name: (out / name).read_bytes() for name in ADAPTER_FILES},
                    "lineage.json": json.dumps(lineage, indent=1, sort_keys=True).encode(),
                },
            )
        draft.commit(f"lora_adapter: {', '.join(trained)} with recipe {recipe.name}"[:200])
        merged = draft.merge()
        for domain in trained:
            shutil.rmtree(checkpoints / domain, ignore_errors=True)  # a private one has none
        for domain, record in trained.items():
            refs[domain] = merged[_prefix(domain)]
            name = adapter_name(domain, record["digest"])
            cost = cost_of(record, Prices.of(settings.costs.model_dump()))
            run_id, page = mlflow.log_adapter(
                name,
                tags={
                    "domain": domain,
                    "adapter": name,
                    "dagster/run_id": context.run.run_id,
                    "lakefs/corpus": training_corpus[domain].uri,
                    "lakefs/adapter": refs[domain].uri,
                    "base_digest": base["digest"],
                },
                params={
                    **recipe.to_dict(),
                    "seed": seed,
                    "threads": settings.adapters.threads,
                    **versions(),
                    **machine(),
                },
                series={
                    "train_loss": record["train_loss"],
                    "validation_loss": record["validation_loss"],
                },
                metrics=cost.metrics(),
                datasets={"training_corpus": training_corpus[domain], "base_model": base_model},
                folder=work / "adapters" / domain,
            )
            facts[domain] = {
                "adapter": name,
                "digest": record["digest"],
                "base_digest": base["digest"],
                "chat_template": record["chat_template"],
                "corpus_uri": training_corpus[domain].uri,
                "recipe": recipe.name,
                "init": record["init"],
                "parent": record["parent"] or record["why_fresh"] or "none",
                "steps": record["steps"],
                "stopped_early": record["stopped_early"],
                "tokens": record["tokens"],
                "planted_secrets": dg.MetadataValue.json(planted.get(domain, {})),
                "seconds": record["seconds"],
                "cost": dg.MetadataValue.json(cost.to_dict()),
                "cost_summary": summary(cost),
                "loss": markdown_table(
                    ["step", "validation loss"],
                    [[s, f"{v:.3f}"] for s, v in record["validation_loss"]],
                ),
                "loss_curve": picture(
                    loss_curve(record["train_loss"], record["validation_loss"]), "loss over steps"
                ),
                **({"privacy_spent": spent[domain].epsilon} if domain in spent else {}),
                "mlflow_run_id": run_id,
                "mlflow_run": dg.MetadataValue.url(page),
            }
    return materialized(context, lakefs, refs, facts)


ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")
MEASURED = (  # differ run by run
    "seconds",
    "cpu_seconds",
    "tokens_per_second",
    "peak_memory_mib",
    "energy",
    "resumed_at",
    "checkpoints",
    "checkpoint_seconds",
)


def base_spec() -> BaseSpec:
    settings = platform()
    chosen = settings.base_model
    return BaseSpec(
        kind=chosen.kind,
        path=settings.path(chosen.path) if chosen.path else None,
        id=chosen.id,
        revision=chosen.revision,
        text=tuple(settings.path(text) for text in chosen.text),
        steps=chosen.steps,
        seed=chosen.seed,
        threads=settings.adapters.threads,
    )


def _parent(context: dg.AssetExecutionContext, domain: str) -> Ref | None:
    """The adapter to go on from: the one that serves, or the newest while none does."""
    deployed = facts_of(newest(context.instance, dg.AssetKey("deployed_model"), domain))
    if found := deployed.get("adapter_ref"):
        return Ref(**found)
    return newest_ref(context.instance, dg.AssetKey("lora_adapter"), domain)


def _parent_job(lakefs: LakeFS, parent: Ref, folder: Path) -> dict[str, Any]:
    lineage = lakefs.read_json(parent, "lineage.json")
    return {
        "folder": str(lakefs.download(parent, folder)),
        "digest": lineage["digest"],
        "base_digest": lineage["base_digest"],
        "weeks": lineage["weeks"],
    }


def _newest_pairs(context: dg.AssetExecutionContext) -> dict[str, Ref]:
    key = dg.AssetKey("preference_pairs")
    found = {domain: newest_ref(context.instance, key, domain) for domain in context.partition_keys}
    if missing := sorted(domain for domain, ref in found.items() if ref is None):
        raise dg.Failure(
            f"the recipe has a section preference, and there are no pairs of {', '.join(missing)}; "
            "materialize preference_pairs first",
            allow_retries=False,
        )
    return {domain: ref for domain, ref in found.items() if ref is not None}


def _prefix(domain: str) -> str:
    return f"lora_adapter/domain={domain}/"


def _corpus_weeks(context: dg.AssetExecutionContext, domain: str, corpus: Ref) -> list[str]:
    facts = facts_of(newest(context.instance, dg.AssetKey("training_corpus"), domain))
    if facts.get("ref") != corpus.to_dict():
        raise dg.Failure(f"training_corpus[{domain}] changed while it was read; run it again")
    return list(facts["weeks"])
