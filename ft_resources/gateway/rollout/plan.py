"""What a rollout is allowed to do: shares, limits and times, fixed when it starts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ft_resources.gateway.rollout.evidence import Bounds

APPROVALS = ("none", "canary", "promotion")
GUARDRAILS = {"errors": 0.01, "empty": 0.05, "slow": 0.05, "personal_data": 0.001}
DAY = 86_400.0


@dataclass(frozen=True)
class Plan:
    bounds: Bounds = field(default_factory=Bounds)
    guardrails: Mapping[str, float] = field(default_factory=lambda: dict(GUARDRAILS))
    slow_seconds: float = 30.0  # an answer that took longer is slow
    shadow_answers: int = 20  # mirrored answers before anybody sees the canary; 0: no shadow
    shadow_share: float = 0.2  # of the requests, while the engine has room
    steps: tuple[float, ...] = (0.01, 0.05, 0.1, 0.25, 0.5)
    step_answers: int = 50  # canary answers before the next step
    step_seconds: float = 0.0  # and at least this long
    window_seconds: float = 600.0  # for reactions, from the beginning of a conversation
    votes_per_user: int = 3  # conversations in which one user counts
    horizon_seconds: float = 14 * DAY  # then the canary is held
    hold_seconds: float = 2 * DAY  # for a person; then it goes
    approval: str = "none"  # canary: before anybody sees it; promotion: before it is promoted
    holdback: float = 0.05  # of the conversations that the old champion keeps; 0: none
    holdback_seconds: float = 7 * DAY
    false_alarm_reactions: int = 10_000  # mean number until the holdback alarms without a cause

    def __post_init__(self) -> None:
        if not self.steps or any(not 0 < share <= 0.5 for share in self.steps):
            raise ValueError(
                "steps must be shares over 0, at most 0.5: the control has as many conversations"
            )
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"steps must grow, got {list(self.steps)}")
        if not 0 <= self.holdback <= 0.5:
            raise ValueError(f"holdback must be from 0 to 0.5, got {self.holdback}")
        if not 0 <= self.shadow_share <= 1:
            raise ValueError(f"shadow_share must be from 0 to 1, got {self.shadow_share}")
        if self.approval not in APPROVALS:
            raise ValueError(
                f"approval must be one of {', '.join(APPROVALS)}, got {self.approval!r}"
            )
        if unknown := sorted(self.guardrails.keys() - GUARDRAILS.keys()):
            raise ValueError(f"unknown guardrails {unknown}; there are: {', '.join(GUARDRAILS)}")
        for name, limit in self.guardrails.items():
            if not 0 < limit < 1:
                raise ValueError(f"guardrail {name} must be between 0 and 1, got {limit}")
        for name in ("slow_seconds", "window_seconds", "horizon_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be over 0, got {getattr(self, name)}")
        for name in ("shadow_answers", "step_answers", "hold_seconds", "holdback_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.votes_per_user < 1 or self.false_alarm_reactions < 2:
            raise ValueError("votes_per_user must be 1, false_alarm_reactions 2 or more")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"steps": list(self.steps)}


def read_plan(value: object) -> Plan:
    """Raises ValueError naming what is unknown or does not fit."""
    given = _object(value, "plan", {f.name for f in fields(Plan)})
    bounds = _object(given.pop("bounds", {}), "plan.bounds", {f.name for f in fields(Bounds)})
    if "steps" in given:
        if not isinstance(given["steps"], list | tuple):
            raise ValueError("plan.steps must be a list of shares")
        given["steps"] = tuple(_number(step, "plan.steps") for step in given["steps"])
    if "guardrails" in given:
        limits = _object(given["guardrails"], "plan.guardrails", set(GUARDRAILS))
        given["guardrails"] = {k: _number(v, f"plan.guardrails.{k}") for k, v in limits.items()}
    for section, values in (("plan", given), ("plan.bounds", bounds)):
        for name, number in values.items():
            if name not in {"steps", "guardrails", "approval"}:
                values[name] = _number(number, f"{section}.{name}")
    for values, names in (
        (given, ("shadow_answers", "step_answers", "votes_per_user", "false_alarm_reactions")),
        (bounds, ("min_reactions",)),
    ):
        for name in names:
            if name in values:
                values[name] = int(values[name])
    return Plan(bounds=Bounds(**bounds), **given)


def _object(value: object, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object")
    if unknown := sorted(str(key) for key in value.keys() - known):
        raise ValueError(f"{where}: unknown {unknown}; known: {', '.join(sorted(known))}")
    return {str(key): item for key, item in value.items()}


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where} must be a number")
    return value
