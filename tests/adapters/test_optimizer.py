"""One tensor for many weights: the steps are those of torch's AdamW over each."""

from dataclasses import replace

import pytest
import torch

from ft_assets.adapters.optimizer import BETA2, Optimizer
from tests.adapters.small import RECIPE

SHAPES = ((3, 5), (7, 3), (4,))
RATES = (1.0, 4.0, 1.0)


def made():
    dice = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=dice)) for shape in SHAPES]


def gradients(step):
    dice = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=dice) for shape in SHAPES]


def plain(recipe, rates, steps):
    weights = made()
    groups = [
        {"params": [weight], "lr": recipe.learning_rate * rate / 2}
        for weight, rate in zip(weights, rates, strict=True)
    ]
    betas = (recipe.momentum, BETA2)
    adamw = torch.optim.AdamW(groups, betas=betas, weight_decay=recipe.weight_decay)
    for step in range(steps):
        for weight, gradient in zip(weights, gradients(step), strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
        adamw.step()
    return weights


@pytest.mark.parametrize("method", ["lora", "full"])
def test_steps_are_those_of_adamw_on_each_weight(method):
    recipe = replace(RECIPE, method=method, momentum=0.7, weight_decay=0.1, clip=2.0)
    rates = RATES if method == "lora" else (1.0, 1.0, 1.0)
    weights = made()
    own = Optimizer(weights, rates, recipe)
    assert len(own.parameters) == (2 if method == "lora" else 3)
    for step in range(5):
        own.step(own.flat(gradients(step)), 0.5)
    for one, other in zip(weights, plain(recipe, rates, 5), strict=True):
        torch.testing.assert_close(one, other)


def test_steps_go_on_from_a_state():
    whole = made()
    optimizer = Optimizer(whole, RATES, RECIPE)
    for step in range(2):
        optimizer.step(optimizer.flat(gradients(step)), 1.0)
    kept = [weight.detach().clone() for weight in optimizer.parameters]
    state = [{name: value.clone() for name, value in own.items()} for own in optimizer.state()]
    optimizer.step(optimizer.flat(gradients(2)), 1.0)
    again = made()
    other = Optimizer(again, RATES, RECIPE)
    with torch.no_grad():
        for weight, value in zip(other.parameters, kept, strict=True):
            weight.copy_(value)
    other.go_on(state)
    other.step(other.flat(gradients(2)), 1.0)
    for one, two in zip(again, whole, strict=True):
        assert torch.equal(one, two)


def test_two_optimizers_side_by_side():
    """Their weights lie in one tensor, by which gradients of both come in one."""
    pair = [Optimizer(made(), RATES, RECIPE) for _ in range(2)]
    wholes = [
        torch.stack([one.detach() for one in parameters])
        for parameters in zip(*(optimizer.parameters for optimizer in pair), strict=True)
    ]
    for place, optimizer in enumerate(pair):
        optimizer.move([whole[place] for whole in wholes])
    of_both = [torch.stack(of) for of in zip(gradients(0), gradients(1), strict=True)]
    for optimizer, own in zip(pair, zip(*pair[0].flat(of_both), strict=True), strict=True):
        optimizer.step(own, 1.0)
    alone = [Optimizer(made(), RATES, RECIPE) for _ in range(2)]
    for step, optimizer in enumerate(alone):
        optimizer.step(optimizer.flat(gradients(step)), 1.0)
        for shape, found, weight in zip(
            SHAPES,
            optimizer.by_weight(wholes),
            optimizer.by_weight(optimizer.parameters),
            strict=True,
        ):
            assert found.shape == (2, *shape)
            assert torch.equal(found[step], weight)
