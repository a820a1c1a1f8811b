"""The tracking database, as several runs meet it."""

import subprocess
import sys

import pytest

MAKE = """
import sys
from ft_resources.mlflow import MlflowTracking
uri, artifacts = sys.argv[1:]
MlflowTracking(tracking_uri=uri, artifacts=artifacts, experiment="e", pages="")._ensure_experiment()
"""


@pytest.mark.slow
def test_runs_that_come_first_together_make_one_database(tmp_path):
    words = [f"sqlite:///{tmp_path}/mlflow/mlflow.db", str(tmp_path / "artifacts")]
    runs = [
        subprocess.Popen([sys.executable, "-c", MAKE, *words], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = [run.communicate(timeout=240)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
