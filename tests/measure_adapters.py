"""What adapters keep: `python -m tests.measure_adapters forgetting|weekly|resume [FEED FOLDER]`.

forgetting: what a domain gains and general English loses, by replay and by how far the adapter is
drawn back to the base (docs/decisions/0015-forgetting.md). `--curve DOMAIN` adds the curve of one.
weekly: twelve weekly updates that go on from each other, against one training on everything, on
held-out rows of the weeks before the last (the same page).
resume: trainings killed at random, half of them by SIGTERM, and what the next run makes of it
(docs/decisions/0016-resume.md).
Without a folder the sample feed is measured. `--domains a,b` measures those alone, `--steps` is of
the embedded base, `--json FILE` keeps what was found.
"""

import argparse
import json
import math
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ft_assets.corpus import anonymize
from ft_assets.corpus.compose import Policy, compose_eval, compose_training
from ft_assets.corpus.detector import Detector
from ft_assets.demo.feed import domains_of, general_text
from ft_assets.raw import schema
from ft_assets.raw.sample_feed import write_feed
from tests.measure import logs_of, rows

BASE_CACHE = Path(".ft/base_models")
MAX_EVAL_ROWS = 300  # as the evaluation of the platform has by default
RECIPE, WEEKLY = "lora-tiny", "weekly-tiny"
KILLS = 20
SHORT = {"max_steps": 100, "row_tokens": 128}  # of a training that is killed
GENERAL_CHARACTERS = 300_000  # that it replays from


@dataclass(frozen=True)
class Feed:
    """Corpora and held-out rows of a feed, and the base that it is learned on."""

    data: Path
    folder: Path
    shared: dict[str, Any]  # fields that every job has

    def corpus(
        self, domain: str, policy: Policy | None = None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Training rows and held-out rows, each with its week."""
        policy = policy or Policy()
        logs = logs_of(self.data, domain)
        examples = anonymize.anonymize_examples(
            rows(self.data, domain, "annotations", schema.Annotation),
            rows(self.data, domain, "corrections", schema.Correction),
            Detector(),
        ).rows
        documents = anonymize.anonymize_documents(
            rows(self.data, domain, "documents", schema.Document), Detector()
        ).rows
        consent = anonymize.consent_states(
            rows(self.data, domain, "users", schema.User), lambda kind, value: f"{kind}-{value}"
        )
        own = anonymize.anonymize_cases(
            rows(self.data, domain, "eval", schema.EvalCase), Detector()
        ).rows
        chosen = compose_eval(own, examples, logs, consent, policy)
        corpus = compose_training(logs, examples, documents, consent, chosen.rows, policy)
        return pd.DataFrame(corpus.rows), pd.DataFrame(chosen.rows)

    def train(
        self, recipe: Any, domain: str, corpus: pd.DataFrame, name: str, **more: Any
    ) -> dict[str, Any]:
        """Train one adapter; the record of it, with its folder."""
        from ft_assets.adapters.train import train_all

        file, out = self.folder / f"{name}.parquet", self.folder / name
        corpus.to_parquet(file)
        one = {"domain": domain, "corpus": str(file), "out": str(out), "seed": 0, **more}
        job = {**self.shared, "recipe": recipe.to_dict(), "jobs": [one]}
        train_all(job, lambda facts: None)
        return {**json.loads((out / "training.json").read_text("utf-8")), "folder": str(out)}

    def score(
        self, domain: str, held_out: pd.DataFrame, arms: dict[str, str | None]
    ) -> dict[str, Any]:
        from ft_assets.evaluation.score import score_all

        file, out = self.folder / f"{domain}-eval.parquet", self.folder / f"{domain}-scores.json"
        held_out.to_parquet(file)
        one = {"domain": domain, "rows": str(file), "arms": arms, "out": str(out)}
        settings = {"generate": 0, "max_new_tokens": 1, "seed": 0, "jobs": [one]}
        shared = {**self.shared, "general_text": self.shared["replay_text"]}
        score_all({**shared, **settings}, lambda facts: None)
        return json.loads(out.read_text("utf-8"))["arms"]


def open_feed(data: Path, folder: Path, steps: int | None, threads: int) -> Feed:
    from ft_assets.adapters.base_model import BaseSpec
    from ft_assets.demo.run import BASE_STEPS, BASE_STEPS_FOR_REAL_TEXT

    given = general_text(data)
    steps = steps or (BASE_STEPS_FOR_REAL_TEXT if given else BASE_STEPS)
    spec = BaseSpec("embedded", text=tuple(map(str, given)), steps=steps)
    job, out = folder / "base-job.json", folder / "base.json"
    job.write_text(json.dumps({**asdict(spec), "cache": str(BASE_CACHE), "out": str(out)}))
    # In a process of its own: measure_resume forks this one, which may have computed nothing yet.
    command = [sys.executable, "-m", "ft_assets.adapters.base_model", str(job)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    made = json.loads(out.read_text("utf-8"))
    print(f"base: {steps} steps", flush=True)
    shared = {"base": made["folder"], "base_digest": made["digest"], "threads": threads}
    return Feed(data, folder, {**shared, "replay_text": made["general_text"]})


def few(held_out: pd.DataFrame) -> pd.DataFrame:
    return held_out.sample(min(MAX_EVAL_ROWS, len(held_out)), random_state=0)


def measure_forgetting(feed: Feed, domains: list[str], curve: str) -> list[dict[str, Any]]:
    from ft_assets.adapters.recipe import Recipe, load_recipe

    own = load_recipe(RECIPE)
    found = []
    print("| domain | trained with | update | held-out perplexity | general | seconds |")
    print("|---|---|---|---|---|---|")
    for domain in domains:
        corpus, held_out = feed.corpus(domain)
        variants = {RECIPE: {}}
        if domain == curve:
            variants |= {
                "no replay": {"replay_share": 0.0, "max_general_rise": 0.0},
                "replay alone": {"max_general_rise": 0.0},
            }
        for name, changes in variants.items():
            recipe = Recipe.of({**own.to_dict(), **changes})
            record = feed.train(recipe, domain, corpus, f"{domain}-{name.replace(' ', '-')}")
            factor = record.get("factor", 1.0)
            arms: dict[str, str | None] = {"base": None, f"{factor:.2f}": record["folder"]}
            if name == "replay alone":
                for share in (0.8, 0.6, 0.4):
                    arms[f"{share:.2f}"] = scaled(record["folder"], share)
            scores = feed.score(domain, few(held_out), arms)
            base = scores.pop("base")
            for update, arm in scores.items():
                row = {
                    "domain": domain,
                    "variant": name,
                    "update": update,
                    "perplexity": (base["perplexity"], arm["perplexity"]),
                    "general": (base["general"]["perplexity"], arm["general"]["perplexity"]),
                    "seconds": record["seconds"],
                }
                found.append(row)
                print(
                    f"| {domain} | {name} | {update} | {_change(row['perplexity'])} | "
                    f"{_change(row['general'])} | {record['seconds']:.0f} |",
                    flush=True,
                )
    return found


def _change(pair: tuple[float, float]) -> str:
    before, after = pair
    return f"{before:.1f} -> {after:.1f} ({after / before - 1:+.0%})"


def scaled(folder: str, share: float) -> str:
    """A copy of an adapter whose update is scaled."""
    from safetensors.torch import load_file, save_file

    copy = Path(f"{folder}-{share}")
    copy.mkdir(exist_ok=True)
    weights = load_file(Path(folder) / "adapter_model.safetensors")
    changed = {n: w * share if ".lora_B." in n else w for n, w in weights.items()}
    save_file(changed, copy / "adapter_model.safetensors", metadata={"format": "pt"})
    config = (Path(folder) / "adapter_config.json").read_bytes()
    (copy / "adapter_config.json").write_bytes(config)
    return str(copy)


def measure_weekly(feed: Feed, domains: list[str]) -> list[dict[str, Any]]:
    from ft_assets.adapters.recipe import load_recipe

    found = []
    for domain in domains:
        # A twentieth of a week is too few rows to tell 3 %.
        corpus, held_out = feed.corpus(domain, Policy(held_out_share=0.15))
        weeks = sorted(set(corpus["week"]) - {""})
        earlier = few(held_out[held_out["week"].isin(weeks[:-1])])
        parent, seconds, kept = None, [], None
        for number, week in enumerate(weeks, 1):
            until = corpus[(corpus["week"] <= week)]  # "" too: what is of no week is there at once
            record = feed.train(
                load_recipe(WEEKLY), domain, until, f"{domain}-week-{number}", parent=parent
            )
            seconds.append(record["seconds"])
            parent = {
                "folder": record["folder"],
                "digest": record["digest"],
                "base_digest": record["base_digest"],
                "weeks": weeks[:number],
            }
            kept = record["folder"]
            print(f"{domain} {week}: {record['init']}, {record['steps']} steps", flush=True)
        once = feed.train(load_recipe(RECIPE), domain, corpus, f"{domain}-once")
        scores = feed.score(domain, earlier, {"base": None, "weekly": kept, "once": once["folder"]})
        losses = {name: math.log(arm["perplexity"]) for name, arm in scores.items()}
        row = {
            "domain": domain,
            "weeks": len(weeks),
            "rows": len(earlier),
            "loss": losses,
            "worse": losses["weekly"] / losses["once"] - 1,
            "general_rise": scores["weekly"]["general"]["perplexity"]
            / scores["base"]["general"]["perplexity"]
            - 1,
            "seconds_update": max(seconds[1:]),
            "seconds_once": once["seconds"],
        }
        found.append(row)
        print(
            f"{domain}: {len(weeks)} weeks, loss on {len(earlier)} held-out rows of the weeks "
            f"before the last: base {losses['base']:.3f}, updated weekly {losses['weekly']:.3f}, "
            f"once on everything {losses['once']:.3f}: {row['worse']:+.1%}; general perplexity "
            f"{row['general_rise']:+.0%}; slowest update {row['seconds_update']:.0f} s, once "
            f"{once['seconds']:.0f} s",
            flush=True,
        )
    return found


def measure_resume(feed: Feed, domains: list[str]) -> list[dict[str, Any]]:
    """Children are forked from this process, which has imported everything but computed nothing."""
    from ft_assets.adapters.recipe import Recipe, load_recipe

    domain = domains[0]
    corpus, _ = feed.corpus(domain)
    corpus.to_parquet(feed.folder / "rows.parquet")
    recipe = Recipe.of({**load_recipe(RECIPE).to_dict(), **SHORT}).to_dict()
    # A part of it: to encode all of it anew after each kill would take longer than the training.
    text = feed.folder / "general.txt"
    text.write_text(Path(feed.shared["replay_text"][0]).read_text("utf-8")[:GENERAL_CHARACTERS])

    def job(out: str, kept: str | None) -> dict[str, Any]:
        one = {"domain": domain, "corpus": str(feed.folder / "rows.parquet"), "seed": 0}
        one |= {"out": str(feed.folder / out)}
        one |= {"checkpoints": str(feed.folder / kept)} if kept else {}
        return {**feed.shared, "replay_text": [str(text)], "recipe": recipe, "jobs": [one]}

    def result(out: str) -> tuple[bytes, dict[str, Any]]:
        folder = feed.folder / out
        record = json.loads((folder / "training.json").read_text("utf-8"))
        return (folder / "adapter_model.safetensors").read_bytes(), record

    plain, _ = _child(job("plain", None), None, signal.SIGKILL)
    whole, steps = _child(job("whole", "kept-whole"), None, signal.SIGKILL)
    expected, record = result("whole")
    cost = record["checkpoint_seconds"] / record["seconds"]
    print(
        f"{domain}, uninterrupted: {steps} steps, {plain:.1f} s without checkpoints, {whole:.1f} s "
        f"with {record['checkpoints']} of them, which took {cost:.1%}; same bytes: "
        f"{result('plain')[0] == expected}",
        flush=True,
    )
    found = []
    dice = random.Random(0)
    for number in range(KILLS):
        how = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        out, kept = f"out-{number}", f"kept-{number}"
        at = dice.uniform(0, steps)
        _, done = _child(job(out, kept), (int(at), at % 1 * whole / steps), how)
        published = (feed.folder / out).exists()
        _child(job(out, kept), None, how)
        weights, again = result(out)
        row = {
            "signal": how.name,
            "killed_after_step": done,
            "went_on_after_step": again["resumed_at"] or 0,
            "lost": (done - (again["resumed_at"] or 0)) / steps,
            "equal": weights == expected,
            "published": published,
        }
        found.append(row)
        print(
            f"{how.name} after step {done}: went on after {row['went_on_after_step']}, "
            f"{row['lost']:.1%} of the steps done again, same bytes: {row['equal']}",
            flush=True,
        )
    good = sum(row["equal"] for row in found)
    worst = max(row["lost"] for row in found)
    print(f"{good} of {len(found)} resumed to the same bytes; at most {worst:.1%} was done again")
    return found


def _child(
    job: dict[str, Any], kill: tuple[int, float] | None, how: signal.Signals
) -> tuple[float, int]:
    """Train in a forked process; (how many seconds it lived, how many steps it finished).

    It is killed so many seconds after a step. Raises RuntimeError when it ends in another way than
    it was told to.
    """
    from ft_assets.adapters import loop
    from ft_assets.adapters.job import TERMINATED, end_on_sigterm
    from ft_assets.adapters.train import train_all

    finished = mmap.mmap(-1, 4)  # shared with the child
    update = loop.Training._update

    def counted(training: Any, step: int, gradients: Any) -> None:
        update(training, step, gradients)
        finished[:] = step.to_bytes(4, "little")

    sys.stdout.flush()
    clock = time.monotonic()
    child = os.fork()
    if not child:
        code = 1
        try:
            end_on_sigterm()
            loop.Training._update = counted
            train_all(job, lambda facts: None)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)
    if kill is not None:
        over = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while int.from_bytes(finished[:], "little") < kill[0]:
            if os.waitid(os.P_PID, child, over):
                break
            time.sleep(0.001)
        time.sleep(kill[1])
        os.kill(child, how)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    # After its last step it may be over before the signal comes.
    if ended not in ({0} if kill is None else {0, -how, TERMINATED}):
        raise RuntimeError(f"the training ended with {ended}")
    return time.monotonic() - clock, int.from_bytes(finished[:], "little")


def main() -> None:
    warnings.simplefilter("ignore")
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("area", choices=("forgetting", "weekly", "resume"))
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--domains")
    asked.add_argument("--curve", default="")
    asked.add_argument("--steps", type=int)
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--json", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = given.data or folder / "feed"
        if given.data is None:
            write_feed(data)
        feed = open_feed(data, folder, given.steps, given.threads)
        domains = given.domains.split(",") if given.domains else domains_of(data)
        if given.area == "forgetting":
            found = measure_forgetting(feed, domains, given.curve)
        elif given.area == "weekly":
            found = measure_weekly(feed, domains)
        else:
            found = measure_resume(feed, domains)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
