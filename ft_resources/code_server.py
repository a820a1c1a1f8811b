"""Dagster's code server, whose run workers are forked from a process that has imported everything.

    python -m ft_resources.code_server -m ft_assets.definitions -p PORT -h 127.0.0.1

It takes the options of `dagster api grpc` and is used in its place. Dagster spawns an interpreter
for every run, which imports the definitions, then Great Expectations, MLflow or Evidently: 4 to 18
CPU seconds before the first row is read (docs/decisions/0004-execution.md). Here the interpreter is
forked from multiprocessing's fork server, where these are loaded. It holds one name of Dagster's
that is not public, the multiprocessing context of its servicer; the version is pinned, and
tests/stack/test_stack.py looks at whose child a run worker is.
torch is not preloaded: training runs in a process of its own.
"""

import multiprocessing
import signal
import sys
from multiprocessing import forkserver
from typing import Any

from dagster._cli import api
from dagster._grpc import server

PRELOADED = (
    "ft_assets.definitions",
    "pandas",
    "pyarrow.parquet",
    "great_expectations.expectations",
    "dagster_mlflow.resources",
    "evidently.metrics",
)


class WarmServicer(server.DagsterApiServer):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not hasattr(self, "_mp_ctx"):
            raise RuntimeError("this Dagster starts runs differently; use `dagster api grpc`")
        self._mp_ctx: Any = multiprocessing.get_context("forkserver")


def main() -> None:
    # Dagster lets SIGTERM do what SIGINT does, and a shell has what runs in its background ignore
    # that: `make up &` would have to kill this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    forkserver.ensure_running()  # it imports while the server loads the definitions
    vars(server)["DagsterApiServer"] = WarmServicer  # what grpc_command makes
    api.grpc_command.main(args=sys.argv[1:], prog_name="code-server")


if __name__ == "__main__":
    main()
