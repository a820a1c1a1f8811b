"""How the tagger is learned."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    width: int = 64
    epochs: int = 3
    row: int = 128  # tokens side by side
    rows: int = 48  # in a step
    rate: float = 4e-3  # of the layers
    table_rate: float = 1.5e-2  # of the table: most of its rows are met seldom
    plain: float = 0.3  # share of stretches without anything to find that is used
    hidden: float = 0.2  # share of tokens shown without what names them
    dropout: float = 0.1
    seed: int = 0
