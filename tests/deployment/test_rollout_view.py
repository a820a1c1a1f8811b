from xml.etree import ElementTree

import pytest

from ft_assets.deployment.rollout_plan import plan_of
from ft_assets.deployment.rollout_view import (
    arms_table,
    decision_of,
    evidence_chart,
    evidence_table,
    history_table,
    one_line,
    outcome_of,
)
from ft_assets.sections import CanarySettings
from ft_resources.gateway.rollout.machine import STATES, Machine
from ft_resources.gateway.rollout.plan import Plan


def rollout(reactions: int = 0):
    started = {
        "t": 0,
        "kind": "started",
        "rollout": "legal-1",
        "domain": "legal",
        "sort": "rollout",
        "candidate": "legal@b",
        "control": "legal@a",
        "previous": None,
        "plan": {"shadow_answers": 0, "steps": [0.5], "window_seconds": 1},
    }
    machine = Machine(started)
    for i in range(reactions):
        arm, unit = ("canary", "control")[i % 2], str(i)
        machine.apply({"t": i, "kind": "begun", "unit": unit, "user": "", "arm": arm})
        told = {"unit": unit, "answer": unit, "arm": arm, "bad": ["slow"] if i == 0 else []}
        machine.apply({"t": i, "kind": "answered", **told})
        machine.apply({"t": i, "kind": "reacted", "answer": unit, "score": 1.0})
    machine.apply({"t": reactions + 9, "kind": "tick"})
    return machine.to_dict()


def test_tables_hold_what_the_rollout_holds():
    told = rollout(40)
    header, rows = arms_table(told)
    canary = dict(zip(header, rows[0], strict=True))
    assert canary["adapter"] == "legal@b"
    assert (canary["conversations"], canary["with a reaction"], canary["slow"]) == (20, 20, 1)
    names = [row[0] for row in evidence_table(told)[1]]
    assert names[:2] == ["rollback", "promote"]
    assert "guardrail errors" in names
    assert [row[1] for row in history_table(told)[1]] == ["shadow", "canary"]
    assert "20 reactions" in one_line(told)


def test_the_curve_is_a_picture_with_both_limits():
    picture = ElementTree.fromstring(evidence_chart(rollout(40)))
    tags = [element.tag.rpartition("}")[2] for element in picture]
    assert tags.count("polyline") == 2
    dashed = [e for e in picture if e.get("stroke-dasharray")]
    assert len(dashed) == 2
    assert evidence_chart(rollout(0)) == ""


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_a_decision_or_open(state):
    told = {**rollout(), "state": state}
    decision = decision_of(told)
    assert (decision == "promoted") is (state in {"holdback", "champion"})
    is_open = state in {"shadow", "waiting", "canary", "held", "ended"}
    assert (outcome_of(told) is None) is is_open


def test_the_default_settings_are_the_default_plan():
    assert plan_of(CanarySettings()) == Plan()
