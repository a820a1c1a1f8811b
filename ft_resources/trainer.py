"""Where training and scoring run: a subprocess of this machine, started through Dagster Pipes.

The code location stays free of torch, and a killed trainer publishes nothing: results are files in
a folder of this call, which the asset publishes after the process ended well.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg


class LocalTrainer(dg.ConfigurableResource):
    """Runs `python -m MODULE JOB.json` and waits for it."""

    work_folder: str
    threads: int

    @contextmanager
    def workspace(self) -> Generator[Path]:
        """A folder for inputs and results; gone afterwards."""
        Path(self.work_folder).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.work_folder) as folder:
            yield Path(folder)

    def run(
        self, context: dg.AssetExecutionContext, module: str, job: dict[str, Any], folder: Path
    ) -> Sequence[Any]:
        """Run one job to its end; the custom messages it reported, in order.

        Raises DagsterPipesExecutionError when the process fails; its output is in the run's log.
        """
        invocation = dg.PipesSubprocessClient().run(
            command=_command(module, job, folder),
            context=context,
            env=_environment(self.threads),
        )
        return invocation.get_custom_messages()


def run_alone(module: str, job: dict[str, Any], folder: Path, threads: int) -> None:
    """The same job in the same kind of process, outside a run; what it reports goes to stdout.

    Raises subprocess.CalledProcessError when the process fails.
    """
    subprocess.run(_command(module, job, folder), env=_environment(threads), check=True)


def _command(module: str, job: dict[str, Any], folder: Path) -> list[str]:
    file = folder / "job.json"
    file.write_text(json.dumps(job), "utf-8")
    return [sys.executable, "-m", "ft_resources.child", str(os.getpid()), module, str(file)]


def _environment(threads: int) -> dict[str, str]:
    """Inherited: places, telemetry switches. Threads are part of the result's identity."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
