import sys

import pytest

from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_assets.adapters.general_text import SEPARATOR
from tests.adapters.small import WORDS


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    text = SEPARATOR.join(
        f"Page {i}. " + " ".join(WORDS[(i * j) % len(WORDS)] for j in range(40)) for i in range(200)
    )
    version = ".".join(map(str, sys.version_info[:3]))
    file = cache / f"general-python-{version}.txt"
    file.write_text(text, "utf-8")
    folder, digest = ensure_base(cache, BaseSpec("embedded", steps=2), lambda facts: None)
    return {"base": str(folder), "base_digest": digest, "replay_text": [str(file)]}
