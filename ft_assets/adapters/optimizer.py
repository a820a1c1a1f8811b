"""AdamW for the weights of an adapter, as one or two tensors instead of one a matrix.

An adapter is some hundred small matrices, and an operation on each costs more than it computes. The
weights keep their shapes and become views of one tensor, on which the optimizer works; those of B
are one of their own where they learn faster (LoRA+, Hayou et al. 2024, arXiv 2402.12354). A full
fine-tuning keeps its weights apart: the copy would take as much memory as the model.
"""

from collections.abc import Sequence
from typing import Any

import torch

from ft_assets.adapters.recipe import Recipe

BETA2 = 0.95


class Optimizer:
    def __init__(self, weights: Sequence[Any], rates: Sequence[float], recipe: Recipe) -> None:
        """`rates` are those of each weight over the rate of the recipe."""
        self._recipe = recipe
        if recipe.method == "full":
            self._places = [[place] for place in range(len(weights))]
            self.parameters = list(weights)
        else:
            kinds = [(rate, weight.dtype) for rate, weight in zip(rates, weights, strict=True)]
            self._places = [
                [place for place, own in enumerate(kinds) if own == kind]
                for kind in dict.fromkeys(kinds)
            ]
            self.parameters = [_joined([weights[p] for p in places]) for places in self._places]
        self._rates = [rates[places[0]] for places in self._places]
        self._adamw = torch.optim.AdamW(
            [{"params": [one]} for one in self.parameters],
            lr=recipe.learning_rate,
            betas=(recipe.momentum, BETA2),
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    def step(self, gradients: Sequence[Any], share: float) -> None:
        """Clip the gradients, one of each weight, and go one step at this share of the rate."""
        groups = zip(
            self.parameters, self._places, self._adamw.param_groups, self._rates, strict=True
        )
        for parameter, places, group, rate in groups:
            group["lr"] = self._recipe.learning_rate * share * rate
            own = [gradients[place] for place in places]
            if parameter.shape == own[0].shape:
                parameter.grad = own[0]
            else:
                parameter.grad = torch.cat([gradient.flatten() for gradient in own])
        torch.nn.utils.clip_grad_norm_(self.parameters, self._recipe.clip)
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """Of each parameter, tensors by name."""
        return [dict(self._adamw.state[parameter]) for parameter in self.parameters]

    def go_on(self, state: Sequence[dict[str, Any]]) -> None:
        for parameter, own in zip(self.parameters, state, strict=True):
            self._adamw.state[parameter] = dict(own)


def _joined(weights: list[Any]) -> Any:
    """One parameter with the values of all; they become views of it."""
    whole = torch.nn.Parameter(torch.cat([weight.detach().flatten() for weight in weights]))
    parts = whole.detach().split([weight.numel() for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.data = part.view(weight.shape)
    return whole
