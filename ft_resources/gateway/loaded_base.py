"""A base model in memory: its weights, its tokenizer, and the adapters it carries.

Only the engine's thread may use one: which adapter answers is kept in modules that all rows share.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ft_resources.gateway.dora import Gains, hook_gains
from ft_resources.gateway.tokens import ChatTokenizer

BASE_ROW = "__base__"  # PEFT's name for "no adapter"
LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass
class LoadedBase:
    digest: str
    folder: Path
    model: Any  # a PeftModel while there are adapters
    tokenizer: ChatTokenizer
    ends: frozenset[int]
    device: str
    last_logit_only: bool
    cache_name: str  # transformers 5.24 renamed past_key_values
    slots: dict[str, str] = field(default_factory=dict)  # adapter -> PEFT name (no dots allowed)
    rows: list[str] = field(default_factory=list)  # PEFT name of each row of the running pass
    hooks: list[Any] = field(default_factory=list)
    gains: dict[str, Gains] = field(default_factory=dict)  # by slot; of DoRA adapters alone

    def forward(self, adapters: Sequence[str | None], **inputs: Any) -> Any:
        """One forward pass; row i is answered by adapters[i], None is the base."""
        inputs = {name: _on(self.device, value) for name, value in inputs.items()}
        if not self.slots:
            return self.model(**inputs)
        self.rows = [BASE_ROW if a is None else self.slots[a] for a in adapters]
        return self.model.get_base_model()(**inputs)

    def hook(self) -> None:
        """Hand every LoRA layer the adapter of each row.

        PEFT's own forward does the same, but walks all modules to set these hooks and again to
        remove them, for every token: a third of the time of a step of a small model.
        """
        from peft.tuners.lora import LoraLayer

        def choose(_: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return args, {**kwargs, "adapter_names": self.rows}

        for hook in self.hooks:
            hook.remove()
        layers: list[Any] = [m for m in self.model.modules() if isinstance(m, LoraLayer)]
        self.hooks = [m.register_forward_pre_hook(choose, with_kwargs=True) for m in layers]
        self.hooks += hook_gains(self.gains, lambda: self.rows)


def open_base(folder: Path, digest: str) -> LoadedBase:
    """Raises ValueError for a model that does not tell its context."""
    import torch
    from transformers import AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
    model = read_model(folder, device)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not context:
        raise ValueError(f"base model {folder}: config.json has no max_position_embeddings")
    return LoadedBase(
        digest,
        folder,
        model,
        ChatTokenizer(tokenizer, int(context)),
        _ends(model, tokenizer),
        device,
        _takes(model, "logits_to_keep"),
        "cache" if _takes(model, "cache") else "past_key_values",
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


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = getattr(model.generation_config, "eos_token_id", None)
    known = ends if isinstance(ends, list) else [ends]
    return frozenset(t for t in [*known, tokenizer.eos_token_id] if t is not None)


def _takes(model: Any, argument: str) -> bool:
    return argument in inspect.signature(model.forward).parameters
