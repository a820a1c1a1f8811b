"""The engine under load: everybody gets the answer of the adapter that was asked."""

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from ft_resources.adapter_format import check_lora
from ft_resources.gateway.cohort import Generation
from ft_resources.gateway.engine import Engine
from tests.resources.gateway import world

THREADS = 8
ROUNDS = 20  # requests of each thread
PROMPTS = ["When is the rent due?", "Refund?", "How often is the tablet taken, and with what?"]


def greedy(gateway, model, prompt, max_tokens=12):
    return gateway.client.chat(model, prompt, max_tokens=max_tokens, temperature=0, probe=True)


@pytest.fixture
def models(adapters):
    return ["base", *(folder.name for folders in adapters.values() for folder in folders)]


@pytest.fixture
def solo(gateway, models):
    """What each model answers when it is alone."""
    texts = {(m, p): greedy(gateway, m, p).text for m in models for p in PROMPTS}
    assert len(set(texts.values())) == len(texts)  # else a foreign answer could not be told
    return texts


def hammer(gateway, solo, rounds):
    """Return the wrong answers to THREADS clients that mix models and prompts."""
    cases = list(solo.items())

    def client(number):
        wrong = 0
        with requests.Session() as session:
            for i in range(rounds):
                (model, prompt), expected = cases[(number * 7 + i * 5) % len(cases)]
                body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
                body.update(max_tokens=12, temperature=0, stream=False)
                reply = session.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=60)
                answer = reply.json()
                text = answer["choices"][0]["message"]["content"]
                wrong += (text, answer["model"]) != (expected, model)
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(client, range(THREADS)))


def test_no_foreign_answers(gateway, solo):
    assert hammer(gateway, solo, ROUNDS) == 0


@pytest.mark.parametrize(
    "answers", [THREADS * ROUNDS // 2, pytest.param(10_000, marks=pytest.mark.slow)]
)
def test_no_foreign_answers_while_adapters_come_and_go(gateway, solo, tmp_path, base, answers):
    fourth = world.make_adapter(tmp_path, base, "finance", 20)
    gateway.client.load_adapter(fourth)
    solo = solo | {(fourth.name, p): greedy(gateway, fourth.name, p).text for p in PROMPTS}
    assert len(set(solo.values())) == len(solo)
    folder = world.make_adapter(tmp_path, base, "health", 21)
    client = world.GatewayClient(gateway.url, world.ADMIN_KEY, world.SIGNING_KEY)
    done, cycles = threading.Event(), 0

    def cycle():
        nonlocal cycles
        while not done.is_set():
            client.load_adapter(folder)
            client.chat(folder.name, "Hi", max_tokens=2)
            client.unload(folder.name)
            cycles += 1

    thread = threading.Thread(target=cycle)
    thread.start()
    try:
        assert hammer(gateway, solo, answers // THREADS) == 0
    finally:
        done.set()
        thread.join()
        gateway.client.unload(fourth.name)
    assert cycles > 3


# peft 0.21 reads an attribute that transformers 5.24 has renamed.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_waiting_requests_share_a_forward_pass(base, digest, adapters):
    engine, done = Engine(), queue.Queue()
    engine.start()
    engine.load_base(base, digest).result()
    names = [folder.name for folder in adapters["legal"]]
    for folder in adapters["legal"]:
        engine.load_adapter(folder.name, folder, digest).result()
    gate = threading.Event()
    held = engine._do(gate.wait)  # the engine is busy while the requests come in
    ids = engine.base(digest).tokenizer.encode_text("Hi")
    for adapter in [None, *names, names[0]]:
        job = Generation(digest, adapter, ids, 9, 0, 1, None, (), False, done.put)
        engine.submit(job)
    gate.set()
    held.result()
    texts = [done.get(timeout=30).text for _ in range(4)]
    assert len(set(texts)) == 3
    assert engine.passes == 9
    engine.stop(10)
    assert engine.problem
    with pytest.raises(ConnectionError, match="stopping"):
        engine.submit(job)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_a_dora_answers_beside_others_as_it_does_alone_in_peft(base, digest, adapters, tmp_path):
    dora = world.make_adapter(tmp_path, base, "health", 23, dora=True)
    check_lora(dora, base)
    lora = adapters["legal"][0]
    engine = Engine()
    engine.start()
    engine.load_base(base, digest).result()
    for folder in (lora, dora):
        engine.load_adapter(folder.name, folder, digest).result()
    ids = torch.tensor([engine.base(digest).tokenizer.encode_text(PROMPTS[2])] * 3)
    with torch.no_grad():
        mixed = engine.base(digest).forward([dora.name, None, lora.name], input_ids=ids).logits
        alone = [AutoModelForCausalLM.from_pretrained(base) for _ in range(3)]
        for place, folder in ((0, dora), (2, lora)):
            alone[place] = PeftModel.from_pretrained(alone[place], folder).eval()
        for row, model in zip(mixed, alone, strict=True):
            assert torch.allclose(row, model(input_ids=ids[:1]).logits[0], atol=1e-4)
    engine.unload_adapter(dora.name).result()
    engine.stop(10)


def test_unloading_waits_for_the_running_answer(gateway, tmp_path, base):
    folder = world.make_adapter(tmp_path, base, "health", 22)
    gateway.client.load_adapter(folder)
    body = {"model": folder.name, "messages": [{"role": "user", "content": "Hi"}]}
    body.update(max_tokens=100, temperature=0, stream=True)
    url = f"{gateway.url}/v1/chat/completions"
    with requests.post(url, json=body, stream=True, timeout=30) as reply:
        lines = reply.iter_lines()
        next(lines)
        gateway.client.unload(folder.name)
        assert [line for line in lines if line][-1] == b"data: [DONE]"
    with pytest.raises(LookupError):
        gateway.client.chat(folder.name, "Hi")


def test_a_model_that_gives_nan_fails_alone(gateway, solo, tmp_path, base):
    """Weights at the edge of float32 pass the gate and overflow; the engine goes on."""
    folder = world.make_adapter(tmp_path, base, "health", 23, scale=1e37)
    gateway.client.load_adapter(folder)
    with ThreadPoolExecutor(6) as pool:
        bad = [pool.submit(greedy, gateway, folder.name, "Hi") for _ in range(3)]
        good = {key: pool.submit(greedy, gateway, *key) for key in list(solo)[:6]}
        for task in bad:
            with pytest.raises(ConnectionError, match="not finite"):
                task.result()
        for key, task in good.items():
            assert task.result().text == solo[key]
    arm = gateway.client.stats("health")["arms"][folder.name]
    assert (arm["requests"], arm["errors"]) == (3, 3)
    gateway.client.unload(folder.name)


def test_a_full_queue_says_when_to_come_back(gateway):
    body = {"model": "base", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 100}
    url = f"{gateway.url}/v1/chat/completions"

    def post(_):
        return requests.post(url, json=body, timeout=60)

    with ThreadPoolExecutor(160) as pool:
        replies = list(pool.map(post, range(160)))
    codes = [reply.status_code for reply in replies]
    assert set(codes) == {200, 429}
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["error"]["type"] == "rate_limit_error"


def passes(gateway):
    lines = requests.get(f"{gateway.url}/metrics", timeout=30).text.splitlines()
    return sum(float(x.split()[1]) for x in lines if x.startswith("ft_forward_passes_total"))


@pytest.mark.parametrize("streamed", [True, False])
def test_who_leaves_frees_the_engine(gateway, streamed):
    body = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}
    # Greedy: this answer is known to be as long as it may be.
    body.update(max_tokens=110, temperature=0, stream=streamed)
    assert greedy(gateway, "base", "Hi", 110).completion_tokens == 110
    before = passes(gateway)
    url = f"{gateway.url}/v1/chat/completions"
    for _ in range(5):
        if streamed:
            with requests.post(url, json=body, stream=True, timeout=30) as reply:
                next(reply.iter_content(1))
        else:
            with pytest.raises(requests.Timeout):
                requests.post(url, json=body, timeout=0.03)
    deadline = time.monotonic() + 10
    while gateway.client.health()["queue"] != {"waiting": 0, "running": 0}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert passes(gateway) - before < 5 * 110 / 2


def test_who_leaves_while_the_answer_is_written_harms_nobody(gateway):
    """Streams are left at every point; the landing zone has to go on."""
    body = {"model": "legal", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    url = f"{gateway.url}/v1/chat/completions"
    for i in range(60):
        with requests.post(url, json={**body, "max_tokens": 1 + i % 6}, stream=True) as reply:
            for seen, _ in enumerate(reply.iter_content(None)):
                if seen == i // 6 % 5:
                    break
    answer = gateway.client.chat("legal", "Hi", max_tokens=1)
    assert answer.id in {row["event_id"] for row in gateway.rows("legal")}
    assert gateway.client.health()["status"] == "ok"


def test_two_bases_serve_during_a_change(tmp_path, base, digest):
    """Champions of the old base answer until theirs on the new one are routed."""
    running = world.start(tmp_path)
    client = running.client
    try:
        old = world.make_adapter(tmp_path, base, "legal", 1)
        client.load_base(base, digest)
        client.load_adapter(old)
        client.route("legal", champion=old.name)
        before = greedy(running, "legal", "Hi").text

        other = world.make_base(tmp_path / "other", seed=5)
        client.load_base(other, world.base_digest(other))
        assert greedy(running, "legal", "Hi").text == before
        new = world.make_adapter(tmp_path, other, "legal", 2, generation=2)
        client.load_adapter(new)
        client.route("legal", champion=new.name, previous=old.name)
        assert client.chat("legal", "Hi", max_tokens=1).model == new.name
        client.rollback("legal", "previous")
        assert greedy(running, "legal", "Hi").text == before

        client.route("legal", champion=new.name, previous=None)
        third = world.make_adapter(tmp_path, other, "legal", 3, generation=9)
        client.load_adapter(third)
        assert client.health()["adapters"] == sorted([new.name, third.name])
        assert not (running.root / "adapters" / old.name).exists()
    finally:
        running.stop()
