"""The frozen model that adapters are trained on: a local folder, a hub id, or a tiny one made here.

    python -m ft_assets.adapters.base_model SPEC.json

The embedded base is a Llama of 0.7M parameters with its own byte-level BPE of 2,048 tokens,
trained for a fixed number of steps (not a fixed time) on general English. It is there so that the
whole loop runs on two CPU cores without network: what it writes is English-like, not sensible, and
the gains of adapters on it say nothing about a 7B model.
The same text, steps, seed and versions give the same bytes on the same kind of CPU, with up to four
threads. One in four documents is shown as question and answer, so that the chat tokens are
trained too.
A local folder is used in place. A hub id is only looked up in the hub client's cache: nothing is
downloaded at run time.
"""

import fcntl
import hashlib
import json
import math
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ft_assets.adapters.device import choose_precision
from ft_assets.adapters.general_text import (
    SEPARATOR,
    read_documents,
    split_documents,
    write_general_text,
)
from ft_assets.adapters.job import Progress, published, running_job
from ft_assets.adapters.tokens import IGNORED, Message, encode_conversations, encode_texts, pack
from ft_assets.adapters.workers import Batch, Map, gradients_of, row_workers
from ft_resources.adapter_format import base_digest

MAKING = 3  # raise when the same spec gives another model
VOCABULARY = 2_048
CONTEXT = 512
SIZES = {"whole": (128, 352), "half": (80, 224)}  # of a hidden state, and inside a block
ROW_TOKENS = 512
BATCH_ROWS = 4
RATE = 3e-3
FINAL_RATE_SHARE = 0.05
WARMUP_STEPS = 30
WEIGHT_DECAY = 0.05
CLIP = 1.0
CHAT_EVERY = 4  # one document in so many is shown as question and answer
VOCABULARY_CHARACTERS = 6_000_000  # read for the vocabulary, at most
TRAIN_CHARACTERS = 32_000_000  # more text than the steps could read is not encoded
REPORT_EVERY = 50

PAD, USER, ASSISTANT, SYSTEM, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"
SPECIAL_TOKENS = [SEPARATOR, PAD, SYSTEM, USER, ASSISTANT, END]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class BaseSpec:
    """Which base model. `path` goes with kind "path", `id` and `revision` with "hub", the rest
    with "embedded"; `text` are files to learn from besides the project's own general text."""

    kind: str
    path: str | None = None
    id: str | None = None
    revision: str | None = None
    text: tuple[str, ...] = ()
    steps: int = 1200
    seed: int = 0
    threads: int = 2
    size: str = "whole"  # "half": a student of half the parameters and the same vocabulary

    def __post_init__(self) -> None:
        if self.kind not in {"embedded", "path", "hub"}:
            raise ValueError(f"base model: kind {self.kind!r}; allowed: embedded, path, hub")
        if self.size not in SIZES:
            raise ValueError(f"base model: size {self.size!r}; allowed: {', '.join(SIZES)}")
        if self.kind == "path" and not self.path:
            raise ValueError("base model: kind 'path' needs the folder of the model in 'path'")
        if self.kind == "hub" and not self.id:
            raise ValueError("base model: kind 'hub' needs the name of the model in 'id'")
        if self.steps < 1 or self.threads < 1:
            raise ValueError(
                f"base model: steps and threads must be 1 or more, got {self.steps}, {self.threads}"
            )


def ensure_base(cache: Path, spec: BaseSpec, progress: Progress) -> tuple[Path, str]:
    """Return (folder, digest) of the base, making it below `cache` first if it has to be made.

    Two processes that ask for the same base make it once: the second waits. A process that is
    killed leaves nothing that a later call would take for a base.
    """
    if spec.kind == "path":
        folder = Path(str(spec.path))
        if not folder.is_dir():
            raise FileNotFoundError(f"no base model at {folder}: not a folder")
        return folder, base_digest(folder)
    if spec.kind == "hub":
        folder = _cached_snapshot(str(spec.id), spec.revision)
        return folder, base_digest(folder)

    texts = general_texts(cache, spec)
    folder = cache / f"embedded-{_key(texts, spec)}"
    with (cache / "making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            # Only the holder of the lock writes here: what is half made was left by a killed one.
            for left in cache.glob(".embedded-*.writing-*"):
                shutil.rmtree(left)
            with published(folder) as work:
                _make(work, texts, spec, progress)
    return folder, base_digest(folder)


def general_texts(cache: Path, spec: BaseSpec) -> list[Path]:
    """The general text of the platform: the project's own file, then those given."""
    given = [Path(text) for text in spec.text]
    for file in given:
        if not file.is_file():
            raise FileNotFoundError(f"base_model.text: no file at {file}")
    return [write_general_text(cache), *given]


def _cached_snapshot(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    at = f" at revision {revision}" if revision else ""
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        flag = f" --revision {revision}" if revision else ""
        raise FileNotFoundError(
            f"base model {name!r}{at} is not in the hub client's cache, and nothing is downloaded "
            f"at run time; run `hf download {name}{flag}` once on a machine with network, or give "
            "its folder with kind 'path'"
        ) from None


def _key(texts: list[Path], spec: BaseSpec) -> str:
    facts = {
        "making": MAKING,
        "texts": [hashlib.sha256(file.read_bytes()).hexdigest() for file in texts],
        "steps": spec.steps,
        "seed": spec.seed,
        # Up to a row per thread, the number of threads changes nothing (see workers.py).
        "threads": max(spec.threads, BATCH_ROWS),
        "versions": {p: version(p) for p in ("torch", "transformers", "tokenizers")},
    }
    if spec.size != "whole":
        facts["size"] = spec.size
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _make(folder: Path, texts: list[Path], spec: BaseSpec, progress: Progress) -> None:
    import torch

    began = time.monotonic()
    documents = _sample(read_documents(texts), TRAIN_CHARACTERS)
    split = split_documents(documents)
    tokenizer = make_tokenizer(_sample(split.train, VOCABULARY_CHARACTERS))
    ids, labels = _rows(tokenizer, split.train, spec.seed)
    progress({"stage": "base_model", "tokens": int(ids.size), "vocabulary": len(tokenizer)})

    model = _new_model(tokenizer, spec.seed, spec.size)
    with row_workers(spec.threads, BATCH_ROWS) as rows_map:
        losses = _train(model, ids, labels, spec, rows_map, progress)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Not one of the files that the digest covers: seconds differ between equal models.
    record = {
        "spec": {**asdict(spec), "text": [file.name for file in texts]},
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_documents": len(split.train),
        "held_out_documents": len(split.validation) + len(split.test),
        "train_loss": losses,
        "seconds": round(time.monotonic() - began, 2),
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    (folder / "training.json").write_text(json.dumps(record, indent=1), "utf-8")


def _sample(documents: list[str], characters: int) -> list[str]:
    """Return documents of about so many characters in all, chosen by content, in their order."""
    total = sum(map(len, documents))
    if total <= characters:
        return documents
    limit = int(2**32 * characters / total)
    return [
        document
        for document in documents
        if int.from_bytes(hashlib.sha256(document.encode("utf-8")).digest()[4:8]) < limit
    ]


def make_tokenizer(documents: list[str]) -> Any:
    """Learn a byte-level BPE with the chat template of the embedded base."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        documents,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=SPECIAL_TOKENS,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=SEPARATOR,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[SEPARATOR, SYSTEM, USER, ASSISTANT],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def as_exchange(document: str) -> list[Message] | None:
    """Return the document as a question (its first paragraph or sentence) and its answer."""
    head, gap, rest = document.partition("\n\n")
    if not gap or len(head) > 300:
        head, gap, rest = document.partition(". ")
        head = f"{head}."
    if not gap or len(head) > 300 or not rest.strip():
        return None
    return [
        {"role": "user", "content": head.strip()},
        {"role": "assistant", "content": rest.strip()},
    ]


def _rows(tokenizer: Any, documents: list[str], seed: int) -> tuple[Any, Any]:
    import numpy as np

    exchanges, texts = [], []
    for number, document in enumerate(documents):
        exchange = as_exchange(document) if number % CHAT_EVERY == 0 else None
        if exchange:
            exchanges.append(exchange)
        else:
            texts.append(document)
    end = tokenizer.convert_tokens_to_ids(SEPARATOR)
    examples = encode_texts(tokenizer, texts, end)
    examples += encode_conversations(tokenizer, exchanges, train_on="all")
    order = np.random.default_rng(seed).permutation(len(examples))
    return pack([examples[i] for i in order], ROW_TOKENS, tokenizer.pad_token_id)


def _new_model(tokenizer: Any, seed: int, size: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, intermediate = SIZES[size]
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            intermediate_size=intermediate,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _train(
    model: Any, ids: Any, labels: Any, spec: BaseSpec, rows_map: Map, progress: Progress
) -> list[tuple[int, float]]:
    import numpy as np
    import torch

    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=RATE, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    precision = choose_precision("auto", "cpu")
    order = np.random.default_rng(spec.seed + 1)
    queue: list[int] = []
    losses = []
    began = time.monotonic()
    model.train()
    for step in range(1, spec.steps + 1):
        while len(queue) < BATCH_ROWS:
            queue.extend(order.permutation(len(ids)))
        rows, queue = queue[:BATCH_ROWS], queue[BATCH_ROWS:]
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate_share(step, spec.steps, WARMUP_STEPS, FINAL_RATE_SHARE)
        targets = torch.from_numpy(labels[rows])
        scale = torch.full((BATCH_ROWS,), 1 / int((targets[:, 1:] != IGNORED).sum()))
        batch = Batch(torch.from_numpy(ids[rows]), targets, scale)
        loss, gradients = gradients_of(model, weights, batch, precision, rows_map)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % REPORT_EVERY == 0 or step == spec.steps:
            if not math.isfinite(loss):
                raise FloatingPointError(f"base model: loss {loss} at step {step}")
            losses.append((step, round(loss, 4)))
            speed = step * BATCH_ROWS * ROW_TOKENS / (time.monotonic() - began)
            progress(
                {
                    "stage": "base_model",
                    "step": step,
                    "steps": spec.steps,
                    "loss": loss,
                    "tokens_per_second": round(speed),
                }
            )
    model.eval()
    return losses


def rate_share(step: int, steps: int, warmup: int, final_share: float) -> float:
    """Return the share of the peak rate at a step from 1 to `steps`: up, then linearly down."""
    if step <= warmup:
        return step / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    return 1 - (1 - final_share) * done


def main() -> None:
    with running_job(sys.argv) as (job, progress):
        out = Path(job.pop("out"))
        cache = Path(job.pop("cache"))
        job["text"] = tuple(job.get("text", ()))
        spec = BaseSpec(**job)
        began = time.monotonic()
        folder, digest = ensure_base(cache, spec, progress)
        result = {
            "folder": str(folder),
            "digest": digest,
            # For the replay and the forgetting test, whatever kind of base it is.
            "general_text": [str(file) for file in general_texts(cache, spec)],
        }
        work = out.with_suffix(".writing")
        work.write_text(json.dumps(result), "utf-8")
        work.rename(out)
        seconds = round(time.monotonic() - began, 2)
        progress({"stage": "base_model", "event": "done", "digest": digest, "seconds": seconds})


if __name__ == "__main__":
    main()
