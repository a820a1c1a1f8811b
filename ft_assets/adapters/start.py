"""Where a training starts, and what it leaves: the weights that are trained, and their files.

`init: fresh` starts at the base. `continue` starts at the weights of the parent adapter. `stack`
freezes the parent on the base and trains a new adapter on top of both; what is published is one
LoRA that does what the two do together, their matrices side by side: its rank is the sum of both
ranks, so a chain of stacked adapters grows until its rank is over MAX_RANK, and is then refused.
A parent of another base, or for `continue` of another shape, cannot be started from: the training
is then a fresh one, and says so.
"""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from ft_assets.adapters.recipe import ALL_LINEAR, Recipe
from ft_resources.adapter_format import adapter_digest

ADAPTER, PARENT = "default", "parent"  # names that PEFT knows them by
MAX_RANK = 256  # that the gate of the gateway lets in


@dataclass(frozen=True)
class Parent:
    folder: str  # adapter_model.safetensors and adapter_config.json
    digest: str
    base_digest: str
    weeks: tuple[str, ...] = ()  # of the corpus that it was trained on


@dataclass(frozen=True)
class Start:
    model: Any
    weights: list[Any]  # that are trained
    rates: list[float]  # of each, over the rate of the recipe
    update: list[tuple[Any, Any]]  # see loop.keep_general
    parent: Parent | None  # that it really starts from
    why_fresh: str = ""  # though the recipe asks for a parent


def usable_parent(
    given: Parent | None, recipe: Recipe, targets: list[str], base_digest: str
) -> tuple[Parent | None, str]:
    """Return the parent to start from, or None and why not.

    Raises ValueError when its files are not those of its digest, or a stack would grow too high.
    """
    if recipe.init == "fresh":
        return None, ""
    if given is None:
        return None, "there is no parent yet"
    if given.base_digest != base_digest:
        return None, (
            f"the parent {given.digest[:12]} is of base {given.base_digest[:12]}, this base is "
            f"{base_digest[:12]}"
        )
    if (found := adapter_digest(Path(given.folder), base_digest)) != given.digest:
        raise ValueError(f"the parent {given.digest[:12]} has files of digest {found[:12]}")
    config = _config(given)
    shape: dict[str, Any] = {"target_modules": targets, "use_dora": recipe.method == "dora"}
    if recipe.init == "continue":
        shape |= {"r": recipe.rank, "lora_alpha": recipe.alpha}
    for name, wanted in shape.items():
        if config[name] != wanted:
            return None, (
                f"the parent {given.digest[:12]} has {name} {config[name]}, the recipe {wanted}"
            )
    if recipe.init == "stack" and config["r"] + recipe.rank > MAX_RANK:
        raise ValueError(
            f"recipe {recipe.name}: init: stack on {given.digest[:12]} would have rank "
            f"{config['r']} + {recipe.rank}, above {MAX_RANK}; train once with init: continue or "
            "fresh"
        )
    return given, ""


def start(
    base: Any, recipe: Recipe, targets: list[str], seed: int, given: Parent | None, base_digest: str
) -> Start:
    """Put what is to be trained on the base. The same arguments give the same weights.

    With method "full" it is a copy of the base.
    """
    if recipe.method == "full":
        copied = copy.deepcopy(base).requires_grad_(True)
        everything = list(copied.parameters())
        return Start(
            copied,
            everything,
            [1.0] * len(everything),
            [(w, w.detach().clone()) for w in everything],
            None,
        )
    parent, why = usable_parent(given, recipe, targets, base_digest)
    torch.manual_seed(seed)
    model: Any = get_peft_model(base, _lora(recipe, targets))
    if parent is not None:
        kept = load_file(Path(parent.folder) / "adapter_model.safetensors")
        if recipe.init == "continue":
            set_peft_model_state_dict(model, kept)
        else:
            config = LoraConfig.from_pretrained(parent.folder)
            config.inference_mode = True
            model.add_adapter(PARENT, config)
            set_peft_model_state_dict(model, kept, adapter_name=PARENT)
            model.base_model.set_adapter([PARENT, ADAPTER])
    update, weights, rates = [], [], []
    for name, weight in model.named_parameters():
        weight.requires_grad_(f".{ADAPTER}" in name)
        if weight.requires_grad:
            weights.append(weight)
            rates.append(recipe.b_rate_ratio if ".lora_B." in name else 1.0)
        if ".lora_B." in name:  # that of a frozen parent too
            update.append((weight, torch.zeros_like(weight)))
        elif ".lora_magnitude_vector." in name:
            update.append((weight, _norms(model, name)))
    return Start(model, weights, rates, update, parent, why)


Places = list[tuple[Any, str, Any]]  # module of the base, name of a layer in it, its LoRA layer


def take_off(model: Any) -> Places:
    """Give the base its own layers back, for another adapter; `put_on` undoes it."""
    base = model.base_model.model
    places = [
        (module, name, layer)
        for module in base.modules()
        for name, layer in module.named_children()
        if hasattr(layer, "lora_A")
    ]
    for module, name, layer in places:
        setattr(module, name, layer.get_base_layer())
    del base.peft_config  # by it PEFT knows a model that carries an adapter
    return places


def put_on(model: Any, places: Places) -> None:
    model.base_model.model.peft_config = model.peft_config
    for module, name, layer in places:
        setattr(module, name, layer)


def _lora(recipe: Recipe, targets: list[str]) -> LoraConfig:
    config: dict[str, Any] = {
        "task_type": "CAUSAL_LM",
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": targets,
        "bias": "none",
        "use_dora": recipe.method == "dora",
    }
    return LoraConfig(**config)


def _norms(model: Any, name: str) -> Any:
    """The magnitude that a DoRA layer has when nothing is trained: the norm of each row of W."""
    layer = model.get_submodule(name.split(".lora_magnitude_vector.")[0])
    return torch.linalg.norm(layer.get_base_layer().weight.detach().float(), dim=1)


def target_modules(base: Any, recipe: Recipe) -> list[str]:
    """Return the last names of the layers that get an adapter, sorted."""
    head = base.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    if recipe.target_modules == ALL_LINEAR:
        return sorted(linear)
    missing = sorted(set(recipe.target_modules) - linear)
    if missing:
        raise ValueError(
            f"recipe {recipe.name}: target_modules: the base has no linear layer named "
            f"{', '.join(missing)}; it has: {', '.join(sorted(linear))}"
        )
    return sorted(set(recipe.target_modules))


def save_adapter(model: Any, targets: list[str], folder: Path) -> None:
    """Write one adapter that plain PEFT loads, its bytes the same for the same weights.

    A frozen parent below it becomes one with it.
    """
    config = model.peft_config[ADAPTER]
    weights = _tensors(model, ADAPTER)
    shape: dict[str, Any] = {}
    if parent := model.peft_config.get(PARENT):
        below = _tensors(model, PARENT)
        weights = {
            name: _side_by_side(name, below[name], parent, weights[name], config)
            for name in weights
        }
        rank = parent.r + config.r
        shape = {"r": rank, "lora_alpha": rank}  # scaled by 1: both scales are in B
    ordered = {name: weights[name].contiguous() for name in sorted(weights)}
    save_file(ordered, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))
    file = folder / "adapter_config.json"
    values = json.loads(file.read_text("utf-8"))
    # peft keeps a set: its order differs between runs. The path of the base differs between
    # machines; which base it is, the digest says.
    values.update(target_modules=targets, base_model_name_or_path=None, inference_mode=True)
    file.write_text(json.dumps({**values, **shape}, indent=1, sort_keys=True), "utf-8")


def _tensors(model: Any, adapter: str) -> dict[str, Any]:
    return {
        name: tensor.detach().to("cpu", torch.float32)
        for name, tensor in get_peft_model_state_dict(model, adapter_name=adapter).items()
    }


def _side_by_side(name: str, old: Any, parent: Any, new: Any, config: Any) -> Any:
    if ".lora_A." in name:
        return torch.cat([old, new], dim=0)
    scaled = (old * (parent.lora_alpha / parent.r), new * (config.lora_alpha / config.r))
    return torch.cat(scaled, dim=1)


def _config(parent: Parent) -> dict[str, Any]:
    file = Path(parent.folder) / "adapter_config.json"
    values = json.loads(file.read_text("utf-8"))
    return {**values, "target_modules": sorted(values["target_modules"])}
