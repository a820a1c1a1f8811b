"""The policies of screening as platform.yaml states them for a domain."""

from ft_assets.corpus.screen.influence import InfluencePolicy
from ft_assets.corpus.screen.policy import ScreenPolicy
from ft_assets.corpus.screen.reasons import ScreenReason
from ft_assets.sections import Screening


def screen_policy(settings: Screening) -> ScreenPolicy:
    return ScreenPolicy(
        languages=tuple(settings.languages),
        min_chars=settings.min_chars,
        max_chars=settings.max_chars,
        injection_limit=settings.injection_limit,
        toxicity_limit=settings.toxicity_limit,
        foreign_limit=settings.foreign_limit,
        gibberish_limit=settings.gibberish_limit,
        wrong_domain_limit=settings.wrong_domain_limit,
        keep=frozenset(ScreenReason(reason) for reason in settings.keep),
    )


def influence_policy(settings: Screening) -> InfluencePolicy:
    return InfluencePolicy(
        min_votes=settings.min_votes,
        max_votes=settings.max_votes,
        min_pushes=settings.min_pushes,
        max_user_share=settings.max_user_share,
    )
