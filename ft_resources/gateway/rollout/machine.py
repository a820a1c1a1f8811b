"""One rollout as a fold over its events: the same events give the same state and decision.

    shadow -> (waiting) -> canary, step by step -> (waiting) -> holdback -> champion
    at any time: rolled_back, superseded; undecided for too long: held -> expired

Nothing here reads a clock or writes a file. An event is a dict with `t`, the rollout's own seconds,
and `kind`; see KINDS. What an event decides is acted on by who feeds it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ft_resources.gateway.rollout.evidence import Evidence, Guardrail, Watch
from ft_resources.gateway.rollout.ledger import Ledger, Unit
from ft_resources.gateway.rollout.plan import DAY, Plan, read_plan

SHADOW, WAITING, CANARY, HELD, HOLDBACK = "shadow", "waiting", "canary", "held", "holdback"
CHAMPION, ROLLED_BACK, EXPIRED, SUPERSEDED = "champion", "rolled_back", "expired", "superseded"
ENDED = "ended"  # of a comparison: it has told which adapter is better, or that it could not
TERMINAL = frozenset({CHAMPION, ROLLED_BACK, EXPIRED, SUPERSEDED, ENDED})
STATES = (SHADOW, WAITING, CANARY, HELD, HOLDBACK, *sorted(TERMINAL))
KINDS = frozenset(
    {"started", "mirrored", "begun", "answered", "reacted", "tick"}
    | {"approved", "stopped", "superseded"}
)
ROLLOUT, COMPARISON = "rollout", "comparison"
TRACE = 400  # points of the curve; beyond that every other one is left out
PI = 0.5  # of the two arms: the control has as many conversations as the canary


@dataclass
class Arm:
    """What one arm did, for people to look at."""

    answers: int = 0
    bad: dict[str, int] = field(default_factory=dict)  # by guardrail

    def count(self, bad: list[str]) -> None:
        self.answers += 1
        for name in bad:
            self.bad[name] = self.bad.get(name, 0) + 1


class Machine:
    def __init__(self, started: Mapping[str, Any]) -> None:
        """From the first event of a log. Raises ValueError for one that is not `started`."""
        if started.get("kind") != "started":
            raise ValueError("the first event of a rollout must be started")
        self.rollout: str = started["rollout"]
        self.domain: str = started["domain"]
        self.sort: str = started["sort"]
        self.candidate: str = started["candidate"]
        self.control: str = started["control"]  # the champion, or the other one of a comparison
        self.previous: str | None = started["previous"]
        self.plan: Plan = read_plan(started["plan"])
        self.now = self.began = float(started["t"])
        self.state, self.reason = SHADOW, "started"
        # A comparison has one share; there is nothing to be careful about.
        self.step = len(self.plan.steps) - 1 if self.sort == COMPARISON else 0
        self.step_began, self.step_answers = self.now, 0
        self.exposed: float | None = None  # when people first saw the canary
        self.held_since = 0.0
        self.approved_by: str | None = None
        self.mirrored = 0
        self.arms = {"canary": Arm(), "control": Arm()}
        self.history: list[dict[str, Any]] = []
        self.trace: list[tuple[float, ...]] = []  # reactions, log E rollback, log E promotion
        self._stride, self._skipped = 1, 0
        comparison = self.sort == COMPARISON
        self.evidence = Evidence(0.0 if comparison else self.plan.bounds.margin)
        self.guardrails = {name: Guardrail(limit) for name, limit in self.plan.guardrails.items()}
        self.logs = 0.0, 0.0, 0.0  # log evidence for a rollback, a promotion, a broken ratio
        self.watch = Watch()
        self.ledger = Ledger(self.plan.window_seconds, self.plan.votes_per_user)
        self._note()
        if comparison or not self.plan.shadow_answers:
            self._leave_shadow("no shadow was asked for")

    @property
    def over(self) -> bool:
        return self.state in TERMINAL

    @property
    def share(self) -> float:
        """Of the conversations that are drawn for the canary, and as many for its control."""
        if self.state in (CANARY, HELD) or (self.state == WAITING and self.exposed is not None):
            return self.plan.steps[self.step]
        return self.plan.holdback if self.state == HOLDBACK else 0.0

    def due(self, now: float) -> bool:
        """Whether time alone changes something; a tick must be told then."""
        if self.over:
            return False
        return self.ledger.due(now) or self._next(now) is not None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take up the next event. After a terminal state nothing changes any more."""
        if self.over:
            return
        self.now = max(self.now, float(event["t"]))
        kind = event["kind"]
        self.ledger.close(self.now)
        self._judge()
        if self.over:
            return
        if kind == "mirrored":
            self.mirrored += 1
            self._guard(event["bad"])
        elif kind == "begun":
            canary = event["arm"] == "canary"
            self.ledger.begin(self.now, event["unit"], event["user"], canary, PI)
        elif kind == "answered":
            self._answered(event)
        elif kind == "reacted":
            self.ledger.react(self.now, event["answer"], event["score"])
        elif kind == "approved":
            self._approve(event["by"])
        elif kind == "stopped":
            self._to(ROLLED_BACK, f"stopped by {event['by']}: {event['why']}")
        elif kind == "superseded":
            self._to(SUPERSEDED, f"by {event['by']}")
        elif kind != "tick":
            raise ValueError(f"unknown kind of event {kind!r}; known: {', '.join(sorted(KINDS))}")
        self._judge()

    def may_approve(self) -> bool:
        return self.state == WAITING and self.approved_by is None

    def _answered(self, event: Mapping[str, Any]) -> None:
        bad = event["bad"]
        self.arms[event["arm"]].count(bad)
        if event["answer"]:
            self.ledger.answered(self.now, event["unit"], event["answer"])
        if event["arm"] == "canary":
            self.step_answers += 1
            self._guard(bad)

    def _guard(self, bad: list[str]) -> None:
        limit = self.plan.bounds.log_guardrail(max(1, len(self.guardrails)))
        for name, guardrail in self.guardrails.items():
            [told] = guardrail.observe([float(name in bad)], [1.0])
            if told >= limit and self.sort == ROLLOUT and not self.over:
                many, answers = int(guardrail.bad), int(guardrail.answers)
                self._to(
                    ROLLED_BACK,
                    f"guardrail {name}: {many} of {answers}, limit {guardrail.limit:g}",
                )

    def _judge(self) -> None:
        for unit in self.ledger.take():
            if not self.over:
                self._unit(unit)
        if self.over:
            return
        while not self.over and (change := self._next(self.now)):
            self._to(*change)

    def _unit(self, unit: Unit) -> None:
        if self.state == HOLDBACK:
            self.watch.observe(unit.canary, unit.pi, unit.score, unit.reacted)
            if self.watch.log_wealth >= math.log(self.plan.false_alarm_reactions):
                self._to(ROLLED_BACK, "people take the new champion worse than the one before")
            return
        path = self.evidence.observe(*([float(value)] for value in unit))
        rollback, promote, ratio = (
            float(side[0]) for side in (path.rollback, path.promote, path.ratio)
        )
        self.logs = rollback, promote, ratio
        if unit.reacted:
            self._trace()
        bounds = self.plan.bounds
        if rollback >= bounds.log_rollback:
            if self.sort == COMPARISON:
                self._to(ENDED, f"{self.candidate} is worse than {self.control}")
            else:
                self._to(ROLLED_BACK, "people take the canary worse than the champion")
        elif self.sort == COMPARISON and promote >= bounds.log_promote:
            self._to(ENDED, f"{self.candidate} is better than {self.control}")
        elif ratio >= bounds.log_ratio and self.state != HELD:
            control, canary = self.evidence.units.tolist()
            self._to(
                HELD,
                f"the arms have {canary:.0f} and {control:.0f} conversations, which chance does "
                "not explain; answers are lost or the draw is not random",
            )

    def _next(self, now: float) -> tuple[str, str] | None:
        """What follows from counts and time alone: (state, reason), or None."""
        plan = self.plan
        if self.state == SHADOW and self.mirrored >= plan.shadow_answers:
            return self._after_shadow(f"{self.mirrored} mirrored answers kept every guardrail")
        if self.state == HELD and now - self.held_since >= plan.hold_seconds:
            return (ENDED if self.sort == COMPARISON else EXPIRED), f"inconclusive: {self.reason}"
        if self.state == HOLDBACK and now - self.step_began >= plan.holdback_seconds:
            return CHAMPION, "nothing was found against it while the old champion was held back"
        since = self.began if self.exposed is None else self.exposed
        if self.state in (SHADOW, WAITING, CANARY) and now - since >= plan.horizon_seconds:
            return HELD, f"not decided after {plan.horizon_seconds / DAY:g} days"
        if self.sort == COMPARISON:
            return None
        if self.state == CANARY and self.step < len(plan.steps) - 1:
            rested = now - self.step_began >= plan.step_seconds
            if rested and self.step_answers >= plan.step_answers:
                share = plan.steps[self.step + 1]
                return CANARY, f"{self.step_answers} answers at {self.share:.0%}; now {share:.0%}"
        elif self.state == CANARY and self._convinced():
            if plan.approval == "promotion":
                return WAITING, "the evidence suffices; a person must approve the promotion"
            return self._promoted()
        if self.state == WAITING and self.exposed is not None and self.approved_by is not None:
            return self._promoted()
        return None

    def _convinced(self) -> bool:
        bounds = self.plan.bounds
        enough = self.evidence.reactions[1] >= bounds.min_reactions
        return bool(enough and self.logs[1] >= bounds.log_promote)

    def _promoted(self) -> tuple[str, str]:
        reason = "people take the canary no worse than the champion"
        if self.approved_by:
            reason += f"; approved by {self.approved_by}"
        if self.plan.holdback and self.plan.holdback_seconds:
            return HOLDBACK, reason
        return CHAMPION, reason

    def _approve(self, by: str) -> None:
        if not self.may_approve():
            return
        self.approved_by = by
        if self.exposed is None:
            # The promotion is another question, if it is asked at all.
            self._to(CANARY, f"approved by {by}")
            self.approved_by = None

    def _leave_shadow(self, reason: str) -> None:
        self._to(*self._after_shadow(reason))

    def _after_shadow(self, reason: str) -> tuple[str, str]:
        if self.plan.approval == "canary" and self.sort == ROLLOUT:
            return WAITING, f"{reason}; a person must approve the canary"
        return CANARY, reason

    def _to(self, state: str, reason: str) -> None:
        if state == self.state == CANARY:
            self.step += 1
        self.state, self.reason = state, reason
        self.step_began, self.step_answers = self.now, 0
        if state == CANARY and self.exposed is None:
            self.exposed = self.now
        if state == HELD:
            self.held_since = self.now
        self._note()

    def _note(self) -> None:
        self.history.append(
            {
                "t": self.now,
                "state": self.state,
                "share": self.share,
                "reason": self.reason,
            }
        )

    def _trace(self) -> None:
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self.trace.append((float(self.evidence.reactions.sum()), *self.logs[:2]))
        if len(self.trace) > TRACE:
            self.trace, self._stride = self.trace[1::2], 2 * self._stride

    def to_dict(self) -> dict[str, Any]:
        """All that the events have led to, as JSON."""
        evidence, bounds = self.evidence, self.plan.bounds
        control, canary = (
            {
                "adapter": name,
                "conversations": int(evidence.units[place]),
                "reactions": int(evidence.reactions[place]),
                "mean_reaction": (
                    float(evidence.total[place] / evidence.reactions[place])
                    if evidence.reactions[place]
                    else None
                ),
                "answers": arm.answers,
                "bad": dict(sorted(arm.bad.items())),
            }
            for place, name, arm in (
                (0, self.control, self.arms["control"]),
                (1, self.candidate, self.arms["canary"]),
            )
        )
        return {
            "rollout": self.rollout,
            "domain": self.domain,
            "sort": self.sort,
            "state": self.state,
            "reason": self.reason,
            "over": self.over,
            "candidate": self.candidate,
            "control": self.control,
            "step": self.step,
            "share": self.share,
            "began": self.began,
            "now": self.now,
            "mirrored": self.mirrored,
            "approved_by": self.approved_by,
            "arms": {"canary": canary, "control": control},
            "log_evidence": {
                **dict(zip(("rollback", "promote", "ratio"), self.logs, strict=True)),
                "holdback": self.watch.log_wealth,
            },
            "log_limits": {
                "rollback": bounds.log_rollback,
                "promote": bounds.log_promote,
                "ratio": bounds.log_ratio,
                "holdback": math.log(self.plan.false_alarm_reactions),
                "guardrail": bounds.log_guardrail(max(1, len(self.guardrails))),
            },
            "guardrails": {
                name: {
                    "limit": g.limit,
                    "answers": int(g.answers),
                    "bad": int(g.bad),
                    "log_evidence": float(g.log_evidence),
                }
                for name, g in self.guardrails.items()
            },
            "late_reactions": self.ledger.late,
            "capped_conversations": self.ledger.capped,
            "trace": [list(point) for point in self.trace],
            "history": self.history,
            "plan": self.plan.to_dict(),
        }


def replay(events: list[dict[str, Any]]) -> Machine:
    """Raises ValueError for no events, or a first one that is not `started`."""
    if not events:
        raise ValueError("a rollout without events")
    machine = Machine(events[0])
    for event in events[1:]:
        machine.apply(event)
    return machine
