"""kill -9 at any moment: what was acknowledged is there, and conversations keep their adapter."""

import random
import signal
import threading
import time

import pytest
import requests

from tests.resources.gateway.test_gateway_process import again, arms, set_up
from tests.resources.gateway.world import start

WORKERS = 6
REPORTS = ({"thumb": "down"}, {"thumb": "up", "comment": "later"}, {"rating": 5})


class Crowd:
    """Callers who ask and react until the gateway dies, and remember what it acknowledged."""

    def __init__(self) -> None:
        self.answers: set[str] = set()
        self.reactions: dict[str, dict] = {}

    def run(self, url: str) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._call, args=(url,)) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        return threads

    def _call(self, url: str) -> None:
        ask = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        with requests.Session() as session:
            try:
                while True:
                    reply = session.post(f"{url}/v1/chat/completions", json=ask, timeout=10)
                    if not reply.ok:
                        continue
                    answer = reply.json()["id"]
                    self.answers.add(answer)
                    for order, fields in enumerate(REPORTS, 1):
                        body = {"id": answer, "order": order, **fields}
                        if session.post(f"{url}/feedback", json=body, timeout=10).ok:
                            self.reactions.setdefault(answer, {}).update(fields)
            except requests.RequestException:
                return


def killed(gateway, times):
    """Kill and restart it; return (the last one, what was acknowledged)."""
    crowd, moments = Crowd(), random.Random(times)
    before = arms(gateway)
    for _ in range(times):
        enough = len(crowd.reactions) + moments.randint(1, 12)
        threads = crowd.run(gateway.url)
        while len(crowd.reactions) < enough:
            time.sleep(0.002)
        time.sleep(moments.random() * 0.03)
        gateway.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
        gateway = again(gateway)
        assert arms(gateway) == before
    return gateway, crowd


@pytest.mark.parametrize("times", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost(tmp_path, base, digest, adapters, times):
    gateway = start(tmp_path / "own")
    set_up(gateway, base, digest, adapters)
    gateway, crowd = killed(gateway, times)
    gateway.stop()
    rows = {row["event_id"]: row for row in gateway.rows("legal")}
    assert crowd.answers - rows.keys() == set()
    lost = {
        answer: fields
        for answer, fields in crowd.reactions.items()
        # A report whose acknowledgement did not arrive may have been written all the same.
        if any(rows[answer][name] is None for name in fields)
        or (len(fields) == 3 and any(rows[answer][n] != said for n, said in fields.items()))
    }
    assert lost == {}
    assert len(crowd.reactions) >= times
