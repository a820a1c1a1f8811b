"""Which weeks a champion is compared on."""

from collections.abc import Iterable


def newest_untrained(weeks: Iterable[str], trained: Iterable[str], most: int) -> list[str]:
    """The newest weeks, at most `most`, that lie after all the weeks the model was trained on.

    A late event in an old week is no news about what people ask now.
    """
    last = max(trained, default="")
    return sorted(week for week in weeks if week > last)[-most:]
