"""What each domain has spent of its privacy, over all trainings, and the refusal when it is gone.

An entry is written, and on the disk, before the training begins: a training that was killed counts.
The file is a log as the vault's audit (ft_resources/vault/audit.py): JSON lines, each bound to all
before it by an HMAC, so that an entry cannot be changed or taken out unseen. The same training
again (same corpus, recipe and seed, and so the same noise) gives the same bytes, which tells nobody
anything new: it is written once and costs once.
Trainings are added up in Renyi divergence (privacy.epsilon_of), at the smallest delta of them. A
subject that was in one of them alone has less at stake than the sum says.
"""

import fcntl
import hashlib
import hmac
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ft_assets.adapters.privacy import Plan, Spent, epsilon_of, plan, steps_of, subjects_of
from ft_assets.adapters.recipe import recipe_from
from ft_resources.adapter_format import canonical
from ft_resources.vault.audit import AuditLog
from ft_resources.vault.raw_zone import RawZone
from ft_resources.vault.store import KeyStore

NAME = "privacy"


class BudgetSpent(Exception):
    """The domain's budget does not reach for this training; nothing was written."""


@dataclass(frozen=True)
class Balance:
    epsilon: float
    delta: float
    trainings: int


class PrivacyLedger:
    """privacy.jsonl in the vault's folder."""

    def __init__(self, folder: Path, store: KeyStore) -> None:
        self._log = AuditLog(folder, store, NAME)
        self._lock = folder / f"{NAME}.spending.lock"
        self._noise_key = store.vault_key("privacy noise")

    def spend(self, domain: str, training: str, plan: Plan, budget: float) -> Balance:
        """Enter a training, named by what it is made of, and return what is spent with it.

        Raises BudgetSpent when the domain would be above `budget` (epsilon), and Tampered when the
        ledger is not as it was written.
        """
        with self._locked():
            self._log.verify()
            entries = self._entries(domain)
            if training not in entries:
                before = self._balance(entries)
                after = self._balance({**entries, training: (plan.spent, plan.delta)})
                if after.epsilon > budget:
                    raise BudgetSpent(
                        f"{domain}: privacy budget {budget:g}: {before.epsilon:.2f} is spent by "
                        f"{before.trainings} trainings, and with this one (epsilon "
                        f"{plan.epsilon:.2f}) it would be {after.epsilon:.2f} at delta "
                        f"{after.delta:.1e}; keep what serves, lower privacy.epsilon in the "
                        "recipe, or raise adapters.privacy_budget, which weakens the promise "
                        "made to those in the data"
                    )
                self._log.append(
                    {
                        "domain": domain,
                        "training": training,
                        "noise": repr(plan.spent.noise),
                        "rate": repr(plan.spent.rate),
                        "steps": str(plan.spent.steps),
                        "delta": repr(plan.delta),
                        "epsilon_after": repr(after.epsilon),
                    }
                )
                entries[training] = (plan.spent, plan.delta)
            return self._balance(entries)

    def balance(self, domain: str) -> Balance:
        """What is spent so far. Raises Tampered as `spend` does."""
        self._log.verify()
        return self._balance(self._entries(domain))

    def knows(self, domain: str, training: str) -> bool:
        """Whether the training was entered. Raises Tampered as `spend` does."""
        self._log.verify()
        return training in self._entries(domain)

    def noise_seed(self, domain: str, training: str) -> int:
        """63 bits that only the holder of the vault's keys can tell. Who knows the seed of the
        noise can take it off again, so it is written nowhere."""
        message = f"{domain}|{training}".encode()
        return int.from_bytes(hmac.digest(self._noise_key, message, "sha256")[:8]) >> 1

    def _entries(self, domain: str) -> dict[str, tuple[Spent, float]]:
        return {
            str(entry["training"]): (
                Spent(float(entry["noise"]), float(entry["rate"]), int(entry["steps"])),
                float(entry["delta"]),
            )
            for entry in self._log.entries()
            if entry["domain"] == domain
        }

    @staticmethod
    def _balance(entries: dict[str, tuple[Spent, float]]) -> Balance:
        if not entries:
            return Balance(0.0, 0.0, 0)
        delta = min(delta for _, delta in entries.values())
        spent = [one for one, _ in entries.values()]
        return Balance(epsilon_of(spent, delta), delta, len(entries))

    @contextmanager
    def _locked(self) -> Generator[None]:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def spend_privacy(job: dict[str, Any], zone: RawZone, budget: float) -> dict[str, Balance]:
    """Plan every training of a job for private.py, enter it, and put the plan into the job.

    Returns what each domain has spent. Raises as `spend` and `plan` do; what was entered
    before that stays.
    """
    ledger = PrivacyLedger(zone.keys_file.parent, zone.store())
    return {
        one["domain"]: ledger.spend(one["domain"], training, planned, budget)
        for one, training, planned in _planned(job, ledger)
    }


def repeat_privacy(job: dict[str, Any], zone: RawZone) -> None:
    """Put the plans of trainings that were entered before into the job; nothing is spent.

    Raises LookupError for a training that the ledger does not know.
    """
    ledger = PrivacyLedger(zone.keys_file.parent, zone.store())
    for one, training, _ in _planned(job, ledger):
        if not ledger.knows(one["domain"], training):
            raise LookupError(
                f"{one['domain']}: this training is not in the privacy ledger of this vault, so its"
                " noise is not known here; use the vault that it was trained with"
            )


def _planned(
    job: dict[str, Any], ledger: PrivacyLedger
) -> Generator[tuple[dict[str, Any], str, Plan]]:
    """(one job, name of its training, plan); the plan is in the job when the next is asked for."""
    recipe = recipe_from(job["recipe"])
    if recipe.privacy is None:
        raise ValueError(f"recipe {recipe.name}: has no section privacy")
    for one in job["jobs"]:
        corpus = Path(one["corpus"])
        made_of = {
            "corpus": hashlib.sha256(corpus.read_bytes()).hexdigest(),
            "base": job["base_digest"],
            "recipe": job["recipe"],
            "seed": one["seed"],
        }
        training = hashlib.sha256(canonical(made_of)).hexdigest()
        subjects = len(subjects_of(corpus))
        steps = steps_of(subjects, recipe.privacy, recipe.max_steps, recipe.max_epochs)
        planned = plan(subjects, steps, recipe.privacy)
        yield one, training, planned
        seed = ledger.noise_seed(one["domain"], training)
        one["privacy"] = {"plan": planned.to_dict(), "noise_seed": seed}
