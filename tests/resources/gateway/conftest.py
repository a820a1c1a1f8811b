from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from ft_resources.adapter_format import base_digest
from tests.resources.gateway import world


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    forkserver.ensure_running()  # imports the learning stack while this process does
    torch.set_num_threads(1)  # engines run here too, beside other tests: two a core wait in turn
    return world.make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def digest(base: Path) -> str:
    return base_digest(base)


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory, base: Path) -> dict[str, list[Path]]:
    """Two adapters of legal and one of finance."""
    folder = tmp_path_factory.mktemp("adapters")
    return {
        "legal": [world.make_adapter(folder, base, "legal", seed) for seed in (1, 2)],
        "finance": [world.make_adapter(folder, base, "finance", 3)],
    }


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    base: Path,
    digest: str,
    adapters: dict[str, list[Path]],
) -> Iterator[world.Running]:
    """A gateway with all adapters loaded; legal and finance have a champion."""
    running = world.start(tmp_path_factory.mktemp("gateway"))
    client = running.client
    client.load_base(base, digest)
    for folders in adapters.values():
        for folder in folders:
            client.load_adapter(folder)
    for domain, folders in adapters.items():
        client.route(domain, champion=folders[0].name)
    yield running
    running.stop()
