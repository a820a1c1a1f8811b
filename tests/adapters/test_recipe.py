import pytest
import yaml

from ft_assets.adapters.recipe import RECIPES, Recipe, load_recipe, recipe_from


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda f: f.stem)
def test_every_recipe_loads_and_survives_a_job_file(file):
    recipe = load_recipe(file.stem)
    assert recipe.name == file.stem
    assert recipe_from(recipe.to_dict()) == recipe
    assert load_recipe(file) == recipe


def test_the_named_recipes_are_there():
    tiny = {"lora-tiny", "weekly-tiny", "underfit"}
    assert {f.stem for f in RECIPES.glob("*.yaml")} >= tiny | {"lora", "dora", "qlora", "full"}


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("rank", 0, "whole number from 1 to 256"),
        ("rank", 16.0, "whole number"),
        ("rank", True, "whole number"),
        ("learning_rate", "fast", "a number from 0 to 1"),
        ("learning_rate", float("nan"), "a number from 0 to 1"),
        ("replay_share", 1.0, "from 0 to 0.9"),
        ("train_on", "prompts", "responses, all"),
        ("init", "resume", "fresh"),
        ("precision", "fp16", "auto, bf16, fp32"),
        ("target_modules", [], "all-linear, or a list"),
        ("target_modules", "q.*", "all-linear, or a list"),
        ("gradient_checkpointing", "yes", "false, true"),
        ("lora_rank", 8, "unknown key"),
    ],
)
def test_a_wrong_value_names_file_key_value_and_what_is_allowed(tmp_path, key, value, says):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({key: value}))
    with pytest.raises(ValueError, match=r"mine\.yaml") as caught:
        load_recipe(file)
    message = str(caught.value)
    assert key in message
    assert repr(value) in message
    assert says in message


def test_a_rate_without_a_dot_is_a_number(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("learning_rate: 2e-4\n")
    assert load_recipe(file).learning_rate == 2e-4


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", ""])
def test_a_file_that_is_no_recipe(tmp_path, text):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        load_recipe(file)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(FileNotFoundError, match="lora-tiny"):
        load_recipe("lora-huge")


def test_module_names_are_kept_as_a_list_in_a_job_file():
    recipe = Recipe("x", target_modules=("q_proj",))
    assert recipe.to_dict()["target_modules"] == ["q_proj"]
    assert recipe_from(recipe.to_dict()) == recipe
