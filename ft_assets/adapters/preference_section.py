"""Section `preference` of a recipe: DPO after the training on the corpus (see preference.py)."""

from dataclasses import dataclass

from ft_assets.adapters.section import Section, choice, number


@dataclass(frozen=True)
class Preference(Section):
    beta: float = number(0.1, 1e-3, 100)  # how closely the reference is kept to
    loss: str = choice("sigmoid", "ipo", "hinge")
    learning_rate: float = number(5e-6, 0, 1)
    warmup_steps: int = number(5, 0, 100_000)
    max_steps: int = number(100, 1, 10_000_000)
    batch_pairs: int = number(8, 1, 4096)
    max_tokens: int = number(512, 16, 131_072)  # prompt and answer; a longer one is cut
    held_out_share: float = number(0.2, 0.01, 0.9)  # of the users
    min_pairs: int = number(50, 1, 1_000_000)  # to learn from; with fewer nothing is done
