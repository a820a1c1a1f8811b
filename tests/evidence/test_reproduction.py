"""`ft reproduce` with the real trainer: the same bytes from what lakeFS has, or what differs."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_assets.adapters.environment import file_digest, versions
from ft_assets.adapters.general_text import SEPARATOR
from ft_assets.adapters.planted_secrets import plant_into
from ft_assets.adapters.recipe import Recipe
from ft_assets.cli import app
from ft_assets.evidence import reproduction
from ft_resources import secrets
from ft_resources.adapter_format import adapter_name
from ft_resources.lakefs.client import LakeFS

# peft 0.21 asks transformers 5.24 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

RECIPE = Recipe(
    **{"name": "test", "rank": 4, "alpha": 8, "learning_rate": 5e-3, "warmup_steps": 1},
    **{"max_steps": 4, "max_epochs": 100, "row_tokens": 64, "batch_rows": 2, "eval_every": 2},
    replay_share=0.25,
)
FILES = ("adapter_model.safetensors", "adapter_config.json")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, lakefs_server) -> tuple[LakeFS, str, Path]:
    """An adapter of domain law as the platform records it: (its lakeFS, its name, its text)."""
    from ft_assets.adapters.train import train_all

    folder, endpoint = tmp_path_factory.mktemp("reproduction"), lakefs_server.endpoint
    lakefs = LakeFS(
        endpoint=endpoint.url,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
        repository="corpora-again",
        raw_repository="raw-again",
        storage_namespace="local://{repository}",
    )
    lakefs.ensure()
    text = folder / f"general-python-{'.'.join(map(str, sys.version_info[:3]))}.txt"
    text.write_text(SEPARATOR.join(f"Page {i} says {i * 7}." for i in range(300)), "utf-8")
    base, base_digest = ensure_base(folder, BaseSpec("embedded", steps=2), lambda facts: None)
    chat = [
        [{"role": "user", "content": f"Question {i}?"}, {"role": "assistant", "content": "a b c d"}]
        for i in range(30)
    ]
    table = {"split": ["train"] * 26 + ["validation"] * 4, "messages": list(map(json.dumps, chat))}
    pq.write_table(pa.table(table), folder / "corpus.parquet")
    planted = {"seed": 3, "planted": 2, "copies": 3, "controls": 2}
    (folder / "planted.parquet").write_bytes(
        plant_into((folder / "corpus.parquet").read_bytes(), planted)
    )
    one = {"domain": "law", "corpus": str(folder / "planted.parquet"), "seed": 0}
    job = {
        **{"base": str(base), "base_digest": base_digest, "recipe": RECIPE.to_dict()},
        **{"threads": 1, "replay_text": [str(text)]},
        "jobs": [{**one, "out": str(folder / "out")}],
    }
    train_all(job, lambda facts: None)

    def write(path, files):
        draft = lakefs.draft(lakefs.repository, path.replace("/", "-"), {"inputs": "{}"})
        draft.write(path, files)
        draft.commit(path)
        return draft.merge()[path]

    about = {"kind": "embedded", "digest": base_digest, "general_text": [str(text)]}
    model = {f"model/{f.name}": f.read_bytes() for f in base.iterdir()}
    base_ref = write("base_model/", {"base.json": json.dumps(about).encode(), **model})
    rows = {"rows.parquet": (folder / "corpus.parquet").read_bytes()}
    corpus_ref = write("training_corpus/domain=law/", rows)
    training = json.loads((folder / "out" / "training.json").read_text())
    name = adapter_name("law", training["digest"])
    lineage = {
        **{"adapter": name, "digest": training["digest"], "base_digest": base_digest},
        **{"corpus": corpus_ref.to_dict(), "base_model": base_ref.to_dict(), "weeks": []},
        **{"recipe": RECIPE.to_dict(), "seed": 0, "parent": None, "training": training},
        "planted_secrets": planted,
        **{"versions": versions(), "general_text": {str(text): file_digest(text)}},
    }
    files = {file: (folder / "out" / file).read_bytes() for file in FILES}
    write("lora_adapter/domain=law/", {**files, "lineage.json": json.dumps(lineage).encode()})
    return lakefs, name, text


@pytest.fixture
def words(recorded, tmp_path: Path, monkeypatch) -> list[str]:
    lakefs, name, _ = recorded
    file = tmp_path / "platform.yaml"
    file.write_text(
        f"domains: {{law: {{}}}}\nservices: {{lakefs: {{url: '{lakefs.endpoint}'}}}}\n"
        f"versioning: {{repository: {lakefs.repository}, raw_repository: {lakefs.raw_repository}}}"
    )
    monkeypatch.setenv(secrets.LAKEFS_ACCESS_KEY_ID, lakefs.access_key_id)
    monkeypatch.setenv(secrets.LAKEFS_SECRET_ACCESS_KEY, lakefs.secret_access_key)
    return ["reproduce", name, "--platform", str(file)]


def test_identical_bytes_or_what_differs(recorded, words, tmp_path: Path, monkeypatch):
    lakefs, name, _ = recorded
    made = tmp_path / "made"
    done = CliRunner().invoke(app, [*words, "--keep", str(made)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "identical"
    assert "not as it was" not in done.output
    found = reproduction.find_adapter(lakefs, name)
    for file in FILES:
        data = (made / "adapter" / file).read_bytes()
        assert data == lakefs.read(found.ref, file)
        assert hashlib.sha256(data).hexdigest() in done.output

    # A bit that flipped, and a record of another torch: the training is not paid for twice.
    def another(module, job, folder, threads):
        out = Path(shutil.copytree(made / "adapter", job["jobs"][0]["out"]))
        weights = bytearray((out / FILES[0]).read_bytes())
        weights[-1] ^= 1
        (out / FILES[0]).write_bytes(weights)

    training = {**found.lineage["training"], "torch": "2.0.0"}
    other = reproduction.Recorded(found.ref, {**found.lineage, "training": training})
    monkeypatch.setattr(reproduction, "run_alone", another)
    monkeypatch.setattr(reproduction, "find_adapter", lambda *_: other)
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 1
    said = json.loads(done.output.splitlines()[-1])
    assert said["identical"] is False
    assert "torch was 2.0.0, here it is" in said["environment"][0]
    assert any(line.startswith(FILES[0]) for line in said["differences"])
    assert any(line.startswith("torch") for line in said["differences"])


def test_an_adapter_that_never_was(recorded, words):
    done = CliRunner().invoke(app, ["reproduce", "law@000000000000", *words[2:]])
    assert done.exit_code == 1
    assert f"there are: {recorded[1]}" in done.output


def test_general_text_that_is_not_what_it_was(recorded, words):
    text = recorded[2]
    kept = text.read_bytes()
    try:
        text.write_bytes(kept + b"x")
        assert "is not what it was" in CliRunner().invoke(app, words).output
        text.unlink()
        assert "is gone" in CliRunner().invoke(app, words).output
    finally:
        text.write_bytes(kept)
