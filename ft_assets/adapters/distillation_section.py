"""Section `distillation` of a recipe: what a student learns from its teacher (see distill.py)."""

from dataclasses import dataclass

from ft_assets.adapters.section import Section, number


@dataclass(frozen=True)
class Distillation(Section):
    temperature: float = number(2.0, 0.1, 100)  # of both distributions
    weight: float = number(0.5, 0, 1)  # of the teacher's distribution; the rest is the text itself
