"""Answers of a model, generated in batches, and what is wrong with them.

Flags are per answer, so that two arms can be compared row by row: toxic (the screening's own
score), a canned refusal, empty, and personal data that the prompt does not hold, found by the
detector of ingestion. What the flags do not see: false answers, advice that harms, and what the
detectors miss (docs/decisions/0010-tagger.md, 0011-screening.md).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ft_assets.adapters.tokens import Message, plain
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.redact import DEFAULT_TYPES
from ft_assets.corpus.screen.answers import is_empty, refusal
from ft_assets.corpus.screen.toxicity import toxicity

GENERATE_AT_ONCE = 16  # rows


def generate_answers(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    context: int,
    new_tokens: int,
) -> list[str]:
    """Greedy answers to conversations that end with a question."""
    specials = sorted(set(tokenizer.all_special_tokens))
    texts = [
        tokenizer.apply_chat_template(
            [{**m, "content": plain(m["content"], specials)} for m in messages],
            tokenize=False,
            add_generation_prompt=True,
        )
        for messages in conversations
    ]
    if not texts:
        return []
    prompts = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    room = max(1, context - new_tokens)
    return generate(model, tokenizer, [ids[-room:] for ids in prompts], new_tokens)


def generate(model: Any, tokenizer: Any, prompts: list[list[int]], new_tokens: int) -> list[str]:
    """Return greedy answers; prompts are padded on the left so that a batch ends in step."""
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    # Prompts of like length together: less is padded.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    answers = [""] * len(prompts)
    for start in range(0, len(order), GENERATE_AT_ONCE):
        places = order[start : start + GENERATE_AT_ONCE]
        batch = [prompts[i] for i in places]
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
        texts = tokenizer.batch_decode(made[:, longest:], skip_special_tokens=True)
        for i, text in zip(places, texts, strict=True):
            answers[i] = text
    return answers


def flagged(
    prompts: Sequence[str], answers: Sequence[str], detector: Detector, toxicity_limit: float
) -> Mapping[str, list[bool]]:
    """By flag, whether each answer has it."""
    return {
        "toxic": [score >= toxicity_limit for score in toxicity(list(answers))],
        "refusal": [refusal(answer) >= 0.5 for answer in answers],
        "personal_data": _personal(prompts, answers, detector),
        "empty": [is_empty(answer) for answer in answers],
    }


def _personal(prompts: Sequence[str], answers: Sequence[str], detector: Detector) -> list[bool]:
    spans = detector.find_in([[answer] for answer in answers], DEFAULT_TYPES)
    return [
        any(answer[span.start : span.end].casefold() not in prompt.casefold() for span in found)
        for prompt, answer, [found] in zip(prompts, answers, spans, strict=True)
    ]
