"""Score several adapters of one base on the same rows, in one process.

    python -m ft_assets.evaluation.score JOB.json

JOB.json: {"base": folder, "base_digest": hex, "threads": n, "general_text": [files],
"generate": rows, "max_new_tokens": n, "seed": n, "jobs": [{"domain", "rows": Parquet,
"arms": {"base": null, "champion": folder | null, "candidate": folder}, "out": file}, ...]}.
An arm that is null is the base alone; leave an arm out that does not exist.

`out` holds per arm: rows [{row_id, nll, tokens}] in the order of the Parquet file (nll: sum over
the tokens of the last answer, given all before it), perplexity, general {perplexity, tokens} on
the held-out part of the general text, answers (see metrics.Overlap) of a fixed sample of rows,
generated greedily. Texts are not written. All arms see the same windows and batches, so a
difference between two arms comes from the weights.
"""

import hashlib
import json
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.device import choose_device, choose_precision
from ft_assets.adapters.general_text import read_documents, split_held_out
from ft_assets.adapters.job import Progress, running_job
from ft_assets.adapters.tokens import (
    IGNORED,
    Message,
    Tokens,
    encode_conversations,
    encode_texts,
    pack,
    plain,
)
from ft_assets.adapters.workers import Map, row_workers, token_losses
from ft_assets.evaluation.metrics import overlap, perplexity
from ft_resources.adapter_format import adapter_digest, base_digest

MAX_CONTEXT = 2_048  # tokens in a window, however much more the base could see
MAX_ANSWER = 2_048  # tokens of an answer that are scored; the rest of a longer one is not
GENERAL_TOKENS = 20_000  # of held-out general text, at most
GENERATE_AT_ONCE = 8  # rows


@dataclass(frozen=True)
class EvalRows:
    ids: list[str]
    conversations: list[list[Message]]
    references: list[str]


def score_all(job: dict[str, Any], progress: Progress) -> None:
    """Raises ValueError when the base is not the one named, or a job has no rows."""
    folder = Path(job["base"])
    found = base_digest(folder)
    if found != job["base_digest"]:
        raise ValueError(
            f"base model at {folder} has digest {found[:12]}, the job asks for "
            f"{job['base_digest'][:12]}; materialize base_model again"
        )
    device = choose_device("auto")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    base.to(device)
    base.eval()
    context = min(base.config.max_position_embeddings, MAX_CONTEXT)
    general = _general_windows(tokenizer, [Path(f) for f in job["general_text"]], context)
    with row_workers(job["threads"], job["threads"]) as rows_map:
        for one in job["jobs"]:
            began, cpu = time.monotonic(), time.process_time()
            rows = read_rows(Path(one["rows"]), one["domain"])
            windows = answer_windows(tokenizer, rows, context)
            sample = sampled(rows.ids, job["generate"], job["seed"])
            arms = {}
            for name, adapter in one["arms"].items():
                with armed(base, Path(adapter) if adapter else None) as model:
                    arms[name] = {
                        "digest": adapter_digest(Path(adapter), found) if adapter else None,
                        **score_arm(model, rows.ids, windows, general, rows_map),
                        "answers": _answers(
                            model, tokenizer, rows, sample, context, job["max_new_tokens"]
                        ),
                    }
                told = {"arm": name, "perplexity": arms[name]["perplexity"]}
                progress({"domain": one["domain"], **told})
            result = {
                "domain": one["domain"],
                "base_digest": found,
                "seed": job["seed"],
                "arms": arms,
                "seconds": round(time.monotonic() - began, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
            }
            out = Path(one["out"])
            out.parent.mkdir(parents=True, exist_ok=True)
            work = out.with_name(f".{out.name}.writing")
            work.write_text(json.dumps(result), "utf-8")
            work.rename(out)
            progress({"event": "scored", "domain": one["domain"], "seconds": result["seconds"]})


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


def answer_windows(tokenizer: Any, rows: EvalRows, context: int) -> list[list[Tokens]]:
    """Return for each row the windows in which the tokens of its last answer are scored, once each.

    A row that does not fit into `context` is scored in windows that overlap by half, so that every
    token has at least half a window before it.
    """
    encoded = encode_conversations(tokenizer, rows.conversations, train_on="responses")
    result = []
    for row_id, tokens in zip(rows.ids, encoded, strict=True):
        labels = _last_answer(tokens.labels)
        first = next((i for i, label in enumerate(labels) if label != IGNORED), None)
        if first is None:
            raise ValueError(f"row {row_id}: its last answer has no token")
        end = min(len(labels), first + MAX_ANSWER)
        result.append(list(_windows(tokens.ids[:end], labels[:end], context)))
    return result


def _last_answer(labels: list[int]) -> list[int]:
    end = max((i + 1 for i, label in enumerate(labels) if label != IGNORED), default=0)
    start = end
    while start and labels[start - 1] != IGNORED:
        start -= 1
    return [IGNORED] * start + labels[start:end]


def _windows(ids: list[int], labels: list[int], context: int) -> Iterator[Tokens]:
    first = next(i for i, label in enumerate(labels) if label != IGNORED)
    done = first  # tokens before it are scored, or need not be
    while done < len(ids):
        # The first window reaches as far as it can; a later one keeps half of it as context.
        start = max(0, done - context // 2)
        if done == first and len(ids) - start < context:
            start = max(0, len(ids) - context)
        end = min(len(ids), start + context)
        hidden = [IGNORED] * (done - start)
        yield Tokens(ids[start:end], hidden + labels[done:end])
        done = end


def score_arm(
    model: Any,
    row_ids: list[str],
    windows: list[list[Tokens]],
    general: list[Tokens],
    rows_map: Map,
) -> dict[str, Any]:
    """Return the losses of one model on all rows, and on the general text."""
    flat = [window for of_row in windows for window in of_row]
    losses = iter(_losses(model, flat, rows_map))
    rows: list[dict[str, Any]] = []
    for row_id, of_row in zip(row_ids, windows, strict=True):
        nll = sum(next(losses) for _ in of_row)
        rows.append({"row_id": row_id, "nll": nll, "tokens": sum(map(_scored, of_row))})
    total, tokens = sum(row["nll"] for row in rows), sum(row["tokens"] for row in rows)
    told: dict[str, Any] = {
        "rows": rows,
        "tokens": tokens,
        "perplexity": perplexity(total, tokens),
        "general": None,
    }
    if general:
        tokens = sum(map(_scored, general))
        total = sum(_losses(model, general, rows_map))
        told["general"] = {"perplexity": perplexity(total, tokens), "tokens": tokens}
    return told


def _losses(model: Any, windows: list[Tokens], rows_map: Map) -> list[float]:
    device = model.device.type
    precision = choose_precision("fp32" if device == "cpu" else "auto", device)

    def of(window: Tokens) -> float:
        ids = torch.tensor([window.ids], device=device)
        labels = torch.tensor([window.labels], device=device)
        with torch.no_grad():
            return float(token_losses(model, ids, labels, precision).sum())

    return rows_map(of, windows)


def _scored(window: Tokens) -> int:
    # A loss is taken from the second token on: the first has nothing before it.
    return sum(label != IGNORED for label in window.labels[1:])


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


def _answers(
    model: Any, tokenizer: Any, rows: EvalRows, sample: list[int], context: int, new_tokens: int
) -> dict[str, Any] | None:
    if not sample:
        return None
    texts = [
        tokenizer.apply_chat_template(
            _plain_messages(tokenizer, rows.conversations[i][:-1]),
            tokenize=False,
            add_generation_prompt=True,
        )
        for i in sample
    ]
    prompts = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    room = max(1, context - new_tokens)
    answers = generate(model, tokenizer, [ids[-room:] for ids in prompts], new_tokens)
    return asdict(overlap(answers, [rows.references[i] for i in sample]))


def generate(model: Any, tokenizer: Any, prompts: list[list[int]], new_tokens: int) -> list[str]:
    """Return greedy answers; prompts are padded on the left so that a batch ends in step."""
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    answers: list[str] = []
    for start in range(0, len(prompts), GENERATE_AT_ONCE):
        batch = prompts[start : start + GENERATE_AT_ONCE]
        longest = max(map(len, batch))
        ids = torch.tensor([[pad] * (longest - len(p)) + p for p in batch], device=model.device)
        mask = torch.tensor(
            [[0] * (longest - len(p)) + [1] * len(p) for p in batch], device=model.device
        )
        with torch.no_grad():
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=pad,
            )
        answers += tokenizer.batch_decode(made[:, longest:], skip_special_tokens=True)
    return answers


def _plain_messages(tokenizer: Any, messages: list[Message]) -> list[Message]:
    specials = sorted(set(tokenizer.all_special_tokens))
    return [{**m, "content": plain(m["content"], specials)} for m in messages]


def _general_windows(tokenizer: Any, files: list[Path], context: int) -> list[Tokens]:
    _, held_out = split_held_out(read_documents(files))
    held_out.sort(key=lambda document: hashlib.sha256(document.encode("utf-8")).hexdigest())
    chosen, characters = [], 0
    for document in held_out:
        chosen.append(document)
        characters += len(document)
        if characters > GENERAL_TOKENS * 6:  # more characters than a token has on average
            break
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    end = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    ids, labels = pack(encode_texts(tokenizer, chosen, end), context, pad)
    few = GENERAL_TOKENS // context + 1
    return [
        Tokens(i, label) for i, label in zip(ids[:few].tolist(), labels[:few].tolist(), strict=True)
    ]


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        score_all(job_file, report)
