"""The limits of the gate as platform.yaml states them for a domain."""

from ft_assets.evaluation.judge import Limits
from ft_assets.sections import EvaluationSettings


def limits_of(settings: EvaluationSettings) -> Limits:
    return Limits(
        margin=settings.margin_nats,
        seed_sd=settings.seed_sd_nats,
        slice_margin=settings.slice_margin_nats,
        min_rows=settings.min_rows,
        min_slice_rows=settings.min_slice_rows,
        max_general_ratio=settings.max_general_ratio,
        resamples=settings.resamples,
        seed=settings.seed,
        required=tuple(settings.required),
    )
