"""The numbers behind three limits: `python -m tests.measure gate|drift|usual [FEED FOLDER]`.

gate: the loss difference between adapters that differ in their seed alone (A/A), on the evaluation
set. The margin of the promotion gate has to cover it (docs/decisions/0005-gate.md).
drift: the score of single weeks and of three weeks against the first six (docs/decisions/
0006-drift.md).
usual: what is unusual in single weeks against the weeks before, and how often chance alone is
(docs/decisions/0014-usual-weeks.md).
Without a folder the sample feed is measured.
"""

import json
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ft_assets.corpus import anonymize
from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.detector import Detector
from ft_assets.demo.feed import domains_of, general_text
from ft_assets.publishing import share
from ft_assets.raw import schema
from ft_assets.raw.intake import take_up
from ft_assets.raw.sample_feed import write_feed
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import Intake

SEEDS = (0, 1, 2, 3)
REFERENCE_WEEKS = 6
BASE_CACHE = Path(".ft/base_models")


def rows(data: Path, domain: str, kind: str, model: type[schema.Row]) -> list[dict[str, Any]]:
    return taken(data, domain, kind, model).rows


def taken(data: Path, domain: str, kind: str, model: type[schema.Row]) -> Intake:
    files = list_files([f"{data.resolve()}/{domain}/{kind}*.jsonl*"])
    now = datetime.now(UTC)
    return take_up(files, model, domain=domain, now=now, unknown_fields="ignore")


def logs_of(data: Path, domain: str) -> list[dict[str, Any]]:
    return anonymize.anonymize_logs(
        rows(data, domain, "logs", schema.Interaction),
        lambda kind, value: f"{kind}-{value}",
        Detector(),
    ).rows


def measure_gate(data: Path, folder: Path) -> None:
    from ft_assets.adapters.base_model import BaseSpec, ensure_base, general_texts
    from ft_assets.adapters.recipe import load_recipe
    from ft_assets.adapters.train import train_all
    from ft_assets.demo.run import BASE_STEPS_FOR_REAL_TEXT as BASE_STEPS
    from ft_assets.evaluation.compare import compare, row_losses
    from ft_assets.evaluation.score import score_all

    spec = BaseSpec("embedded", text=tuple(map(str, general_text(data))), steps=BASE_STEPS)
    base, digest = ensure_base(BASE_CACHE, spec, lambda facts: None)
    texts = [str(file) for file in general_texts(BASE_CACHE, spec)]
    shared = {"base": str(base), "base_digest": digest, "threads": 2}
    for domain in domains_of(data):
        logs = logs_of(data, domain)
        examples = anonymize.anonymize_examples(
            rows(data, domain, "annotations", schema.Annotation),
            rows(data, domain, "corrections", schema.Correction),
            Detector(),
        ).rows
        documents = anonymize.anonymize_documents(
            rows(data, domain, "documents", schema.Document), Detector()
        ).rows
        consent = anonymize.consent_states(
            rows(data, domain, "users", schema.User), lambda kind, value: f"{kind}-{value}"
        )
        own = anonymize.anonymize_cases(
            rows(data, domain, "eval", schema.EvalCase), Detector()
        ).rows
        chosen = compose_eval(own, examples, logs, consent, Policy())
        corpus = compose_training(logs, examples, documents, consent, chosen.rows, Policy())
        pd.DataFrame(corpus.rows).to_parquet(folder / f"{domain}.parquet")
        evaluation = pd.DataFrame(chosen.rows)
        evaluation = evaluation.sample(min(300, len(evaluation)), random_state=0)
        evaluation.to_parquet(folder / f"{domain}-eval.parquet")
        jobs = [
            {
                "domain": domain,
                "corpus": str(folder / f"{domain}.parquet"),
                "out": str(folder / f"{domain}-{seed}"),
                "seed": seed,
            }
            for seed in SEEDS
        ]
        recipe = load_recipe("lora-tiny").to_dict()
        train_all({**shared, "recipe": recipe, "replay_text": texts, "jobs": jobs}, lambda f: None)
        arms = {str(job["seed"]): job["out"] for job in jobs}
        out = folder / f"{domain}.json"
        score = {"domain": domain, "rows": str(folder / f"{domain}-eval.parquet")}
        score_all(
            {
                **shared,
                "general_text": texts,
                "generate": 0,
                "max_new_tokens": 1,
                "seed": 0,
                "jobs": [{**score, "arms": {"base": None, **arms}, "out": str(out)}],
            },
            lambda facts: None,
        )
        scored = json.loads(out.read_text())["arms"]
        found = [
            compare(row_losses(scored[a]), row_losses(scored[b]), resamples=2000, seed=0)
            for a, b in combinations(map(str, SEEDS), 2)
        ]
        worst = max(abs(pair.mean) for pair in found)
        significant = sum(pair.low > 0 or pair.high < 0 for pair in found)
        width = max(pair.high - pair.low for pair in found) / 2
        print(
            f"{domain}: {len(evaluation)} rows, {len(found)} A/A pairs, largest difference "
            f"{worst:.4f} nats, widest interval +-{width:.4f}, {significant} of them exclude 0; "
            f"perplexity {scored['base']['perplexity']:.1f} -> {scored['0']['perplexity']:.1f}",
            flush=True,
        )


def measure_drift(data: Path) -> None:
    from ft_assets.monitoring.drift import DriftLimits, measure_drift

    for domain in domains_of(data):
        table = pd.DataFrame(logs_of(data, domain))
        weeks = sorted(table["week"].unique())
        reference = table[table["week"].isin(weeks[:REFERENCE_WEEKS])]
        later = weeks[REFERENCE_WEEKS:]
        windows = [[week] for week in later] + [later[-3:]]
        scores = []
        for window in windows:
            found = measure_drift(reference, table[table["week"].isin(window)], DriftLimits(), 0)
            scores.append("-" if found.score is None else f"{found.score:.3f}/{found.limit:.3f}")
        singles = ", ".join(scores[:-1])
        print(f"{domain}: score/limit of weeks 7 on: {singles}; of the last three: {scores[-1]}")


def measure_usual(data: Path) -> None:
    from ft_assets.expectations import usual
    from ft_assets.expectations.derived import Given, derive
    from ft_assets.expectations.suite import load_suite

    for name in ("raw_logs", "anonymized_logs"):
        suite = load_suite(name)
        columns = {column for e in suite.expectations for column in e.columns}
        weekly = [e for e in suite.expectations if e.usual]
        judged, unusual, nothing = 0, [], 0
        for domain in domains_of(data):
            if name == "raw_logs":
                table = _raw_table(taken(data, domain, "logs", schema.Interaction))
            else:
                table = pd.DataFrame(logs_of(data, domain))
            table = derive(table, columns, Given())
            known = {
                f"{domain}|{week}": usual.figures(part, suite)
                for week, part in table.groupby("week")
            }
            for key, now in known.items():
                for expectation in weekly:
                    figure = now.get(expectation.key)
                    band = usual.limits(expectation, figure, usual.earlier_weeks(key, known))
                    if not isinstance(band, usual.Band) or figure is None:
                        nothing += 1
                        continue
                    judged += 1
                    low, high = band.low or 0.0, band.high or float("inf")
                    if not low <= figure["value"] <= high:
                        value = f"{figure['value']:.3f} outside {low:.3f} to {high:.3f}"
                        unusual.append(f"{key} {expectation.key} {value}")
        print(
            f"{name}: {judged} judged, {nothing} not, {len(unusual)} unusual", *unusual, sep="\n  "
        )
    for weeks in (usual.MIN_WEEKS, usual.WINDOW):
        for ratio in (1, 3):
            rates = [_share_outside(weeks, ratio, shift) for shift in (0, 6, 8)]
            print(
                f"{weeks} earlier weeks that scatter {ratio} times as chance does: "
                f"{rates[0]:.2%} outside, {rates[1]:.0%} when shifted by 6 deviations, "
                f"{rates[2]:.0%} by 8"
            )


def _raw_table(intake: Intake) -> pd.DataFrame:
    """As the asset raw_logs gives it to its suite."""
    weeks = sorted({week for week, _ in intake.lines})
    tables = [
        pd.DataFrame(part.rows).assign(quarantined_share=share(len(part.quarantined), part.rows_in))
        for part in intake.by_week(weeks).values()
        if part.rows
    ]
    return pd.concat(tables, ignore_index=True)


def _share_outside(weeks: int, ratio: float, shift: float, trials: int = 20_000) -> float:
    """Of normal weeks with deviation 1, of which chance is 1 / ratio; `within` is left out."""
    from ft_assets.expectations import usual
    from ft_assets.expectations.suite import Reference, Usual

    dice = np.random.default_rng(0)
    wanted = Usual(Reference.WEEKS, 1e-9)
    outside = 0
    for _ in range(trials):
        # 100: none of the figures is negative.
        *before, now = dice.normal(100, 1, weeks + 1)
        history = [{"value": value, "spread": 1 / ratio, "n": 1} for value in before]
        figure = {"value": now + shift, "spread": 1 / ratio, "n": 1}
        band = usual.band(wanted, figure, history)
        outside += not (band.low or 0) <= figure["value"] <= (band.high or 0)
    return outside / trials


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if len(sys.argv) > 2:
            data = Path(sys.argv[2])
        else:
            data = folder / "feed"
            write_feed(data)
        if sys.argv[1] == "gate":
            measure_gate(data, folder)
        elif sys.argv[1] == "drift":
            measure_drift(data)
        else:
            measure_usual(data)


if __name__ == "__main__":
    main()
