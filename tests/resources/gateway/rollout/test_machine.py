import json
import random

import pytest

from ft_resources.gateway.rollout.machine import Machine, replay
from ft_resources.gateway.rollout.plan import Plan, read_plan

DAY = 86_400.0
QUICK = {
    "steps": [0.1, 0.5],
    "step_answers": 10,
    "shadow_answers": 3,
    "window_seconds": 5,
    "horizon_seconds": 10 * DAY,
    "hold_seconds": DAY,
    "holdback": 0.1,
    "holdback_seconds": DAY,
}


class Road:
    """A rollout that is told events, and the log of them."""

    def __init__(self, sort="rollout", **plan):
        self.events, self.t, self.n = [], 0.0, 0
        started = {
            "t": 0.0,
            "kind": "started",
            "rollout": "r1",
            "domain": "legal",
            "sort": sort,
            "candidate": "legal@new",
            "control": "legal@old",
            "previous": None,
            "plan": {**QUICK, **plan},
        }
        self.events.append(started)
        self.machine = Machine(started)

    @property
    def state(self):
        return self.machine.state

    def tell(self, kind, **fields):
        event = {"t": self.t, "kind": kind, **fields}
        self.events.append(event)
        self.machine.apply(event)

    def wait(self, seconds):
        self.t += seconds
        assert self.machine.due(self.t) in (True, False)
        self.tell("tick")

    def shadow(self, count=3, bad=()):
        for _ in range(count):
            self.tell("mirrored", bad=list(bad))

    def talk(self, arm, score=None, bad=(), user=""):
        self.n, self.t = self.n + 1, self.t + 1
        unit, answer = f"u{self.n}", f"a{self.n}"
        self.tell("begun", unit=unit, user=user, arm=arm)
        self.tell("answered", unit=unit, answer=answer, arm=arm, bad=list(bad))
        if score is not None:
            self.tell("reacted", answer=answer, score=score)

    def people(self, count, canary_rate, control_rate, seed=0, until=()):
        rng = random.Random(seed)
        for _ in range(count):
            arm, rate = rng.choice([("canary", canary_rate), ("control", control_rate)])
            self.talk(arm, float(rng.random() < rate))
            if self.state in until or self.machine.over:
                return


def test_a_good_candidate_goes_all_the_way():
    road = Road()
    assert (road.state, road.machine.share) == ("shadow", 0.0)
    road.shadow()
    assert (road.state, road.machine.share) == ("canary", 0.1)
    road.people(2000, 0.95, 0.7, until=("holdback",))
    assert (road.state, road.machine.share) == ("holdback", 0.1)
    road.people(200, 0.95, 0.7, seed=1)
    road.wait(DAY)
    assert (road.state, road.machine.share) == ("champion", 0.0)
    shares = [entry["share"] for entry in road.machine.history]
    assert shares == [0.0, 0.1, 0.5, 0.1, 0.0]


def test_a_disliked_candidate_is_rolled_back_and_stays_so():
    road = Road()
    road.shadow()
    road.people(2000, 0.3, 0.9)
    assert (road.state, road.machine.share) == ("rolled_back", 0.0)
    road.people(2000, 1.0, 0.0)
    assert road.state == "rolled_back"


@pytest.mark.parametrize("where", ["shadow", "canary"])
def test_a_guardrail_rolls_back_within_answers(where):
    road = Road(shadow_answers=50 if where == "shadow" else 0)
    if where == "shadow":
        road.shadow(5, bad=["errors"])
    else:
        for _ in range(5):
            road.talk("canary", bad=["empty"])
    assert road.state == "rolled_back"
    assert "guardrail" in road.machine.reason
    assert "5 of" not in road.machine.reason  # it did not need all of them


def test_bad_answers_of_the_control_are_not_held_against_the_canary():
    road = Road(shadow_answers=0)
    for _ in range(60):
        road.talk("control", bad=["errors"])
        road.talk("canary")
    assert road.state == "canary"


def test_inconclusive_is_held_then_expires_and_is_never_promoted():
    road = Road()
    road.shadow()
    road.people(40, 0.8, 0.8)
    road.wait(10 * DAY)
    assert (road.state, road.machine.share) == ("held", 0.5)
    road.people(300, 0.95, 0.4, seed=2)  # all of it within the day of the hold
    assert road.state == "held"
    road.tell("approved", by="somebody")
    assert road.state == "held"
    road.wait(DAY)
    assert (road.state, road.machine.share) == ("expired", 0.0)


def test_a_held_canary_can_still_be_rolled_back():
    road = Road()
    road.shadow()
    road.people(20, 0.8, 0.8)
    road.wait(10 * DAY)
    road.people(300, 0.1, 0.9)
    assert road.state == "rolled_back"


def test_few_reactions_never_suffice_for_a_promotion():
    road = Road(shadow_answers=0, bounds={"min_reactions": 150, "margin": 0.3})
    road.people(220, 0.9, 0.9)
    assert road.machine.evidence.log_promote > road.machine.plan.bounds.log_promote
    assert road.state == "canary"
    road.people(200, 0.9, 0.9, until=("holdback",))
    assert road.state == "holdback"
    assert road.machine.evidence.reactions[1] == 150


def test_a_step_wants_answers_and_time():
    road = Road(shadow_answers=0, step_seconds=100)
    for _ in range(20):
        road.talk("canary")
    assert road.machine.share == 0.1
    road.wait(80)
    assert road.machine.share == 0.5


def test_arms_that_chance_does_not_explain_are_held():
    road = Road(shadow_answers=0)
    for i in range(400):
        road.talk("control" if i % 4 else "canary")
    road.wait(10)
    assert road.state == "held"
    assert "chance" in road.machine.reason


@pytest.mark.parametrize("approval", ["canary", "promotion"])
def test_what_needs_a_person_waits_for_one(approval):
    road = Road(approval=approval, bounds={"margin": 0.3})
    road.shadow()
    if approval == "promotion":
        road.people(2000, 0.9, 0.8, until=("waiting",))
        assert road.machine.share == 0.5
    assert road.state == "waiting"
    road.tell("approved", by="Ada")
    assert road.state == ("canary" if approval == "canary" else "holdback")
    if approval == "canary":
        road.people(2000, 0.9, 0.8, until=("holdback",))
        assert road.state == "holdback"  # the promotion asks nobody


def test_one_users_votes_do_not_roll_back():
    road = Road(shadow_answers=0)
    for i in range(60):
        road.talk("canary", 0.0, user="angry")
        road.talk("canary", float(i % 5 > 0))
        road.talk("control", float(i % 5 > 0))
    assert road.state == "canary"
    assert road.machine.ledger.capped > 50


def test_the_old_champion_comes_back_when_the_new_one_disappoints():
    road = Road(shadow_answers=0, holdback_seconds=100 * DAY)
    road.people(2000, 0.95, 0.7, until=("holdback",))
    road.people(4000, 0.3, 0.9, seed=3)
    assert road.state == "rolled_back"
    assert "new champion" in road.machine.reason


def test_a_comparison_tells_which_is_better_and_routes_nothing_new():
    for first, second, word in ((0.9, 0.5, "better"), (0.5, 0.9, "worse")):
        road = Road(sort="comparison")
        assert (road.state, road.machine.share) == ("canary", 0.5)
        road.people(2000, first, second)
        assert road.state == "ended"
        assert road.machine.reason == f"legal@new is {word} than legal@old"


@pytest.mark.parametrize("rates", [(0.95, 0.7), (0.3, 0.9), (0.8, 0.8)])
def test_the_log_replayed_is_the_same_rollout(rates):
    road = Road()
    road.shadow()
    road.people(250, *rates)
    road.wait(3600)
    events = json.loads(json.dumps(road.events))
    again = replay(events)
    assert json.dumps(again.to_dict()) == json.dumps(road.machine.to_dict())
    half = replay(events[: len(events) // 2])
    for event in events[len(events) // 2 :]:
        half.apply(event)
    assert json.dumps(half.to_dict()) == json.dumps(road.machine.to_dict())


def test_every_event_told_three_times_is_the_same_as_once():
    """Answers are counted by their own log line; people's reactions must not count again."""
    road = Road(shadow_answers=0)
    road.people(120, 0.8, 0.8)
    again = Road(shadow_answers=0)
    for event in road.events[1:]:
        for _ in range(3 if event["kind"] in ("begun", "reacted") else 1):
            again.machine.apply(event)
    assert again.machine.evidence.to_dict() == road.machine.evidence.to_dict()


def test_time_that_goes_back_changes_nothing():
    road = Road()
    road.shadow()
    road.people(20, 0.8, 0.8)
    now = road.machine.now
    road.tell("tick")
    road.machine.apply({"t": now - 5 * DAY, "kind": "tick"})
    assert road.machine.now == now
    assert road.state == "canary"


def test_asking_whether_something_is_due_changes_nothing():
    road = Road(shadow_answers=0, step_seconds=10)
    for _ in range(12):
        road.talk("canary")
    before = json.dumps(road.machine.to_dict())
    assert road.machine.due(road.t + 100 * DAY)
    assert json.dumps(road.machine.to_dict()) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": []},
        {"steps": [0.6]},
        {"steps": [0.5, 0.1]},
        {"steps": "all"},
        {"guardrails": {"mood": 0.1}},
        {"guardrails": {"errors": 0}},
        {"approval": "perhaps"},
        {"holdback": 0.7},
        {"window_seconds": "soon"},
        {"bounds": {"margin": 2}},
        {"bounds": {"alpha": 0.1}},
        {"speed": 3},
    ],
)
def test_a_plan_that_does_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        read_plan(wrong)


def test_a_plan_survives_json():
    plan = Plan()
    assert read_plan(json.loads(json.dumps(plan.to_dict()))) == plan
