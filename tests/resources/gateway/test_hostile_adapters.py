"""Hostile adapters, handed to a running gateway as an administrator would: none is loaded.

The 22 attacks are those that PEFT's own loader was tried with, plus the ones on signature, base and
order of releases. More cases, each with its message: test_gateway_gate.py.
"""

import json
import shutil

import pytest

from tests.resources.gateway import test_gateway_gate as gate
from tests.resources.gateway import world


def half_the_tensors(tensors):
    for name in sorted(tensors)[::2]:
        del tensors[name]


def flipped_bit(folder):
    file = folder / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 0x40
    file.write_bytes(data)


CASES = gate.HOSTILE
# name: (change, signed after it: the maker's key was stolen)
ATTACKS = {
    "pickle instead of safetensors": (CASES["pickle by another name"][0], True),
    "pickle beside the weights": (CASES["pickle beside it"][0], True),
    "code beside the weights": (CASES["code beside it"][0], True),
    "truncated": (CASES["truncated"][0], True),
    "header that asks for 4 EiB": (CASES["header bomb"][0], True),
    "tensors that overlap": (CASES["tensors that overlap"][0], True),
    "rank other than the weights": (CASES["other rank than the weights"][0], True),
    "another method": (CASES["other method"][0], True),
    "configuration that is no JSON": (gate.raw_config("{"), False),
    "pattern for layers": (CASES["layers_pattern"][0], True),
    "class to import": (CASES["auto_mapping"][0], True),
    "pattern that never ends": (CASES["regex"][0], True),
    "values that are not numbers": (CASES["nan"][0], True),
    "half of the tensors": (gate.weights(half_the_tensors), True),
    "output head of the base": (CASES["overwrites the output head"][0], True),
    "embedding of the base": (CASES["tensor of the base"][0], True),
    "modules to save": (CASES["modules_to_save"][0], True),
    "scaling of 1e30": (CASES["alpha"][0], True),
    "start that rewrites the base": (CASES["init that edits the base"][0], True),
    "flipped bit": (flipped_bit, False),
    "of another base": ("base", True),
    "signed with another key": ("key", True),
}
NUMBER = 22


@pytest.fixture(scope="module")
def other_base(tmp_path_factory):
    return world.make_base(tmp_path_factory.mktemp("other"), seed=9)


@pytest.fixture(scope="module")
def answers(gateway):
    """What is loaded, and what it says, before the attacks."""
    models = ["base", *gateway.client.health()["adapters"]]
    return {m: gateway.client.chat(m, "Rent?", temperature=0, max_tokens=8).text for m in models}


def hostile(attack, tmp_path, good, digest, other_base):
    change, signed = ATTACKS[attack]
    if change == "base":
        return world.make_adapter(tmp_path, other_base, "legal", 91)
    folder = shutil.copytree(good, tmp_path / "adapter")
    if change == "key":
        gate.config(lora_alpha=9)(folder)
        world.write_manifest(folder, digest, "legal", key=b"a key of somebody else")
        return folder
    change(folder)
    if signed:
        world.write_manifest(folder, digest, "legal")
    return folder


@pytest.mark.parametrize("attack", ATTACKS)
def test_none_is_loaded(gateway, answers, adapters, attack, tmp_path, digest, other_base):
    folder = hostile(attack, tmp_path, adapters["legal"][0], digest, other_base)
    name = json.loads((folder / "manifest.json").read_text())["name"]
    if attack in ("flipped bit", "configuration that is no JSON"):
        name = "legal@0123456789ab"  # else the one that it was is there already
        manifest = json.loads((folder / "manifest.json").read_text())
        digest_of_it = "0123456789ab" + manifest["digest"][12:]
        changed = {**manifest, "name": name, "digest": digest_of_it}
        (folder / "manifest.json").write_text(json.dumps(world.sign(changed, world.SIGNING_KEY)))
    reply = gate.upload(gateway, folder, name)
    assert reply.status_code in (400, 403, 422), reply.text
    health = gateway.client.health()
    assert health["status"] == "ok"
    assert ["base", *health["adapters"]] == list(answers)


def test_they_are_all_there_and_nothing_answers_otherwise(gateway, answers):
    assert len(ATTACKS) == NUMBER
    for model, text in answers.items():
        assert gateway.client.chat(model, "Rent?", temperature=0, max_tokens=8).text == text
