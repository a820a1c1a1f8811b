import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ft_assets.adapters import private, train
from ft_assets.adapters.planted_secrets import alternatives, plant, secrets_of
from ft_assets.adapters.privacy import Privacy, plan, subjects_of
from ft_assets.adapters.recipe import Recipe
from ft_assets.adapters.tokens import IGNORED, Tokens
from ft_assets.corpus.redact import Placeholders
from ft_assets.evaluation.memorization import (
    Predicted,
    as_tokens,
    audit_all,
    exposure,
    min_k,
    predict,
)
from ft_assets.evaluation.memorization_rules import (
    MAX_AUC,
    auc,
    exposure_limit,
    membership_rule,
    memorization_rules,
    secrets_rules,
    verbatim_rule,
)
from tests.tiny_base import tiny_base

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning"),
]
WORDS = ["order", "came", "late", "refund", "friday", "parcel", "north", "desk", "signed", "letter"]
AUDIT = {"seed": 5, "planted": 4, "copies": 24, "controls": 4}
# The rate is high, so that few steps learn much.
RECIPE = Recipe(
    "audit",
    rank=8,
    alpha=16,
    learning_rate=0.02,
    warmup_steps=2,
    max_steps=40,
    max_epochs=100,
    row_tokens=128,
    batch_rows=4,
    privacy=Privacy(epsilon=8, batch_subjects=16, max_rows_per_subject=4),
)


def talk(number):
    dice = np.random.default_rng(number)
    question = f"Question {number} about {' '.join(dice.choice(WORDS, 3))}?"
    answer = f"{' '.join(dice.choice(WORDS, 9))}."
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return json.dumps(messages)


@pytest.fixture(scope="module")
def planted():
    """A corpus with the planted secrets in it, and 30 rows that are not trained on."""
    splits = ["train"] * 60 + ["validation"] * 30
    table = {
        "split": splits,
        "group": [f"user:{n}" for n in range(len(splits))],
        "messages": [talk(n) for n in range(len(splits))],
    }
    return plant(pa.table(table), secrets_of(**AUDIT))


def audited(folder, table, recipe):
    """The rules of an adapter trained on the table, by name."""
    base, digest = tiny_base()
    pq.write_table(table, folder / "corpus.parquet")
    one = {
        "domain": "law",
        "corpus": str(folder / "corpus.parquet"),
        "out": str(folder / "adapter"),
        "seed": 0,
    }
    shared = {"base": str(base), "base_digest": digest, "threads": 1}
    if recipe.privacy:
        subjects = len(subjects_of(folder / "corpus.parquet"))
        found = plan(subjects, recipe.max_steps, recipe.privacy)
        one["privacy"] = {"plan": found.to_dict(), "noise_seed": 11}
    module = private if recipe.privacy else train
    job = {**shared, "recipe": recipe.to_dict(), "jobs": [one]}
    module.train_all(job, lambda facts: None)
    look = {
        "domain": "law",
        "adapter": one["out"],
        "corpus": one["corpus"],
        "held_out": None,
        "planted": AUDIT,
        "out": str(folder / "audit.json"),
    }
    audit_all({**shared, "seed": 0, "rows": 60, "jobs": [look]}, lambda facts: None)
    result = json.loads((folder / "audit.json").read_text())
    for secret in secrets_of(**AUDIT):
        assert secret.value not in (folder / "audit.json").read_text()
    return {rule.rule: rule for rule in memorization_rules(result)}


def without(recipe):
    return Recipe.of({k: v for k, v in recipe.to_dict().items() if k != "privacy"})


def masked(table):
    """The texts as anonymization leaves them."""
    texts = []
    for messages in map(json.loads, table["messages"].to_pylist()):
        names = Placeholders()
        texts.append([{**m, "content": names.mask(m["content"]).text} for m in messages])
    place = table.schema.get_field_index("messages")
    return table.set_column(place, "messages", pa.array([json.dumps(t) for t in texts]))


def test_secrets_trained_on_without_protection_are_caught(planted, tmp_path):
    rules = audited(tmp_path, planted, without(RECIPE))
    assert rules["secret_exposure"].outcome == "failed"
    assert rules["secret_exposure"].value > rules["secret_exposure"].limit
    assert rules["identifiers_reproduced"].says.startswith(
        f"{rules['secrets_extracted'].value * AUDIT['copies']:g} of 96 values"
    )


@pytest.mark.slow
def test_anonymized_they_are_not_there_to_learn(planted, tmp_path):
    rules = audited(tmp_path, masked(planted), without(RECIPE))
    assert {rule.outcome for rule in rules.values()} == {"passed", "not_measured"}
    assert rules["secret_exposure"].outcome == rules["identifiers_reproduced"].outcome == "passed"
    assert rules["identifiers_reproduced"].says.startswith("0 of 0 values")


@pytest.mark.slow
def test_with_differential_privacy_they_stay_in_the_range_of_the_controls(planted, tmp_path):
    rules = audited(tmp_path, planted, RECIPE)
    assert rules["secret_exposure"].outcome == "passed"
    assert rules["secrets_extracted"].outcome == "passed"


def test_exposure_is_the_bits_of_the_rank():
    assert exposure([3.0, 1, 2, 0]) == 2
    assert exposure([1.0, 3, 2, 0]) == pytest.approx(np.log2(4 / 3))
    assert exposure([0.0, 0, 0, 0]) == 0  # nothing learned exposes nothing


def test_the_limit_is_kept_by_secrets_that_nobody_learned():
    dice = np.random.default_rng(0)
    bits = np.log2(128) - np.log2(dice.integers(1, 129, (400, 8)))
    secrets = [
        [{"exposure": b, "copies": 1, "extracted": False} for b in row]
        + [{"exposure": 1.0, "copies": 0, "extracted": False}] * 8
        for row in bits
    ]
    failed = sum(secrets_rules(s, 128, seed=0)[0].outcome == "failed" for s in secrets)
    assert failed <= 12  # 1 in 100 is expected
    assert exposure_limit(4, 128, 0) > exposure_limit(16, 128, 0) > 1.44


def test_an_audit_whose_controls_are_exposed_tells_nothing():
    one = {"exposure": 7.0, "extracted": False}
    exposed, extracted = secrets_rules(
        [{**one, "copies": 4}] * 4 + [{**one, "copies": 0}] * 4, 128, seed=0
    )
    assert exposed.outcome == "inconclusive"
    assert extracted.outcome == "passed"
    extracted = secrets_rules(
        [{**one, "copies": 4, "extracted": True}, {**one, "copies": 0, "extracted": True}], 128, 0
    )[1]
    assert (extracted.outcome, extracted.value) == ("failed", 1)


@pytest.mark.parametrize(
    ("shift", "rows", "outcome"),
    [(0.0, 200, "passed"), (2.0, 200, "failed"), (0.7, 30, "inconclusive"), (5.0, 29, None)],
)
def test_membership(shift, rows, outcome):
    dice = np.random.default_rng(1)
    rule = membership_rule(dice.normal(shift, 1, rows), dice.normal(0, 1, rows), seed=0)
    if outcome is None:
        assert (rule.outcome, rule.value) == ("not_measured", None)
        return
    assert rule.outcome == outcome
    assert rule.low < rule.value < rule.high
    assert (rule.value > MAX_AUC) is (outcome != "passed")


def test_auc_counts_ties_as_half():
    assert auc(np.array([1.0, 2]), np.array([0.0, 0])) == 1
    assert auc(np.array([1.0, 1]), np.array([1.0, 1])) == 0.5
    assert auc(np.array([0.0, 2]), np.array([1.0])) == 0.5


def test_stock_phrases_that_everybody_has_are_not_memorized():
    assert verbatim_rule([True] * 50, [True] * 50, 0).outcome == "passed"
    assert verbatim_rule([True] * 50, [False] * 50, 0).outcome == "failed"
    assert verbatim_rule([True] * 29, [], 0).outcome == "not_measured"
    assert verbatim_rule([True] * 30, [], 0).outcome == "not_measured"


def test_min_k_is_the_mean_of_the_least_likely_fifth():
    assert min_k(np.array([1.0, 9, 2, 3, 4, 5, 6, 7, 8, 0])) == -8.5
    assert min_k(np.array([3.0, 1])) == -3


def test_predictions_do_not_depend_on_the_batch():
    base, _ = tiny_base()
    model = AutoModelForCausalLM.from_pretrained(base)
    ids = [[5, 6, 7, 8, 9], [9, 8, 7], [4, 4, 4, 4, 4, 4, 4]]
    rows = [Tokens(i, [IGNORED, *i[1:]]) for i in ids]
    for row, found in zip(rows, predict(model, rows), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids])).logits[0, :-1]
        expected = torch.nn.functional.cross_entropy(
            logits, torch.tensor(row.ids[1:]), reduction="none"
        )
        assert isinstance(found, Predicted)
        assert found.loss == pytest.approx(expected.numpy(), abs=1e-4)
        assert found.likeliest.tolist() == (logits.argmax(1) == torch.tensor(row.ids[1:])).tolist()


def test_only_the_value_of_a_secret_is_scored():
    base, _ = tiny_base()
    tokenizer = AutoTokenizer.from_pretrained(base)
    for secret in secrets_of(**AUDIT):
        tokens = as_tokens(tokenizer, secret, secret.value)
        scored = [i for i, label in zip(tokens.ids, tokens.labels, strict=True) if label != IGNORED]
        assert secret.value in tokenizer.decode(scored)
        assert tokenizer.decode(tokens.ids).endswith(f"{secret.before}{secret.value}")


def test_secrets_are_identifiers_of_nobody_and_the_same_for_a_seed():
    secrets = secrets_of(**AUDIT)
    assert secrets == secrets_of(**AUDIT)
    assert secrets != secrets_of(**{**AUDIT, "seed": 6})
    assert [s.copies for s in secrets] == [24] * 4 + [0] * 4
    for secret in secrets:
        others = alternatives(secret, 0, 127)
        assert len({*others, secret.value}) == 128
        for value in (secret.value, *others[:20]):
            assert value not in Placeholders().mask(f"{secret.before}{value}{secret.after}").text
    with pytest.raises(ValueError, match="1 or more"):
        secrets_of(0, 4, 0, 4)


def test_all_copies_of_a_secret_are_of_one_subject(planted):
    rows = planted.slice(90).to_pylist()
    assert len(rows) == 96
    assert len({row["group"] for row in rows}) == 4
    assert {row["split"] for row in rows} == {"train"}
