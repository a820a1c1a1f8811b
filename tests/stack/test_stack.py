"""The platform as a user has it: real daemon, webserver, lakeFS and gateway processes.

One stack for all tests here, in the order written; each goes on from where the one before ended.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import lakefs
import psutil
import pytest
import requests
import yaml
from lakefs.client import Client

from ft_assets.lineage import RETRAINED, WEEKLY
from ft_assets.publishing import newest
from ft_assets.raw.sample_feed import write_feed
from ft_assets.settings import load_platform
from ft_assets.stack import PROJECT, STOP_SECONDS, Stack, free_port
from ft_resources import secrets
from ft_resources.dagster_api import DagsterApi
from ft_resources.gateway.client import GatewayClient

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore")]

DOMAINS = ["finance", "legal"]
RECIPE = (
    "rank: 4\nalpha: 8\nlearning_rate: 0.01\nmax_steps: 20\nmax_epochs: 50\nrow_tokens: 128\n"
    "batch_rows: 4\nreplay_share: 0.25\neval_every: 10\nvalidation_rows: 4\npatience: 2\n"
)
SECONDS = 300
SCREENED = "screened_logs"


class Running:
    def __init__(
        self,
        folder: Path,
        domains: Sequence[str] = DOMAINS,
        weeks: int = 3,
        **changed: Any,
    ) -> None:
        self.feed = folder / "feed"
        write_feed(self.feed, domains=[*domains], weeks=weeks, events_per_week=40)
        (folder / "quick.yaml").write_text(RECIPE)
        settings = {
            "state": "state",
            "landing": "landing",
            "domains": {domain: {} for domain in domains},
            "base_model": {"steps": 40, "cache": f"{PROJECT}/.ft/tests/base_models"},
            "anonymization": {
                "tagger": {"generated": 600, "epochs": 4, "cache": f"{PROJECT}/.ft/tests/taggers"}
            },
            "adapters": {"recipe": str(folder / "quick.yaml"), "threads": 1},
            "corpus": {"held_out_share": 0.1},
            "evaluation": {"min_rows": 20, "max_rows": 40, "generate_rows": 2, "max_new_tokens": 4},
            "canary": {"replay_rows": 3, "max_latency_ratio": 50, "max_empty_share": 1},
            "services": {
                name: {"url": f"http://127.0.0.1:{free_port()}"}
                for name in ("lakefs", "gateway", "dagster", "mlflow")
            },
            "sensor_interval_seconds": 5,
            **changed,
        }
        self.file = folder / "platform.yaml"
        self.file.write_text(yaml.safe_dump(settings))
        self.platform = load_platform(self.file)
        self.landing = Path(self.platform.landing_folder)
        self.stack = Stack(self.file, self.platform, mlflow=False)
        for domain in domains:
            self.land(domain, self.feed)
        self.stack.start(lambda text: None)
        self.api = DagsterApi(self.platform.services.dagster.url)
        self.api.wait_ready(SECONDS)
        self.instance = dg.DagsterInstance.from_config(self.stack.environment["DAGSTER_HOME"])
        keys = self.stack.secrets
        self.gateway = GatewayClient(
            self.platform.services.gateway.url,
            keys[secrets.GATEWAY_ADMIN_KEY],
            keys[secrets.SIGNING_KEY].encode(),
        )

    def land(self, domain: str, feed: Path, files: str = "*") -> None:
        target = self.landing / domain
        target.mkdir(parents=True, exist_ok=True)
        for file in (feed / domain).glob(files):
            copy = target / f".{file.name}.part"
            copy.write_bytes(file.read_bytes())
            copy.rename(target / file.name)

    def until(self, done, what: str, seconds: float = SECONDS):
        deadline = time.monotonic() + seconds
        while True:
            self.stack.raise_if_dead()
            if found := done():
                return found
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.5)

    def ended(self, run_id: str):
        return self.until(lambda: (r := self.api.run(run_id)).ended and r, f"run {run_id}")

    def facts(self, asset: str, partition: str | None = None) -> dict:
        event = newest(self.instance, dg.AssetKey(asset), partition)
        return {n: v.value for n, v in event.metadata.items()} if event else {}

    def weeks(self, asset: str, domain: str) -> set[str]:
        keys = self.instance.get_materialized_partitions(dg.AssetKey(asset))
        return {key.split("|")[1] for key in keys if key.startswith(f"{domain}|")}

    def branches(self) -> set[str]:
        keys = self.stack.secrets
        client = Client(
            host=self.platform.services.lakefs.url,
            username=keys[secrets.LAKEFS_ACCESS_KEY_ID],
            password=keys[secrets.LAKEFS_SECRET_ACCESS_KEY],
        )
        repository = lakefs.Repository(self.platform.versioning.repository, client=client)
        return {branch.id for branch in repository.branches()}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    # As a shell does with what it starts in the background.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    made = Running(tmp_path_factory.mktemp("stack"))
    signal.signal(signal.SIGINT, before)
    processes = {p.popen.pid for p in made.stack.processes if p.popen}
    yield made
    began = time.monotonic()
    made.stack.stop()
    assert time.monotonic() - began < STOP_SECONDS - 5  # nothing had to be killed
    assert not [pid for pid in processes if psutil.pid_exists(pid)]


def test_landed_weeks_are_taken_up_by_the_sensor(running):
    base = running.api.launch(["base_model"])
    wanted = {"2026-08-31", "2026-09-07", "2026-09-14"}
    running.until(
        lambda: all(running.weeks("feedback_signals", d) >= wanted for d in DOMAINS),
        "all weeks of all domains",
    )
    assert running.ended(base).status == "SUCCESS"


def test_a_backfill_over_all_domains_completes(running):
    backfill = running.api.backfill(RETRAINED, DOMAINS, "all domains")
    state = running.until(
        lambda: (s := running.api.backfill_state(backfill)).ended and s, "the backfill", 420
    )
    assert state.status == "COMPLETED_SUCCESS"
    assert state.assets == dict.fromkeys(RETRAINED, (len(DOMAINS), len(DOMAINS), 0))
    # That one run trains all domains it is asked for is held by tests/test_loop.py.
    for domain in DOMAINS:
        champion = running.facts("deployed_model", domain)["champion"]
        # A probe: an answer to a user would be a log line, which the sensor takes up.
        assert running.gateway.chat(domain, "Hello?", max_tokens=3, probe=True).model == champion


def test_weeks_before_the_first_profiles_get_their_verdict(running):
    """Now that the words of all domains are known, two sensors see to it, once."""
    weeks = [f"{domain}|{week}" for domain in DOMAINS for week in running.weeks(SCREENED, domain)]
    assert len(weeks) == 3 * len(DOMAINS)
    running.until(
        lambda: all(running.facts(SCREENED, week).get("profiled") for week in weeks), "verdicts"
    )
    made = running.instance.fetch_materializations(dg.AssetKey(SCREENED), limit=100).records
    assert len(made) == 2 * len(weeks)  # each week without and with profiles


def test_a_new_week_runs_that_domain_and_week_alone(running, tmp_path):
    before = {run.id for run in running.api.runs()}
    write_feed(tmp_path, domains=["legal"], weeks=4, events_per_week=40)
    running.land("legal", tmp_path, "logs*")
    running.until(lambda: "2026-09-21" in running.weeks("feedback_signals", "legal"), "the week")
    running.until(lambda: running.facts("drift_report", "legal").get("verdict"), "the drift report")
    new = [run for run in running.api.runs() if run.id not in before]
    made = set()
    for run in new:
        running.ended(run.id)
        for entry in running.instance.all_logs(
            run.id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ):
            event = entry.dagster_event.step_materialization_data.materialization
            made.add((event.asset_key.to_user_string(), event.partition))
    made -= {(name, "legal") for name in ("review_queue", "preference_pairs")}  # may come later
    assert made == {("drift_report", "legal")} | {(name, "legal|2026-09-21") for name in WEEKLY}


def _killed(running, victim) -> str:
    """Start a training, kill -9 what `victim` finds of it; the run's id."""
    config = {"lora_adapter": {"config": {"seed": int(time.time()) % 10_000}}}
    run_id = running.api.launch(["lora_adapter"], partition="finance", config=config)
    pid = running.until(lambda: victim(run_id), "the process to kill")
    assert run_id in {run.id for run in running.api.runs_under_way()}
    os.kill(pid, signal.SIGKILL)
    return run_id


def _trainer(running) -> int | None:
    """Of this stack: other tests train beside it."""
    state = str(running.stack.state)
    return _process(lambda command: "ft_assets.adapters.train" in command and state in command)


def _ended(pid: int) -> bool:
    """Whoever adopts an orphan may be slow to ask how it ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _process(wanted) -> int | None:
    for process in psutil.process_iter(["pid", "cmdline"]):
        if wanted(" ".join(process.info["cmdline"] or [])):
            return process.info["pid"]
    return None


def test_a_killed_trainer_publishes_nothing(running):
    before = running.facts("lora_adapter", "finance")
    run = running.ended(_killed(running, lambda run_id: _trainer(running)))
    assert run.status == "FAILURE"
    running.until(lambda: running.branches() == {"main"}, "drafts to be gone", 60)
    assert running.facts("lora_adapter", "finance") == before


def test_a_killed_run_worker_publishes_nothing_and_takes_its_trainer_along(running):
    before = running.facts("lora_adapter", "finance")
    trainers: list[int] = []

    def worker(run_id: str) -> int | None:
        trainer = _trainer(running)
        if trainer is None:
            return None
        trainers.append(trainer)
        found = psutil.Process(trainer).parent()
        # Forked from the process that has the libraries imported, not spawned.
        assert "forkserver" in " ".join(found.parent().cmdline())
        return found.pid

    run_id = _killed(running, worker)
    running.until(lambda: _ended(trainers[0]), "the trainer to end", 30)
    assert running.facts("lora_adapter", "finance") == before
    # A lost worker is no answer: Dagster tries the run again, and that one succeeds.
    run = running.until(
        lambda: running.api.run(run_id).tags.get("dagster/auto_retry_run_id"), "another try"
    )
    assert running.ended(run).status == "SUCCESS"
    assert running.facts("lora_adapter", "finance") != before
    running.until(lambda: running.branches() == {"main"}, "drafts to be gone", 60)


def test_status_says_what_serves_and_what_waits(running):
    command = [sys.executable, "-m", "ft_assets.cli", "status", "--platform", str(running.file)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=running.stack.environment
    )
    for domain in DOMAINS:
        assert running.facts("deployed_model", domain)["champion"] in done.stdout
    assert "2026-09-21" in done.stdout


def test_a_taken_port_is_told_before_anything_starts(running):
    command = [sys.executable, "-m", "ft_assets.cli", "up", "--platform", str(running.file)]
    done = subprocess.run(command, capture_output=True, text=True, env=running.stack.environment)
    assert done.returncode == 1
    assert str(running.platform.services.lakefs.port) in done.stderr
    assert "Traceback" not in done.stderr


def test_the_pages_answer(running):
    services = running.platform.services
    assert requests.get(f"{services.dagster.url}/server_info", timeout=10).ok
    assert requests.get(f"{services.gateway.url}/health", timeout=10).json()["status"] == "ok"
    models = requests.get(f"{services.gateway.url}/v1/models", timeout=10).json()
    assert set(DOMAINS) <= {model["id"] for model in models["data"]}


def test_the_daemon_can_be_stopped_alone_and_runs_end_by_themselves(running):
    running.stack.stop("daemon")
    running.until(lambda: not running.api.runs_under_way(), "runs to end")
    assert [p.name for p in running.stack.processes if p.popen is None] == ["daemon"]
    running.stack.raise_if_dead()
