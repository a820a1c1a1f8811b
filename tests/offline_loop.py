"""`python -m tests.offline_loop FOLDER`: the whole loop of one domain, without pytest around it.

What tests/test_offline.py runs in a network namespace. Writes FOLDER/done at its end.
"""

import sys
import warnings
from pathlib import Path

from ft_assets.raw.sample_feed import write_feed

WEEKS = ["2026-08-31", "2026-09-07", "2026-09-14"]


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    from tests import conftest  # the platform file, before any asset is imported
    from tests.graph import make_world
    from tests.resources.gateway import world as gateways
    from tests.resources.lakefs.running import ServerProcess

    server, gateway = ServerProcess(folder / "lakefs"), gateways.start(folder / "gateway")
    try:
        world = make_world(folder, server, gateway)
        write_feed(folder / "feed", domains=["finance"], weeks=3, events_per_week=60)
        world.land_feed(folder / "feed", "finance")
        world.make("base_model")
        world.take_up("finance", WEEKS[:2])
        world.make_corpus("finance")
        release = ("lora_adapter", "eval_report", "canary_release", "deployed_model")
        world.make(*release, partition="finance")
        world.take_up("finance", WEEKS[2:])
        world.make("drift_report", "serving_report", partition="finance")
        decision = world.facts("deployed_model", "finance")["decision"]
        verdict = world.facts("drift_report", "finance")["verdict"]
        (folder / "done").write_text(f"{decision} {verdict}")
    finally:
        gateway.stop()
        server.stop()
        conftest.pytest_sessionfinish()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
