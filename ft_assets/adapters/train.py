"""Train LoRA adapters, one after the other, over one frozen base in one process.

    python -m ft_assets.adapters.train JOB.json

JOB.json: {"base": folder, "base_digest": hex, "recipe": {every field of Recipe}, "threads": n,
"replay_text": [files], "jobs": [{"domain", "corpus": Parquet, "out": folder, "seed", "tokens":
{"folder", "corpus": digest} or absent}, ...]}. What is encoded is kept in the folder of `tokens`
and read from there the next time. Each `out` appears whole or not at all:
adapter_model.safetensors, adapter_config.json and training.json (what was done, the losses, the
digest).

On a CPU the same corpus, recipe, seed, versions and kind of CPU give the same weights, byte for
byte, whatever was trained before in the process and with any number of threads up to
`batch_rows`. Training ends when the corpus's own validation split stops getting better, and the
best weights seen are kept: that split is part of the corpus, so the held-out evaluation stays
untouched.
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.base_model import rate_share
from ft_assets.adapters.device import choose_device, choose_precision
from ft_assets.adapters.general_text import read_documents, split_held_out
from ft_assets.adapters.job import Progress, published, running_job
from ft_assets.adapters.recipe import ALL_LINEAR, Recipe, recipe_from
from ft_assets.adapters.tokens import (
    IGNORED,
    Tokens,
    encode_conversations,
    encode_texts,
    pack,
    pack_joined,
    template_digest,
    tokenizer_digest,
)
from ft_assets.adapters.workers import Batch, Map, add_gradients, row_workers, token_losses
from ft_assets.corpus.token_cache import CacheKey, TokenRow, cached_tokens
from ft_resources.adapter_format import adapter_digest, base_digest

REPORT_EVERY = 10
LOSS_EVERY = 5  # steps between the points of the loss curve that is kept
REPLAY_CHARACTERS = 4_000_000  # of general text that are encoded, at most
ENCODED_AT_ONCE = 256  # conversations
BETAS = (0.9, 0.95)


@dataclass(frozen=True)
class Rows:
    ids: np.ndarray  # int64 [rows, row_tokens]
    labels: np.ndarray  # the same shape, IGNORED where no loss is taken

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Corpus:
    train: Rows
    validation: Rows
    examples: int  # conversations in split "train"


@dataclass
class Course:
    """What happened in one training."""

    train_loss: list[tuple[int, float]] = field(default_factory=list)
    validation_loss: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    steps: int = 0
    tokens: int = 0
    stopped_early: bool = False


def train_all(job: dict[str, Any], progress: Progress) -> None:
    """Train every job over the one base.

    Raises ValueError when the base is not the one the job was written for, or when a corpus has
    nothing to train on; jobs before it are published.
    """
    recipe = recipe_from(job["recipe"])
    folder = Path(job["base"])
    found = base_digest(folder)
    if found != job["base_digest"]:
        raise ValueError(
            f"base model at {folder} has digest {found[:12]}, the job asks for "
            f"{job['base_digest'][:12]}; materialize base_model again"
        )
    if recipe.replay_share and not job.get("replay_text"):
        raise ValueError(
            f"recipe {recipe.name}: replay_share is {recipe.replay_share} but there is no general "
            "text to replay; name text files in base_model.text, or set replay_share to 0"
        )
    device = choose_device(recipe.device)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    base.to(device)
    base.requires_grad_(False)
    if recipe.gradient_checkpointing:
        base.gradient_checkpointing_enable()
        base.enable_input_require_grads()
    targets = target_modules(base, recipe)
    replay = None
    if recipe.replay_share:
        replay = _replay_rows(tokenizer, [Path(f) for f in job["replay_text"]], recipe)
    facts = {
        "base_digest": found,
        "chat_template": template_digest(tokenizer),
        "recipe": recipe.to_dict(),
        "threads": job["threads"],
        "device": device,
        "precision": str(choose_precision(recipe.precision, device)),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    # Dropout draws from one random state, which threads would take turns at by chance.
    rows = 1 if recipe.dropout else recipe.batch_rows
    with row_workers(job["threads"], rows) as rows_map:
        for one in job["jobs"]:
            began, cpu = time.monotonic(), time.process_time()
            domain, seed = one["domain"], one["seed"]
            cache = TokenCache(**one["tokens"]) if "tokens" in one else None
            corpus = read_corpus(Path(one["corpus"]), domain, tokenizer, recipe, seed, cache)
            model = new_adapter(base, recipe, targets, seed)
            course = train_one(model, corpus, replay, recipe, seed, domain, rows_map, progress)
            with published(Path(one["out"])) as work:
                save_adapter(model, targets, work)
                record = {
                    "domain": domain,
                    "digest": adapter_digest(work, found),
                    "seed": seed,
                    **facts,
                    "examples": corpus.examples,
                    "train_rows": len(corpus.train),
                    "validation_rows": len(corpus.validation),
                    "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                    **vars(course),
                    "seconds": round(time.monotonic() - began, 2),
                    "cpu_seconds": round(time.process_time() - cpu, 2),
                }
                (work / "training.json").write_text(json.dumps(record, indent=1), "utf-8")
            model.unload()
            told = ("domain", "digest", "steps", "best_step", "seconds", "cpu_seconds")
            progress({"event": "trained", **{name: record[name] for name in told}})


@dataclass(frozen=True)
class TokenCache:
    folder: str  # of one domain
    corpus: str  # digest of the corpus


def read_corpus(
    file: Path,
    domain: str,
    tokenizer: Any,
    recipe: Recipe,
    seed: int,
    cache: TokenCache | None = None,
) -> Corpus:
    """Read corpus rows (columns split, messages), shuffle and pack them.

    Encodes no more conversations than the steps of the recipe can read, and those once: their
    tokens are kept. Raises ValueError when there is no row to train on.
    """
    columns = pq.read_table(file, columns=["split", "messages"]).to_pydict()
    of_split: dict[str, list[str]] = {"train": [], "validation": []}
    for split, messages in zip(columns["split"], columns["messages"], strict=True):
        of_split[split].append(messages)
    if not of_split["train"]:
        raise _nothing_to_train_on(domain, of_split)

    def packed(split: str, rows: int, train_on: str, seed: int) -> Rows:
        key = CacheKey(
            corpus=cache.corpus if cache else "",
            tokenizer=tokenizer_digest(tokenizer),
            template=template_digest(tokenizer),
            split=split,
            train_on=train_on,
            seed=seed,
            tokens=rows * recipe.row_tokens,
        )
        if cache is None:
            found = _encoded(of_split[split], tokenizer, key)
            ids, labels = pack([Tokens(*row) for row in found], recipe.row_tokens, _pad(tokenizer))
        else:
            table = cached_tokens(
                Path(cache.folder), key, lambda: _encoded(of_split[split], tokenizer, key)
            )
            joined = (
                table[name].combine_chunks().flatten().to_numpy().astype(np.int64)
                for name in ("input_ids", "labels")
            )
            ids, labels = pack_joined(*joined, recipe.row_tokens, _pad(tokenizer))
        return Rows(ids[:rows], labels[:rows])

    own_rows = recipe.batch_rows * recipe.accumulate * (1 - recipe.replay_share)
    readable = math.ceil(recipe.max_steps * own_rows) + 1
    train = packed("train", readable, recipe.train_on, seed)
    # Validation looks at answers alone, whatever the training has its loss on; its rows are the
    # same for every seed, so that losses can be compared.
    validation = packed("validation", recipe.validation_rows, "responses", 0)
    if not len(train):
        raise _nothing_to_train_on(domain, of_split)
    return Corpus(train, validation, len(of_split["train"]))


def _nothing_to_train_on(domain: str, of_split: dict[str, list[str]]) -> ValueError:
    return ValueError(
        f"{domain}: the corpus has no row to train on ({sum(map(len, of_split.values()))} rows, "
        f"{len(of_split['train'])} of them in split 'train'); hand in more data, or loosen the "
        "corpus policy"
    )


def _encoded(texts: list[str], tokenizer: Any, key: CacheKey) -> Iterator[TokenRow]:
    """The conversations in the order of the key's seed, until there are as many tokens as asked."""
    order = np.random.default_rng(key.seed).permutation(len(texts))
    tokens, at = 0, 0
    while at < len(order) and tokens < key.tokens:
        chunk = [json.loads(texts[i]) for i in order[at : at + ENCODED_AT_ONCE]]
        at += len(chunk)
        for found in encode_conversations(tokenizer, chunk, train_on=key.train_on):
            tokens += len(found.ids)
            yield found.ids, found.labels


def target_modules(base: Any, recipe: Recipe) -> list[str]:
    """Return the last names of the layers that get an adapter, sorted."""
    head = base.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    if recipe.target_modules == ALL_LINEAR:
        return sorted(linear)
    missing = sorted(set(recipe.target_modules) - linear)
    if missing:
        raise ValueError(
            f"recipe {recipe.name}: target_modules: the base has no linear layer named "
            f"{', '.join(missing)}; it has: {', '.join(sorted(linear))}"
        )
    return sorted(set(recipe.target_modules))


def new_adapter(base: Any, recipe: Recipe, targets: list[str], seed: int) -> PeftModel:
    torch.manual_seed(seed)
    config: dict[str, Any] = {
        "task_type": "CAUSAL_LM",
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": targets,
        "bias": "none",
    }
    return cast(PeftModel, get_peft_model(base, LoraConfig(**config)))


def train_one(
    model: PeftModel,
    corpus: Corpus,
    replay: Rows | None,
    recipe: Recipe,
    seed: int,
    domain: str,
    rows_map: Map,
    progress: Progress,
) -> Course:
    """Train the adapter in place; it ends with the best weights seen on the validation split."""
    device = model.device.type
    precision = choose_precision(recipe.precision, device)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, betas=BETAS, weight_decay=recipe.weight_decay
    )
    batches = Batches(corpus.train, replay, recipe, seed)
    course = Course()
    best, best_loss, worse = None, math.inf, 0
    began, loss = time.monotonic(), math.nan

    model.train()
    for step in range(1, batches.steps + 1):
        share = rate_share(step, batches.steps, recipe.warmup_steps, recipe.final_rate_share)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * share
        loss = 0.0
        for batch in batches.next_step():
            loss += add_gradients(model, weights, batch, precision, rows_map)
            course.tokens += batch.ids.numel()
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        course.steps = step
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"{domain}: loss {loss} at step {step}; lower learning_rate (now "
                f"{recipe.learning_rate}) in recipe {recipe.name}"
            )
        last = step == batches.steps
        if step == 1 or step % LOSS_EVERY == 0 or last:
            course.train_loss.append((step, round(loss, 4)))
        if step % REPORT_EVERY == 0 or last:
            speed = course.tokens / (time.monotonic() - began)
            progress(
                {
                    "domain": domain,
                    "step": step,
                    "steps": batches.steps,
                    "loss": loss,
                    "tokens_per_second": round(speed),
                }
            )
        if len(corpus.validation) and (step % recipe.eval_every == 0 or last):
            held = mean_loss(model, corpus.validation, precision, rows_map)
            course.validation_loss.append((step, round(held, 4)))
            progress({"domain": domain, "step": step, "validation_loss": held})
            if held < best_loss:
                best, best_loss, worse = [w.detach().clone() for w in weights], held, 0
                course.best_step = step
            elif (worse := worse + 1) >= recipe.patience:
                course.stopped_early = not last
                break
    if best is None:
        course.best_step = course.steps
    else:
        with torch.no_grad():
            for weight, kept in zip(weights, best, strict=True):
                weight.copy_(kept)
    return course


class Batches:
    """Batches of a fixed share of replay rows, each source read in its own shuffled order."""

    def __init__(self, train: Rows, replay: Rows | None, recipe: Recipe, seed: int) -> None:
        self._sources = [train] if replay is None else [train, replay]
        self._order = {False: np.random.default_rng(seed), True: np.random.default_rng(seed + 1)}
        self._queue: dict[bool, list[int]] = {False: [], True: []}
        self._share = recipe.replay_share if replay is not None else 0.0
        self._batch_rows = recipe.batch_rows
        self._accumulate = recipe.accumulate
        self._drawn = 0
        step_rows = recipe.batch_rows * recipe.accumulate * (1 - self._share)
        epochs = math.ceil(recipe.max_epochs * len(train) / step_rows)
        self.steps = max(1, min(recipe.max_steps, epochs))

    def next_step(self) -> list[Batch]:
        return [self._batch() for _ in range(self._accumulate)]

    def _batch(self) -> Batch:
        drawn = [self._row() for _ in range(self._batch_rows)]
        ids, labels = (np.stack(column) for column in zip(*(row for _, row in drawn), strict=True))
        replayed = np.array([replay for replay, _ in drawn])
        # Every token of a replay row has a loss, but few of a row of answers: without this the
        # replay would have most of the gradient.
        labelled = (labels[:, 1:] != IGNORED).sum(axis=1)
        scale = np.empty(self._batch_rows, dtype=np.float32)
        for source in (replayed, ~replayed):
            share = source.mean() / self._accumulate
            scale[source] = share / max(1, labelled[source].sum())
        return Batch(torch.from_numpy(ids), torch.from_numpy(labels), torch.from_numpy(scale))

    def _row(self) -> tuple[bool, tuple[np.ndarray, np.ndarray]]:
        # The n-th row is a replay row whenever n * share passes a whole number: an exact share.
        replay = int((self._drawn + 1) * self._share) > int(self._drawn * self._share)
        self._drawn += 1
        source = self._sources[replay]
        if not self._queue[replay]:
            self._queue[replay] = self._order[replay].permutation(len(source)).tolist()
        row = self._queue[replay].pop()
        return replay, (source.ids[row], source.labels[row])


def mean_loss(model: Any, rows: Rows, precision: Any, rows_map: Map) -> float:
    """Return the mean loss in nats over all labelled tokens of `rows`."""
    device = model.device.type

    def of(row: int) -> float:
        ids = torch.from_numpy(rows.ids[row : row + 1]).to(device)
        labels = torch.from_numpy(rows.labels[row : row + 1]).to(device)
        with torch.no_grad():
            return float(token_losses(model, ids, labels, precision).sum())

    model.eval()
    total = sum(rows_map(of, range(len(rows))))
    model.train()
    return total / int((rows.labels[:, 1:] != IGNORED).sum())


def save_adapter(model: PeftModel, targets: list[str], folder: Path) -> None:
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in sorted(get_peft_model_state_dict(model).items())
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    model.peft_config["default"].save_pretrained(str(folder))
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text("utf-8"))
    # peft keeps a set: its order differs between runs. The path of the base differs between
    # machines; which base it is, the digest says.
    config.update(target_modules=targets, base_model_name_or_path=None, inference_mode=True)
    file.write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")


def _replay_rows(tokenizer: Any, files: list[Path], recipe: Recipe) -> Rows:
    documents, _ = split_held_out(read_documents(files))
    order = np.random.default_rng(0).permutation(len(documents))
    chosen, characters = [], 0
    for i in order:
        chosen.append(documents[i])
        characters += len(documents[i])
        if characters >= REPLAY_CHARACTERS:
            break
    examples = encode_texts(tokenizer, chosen, _end(tokenizer))
    rows = Rows(*pack(examples, recipe.row_tokens, _pad(tokenizer)))
    if not len(rows):
        raise ValueError("the general text to replay has no document; see base_model.text")
    return rows


def _end(tokenizer: Any) -> int:
    """The token between documents: <|endoftext|> of the embedded base is its bos token."""
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def _pad(tokenizer: Any) -> int:
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        train_all(job_file, report)
