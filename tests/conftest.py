"""One platform file for all tests of the graph: its partitions are fixed at import."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.lakefs.running import ServerProcess

PROJECT = Path(__file__).parent.parent
ROOT = Path(tempfile.mkdtemp(prefix="ft-tests-"))
(ROOT / "quick.yaml").write_text(
    "rank: 4\nalpha: 8\nlearning_rate: 0.01\nmax_steps: 45\nmax_epochs: 50\nrow_tokens: 128\n"
    "batch_rows: 4\nreplay_share: 0.25\neval_every: 10\nvalidation_rows: 4\npatience: 2\n"
)
(ROOT / "platform.yaml").write_text(
    f"""
state: state
domains: {{healthcare: {{}}, finance: {{}}, legal: {{}}, ecommerce: {{}}}}
base_model: {{kind: embedded, steps: 40, cache: "{PROJECT}/.ft/tests/base_models"}}
anonymization: {{tagger: {{generated: 600, epochs: 4, cache: "{PROJECT}/.ft/tests/taggers"}}}}
adapters: {{recipe: "{ROOT}/quick.yaml", threads: 1}}
corpus: {{held_out_share: 0.1}}
evaluation: {{min_rows: 20, max_rows: 60, generate_rows: 4, max_new_tokens: 8, resamples: 500}}
canary: {{replay_rows: 4, max_latency_ratio: 50, max_empty_share: 1}}
drift: {{min_rows: 20}}
"""
)
os.environ.update(
    FT_PLATFORM=str(ROOT / "platform.yaml"),
    DO_NOT_TRACK="true",
    DAGSTER_DISABLE_TELEMETRY="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    HF_HUB_OFFLINE="1",
    GIT_PYTHON_REFRESH="quiet",
)


# Files of few slow tests come first: else one process would wait for them at the end.
SLOW_FILES = ("test_stack.py", "test_loop.py", "test_offline.py", "test_corpus_assets.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in SLOW_FILES)


def pytest_sessionfinish() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)


@pytest.fixture(scope="session")
def lakefs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The embedded lakeFS as a process, shared: each world makes repositories of its own."""
    server = ServerProcess(tmp_path_factory.mktemp("graph-lakefs"))
    yield server
    assert server.stop() == 0
