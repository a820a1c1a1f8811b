"""How much noise a differentially private training needs, and what it costs its domain.

The unit of privacy is the subject, as the corpus's column `group` names it: a user, else a
conversation, else the row. Two corpora that differ in all rows of one subject give adapters that
cannot be told apart beyond (epsilon, delta). Noise and cost are those of the Poisson-subsampled
Gaussian mechanism in Renyi differential privacy (Mironov et al. 2019, arXiv 1908.10530), by
Opacus's accountant.

The number of subjects and the delta that follows from it are taken to be public.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ft_assets.adapters.section import Section, number


@dataclass(frozen=True)
class Privacy(Section):
    """Section `privacy` of a recipe."""

    epsilon: float = number(8.0, 0.01, 1000)  # of one training
    delta: float = number(0.0, 0, 0.1)  # 0: 1 / (10 x subjects)
    clip: float = number(1.0, 1e-6, 1000)  # norm of the gradient of one subject
    batch_subjects: int = number(64, 1, 1_000_000)  # drawn in a step, on average
    max_rows_per_subject: int = number(8, 1, 100_000)
    at_once: int = number(16, 1, 100_000)  # subjects in memory together


@dataclass(frozen=True)
class Spent:
    """One training as the accountant sees it."""

    noise: float  # standard deviation of the noise over `clip`
    rate: float  # chance of each subject to be in a step
    steps: int


@dataclass(frozen=True)
class Plan:
    subjects: int
    spent: Spent
    epsilon: float  # what it comes to; at most the recipe's
    delta: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def subjects_of(file: Path) -> dict[str, list[str]]:
    """Return {subject: the conversations of its training rows}, in the order of the corpus."""
    import pyarrow.parquet as pq

    columns = pq.read_table(file, columns=["split", "group", "messages"]).to_pydict()
    found: dict[str, list[str]] = {}
    rows = zip(columns["split"], columns["group"], columns["messages"], strict=True)
    for split, group, messages in rows:
        if split == "train":
            found.setdefault(group, []).append(messages)
    return found


def plan_of(values: dict[str, Any]) -> Plan:
    spent = Spent(**values["spent"])
    return Plan(values["subjects"], spent, values["epsilon"], values["delta"])


@cache
def plan(subjects: int, steps: int, privacy: Privacy) -> Plan:
    """Return the training that spends no more than the recipe's epsilon, with the least noise.

    Raises ValueError when there are too few subjects to draw among.
    """
    from opacus.accountants.utils import get_noise_multiplier

    if subjects < 2 * privacy.batch_subjects:
        raise ValueError(
            f"privacy: {subjects} subjects, {privacy.batch_subjects} in a step: a subject is "
            "hidden among those not drawn, so at least twice as many are needed; lower "
            "privacy.batch_subjects or wait for more data"
        )
    delta = privacy.delta or 1 / (10 * subjects)
    rate = privacy.batch_subjects / subjects
    with warnings.catch_warnings():
        # The search begins with far too much noise, at the end of the accountant's range.
        warnings.filterwarnings("ignore", message="Optimal order is the")
        noise = get_noise_multiplier(
            target_epsilon=privacy.epsilon, target_delta=delta, sample_rate=rate, steps=steps
        )
    spent = Spent(noise, rate, steps)
    return Plan(subjects, spent, epsilon_of([spent], delta), delta)


def steps_of(subjects: int, privacy: Privacy, max_steps: int, max_epochs: float) -> int:
    """A step sees each subject with the chance batch_subjects / subjects."""
    return max(1, min(max_steps, math.ceil(max_epochs * subjects / privacy.batch_subjects)))


def epsilon_of(trainings: Sequence[Spent], delta: float) -> float:
    """Epsilon at `delta` of all of them together: their Renyi divergences are added order by order.

    That holds whatever later trainings chose after seeing earlier ones, as long as the noise of
    each was set before it began.
    """
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import get_privacy_spent

    if not trainings:
        return 0.0
    orders = RDPAccountant.DEFAULT_ALPHAS
    divergences = sum(one.steps * _step_divergences(one.noise, one.rate) for one in trainings)
    epsilon, _ = get_privacy_spent(orders=orders, rdp=divergences, delta=delta)
    return float(epsilon)


@cache
def _step_divergences(noise: float, rate: float) -> Any:
    """Of one step, at each of the accountant's orders; slow to compute."""
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import compute_rdp

    orders = RDPAccountant.DEFAULT_ALPHAS
    return compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=orders)
