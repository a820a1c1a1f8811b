"""What an adapter is on disk: its files, its digest and name, and the gate before it is loaded.

The digest covers weights, configuration, base model, tokenizer and chat template, so a name says
exactly what answers. The signature says who made it (adapter_manifest.py, signing.py); the gate
says what it can do. Both are needed:
PEFT itself loads an adapter that overwrites tensors of the shared base model, that lacks half of
its tensors or holds NaN, and a regular expression in `target_modules` can hang it.
The gate does not judge what an adapter has learned; that is evaluation.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ft_resources.signing import canonical

WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"
TRAINING_RECORD = "training.json"  # how it was trained; allowed beside the adapter, never read here
MODEL_CARD = "README.md"  # which PEFT writes beside an adapter
ADAPTER_FILES = frozenset({WEIGHTS, CONFIG, MANIFEST})
DIGEST_CHARACTERS = 12  # of the digest that are in the name

# Files of a base folder that change what it answers. The shard index says which file a tensor is
# read from, so it counts as well.
BASE_FILES = (
    "*.safetensors",
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})

MAX_ALPHA = 4096.0
MAX_CONFIG_BYTES = 64 * 1024
MAX_DIGITS = 32  # of a number in JSON
MODULE_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
SHA256 = re.compile(r"[0-9a-f]{64}")
FLOATS = frozenset({"F16", "BF16", "F32"})

# Fields of a LoRA configuration that may hold something; every other one must be off, known or not:
# modules_to_save, auto_mapping, layers_pattern, rank_pattern, target_parameters ...
CHECKED_FIELDS = frozenset(
    {"peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias"}
    | {"init_lora_weights", "inference_mode", "use_dora"}
)
HARMLESS_FIELDS = frozenset(
    {"peft_version", "base_model_name_or_path", "revision", "megatron_core", "qalora_group_size"}
)


def base_digest(folder: Path) -> str:
    """Return the sha256 over the files of a base model that decide what it answers.

    Raises FileNotFoundError for an incomplete folder, ValueError for one with pickled weights.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no base model at {folder}: not a folder")
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    if pickles:
        raise ValueError(
            f"base model {folder}: {', '.join(pickles)} can run code when loaded; keep only "
            "safetensors in the folder"
        )
    files = {file.name: file for pattern in BASE_FILES for file in folder.glob(pattern)}
    for needed in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        if needed not in files:
            raise FileNotFoundError(f"base model {folder}: {needed} is missing")
    if not any(name.endswith(".safetensors") for name in files):
        raise FileNotFoundError(f"base model {folder}: no *.safetensors; convert the weights first")
    return _sha256(canonical([[name, _file_sha256(files[name])] for name in sorted(files)]))


def adapter_digest(folder: Path, base_digest: str) -> str:
    """Return the sha256 over weights, configuration and base; the path of the base does not count.

    Raises FileNotFoundError when a file is missing, ValueError when the configuration is no JSON.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"adapter {folder}: {name} is missing")
    config = read_object(folder / CONFIG)
    config.pop("base_model_name_or_path", None)
    config.pop("revision", None)
    targets = config.get("target_modules")
    if isinstance(targets, list):
        config["target_modules"] = sorted(targets, key=str)
    parts = {"weights": _file_sha256(folder / WEIGHTS), "config": config, "base": base_digest}
    return _sha256(canonical(parts))


def adapter_name(domain: str, digest: str) -> str:
    return f"{domain}@{digest[:DIGEST_CHARACTERS]}"


def check_files(folder: Path, required: Set[str], allowed: Set[str]) -> None:
    """Raise ValueError unless the folder holds the required files and none that is not allowed."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: not a folder")
    for file in sorted(folder.iterdir()):
        if file.name not in required | allowed:
            raise ValueError(
                f"{file.name}: not a file of an adapter; allowed: {', '.join(sorted(required))}"
            )
        if file.is_symlink() or not file.is_file():
            raise ValueError(f"{file.name}: must be a plain file, not a link or folder")
    for name in sorted(required):
        if not (folder / name).is_file():
            raise ValueError(f"{name}: missing")


@dataclass(frozen=True)
class Lora:
    """What an adapter that passed the gate is."""

    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    dora: bool  # with a magnitude for each output
    layers: int  # of the base that it adapts
    parameters: int


def check_lora(folder: Path, base_folder: Path, max_rank: int = 256) -> Lora:
    """What the weights and configuration are, whoever made them.

    Raises ValueError, naming field or tensor, unless they are a finite LoRA or DoRA of this base.
    """
    config = read_object(folder / CONFIG)
    rank, targets = _check_config(config, max_rank)
    dora = config.get("use_dora") is True
    shapes = _expected_shapes(base_folder, targets, rank, dora)
    _check_tensors(folder / WEIGHTS, shapes)
    return Lora(
        rank,
        float(config["lora_alpha"]),
        tuple(sorted(targets)),
        dora,
        len(shapes) // (3 if dora else 2),
        sum(math.prod(shape) for shape in shapes.values()),
    )


def check_foreign(folder: Path, base_folder: Path, max_rank: int = 256) -> Lora:
    """`check_lora` of a folder as PEFT writes it: without a manifest, perhaps with a README.md.

    It says that the adapter could be loaded on this base, not who made it: the gateway takes it
    with a signed manifest alone.
    """
    check_files(folder, required={WEIGHTS, CONFIG}, allowed={MODEL_CARD, TRAINING_RECORD})
    return check_lora(folder, base_folder, max_rank)


def _check_config(config: Mapping[str, Any], max_rank: int) -> tuple[int, list[str]]:
    def refuse(field: str, allowed: str) -> ValueError:
        shown = repr(config.get(field))
        shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
        return ValueError(f"{CONFIG}: {field} is {shown}; allowed: {allowed}")

    exact: dict[str, tuple[tuple[Any, ...], str]] = {
        "peft_type": (("LORA",), "LORA"),
        "task_type": (("CAUSAL_LM",), "CAUSAL_LM"),
        "bias": (("none",), "none"),
        # A name here ("pissa", "olora") rewrites the weights of the base when it is loaded.
        "init_lora_weights": ((True, False, None), "true or false"),
        "inference_mode": ((True, False, None), "true or false"),
        "use_dora": ((True, False, None), "true or false"),
    }
    for field, (values, allowed) in exact.items():
        value = config.get(field)
        if not any(type(value) is type(v) and value == v for v in values):  # 1 is not true
            raise refuse(field, allowed)
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= max_rank:
        raise refuse("r", f"1 to {max_rank}")
    if not _is_number(config.get("lora_alpha"), 0, MAX_ALPHA) or not config["lora_alpha"]:
        raise refuse("lora_alpha", f"above 0, up to {MAX_ALPHA:g}")
    if not _is_number(config.get("lora_dropout", 0.0), 0, 1):
        raise refuse("lora_dropout", "0 to 1")
    targets = config.get("target_modules")
    if (
        not isinstance(targets, list)
        or not targets
        or not all(isinstance(t, str) and MODULE_NAME.fullmatch(t) for t in targets)
    ):
        raise refuse("target_modules", "a list of module names (a text would be a pattern)")
    for field in sorted(config.keys() & HARMLESS_FIELDS):
        if not isinstance(config[field], str | int | None):
            raise refuse(field, "a text, a number or null")
    for field in sorted(config.keys() - CHECKED_FIELDS - HARMLESS_FIELDS):
        value = config[field]
        if value is not None and value is not False and value not in ({}, []):
            raise refuse(field, "off (null, false or empty): only plain LoRA and DoRA are loaded")
    return rank, targets


def _expected_shapes(
    base_folder: Path, targets: Iterable[str], rank: int, dora: bool
) -> dict[str, tuple[int, ...]]:
    wanted = dict.fromkeys(targets, False)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (inputs, outputs) in _linear_layers(base_folder).items():
        matches = [t for t in wanted if name == t or name.endswith(f".{t}")]
        for target in matches:
            wanted[target] = True
        if matches:
            prefix = f"base_model.model.{name}"
            shapes[f"{prefix}.lora_A.weight"] = (rank, inputs)
            shapes[f"{prefix}.lora_B.weight"] = (outputs, rank)
            if dora:
                shapes[f"{prefix}.lora_magnitude_vector"] = (outputs,)
    missing = sorted(target for target, found in wanted.items() if not found)
    if missing:
        raise ValueError(
            f"{CONFIG}: target_modules: the base has no linear layer named {', '.join(missing)} "
            "that may be adapted (the output head may not)"
        )
    return shapes


def _linear_layers(base_folder: Path) -> dict[str, tuple[int, int]]:
    """Return {module name: (inputs, outputs)} of every linear layer but the output head."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base_folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):  # shapes without memory
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    head = model.get_output_embeddings()
    return {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }


def _check_tensors(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            names = set(tensors.keys())
            for name in sorted(names - shapes.keys()):
                raise ValueError(f"{file.name}: {name} does not belong to this adapter")
            for name in sorted(shapes.keys() - names):
                raise ValueError(f"{file.name}: {name} is missing")
            for name in sorted(names):  # all headers first: a wrong shape is not read into memory
                part = tensors.get_slice(name)
                if tuple(part.get_shape()) != shapes[name]:
                    raise ValueError(
                        f"{file.name}: {name} has shape {tuple(part.get_shape())}, the base and "
                        f"r ask for {shapes[name]}"
                    )
                if part.get_dtype() not in FLOATS:
                    raise ValueError(
                        f"{file.name}: {name} is {part.get_dtype()}; allowed: "
                        f"{', '.join(sorted(FLOATS))}"
                    )
            for name in sorted(names):
                if not bool(torch.isfinite(tensors.get_tensor(name)).all()):
                    raise ValueError(f"{file.name}: {name} has values that are not finite")
    except SafetensorError as error:
        raise ValueError(f"{file.name}: not a readable safetensors file ({error})") from None


def _is_number(value: object, low: float, high: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and low <= value <= high  # NaN is in no range
    )


def read_object(file: Path) -> dict[str, Any]:
    def refuse_constant(name: str) -> None:
        raise ValueError(f"{file.name}: {name} is not a number that JSON knows")

    def number(text: str) -> float | int:
        if len(text) > MAX_DIGITS or not math.isfinite(float(text)):
            raise ValueError(f"{file.name}: a number is too large")
        return int(text) if text.lstrip("-").isdecimal() else float(text)

    size = file.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise ValueError(f"{file.name}: {size} bytes; at most {MAX_CONFIG_BYTES}")
    try:
        # As PEFT reads it: json would take UTF-16 for bytes.
        text = file.read_bytes().decode("utf-8")
        value = json.loads(
            text, parse_constant=refuse_constant, parse_float=number, parse_int=number
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{file.name}: not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file.name}: must be a JSON object")
    return value


def _file_sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
