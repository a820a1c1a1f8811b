"""What was answered is in the landing zone, once, whole, and can be found for feedback."""

import contextlib
import json
import sqlite3
import threading
from concurrent.futures import wait
from datetime import UTC, datetime

import pytest
import requests

from ft_resources.gateway.landing import Landing
from tests.resources.gateway import world

FIELDS = {
    "event_id": str,
    "ts": str,
    "domain": str,
    "user_id": str,
    "session_id": str,
    "turn": int,
    "prompt": str,
    "response": str,
    "model_version": str,
    "rating": type(None),
    "thumb": type(None),
    "correction": type(None),
    "comment": type(None),
    "edit_share": type(None),
    "regenerated": bool,
    "clicked": bool,
    "copied": bool,
    "abandoned": bool,
    "latency_ms": int,
}


def row(number, domain="legal", **more):
    values = {name: kind() for name, kind in FIELDS.items()}
    return {**values, "event_id": f"e{number}", "domain": domain, "prompt": "Grüße\n\u2028", **more}


@pytest.fixture
def landing(tmp_path):
    landing = Landing(tmp_path / "landing", tmp_path / "index.sqlite", ["legal", "finance"])
    landing.start()
    yield landing
    landing.stop()


def stored(tmp_path, domain="legal"):
    [file] = (tmp_path / "landing" / domain / "logs").glob("gateway-*.jsonl")
    return file, [json.loads(line) for line in file.read_bytes().splitlines()]


def test_rows_of_many_threads(landing, tmp_path):
    def write(start):
        for i in range(start, start + 50):
            landing.append(row(i, ["legal", "finance"][i % 2])).result(10)

    threads = [threading.Thread(target=write, args=(n * 50,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {r["event_id"] for d in ("legal", "finance") for r in stored(tmp_path, d)[1]}
    assert ids == {f"e{i}" for i in range(300)}


def test_a_caller_that_was_cancelled_does_not_end_the_writer(landing, tmp_path):
    for i in range(20):
        landing.append(row(i)).cancel()
        landing.feedback(f"e{i}", {"clicked": True}).cancel()
    landing.append(row(99)).result(10)
    assert landing.alive
    assert {r["event_id"] for r in stored(tmp_path)[1]} == {f"e{i}" for i in [*range(20), 99]}


@pytest.mark.parametrize("move", ["away", "over"])
def test_a_file_that_was_moved_is_begun_again(landing, tmp_path, move):
    landing.append(row(1)).result(10)
    file, _ = stored(tmp_path)
    file.rename(tmp_path / "moved")
    if move == "over":
        file.write_bytes((tmp_path / "moved").read_bytes())
    landing.append(row(2)).result(10)
    assert landing.feedback("e2", {"thumb": "up"}).result(10).changed
    assert [r["event_id"] for r in stored(tmp_path)[1]][-2:] == ["e2", "e2"]


def test_the_file_is_of_the_day(landing, tmp_path):
    landing.append(row(1)).result(10)
    file, [stored_row] = stored(tmp_path)
    assert file.name == f"gateway-{datetime.now(UTC):%Y-%m-%d}.jsonl"
    assert stored_row == row(1)


def test_feedback_appends_the_whole_row_once(landing, tmp_path):
    landing.append(row(1)).result(10)
    said = {"thumb": "up", "rating": 4}
    assert landing.feedback("e1", said).result(10).changed
    assert not landing.feedback("e1", said).result(10).changed
    assert not landing.feedback("e1", {}).result(10).changed
    assert landing.feedback("e1", {"thumb": "down"}).result(10).changed
    _, rows = stored(tmp_path)
    assert rows == [
        row(1),
        row(1, thumb="up", rating=4, feedback_seq=1),
        row(1, thumb="down", rating=4, feedback_seq=2),
    ]
    with pytest.raises(LookupError):
        landing.feedback("e2", said).result(10)


def test_equal_feedback_at_once_is_one_row(landing, tmp_path):
    landing.append(row(1))
    wait([landing.feedback("e1", {"clicked": True}) for _ in range(50)], 10)
    assert len(stored(tmp_path)[1]) == 2


@pytest.mark.parametrize("lost", ["nothing", "the index", "the end of the index"])
def test_feedback_after_a_restart(tmp_path, lost):
    index = tmp_path / "index.sqlite"
    landing = Landing(tmp_path / "landing", index, ["legal"])
    landing.start()
    for i in range(5):
        landing.append(row(i)).result(10)
    landing.feedback("e3", {"thumb": "up"}).result(10)
    landing.stop()
    if lost == "the index":
        for file in tmp_path.glob("index.sqlite*"):
            file.unlink()
    elif lost == "the end of the index":
        with contextlib.closing(sqlite3.connect(index)) as stale, stale:
            stale.execute("DELETE FROM rows WHERE id > 'e2'")
            stale.execute("UPDATE files SET size = (SELECT MAX(at + size) FROM rows)")

    again = Landing(tmp_path / "landing", index, ["legal"])
    again.start()
    assert not again.feedback("e3", {"thumb": "up"}).result(10).changed
    assert again.feedback("e4", {"thumb": "up"}).result(10).changed
    again.stop()
    assert stored(tmp_path)[1][-1] == row(4, thumb="up", feedback_seq=1)


def test_a_line_cut_anywhere_spoils_no_other(tmp_path):
    line = json.dumps(row(1)).encode() + b"\n"
    whole = line + line.replace(b'"e1"', b'"e2"')
    for cut in range(len(line), len(whole), 7):
        folder = tmp_path / str(cut)
        landing = Landing(folder / "landing", tmp_path / f"{cut}.sqlite", ["legal"])
        file = landing._file_of_today("legal")
        file.parent.mkdir(parents=True)
        file.write_bytes(whole[:cut])
        landing.start()
        landing.append(row(3)).result(10)
        assert landing.feedback("e1", {"thumb": "up"}).result(10).changed
        assert landing.feedback("e3", {"thumb": "up"}).result(10).changed
        landing.stop()
        lines = file.read_bytes().split(b"\n")
        assert json.loads(lines[0])["event_id"] == "e1"
        assert [json.loads(x)["event_id"] for x in lines[-4:-1]] == ["e3", "e1", "e3"]


def test_a_disk_that_is_full(tmp_path):
    """Writing fails, says so, leaves no half line, and works again afterwards."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    landing = Landing(tmp_path / "landing", tmp_path / "index.sqlite", ["legal"])
    landing.start()
    landing.append(row(1)).result(10)
    file, _ = stored(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 50, before[1]))
    try:
        with pytest.raises(OSError, match="gateway-"):
            landing.append(row(2)).result(10)
        assert landing.error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    landing.append(row(3)).result(10)
    assert landing.error is None
    landing.stop()
    assert [r["event_id"] for r in stored(tmp_path)[1]] == ["e1", "e3"]


def test_an_answer_is_logged_before_it_is_given(gateway, adapters):
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Is the rent due? 🙂"},
    ]
    answer = gateway.client.chat("legal", talk, max_tokens=5, user="u1", session_id="s1")
    [logged] = [r for r in gateway.rows("legal") if r["event_id"] == answer.id]
    assert {name: type(value) for name, value in logged.items()} == FIELDS
    assert logged["prompt"] == "Is the rent due? 🙂"
    assert logged["response"] == answer.text
    assert (logged["user_id"], logged["session_id"], logged["turn"]) == ("u1", "s1", 1)
    assert (logged["domain"], logged["model_version"]) == ("legal", adapters["legal"][0].name)
    moment = datetime.strptime(logged["ts"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert len(logged["ts"]) == len("2026-01-02T03:04:05.678Z")


def test_a_stream_is_logged_as_one_answer(gateway):
    body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 6}
    url = f"{gateway.url}/v1/chat/completions"
    reply = requests.post(url, json={**body, "stream": True}, timeout=30)
    chunks = [json.loads(x[6:]) for x in reply.text.split("\n\n") if x.startswith("data: {")]
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    [logged] = [r for r in gateway.rows("legal") if r["event_id"] == chunks[0]["id"]]
    assert logged["response"] == said


def test_anonymous_requests_are_conversations_of_their_own(gateway):
    ids = [gateway.client.chat("legal", "Hi", max_tokens=1).id for _ in range(2)]
    logged = {r["event_id"]: r for r in gateway.rows("legal")}
    assert {logged[i]["user_id"] for i in ids} == {"anonymous"}
    assert len({logged[i]["session_id"] for i in ids}) == 2


def test_probes_and_the_base_are_not_training_data(gateway):
    before = len(gateway.rows("legal"))
    gateway.client.chat("legal", "Hi", max_tokens=1, probe=True)
    gateway.client.chat("base", "Hi", max_tokens=1)
    assert len(gateway.rows("legal")) == before
    assert not (gateway.landing / "base").exists()
    body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    url = f"{gateway.url}/v1/chat/completions"
    reply = requests.post(url, json=body, headers={"X-FT-Probe": "1"}, timeout=30)
    assert reply.status_code == 403
    admin = {"Authorization": f"Bearer {world.ADMIN_KEY}"}
    reply = requests.post(url, json=body, headers={"X-FT-Probe": "true", **admin}, timeout=30)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "X-FT-Probe"
    assert len(gateway.rows("legal")) == before


def test_feedback_on_an_answer(gateway):
    answer = gateway.client.chat("legal", "Hi", max_tokens=3)
    url = f"{gateway.url}/feedback"
    said = {"id": answer.id, "thumb": "down", "rating": 2, "correction": "Better.", "clicked": True}
    assert requests.post(url, json=said, timeout=30).json()["recorded"] is True
    assert requests.post(url, json=said, timeout=30).json()["recorded"] is False
    first, second = (r for r in gateway.rows("legal") if r["event_id"] == answer.id)
    change = {"thumb": "down", "rating": 2, "correction": "Better.", "clicked": True}
    assert second == {**first, **change, "feedback_seq": 1}
    text = requests.get(f"{gateway.url}/metrics", timeout=30).text
    assert 'ft_feedback_total{domain="legal",signal="thumb_down"}' in text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"id": "chatcmpl-0"}, 404),
        ({"id": None}, 400),
        ({"thumb": "sideways"}, 400),
        ({"thumb": []}, 400),
        ({"rating": 6}, 400),
        ({"rating": 3.0}, 400),
        ({"rating": True}, 400),
        ({"correction": 3}, 400),
        ({"correction": "\ud800"}, 400),
        ({"correction": " "}, 400),
        ({"clicked": "yes"}, 400),
        ({"comment": " "}, 400),
        ({"edit_share": 1.5}, 400),
        ({"edit_share": True}, 400),
        ({"copied": 1}, 400),
        ({"order": 0}, 400),
        ({"opinion": "good"}, 400),
    ],
)
def test_feedback_that_is_refused(gateway, change, status):
    answer = gateway.client.chat("legal", "Hi", max_tokens=1)
    before = len(gateway.rows("legal"))
    reply = requests.post(f"{gateway.url}/feedback", json={"id": answer.id, **change}, timeout=30)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["message"]
    assert error["param"] in change
    assert len(gateway.rows("legal")) == before
