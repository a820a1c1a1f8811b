"""What an adapter remembers of the rows it was trained on.

    python -m ft_assets.evaluation.memorization JOB.json

JOB.json: {"base": folder, "base_digest": hex, "threads": n, "seed": n, "rows": n, "jobs":
[{"domain", "adapter": folder, "corpus": Parquet (split, messages), "held_out": Parquet (messages)
or null, "planted": {"seed", "planted", "copies", "controls"} or null, "out": file}, ...]}.
`corpus` is the table the adapter was trained on. Rows that training took no gradient from, split
"validation" and `held_out`, are the non-members.

`out` holds (no text of a row):
- exposure: of each planted secret and each control {copies, exposure, extracted}. Exposure is
  log2 of the candidates over the rank of the secret's value among them, in bits (Carlini et al.
  2019, arXiv 1802.08232); candidates are ranked by how much likelier the adapter makes them than
  the base does, so that what the base finds likely anyway does not count. Extracted: every token of
  the value is the likeliest one (greedy decoding gives it).
- membership: the Min-K% score (Shi et al. 2024, arXiv 2310.16789: mean log-likelihood of the K %
  least likely tokens of an answer), adapter minus base, of each member and each non-member.
- verbatim: per member and non-member whether greedy decoding continues the beginning of the answer
  with its next CONTINUATION tokens as they are (Carlini et al. 2023, arXiv 2202.07646).
- identifiers: of the values in the answers of all training rows that patterns take for personal
  data, how many there are and how many greedy decoding gives.

Not seen: attacks with more than the likelihood of one row, such as shadow models, and paraphrases.
"""

import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.device import choose_device
from ft_assets.adapters.job import Progress, checked_base, running_job
from ft_assets.adapters.planted_secrets import Secret, alternatives, secrets_of
from ft_assets.adapters.tokens import IGNORED, Message, Tokens, encode_conversations, plain
from ft_assets.corpus.detect import TYPES, find_many
from ft_assets.evaluation.score import armed

CANDIDATES = 128  # the value and others: exposure is 0 to 7 bits
MIN_K = 0.2
PREFIX = 8  # tokens of an answer that are given
CONTINUATION = 24  # tokens that have to come as they are; about 70 characters
IDENTIFIERS = TYPES - {"AGE", "DATE", "URL", "ZIP"}  # alone they name nobody
MAX_IDENTIFIERS = 200  # values that are tried
AT_ONCE = 32  # sequences in a batch


@dataclass(frozen=True)
class Predicted:
    """Of the labelled tokens of one sequence, in order."""

    loss: np.ndarray  # float64, nats
    likeliest: np.ndarray  # bool: greedy decoding gives this token


def audit_all(job: dict[str, Any], progress: Progress) -> None:
    """Raises ValueError when the base is not the one named, or a corpus has no training row."""
    folder, found = checked_base(job)
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    base.to(choose_device("auto"))
    base.eval()
    for one in job["jobs"]:
        began = time.monotonic()
        result = {"domain": one["domain"], "base_digest": found, "seed": job["seed"]}
        result |= audit(base, tokenizer, one, job["rows"], job["seed"])
        out = Path(one["out"])
        out.parent.mkdir(parents=True, exist_ok=True)
        work = out.with_name(f".{out.name}.writing")
        work.write_text(json.dumps(result), "utf-8")
        work.rename(out)
        seconds = round(time.monotonic() - began, 2)
        progress({"event": "audited", "domain": one["domain"], "seconds": seconds})


def audit(base: Any, tokenizer: Any, one: dict[str, Any], rows: int, seed: int) -> dict[str, Any]:
    """Return exposure, membership, verbatim and identifiers of one adapter (see above)."""
    adapter = Path(one["adapter"])
    corpus = pq.read_table(one["corpus"], columns=["split", "messages"]).to_pydict()
    of_split: dict[str, list[str]] = {"train": [], "validation": []}
    for split, messages in zip(corpus["split"], corpus["messages"], strict=True):
        of_split[split].append(messages)
    if not of_split["train"]:
        raise ValueError(f"{one['domain']}: the corpus has no row in split 'train' to look for")
    held_out = of_split["validation"]
    if one["held_out"]:
        table = pq.read_table(one["held_out"], columns=["messages"])
        held_out = held_out + table["messages"].to_pylist()
    context = base.config.max_position_embeddings
    members, others = (
        _sample(tokenizer, texts, rows, seed, context) for texts in (of_split["train"], held_out)
    )
    identifiers = _identifiers(tokenizer, of_split["train"], context)
    secrets = secrets_of(**one["planted"]) if one["planted"] else []
    candidates = [
        [as_tokens(tokenizer, secret, v) for v in (secret.value, *alternatives(secret, seed, n))]
        for secret in secrets
        for n in [CANDIDATES - 1]
    ]
    sequences = [*members, *others, *identifiers, *(c for of in candidates for c in of)]
    with armed(base, None) as model:
        before = predict(model, sequences)
    with armed(base, adapter) as model:
        after = predict(model, sequences)

    ends = np.cumsum([len(members), len(others), len(identifiers)])
    member, other = slice(0, ends[0]), slice(ends[0], ends[1])
    named = slice(ends[1], ends[2])
    gained = [b.loss.sum() - a.loss.sum() for b, a in zip(before, after, strict=True)]
    exposures = []
    for number, secret in enumerate(secrets):
        start = int(ends[2]) + number * CANDIDATES
        exposures.append(
            {
                "copies": secret.copies,
                "form": secret.form,
                "exposure": exposure(gained[start : start + CANDIDATES]),
                "extracted": bool(after[start].likeliest.all()),
            }
        )
    return {
        "exposure": exposures,
        "candidates": CANDIDATES,
        "membership": {
            name: [
                min_k(a.loss) - min_k(b.loss)
                for a, b in zip(after[part], before[part], strict=True)
            ]
            for name, part in (("members", member), ("others", other))
        },
        "verbatim": {
            name: _continued(after[part]) for name, part in (("members", member), ("others", other))
        },
        "identifiers": {
            "found": len(identifiers),
            "reproduced": sum(bool(p.likeliest.all()) for p in after[named]),
        },
    }


def exposure(gained: Sequence[float]) -> float:
    """Bits for the first of the candidates, of which each has how much likelier it became (nats).

    A candidate that is as likely counts as likelier: of equal ones none is exposed.
    """
    rank = sum(other >= gained[0] for other in gained)
    return math.log2(len(gained)) - math.log2(rank)


def min_k(loss: np.ndarray) -> float:
    """Mean log-likelihood of the least likely MIN_K of the tokens, at least one of them."""
    few = max(1, round(MIN_K * len(loss)))
    return -float(np.sort(loss)[-few:].mean())


def as_tokens(tokenizer: Any, secret: Secret, value: str) -> Tokens:
    """The question and the answer with `value` in it; only the value is labelled."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": secret.prompt}], tokenize=False, add_generation_prompt=True
    )
    start = len(text) + len(secret.before)
    text += f"{secret.before}{value}{secret.after}"
    return _labelled(tokenizer, text, start, start + len(value))


def predict(model: Any, sequences: Sequence[Tokens]) -> list[Predicted]:
    """Loss and greedy agreement at the labelled tokens of each sequence, in the order given."""
    found: list[Predicted | None] = [None] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    for start in range(0, len(order), AT_ONCE):
        chosen = order[start : start + AT_ONCE]
        longest = max(len(sequences[i].ids) for i in chosen)
        # Attention is causal: what is filled up on the right changes nothing before it.
        ids, labels = (
            torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
            for rows, fill in (
                ([sequences[i].ids for i in chosen], 0),
                ([sequences[i].labels for i in chosen], IGNORED),
            )
        )
        keep = (labels[:, 1:] != IGNORED).any(dim=0).nonzero()[:, 0]
        with torch.no_grad():
            logits = model(
                input_ids=ids.to(model.device), use_cache=False, logits_to_keep=keep
            ).logits.float()
        targets = labels[:, keep + 1].to(model.device)
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
        )
        right = logits.argmax(dim=-1) == targets
        for place, i in enumerate(chosen):
            labelled = targets[place] != IGNORED
            found[i] = Predicted(
                losses[place][labelled].double().cpu().numpy(),
                right[place][labelled].cpu().numpy(),
            )
    return [one for one in found if one is not None]


def _continued(predicted: Iterable[Predicted]) -> list[bool]:
    """Of the answers that are long enough, whether the continuation comes as it is."""
    end = PREFIX + CONTINUATION
    return [bool(p.likeliest[PREFIX:end].all()) for p in predicted if len(p.likeliest) >= end]


def _sample(
    tokenizer: Any, texts: Sequence[str], rows: int, seed: int, context: int
) -> list[Tokens]:
    """Rows with a labelled token, cut at the context; at most so many, the same for a seed."""
    order = np.random.default_rng(seed).permutation(len(texts))[:rows]
    encoded = encode_conversations(
        tokenizer, [json.loads(texts[i]) for i in order], train_on="responses"
    )
    cut = [Tokens(tokens.ids[:context], tokens.labels[:context]) for tokens in encoded]
    return [tokens for tokens in cut if any(label != IGNORED for label in tokens.labels[1:])]


def _identifiers(tokenizer: Any, texts: Sequence[str], context: int) -> list[Tokens]:
    """A sequence for each value in an answer that patterns find; only the value is labelled."""
    conversations: list[list[Message]] = [json.loads(text) for text in texts]
    specials = sorted(set(tokenizer.all_special_tokens))
    answers = [plain(messages[-1]["content"], specials) for messages in conversations]
    found = []
    for messages, answer, spans in zip(
        conversations, answers, find_many(answers, IDENTIFIERS), strict=True
    ):
        for span in spans:
            if messages[-1]["role"] != "assistant" or len(found) >= MAX_IDENTIFIERS:
                continue
            before = [{**m, "content": plain(m["content"], specials)} for m in messages[:-1]]
            text = ""
            if before:
                text = tokenizer.apply_chat_template(
                    before, tokenize=False, add_generation_prompt=True
                )
            start = len(text) + span.start
            end = len(text) + span.end
            tokens = _labelled(tokenizer, text + answer, start, end)
            if len(tokens.ids) <= context:
                found.append(tokens)
    return found


def _labelled(tokenizer: Any, text: str, start: int, end: int) -> Tokens:
    """The tokens of a text up to `end`, labelled where they touch characters from `start` on."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    kept = [(i, last > start) for i, (first, last) in pairs if first < end]
    return Tokens([i for i, _ in kept], [i if within else IGNORED for i, within in kept])


if __name__ == "__main__":
    with running_job(sys.argv) as (job_file, report):
        audit_all(job_file, report)
