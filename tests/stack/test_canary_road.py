"""The loop that runs itself: drift to champion by people, and a poisoned candidate back again.

Real daemon, webserver, lakeFS, gateway and trainer; the only thing that is played is the people.
Minutes: `make test ARGS="-m slow tests/stack/test_canary_road.py"`.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ft_assets.deployment.traffic import Crowd, Traffic
from ft_assets.lineage import RETRAINED
from ft_assets.raw import schema
from ft_assets.raw.sample_feed import write_feed
from ft_resources import secrets
from ft_resources.gateway.client import GatewayClient
from tests.measure import rows
from tests.stack.test_stack import Running

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.filterwarnings("ignore")]

DOMAIN = "ecommerce"
WEEKS_BEFORE, WEEKS_AFTER = 9, 12  # its topics change in the tenth
SECONDS = 900
SECONDS_TO_WITHDRAW = 5
CANARY = {
    "decide_by": "evidence",
    "margin": 0.3,
    "min_reactions": 20,
    "shadow_answers": 5,
    "steps": [0.1, 0.5],
    "step_answers": 5,
    "reaction_minutes": 0.02,
    "holdback": 0.1,
    "holdback_days": 0.00005,
    # A base of 40 steps says nothing now and then, and a busy machine answers slowly.
    "guardrails": {"empty": 0.5, "slow": 0.5},
    "replay_rows": 3,
    "max_latency_ratio": 50,
    "max_empty_share": 1,
}
# What is asked here is the road, not the gate: a candidate of 20 steps may be a little worse.
EVALUATION = {
    **{"min_rows": 5, "max_rows": 40, "generate_rows": 2, "max_new_tokens": 4},
    **{"margin_nats": 0.1, "slice_margin_nats": 5.0, "max_general_ratio": 50.0},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = Running(
        tmp_path_factory.mktemp("road"),
        [DOMAIN],
        WEEKS_BEFORE,
        canary=CANARY,
        evaluation=EVALUATION,
        drift={"min_rows": 20},
    )
    yield made
    made.stack.stop()


def people(running, likes, seed, states):
    """Talk until the rollout is in one of the states; its name."""
    keys = running.stack.secrets

    def client():
        return GatewayClient(
            running.platform.services.gateway.url,
            keys[secrets.GATEWAY_ADMIN_KEY],
            keys[secrets.SIGNING_KEY].encode(),
        )

    def state():
        return running.gateway.rollout(DOMAIN)["state"]

    # Others than those of the newest weeks would be drift, and one more training.
    told = rows(running.landing, DOMAIN, "logs", schema.Interaction)
    newest = sorted({row["week"] for row in told})[-3:]
    asked = [row["prompt"] for row in told if row["week"] in newest]
    deadline = time.monotonic() + SECONDS
    while state() not in states:
        assert time.monotonic() < deadline, running.gateway.rollout(DOMAIN)
        crowd = Crowd(likes, otherwise=0.0, max_tokens=4, prompts=asked)
        Traffic(client, DOMAIN, crowd, seed).run(200, 2, lambda: state() in states)
        seed += 1
    return state()


def when_withdrawn(running) -> float:
    """The time at which the routing of a canary that has begun says that nobody gets it."""
    begun, deadline = False, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        share = running.gateway.routing()["domains"][DOMAIN]["share"]
        if begun and share == 0.0:
            return time.time()
        begun |= share > 0.0
        time.sleep(0.02)
    raise AssertionError(f"the canary still has traffic after {SECONDS} s")


def decided(running, candidate, decision):
    """Nobody asks for it: the sensor sees what the gateway decided."""

    def mirrored():
        facts = running.facts("deployed_model", DOMAIN)
        return facts if facts.get("candidate") == candidate else None

    facts = running.until(mirrored, f"deployed_model to tell of {candidate}", SECONDS)
    assert facts["decision"] == decision
    return facts


def test_a_drifted_week_becomes_a_champion_by_itself(running, tmp_path):
    base = running.api.launch(["base_model"])
    running.until(
        lambda: len(running.weeks("feedback_signals", DOMAIN)) >= WEEKS_BEFORE, "weeks", SECONDS
    )
    running.ended(base)
    first = running.api.backfill(RETRAINED, [DOMAIN], "the first adapter")
    running.until(lambda: running.api.backfill_state(first).ended, "the first adapter", SECONDS)
    before = running.facts("deployed_model", DOMAIN)["champion"]
    assert running.gateway.routing()["domains"][DOMAIN]["champion"] == before

    write_feed(tmp_path, domains=[DOMAIN], weeks=WEEKS_AFTER, events_per_week=40)
    running.land(DOMAIN, tmp_path)
    running.until(lambda: running.facts("drift_report", DOMAIN).get("drifted"), "drift", SECONDS)

    def in_shadow():
        try:
            return running.gateway.rollout(DOMAIN)
        except LookupError:
            return None

    rollout = running.until(in_shadow, "the retrained candidate on its way", SECONDS)
    candidate = rollout["candidate"]
    assert rollout["control"] == before != candidate
    assert running.facts("eval_report", DOMAIN)["gate"] == "passed"
    people(running, {candidate: 0.95, before: 0.6}, 0, {"champion"})
    states = [entry["state"] for entry in running.gateway.rollout(DOMAIN)["history"]]
    assert states == ["shadow", "canary", "canary", "holdback", "champion"]
    facts = decided(running, candidate, "promoted")
    assert facts["champion"] == candidate
    assert running.gateway.routing()["domains"][DOMAIN]["champion"] == candidate


def test_a_poisoned_candidate_takes_the_same_road_and_comes_back(running):
    """It passes the gate, whose rows say nothing of what makes people angry."""
    serving = running.gateway.routing()["domains"][DOMAIN]["champion"]
    last = running.gateway.rollout(DOMAIN)["rollout"]
    seeded = {"lora_adapter": {"config": {"seed": 77}}}
    road = ["lora_adapter", "eval_report", "canary_release", "deployed_model"]
    run = running.api.launch(road, partition=DOMAIN, config=seeded)
    assert running.ended(run).status == "SUCCESS"
    rollout = running.gateway.rollout(DOMAIN)
    assert rollout["rollout"] != last
    running.stack.stop("webserver", "daemon", "lakefs")  # the gateway asks none of them
    poisoned = rollout["candidate"]
    generation = running.gateway.routing()["generation"]
    with ThreadPoolExecutor(1) as pool:
        withdrawn = pool.submit(when_withdrawn, running)
        people(running, {poisoned: 0.05, serving: 0.9}, 50, {"rolled_back"})
        seconds = withdrawn.result() - running.gateway.rollout(DOMAIN)["history"][-1]["t"]
    print(f"\nno traffic {seconds:.2f} s after the deciding reaction")
    assert seconds <= SECONDS_TO_WITHDRAW
    route = running.gateway.routing()
    assert route["generation"] > generation
    assert route["domains"][DOMAIN]["champion"] == serving
    assert route["domains"][DOMAIN]["share"] == 0.0
    answers = {
        running.gateway.chat(DOMAIN, "Hello?", max_tokens=2, session_id=f"after-{i}").model
        for i in range(10)
    }
    assert answers == {serving}
