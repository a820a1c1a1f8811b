"""A rollout in a real gateway process, with nobody else there to decide."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ft_resources.gateway.client import GatewayClient
from tests.resources.gateway import world

PLAN = {
    "bounds": {"margin": 0.4, "min_reactions": 5},
    "shadow_answers": 2,
    "shadow_share": 1.0,
    "steps": [0.2, 0.5],
    "step_answers": 2,
    "window_seconds": 0.2,
    "holdback": 0.2,
    "holdback_seconds": 1.0,
    "guardrails": {"errors": 0.01},  # random weights say nothing or anything
}


class Stage:
    def __init__(self, running, names):
        self.running, self.client = running, running.client
        self.champion, self.candidate = names
        self.said = 0

    @property
    def state(self):
        return self.client.rollout("legal")["state"]

    def talk(self, likes):
        """One conversation; `likes` takes the adapter's name and answers whether it was liked."""
        self.said += 1
        answer = self.client.chat("legal", "Hi", max_tokens=1, session_id=f"s{self.said}")
        self.client.feedback(answer.id, thumb="up" if likes(answer.model) else "down")
        return answer.model

    def until(self, states, likes, most=400):
        for _ in range(most):
            self.talk(likes)
            if (state := self.state) in states:
                return state
        raise AssertionError(f"still {self.client.rollout('legal')}")


@pytest.fixture(scope="module")
def running(tmp_path_factory, base, digest, adapters):
    gateway = world.start(tmp_path_factory.mktemp("rollout"))
    gateway.client.load_base(base, digest)
    for folder in adapters["legal"]:
        gateway.client.load_adapter(folder)
    yield gateway
    gateway.stop()


@pytest.fixture
def stage(running, adapters):
    names = [folder.name for folder in adapters["legal"]]
    running.client.rollback("legal")
    running.client.route("legal", champion=names[0], previous=None, canary=None, share=0.0)
    return Stage(running, names)


def test_liked_it_becomes_champion_by_itself(stage):
    begun = stage.client.begin_rollout("legal", stage.candidate, PLAN)
    assert begun["state"] == "shadow"
    assert {stage.talk(lambda name: True)} == {stage.champion}  # nobody sees it yet
    generation = stage.client.routing()["generation"]
    assert stage.until({"holdback", "champion"}, lambda name: name == stage.candidate)
    assert stage.client.routing()["generation"] > generation
    route = stage.client.routing()["domains"]["legal"]
    assert (route["champion"], route["previous"]) == (stage.candidate, stage.champion)
    deadline = time.monotonic() + 20
    while stage.state != "champion":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    status = stage.client.rollout("legal")
    assert [h["state"] for h in status["history"]][:3] == ["shadow", "canary", "canary"]
    assert status["mirrored"] == 2
    assert {stage.talk(lambda name: True) for _ in range(6)} == {stage.candidate}
    metrics = requests.get(f"{stage.running.url}/metrics", timeout=10).text
    assert 'ft_canary_state{domain="legal",state="champion"} 1.0' in metrics
    assert 'ft_rollouts_ended_total{domain="legal",state="champion"} 1.0' in metrics


def test_clients_that_never_pause_do_not_keep_a_candidate_in_shadow(stage):
    plan = {**PLAN, "shadow_answers": 1000, "guardrails": {}}
    stage.client.begin_rollout("legal", stage.candidate, plan)

    def talk(client: int) -> None:
        gateway = GatewayClient(stage.running.url, world.ADMIN_KEY, world.SIGNING_KEY)
        for turn in range(25):
            gateway.chat("legal", "Hi", max_tokens=8, session_id=f"busy-{client}-{turn}")

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(talk, range(4)))
    assert stage.client.rollout("legal")["mirrored"] >= 12
    stage.client.abort("legal", "test", "enough")


def test_disliked_it_is_gone_with_the_deciding_feedback(stage):
    """From the event that decides to no traffic: the next request is the champion's already."""
    stage.client.begin_rollout("legal", stage.candidate, {**PLAN, "shadow_answers": 0})
    generation = stage.client.routing()["generation"]
    assert stage.until({"rolled_back"}, lambda name: name == stage.champion) == "rolled_back"
    status = stage.client.rollout("legal")
    route = stage.client.routing()["domains"]["legal"]
    assert (route["champion"], route["canary"], route["share"]) == (stage.champion, None, 0.0)
    assert stage.client.routing()["generation"] > generation
    assert {stage.talk(lambda name: True) for _ in range(10)} == {stage.champion}
    assert "worse" in status["reason"]


def test_kill_9_keeps_assignment_and_evidence(stage, tmp_path, base, digest, adapters):
    own = world.start(tmp_path / "own")
    names = [folder.name for folder in adapters["legal"]]
    own.client.load_base(base, digest)
    for folder in adapters["legal"]:
        own.client.load_adapter(folder)
    own.client.route("legal", champion=names[0])
    stage = Stage(own, names)
    plan = {**PLAN, "shadow_answers": 0, "steps": [0.5], "window_seconds": 600.0}
    stage.client.begin_rollout("legal", stage.candidate, plan)
    before = [stage.talk(lambda name: True) for _ in range(12)]
    evidence, routing = stage.client.rollout("legal"), stage.client.routing()
    assert own.stop(signal.SIGKILL) == -9
    again = world.start(own.root.parent, port=own.port)
    try:
        assert again.client.routing() == routing
        after = again.client.rollout("legal")
        assert {**after, "now": 0} == {**evidence, "now": 0}
        assert sum(arm["answers"] for arm in after["arms"].values()) == 12
        stage = Stage(again, names)
        assert [stage.talk(lambda name: True) for _ in range(12)] == before
    finally:
        again.stop()


def test_a_person_must_approve_where_the_plan_says_so(stage):
    plan = {**PLAN, "approval": "canary"}
    stage.client.begin_rollout("legal", stage.candidate, plan)
    stage.until({"waiting"}, lambda name: True, 20)
    assert {stage.talk(lambda name: True) for _ in range(8)} == {stage.champion}
    with pytest.raises(ValueError, match="a rollout decides it"):
        stage.client.route("legal", canary=stage.candidate, share=1.0)
    assert stage.client.approve("legal", "Ada")["state"] == "canary"
    with pytest.raises(ValueError, match="waits for an approval"):
        stage.client.approve("legal", "Ada")
    assert stage.client.abort("legal", "Ada", "enough seen")["state"] == "rolled_back"


def test_a_comparison_leaves_the_champion_where_it_was(stage):
    plan = {**PLAN, "steps": [0.5]}
    stage.client.compare("legal", stage.candidate, stage.champion, plan)
    stage.until({"ended"}, lambda name: name == stage.candidate)
    status = stage.client.rollout("legal")
    assert status["reason"] == f"{stage.candidate} is better than {stage.champion}"
    assert stage.client.routing()["domains"]["legal"]["champion"] == stage.champion


def test_the_administrators_rollback_ends_a_rollout(stage):
    stage.client.begin_rollout("legal", stage.candidate, {**PLAN, "shadow_answers": 0})
    stage.client.rollback("legal")
    assert stage.state == "rolled_back"
    assert stage.client.routing()["domains"]["legal"]["canary"] is None


def test_a_rollback_in_holdback_brings_the_old_champion_back(stage):
    plan = {**PLAN, "shadow_answers": 0, "holdback_seconds": 600.0}
    stage.client.begin_rollout("legal", stage.candidate, plan)
    stage.until({"holdback"}, lambda name: name == stage.candidate)
    stage.client.rollback("legal", "previous")
    route = stage.client.routing()["domains"]["legal"]
    assert (route["champion"], route["previous"], route["share"]) == (stage.champion, None, 0.0)
    assert stage.state == "rolled_back"


def test_what_is_wrong_is_told(stage):
    with pytest.raises(LookupError, match="no adapter"):
        stage.client.begin_rollout("legal", "legal@ffffffffffff")
    with pytest.raises(LookupError, match="not served"):
        stage.client.begin_rollout("cooking", "cooking@ffffffffffff")
    with pytest.raises(ValueError, match="unknown"):
        stage.client.begin_rollout("legal", stage.candidate, {"speed": 9})
    with pytest.raises(ValueError, match="champion of legal already"):
        stage.client.begin_rollout("legal", stage.champion)
    stranger = GatewayClient(stage.running.url, "not-the-key")
    with pytest.raises(PermissionError):
        stranger.rollout("legal")
    with pytest.raises(PermissionError):
        stranger.begin_rollout("legal", stage.candidate)
