"""LoRA and DoRA of many adapters in one pass over a batch, an adapter for each row.

PEFT computes such a batch adapter by adapter: for each of them and each layer it picks rows out,
multiplies them twice and puts them back. Here the matrices of all adapters of a layer lie in one
tensor, and two batched products serve all rows (as the kernel of Punica, Chen et al. 2023, arXiv
2310.18547): y_i = W x_i + s B[a_i] A[a_i] x_i, docs/decisions/0032-batches-of-adapters.md. Ranks
below the largest are filled up with zeros, which add nothing; place 0 is no adapter.
DoRA (Liu et al. 2024, arXiv 2402.09353) multiplies what a layer gives by m / ||W + s B A||, the
norm over the inputs: constants of a model that is not trained, computed when the adapter comes in.

Float32 whatever the base is in, as PEFT has adapters. The weights must have passed
adapter_format.check_lora; only the engine's thread may use a bank.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ft_resources.adapter_format import CONFIG, WEIGHTS, read_object

PREFIX = "base_model.model."
A, B, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


class AdapterBank:
    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device
        self._layers: dict[str, _Layer] = {}
        self._places: dict[str, int] = {}
        self._dora: set[int] = set()
        self._rows: Any = None  # int64 [batch]; None: no row has an adapter
        self._scaled = False  # some row of the batch is of a DoRA

    def __contains__(self, adapter: str) -> bool:
        return adapter in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, adapter: str, folder: Path) -> None:
        """Raises OSError or SafetensorError for files that cannot be read; adds nothing then."""
        from safetensors.torch import load_file

        config = read_object(folder / CONFIG)
        scaling = config["lora_alpha"] / config["r"]
        weights = load_file(folder / WEIGHTS)
        names = [name[len(PREFIX) : -len(A)] for name in weights if name.endswith(A)]
        used = {0, *self._places.values()}
        place = next(i for i in range(len(used) + 1) if i not in used)
        for name in names:
            layer = self._layers.get(name)
            if layer is None:
                layer = self._layers[name] = _Layer(self, self._model.get_submodule(name))
            layer.put(
                place,
                weights[PREFIX + name + A].float(),
                weights[PREFIX + name + B].float() * scaling,
                weights.get(PREFIX + name + MAGNITUDE),
            )
        if config.get("use_dora") is True:
            self._dora.add(place)
        self._places[adapter] = place

    def remove(self, adapter: str) -> None:
        place = self._places.pop(adapter)
        self._dora.discard(place)
        for layer in self._layers.values():
            layer.clear(place)
        if not self._places:
            for layer in self._layers.values():
                layer.hook.remove()
            self._layers.clear()

    def choose(self, adapters: Sequence[str | None]) -> None:
        """The adapter of each row of the next pass; None is the base."""
        import torch

        places = [0 if adapter is None else self._places[adapter] for adapter in adapters]
        self._scaled = not self._dora.isdisjoint(places)
        self._rows = torch.tensor(places, device=self._device) if any(places) else None

    def apply(self, layer: "_Layer", inputs: Any, out: Any) -> Any:
        """inputs [rows, tokens, in], out [rows, tokens, out]"""
        if self._rows is None:
            return out
        down = layer.down.index_select(0, self._rows)
        up = layer.up.index_select(0, self._rows)
        changed = inputs.float().bmm(down).bmm(up)
        out = out + changed.to(out.dtype)
        if not self._scaled or layer.gains is None:
            return out
        gains = layer.gains.index_select(0, self._rows)[:, None].to(out.dtype)
        bias = layer.module.bias
        return out * gains if bias is None else (out - bias) * gains + bias


class _Layer:
    """The adapters of one linear layer; place 0 stays zero."""

    def __init__(self, bank: AdapterBank, module: Any) -> None:
        import torch

        self.module = module
        weight = module.weight
        self.down = torch.zeros(1, module.in_features, 1, device=weight.device)
        self.up = torch.zeros(1, 1, module.out_features, device=weight.device)
        self.gains: Any = None  # [places, outputs] once there is a DoRA
        self.hook = module.register_forward_hook(
            lambda _, inputs, out: bank.apply(self, inputs[0], out)
        )

    def put(self, place: int, down: Any, up: Any, magnitude: Any) -> None:
        """down [rank, inputs], up [outputs, rank] with the scaling in it, magnitude [outputs]"""
        import torch

        rank = down.shape[0]
        self._grow(place, rank)
        self.clear(place)
        self.down[place, :, :rank] = down.T
        self.up[place, :rank] = up.T
        if magnitude is not None:
            if self.gains is None:
                self.gains = torch.ones(
                    self.down.shape[0], self.up.shape[2], device=self.down.device
                )
            weight = self.module.weight
            whole = weight.float() + (up @ down).to(weight.device)
            norm = torch.linalg.norm(whole, dim=1)
            self.gains[place] = magnitude.to(weight.device).float() / norm

    def clear(self, place: int) -> None:
        if place < self.down.shape[0]:
            self.down[place], self.up[place] = 0, 0
            if self.gains is not None:
                self.gains[place] = 1

    def _grow(self, place: int, rank: int) -> None:
        """Room for this place and rank; places by doubling, so that few additions copy all."""
        import torch

        places, inputs, ranks = self.down.shape
        wanted = places if place < places else max(place + 1, 2 * places)
        ranks, before = max(ranks, rank), ranks
        if (wanted, ranks) == (places, before):
            return
        down = torch.zeros(wanted, inputs, ranks, device=self.down.device)
        up = torch.zeros(wanted, ranks, self.up.shape[2], device=self.up.device)
        down[:places, :, :before] = self.down
        up[:places, :before] = self.up
        self.down, self.up = down, up
        if self.gains is not None:
            gains = torch.ones(wanted, self.gains.shape[1], device=self.gains.device)
            gains[:places] = self.gains
            self.gains = gains
