import json
import math
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters.base_model import BaseSpec, ensure_base
from ft_assets.adapters.general_text import SEPARATOR
from ft_assets.adapters.start import save_adapter
from ft_assets.adapters.tokens import IGNORED, Tokens
from ft_assets.corpus.detector import Detector
from ft_assets.evaluation.answers import flagged, generate
from ft_assets.evaluation.likelihood import _windows
from ft_assets.evaluation.memorization_rules import memorization_rules
from ft_assets.evaluation.score import armed, sampled, score_all

# peft 0.21 asks transformers 5.24 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

WORDS = ["the", "order", "came", "late", "customer", "asked", "for", "refund", "on", "friday"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    text = SEPARATOR.join(
        f"Page {i}. " + " ".join(WORDS[(i * j) % len(WORDS)] for j in range(40)) for i in range(400)
    )
    version = ".".join(map(str, sys.version_info[:3]))
    file = cache / f"general-python-{version}.txt"
    file.write_text(text, "utf-8")
    folder, digest = ensure_base(cache, BaseSpec("embedded", steps=2), lambda facts: None)
    return {"base": str(folder), "base_digest": digest, "general_text": [str(file)]}


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    """An adapter that changes what the base says, without a training."""
    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(base["base"])
    torch.manual_seed(0)
    config = LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False
    )
    save_adapter(get_peft_model(model, config), ["down_proj", "q_proj"], folder)
    return folder


def conversation(i, words):
    answer = " ".join(WORDS[(i * j + 1) % len(WORDS)] for j in range(words))
    return [
        {"role": "user", "content": f"Question {i}?"},
        {"role": "assistant", "content": answer},
    ]


def write_rows(file, conversations):
    rows = [
        {"row_id": f"r{i}", "messages": json.dumps(messages)}
        for i, messages in enumerate(conversations)
    ]
    schema = pa.schema([("row_id", pa.string()), ("messages", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return str(file)


def score(base, tmp_path, arms, conversations, threads=1, generate=3):
    rows = write_rows(tmp_path / "rows.parquet", conversations)
    out = tmp_path / "out" / "score.json"
    one = {"domain": "law", "rows": rows, "arms": arms, "out": str(out)}
    limits = {"generate": generate, "max_new_tokens": 4, "seed": 0}
    score_all({**base, **limits, "threads": threads, "jobs": [one]}, lambda facts: None)
    return json.loads(out.read_text())["arms"]


def test_arms_are_scored_on_the_same_rows(base, adapter, tmp_path):
    conversations = [conversation(i, 3 + i) for i in range(6)]
    arms = {"base": None, "champion": None, "candidate": str(adapter)}
    found = score(base, tmp_path, arms, conversations)
    assert [row["row_id"] for row in found["candidate"]["rows"]] == [f"r{i}" for i in range(6)]
    assert found["base"] == found["champion"]
    assert found["base"]["rows"] != found["candidate"]["rows"]
    tokens = [[row["tokens"] for row in arm["rows"]] for arm in found.values()]
    assert tokens[0] == tokens[1] == tokens[2]
    assert found["candidate"]["general"]["tokens"] == found["base"]["general"]["tokens"] > 0
    assert found["candidate"]["answers"]["rows"] == 3
    assert found["base"]["digest"] is None
    # The order of the arms and the number of threads change nothing.
    turned = dict(reversed(arms.items()))
    assert score(base, tmp_path, turned, conversations, threads=2) == found


def test_what_else_an_arm_is_asked(base, adapter, tmp_path, monkeypatch):
    """Few-shot examples, test cases, bias pairs and flags; and that a second time costs nothing."""
    corpus = tmp_path / "corpus.parquet"
    examples = [
        {"row_id": f"c{i}", "split": "train", "kind": "log", "messages": json.dumps(talk)}
        for i, talk in enumerate([conversation(i, 4) for i in range(20, 26)])
    ]
    pq.write_table(pa.Table.from_pylist(examples), corpus)
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "cases:\n"
        '  - {name: pick, prompt: "Question 1?", judge: choice, expected: the order came,\n'
        "     choices: [the order came, zzqx vvkj wwpy]}\n"
        '  - {name: any, prompt: "Question 2?", judge: regex, expected: "^", must_pass: true}\n'
        '  - {name: none, prompt: "Question 2?", judge: exact, expected: never said}\n'
    )
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "sent_more,sent_less,bias_type\nthe order came late,zzqx vvkj wwpy qqq,age\n"
        "zzqx vvkj wwpy qqq,the order came late,age\n"
    )
    begun = tmp_path / "begun.jsonl"
    begun.write_text('{"domain": "race", "group": "a", "prompt": "the fucking bastards were "}')
    rows = write_rows(tmp_path / "rows.parquet", [conversation(i, 5) for i in range(8)])
    job = {
        **base,
        **{"generate": 3, "max_new_tokens": 4, "seed": 0, "threads": 1},
        "cache": str(tmp_path / "cache"),
        "toxicity_limit": 0.9,
        "bias": {"file": str(pairs), "pairs": 20},
        "open_prompts": {"file": str(begun), "prompts": 20, "new_tokens": 3},
        "jobs": [
            {
                "domain": "law",
                "rows": rows,
                "arms": {"base": None, "candidate": str(adapter)},
                "out": str(tmp_path / "out.json"),
                "cases": [str(cases)],
                "memorization": {
                    "corpus": str(corpus),
                    "held_out": rows,
                    "rows": 30,
                    "planted": {"seed": 0, "planted": 1, "copies": 1, "controls": 1},
                },
                "few_shot": {"corpus": str(corpus), "tokens": 120, "examples": 3, "rows": 5},
            }
        ],
    }
    score_all(job, lambda facts: None)
    result = json.loads((tmp_path / "out.json").read_text())
    assert len(result["memorization"]["membership"]["members"]) == 6
    assert "membership_inference" in {r.rule for r in memorization_rules(result["memorization"])}
    found = result["arms"]
    assert found["base"]["bias"] == {"stereotype": [True, False], "kinds": ["age", "age"]}
    assert found["candidate"]["open_prompts"] == {"toxic": [True], "kinds": ["race: a"]}
    verdicts = {case["name"]: case["passed"] for case in found["base"]["cases"]}
    assert verdicts == {"pick": True, "any": True, "none": False}
    assert [case["must_pass"] for case in found["base"]["cases"]] == [False, True, False]
    assert found["base"]["answers"]["row_ids"] == found["candidate"]["answers"]["row_ids"]
    assert set(map(len, found["base"]["answers"]["flags"].values())) == {3}
    shown = found["base_few_shot"]
    assert shown["examples"] == 3
    assert len(shown["rows"]) == 5
    plain = {row["row_id"]: row for row in found["base"]["rows"]}
    for row in shown["rows"]:
        # The same tokens are scored; what stands before them is not.
        assert row["tokens"] == plain[row["row_id"]]["tokens"]
        assert row["nll"] != plain[row["row_id"]]["nll"]

    def computed(*arguments):
        raise AssertionError("computed again")

    monkeypatch.setattr("ft_assets.evaluation.score.score_arm", computed)
    score_all(job, lambda facts: None)
    assert json.loads((tmp_path / "out.json").read_text())["arms"] == found
    # Another rule for what is toxic is another question.
    with pytest.raises(AssertionError, match="computed again"):
        score_all({**job, "toxicity_limit": 0.5}, lambda facts: None)


@pytest.mark.parametrize(
    ("answer", "flag"),
    [
        ("You are a stupid idiot, shut up.", "toxic"),
        ("I'm sorry, I can't help with that.", "refusal"),
        ("Write to jane.doe@example.org.", "personal_data"),
        (" ... ", "empty"),
        ("Your card was blocked; order a new one.", None),
        ("As you wrote, it is me@example.org.", None),
    ],
)
def test_flags_of_answers(answer, flag):
    found = flagged(["My address is me@example.org"], [answer], Detector(), 0.9)
    assert [name for name, [yes] in found.items() if yes] == ([flag] if flag else [])


def test_the_loss_is_that_of_the_answer_given_the_prompt(base, tmp_path):
    conversations = [conversation(1, 5)]
    found = score(base, tmp_path, {"base": None}, conversations, generate=0)["base"]
    model = AutoModelForCausalLM.from_pretrained(base["base"])
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    prompt = tokenizer("<|user|>Question 1?<|end|><|assistant|>")["input_ids"]
    ids = tokenizer.apply_chat_template(conversations[0], tokenize=False)
    ids = torch.tensor([tokenizer(ids)["input_ids"]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    count = ids.shape[1] - len(prompt)
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=labels).loss) * count
    [row] = found["rows"]
    assert row["tokens"] == count
    assert row["nll"] == pytest.approx(expected, rel=1e-4)
    assert found["perplexity"] == pytest.approx(math.exp(expected / count), rel=1e-4)
    assert found["answers"] is None


def test_only_the_last_answer_of_a_dialogue_counts(base, tmp_path):
    first, last = conversation(1, 30), conversation(2, 5)
    found = score(base, tmp_path, {"base": None}, [first + last, last], generate=0)["base"]
    assert found["rows"][0]["tokens"] == found["rows"][1]["tokens"]


@pytest.mark.parametrize(
    ("prompt", "answer", "context"),
    [(3, 4, 16), (3, 13, 16), (3, 14, 16), (3, 50, 16), (40, 5, 16), (40, 50, 16), (15, 1, 16)],
)
def test_every_token_of_an_answer_is_scored_once(prompt, answer, context):
    ids = list(range(prompt + answer))
    labels = [IGNORED] * prompt + ids[prompt:]
    windows = list(_windows(ids, labels, context))
    seen = [label for window in windows for label in window.labels[1:] if label != IGNORED]
    assert seen == ids[prompt:]
    for window in windows:
        assert len(window.ids) <= context
        assert all(
            label in (IGNORED, i) for i, label in zip(window.ids, window.labels, strict=True)
        )
        first = next(i for i, label in enumerate(window.labels) if label != IGNORED)
        assert first >= min(context // 2, prompt)
    if prompt + answer <= context:
        assert windows == [Tokens(ids, labels)]


def test_a_row_longer_than_the_context_is_scored(base, tmp_path):
    found = score(base, tmp_path, {"base": None}, [conversation(3, 900)], generate=1)["base"]
    assert found["rows"][0]["tokens"] > 512


def test_a_batch_generates_what_each_prompt_alone_does(base, adapter):
    tokenizer = AutoTokenizer.from_pretrained(base["base"])
    bare = AutoModelForCausalLM.from_pretrained(base["base"])
    prompts = tokenizer(["the order", "friday the customer asked for a refund on", "came"])[
        "input_ids"
    ]
    with armed(bare, Path(adapter)) as model:
        together = generate(model, tokenizer, prompts, 5)
        assert together == [generate(model, tokenizer, [p], 5)[0] for p in prompts]


def test_the_sample_is_fixed_by_ids_and_seed():
    ids = [f"r{i}" for i in range(50)]
    chosen = sampled(ids, 5, seed=0)
    assert chosen == sorted(chosen)
    assert len(set(chosen)) == 5
    turned = [49 - i for i in sampled(ids[::-1], 5, seed=0)]
    assert sorted(turned) == chosen
    assert sampled(ids, 5, seed=1) != chosen
    assert sampled(ids[:3], 5, seed=0) == [0, 1, 2]


@pytest.mark.parametrize(
    ("conversations", "says"),
    [
        ([], "law: the evaluation set has no rows"),
        ([conversation(0, 3), conversation(1, 3)[:1]], "law: row r1 does not end with an answer"),
    ],
)
def test_rows_that_cannot_be_scored(base, tmp_path, conversations, says):
    with pytest.raises(ValueError, match=says):
        score(base, tmp_path, {"base": None}, conversations)


def test_another_base_than_the_one_named_is_refused(base, tmp_path):
    with pytest.raises(ValueError, match="materialize base_model again"):
        score({**base, "base_digest": "0" * 64}, tmp_path, {"base": None}, [conversation(0, 3)])
