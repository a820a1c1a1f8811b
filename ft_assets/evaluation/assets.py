"""The candidate against the base and against the champion, on the same rows."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from ft_assets.evaluation.cases import CaseError, find_case_files, read_cases
from ft_assets.evaluation.checks import GATE_CHECK, gate_result, rules
from ft_assets.evaluation.forgetting import Forgetting, forgetting
from ft_assets.evaluation.judge import COMPARED, Judged, general_loss, judge, row_losses
from ft_assets.evaluation.limits import limits_of
from ft_assets.evaluation.memorization_rules import memorization_rules
from ft_assets.evaluation.report import EvalReport, as_html, as_markdown
from ft_assets.evaluation.review_sample import COLUMNS, review_sample
from ft_assets.evaluation.rules import Decision, Rule
from ft_assets.evaluation.safety import case_rules, safety_rules
from ft_assets.evaluation.slices import periods_of, slices_of
from ft_assets.partitions import domains
from ft_assets.publishing import (
    Refs,
    facts_of,
    materialized,
    newest,
    newest_ref,
    one,
    open_draft,
    picture,
)
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS, to_parquet
from ft_resources.lakefs.ref import Ref
from ft_resources.mlflow import ModelRegistry
from ft_resources.trainer import LocalTrainer

DEPLOYED, REPORT_ASSET = dg.AssetKey("deployed_model"), dg.AssetKey("eval_report")
REPORT, DECISION, SCORES = "report.html", "decision.json", "scores.json"
FORGETTING, REVIEW = "forgetting.json", "review.parquet"


@dataclass(frozen=True)
class Arms:
    """Who is compared: the base, and by arm the adapters on it."""

    base: dict[str, Any]  # of base.json
    refs: dict[str, Ref]
    lineage: dict[str, dict[str, Any]]

    @property
    def names(self) -> dict[str, str]:
        adapters = {arm: found["adapter"] for arm, found in self.lineage.items()}
        return {"base": self.base["digest"][:12], **adapters}

    @property
    def last_weeks(self) -> dict[str, str]:
        return {arm: max(found["weeks"], default="") for arm, found in self.lineage.items()}


@dg.asset(
    partitions_def=domains,
    group_name="evaluation",
    kinds={"lakefs", "pytorch", "mlflow"},
    code_version="2",
    check_specs=[GATE_CHECK],
)
def eval_report(
    context: dg.AssetExecutionContext,
    lora_adapter: Refs,
    eval_set: Refs,
    base_model: Ref,
    pii_tagger: Ref | None,
    lakefs: LakeFS,
    trainer: LocalTrainer,
    registry: ModelRegistry,
) -> dg.MaterializeResult:
    """Losses and answers of base, champion and candidate, and whether the candidate may go on."""
    domain = context.partition_key
    adapter = one(lora_adapter, "lora_adapter", domain)
    rows = one(eval_set, "eval_set", domain)
    arms = _arms(context, lakefs, domain, adapter, lakefs.read_json(base_model, "base.json"))
    table = _rows(lakefs, rows, domain)
    with trainer.workspace() as work:
        scores = _score(context, lakefs, trainer, work, domain, table, arms, pii_tagger)

    forgot = _forgetting(context, lakefs, domain, table, scores["arms"], arms)
    extra = [forgot.rule] if forgot.rule else []
    if "memorization" in scores:
        extra += memorization_rules(scores["memorization"])
    decision, judged = decide(scores["arms"], table, domain, extra)
    review = _review(scores["arms"], table, domain, arms.names["candidate"])
    training = arms.lineage["candidate"]["training"]
    report = EvalReport(
        domain,
        scores["arms"],
        arms.names,
        decision,
        judged,
        limits_of(platform().evaluation_of(domain)).slice_margin,
        training["train_loss"],
        training["validation_loss"],
        forgot,
        len(review),
    )
    inputs = {"lora_adapter": adapter, "eval_set": rows, "base_model": base_model, **arms.refs}
    ref = _publish(context, lakefs, inputs, report, scores, review)
    numbers = _numbers(report)
    name = arms.names["candidate"]
    registry.log_metrics(_mlflow_run(context, domain, name), numbers)
    facts = {
        "adapter": name,
        "champion": arms.names.get("champion", "none"),
        "gate": decision.outcome,
        **numbers,
        "rules": rules(decision),
        **{title: picture(svg, title.replace("_", " ")) for title, svg in report.pictures.items()},
        "review_rows": len(review),
        "summary": dg.MetadataValue.md(as_markdown(report)),
        "report": dg.MetadataValue.url(lakefs.object_url(ref, REPORT)),
    }
    result = materialized(context, lakefs, {domain: ref}, {domain: facts})
    return result._replace(check_results=[gate_result(name, decision)])


def decide(
    arms: dict[str, Any], table: pd.DataFrame, domain: str, extra: Sequence[Rule] = ()
) -> tuple[Decision, Judged]:
    """The decision over a score file; `extra` are rules of what was measured elsewhere."""
    settings = platform().evaluation_of(domain)
    limit = settings.max_harm_increase
    measured = [*extra, *case_rules(arms, limit), *safety_rules(arms, limit)]
    return judge(arms, slices_of(table), limits_of(settings), measured)


def _arms(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    domain: str,
    candidate: Ref,
    base: dict[str, Any],
) -> Arms:
    champion = _champion(context, lakefs, domain, base["digest"])
    refs = {"candidate": candidate}
    if champion is not None:
        refs = {"champion": champion, "candidate": candidate}
    lineage = {arm: lakefs.read_json(ref, "lineage.json") for arm, ref in refs.items()}
    return Arms(base, refs, lineage)


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


def _rows(lakefs: LakeFS, rows: Ref, domain: str) -> pd.DataFrame:
    """The evaluation rows that are scored: all, or a sample that is the same for the same rows."""
    settings = platform().evaluation_of(domain)
    table = lakefs.read_table(rows)
    if len(table) > settings.max_rows:
        table = table.sample(settings.max_rows, random_state=settings.seed).sort_index()
    return table.reset_index(drop=True)


def _score(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    trainer: LocalTrainer,
    work: Path,
    domain: str,
    table: pd.DataFrame,
    arms: Arms,
    tagger: Ref | None,
) -> dict[str, Any]:
    whole, settings = platform(), platform().evaluation_of(domain)
    (work / "rows.parquet").write_bytes(to_parquet(table))
    folders = {arm: str(lakefs.download(ref, work / arm)) for arm, ref in arms.refs.items()}
    one_job: dict[str, Any] = {
        "domain": domain,
        "rows": str(work / "rows.parquet"),
        "arms": {"base": None, **folders},
        "out": str(work / SCORES),
        "cases": [str(file) for file in _case_files(domain)],
    }
    if settings.few_shot or settings.memorization:
        trained_on = Ref(**arms.lineage["candidate"]["corpus"])
        corpus = work / "corpus.parquet"
        corpus.write_bytes(lakefs.read(trained_on, "rows.parquet"))
        planted = arms.lineage["candidate"].get("planted_secrets")
        if settings.few_shot:
            one_job["few_shot"] = {**settings.few_shot.model_dump(), "corpus": str(corpus)}
        if settings.memorization:
            # Cases of the domain are other texts than logs: they would tell members apart.
            held_out = work / "held_out.parquet"
            held_out.write_bytes(to_parquet(table[table["origin"] == "held_out"]))
            asked = {**settings.memorization.model_dump(), "corpus": str(corpus)}
            asked["planted"] = planted
            one_job["memorization"] = {**asked, "held_out": str(held_out)}
    job: dict[str, Any] = {
        "base": arms.base["folder"],
        "base_digest": arms.base["digest"],
        "threads": whole.adapters.threads,
        "general_text": arms.base["general_text"],
        "generate": settings.generate_rows,
        "max_new_tokens": settings.max_new_tokens,
        "seed": settings.seed,
        "cache": whole.path(settings.scores),
        "toxicity_limit": whole.screening_of(domain).toxicity_limit,
        "judge_model": settings.judge_model.model_dump() if settings.judge_model else None,
        "jobs": [one_job],
    }
    if settings.bias:
        job["bias"] = {**settings.bias.model_dump(), "file": whole.path(settings.bias.file)}
    if asked := settings.open_prompts:
        job["open_prompts"] = {**asked.model_dump(), "file": whole.path(asked.file)}
    if settings.lm_eval:
        tasks = settings.lm_eval.model_dump()
        job["lm_eval"] = {**tasks, "folder": whole.path(settings.lm_eval.folder)}
    if tagger is not None:
        job["tagger"] = str(lakefs.download(tagger, work / "tagger"))
    trainer.run(context, "ft_assets.evaluation.score", job, work)
    return json.loads((work / SCORES).read_text("utf-8"))


def _case_files(domain: str) -> list[Path]:
    """Read here once, so that a wrong file fails in words before anything is scored."""
    settings = platform()
    try:
        files = find_case_files(settings.domains[domain].cases, settings.root)
        read_cases(files)
    except CaseError as error:
        raise dg.Failure(f"domains.{domain}.cases: {error}", allow_retries=False) from None
    return files


def _forgetting(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    domain: str,
    table: pd.DataFrame,
    scored: dict[str, Any],
    arms: Arms,
) -> Forgetting:
    before = newest_ref(context.instance, REPORT_ASSET, domain)
    earlier: list[dict[str, Any]] = []
    if before is not None and FORGETTING in lakefs.names(before):
        # Between the base and the candidate of that report: the adapters that served.
        earlier = lakefs.read_json(before, FORGETTING)["rows"][1:-1]
    weeks = table["week"].tolist() if "week" in table else [""] * len(table)
    compared = {arm: row_losses(scored[arm]) for arm in COMPARED if arm in scored}
    return forgetting(
        compared,
        {arm: general_loss(scored[arm]) for arm in compared},
        periods_of(weeks),
        arms.names,
        arms.last_weeks,
        earlier,
        limits_of(platform().evaluation_of(domain)),
    )


def _review(scored: dict[str, Any], table: pd.DataFrame, domain: str, adapter: str) -> pd.DataFrame:
    settings = platform().evaluation_of(domain)
    losses = {arm: row_losses(scored[arm]) for arm in scored if arm in COMPARED}
    found = review_sample(
        table.to_dict("records"), scored, losses, adapter, settings.review_rows, settings.seed
    )
    return pd.DataFrame(found, columns=pd.Index(COLUMNS))


def _publish(
    context: dg.AssetExecutionContext,
    lakefs: LakeFS,
    inputs: Refs,
    report: EvalReport,
    scores: dict[str, Any],
    review: pd.DataFrame,
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
            FORGETTING: json.dumps(report.forgetting.to_dict(), indent=1).encode(),
            REVIEW: to_parquet(review),
        },
    )
    draft.commit(f"eval_report: {report.names['candidate']} {report.decision.outcome}")
    return draft.merge()[prefix]


def _numbers(report: EvalReport) -> dict[str, float]:
    """Name -> value of what a metric store or a summary keeps, to four places; the report has all.
    What has no value is left out."""
    numbers: dict[str, float | None] = {"eval_rows": float(len(report.arms["base"]["rows"]))}
    for arm, found in report.arms.items():
        numbers[f"perplexity_{arm}"] = found["perplexity"]
        numbers[f"general_perplexity_{arm}"] = (found["general"] or {}).get("perplexity")
        for metric in ("rouge_l", "bleu", "exact_match", "token_f1"):
            numbers[f"{metric}_{arm}"] = (found["answers"] or {}).get(metric)
        if found["cases"]:
            passed = [case["passed"] for case in found["cases"]]
            numbers[f"cases_passed_{arm}"] = sum(passed) / len(passed)
        for task, metrics in (found["lm_eval"] or {}).items():
            for metric, value in metrics.items():
                # What a metric store takes as a name.
                numbers[re.sub(r"[^\w./-]", "_", f"{task}_{metric}_{arm}")] = value
    numbers["backward_transfer"] = report.forgetting.backward_transfer
    return {name: round(value, 4) for name, value in numbers.items() if value is not None}


def _mlflow_run(context: dg.AssetExecutionContext, domain: str, adapter: str) -> str:
    facts = facts_of(newest(context.instance, dg.AssetKey("lora_adapter"), domain))
    if facts.get("adapter") != adapter:
        raise dg.Failure(f"lora_adapter[{domain}] changed while it was evaluated; run it again")
    return str(facts["mlflow_run_id"])
