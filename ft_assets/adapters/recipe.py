"""How an adapter is trained: one frozen Recipe, one YAML file each in recipes/.

The folder is the registry: `load_recipe("lora-tiny")` reads recipes/lora-tiny.yaml; a path reads
that file. Every field but the name has a default here and nowhere else. All fields go into the
record of a training, so a recipe is told apart by its values, not by its file name.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

RECIPES = Path(__file__).parent / "recipes"
ALL_LINEAR = "all-linear"  # every linear layer of the base but its output head


@dataclass(frozen=True)
class Recipe:
    name: str
    init: str = "fresh"  # where the adapter starts; "continue" and "stack" are not built
    rank: int = 16
    alpha: float = 32.0  # the update is scaled by alpha / rank
    dropout: float = 0.0
    target_modules: str | tuple[str, ...] = ALL_LINEAR
    train_on: str = "responses"  # which tokens have a loss: "responses" or "all"
    learning_rate: float = 2e-4
    warmup_steps: int = 10
    final_rate_share: float = 0.1  # of learning_rate, reached linearly at the last step
    weight_decay: float = 0.0
    clip: float = 1.0  # norm of the gradient
    max_steps: int = 1000
    max_epochs: float = 3.0  # whichever of the two ends first
    row_tokens: int = 1024  # length of a packed row
    batch_rows: int = 4
    accumulate: int = 1  # batches per step
    replay_share: float = 0.0  # of the rows of a batch that are general text
    precision: str = "auto"  # "auto": bf16 where the device computes it, else fp32
    device: str = "auto"  # "auto": cuda when there is one
    gradient_checkpointing: bool = False  # slower (0.7x), but a large base fits
    eval_every: int = 50  # steps between looks at the validation split
    validation_rows: int = 64  # packed rows looked at, at most
    patience: int = 3  # looks without a better loss after which training ends

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        if not isinstance(self.target_modules, str):
            values["target_modules"] = list(self.target_modules)
        return values


# Bounds: (type, low, high); both ends allowed.
NUMBERS: dict[str, tuple[type, float, float]] = {
    "rank": (int, 1, 256),
    "alpha": (float, 1e-3, 4096),
    "dropout": (float, 0, 0.5),
    "learning_rate": (float, 0, 1),
    "warmup_steps": (int, 0, 100_000),
    "final_rate_share": (float, 0, 1),
    "weight_decay": (float, 0, 1),
    "clip": (float, 1e-3, 1000),
    "max_steps": (int, 1, 10_000_000),
    "max_epochs": (float, 0.01, 1000),
    "row_tokens": (int, 16, 131_072),
    "batch_rows": (int, 1, 4096),
    "accumulate": (int, 1, 4096),
    "replay_share": (float, 0, 0.9),
    "eval_every": (int, 1, 1_000_000),
    "validation_rows": (int, 1, 100_000),
    "patience": (int, 1, 1000),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "init": ("fresh",),
    "train_on": ("responses", "all"),
    "precision": ("auto", "bf16", "fp32"),
    "device": ("auto", "cpu", "cuda"),
}


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
    known = [field.name for field in fields(Recipe)]
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"{key}: unknown key (value {value!r}); allowed: {', '.join(known)}")
    if isinstance(values.get("target_modules"), list):
        values = {**values, "target_modules": tuple(values["target_modules"])}
    return Recipe(**{key: _number(key, value) for key, value in values.items()})


def _number(key: str, value: Any) -> Any:
    # YAML 1.1 reads 2e-4 as text: a number needs a dot there (2.0e-4).
    if key in NUMBERS and NUMBERS[key][0] is float and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _check(key: str, value: object) -> None:
    if key in NUMBERS:
        kind, low, high = NUMBERS[key]
        number = int if kind is int else int | float
        # bool is an int in Python; NaN fails every comparison.
        if isinstance(value, bool) or not isinstance(value, number) or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{key}: got {value!r}; allowed: {what} from {low:g} to {high:g}")
    elif key in CHOICES:
        if value in {"continue", "stack"} and key == "init":
            raise ValueError(
                f"init: {value!r} is not built; allowed: fresh (an adapter is always trained from "
                "the base, so that its bytes follow from corpus, recipe and seed alone)"
            )
        if value not in CHOICES[key]:
            raise ValueError(f"{key}: got {value!r}; allowed: {', '.join(CHOICES[key])}")
    elif key == "gradient_checkpointing":
        if not isinstance(value, bool):
            raise ValueError(f"{key}: got {value!r}; allowed: true, false")
    elif key == "target_modules":
        names = isinstance(value, tuple) and value and all(isinstance(n, str) and n for n in value)
        if value != ALL_LINEAR and not names:
            shown = list(value) if isinstance(value, tuple) else value
            raise ValueError(f"{key}: got {shown!r}; allowed: {ALL_LINEAR}, or a list of names")
    elif not isinstance(value, str) or not value:
        raise ValueError(f"{key}: got {value!r}; allowed: a text that is not empty")
