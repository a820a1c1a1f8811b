import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ft_assets.adapters.privacy import Plan, Privacy, Spent, epsilon_of
from ft_assets.adapters.privacy_ledger import BudgetSpent, PrivacyLedger, spend_privacy
from ft_assets.adapters.recipe import Recipe
from ft_resources.vault.keys import Tampered, TenantKey
from ft_resources.vault.raw_zone import RawZone
from ft_resources.vault.store import KeyStore

SPENT = Spent(noise=1.3, rate=0.128, steps=24)
DELTA = 1 / 20_000
PLAN = Plan(2_000, SPENT, epsilon_of([SPENT], DELTA), DELTA)


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path)


def open_ledger(folder):
    return PrivacyLedger(folder, KeyStore(folder / "keys.db", TenantKey("acme", b"k" * 32)))


def test_trainings_add_up_over_time_until_the_budget_is_gone(ledger, tmp_path):
    budget = epsilon_of([SPENT] * 3, DELTA) + 0.01
    spent = [ledger.spend("law", f"week {n}", PLAN, budget) for n in (1, 2, 3)]
    assert [b.trainings for b in spent] == [1, 2, 3]
    assert spent[0].epsilon == pytest.approx(PLAN.epsilon)
    assert spent[2].epsilon == pytest.approx(epsilon_of([SPENT] * 3, DELTA))
    assert spent[2].epsilon < 3 * PLAN.epsilon
    before = (tmp_path / "privacy.jsonl").read_bytes()
    with pytest.raises(BudgetSpent, match=r"law: privacy budget .* is spent by 3 trainings"):
        ledger.spend("law", "week 4", PLAN, budget)
    assert (tmp_path / "privacy.jsonl").read_bytes() == before
    # Another domain has a budget of its own; a ledger opened anew knows what was spent.
    assert open_ledger(tmp_path).spend("shop", "week 1", PLAN, budget).trainings == 1
    assert open_ledger(tmp_path).balance("law") == spent[2]
    assert ledger.balance("health").trainings == 0


def test_the_same_training_costs_once_even_when_nothing_is_left(ledger):
    first = ledger.spend("law", "week 1", PLAN, budget=PLAN.epsilon + 0.01)
    assert ledger.spend("law", "week 1", PLAN, budget=PLAN.epsilon + 0.01) == first
    assert ledger.noise_seed("law", "week 1") == ledger.noise_seed("law", "week 1")
    seeds = {ledger.noise_seed(*one) for one in (("law", "a"), ("law", "b"), ("shop", "a"))}
    assert len(seeds) == 3


def test_the_sum_is_taken_at_the_smallest_delta(ledger):
    ledger.spend("law", "small", Plan(200, SPENT, 0.0, 1 / 2_000), budget=100)
    both = ledger.spend("law", "large", PLAN, budget=100)
    assert both.delta == DELTA
    assert both.epsilon == pytest.approx(epsilon_of([SPENT] * 2, DELTA))


def test_a_changed_or_shortened_ledger_is_not_believed(ledger, tmp_path):
    for week in "ab":
        ledger.spend("law", week, PLAN, budget=100)
    file = tmp_path / "privacy.jsonl"
    first, second = file.read_text().splitlines()
    cheaper = json.dumps({**json.loads(first), "steps": "1"})
    for lines in ([cheaper, second], [second], [first]):
        file.write_text("".join(f"{line}\n" for line in lines))
        with pytest.raises(Tampered):
            ledger.spend("law", "c", PLAN, budget=100)
        with pytest.raises(Tampered):
            ledger.balance("law")


def test_the_seed_of_the_noise_is_in_no_file(ledger, tmp_path):
    seed = ledger.noise_seed("law", "week 1")
    ledger.spend("law", "week 1", PLAN, budget=100)
    assert str(seed) not in (tmp_path / "privacy.jsonl").read_text()
    assert not any(str(seed).encode() in f.read_bytes() for f in tmp_path.iterdir())


def test_a_job_is_planned_for_its_subjects_and_a_second_one_is_refused(tmp_path):
    corpus = {
        "split": ["train"] * 9 + ["validation"],
        "group": [f"user:{n // 2}" for n in range(9)] + ["user:x"],
        "messages": ["[]"] * 10,
    }
    pq.write_table(pa.table(corpus), tmp_path / "law.parquet")
    privacy = Privacy(epsilon=3.0, batch_subjects=2)
    recipe = Recipe("private", max_epochs=2, privacy=privacy)
    zone = RawZone(folder=str(tmp_path / "vault"), tenant="acme", tenant_key="ab" * 32)

    def job(seed):
        one = {"domain": "law", "corpus": str(tmp_path / "law.parquet"), "seed": seed}
        return {"base_digest": "b", "recipe": recipe.to_dict(), "jobs": [one]}

    first = job(0)
    spent = spend_privacy(first, zone, budget=3.1)
    planned = first["jobs"][0]["privacy"]
    assert planned["plan"]["subjects"] == 5
    assert planned["plan"]["spent"]["steps"] == 5
    assert spent["law"].epsilon == planned["plan"]["epsilon"] <= 3
    again = job(0)
    assert spend_privacy(again, zone, budget=3.1) == spent
    assert again["jobs"][0]["privacy"] == planned
    with pytest.raises(BudgetSpent, match=r"law: privacy budget 3\.1: "):
        spend_privacy(job(1), zone, budget=3.1)
