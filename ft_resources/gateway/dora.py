"""DoRA (Liu et al. 2024, arXiv 2402.09353) in a batch of several adapters.

PEFT computes a batch of several adapters for plain LoRA alone. A DoRA layer is a LoRA layer whose
outputs are scaled: m / ||W + s B A|| * (W x + s B A x), one factor for each output, the norm over
the inputs. In a model that is not trained the factors are constants: they are computed when the
adapter is loaded, the layer becomes a plain LoRA, and a hook multiplies what it gives.
"""

from collections.abc import Callable, Sequence
from typing import Any

Gains = dict[Any, Any]  # by layer: float tensor [outputs]


def take_gains(model: Any, slot: str) -> Gains:
    """Make the DoRA of a slot a plain LoRA; its gains, none if it is a plain LoRA already."""
    import torch
    from peft.tuners.lora import LoraLayer

    gains: Gains = {}
    for layer in model.modules():
        if not isinstance(layer, LoraLayer) or slot not in layer.lora_magnitude_vector:
            continue
        magnitude = layer.lora_magnitude_vector.pop(slot).weight
        update = layer.lora_B[slot].weight @ layer.lora_A[slot].weight
        whole = layer.get_base_layer().weight + layer.scaling[slot] * update
        gains[layer] = (magnitude / torch.linalg.norm(whole, dim=1)).detach()
        layer.use_dora[slot] = False
        layer.lora_variant.pop(slot)
    return gains


def hook_gains(gains: dict[str, Gains], rows: Callable[[], Sequence[str]]) -> list[Any]:
    """Hook the layers; `rows` tells the slot of each row of the batch that is computed."""
    import torch

    def scale(layer: Any, _: Any, out: Any) -> Any:
        of_rows = [gains.get(slot, {}).get(layer) for slot in rows()]
        if all(gain is None for gain in of_rows):
            return out
        one = torch.ones_like(out[0, 0])
        factor = torch.stack([one if gain is None else gain.to(out) for gain in of_rows])
        bias = layer.get_base_layer().bias
        if bias is None:
            return out * factor[:, None]
        return (out - bias) * factor[:, None] + bias

    layers = {layer: None for of_slot in gains.values() for layer in of_slot}
    return [layer.register_forward_hook(scale) for layer in layers]
