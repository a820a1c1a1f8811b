"""Keys of several callers: what each may do, how much, and what ends a right."""

import hashlib
import time

import pytest
import requests

from ft_resources.gateway.auth import CallerKey, KeyFile, Keys, Principal, Role, key_digest
from ft_resources.gateway.chat import Refusal
from ft_resources.gateway.rates import Bucket, Rates
from tests.resources.gateway import world

QUESTION = [{"role": "user", "content": "When is the rent due?"}]
LAWYER, REVIEWER, HASTY, SHORT = (
    f"key-of-{name}-0123456789" for name in ("law", "rev", "has", "sh")
)


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    file = tmp_path_factory.mktemp("secrets") / "crm"
    file.write_text("key-of-the-crm-0123\n")
    return file


@pytest.fixture(scope="module")
def many(tmp_path_factory, base, digest, secret):
    legal = frozenset({"legal"})
    callers = [
        CallerKey(Principal("law", domains=legal, max_body=2_000), key_digest(LAWYER)),
        CallerKey(Principal("rev", Role.REVIEWER), bytes.fromhex(sha256(REVIEWER))),
        CallerKey(Principal("crm"), KeyFile(secret)),
        CallerKey(Principal("hasty", requests_per_minute=2, timeout_s=0.001), key_digest(HASTY)),
        CallerKey(Principal("short", tokens_per_minute=60, max_tokens=20), key_digest(SHORT)),
    ]
    running = world.start(tmp_path_factory.mktemp("callers"), api_key="shared-key", callers=callers)
    running.client.load_base(base, digest)
    yield running
    running.stop()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def call(gateway, key, path="/v1/chat/completions", method="POST", **body):
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{gateway.url}{path}"
    return requests.request(method, url, json=body or None, headers=headers, timeout=30)


def ask(gateway, key, **change):
    body = {"model": "legal", "messages": QUESTION, "max_tokens": 4, **change}
    return call(gateway, key, **body)


@pytest.mark.parametrize("key", ["shared-key", LAWYER, REVIEWER, world.ADMIN_KEY])
def test_each_key_is_known(many, key):
    assert ask(many, key).status_code == 200


@pytest.mark.parametrize("key", ["", "shared", LAWYER[:-1], LAWYER.upper()])
def test_others_are_not(many, key):
    reply = ask(many, key)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_has_its_domains(many):
    for model in ("finance", "base", "finance@0123456789ab"):
        reply = ask(many, LAWYER, model=model)
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "model_not_allowed")
    listed = call(many, LAWYER, "/v1/models", "GET").json()["data"]
    assert [model["id"] for model in listed] == ["legal"]
    assert call(many, LAWYER, "/v1/models/finance", "GET").status_code == 404


def test_feedback_on_an_answer_of_another_domain_is_not_found(many):
    answer = ask(many, "shared-key", model="finance").json()["id"]
    assert call(many, LAWYER, "/feedback", id=answer, thumb="up").status_code == 404
    assert call(many, "shared-key", "/feedback", id=answer, thumb="up").status_code == 200


def test_roles(many):
    for key in ("shared-key", LAWYER, REVIEWER):
        reply = call(many, key, "/admin/routing", "GET")
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "role_not_allowed")


def test_limits_of_a_key(many):
    assert ask(many, LAWYER, user="x" * 3_000).status_code == 413
    reply = ask(many, SHORT, max_tokens=21)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "max_tokens")
    used = ask(many, SHORT, max_tokens=None).json()["usage"]
    assert used["completion_tokens"] <= 20


def test_tokens_a_minute(many):
    reply = ask(many, SHORT, n=8, max_tokens=20)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "rate_limit_exceeded")
    replies = [ask(many, SHORT, max_tokens=10) for _ in range(4)]
    assert replies[-1].status_code == 429
    assert 1 <= int(replies[-1].headers["Retry-After"]) <= 60


def test_requests_a_minute_and_the_time_of_one(many):
    late = ask(many, HASTY, max_tokens=100)
    assert (late.status_code, late.json()["error"]["code"]) == (503, "timeout")
    assert ask(many, HASTY).status_code == 503
    reply = ask(many, HASTY)
    assert (reply.status_code, reply.json()["error"]["type"]) == (429, "rate_limit_error")
    assert 20 <= int(reply.headers["Retry-After"]) <= 30
    assert ask(many, LAWYER).status_code == 200  # each caller has its own


def test_a_key_ends_with_its_file(many, secret):
    assert ask(many, "key-of-the-crm-0123").status_code == 200
    secret.write_text("another-key-0123456")
    assert ask(many, "key-of-the-crm-0123").status_code == 401
    assert ask(many, "another-key-0123456").status_code == 200
    secret.unlink()
    assert ask(many, "another-key-0123456").status_code == 401


def test_the_log_names_the_caller_and_no_key(many):
    ask(many, LAWYER)
    assert '"caller":"law"' in many.log
    assert not [key for key in (LAWYER, SHORT, "shared-key") if key in many.log]


def test_two_callers_with_one_key():
    callers = [CallerKey(Principal(name), key_digest("the same key")) for name in ("a", "b")]
    with pytest.raises(ValueError, match="same key"):
        Keys("admin", None, callers)


def test_an_empty_file_is_no_key(tmp_path):
    (tmp_path / "key").write_text("\n")
    keys = Keys("admin", None, [CallerKey(Principal("a"), KeyFile(tmp_path / "key"))])
    assert keys.who({"authorization": "Bearer "}) is None
    assert keys.who({}) is None


def test_a_bucket_fills_up_again():
    now = 0.0
    bucket = Bucket(60, lambda: now)
    assert [bucket.take(30), bucket.take(30)] == [0, 0]
    assert bucket.take(10) == pytest.approx(10)
    now += 10
    assert bucket.take(10) == 0
    now += 10_000
    assert bucket.take(61) == pytest.approx(1)


def test_unused_tokens_come_back():
    rates, who = Rates(time.monotonic), Principal("a", tokens_per_minute=100)
    for _ in range(5):
        rates.take_tokens(who, 100)
        rates.give_back(who, 99)
        rates.take_tokens(who, 1)
        rates.give_back(who, 2)
    rates.take_tokens(who, 100)
    with pytest.raises(Refusal) as refused:
        rates.take_tokens(who, 50)
    assert refused.value.retry_after_s == 30
