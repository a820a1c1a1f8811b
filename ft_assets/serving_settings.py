"""Section `serving` of platform.yaml: what writes the gateway's answers."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ft_assets.sections import Section
from ft_resources.gateway.backend import Backend


class EmbeddedBackend(Section):
    """The model in the gateway's own process: transformers, on a GPU if there is one."""

    kind: Literal["embedded"] = "embedded"
    max_waiting: Annotated[int, Field(ge=1)] = 64  # requests; beyond that 429


class VllmBackend(Section):
    """A vLLM server that the gateway alone reaches (docs/deployment.md)."""

    kind: Literal["vllm"]
    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")]
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = "VLLM_API_KEY"
    max_loras: Annotated[int, Field(ge=1)] = 8  # adapters loaded; its --max-cpu-loras
    max_lora_rank: Annotated[int, Field(ge=1, le=512)] = 16  # its --max-lora-rank
    adapter_root: str | None = None  # {state}/gateway/adapters as vLLM sees it; null: the same
    max_running: Annotated[int, Field(ge=1)] = 256  # requests; beyond that 429


class ServingSettings(Section):
    backend: Annotated[EmbeddedBackend | VllmBackend, Field(discriminator="kind")] = (
        EmbeddedBackend()
    )


def backend_of(serving: ServingSettings, environment: Mapping[str, str]) -> Backend:
    """Raises ValueError when the key of vLLM is not in the environment."""
    from ft_resources.gateway.engine import Engine
    from ft_resources.gateway.vllm import Vllm

    backend = serving.backend
    if isinstance(backend, EmbeddedBackend):
        return Engine(backend.max_waiting)
    key = environment.get(backend.api_key_env) if backend.api_key_env else None
    if backend.api_key_env and not key:
        raise ValueError(
            f"serving.backend.api_key_env: {backend.api_key_env} is not set; set it to the "
            "--api-key of vLLM, or to null for a vLLM without one"
        )
    return Vllm(
        backend.url,
        key,
        backend.max_loras,
        backend.max_lora_rank,
        backend.adapter_root,
        backend.max_running,
    )
