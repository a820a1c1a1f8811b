"""The limits of screening. Scores are 0 (nothing found) to 1 or more; a row at a limit is refused.

docs/decisions/0011-screening.md has the measurement behind each default.
"""

from dataclasses import dataclass

from ft_assets.corpus.screen.reasons import ScreenReason

MAX_CHARS = 20_000
INJECTION_LIMIT = 1.0
TOXICITY_LIMIT = 0.9
FOREIGN_LIMIT = 0.7
GIBBERISH_LIMIT = 0.6
WRONG_DOMAIN_LIMIT = 1.0


@dataclass(frozen=True)
class ScreenPolicy:
    languages: tuple[str, ...] = ("en",)  # ISO 639-1; empty: all
    min_chars: int = 1  # of prompt and answer each
    max_chars: int = MAX_CHARS  # of the two together
    injection_limit: float = INJECTION_LIMIT
    toxicity_limit: float = TOXICITY_LIMIT
    foreign_limit: float = FOREIGN_LIMIT  # probability that a text is in no allowed language
    gibberish_limit: float = GIBBERISH_LIMIT
    wrong_domain_limit: float = WRONG_DOMAIN_LIMIT  # in units of the profile's own margin
    keep: frozenset[ScreenReason] = frozenset()  # reasons that are scored but refuse nothing

    def __post_init__(self) -> None:
        if not 0 <= self.min_chars <= self.max_chars:
            raise ValueError(
                f"min_chars must be 0 to max_chars, got {self.min_chars} and {self.max_chars}"
            )
