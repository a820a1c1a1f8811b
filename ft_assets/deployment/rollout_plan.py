"""From the settings of a domain's canary to the plan that the gateway follows."""

from ft_assets.sections import CanarySettings
from ft_resources.gateway.rollout.evidence import Bounds
from ft_resources.gateway.rollout.plan import Plan


def plan_of(settings: CanarySettings) -> Plan:
    """Raises ValueError for what does not fit together."""
    return Plan(
        bounds=Bounds(
            false_promotion=settings.false_promotion,
            false_rollback=settings.false_rollback,
            margin=settings.margin,
            min_reactions=settings.min_reactions,
        ),
        guardrails=settings.guardrails.model_dump(),
        slow_seconds=settings.slow_seconds,
        shadow_answers=settings.shadow_answers,
        steps=tuple(settings.steps),
        step_answers=settings.step_answers,
        step_seconds=60 * settings.step_minutes,
        window_seconds=60 * settings.reaction_minutes,
        votes_per_user=settings.votes_per_user,
        horizon_seconds=86_400 * settings.horizon_days,
        hold_seconds=86_400 * settings.hold_days,
        approval=settings.approval,
        holdback=settings.holdback,
        holdback_seconds=86_400 * settings.holdback_days,
    )
