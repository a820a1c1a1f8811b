"""The whole platform as processes on one machine: what `ft up` starts, watches and stops.

One code server is shared by webserver and daemon, so that the definitions load once. Each process
writes <state>/logs/NAME.log. Whatever this process started ends with it, even after kill -9.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import requests
import yaml

from ft_assets.settings import PLATFORM_ENV, Platform
from ft_resources import secrets

READY_SECONDS = 240  # a cold start on two busy cores takes about 60
STOP_SECONDS = 30
CONCURRENT_RUNS = 2  # as in dagster.yaml
PROJECT = Path(__file__).resolve().parent.parent


@dataclass
class Process:
    name: str
    command: list[str]
    ready: Callable[[], bool]
    address: str = ""
    threads: int | None = None  # of its numeric libraries; None: all cores
    popen: subprocess.Popen | None = field(default=None, repr=False)


class StackError(RuntimeError):
    """The stack cannot start or a part of it died."""


class Stack:
    """Starts and stops the services of one platform file."""

    def __init__(self, platform_file: Path, platform: Platform, *, mlflow: bool = True) -> None:
        self.platform = platform
        self.state = platform.state_folder
        self.logs = self.state / "logs"
        self.secrets = secrets.load_or_generate(self.state, os.environ)
        self.environment = service_environment(platform_file, platform, self.secrets)
        self._code_port = free_port()
        self.processes = self._plan(mlflow)

    def _plan(self, mlflow: bool) -> list[Process]:
        services, python = self.platform.services, sys.executable
        ft = [python, "-m", "ft_assets.cli"]
        home = Path(self.environment["DAGSTER_HOME"])
        workspace = ["-w", str(home / "workspace.yaml")]
        plan: list[Process] = []
        if services.lakefs.embedded:
            command = [*ft, "lakefs", "serve", "--port", str(services.lakefs.port)]
            plan.append(
                Process(
                    "lakefs",
                    [*command, "--host", services.lakefs.host, *_lakefs_options(self.platform)],
                    partial(answers, f"{services.lakefs.url}/api/v1/healthcheck"),
                    services.lakefs.url,
                )
            )
        if services.gateway.embedded:
            command = [*ft, "gateway", "serve", "--port", str(services.gateway.port)]
            plan.append(
                Process(
                    "gateway",
                    [*command, "--host", services.gateway.host],
                    partial(answers, f"{services.gateway.url}/health"),
                    services.gateway.url,
                )
            )
        # --heartbeat is left out on purpose: the code server ends with this process.
        code = [python, "-m", "ft_resources.code_server", "-m", "ft_assets.definitions"]
        code += ["-p", str(self._code_port), "-h", "127.0.0.1", "-d", str(PROJECT)]
        code += ["--location-name", "ft"]
        # Runs are processes of it: together they ask for no more threads than there are cores.
        threads = max(1, (os.cpu_count() or 1) // CONCURRENT_RUNS)
        plan.append(
            Process("code-server", code, partial(listens, self._code_port), threads=threads)
        )
        dagster = services.dagster
        if dagster.embedded:
            command = [python, "-m", "dagster_webserver", *workspace, "-h", dagster.host]
            plan.append(
                Process(
                    "webserver",
                    [*command, "-p", str(dagster.port)],
                    partial(answers, f"{services.dagster.url}/server_info"),
                    services.dagster.url,
                )
            )
            daemon = [python, "-m", "dagster._daemon", "run", *workspace]
            plan.append(Process("daemon", daemon, lambda: True))
        if mlflow and services.mlflow.embedded:
            command = [python, "-m", "mlflow", "server", "--workers", "1"]
            command += [
                "--backend-store-uri",
                self.platform.path(self.platform.mlflow.tracking_uri),
            ]
            command += [
                "--default-artifact-root",
                self.platform.path(self.platform.mlflow.artifacts),
            ]
            plan.append(
                Process(
                    "mlflow",
                    [*command, "--host", services.mlflow.host, "--port", str(services.mlflow.port)],
                    partial(answers, f"{services.mlflow.url}/health"),
                    services.mlflow.url,
                )
            )
        return plan

    def check_ports(self) -> None:
        """Raises StackError naming every service whose port is taken."""
        services = self.platform.services
        taken = [
            f"{name}: port {service.port} of {service.host} is taken"
            for name, service in vars(services).items()
            if service.embedded and not can_bind(service.host, service.port)
        ]
        if taken:
            raise StackError(
                "; ".join(taken) + "; stop what listens there or change services.*.url"
            )

    def start(self, say: Callable[[str], None]) -> None:
        """Start every process and wait until all are ready. Stops all of them when one fails."""
        self.check_ports()
        self.logs.mkdir(parents=True, exist_ok=True)
        self._prepare_dagster_home()
        for folder in ("mlflow", "lakefs", "gateway"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            undo.callback(self.stop)
            first = [p for p in self.processes if p.name not in {"webserver", "daemon", "mlflow"}]
            for process in first:
                self._launch(process)
            self._wait([p for p in first if p.name == "lakefs"], say)
            self.set_retention()  # before the daemon, which collects garbage by these rules
            self._wait([p for p in first if p.name == "code-server"], say)
            self._end_lost_runs(say)  # before the daemon, which would wait for them
            later = [p for p in self.processes if p not in first]
            for process in later:
                self._launch(process)
            self._wait([p for p in self.processes if p.name not in {"lakefs", "code-server"}], say)
            undo.pop_all()

    def set_retention(self) -> None:
        """Give both repositories the rules of the platform file.

        Without any, the embedded server keeps everything; a server elsewhere keeps its own rules.
        """
        services, versioning = self.platform.services, self.platform.versioning
        if versioning.retention is None and not services.lakefs.embedded:
            return
        # Takes seconds, in which the code server starts.
        from ft_resources.lakefs.client import LakeFS

        store = LakeFS(
            endpoint=services.lakefs.url,
            access_key_id=self.secrets[secrets.LAKEFS_ACCESS_KEY_ID],
            secret_access_key=self.secrets[secrets.LAKEFS_SECRET_ACCESS_KEY],
            repository=versioning.repository,
            raw_repository=versioning.raw_repository,
            storage_namespace=versioning.storage_namespace,
        )
        retention = versioning.retention
        try:
            store.ensure()
            if retention is None:
                store.keep_everything()
            else:
                store.set_retention(retention.days, retention.branches)
        except (ConnectionError, PermissionError, ValueError) as error:
            raise StackError(f"versioning.retention cannot be set: {error}") from None

    def _prepare_dagster_home(self) -> None:
        home = Path(self.environment["DAGSTER_HOME"])
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
        location = {"host": "127.0.0.1", "port": self._code_port, "location_name": "ft"}
        workspace = {"load_from": [{"grpc_server": location}]}
        (home / "workspace.yaml").write_text(yaml.safe_dump(workspace), "utf-8")

    def _end_lost_runs(self, say: Callable[[str], None]) -> None:
        """Of a stack that died before this one; none of its run workers outlived it."""
        if not (Path(self.environment["DAGSTER_HOME"]) / "history").is_dir():
            return  # nothing ever ran, or runs are kept elsewhere
        done = subprocess.run(
            [sys.executable, "-m", "ft_resources.lost_runs"],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise StackError(f"runs of a stack that died cannot be ended:\n{done.stderr[-800:]}")
        for line in done.stdout.splitlines():
            say(line)

    def _launch(self, process: Process) -> None:
        with (self.logs / f"{process.name}.log").open("ab") as log:
            process.popen = subprocess.Popen(
                process.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT,
                env=self.environment | _thread_caps(process.threads),
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def _wait(self, processes: list[Process], say: Callable[[str], None]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(processes)
        while waiting:
            self.raise_if_dead()
            for process in [p for p in waiting if p.ready()]:
                waiting.remove(process)
                say(f"{process.name} is ready{': ' + process.address if process.address else ''}")
            if waiting and time.monotonic() > deadline:
                names = ", ".join(p.name for p in waiting)
                raise StackError(f"not ready after {READY_SECONDS} s: {names}; see {self.logs}")
            if waiting:
                time.sleep(0.3)

    def raise_if_dead(self) -> None:
        """Raises StackError with the end of its log when a started process has ended."""
        for process in self.processes:
            if process.popen is not None and (code := process.popen.poll()) is not None:
                log = self.logs / f"{process.name}.log"
                tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-8:])
                raise StackError(f"{process.name} ended with code {code}; {log} ends:\n{tail}")

    def stop(self, *names: str) -> None:
        """Stop these, or everything that was started, newest first; harmless when nothing runs."""
        running = [
            p
            for p in reversed(self.processes)
            if p.popen is not None and (not names or p.name in names)
        ]
        for process in running:
            if process.popen is not None and process.popen.poll() is None:
                process.popen.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            if process.popen is None:
                continue
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
            # Run workers live in the session of the code server.
            _end_session(process.popen.pid)
            process.popen = None


def _lakefs_options(platform: Platform) -> list[str]:
    """What `ft lakefs serve` is told of the platform file."""
    versioning = platform.versioning
    options = ["--root", str(platform.lakefs_folder)]
    if versioning.import_folder is not None:
        options += ["--import-root", platform.path(versioning.import_folder)]
    for name, function in versioning.hooks.functions.items():
        options += ["--hook", f"{name}={function}"]
    for host in versioning.hooks.hosts:
        options += ["--hook-host", host]
    return options


def service_environment(
    platform_file: Path, platform: Platform, values: Mapping[str, str]
) -> dict[str, str]:
    """The environment of every process of the platform: places, secrets, telemetry off."""
    return {
        **os.environ,
        **values,
        PLATFORM_ENV: str(platform_file.resolve()),
        "DAGSTER_HOME": str(platform.state_folder / "dagster_home"),
        "LAKECTL_SERVER_ENDPOINT_URL": platform.services.lakefs.url,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(
            p for p in (str(PROJECT), os.environ.get("PYTHONPATH", "")) if p
        ),
        **TELEMETRY_OFF,
    }


TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "DAGSTER_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "GIT_PYTHON_REFRESH": "quiet",  # mlflow looks for git on import
}


def _thread_caps(threads: int | None) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {} if threads is None else dict.fromkeys(names, str(threads))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _end_session(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code < 500
    except requests.RequestException:
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def can_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
