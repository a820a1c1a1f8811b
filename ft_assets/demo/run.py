"""The whole loop once, with the real daemon: feeds, adapters, a canary each, drift, retraining.

A script to read from top to bottom. It uses what a user has: the landing folder, the webserver's
API, the sensors and the gateway; it calls no asset itself. Everything lies below one folder, which
`make up` shows afterwards.
"""

import json
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from rich.console import Console
from rich.table import Table

from ft_assets.demo.feed import Cut, deliver, domains_of, general_text
from ft_assets.demo.summary import domain_summary, model_summary
from ft_assets.demo.watch import WILL_RETRY, RunFailed, Watch
from ft_assets.lineage import CORPUS, RELEASE, RETRAINED, SOURCES, WEEKLY
from ft_assets.settings import Platform, load_platform
from ft_assets.stack import PROJECT, Stack, can_bind, free_port
from ft_resources import secrets
from ft_resources.dagster_api import DagsterApi
from ft_resources.gateway.client import GatewayClient

FEEDBACK = ("preference_pairs", "review_queue")
REPORTS = ("serving_report", "drift_report")
ALL = (*WEEKLY, *RETRAINED, *FEEDBACK, "base_model", "pii_tagger", "domain_profiles", *REPORTS)
PORTS = {"lakefs": 8000, "gateway": 8300, "dagster": 3000, "mlflow": 5000}
BAD_RECIPE = "underfit"
PATIENCE_SECONDS = 1800  # for any one stage; a hung stage must not hang the demo
SENSOR_SECONDS = 5
LOG_WIDTH = 120  # of the table when the output is no terminal
TAGGER_TEXTS, TAGGER_EPOCHS = 5000, 4
BASE_STEPS = 150  # half a minute on two cores; enough for the simple texts of the sample feed
BASE_STEPS_FOR_REAL_TEXT = 600


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and where to look."""


def run_demo(folder: Path, data: Path | None) -> None:
    """Run it. Raises DemoError or StackError; `folder` keeps what was done until then."""
    demo = Demo(folder.resolve(), data.resolve() if data else None)
    try:
        demo.run()
    except (RunFailed, ConnectionError, TimeoutError, ValueError) as error:
        raise DemoError(f"{error}\n    logs: {demo.logs}") from None


class Demo:
    def __init__(self, folder: Path, data: Path | None) -> None:
        if data is not None and not data.is_dir():
            raise DemoError(f"no folder {data}; DATA names one with a folder per domain")
        self.folder = folder
        self.data = data
        self.logs = folder / "state" / "logs"
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = LOG_WIDTH
        self.began = time.monotonic()
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        with self._stage("feed"):
            cuts, settings = self._prepare()
        stack = Stack(self.folder / "platform.yaml", settings, mlflow=False)
        try:
            with self._stage("start"):
                stack.start(self._say)
                api = DagsterApi(settings.services.dagster.url)
                api.wait_ready(240)
            home = stack.environment["DAGSTER_HOME"]
            with dg.DagsterInstance.from_config(home) as instance:
                watch = Watch(api, instance, ALL, self._say, stack.raise_if_dead)
                loop = _Loop(api, watch, cuts, self._stage)
                loop.first_round()
                with self._stage("new weeks"):
                    for cut in cuts:
                        self._hand_over(settings, cut.domain)
                    loop.new_weeks()
                loop.refusal()
                with self._stage("answers"):
                    answers = self._ask(settings, stack.secrets, list(settings.domains))
                    # The answers are log lines, and the sensor has seen them: runs under way end
                    # before lakeFS does, queued ones wait for `make up`.
                    stack.stop("daemon")
                    watch.until(
                        lambda: None if api.runs_under_way() else True,
                        "runs to end",
                        PATIENCE_SECONDS,
                    )
                summary = self._summary(settings, loop, answers)
        finally:
            self._say("stopping the services")
            stack.stop()
        self._tell(summary)

    def _prepare(self) -> tuple[list[Cut], Platform]:
        if self.folder.exists():
            _refuse_foreign(self.folder)
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / MARK).touch()
        data = self.data
        if data is None:
            from ft_assets.raw.sample_feed import write_feed

            data = self.folder / "feed"
            write_feed(data)
            self._say(f"wrote a sample feed to {data}")
        domains = domains_of(data)
        text = general_text(data)
        steps = BASE_STEPS if self.data is None else BASE_STEPS_FOR_REAL_TEXT
        settings = _write_platform(self.folder, domains, text, steps)
        landing = Path(settings.landing_folder)
        cuts = []
        for domain in domains:
            cut = deliver(data, domain, landing, self.folder / "held_back" / domain)
            cuts.append(cut)
            later = f"; {', '.join(cut.later)} come later" if cut.later else ""
            self._say(f"  {domain:12} {cut.lines} log lines of {len(cut.weeks)} weeks{later}")
        return cuts, settings

    def _hand_over(self, settings: Platform, domain: str) -> None:
        target = Path(settings.landing_folder) / domain
        for file in sorted((self.folder / "held_back" / domain).iterdir()):
            # Renamed into place: a sensor never sees half a file.
            file.rename(target / file.name)

    def _ask(
        self, settings: Platform, keys: Mapping[str, str], domains: list[str]
    ) -> dict[str, tuple[str, str]]:
        client = GatewayClient(
            settings.services.gateway.url,
            keys[secrets.GATEWAY_ADMIN_KEY],
            keys[secrets.SIGNING_KEY].encode(),
        )
        answers = {}
        for domain in domains:
            prompt = QUESTIONS.get(domain, DEFAULT_QUESTION)
            answer = client.chat(domain, prompt, max_tokens=40, temperature=0.0, user="demo")
            client.feedback(answer.id, thumb="up")
            answers[domain] = (answer.model, " ".join(answer.text.split()))
            self._say(f"  {domain:12} {answer.model}: {answers[domain][1][:100]}")
        return answers

    def _summary(self, settings: Platform, loop: "_Loop", answers: Mapping[str, Any]) -> dict:
        services = settings.services
        domains = {}
        for cut in loop.cuts:
            weeks = loop.taken[cut.domain]
            domains[cut.domain] = {
                **domain_summary(loop.watch.facts, cut.domain, weeks),
                **loop.models[cut.domain],
                "drift": cut.domain in loop.drifted,
                "retrained": cut.domain in loop.retrained,
                "answer": {"model": answers[cut.domain][0], "text": answers[cut.domain][1]},
            }
        self.seconds["total"] = round(time.monotonic() - self.began, 1)
        summary = {
            "domains": domains,
            "refused": loop.refused,
            "seconds": self.seconds,
            "addresses": {
                "dagster": services.dagster.url,
                "mlflow": services.mlflow.url,
                "gateway": f"{services.gateway.url}/v1",
                "lakefs": services.lakefs.url,
            },
        }
        text = json.dumps(summary, indent=1)
        work = self.folder / "summary.json.writing"
        work.write_text(text, "utf-8")
        work.rename(self.folder / "summary.json")
        return summary

    def _tell(self, summary: Mapping[str, Any]) -> None:
        domains = summary["domains"]
        table = Table("", title="What became of the feeds")
        for domain in domains:
            table.add_column(domain, overflow="fold")
        for head, cell in ROWS:
            table.add_row(head, *(cell(found) for found in domains.values()))
        self.console.print(table)
        drifted = [d for d, found in summary["domains"].items() if found["drift"]]
        retrained = [d for d, found in summary["domains"].items() if found["retrained"]]
        self.console.print(f"drifted: {', '.join(drifted) or 'none'}")
        self.console.print(f"retrained by the sensor: {', '.join(retrained) or 'none'}")
        if refused := summary["refused"]:
            self.console.print(
                f"refused: {refused['adapter']}, made with recipe {BAD_RECIPE}: gate "
                f"{refused['gate']}; {refused['deployed']} still serves"
            )
        self.console.print(f"seconds: {json.dumps(summary['seconds'])}")
        self.console.print(f"summary: {self.folder / 'summary.json'}")
        self.console.print("\n`make up` opens this world again:")
        for name, address in summary["addresses"].items():
            self.console.print(f"  {name:10} {address}")

    def _say(self, text: str) -> None:
        self.console.print(f"[{time.monotonic() - self.began:5.0f} s] {text}", markup=False)

    @contextmanager
    def _stage(self, name: str) -> Generator[None]:
        began = time.monotonic()
        self._say(f"{name} ...")
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)


class _Loop:
    """The runs of the demo, in order."""

    def __init__(
        self, api: DagsterApi, watch: Watch, cuts: list[Cut], stage: Callable[[str], Any]
    ) -> None:
        self.api, self.watch, self.cuts, self.stage = api, watch, cuts, stage
        self.domains = [cut.domain for cut in cuts]
        self.taken: dict[str, list[str]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.drifted: list[str] = []
        self.retrained: list[str] = []
        self.refused: dict[str, Any] | None = None
        self._drill: tuple[str, str] | None = None  # domain, run

    def first_round(self) -> None:
        base = self.api.launch(["base_model"])
        with self.stage("intake"):
            self._taken_up(lambda cut: [w for w in cut.weeks if w not in cut.later])
        with self.stage("corpus"):
            corpora = [self._launch((*SOURCES, *CORPUS), domain) for domain in self.domains]
            self.watch.until_succeeded([base, *corpora], PATIENCE_SECONDS)
        with self.stage("training"):
            everything = {
                "dagster/asset_partition_range_start": self.domains[0],
                "dagster/asset_partition_range_end": self.domains[-1],
            }
            # One run, one process: all domains are trained over one loaded base.
            trained = self.api.launch(["lora_adapter"], tags=everything)
            # From here on a row of another domain is told by its words.
            profiles = self.api.launch(["domain_profiles"])
            self.watch.until_succeeded([trained, profiles], PATIENCE_SECONDS)
        with self.stage("release"):
            wanted = (*RELEASE, *REPORTS, *FEEDBACK)
            released = [self._launch(wanted, domain) for domain in self.domains]
            self.watch.until_ended(released, PATIENCE_SECONDS)
            self._look_at_models(released)

    def new_weeks(self) -> None:
        """The held-back weeks have landed: wait for what the sensors make of them."""
        self._taken_up(lambda cut: list(cut.later))
        serving = [d for d in self.domains if self.models[d]["deployed"]]
        fresh = [cut.domain for cut in self.cuts if cut.later and cut.domain in serving]
        reports = self.watch.until(lambda: self._reports(fresh), "drift reports", PATIENCE_SECONDS)
        self.drifted = [d for d, facts in reports.items() if facts["remedy"] == "retrain"]
        self._start_drill()
        if self.drifted:
            runs = self.watch.until(self._retrainings, "retraining to start", PATIENCE_SECONDS)
            self.watch.until_ended(runs.values(), PATIENCE_SECONDS)
            self._look_at_models(list(runs.values()), list(runs))
            self.retrained = list(runs)

    def refusal(self) -> None:
        """An adapter made badly on purpose must not get past its gate."""
        if self._drill is None:
            return
        domain, run = self._drill
        with self.stage("refusal"):
            [ended] = self.watch.until_ended([run], PATIENCE_SECONDS)
            report = self.watch.facts("eval_report", domain)
            now = self.watch.facts("deployed_model", domain)["champion"]
            if ended.status == "SUCCESS" or now != self.models[domain]["deployed"]:
                raise DemoError(f"the bad adapter {report['adapter']} was not refused")
            if report["gate"] == "passed":  # the report of the one that serves
                raise DemoError(f"the bad adapter was not judged: {self.watch.error_of(run)}")
            self.refused = {
                "domain": domain,
                "adapter": report["adapter"],
                "gate": report["gate"],
                "deployed": now,
            }

    def _start_drill(self) -> None:
        """Beside the retrainings, in a domain that serves and did not drift."""
        calm = [d for d in self.domains if self.models[d]["deployed"] and d not in self.drifted]
        if calm:
            run = self.api.launch(
                ["lora_adapter", *RELEASE],
                partition=calm[0],
                config={"lora_adapter": {"config": {"recipe": BAD_RECIPE}}},
                tags={"ft/trigger": "drill"},
            )
            self._drill = calm[0], run

    def _launch(self, assets: tuple[str, ...], domain: str) -> str:
        return self.api.launch(assets, partition=domain, tags={"ft/domain": domain})

    def _taken_up(self, weeks: Callable[[Cut], list[str]]) -> None:
        wanted = {cut.domain: weeks(cut) for cut in self.cuts}

        def done() -> bool | None:
            runs = [run for run in self.api.runs({"ft/trigger": "new_week"}) if run.ended]
            bad = [r.id for r in runs if r.status != "SUCCESS" and r.tags.get(WILL_RETRY) != "true"]
            if bad:
                raise RunFailed(f"run {bad[0]}: {self.watch.error_of(bad[0])}")
            there = {d: set(self.watch.partitions("feedback_signals", d)) for d in self.domains}
            return True if all(set(w) <= there[d] for d, w in wanted.items()) else None

        self.watch.until(done, "the new weeks to be taken up", PATIENCE_SECONDS)
        self.taken = {d: sorted(self.watch.partitions("feedback_signals", d)) for d in self.domains}

    def _reports(self, domains: list[str]) -> dict[str, dict] | None:
        """Drift reports that have seen the newest week of each domain."""
        found = {domain: self.watch.facts("drift_report", domain) for domain in domains}
        newest = {cut.domain: cut.weeks[-1] for cut in self.cuts}
        seen = all(facts.get("newest_week") == newest[d] for d, facts in found.items())
        return found if seen else None

    def _retrainings(self) -> dict[str, str] | None:
        runs = {
            run.tags["ft/domain"]: run.id
            for run in self.api.runs({"ft/trigger": "drift"})
            if run.ended
        }
        return runs if set(self.drifted) <= set(runs) else None

    def _look_at_models(self, runs: list[str], domains: list[str] | None = None) -> None:
        for domain, run in zip(domains or self.domains, runs, strict=True):
            self.models[domain] = model_summary(self.watch.facts, domain)
            if self.models[domain]["gate"] is None:
                raise RunFailed(f"run {run}: {self.watch.error_of(run)}")


def _share_of_base(found: Mapping[str, Any]) -> str:
    base, adapter = found["perplexity_base"], found["perplexity_adapter"]
    return f"{base:.1f} -> {adapter:.1f} ({adapter / base - 1:+.0%})"


def _duplicates(found: Mapping[str, Any]) -> str:
    return str(sum(n for why, n in found["dropped"].items() if why.endswith("_duplicate")))


ROWS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("rows in", lambda found: str(found["rows_in"])),
    ("quarantined", lambda found: str(found["quarantined"])),
    ("duplicates", _duplicates),
    ("identifiers masked", lambda found: str(found["identifiers_masked"])),
    ("corpus rows", lambda found: str(found["corpus_rows"])),
    ("perplexity", _share_of_base),
    ("gate", lambda found: found["gate"]),
    ("canary", lambda found: str(found["canary"])),
    ("deployed", lambda found: str(found["deployed"])),
    ("drift", lambda found: "yes" if found["drift"] else "no"),
    ("retrained", lambda found: "yes" if found["retrained"] else "no"),
)
MARK = ".demo"
DEFAULT_QUESTION = "What can you help me with?"
QUESTIONS = {
    "healthcare": "What are the symptoms of high blood pressure?",
    "finance": "My card payment was declined. What should I do?",
    "legal": "What does this clause mean for the user?",
    "ecommerce": "How can I return an order?",
}


def _refuse_foreign(folder: Path) -> None:
    if any(folder.iterdir()) and not (folder / MARK).exists():
        raise DemoError(f"{folder} holds something that is no demo; name another --folder")


def _write_platform(folder: Path, domains: list[str], text: list[Path], steps: int) -> Platform:
    content = yaml.safe_load((PROJECT / "platform.yaml").read_text("utf-8"))
    content |= {
        "state": "state",
        "landing": "landing",
        "domains": {domain: {} for domain in domains},
        "sensor_interval_seconds": SENSOR_SECONDS,
    }
    content["base_model"] |= {
        "text": [str(file) for file in text],
        "steps": steps,
        "cache": str(folder.parent / "base_models"),  # outlives the demo: made once
    }
    # Names of the sample feed and of most others, in seconds; the real one takes minutes.
    content["anonymization"]["tagger"] |= {
        "generated": TAGGER_TEXTS,
        "epochs": TAGGER_EPOCHS,
        "cache": str(folder.parent / "taggers"),
    }
    content["services"] = {
        name: {"url": f"http://127.0.0.1:{_port(port)}"} for name, port in PORTS.items()
    }
    file = folder / "platform.yaml"
    head = "# Written by `ft demo`; `make up` starts what it describes.\n"
    file.write_text(head + yaml.safe_dump(content, sort_keys=False), "utf-8")
    return load_platform(file)


def _port(preferred: int) -> int:
    return preferred if can_bind("127.0.0.1", preferred) else free_port()
