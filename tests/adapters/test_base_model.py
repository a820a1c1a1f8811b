import json
import subprocess
import sys

import pytest

from ft_assets.adapters.base_model import BaseSpec, as_exchange, ensure_base, rate_share
from ft_assets.adapters.general_text import SEPARATOR, write_general_text

WORDS = ["the", "cat", "and", "a", "dog", "went", "to", "market", "because", "it", "was", "open"]


def small_text(folder):
    """Stand in for the general text of the platform, which takes seconds to collect."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = [
        f"Document {i}. " + " ".join(WORDS[(i * j) % len(WORDS)] for j in range(60))
        for i in range(300)
    ]
    version = ".".join(map(str, sys.version_info[:3]))
    (folder / f"general-python-{version}.txt").write_text(SEPARATOR.join(documents), "utf-8")
    assert write_general_text(folder).read_text("utf-8") == SEPARATOR.join(documents)


def test_the_embedded_base_is_made_once_and_byte_equal(tmp_path):
    told = []
    made = []
    for name, threads in (("a", 1), ("b", 2)):
        small_text(tmp_path / name)
        spec = BaseSpec("embedded", steps=3, threads=threads)
        made.append(ensure_base(tmp_path / name, spec, told.append))
    assert made[0][1] == made[1][1]
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "training.json"} <= {
        file.name for file in made[0][0].iterdir()
    }
    assert [facts["step"] for facts in told if "step" in facts] == [3, 3]

    before = len(told)
    assert (
        ensure_base(tmp_path / "a", BaseSpec("embedded", steps=3, threads=1), told.append)
        == (made[0])
    )
    assert len(told) == before
    other = ensure_base(tmp_path / "a", BaseSpec("embedded", steps=3, seed=1), told.append)
    assert other[1] != made[0][1]
    # A local folder is used in place.
    path = BaseSpec("path", path=str(made[0][0]))
    assert ensure_base(tmp_path / "unused", path, told.append) == made[0]


def test_a_making_that_is_killed_leaves_no_base(tmp_path):
    cache = tmp_path / "cache"
    small_text(cache)
    file = tmp_path / "spec.json"
    job = {"kind": "embedded", "steps": 100_000, "threads": 1, "cache": str(cache)}
    file.write_text(json.dumps({**job, "out": str(tmp_path / "out.json")}))
    command = [sys.executable, "-m", "ft_assets.adapters.base_model", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any("tokens=" in line for line in process.stdout)
    process.kill()
    process.communicate()
    assert not (tmp_path / "out.json").exists()
    assert not list(cache.glob("embedded-*"))
    assert list(cache.glob(".embedded-*"))
    folder, _ = ensure_base(cache, BaseSpec("embedded", steps=1), lambda facts: None)
    assert [f.name for f in cache.glob("*embedded-*")] == [folder.name]
    assert not list(cache.glob(".embedded-*"))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"kind": "embeded"}, "allowed: embedded, path, hub"),
        ({"kind": "path"}, "'path' needs the folder"),
        ({"kind": "hub"}, "'hub' needs the name"),
        ({"kind": "embedded", "steps": 0}, "got 0"),
    ],
)
def test_a_wrong_spec(spec, says):
    with pytest.raises(ValueError, match=says):
        BaseSpec(**spec)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (BaseSpec("path", path="/nowhere"), "no base model at /nowhere"),
        (BaseSpec("hub", id="nobody/nothing", revision="v1"), "hf download nobody/nothing --rev"),
        (BaseSpec("embedded", text=("/nowhere.txt",)), "no file at /nowhere.txt"),
    ],
)
def test_a_base_that_is_not_there(tmp_path, spec, says):
    small_text(tmp_path)
    with pytest.raises(FileNotFoundError, match=says):
        ensure_base(tmp_path, spec, lambda facts: None)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("What is x?\n\nIt is y.", ("What is x?", "It is y.")),
        ("First. Second one. Third.", ("First.", "Second one. Third.")),
        ("only one piece", None),
        ("y" * 400 + ". rest", None),
    ],
)
def test_a_document_as_question_and_answer(document, expected):
    exchange = as_exchange(document)
    found = tuple(message["content"] for message in exchange) if exchange else None
    assert found == expected


def test_the_rate_goes_up_then_down():
    rates = [rate_share(step, 100, 10, 0.1) for step in range(1, 101)]
    assert rates.index(max(rates)) == 10
    assert rates[0] < 0.1
    assert rates[-1] == pytest.approx(0.1)
    assert rate_share(1, 1, 0, 0.5) == pytest.approx(0.5)
