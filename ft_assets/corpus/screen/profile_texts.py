"""The static text that a domain's profile is fitted on: its documents and examples."""

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]


def profile_texts(documents: Iterable[Row], examples: Iterable[Row]) -> list[str]:
    """Anonymized rows to texts. Internal or restricted documents count too: only word statistics
    of them are kept."""
    return [f"{row['title']}\n{row['text']}" for row in documents] + [
        f"{row['prompt']}\n{row['response']}" for row in examples
    ]
