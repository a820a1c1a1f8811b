"""The official `openai` client against an endpoint: what it can ask for, and what it raises.

The endpoint is a gateway with the tiny base, embedded and behind a stand-in of vLLM. To hold
another server to the same contract, set
OPENAI_CONTRACT_URL (with /v1), OPENAI_CONTRACT_MODEL and, where it wants one, OPENAI_CONTRACT_KEY.
"""

import math
import os
from dataclasses import dataclass

import openai
import pytest

from tests.resources.gateway import world

QUESTION = [{"role": "user", "content": "When is the rent due?"}]
KEY = "key-of-the-contract"


@dataclass(frozen=True)
class Endpoint:
    url: str
    key: str
    model: str


@pytest.fixture(scope="module", params=["embedded", "vllm"])
def endpoint(request, tmp_path_factory):
    if url := os.environ.get("OPENAI_CONTRACT_URL"):
        key = os.environ.get("OPENAI_CONTRACT_KEY", "none")
        yield Endpoint(url, key, os.environ["OPENAI_CONTRACT_MODEL"])
        return
    base, digest = request.getfixturevalue("base"), request.getfixturevalue("digest")
    [adapter, _] = request.getfixturevalue("adapters")["legal"]
    vllm = world.start_vllm(base) if request.param == "vllm" else None
    at = vllm.at if vllm else None
    running = world.start(tmp_path_factory.mktemp("contract"), api_key=KEY, vllm=at)
    running.client.load_base(base, digest)
    running.client.route("legal", champion=running.client.load_adapter(adapter))
    yield Endpoint(f"{running.url}/v1", KEY, "legal")
    running.stop()
    if vllm:
        vllm.stop()


@pytest.fixture(scope="module")
def client(endpoint):
    with openai.OpenAI(base_url=endpoint.url, api_key=endpoint.key, max_retries=0) as client:
        yield client


@pytest.fixture
def chat(client, endpoint):
    def ask(**change):
        shared = {"model": endpoint.model, "messages": QUESTION, "max_tokens": 12, "temperature": 0}
        return client.chat.completions.create(**{**shared, **change})

    return ask


@pytest.fixture
def complete(client, endpoint):
    def ask(**change):
        shared = {"model": endpoint.model, "prompt": "The rent", "max_tokens": 12, "temperature": 0}
        return client.completions.create(**{**shared, **change})

    return ask


def text_of(reply):
    return reply.choices[0].message.content


def joined(chunks, index=0):
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


def test_models(client, endpoint):
    listed = {model.id: model for model in client.models.list()}
    assert endpoint.model in listed
    for name in [endpoint.model, max(listed)]:  # with the @ of a gateway's adapter
        assert client.models.retrieve(name) == listed[name]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_chat(chat):
    reply = chat()
    [choice] = reply.choices
    assert (choice.index, choice.message.role, choice.finish_reason) == (0, "assistant", "length")
    assert reply.usage.completion_tokens == 12
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 12
    assert reply._request_id
    assert reply._request_id != chat()._request_id


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_limits(chat, limit):
    assert chat(**{"max_tokens": openai.omit, limit: 3}).usage.completion_tokens == 3


@pytest.mark.parametrize("usage", [False, True])
def test_stream(chat, usage):
    whole = chat()
    options = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(chat(stream=True, **options))
    assert joined(chunks) == text_of(whole)
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons == [None] * (len(reasons) - 1) + ["length"]
    if usage:
        assert not chunks[-1].choices
        assert chunks[-1].usage == whole.usage
        assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_the_accumulating_stream_of_the_client(client, endpoint, chat):
    shared = {"model": endpoint.model, "messages": QUESTION, "max_tokens": 12, "temperature": 0}
    stop = text_of(chat())[-2:]  # the helper raises for an answer that was cut by its limit
    with client.chat.completions.stream(**shared, logprobs=True, stop=stop) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    whole = chat(logprobs=True, stop=stop)
    assert text_of(final) == text_of(whole)
    told = [token.bytes for token in final.choices[0].logprobs.content]
    assert told == [token.bytes for token in whole.choices[0].logprobs.content]


@pytest.mark.parametrize("listed", [False, True])
def test_stop(chat, listed):
    whole = text_of(chat())
    stop = whole[3:6]
    reply = chat(stop=["never there", stop] if listed else stop)
    assert text_of(reply) == whole[: whole.index(stop)]
    assert reply.choices[0].finish_reason == "stop"


def test_seed(chat):
    def text(seed):
        return text_of(chat(temperature=1.5, seed=seed))

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("stream", [False, True])
def test_n(chat, stream):
    reply = chat(n=3, temperature=1.5, seed=7, stream=stream)
    if stream:
        chunks = list(reply)
        texts = [joined(chunks, index) for index in range(3)]
    else:
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        assert reply.usage.completion_tokens <= 36
        texts = [choice.message.content for choice in reply.choices]
    assert texts == [
        choice.message.content for choice in chat(n=3, temperature=1.5, seed=7).choices
    ]
    assert len(set(texts)) > 1
    assert text_of(chat(temperature=1.5, seed=7)) == texts[0]


def test_logprobs(chat):
    [choice] = chat(logprobs=True, top_logprobs=5).choices
    tokens = choice.logprobs.content
    assert len(tokens) == 12
    spelled = b"".join(bytes(token.bytes) for token in tokens)
    assert spelled.decode("utf-8", "replace") == choice.message.content
    for token in tokens:
        shares = [math.exp(top.logprob) for top in token.top_logprobs]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1.00001
        # Greedy: the token is the first alternative.
        assert (token.token, token.logprob) == (
            token.top_logprobs[0].token,
            token.top_logprobs[0].logprob,
        )
    assert chat().choices[0].logprobs is None
    plain = chat(logprobs=True).choices[0].logprobs.content
    assert [token.top_logprobs for token in plain] == [[]] * 12
    assert [token.logprob for token in plain] == pytest.approx([t.logprob for t in tokens])


def test_logprobs_of_a_stream_are_those_of_the_whole(chat):
    whole = chat(logprobs=True, max_tokens=40).choices[0].logprobs.content
    chunks = list(chat(logprobs=True, max_tokens=40, stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.logprobs]
    pieces = [token for choice in choices for token in choice.logprobs.content]
    assert [token.bytes for token in pieces] == [token.bytes for token in whole]
    assert [t.logprob for t in pieces] == pytest.approx([t.logprob for t in whole])


def test_logprobs_do_not_tell_what_stop_cut(chat):
    whole = chat(logprobs=True).choices[0]
    stop = whole.message.content[-3:]
    [cut] = chat(logprobs=True, stop=stop).choices
    assert 0 < len(cut.logprobs.content) < len(whole.logprobs.content)


def test_logprobs_do_not_depend_on_temperature(chat):
    cold = chat(logprobs=True, top_logprobs=3).choices[0].logprobs.content[0]
    hot = chat(logprobs=True, top_logprobs=3, temperature=2).choices[0].logprobs.content[0]
    assert [t.logprob for t in hot.top_logprobs] == pytest.approx(
        [t.logprob for t in cold.top_logprobs]
    )


def test_completions(complete):
    reply = complete(logprobs=2, n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    for choice in reply.choices:
        told = choice.logprobs
        assert len(told.tokens) == len(told.token_logprobs) == len(told.text_offset) == 12
        assert all(len(top) == 2 for top in told.top_logprobs)
        assert told.text_offset[0] == 0
        assert told.text_offset == sorted(told.text_offset)
    chunks = list(complete(stream=True, logprobs=0))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == reply.choices[0].text
    offsets = [
        o for c in chunks if c.choices[0].logprobs for o in c.choices[0].logprobs.text_offset
    ]
    assert offsets == reply.choices[0].logprobs.text_offset


def test_unknown_parameters_change_nothing(chat):
    plain = text_of(chat())
    assert text_of(chat(extra_body={"unheard_of": 1}, store=False)) == plain


@pytest.mark.parametrize(
    ("change", "raised"),
    [
        ({"model": "no-such-model"}, openai.NotFoundError),
        ({"messages": []}, openai.BadRequestError),
        ({"temperature": 9}, openai.BadRequestError),
        ({"n": 0}, openai.BadRequestError),
        ({"top_logprobs": 3}, openai.BadRequestError),
        ({"stop": ["a"] * 99}, openai.BadRequestError),
        ({"messages": [{"role": "user", "content": "rent " * 100_000}]}, openai.BadRequestError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(chat, change, raised, stream):
    with pytest.raises(raised) as caught:
        chat(stream=stream, **change)
    assert caught.value.message
    assert caught.value.request_id
    assert caught.value.body["type"]


def test_a_wrong_key(endpoint):
    if endpoint.key == "none":
        pytest.skip("this endpoint asks for no key")
    with (
        openai.OpenAI(base_url=endpoint.url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


def test_the_async_client(endpoint):
    import asyncio

    async def ask():
        async with openai.AsyncOpenAI(base_url=endpoint.url, api_key=endpoint.key) as client:
            shared = {"model": endpoint.model, "messages": QUESTION, "max_tokens": 5}
            return await asyncio.gather(
                *(client.chat.completions.create(**shared, temperature=0) for _ in range(8))
            )

    replies = asyncio.run(ask())
    assert len({text_of(reply) for reply in replies}) == 1
    assert len({reply.id for reply in replies}) == 8
