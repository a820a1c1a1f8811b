"""What `serving` of platform.yaml becomes."""

import pytest
from pydantic import TypeAdapter

from ft_assets.serving_settings import ServingSettings, backend_of
from ft_resources.gateway.engine import Engine
from ft_resources.gateway.vllm import Vllm


def serving(**backend):
    return TypeAdapter(ServingSettings).validate_python({"backend": backend})


def test_the_engine_is_embedded_unless_a_vllm_is_named():
    assert isinstance(backend_of(ServingSettings(), {}), Engine)
    vllm = serving(kind="vllm", url="http://127.0.0.1:8400", max_loras=3)
    backend = backend_of(vllm, {"VLLM_API_KEY": "k"})
    assert isinstance(backend, Vllm)
    assert backend.max_adapters == 3


def test_a_key_that_is_not_there_is_named():
    vllm = serving(kind="vllm", url="http://127.0.0.1:8400", api_key_env="OTHER_KEY")
    with pytest.raises(ValueError, match=r"serving\.backend\.api_key_env: OTHER_KEY is not set"):
        backend_of(vllm, {"VLLM_API_KEY": "k"})
    open_one = serving(kind="vllm", url="http://127.0.0.1:8400", api_key_env=None)
    assert isinstance(backend_of(open_one, {}), Vllm)
