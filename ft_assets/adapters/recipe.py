"""How an adapter is trained: one frozen Recipe, one YAML file each in recipes/.

The folder is the registry: `load_recipe("lora-tiny")` reads recipes/lora-tiny.yaml; a path reads
that file. Every field but the name has a default here and nowhere else. All fields go into the
record of a training, so a recipe is told apart by its values, not by its file name.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ft_assets.adapters.distillation_section import Distillation
from ft_assets.adapters.preference_section import Preference
from ft_assets.adapters.privacy import Privacy
from ft_assets.adapters.section import Section, choice, flag, number, section

RECIPES = Path(__file__).parent / "recipes"
ALL_LINEAR = "all-linear"  # every linear layer of the base but its output head


@dataclass(frozen=True)
class Recipe(Section):
    name: str
    method: str = choice("lora", "dora", "qlora", "full")
    init: str = choice("fresh", "continue", "stack")  # where the adapter starts; see start.py
    rank: int = number(16, 1, 256)
    alpha: float = number(32.0, 1e-3, 4096)  # the update is scaled by alpha / rank
    dropout: float = number(0.0, 0, 0.5)
    target_modules: str | tuple[str, ...] = field(default=ALL_LINEAR)
    train_on: str = choice("responses", "all")  # which tokens have a loss
    learning_rate: float = number(2e-4, 0, 1)
    b_rate_ratio: float = number(1.0, 1e-3, 1000)  # of LoRA's B over A: LoRA+, arXiv 2402.12354
    momentum: float = number(0.9, 0, 0.999)  # beta1 of AdamW
    warmup_steps: int = number(10, 0, 100_000)
    final_rate_share: float = number(0.1, 0, 1)  # of learning_rate, reached linearly at the end
    weight_decay: float = number(0.0, 0, 1)
    clip: float = number(1.0, 1e-3, 1000)  # norm of the gradient
    max_steps: int = number(1000, 1, 10_000_000)
    max_epochs: float = number(3.0, 0.01, 1000)  # whichever of the two ends first
    packing: str = choice("documents", "joined")  # documents: whole, and apart; see tokens.py
    row_tokens: int = number(1024, 16, 131_072)  # length of a packed row
    batch_rows: int = number(4, 1, 4096)
    accumulate: int = number(1, 1, 4096)  # batches per step
    replay_share: float = number(0.0, 0, 0.9)  # of the rows of a batch that are general text
    history_share: float = number(0.0, 0, 0.9)  # of weeks that the parent has seen
    max_general_rise: float = number(0.0, 0, 100)  # of perplexity, as a share; 0: no limit
    precision: str = choice("auto", "bf16", "fp32")  # "auto": bf16 where it is computed, else fp32
    device: str = choice("auto", "cpu", "cuda")  # "auto": cuda when there is one
    gradient_checkpointing: bool = flag(False)  # slower (0.7x), but a large base fits
    eval_every: int = number(50, 1, 1_000_000)  # steps between looks at the validation split
    validation_rows: int = number(64, 1, 100_000)  # packed rows looked at, at most
    patience: int = number(3, 1, 1000)  # looks without a better loss after which training ends
    distillation: Distillation | None = section(Distillation)  # of a teacher; distill.py alone
    preference: Preference | None = section(Preference)  # DPO after it
    privacy: Privacy | None = section(Privacy)  # differential privacy, by subject

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: got {self.name!r}; allowed: a text that is not empty")
        if self.replay_share + self.history_share > 0.9:
            raise ValueError(
                f"replay_share + history_share: got {self.replay_share + self.history_share:g}; "
                "allowed: up to 0.9, the rest of a batch is new rows"
            )
        if self.method == "full" and self.init != "fresh":
            raise ValueError(
                f"init: got {self.init!r}; allowed with method full: fresh. A full fine-tune is a "
                "model: to go on from it, name its folder as base_model"
            )
        if self.b_rate_ratio != 1 and (self.method == "full" or self.distillation or self.privacy):
            raise ValueError(
                f"b_rate_ratio: got {self.b_rate_ratio:g}; allowed with method full, distillation "
                "or privacy: 1"
            )
        if self.privacy and self.preference:
            raise ValueError(
                "privacy and preference: only one of them is allowed; DPO would learn from pairs "
                "without noise"
            )
        names = self.target_modules
        listed = isinstance(names, tuple) and names and all(isinstance(n, str) and n for n in names)
        if names != ALL_LINEAR and not listed:
            shown = list(names) if isinstance(names, tuple) else names
            raise ValueError(
                f"target_modules: got {shown!r}; allowed: {ALL_LINEAR}, or a list of names"
            )


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by the name of a file in recipes/, or by a path that ends in .yaml.

    Raises FileNotFoundError naming the recipes there are, and ValueError naming file, key, value
    and what is allowed.
    """
    file = Path(name_or_path)
    if file.suffix not in {".yaml", ".yml"}:
        file = RECIPES / f"{name_or_path}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(f.stem for f in RECIPES.glob("*.yaml")))
        raise FileNotFoundError(f"no recipe {str(name_or_path)!r} at {file}; there are: {known}")
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"recipe {file.name}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"recipe {file.name}: expected keys and values, got {content!r}")
    try:
        return recipe_from({"name": file.stem, **content})
    except ValueError as error:
        raise ValueError(f"recipe {file.name}: {error}") from None


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Return the recipe with these fields (see Recipe.to_dict); an unknown one is a ValueError."""
    return Recipe.of(values)
