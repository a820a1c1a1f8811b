"""No adapter that is not a plain, finite, signed LoRA of this base gets in, by no way."""

import json
import os
import pickle
import shutil

import pytest
import requests

from ft_resources.adapter_format import (
    adapter_digest,
    adapter_name,
    base_digest,
)
from ft_resources.adapter_manifest import check_adapter, read_manifest
from ft_resources.signing import sign, verify
from tests.resources.gateway import world

Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture
def adapter(tmp_path, adapters):
    return shutil.copytree(adapters["legal"][0], tmp_path / "adapter")


def config(**change):
    def edit(folder):
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))

    return edit


def raw_config(text):
    return lambda folder: (folder / "adapter_config.json").write_text(text)


def weights(change):
    def edit(folder):
        from safetensors.torch import load_file, save_file

        file = folder / "adapter_model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file)

    return edit


def poisoned(tensors, value):
    tensors[f"{Q_PROJ}.lora_A.weight"][0, 0] = value


def with_head(tensors):
    import torch

    tensors["base_model.model.lm_head.weight"] = torch.zeros(320, 32)


def renamed(tensors):
    tensors[f"{Q_PROJ}.lora_magnitude_vector"] = tensors.pop(f"{Q_PROJ}.lora_A.weight")


def narrowed(tensors):
    name = f"{Q_PROJ}.lora_A.weight"
    tensors[name] = tensors[name][:, :-1].contiguous()


def integers(tensors):
    name = f"{Q_PROJ}.lora_A.weight"
    tensors[name] = tensors[name].int()


def cut(folder):
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def padded(folder):
    with (folder / "adapter_model.safetensors").open("ab") as out:
        out.write(b"x" * 100)


def overlapping(folder):
    file = folder / "adapter_model.safetensors"
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    first, second, *_ = (name for name in header if name != "__metadata__")
    header[second]["data_offsets"] = header[first]["data_offsets"]
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def with_embedding(tensors):
    import torch

    tensors["base_model.model.model.embed_tokens.weight"] = torch.zeros(320, 32)


def disguised(folder):
    (folder / "adapter_model.safetensors").write_bytes(pickle.dumps({}))


def header_bomb(folder):
    size = (2**62).to_bytes(8, "little")
    (folder / "adapter_model.safetensors").write_bytes(size + b"{}")


def pickled(folder):
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({}))


def linked(folder):
    file = folder / "adapter_model.safetensors"
    target = folder.parent / "elsewhere"
    file.rename(target)
    file.symlink_to(target)


# Each is signed after the change: a maker who went wrong, or whose key was stolen.
HOSTILE = {
    "pickle beside it": (pickled, "adapter_model.bin"),
    "code beside it": (lambda f: (f / "modeling.py").write_text(""), "modeling.py"),
    "weights behind a link": (linked, "plain file"),
    "truncated": (cut, "not a readable safetensors"),
    "header bomb": (header_bomb, "not a readable safetensors"),
    "nan": (weights(lambda t: poisoned(t, float("nan"))), "not finite"),
    "infinite": (weights(lambda t: poisoned(t, float("inf"))), "not finite"),
    "wrong shape": (weights(narrowed), "has shape"),
    "wrong type": (weights(integers), "is I32"),
    "missing tensor": (weights(lambda t: t.pop(f"{Q_PROJ}.lora_B.weight")), "is missing"),
    "tensor of another method": (weights(renamed), "does not belong"),
    "overwrites the output head": (weights(with_head), "lm_head.weight does not belong"),
    "modules_to_save": (config(modules_to_save=["lm_head"]), "modules_to_save"),
    "regex": (config(target_modules="(a+)+$"), "target_modules"),
    "regex in the list": (config(target_modules=["(a+)+$"]), "target_modules"),
    "no targets": (config(target_modules=[]), "target_modules"),
    "unknown target": (config(target_modules=[*world.TARGETS, "gate"]), "named gate"),
    "head as target": (config(target_modules=[*world.TARGETS, "lm_head"]), "named lm_head"),
    "embedding as target": (config(target_modules=["embed_tokens"]), "embed_tokens"),
    "auto_mapping": (config(auto_mapping={"parent_library": "os"}), "auto_mapping"),
    "layers_pattern": (config(layers_pattern="(a+)+$"), "layers_pattern"),
    "layers_to_transform": (config(layers_to_transform=0), "layers_to_transform"),
    "rank_pattern": (config(rank_pattern={"q_proj": 9}), "rank_pattern"),
    "dora without its magnitudes": (config(use_dora=True), "lora_magnitude_vector is missing"),
    "dora by another word": (config(use_dora="yes"), "use_dora"),
    "bias": (config(bias="all"), "bias"),
    "init that edits the base": (config(init_lora_weights="pissa"), "init_lora_weights"),
    "other method": (config(peft_type="IA3"), "peft_type"),
    "other task": (config(task_type="SEQ_CLS"), "task_type"),
    "field of the future": (config(use_something_new=1), "use_something_new"),
    "alpha": (config(lora_alpha=1e30), "lora_alpha"),
    "alpha beyond every float": (config(lora_alpha=10**31), "lora_alpha"),
    "alpha of 0": (config(lora_alpha=0), "lora_alpha"),
    "alpha as text": (config(lora_alpha="8"), "lora_alpha"),
    "rank": (config(r=10**6), "r is"),
    "rank of 0": (config(r=0), "r is"),
    "rank of true": (config(r=True), "r is"),
    "init of 1": (config(init_lora_weights=1), "init_lora_weights"),
    "object as version": (config(peft_version={"a": 1}), "peft_version"),
    "bytes after the tensors": (padded, "not a readable safetensors"),
    "tensors that overlap": (overlapping, "not a readable safetensors"),
    "tensor of the base": (weights(with_embedding), "embed_tokens.weight does not belong"),
    "pickle by another name": (disguised, "not a readable safetensors"),
    "hidden file": (lambda f: (f / ".x").write_text(""), ".x"),
    "other rank than the weights": (config(r=8), "has shape"),
    "dropout": (config(lora_dropout=2), "lora_dropout"),
}

# These cannot even be signed: the digest asks for canonical JSON.
UNSIGNABLE = {
    "config is NaN": raw_config('{"r": NaN}'),
    "config is infinite": raw_config('{"lora_alpha": 1e999}'),
    "config has a number without end": raw_config('{"r": ' + "9" * 5000 + "}"),
    "config is UTF-16": lambda f: (f / "adapter_config.json").write_bytes("{}".encode("utf-16")),
    "config is no JSON": raw_config("{"),
    "config is a list": raw_config("[]"),
    "config is deep": raw_config("[" * 30_000),
    "config is huge": raw_config('{"a": "' + "x" * 100_000 + '"}'),
}


def test_a_good_adapter_passes(adapter, base, digest):
    check_adapter(adapter, base, digest)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_adapter(adapter, base, digest, case):
    change, message = HOSTILE[case]
    change(adapter)
    world.write_manifest(adapter, digest, "legal")
    with pytest.raises(ValueError, match=message):
        check_adapter(adapter, base, digest)


@pytest.mark.parametrize("case", UNSIGNABLE)
def test_configuration_that_is_none(adapter, base, digest, case):
    UNSIGNABLE[case](adapter)
    with pytest.raises(ValueError, match=r"adapter_config\.json"):
        check_adapter(adapter, base, digest)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
def test_changed_after_signing(adapter, base, digest, file):
    if file == "adapter_config.json":
        config(lora_alpha=16)(adapter)
    else:
        data = bytearray((adapter / file).read_bytes())
        data[-1] ^= 1
        (adapter / file).write_bytes(data)
    with pytest.raises(ValueError, match="does not match the files"):
        check_adapter(adapter, base, digest)


@pytest.mark.parametrize("missing", ["manifest.json", "adapter_config.json"])
def test_missing_file(adapter, base, digest, missing):
    (adapter / missing).unlink()
    with pytest.raises(ValueError, match=missing):
        check_adapter(adapter, base, digest)


def test_other_base(adapter, base, digest, tmp_path):
    other = world.make_base(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match="made for base"):
        check_adapter(adapter, other, base_digest(other))


def test_digest_does_not_hang_on_places_or_order(adapter, digest):
    before = adapter_digest(adapter, digest)
    config(base_model_name_or_path="/elsewhere", revision="x")(adapter)
    config(target_modules=world.TARGETS[::-1])(adapter)
    assert adapter_digest(adapter, digest) == before
    config(lora_alpha=9)(adapter)
    assert adapter_digest(adapter, digest) != before
    assert adapter_digest(adapter, "0" * 64) != adapter_digest(adapter, digest)


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"]
)
def test_base_digest_covers(base, tmp_path, file):
    copy = shutil.copytree(base, tmp_path / "base")
    assert base_digest(copy) == base_digest(base)
    (copy / "README.md").write_text("no part of the model")
    assert base_digest(copy) == base_digest(base)
    with (copy / file).open("ab") as out:
        out.write(b" ")
    assert base_digest(copy) != base_digest(base)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_incomplete_base(base, tmp_path, file):
    copy = shutil.copytree(base, tmp_path / "base")
    (copy / file).unlink()
    with pytest.raises(FileNotFoundError, match="base model"):
        base_digest(copy)


def test_base_with_pickles(base, tmp_path):
    copy = shutil.copytree(base, tmp_path / "base")
    (copy / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin"):
        base_digest(copy)


def test_signature():
    manifest = sign({"name": "a", "generation": 1}, b"key")
    verify(manifest, b"key")
    assert sign(manifest, b"key") == manifest
    for wrong in (
        {**manifest, "generation": 2},
        {**manifest, "more": None},
        {k: v for k, v in manifest.items() if k != "signature"},
        {**manifest, "signature": "ü"},
        {**manifest, "signature": None},
        sign(manifest, b"another key"),
    ):
        with pytest.raises(ValueError, match="sign"):
            verify(wrong, b"key")
    with pytest.raises(ValueError, match="empty"):
        sign({}, b"")


@pytest.mark.parametrize(
    "change",
    [
        *({"name": "finance@0"}, {"digest": "x"}, {"generation": "1"}, {"seed": True}),
        *({"domain": None}, {"eval_report_digest": ""}, {"corpus_digest": None}),
    ],
)
def test_manifest_that_contradicts_itself(adapter, change):
    file = adapter / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=r"manifest\.json"):
        read_manifest(adapter)


@pytest.mark.parametrize("version", [None, 1, "2", True])
def test_a_manifest_of_another_version_says_what_to_do(adapter, version):
    file = adapter / "manifest.json"
    kept = {k: v for k, v in json.loads(file.read_text()).items() if k != "version"}
    file.write_text(json.dumps(kept if version is None else {**kept, "version": version}))
    with pytest.raises(ValueError, match="materialize canary_release of the domain again"):
        read_manifest(adapter)


def test_name():
    assert adapter_name("legal", "0123456789abcdef" * 4) == "legal@0123456789ab"


def upload(gateway, folder, name=None, key=world.ADMIN_KEY):
    name = name or json.loads((folder / "manifest.json").read_text())["name"]
    files = {file.name: (file.name, file.read_bytes()) for file in folder.iterdir()}
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{gateway.url}/admin/adapters/{name}"
    return requests.put(url, files=files, headers=headers, timeout=30)


# A link is sent as the file behind it: nothing hostile arrives.
@pytest.mark.parametrize("case", sorted(HOSTILE.keys() - {"weights behind a link"}))
def test_the_gateway_refuses_hostile_adapters(gateway, adapter, digest, case):
    HOSTILE[case][0](adapter)
    world.write_manifest(adapter, digest, "legal")
    before = gateway.client.health(), sorted((gateway.root / "adapters").iterdir())
    reply = upload(gateway, adapter)
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["message"]
    assert (gateway.client.health(), sorted((gateway.root / "adapters").iterdir())) == before
    assert not list((gateway.root / "incoming").iterdir())


def test_the_gateway_refuses_wrong_signatures(gateway, tmp_path, base, digest):
    folder = world.make_adapter(tmp_path, base, "legal", 77)
    for key in (b"another key", None):
        world.write_manifest(folder, digest, "legal", key=key or world.SIGNING_KEY)
        if key is None:
            file = folder / "manifest.json"
            changed = {**json.loads(file.read_text()), "corpus": "lakefs://elsewhere"}
            file.write_text(json.dumps(changed))
        with pytest.raises(PermissionError, match="signature does not match"):
            gateway.client.load_adapter(folder)


@pytest.mark.parametrize("domain", ["sports", ".."])
def test_the_gateway_refuses_domains_it_does_not_serve(gateway, adapter, digest, domain):
    world.write_manifest(adapter, digest, domain)
    assert upload(gateway, adapter).status_code in (404, 405, 422)


def test_the_gateway_refuses_another_name(gateway, adapter):
    reply = upload(gateway, adapter, name="legal@000000000000")
    assert reply.status_code == 422
    assert "not of" in reply.json()["error"]["message"]


def test_the_gateway_refuses_adapters_of_another_base(gateway, tmp_path):
    other = world.make_base(tmp_path / "other", seed=1)
    folder = world.make_adapter(tmp_path, other, "legal", 5)
    with pytest.raises(ValueError, match="which is not loaded"):
        gateway.client.load_adapter(folder)


def test_the_gateway_refuses_a_replayed_older_adapter(gateway, tmp_path, base, digest):
    old = world.make_adapter(tmp_path, base, "health", 8, generation=3)
    new = world.make_adapter(tmp_path, base, "health", 9, generation=4)
    client = gateway.client
    client.load_adapter(old)
    client.load_adapter(new)
    client.load_adapter(old)  # loaded: nothing to do
    client.unload(old.name)
    with pytest.raises(ValueError, match="signed for generation 3"):
        client.load_adapter(old)
    world.write_manifest(old, digest, "health", generation=5)
    assert client.load_adapter(old) == old.name


def test_loading_again_changes_nothing(gateway, adapters):
    folder = adapters["legal"][0]
    before = os.stat(gateway.root / "adapters" / folder.name)
    assert upload(gateway, folder).json() == {"name": folder.name, "created": False}
    assert os.stat(gateway.root / "adapters" / folder.name) == before


@pytest.mark.parametrize(
    ("path", "message"), [("/nowhere", "not a folder"), (None, "it was changed")]
)
def test_a_base_that_is_not_the_one(gateway, base, path, message):
    before = gateway.client.health()
    with pytest.raises(ValueError, match=message):
        gateway.client.load_base(path or base, "0" * 64)
    assert gateway.client.health() == before
