"""Adapters go out to plain PEFT and come in from it: equal logits out, a strict gate in."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from ft_assets.adapters.commands import app
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.start import save_adapter, start, target_modules
from ft_resources.adapter_format import base_digest, check_foreign
from tests.resources.gateway import world

# peft 0.21 asks transformers 5.24 by an old name, and warns of a prompt-tuned model's keys.
pytestmark = pytest.mark.filterwarnings("ignore")

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
Q_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
LOAD = """
import gc, sys
gc.disable()  # what is imported is kept: seconds
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, ids, out, threads = sys.argv[1:]
torch.set_num_threads(int(threads))  # sums of another number of threads differ in the last digit
model = AutoModelForCausalLM.from_pretrained(base)
model = PeftModel.from_pretrained(model, adapter).eval()
with torch.no_grad():
    torch.save(model(torch.load(ids)).logits, out)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return world.make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def model(base):
    return AutoModelForCausalLM.from_pretrained(base)


def test_what_we_train_answers_equally_in_plain_peft(base, model, tmp_path):
    """The model that was trained, and PEFT alone in a process that knows nothing of us."""
    ids = torch.tensor([AutoTokenizer.from_pretrained(base)("The tenant pays the rent.").input_ids])
    model = copy.deepcopy(model)
    recipe = Recipe("t", rank=4, alpha=8)
    targets = target_modules(model, recipe)
    trained = start(model, recipe, targets, 0, None, "").model
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=0.01)
    for _ in range(3):
        trained(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    trained.eval()
    with torch.no_grad():
        ours = trained(ids).logits
        with trained.disable_adapter():
            without = trained(ids).logits
    assert float((ours - without).abs().max()) > 0.01
    adapter, asked, answered = tmp_path / "adapter", tmp_path / "ids.pt", tmp_path / "logits.pt"
    adapter.mkdir()
    save_adapter(trained, targets, adapter)
    torch.save(ids, asked)
    words = [*map(str, (base, adapter, asked, answered)), str(torch.get_num_threads())]
    # Elsewhere, so that nothing of this project can be imported.
    subprocess.run([sys.executable, "-I", "-c", LOAD, *words], check=True, cwd=tmp_path)
    assert torch.equal(torch.load(answered), ours)


def lora(**change):
    config = {"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    return lambda: LoraConfig(**{**config, **change})


def tensors(change):
    def edit(folder):
        found = load_file(folder / WEIGHTS)
        change(found)
        save_file(found, folder / WEIGHTS)

    return edit


def filled(name, value):
    return tensors(lambda found: found[name].fill_(value))


def pickled(folder):
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def in_bf16(found):
    for name in found:
        found[name] = found[name].bfloat16()


# What plain PEFT saves: how it is made, what is then done to it, what the gate says (None: passes).
FOREIGN = {
    "attention alone": (lora(target_modules=["q_proj", "v_proj"]), None, None),
    "every linear layer": (lora(target_modules="all-linear"), None, None),
    "rank 32": (lora(r=32, lora_alpha=64, lora_dropout=0.1), None, None),
    "bf16": (lora(), tensors(in_bf16), None),
    "one module by its path": (
        lora(target_modules=["model.layers.1.self_attn.q_proj"]),
        None,
        None,
    ),
    "rank above the limit": (lora(r=33), None, "r is 33; allowed: 1 to 32"),
    "rsLoRA": (lora(use_rslora=True), None, "use_rslora is True"),
    "DoRA": (lora(use_dora=True), None, None),
    "bias": (lora(bias="lora_only"), None, "bias is 'lora_only'; allowed: none"),
    "LoRA on a bias": (lora(lora_bias=True), None, "lora_bias is True"),
    "modules_to_save": (lora(modules_to_save=["lm_head"]), None, "modules_to_save"),
    "the output head": (lora(target_modules=["lm_head"]), None, "named lm_head"),
    "embeddings": (lora(target_modules=["embed_tokens"]), None, "named embed_tokens"),
    "rank by layer": (lora(rank_pattern={"layers.0": 2}), None, "rank_pattern"),
    "one layer": (lora(layers_to_transform=[0]), None, "layers_to_transform"),
    "new tokens": (lora(trainable_token_indices=[1]), None, "trainable_token_indices"),
    "targets as a pattern": (lora(target_modules=".*q_proj"), None, "would be a pattern"),
    "PiSSA": (lora(init_lora_weights="pissa"), None, "init_lora_weights is 'pissa'"),
    "IA3": (
        lambda: IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"], feedforward_modules=[]),
        None,
        "peft_type is 'IA3'",
    ),
    "prompt tuning": (
        lambda: PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        None,
        "peft_type is 'PROMPT_TUNING'",
    ),
    "another task": (lora(task_type="FEATURE_EXTRACTION"), None, "task_type"),
    "a pickle": (lora(), pickled, "adapter_model.bin: not a file of an adapter"),
    "NaN": (lora(), filled(Q_A, float("nan")), "not finite"),
    "an extra tensor": (
        lora(),
        tensors(lambda found: found.update(extra=torch.zeros(1))),
        "extra does not belong",
    ),
    "a missing tensor": (lora(), tensors(lambda found: found.pop(Q_A)), "is missing"),
    "another shape": (
        lora(),
        tensors(lambda found: found.update({Q_A: torch.zeros(4, 16)})),
        "has shape",
    ),
}


def peft_saves(model, config, folder):
    get_peft_model(copy.deepcopy(model), config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("case", FOREIGN)
def test_an_adapter_made_by_plain_peft(base, model, tmp_path, case):
    config, change, reason = FOREIGN[case]
    folder = peft_saves(model, config(), tmp_path / "adapter")
    if change:
        change(folder)
    if reason is None:
        assert check_foreign(folder, base, max_rank=32).parameters > 0
        # What the gate lets in, PEFT loads without a tensor left over.
        loaded = PeftModel.from_pretrained(copy.deepcopy(model), folder)
        assert loaded.peft_config["default"].peft_type == "LORA"
    else:
        with pytest.raises(ValueError, match=re.escape(reason)):
            check_foreign(folder, base, max_rank=32)


def test_the_command_says_what_an_adapter_is_or_why_not(base, model, tmp_path):
    folder = peft_saves(model, lora()(), tmp_path / "adapter")
    words = ["--base", str(base), "--platform", str(tmp_path / "none.yaml"), "--json"]
    done = CliRunner().invoke(app, [str(folder), *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["base_digest"] == base_digest(base)
    assert (found["rank"], found["layers"], found["parameters"]) == (4, 2, 2 * (4 * 32 * 2))
    assert "no manifest.json" in found["signature"]

    (folder / "README.md").unlink()
    name = world.write_manifest(folder, base_digest(base), "legal")
    signed = CliRunner().invoke(
        app, [str(folder), *words], env={"FT_SIGNING_KEY": world.SIGNING_KEY.decode()}
    )
    assert json.loads(signed.output)["name"] == name
    assert json.loads(signed.output)["signature"] == "of the key of this platform"
    forged = CliRunner().invoke(app, [str(folder), *words], env={"FT_SIGNING_KEY": "another"})
    assert forged.exit_code == 1
    assert "signature does not match" in json.loads(forged.output)["reason"]

    filled(Q_A, float("inf"))(folder)
    world.write_manifest(folder, base_digest(base), "legal")
    refused = CliRunner().invoke(app, [str(folder), *words])
    assert refused.exit_code == 1
    assert "not finite" in json.loads(refused.output)["reason"]
