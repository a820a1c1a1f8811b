"""A gateway before vLLM: adapters come and go there, and it is told what vLLM cannot do."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.resources.gateway import world


@pytest.fixture(scope="module")
def vllm(base):
    running = world.start_vllm(base)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory, vllm, base, digest, adapters):
    running = world.start(tmp_path_factory.mktemp("served"), vllm=vllm.at)
    running.client.load_base(base, digest)
    for folder in adapters["legal"]:
        running.client.load_adapter(folder)
    running.client.route("legal", champion=adapters["legal"][0].name)
    yield running
    running.stop()


def greedy(running, model, prompt="When is the rent due?", max_tokens=12):
    return running.client.chat(model, prompt, max_tokens=max_tokens, temperature=0, probe=True)


def test_answers_are_those_of_the_embedded_engine(served, gateway, adapters):
    for model in ["base", *(folder.name for folder in adapters["legal"])]:
        ours, theirs = greedy(served, model), greedy(gateway, model)
        assert (ours.text, ours.model) == (theirs.text, model)
        assert ours.prompt_tokens == theirs.prompt_tokens
        assert ours.completion_tokens == theirs.completion_tokens


def test_scores_are_those_of_the_embedded_engine(served, gateway, adapters):
    rows = [{"messages": [{"role": "user", "content": "Rent?"}], "response": "On the first day."}]
    name = adapters["legal"][0].name
    ours, theirs = served.client.score(name, rows), gateway.client.score(name, rows)
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_adapters_are_registered_under_their_names(served, vllm, adapters):
    names = sorted(folder.name for folder in adapters["legal"])
    assert served.client.health()["adapters"] == names
    assert vllm.seen()["loras"] == names


def test_dora_and_large_ranks_are_refused_in_clear_words(served, vllm, tmp_path, base):
    dora = world.make_adapter(tmp_path, base, "health", 41, dora=True)
    with pytest.raises(ValueError, match=r"vLLM does not compute DoRA.*recipe lora"):
        served.client.load_adapter(dora)
    large = world.make_adapter(tmp_path, base, "health", 42, rank=16)
    with pytest.raises(ValueError, match=r"r is 16, vLLM takes up to 8"):
        served.client.load_adapter(large)
    assert not any(name.startswith("health") for name in vllm.seen()["loras"])


def test_one_that_fails_its_probe_is_unloaded_again(served, vllm, tmp_path, base):
    folder = world.make_adapter(tmp_path, base, "health", 43)
    vllm.fault(completions=["500"])
    with pytest.raises(ValueError, match="failed its probe: vLLM answered /v1/completions with 5"):
        served.client.load_adapter(folder)
    assert folder.name not in vllm.seen()["loras"]
    assert served.client.load_adapter(folder) == folder.name
    served.client.unload(folder.name)
    assert folder.name not in vllm.seen()["loras"]


def test_unloading_waits_for_the_running_answer(served, vllm, tmp_path, base):
    folder = world.make_adapter(tmp_path, base, "health", 44)
    served.client.load_adapter(folder)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(greedy, served, folder.name, "Hi", 110)
        while not vllm.seen()["open"]:
            time.sleep(0.01)
        served.client.unload(folder.name)
        assert answer.result().model == folder.name
    with pytest.raises(LookupError):
        greedy(served, folder.name)


def test_who_leaves_frees_vllm(served, vllm):
    body = {"model": "base", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    url = f"{served.url}/v1/chat/completions"
    with requests.post(url, json={**body, "max_tokens": 110}, stream=True, timeout=30) as reply:
        next(reply.iter_content(1))
    vllm.fault(completions=["hang"])
    with pytest.raises(requests.Timeout):
        requests.post(url, json={**body, "stream": False}, timeout=0.5)
    deadline = time.monotonic() + 10
    while vllm.seen()["open"] or served.client.health()["queue"]["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("fault", "message"), [("500", "with 500"), ("429", "with 429"), ("cut", "broke off")]
)
def test_what_goes_wrong_in_vllm_is_an_error_of_the_api(served, vllm, fault, message):
    vllm.fault(completions=[fault])
    with pytest.raises(ConnectionError, match=message):
        greedy(served, "legal")
    assert greedy(served, "legal").text


def test_a_vllm_that_was_started_again_gets_its_adapters_back(tmp_path, base, digest, adapters):
    folder = adapters["legal"][0]
    vllm = world.start_vllm(base)
    running = world.start(tmp_path / "own", vllm=vllm.at)
    try:
        running.client.load_base(base, digest)
        running.client.route("legal", champion=running.client.load_adapter(folder))
        before = greedy(running, "legal").text
        vllm.stop()
        with pytest.raises(ConnectionError, match="broke off"):
            greedy(running, "legal")
        port = int(vllm.at.url.rsplit(":", 1)[1])
        vllm = world.start_vllm(base, port=port)
        with ThreadPoolExecutor(4) as pool:
            texts = pool.map(lambda _: greedy(running, "legal").text, range(4))
            assert set(texts) == {before}
        assert vllm.seen()["loras"] == [folder.name]

        running.stop()  # and a gateway that was finds what is registered, and loads it anew
        running = world.start(tmp_path / "own", port=running.port, vllm=vllm.at)
        assert greedy(running, "legal").text == before
        assert running.client.health()["status"] == "ok"

        running.stop()  # a vLLM that starts later than its gateway is waited for
        vllm.stop()
        running = world.start(tmp_path / "own", port=running.port, vllm=vllm.at)
        assert running.client.health()["status"] == "degraded"
        vllm = world.start_vllm(base, port=port)
        deadline = time.monotonic() + 60
        while running.client.health()["status"] != "ok":
            assert time.monotonic() < deadline, running.client.health()
            time.sleep(0.2)
        assert greedy(running, "legal").text == before
    finally:
        running.stop()
        vllm.stop()


def test_who_looks_late_does_not_unload_what_another_has_loaded_again(
    tmp_path, base, digest, adapters
):
    """Both asked for what vLLM has forgotten; the first hears of it after the second loaded it."""
    folder = adapters["legal"][0]
    vllm = world.start_vllm(base)
    running = world.start(tmp_path / "late", vllm=vllm.at)
    try:
        running.client.load_base(base, digest)
        running.client.route("legal", champion=running.client.load_adapter(folder))
        vllm.stop()
        vllm = world.start_vllm(base, port=int(vllm.at.url.rsplit(":", 1)[1]))
        vllm.fault(models=["late"])
        with ThreadPoolExecutor(2) as pool:
            models = pool.map(lambda _: greedy(running, "legal").model, range(2))
            assert set(models) == {folder.name}
        assert vllm.seen()["changes"] == [f"load {folder.name}"]
    finally:
        running.stop()
        vllm.stop()


def test_a_wrong_key_is_told(tmp_path, vllm, base, digest):
    at = world.VllmAt(vllm.at.url, "another key")
    running = world.start(tmp_path / "denied", vllm=at)
    try:
        with pytest.raises(ValueError, match=r"answered /v1/models with 401.*api_key_env"):
            running.client.load_base(base, digest)
    finally:
        running.stop()
