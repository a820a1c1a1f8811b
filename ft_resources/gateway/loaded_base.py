"""A base model in memory: its weights, its tokenizer, and the adapters it carries.

Only the engine's thread may use one: which adapters answer is kept where all rows share it.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ft_resources.gateway.low_rank import AdapterBank
from ft_resources.gateway.tokens import ChatTokenizer, open_tokenizer

LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass
class LoadedBase:
    digest: str
    folder: Path
    model: Any
    tokenizer: ChatTokenizer
    ends: frozenset[int]
    device: str
    last_logit_only: bool
    cache_name: str  # transformers 5.24 renamed past_key_values
    bank: AdapterBank

    def forward(self, adapters: Sequence[str | None], **inputs: Any) -> Any:
        """One forward pass; row i is answered by adapters[i], None is the base."""
        self.bank.choose(adapters)
        return self.model(**{name: _on(self.device, value) for name, value in inputs.items()})


def open_base(folder: Path, digest: str) -> LoadedBase:
    """Raises ValueError for a model that does not tell its context."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = open_tokenizer(folder)
    model = read_model(folder, device)
    return LoadedBase(
        digest,
        folder,
        model,
        tokenizer,
        _ends(model, tokenizer.end),
        device,
        _takes(model, "logits_to_keep"),
        "cache" if _takes(model, "cache") else "past_key_values",
        AdapterBank(model, device),
    )


def read_model(folder: Path, device: str) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # it is no JSON line
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", use_safetensors=True, **LOCAL
    )
    return model.to(device).eval().requires_grad_(False)


def _on(device: str, value: Any) -> Any:
    import torch

    return value.to(device) if isinstance(value, torch.Tensor) else value


def _ends(model: Any, end: int | None) -> frozenset[int]:
    ends = getattr(model.generation_config, "eos_token_id", None)
    known = ends if isinstance(ends, list) else [ends]
    return frozenset(t for t in [*known, end] if t is not None)


def _takes(model: Any, argument: str) -> bool:
    return argument in inspect.signature(model.forward).parameters
