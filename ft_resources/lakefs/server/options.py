"""What whoever starts the server allows it beyond the lakeFS calls that need nothing."""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ft_resources.lakefs.server.hooks import Function


@dataclass(frozen=True)
class Options:
    functions: Mapping[str, Function] = field(default_factory=dict)  # of hooks of type `python`
    hook_hosts: frozenset[str] = frozenset()  # "name" or "name:port", besides this machine
    import_root: Path | None = None  # the folder that imports may read from; None for no imports


def load_functions(words: Iterable[str]) -> dict[str, Function]:
    """From `name=module:function`. Raises ValueError, which quotes the word that is wrong."""
    found: dict[str, Function] = {}
    for word in words:
        name, _, place = word.partition("=")
        module, _, attribute = place.partition(":")
        if not (name and module and attribute):
            raise ValueError(f"hook {word!r} must be name=module:function")
        try:
            function = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"hook {word!r} cannot be loaded: {error}") from None
        if not callable(function):
            raise ValueError(f"hook {word!r} names something that cannot be called")
        found[name] = function
    return found
