"""Examples from the training corpus before each question: what the base alone can do with them.

Shown as earlier turns of the conversation (Brown et al. 2020). The same examples stand before every
row: short ones of the training split, by hash, as many as fit into the budget of tokens.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ft_assets.adapters.tokens import Message, encode_conversations

LOOKED_AT = 200  # rows of the corpus


def few_shot_examples(
    tokenizer: Any, corpus: Path, budget: int, most: int, seed: int
) -> list[list[Message]]:
    """At most `most` conversations that have no more than `budget` tokens together.

    `corpus`: Parquet with the columns row_id, split, kind and messages. Documents are no examples:
    they have no question. Empty when none fits.
    """
    table = pq.read_table(corpus, columns=["row_id", "split", "kind", "messages"]).to_pylist()
    rows = [row for row in table if row["split"] == "train" and row["kind"] != "document"]
    rows.sort(key=lambda row: hashlib.sha256(f"{seed}:{row['row_id']}".encode()).hexdigest())
    candidates = [json.loads(row["messages"]) for row in rows[:LOOKED_AT]]
    if not candidates:
        return []
    lengths = [
        len(tokens.ids) for tokens in encode_conversations(tokenizer, candidates, train_on="all")
    ]
    chosen, used = [], 0
    for messages, length in zip(candidates, lengths, strict=True):
        # No example takes more than its part, so that there can be several.
        if length <= budget / most and used + length <= budget and len(chosen) < most:
            chosen.append(messages)
            used += length
    return chosen


def with_examples(examples: list[list[Message]], conversation: list[Message]) -> list[Message]:
    return [*(message for example in examples for message in example), *conversation]
