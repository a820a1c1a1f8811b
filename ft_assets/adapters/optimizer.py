"""AdamW for the weights of an adapter, as one or two tensors instead of one a matrix.

An adapter is some hundred small matrices, and an operation on each costs more than it computes. The
weights keep their shapes and become views of one tensor, on which the optimizer works; those of B
are one of their own where they learn faster (LoRA+, Hayou et al. 2024, arXiv 2402.12354). A full
fine-tuning keeps its weights apart: the copy would take as much memory as the model.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim.adamw import adamw

from ft_assets.adapters.recipe import Recipe

BETA2 = 0.95
EPSILON = 1e-8


class Optimizer:
    def __init__(self, weights: Sequence[Any], rates: Sequence[float], recipe: Recipe) -> None:
        """`rates` are those of each weight over the rate of the recipe."""
        self._recipe, self._weights = recipe, list(weights)
        if recipe.method == "full":
            self._places = [[place] for place in range(len(weights))]
            self.parameters = list(weights)
        else:
            kinds = [(rate, weight.dtype) for rate, weight in zip(rates, weights, strict=True)]
            self._places = [
                [place for place, own in enumerate(kinds) if own == kind]
                for kind in dict.fromkeys(kinds)
            ]
            self.move(self.flat([weight.detach() for weight in weights]))
        self._rates = [rates[places[0]] for places in self._places]
        self._state = [
            {
                "step": torch.zeros((), device=one.device),
                "exp_avg": torch.zeros_like(one, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(one, requires_grad=False),
            }
            for one in self.parameters
        ]

    def flat(self, gradients: Sequence[Any]) -> list[Any]:
        """Of each parameter, what is given by weight; of several adapters, [adapters, numbers]."""
        if self._recipe.method == "full":
            return list(gradients)
        return [
            torch.cat([gradients[p].flatten(-self._weights[p].dim()) for p in places], dim=-1)
            for places in self._places
        ]

    def by_weight(self, wholes: Sequence[Any]) -> list[Any]:
        """The inverse of `flat`, as views."""
        found: list[Any] = [None] * len(self._weights)
        for whole, places in zip(wholes, self._places, strict=True):
            sizes = [self._weights[place].numel() for place in places]
            for place, part in zip(places, whole.split(sizes, dim=-1), strict=True):
                found[place] = part.unflatten(-1, self._weights[place].shape)
        return found

    def move(self, wholes: Sequence[Any]) -> None:
        """Let these tensors, which hold the same numbers, be the parameters."""
        self.parameters = list(wholes)
        for weight, part in zip(self._weights, self.by_weight(wholes), strict=True):
            weight.data = part

    @torch.no_grad()
    def step(self, gradients: Sequence[Any], share: float) -> None:
        """Clip the gradients, one of each parameter, and go one step at this share of the rate.

        The gradients are overwritten.
        """
        recipe = self._recipe
        norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        clipped = (recipe.clip / (norm + 1e-6)).clamp_(max=1.0)
        for parameter, gradient, own, rate in zip(
            self.parameters, gradients, self._state, self._rates, strict=True
        ):
            # What torch.optim.AdamW calls, without what it does around it for each step.
            adamw(
                [parameter],
                [gradient.mul_(clipped)],
                [own["exp_avg"]],
                [own["exp_avg_sq"]],
                [],
                [own["step"]],
                fused=True,
                amsgrad=False,
                beta1=recipe.momentum,
                beta2=BETA2,
                lr=recipe.learning_rate * share * rate,
                weight_decay=recipe.weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def state(self) -> list[dict[str, Any]]:
        """Of each parameter, tensors by name."""
        return [dict(own) for own in self._state]

    def go_on(self, state: Sequence[dict[str, Any]]) -> None:
        self._state = [dict(own) for own in state]
