"""A training of seconds: a recipe, a corpus of a few words, and what came out."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from ft_assets.adapters.recipe import Recipe

RECIPE = Recipe(
    "test",
    rank=4,
    alpha=8,
    learning_rate=5e-3,
    warmup_steps=1,
    max_steps=6,
    max_epochs=100,
    row_tokens=64,
    batch_rows=2,
    replay_share=0.25,
    eval_every=2,
)
WORDS = ["the", "order", "came", "late", "customer", "asked", "for", "refund", "on", "friday"]


def write_corpus(file, rows, validation=4, weeks=("",)):
    table = {"split": [], "week": [], "group": [], "messages": []}
    for i in range(rows):
        answer = " ".join(WORDS[(i * j + 1) % len(WORDS)] for j in range(12))
        question = {"role": "user", "content": f"Question {i}?"}
        table["week"].append(weeks[i % len(weeks)])
        table["group"].append(f"user:{i % 12}")
        table["split"].append("validation" if i < validation else "train")
        table["messages"].append(json.dumps([question, {"role": "assistant", "content": answer}]))
    schema = pa.schema([(name, pa.string()) for name in table])
    pq.write_table(pa.table(table, schema=schema), file)
    return str(file)


def weights(folder):
    return (folder / "adapter_model.safetensors").read_bytes()
