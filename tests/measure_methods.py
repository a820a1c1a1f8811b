"""Figures of decisions 18 and 19: `python -m tests.measure_methods WHAT [FILE]`.

memorization: secrets planted in a corpus, which is trained on as it is, anonymized, and with
differential privacy; exposure of the secrets and of controls, and the rules of the gate.
planted: the recipe `lora-tiny` on corpora with secrets in 1, 2 and 4 rows each, by seed of the
secrets: what `adapters.planted_secrets` gives.
preference FILE: DPO on pairs (JSON lines, gzip: transcripts `chosen` and `rejected` that differ in
their last answer, as in hh-rlhf); the margin on held-out pairs.
distillation: a student of half the size against its teacher, by the weight of the teacher.
The corpus is that of one domain of the sample feed.
"""

import gzip
import json
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ft_assets.adapters import distill, preference, private, train
from ft_assets.adapters.base_model import BaseSpec, ensure_base, general_texts
from ft_assets.adapters.planted_secrets import plant, secrets_of
from ft_assets.adapters.preference_section import Preference
from ft_assets.adapters.privacy import Privacy, plan, subjects_of
from ft_assets.adapters.recipe import Recipe, load_recipe
from ft_assets.corpus import anonymize
from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.redact import Placeholders
from ft_assets.evaluation import memorization
from ft_assets.evaluation.memorization_rules import memorization_rules
from ft_assets.evaluation.rules import Rule
from ft_assets.raw import schema
from ft_assets.raw.sample_feed import write_feed
from tests.measure import logs_of, rows

DOMAIN = "finance"
BASE_CACHE = Path(".ft/base_models")
BASE_STEPS = 150
AUDIT = {"seed": 1, "planted": 8, "copies": 16, "controls": 16}
RECIPE = Recipe(
    "measured",
    learning_rate=0.01,
    max_steps=80,
    max_epochs=50,
    row_tokens=512,
    batch_rows=2,
    eval_every=40,
    validation_rows=32,
)
PRIVACY = Privacy(epsilon=8, batch_subjects=32, max_rows_per_subject=4)
MAX_PAIRS = 400
ANSWER = "\n\nAssistant:"
WEIGHTS = (0.0, 0.5)
PREFERENCE_RATES = (0.0005, 0.001, 0.002)


def quiet(_facts: dict[str, Any]) -> None:
    pass


def shared(size: str = "whole") -> dict[str, Any]:
    spec = BaseSpec("embedded", steps=BASE_STEPS, threads=1, size=size)
    folder, digest = ensure_base(BASE_CACHE, spec, quiet)
    texts = [str(text) for text in general_texts(BASE_CACHE, spec)]
    return {"base": str(folder), "base_digest": digest, "threads": 1, "replay_text": texts}


def corpus_of(data: Path) -> pa.Table:
    write_feed(data)
    logs = logs_of(data, DOMAIN)
    examples = anonymize.anonymize_examples(
        rows(data, DOMAIN, "annotations", schema.Annotation),
        rows(data, DOMAIN, "corrections", schema.Correction),
        Detector(),
    ).rows
    consent = anonymize.consent_states(
        rows(data, DOMAIN, "users", schema.User), lambda kind, value: f"{kind}-{value}"
    )
    chosen = compose_eval([], examples, logs, consent, Policy())
    return compose_training(logs, examples, [], consent, chosen.rows, Policy()).table


def trained(folder: Path, name: str, corpus: pa.Table, recipe: Recipe) -> dict[str, Any]:
    """The record of an adapter trained on the corpus; both lie in the folder under its name."""
    pq.write_table(corpus, folder / f"{name}.parquet")
    one: dict[str, Any] = {
        "domain": DOMAIN,
        "corpus": str(folder / f"{name}.parquet"),
        "out": str(folder / name),
        "seed": 0,
    }
    if recipe.privacy:
        subjects = len(subjects_of(folder / f"{name}.parquet"))
        found = plan(subjects, recipe.max_steps, recipe.privacy)
        one["privacy"] = {"plan": found.to_dict(), "noise_seed": 1}
    module = private if recipe.privacy else train
    module.train_all({**shared(), "recipe": recipe.to_dict(), "jobs": [one]}, quiet)
    return json.loads((folder / name / "training.json").read_text())


def masked(corpus: pa.Table) -> pa.Table:
    texts = []
    for messages in map(json.loads, corpus["messages"].to_pylist()):
        names = Placeholders()
        texts.append(
            json.dumps([{**m, "content": names.mask(m["content"]).text} for m in messages])
        )
    place = corpus.schema.get_field_index("messages")
    return corpus.set_column(place, "messages", pa.array(texts, pa.string()))


def audited(folder: Path, name: str, planted: dict[str, int]) -> tuple[Rule, ...]:
    """The rules over an adapter of trained(), whose audit is written beside it."""
    one = {
        "domain": DOMAIN,
        "adapter": str(folder / name),
        "corpus": str(folder / f"{name}.parquet"),
        "held_out": None,
        "planted": planted,
        "out": str(folder / f"{name}.json"),
    }
    memorization.audit_all({**shared(), "seed": 0, "rows": 200, "jobs": [one]}, quiet)
    return memorization_rules(json.loads((folder / f"{name}.json").read_text()))


def measure_memorization(folder: Path) -> None:
    corpus = plant(corpus_of(folder / "feed"), secrets_of(**AUDIT))
    print(
        f"{len(corpus)} rows of {DOMAIN}, with {AUDIT['planted']} secrets in {AUDIT['copies']} "
        f"rows each, and {AUDIT['controls']} controls",
        flush=True,
    )
    kinds = {
        "without protection": (corpus, RECIPE),
        "anonymized": (masked(corpus), RECIPE),
        "epsilon 8": (corpus, replace(RECIPE, row_tokens=192, max_steps=60, privacy=PRIVACY)),
    }
    for name, (table, recipe) in kinds.items():
        record = trained(folder, name, table, recipe)
        rules = audited(folder, name, AUDIT)
        found = json.loads((folder / f"{name}.json").read_text())
        controls = [s["exposure"] for s in found["exposure"] if not s["copies"]]
        loss = [value for _, value in record["validation_loss"]]
        cost = record.get("privacy")
        print(
            f"\n{name}: validation loss {loss[0]:.3f} to {loss[-1]:.3f}, {record['cpu_seconds']} "
            f"CPU s{f', {cost}' if cost else ''}; exposure of controls up to {max(controls):.2f}"
        )
        for rule in rules:
            print(
                f"  {rule.outcome:12} {rule.rule}: {rule.says} (limit {rule.limit:g})", flush=True
            )


def measure_planted(folder: Path) -> None:
    corpus = corpus_of(folder / "feed")
    print(f"{len(corpus)} rows of {DOMAIN}, recipe lora-tiny", flush=True)
    for copies in (1, 2, 4):
        for seed in range(3):
            planted = {"seed": seed, "planted": 8, "copies": copies, "controls": 8}
            name = f"copies-{copies}-{seed}"
            trained(folder, name, plant(corpus, secrets_of(**planted)), load_recipe("lora-tiny"))
            began = time.monotonic()
            rules = audited(folder, name, planted)
            told = ", ".join(
                f"{rule.rule} {rule.value:.2f} {rule.outcome}"
                for rule in rules
                if rule.value is not None
            )
            print(f"{copies} rows each: {told}; {time.monotonic() - began:.1f} s", flush=True)


def measure_preference(folder: Path, file: Path) -> None:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    answers = pd.DataFrame(
        {
            "prompt": pair["chosen"].rpartition(ANSWER)[0][-300:],
            "chosen": pair["chosen"].rpartition(ANSWER)[2].strip()[:300],
            "rejected": pair["rejected"].rpartition(ANSWER)[2].strip()[:300],
        }
        for pair in found
        if pair["chosen"].rpartition(ANSWER)[0] == pair["rejected"].rpartition(ANSWER)[0]
    )
    few = answers[(answers != "").all(axis=1)]
    few = few.sample(min(MAX_PAIRS, len(few)), random_state=0)
    table = few.assign(pair_id=[f"p{n}" for n in range(len(few))], user="")
    table.to_parquet(folder / "pairs.parquet")
    trained(folder, "sft", corpus_of(folder / "feed"), RECIPE)
    recipe = load_recipe("dpo-tiny")
    for rate in PREFERENCE_RATES:
        own = replace(recipe.preference or Preference(), learning_rate=rate, max_tokens=256)
        one = {
            "domain": DOMAIN,
            "adapter": str(folder / "sft"),
            "pairs": str(folder / "pairs.parquet"),
            "out": str(folder / f"dpo-{rate}"),
            "seed": 0,
        }
        job = {**shared(), "recipe": replace(recipe, preference=own).to_dict(), "jobs": [one]}
        preference.train_all(job, quiet)
        told = json.loads((folder / f"dpo-{rate}" / "training.json").read_text())["preference"]
        low, high = told["rise_interval"]
        print(
            f"learning rate {rate:g}: {told['pairs']} pairs, {own.max_steps} steps, "
            f"{told['seconds']} s; on {told['held_out']} held-out pairs the margin rises by "
            f"{told['rise']:+.2f} nats ({low:+.2f} to {high:+.2f}), in {told['risen_share']:.0%} "
            f"of them; preferred answers likelier in {told['preferred_share_before']:.0%}, then "
            f"{told['preferred_share_after']:.0%}",
            flush=True,
        )


def measure_distillation(folder: Path) -> None:
    teacher = trained(folder, "teacher", corpus_of(folder / "feed"), RECIPE)
    print(f"teacher: {teacher['steps']} steps, {teacher['cpu_seconds']} CPU s", flush=True)
    student = shared("half")
    recipe = load_recipe("distill-tiny")
    for weight in WEIGHTS:
        distillation = replace(recipe.distillation or distill.Distillation(), weight=weight)
        own = replace(recipe, distillation=distillation)
        one = {
            "domain": DOMAIN,
            "adapter": str(folder / "teacher"),
            "corpus": str(folder / "teacher.parquet"),
            "out": str(folder / f"student-{weight}"),
            "seed": 0,
        }
        job = {
            **shared(),
            "student": student["base"],
            "student_digest": student["base_digest"],
            "recipe": own.to_dict(),
            "jobs": [one],
        }
        distill.distill_all(job, quiet)
        told = json.loads((folder / f"student-{weight}" / "training.json").read_text())
        share = told["parameters"] / told["teacher"]["parameters"]
        print(
            f"weight {weight:g}: student with adapter of {share:.0%} of the teacher's parameters, "
            f"{told['steps']} steps, {told['cpu_seconds']} CPU s; loss {told['loss']}; "
            f"{told['gain_kept']:.1%} of the teacher's gain kept",
            flush=True,
        )


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        if arguments[0] == "memorization":
            measure_memorization(Path(name))
        elif arguments[0] == "planted":
            measure_planted(Path(name))
        elif arguments[0] == "preference":
            measure_preference(Path(name), Path(arguments[1]))
        elif arguments[0] == "distillation":
            measure_distillation(Path(name))
        else:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
