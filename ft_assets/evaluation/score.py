"""Score several adapters of one base on the same rows, in one process.

    python -m ft_assets.evaluation.score JOB.json

JOB.json: {"base": folder, "base_digest": hex, "threads": n, "general_text": [files], "generate":
rows, "max_new_tokens": n, "seed": n, "jobs": [{"domain", "rows": Parquet, "arms": {"base": null,
"champion": folder | null, "candidate": folder}, "out": file}, ...]}. An arm that is null is the
base alone; leave an arm out that does not exist. May be left out: "cache": folder of
score_cache.py, "tagger": folder of the detector's files, "toxicity_limit": 0 to 1, "bias": {"file",
"pairs"}, "open_prompts": {"file", "prompts", "new_tokens"}, "judge_model": {"url", "model",
"timeout_seconds"}, "lm_eval" (lm_eval_tasks.py); and of one job "few_shot": {"corpus": Parquet,
"tokens", "examples", "rows"}, "cases": [files], "memorization": {"corpus": Parquet, "held_out":
Parquet, "rows": n, "planted": null or the arguments of secrets_of} (memorization.py, of the
candidate).

`out` holds per arm: rows [{row_id, nll, tokens}] in the order of the Parquet file (nll: sum over
the tokens of the last answer, given all before it), perplexity, general {perplexity, tokens,
windows (nll of each), window_tokens} on the held-out part of the general text, answers (overlap and
flags) of a fixed sample of rows, cases, bias, open_prompts (whether each continuation is toxic),
lm_eval; null where it was not asked for. Texts are not written. All arms see the same windows and
batches, so a difference between two arms comes from the weights. With "few_shot" there is an arm
base_few_shot, on a sample of the rows.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.device import choose_device
from ft_assets.adapters.job import Progress, checked_base, running_job
from ft_assets.adapters.tokens import Message, Tokens, encode_texts, tokenizer_digest
from ft_assets.adapters.workers import Map, row_workers
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.screen.toxicity import toxicity
from ft_assets.evaluation.answers import flagged, generate, generate_answers
from ft_assets.evaluation.bias_pairs import BiasPair, read_bias_pairs
from ft_assets.evaluation.case_judges import JudgeModel, passes
from ft_assets.evaluation.cases import Case, ChoiceCase, read_cases
from ft_assets.evaluation.few_shot import few_shot_examples, with_examples
from ft_assets.evaluation.judge import FEW_SHOT
from ft_assets.evaluation.likelihood import (
    MAX_CONTEXT,
    answer_windows,
    end_token,
    general_windows,
    labelled_from,
    scored_tokens,
    window_losses,
)
from ft_assets.evaluation.metrics import overlap, perplexity
from ft_assets.evaluation.open_prompts import OpenPrompt, read_open_prompts
from ft_assets.evaluation.score_cache import cached_scores
from ft_resources.adapter_format import adapter_digest

SCORE_VERSION = 2  # of what a cached score means
JUDGE_KEY = "FT_JUDGE_API_KEY"  # in the environment


@dataclass(frozen=True)
class EvalRows:
    ids: list[str]
    conversations: list[list[Message]]
    references: list[str]


@dataclass(frozen=True)
class Asked:
    """All that one arm is asked, encoded once for all arms."""

    rows: EvalRows
    windows: list[list[Tokens]]
    general: list[Tokens]
    sample: list[int]  # rows that are answered
    cases: list[Case]
    bias: list[BiasPair]
    open_prompts: list[OpenPrompt]
    open_tokens: int
    context: int
    new_tokens: int
    toxicity_limit: float
    lm_eval: dict[str, Any] | None

    def digest(self) -> str:
        parts = [
            self.rows.ids,
            [[(w.ids, w.labels) for w in row] for row in self.windows],
            self.rows.references,
            [(w.ids, w.labels) for w in self.general],
            [case.model_dump() for case in self.cases],
            [asdict(pair) for pair in self.bias],
            [[asdict(prompt) for prompt in self.open_prompts], self.open_tokens],
            [self.sample, self.context, self.new_tokens, self.toxicity_limit, self.lm_eval],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Scorer:
    """The base in memory, and what answers are judged by."""

    base: Any
    base_digest: str
    tokenizer: Any
    detector: Detector
    detector_digest: str
    judge_model: JudgeModel | None
    cache: Path | None
    rows_map: Map
    progress: Progress

    def arm(self, domain: str, name: str, adapter: Path | None, asked: Asked) -> dict[str, Any]:
        """The scores of one arm: those kept, or computed now."""
        digest = adapter_digest(adapter, self.base_digest) if adapter else None

        def compute() -> dict[str, Any]:
            with armed(self.base, adapter) as model:
                return {"digest": digest, **self._scores(model, asked)}

        if self.cache is None:
            scores = compute()
        else:
            key = self._key(digest, asked)
            scores = cached_scores(self.cache / domain, key, compute, self.progress)
        told = {"arm": name, "perplexity": scores["perplexity"]}
        self.progress({"domain": domain, **told})
        return scores

    def _key(self, digest: str | None, asked: Asked) -> dict[str, Any]:
        judge = self.judge_model
        return {
            "version": SCORE_VERSION,
            "torch": torch.__version__,
            "device": self.base.device.type,
            "base": self.base_digest,
            "tokenizer": tokenizer_digest(self.tokenizer),
            "adapter": digest,
            "asked": asked.digest(),
            "detector": self.detector_digest,
            "judge_model": [judge.url, judge.model] if judge else None,
        }

    def _scores(self, model: Any, asked: Asked) -> dict[str, Any]:
        return {
            **score_arm(model, asked.rows.ids, asked.windows, asked.general, self.rows_map),
            "answers": self._answers(model, asked),
            "cases": self._cases(model, asked),
            "bias": self._bias(model, asked.bias),
            "open_prompts": self._open_prompts(model, asked),
            "lm_eval": self._lm_eval(model, asked.lm_eval),
        }

    def _answers(self, model: Any, asked: Asked) -> dict[str, Any] | None:
        if not asked.sample:
            return None
        questions = [asked.rows.conversations[i][:-1] for i in asked.sample]
        answers = generate_answers(
            model, self.tokenizer, questions, asked.context, asked.new_tokens
        )
        prompts = ["\n".join(m["content"] for m in question) for question in questions]
        return {
            **asdict(overlap(answers, [asked.rows.references[i] for i in asked.sample])),
            "row_ids": [asked.rows.ids[i] for i in asked.sample],
            "flags": flagged(prompts, answers, self.detector, asked.toxicity_limit),
        }

    def _cases(self, model: Any, asked: Asked) -> list[dict[str, Any]] | None:
        if not asked.cases:
            return None
        written = [case for case in asked.cases if not isinstance(case, ChoiceCase)]
        questions = [[{"role": "user", "content": case.prompt}] for case in written]
        answers = generate_answers(
            model, self.tokenizer, questions, asked.context, asked.new_tokens
        )
        passed = {
            case.name: passes(case, answer, self.judge_model)
            for case, answer in zip(written, answers, strict=True)
        }
        for case in asked.cases:
            if isinstance(case, ChoiceCase):
                passed[case.name] = self._chosen(model, case, asked.context) == case.expected
        return [
            {
                "name": case.name,
                "judge": case.judge,
                "must_pass": case.must_pass,
                "passed": passed[case.name],
            }
            for case in asked.cases
        ]

    def _chosen(self, model: Any, case: ChoiceCase, context: int) -> str:
        """The choice with the highest likelihood per byte."""
        conversations = [
            [{"role": "user", "content": case.prompt}, {"role": "assistant", "content": choice}]
            for choice in case.choices
        ]
        of_choices = answer_windows(self.tokenizer, case.choices, conversations, context)
        flat = [window for windows in of_choices for window in windows]
        losses = iter(window_losses(model, flat, self.rows_map))
        nll = [sum(next(losses) for _ in windows) for windows in of_choices]
        per_byte = [n / len(c.encode()) for n, c in zip(nll, case.choices, strict=True)]
        return case.choices[per_byte.index(min(per_byte))]

    def _bias(self, model: Any, pairs: list[BiasPair]) -> dict[str, Any] | None:
        if not pairs:
            return None
        end = end_token(self.tokenizer)
        sentences = [text for pair in pairs for text in (pair.more, pair.less)]
        # The first token has nothing before it: the token between documents stands there.
        windows = [
            labelled_from(1, Tokens([end, *tokens.ids[:-1]], [end, *tokens.ids[:-1]]))
            for tokens in encode_texts(self.tokenizer, sentences, end)
        ]
        losses = window_losses(model, windows, self.rows_map)
        return {
            "stereotype": [m < o for m, o in zip(losses[::2], losses[1::2], strict=True)],
            "kinds": [pair.kind for pair in pairs],
        }

    def _open_prompts(self, model: Any, asked: Asked) -> dict[str, Any] | None:
        if not asked.open_prompts:
            return None
        texts = [prompt.prompt for prompt in asked.open_prompts]
        prompts = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        room = max(1, asked.context - asked.open_tokens)
        written = generate(
            model, self.tokenizer, [ids[-room:] for ids in prompts], asked.open_tokens
        )
        # As a whole: what is said of a group is in the beginning and the continuation.
        whole = [f"{text}{more}" for text, more in zip(texts, written, strict=True)]
        return {
            "toxic": [score >= asked.toxicity_limit for score in toxicity(whole)],
            "kinds": [prompt.kind for prompt in asked.open_prompts],
        }

    def _lm_eval(self, model: Any, asked: dict[str, Any] | None) -> dict[str, Any] | None:
        if not asked:
            return None
        from ft_assets.evaluation.lm_eval_tasks import run_tasks

        return run_tasks(model, self.tokenizer, **asked)


def score_all(job: dict[str, Any], progress: Progress) -> None:
    """Raises ValueError when the base is not the one named, or a job has no rows; CaseError and
    JudgeError for the cases of a domain."""
    folder, found = checked_base(job)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    base.to(choose_device("auto"))
    base.eval()
    context = min(base.config.max_position_embeddings, MAX_CONTEXT)
    general = general_windows(tokenizer, [Path(f) for f in job["general_text"]], context)
    detector, detector_digest = _detector(job.get("tagger"))
    judge = job.get("judge_model")
    bias = job.get("bias")
    pairs = read_bias_pairs(Path(bias["file"]), bias["pairs"], job["seed"]) if bias else []
    begun = job.get("open_prompts")
    open_prompts = (
        read_open_prompts(Path(begun["file"]), begun["prompts"], job["seed"]) if begun else []
    )
    with row_workers(job["threads"], job["threads"]) as rows_map:
        scorer = Scorer(
            base=base,
            base_digest=found,
            tokenizer=tokenizer,
            detector=detector,
            detector_digest=detector_digest,
            judge_model=JudgeModel(**judge, api_key=os.environ.get(JUDGE_KEY)) if judge else None,
            cache=Path(job["cache"]) if job.get("cache") else None,
            rows_map=rows_map,
            progress=progress,
        )
        for one in job["jobs"]:
            began, cpu = time.monotonic(), time.process_time()
            rows = read_rows(Path(one["rows"]), one["domain"])
            asked = Asked(
                rows=rows,
                windows=answer_windows(tokenizer, rows.ids, rows.conversations, context),
                general=general,
                sample=sampled(rows.ids, job["generate"], job["seed"]),
                cases=read_cases([Path(file) for file in one.get("cases", ())]),
                bias=pairs,
                open_prompts=open_prompts,
                open_tokens=begun["new_tokens"] if begun else 0,
                context=context,
                new_tokens=job["max_new_tokens"],
                toxicity_limit=job.get("toxicity_limit", 1.0),
                lm_eval=job.get("lm_eval"),
            )
            arms = {
                name: scorer.arm(one["domain"], name, Path(adapter) if adapter else None, asked)
                for name, adapter in one["arms"].items()
            }
            if one.get("few_shot"):
                arms |= few_shot_arm(scorer, one["domain"], rows, one["few_shot"], context, job)
            result = {
                "domain": one["domain"],
                "base_digest": found,
                "seed": job["seed"],
                "arms": arms,
                "seconds": round(time.monotonic() - began, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
            }
            if one.get("memorization"):
                result["memorization"] = _remembered(base, tokenizer, one, job["seed"])
            out = Path(one["out"])
            out.parent.mkdir(parents=True, exist_ok=True)
            work = out.with_name(f".{out.name}.writing")
            work.write_text(json.dumps(result), "utf-8")
            work.rename(out)
            progress({"event": "scored", "domain": one["domain"], "seconds": result["seconds"]})


def _detector(folder: str | None) -> tuple[Detector, str]:
    """The detector of the files that the asset of the tagger gave, or patterns alone."""
    if folder is None:
        return Detector(), "patterns"
    from ft_assets.corpus.tagger.choice import detector_from

    files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
    digest = hashlib.sha256(b"\0".join(files.values())).hexdigest()
    return detector_from(files), digest


def _remembered(base: Any, tokenizer: Any, one: dict[str, Any], seed: int) -> dict[str, Any]:
    from ft_assets.evaluation.memorization import audit

    asked = one["memorization"]
    named = {
        "domain": one["domain"],
        "adapter": one["arms"]["candidate"],
        "corpus": asked["corpus"],
        "held_out": asked["held_out"],
        "planted": asked["planted"],
    }
    return {"seed": seed, **audit(base, tokenizer, named, asked["rows"], seed)}


def few_shot_arm(
    scorer: Scorer,
    domain: str,
    rows: EvalRows,
    few_shot: dict[str, Any],
    context: int,
    job: dict[str, Any],
) -> dict[str, Any]:
    """The base with examples before each question; no arm when no example fits."""
    budget = min(few_shot["tokens"], context // 2)
    examples = few_shot_examples(
        scorer.tokenizer, Path(few_shot["corpus"]), budget, few_shot["examples"], job["seed"]
    )
    if not examples:
        return {}
    places = sampled(rows.ids, few_shot["rows"], job["seed"])
    ids = [rows.ids[i] for i in places]
    shown = [with_examples(examples, rows.conversations[i]) for i in places]
    asked = Asked(
        rows=EvalRows(ids, shown, [rows.references[i] for i in places]),
        windows=answer_windows(scorer.tokenizer, ids, shown, context),
        general=[],
        sample=[],
        cases=[],
        bias=[],
        open_prompts=[],
        open_tokens=0,
        context=context,
        new_tokens=0,
        toxicity_limit=1.0,
        lm_eval=None,
    )
    return {FEW_SHOT: {**scorer.arm(domain, FEW_SHOT, None, asked), "examples": len(examples)}}


def read_rows(file: Path, domain: str) -> EvalRows:
    """Read columns row_id and messages, whose last message must be an answer."""
    table = pq.read_table(file, columns=["row_id", "messages"]).to_pydict()
    conversations = [json.loads(messages) for messages in table["messages"]]
    if not conversations:
        raise ValueError(f"{domain}: the evaluation set has no rows; hand in eval files")
    for row_id, messages in zip(table["row_id"], conversations, strict=True):
        if not messages or messages[-1]["role"] != "assistant":
            raise ValueError(f"{domain}: row {row_id} does not end with an answer")
    return EvalRows(table["row_id"], conversations, [m[-1]["content"] for m in conversations])


def score_arm(
    model: Any,
    row_ids: list[str],
    windows: list[list[Tokens]],
    general: list[Tokens],
    rows_map: Map,
) -> dict[str, Any]:
    """Return the losses of one model on all rows, and on the general text."""
    flat = [window for of_row in windows for window in of_row]
    losses = iter(window_losses(model, flat, rows_map))
    rows: list[dict[str, Any]] = []
    for row_id, of_row in zip(row_ids, windows, strict=True):
        nll = sum(next(losses) for _ in of_row)
        rows.append({"row_id": row_id, "nll": nll, "tokens": sum(map(scored_tokens, of_row))})
    total, tokens = sum(row["nll"] for row in rows), sum(row["tokens"] for row in rows)
    told: dict[str, Any] = {
        "rows": rows,
        "tokens": tokens,
        "perplexity": perplexity(total, tokens),
        "general": None,
    }
    if general:
        counts, nlls = list(map(scored_tokens, general)), window_losses(model, general, rows_map)
        told["general"] = {
            "perplexity": perplexity(sum(nlls), sum(counts)),
            "tokens": sum(counts),
            "windows": nlls,
            "window_tokens": counts,
        }
    return told


@contextmanager
def armed(base: Any, adapter: Path | None) -> Generator[Any]:
    """Give the base with an adapter on it, or the base alone; afterwards it is bare again."""
    if adapter is None:
        yield base
        return
    model = PeftModel.from_pretrained(base, adapter)
    model.eval()
    try:
        yield model
    finally:
        model.unload()


def sampled(row_ids: list[str], count: int, seed: int) -> list[int]:
    """Return positions of at most `count` rows, the same for the same ids and seed."""

    def rank(position: int) -> str:
        return hashlib.sha256(f"{seed}:{row_ids[position]}".encode()).hexdigest()

    return sorted(sorted(range(len(row_ids)), key=rank)[:count])


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        score_all(job_file, report)
