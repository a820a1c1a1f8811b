"""The candidate against the base and against the champion, on the same rows."""

import json
from pathlib import Path
from typing import Any

import dagster as dg

from ft_assets.evaluation.checks import GATE_CHECK, gate_result, rules
from ft_assets.evaluation.compare import judge
from ft_assets.evaluation.report import EvalReport, as_html, as_markdown
from ft_assets.partitions import domains
from ft_assets.publishing import Refs, facts_of, materialized, newest, one, open_draft
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import ModelRegistry
from ft_resources.trainer import LocalTrainer

DEPLOYED = dg.AssetKey("deployed_model")
REPORT, DECISION, SCORES = "report.html", "decision.json", "scores.json"


@dg.asset(
    partitions_def=domains,
    group_name="evaluation",
    kinds={"lakefs", "pytorch", "mlflow"},
    code_version="1",
    check_specs=[GATE_CHECK],
)
def eval_report(
    context: dg.AssetExecutionContext,
    lora_adapter: Refs,
    eval_set: Refs,
    base_model: Ref,
    lakefs: LakeFS,
    trainer: LocalTrainer,
    registry: ModelRegistry,
) -> dg.MaterializeResult:
    """Losses and answers of base, champion and candidate, and whether the candidate may go on."""
    domain = context.partition_key
    adapter = one(lora_adapter, "lora_adapter", domain)
    rows = one(eval_set, "eval_set", domain)
    lineage = lakefs.read_json(adapter, "lineage.json")
    base = lakefs.read_json(base_model, "base.json")
    champion = _champion(context, lakefs, domain, base["digest"])
    refs = (
        {"candidate": adapter} if champion is None else {"champion": champion, "candidate": adapter}
    )
    with trainer.workspace() as work:
        scores = _score(context, lakefs, trainer, work, domain, base, rows, refs)

    settings = platform().evaluation
    decision, comparisons = judge(
        scores["arms"],
        margin=settings.margin_nats,
        min_rows=settings.min_rows,
        max_general_ratio=settings.max_general_ratio,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    names = {"base": base["digest"][:12]} | {
        arm: lakefs.read_json(ref, "lineage.json")["adapter"] for arm, ref in refs.items()
    }
    training = lineage["training"]
    report = EvalReport(
        domain,
        scores["arms"],
        names,
        decision,
        comparisons,
        training["train_loss"],
        training["validation_loss"],
    )
    inputs = {"lora_adapter": adapter, "eval_set": rows, "base_model": base_model}
    ref = _publish(context, lakefs, {**inputs, **refs}, report, scores)
    numbers = _numbers(report)
    registry.log_metrics(_mlflow_run(context, domain, lineage["adapter"]), numbers)
    facts = {
        "adapter": lineage["adapter"],
        "champion": names.get("champion", "none"),
        "gate": decision.outcome,
        **numbers,
        "rules": rules(decision),
        "summary": dg.MetadataValue.md(as_markdown(report)),
        "report": dg.MetadataValue.url(lakefs.object_url(ref, REPORT)),
    }
    result = materialized(context, lakefs, {domain: ref}, {domain: facts})
    return result._replace(check_results=[gate_result(lineage["adapter"], decision)])


def _champion(
    context: dg.AssetExecutionContext, lakefs: LakeFS, domain: str, base_digest: str
) -> Ref | None:
    """The adapter that serves, if it is one of this base: on another base it cannot be scored."""
    found = facts_of(newest(context.instance, DEPLOYED, domain)).get("adapter_ref")
    if not found:
        return None
    champion = Ref(**found)
    if lakefs.read_json(champion, "lineage.json")["base_digest"] != base_digest:
        context.log.warning("the champion was trained on another base; it is not compared")
        return None
    return champion


def _score(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    trainer: LocalTrainer,
    work: Path,
    domain: str,
    base: dict[str, Any],
    rows: Ref,
    refs: dict[str, Ref],
) -> dict[str, Any]:
    settings = platform()
    table = lakefs.read_table(rows)
    if len(table) > settings.evaluation.max_rows:
        few = table.sample(settings.evaluation.max_rows, random_state=settings.evaluation.seed)
        table = few.sort_index()
    (work / "rows.parquet").write_bytes(to_parquet(table))
    arms = {arm: str(lakefs.download(ref, work / arm)) for arm, ref in refs.items()}
    job = {
        "base": base["folder"],
        "base_digest": base["digest"],
        "threads": settings.adapters.threads,
        "general_text": base["general_text"],
        "generate": settings.evaluation.generate_rows,
        "max_new_tokens": settings.evaluation.max_new_tokens,
        "seed": settings.evaluation.seed,
        "jobs": [
            {
                "domain": domain,
                "rows": str(work / "rows.parquet"),
                "arms": {"base": None, **arms},
                "out": str(work / SCORES),
            }
        ],
    }
    trainer.run(context, "ft_assets.evaluation.score", job, work)
    return json.loads((work / SCORES).read_text("utf-8"))


def _publish(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    inputs: Refs,
    report: EvalReport,
    scores: dict[str, Any],
) -> Ref:
    record = {
        "adapter": report.names["candidate"],
        "outcome": report.decision.outcome,
        **report.to_dict(),
    }
    draft = open_draft(context, lakefs, lakefs.repository, inputs)
    prefix = f"eval_report/domain={report.domain}/"
    # Seconds differ between equal evaluations and would make everything downstream stale.
    kept = {name: value for name, value in scores.items() if not name.endswith("seconds")}
    draft.write(
        prefix,
        {
            REPORT: as_html(report).encode(),
            DECISION: json.dumps(record, indent=1, sort_keys=True).encode(),
            SCORES: json.dumps(kept, sort_keys=True).encode(),
        },
    )
    draft.commit(f"eval_report: {report.names['candidate']} {report.decision.outcome}")
    return draft.merge()[prefix]


def _numbers(report: EvalReport) -> dict[str, float]:
    """Name -> value of what a metric store or a summary keeps; what has no value is left out."""
    numbers: dict[str, float | None] = {"eval_rows": float(len(report.arms["base"]["rows"]))}
    for arm, found in report.arms.items():
        numbers[f"perplexity_{arm}"] = found["perplexity"]
        numbers[f"general_perplexity_{arm}"] = (found["general"] or {}).get("perplexity")
        for metric in ("rouge_l", "bleu", "exact_match", "token_f1"):
            numbers[f"{metric}_{arm}"] = (found["answers"] or {}).get(metric)
    return {name: value for name, value in numbers.items() if value is not None}


def _mlflow_run(context: dg.AssetExecutionContext, domain: str, adapter: str) -> str:
    facts = facts_of(newest(context.instance, dg.AssetKey("lora_adapter"), domain))
    if facts.get("adapter") != adapter:
        raise dg.Failure(f"lora_adapter[{domain}] changed while it was evaluated; run it again")
    return str(facts["mlflow_run_id"])
