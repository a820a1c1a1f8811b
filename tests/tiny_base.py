"""The base model that tests share: made once, kept below .ft/tests."""

from pathlib import Path

from ft_assets.adapters.base_model import BaseSpec, ensure_base

CACHE = Path(__file__).parent.parent / ".ft" / "tests" / "base_models"


def tiny_base() -> tuple[Path, str]:
    """(folder, digest), as tests/conftest.py has it in its platform file."""
    spec = BaseSpec("embedded", steps=40, threads=1)
    return ensure_base(CACHE, spec, lambda facts: None)
