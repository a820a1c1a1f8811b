"""How much two adapters differ on the same rows: `python -m tests.measure_gate [FEED FOLDER]`.

Per domain one recipe is trained with several seeds on all weeks (A/A pairs: they differ by chance
alone), and with others on all weeks but the newest three, as a champion before them would have
been. All score the evaluation set. `--write` adds the losses of the rows to the file that
`ft gate simulate` draws from (ft_assets/evaluation/measured_rows.py): numbers, no text.
Without a folder the sample feed is measured.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ft_assets.corpus import anonymize
from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.detector import Detector
from ft_assets.demo.feed import domains_of, general_text
from ft_assets.evaluation.compare import compare
from ft_assets.evaluation.judge import row_losses
from ft_assets.evaluation.measured_rows import FILE, Measured, read_measured, write_measured
from ft_assets.raw import schema
from ft_assets.raw.sample_feed import write_feed
from tests.measure import logs_of, rows

NEWEST_WEEKS = 3  # that the champions of before have not seen
BASE_CACHE = Path(".ft/base_models")
MAX_ROWS = 300


def measure(
    data: Path, name: str, folder: Path, seeds: int, earlier: int, threads: int
) -> list[Measured]:
    from ft_assets.adapters.base_model import BaseSpec, ensure_base, general_texts
    from ft_assets.adapters.recipe import load_recipe
    from ft_assets.adapters.train import train_all
    from ft_assets.demo.run import BASE_STEPS_FOR_REAL_TEXT as BASE_STEPS
    from ft_assets.evaluation.score import score_all

    spec = BaseSpec("embedded", text=tuple(map(str, general_text(data))), steps=BASE_STEPS)
    base, digest = ensure_base(BASE_CACHE, spec, lambda facts: None)
    texts = [str(file) for file in general_texts(BASE_CACHE, spec)]
    shared = {"base": str(base), "base_digest": digest, "threads": threads}
    recipe = load_recipe("lora-tiny").to_dict()
    found = []
    for domain in domains_of(data):
        corpora, evaluation = _compose(data, domain)
        few = evaluation.sample(min(MAX_ROWS, len(evaluation)), random_state=0).sort_index()
        few.to_parquet(folder / "eval.parquet")
        jobs = []
        for when, count in (("now", seeds), ("before", earlier)):
            corpora[when].to_parquet(folder / f"{when}.parquet")
            for seed in range(count):
                out = folder / f"{domain}-{when}-{seed}"
                corpus = str(folder / f"{when}.parquet")
                jobs.append({"domain": domain, "corpus": corpus, "out": str(out), "seed": seed})
        train_all({**shared, "recipe": recipe, "replay_text": texts, "jobs": jobs}, _quiet)
        arms = {Path(job["out"]).name.removeprefix(f"{domain}-"): job["out"] for job in jobs}
        one = {"domain": domain, "rows": str(folder / "eval.parquet")}
        out = folder / f"{domain}.json"
        score_all(
            {
                **shared,
                "general_text": texts,
                "generate": 0,
                "max_new_tokens": 1,
                "seed": 0,
                "jobs": [{**one, "arms": {"base": None, **arms}, "out": str(out)}],
            },
            _quiet,
        )
        scored = json.loads(out.read_text("utf-8"))["arms"]
        _tell(domain, scored, seeds)
        found.append(
            Measured(
                source=f"{name}:{domain}",
                arms=tuple(scored),
                losses=np.array([row_losses(arm) for arm in scored.values()], np.float32).T,
                tokens=np.array([row["tokens"] for row in scored["base"]["rows"]], np.int32),
                slices=tuple(map(str, few["task"])),
            )
        )
    return found


def _compose(data: Path, domain: str) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    logs = logs_of(data, domain)
    examples = anonymize.anonymize_examples(
        rows(data, domain, "annotations", schema.Annotation),
        rows(data, domain, "corrections", schema.Correction),
        Detector(),
    ).rows
    documents = anonymize.anonymize_documents(
        rows(data, domain, "documents", schema.Document), Detector()
    ).rows
    name: Callable[[str, str], str] = "{}-{}".format
    consent = anonymize.consent_states(rows(data, domain, "users", schema.User), name)
    own = anonymize.anonymize_cases(rows(data, domain, "eval", schema.EvalCase), Detector()).rows
    weeks = sorted({log["week"] for log in logs})
    cut = weeks[-min(NEWEST_WEEKS, len(weeks) // 4)]
    chosen = compose_eval(own, examples, logs, consent, Policy())
    corpora = {
        when: compose_training(kept, examples, documents, consent, chosen.rows, Policy()).rows
        for when, kept in (("now", logs), ("before", [r for r in logs if r["week"] < cut]))
    }
    return {when: pd.DataFrame(kept) for when, kept in corpora.items()}, pd.DataFrame(chosen.rows)


def _tell(domain: str, scored: dict[str, Any], seeds: int) -> None:
    same = [f"now-{seed}" for seed in range(seeds)]
    pairs = [
        compare(row_losses(scored[a]), row_losses(scored[b]), resamples=2000, seed=0)
        for a, b in combinations(same, 2)
    ]
    worst = max(abs(pair.mean) for pair in pairs)
    width = max(pair.high - pair.low for pair in pairs) / 2
    significant = sum(pair.low > 0 or pair.high < 0 for pair in pairs)
    base, now = scored["base"], scored[same[0]]
    general = now["general"]["perplexity"] / base["general"]["perplexity"]
    print(
        f"{domain}: {pairs[0].rows} rows, {len(pairs)} A/A pairs, largest difference {worst:.4f} "
        f"nats, widest interval +-{width:.4f}, {significant} of them exclude 0; perplexity "
        f"{base['perplexity']:.1f} -> {now['perplexity']:.1f}, general x {general:.2f}",
        flush=True,
    )


def _quiet(facts: object) -> None:
    """The trainer's progress is not what is asked for here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--name", default="sample", help="of the feed, in the file")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--earlier", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = asked.data
        if data is None:
            data = folder / "feed"
            write_feed(data)
        found = measure(data, asked.name, folder, asked.seeds, asked.earlier, asked.threads)
    if asked.write:
        before = read_measured() if FILE.exists() else []
        kept = [one for one in before if not one.source.startswith(f"{asked.name}:")]
        write_measured([*kept, *found])


if __name__ == "__main__":
    main()
