"""Where a script computes and how precisely: chosen once, at its start.

bf16 is taken only where the processor has instructions for it; emulated it is slower than fp32.
"""

from typing import Any


def choose_device(wanted: str) -> str:
    """Return "cuda" or "cpu". Raises ValueError when cuda is asked for and absent."""
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: 'cuda' is asked for, but torch sees no GPU; use auto or cpu")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def choose_precision(wanted: str, device: str) -> Any:
    """Return the torch dtype to compute in: torch.bfloat16 or torch.float32."""
    import torch

    if wanted == "auto":
        if device == "cuda":
            supported = torch.cuda.is_bf16_supported()
        else:
            supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return torch.bfloat16 if supported else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[wanted]


def peak_memory_mib(device: str) -> float:
    """Of this process so far: memory of the GPU that it computes on, else resident memory."""
    import resource
    import sys

    import torch

    if device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def autocast(device: str, dtype: Any) -> Any:
    import torch

    return torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32)


def check_hardware(recipe: Any) -> None:
    """Raise ValueError, naming what is missing, when this machine cannot train by the recipe."""
    import importlib.util

    import torch

    if recipe.method == "qlora":
        missing = [
            what
            for what, there in (
                ("an NVIDIA GPU that torch sees", torch.cuda.is_available()),
                ("the package bitsandbytes", importlib.util.find_spec("bitsandbytes") is not None),
            )
            if not there
        ]
        if missing or recipe.device == "cpu":
            raise ValueError(
                f"recipe {recipe.name}: method qlora needs {' and '.join(missing) or 'a GPU'}, "
                "because its base is kept in 4 bits; take method lora, which needs neither"
            )
