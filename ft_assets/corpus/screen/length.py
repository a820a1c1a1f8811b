"""How long the texts of a row are, in characters; tokens are the tokenizer's matter (tokens.py)."""

from collections.abc import Sequence

from ft_assets.corpus.screen.policy import ScreenPolicy
from ft_assets.corpus.screen.reasons import ScreenReason


def length_reason(texts: Sequence[str], policy: ScreenPolicy) -> ScreenReason | None:
    """`min_chars` holds for each text, `max_chars` for all together."""
    sizes = [len(text.strip()) for text in texts]
    if min(sizes, default=0) < policy.min_chars:
        return ScreenReason.TOO_SHORT
    return ScreenReason.TOO_LONG if sum(sizes) > policy.max_chars else None
