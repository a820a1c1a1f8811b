"""What an evidence pack says, counted from rows, events and records; no text and no person in it.

Subjects are keyed pseudonyms everywhere behind the raw zone; here only their number and one digest
over all of them remain. With the pseudonym key the digest can be recomputed from a list of users,
without it nothing follows from it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

NOT_STATED = "not stated"
USER = "user:"  # how split.groups names a row's user


@dataclass(frozen=True)
class Made:
    """What Dagster recorded of one materialization."""

    asset: str
    partition: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Checked:
    """One evaluation of an asset check."""

    asset: str
    check: str
    passed: bool
    blocking: bool
    run: str
    facts: Mapping[str, Any]


def corpus_rows(table: pd.DataFrame) -> dict[str, Any]:
    """Counts of a training corpus by kind, split, week and licence."""
    licences = table["license"].where(table["license"] != "", NOT_STATED)
    by_licence = Counter(zip(table["kind"], licences, strict=True))
    return {
        "rows": len(table),
        "by_kind": _counts(table["kind"]),
        "by_split": _counts(table["split"]),
        "by_week": _counts(table["week"][table["week"] != ""]),
        "replayed_rows": int(table["replayed"].sum()),
        "licences": [
            {"kind": kind, "licence": licence, "rows": rows}
            for (kind, licence), rows in sorted(by_licence.items())
        ],
    }


def _counts(column: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in sorted(column.value_counts().items())}


def consent(table: pd.DataFrame, states: Mapping[str, str]) -> dict[str, Any]:
    """Who is trained on, by number; `states` is granted, refused or erased by pseudonym.

    `without_consent` counts subjects of the corpus that did not grant it, and must be 0. Rows that
    name no user (documents, annotations) have no subject here.
    """
    trained_on = sorted(
        {group.removeprefix(USER) for group in table["group"] if group.startswith(USER)}
    )
    listed = Counter(states.values())
    return {
        "listed_users": len(states),
        "granted": listed["granted"],
        "refused": listed["refused"],
        "erasure_requested": listed["erased"],
        "trained_on": len(trained_on),
        "without_consent": sum(states.get(subject) != "granted" for subject in trained_on),
        "rows_of_users": int(table["group"].str.startswith(USER).sum()),
        "subjects_sha256": hashlib.sha256("\n".join(trained_on).encode()).hexdigest(),
        "rule": "A user who is not listed has not consented; refusals and erasures are left out.",
    }


def stages(made: Iterable[Made]) -> list[dict[str, Any]]:
    """Rows in, out, quarantined and dropped by reason, of every asset that counts rows."""
    found: dict[str, dict[str, Any]] = {}
    for one in made:
        if "rows_in" not in one.facts:
            continue
        stage = found.setdefault(
            one.asset,
            {
                **{"asset": one.asset, "partitions": 0, "rows_in": 0, "rows_out": 0},
                **{"quarantined": 0, "dropped": Counter(), "quarantined_because": Counter()},
            },
        )
        stage["partitions"] += 1
        for name in ("rows_in", "rows_out", "quarantined"):
            stage[name] += int(one.facts[name])
        stage["dropped"].update(one.facts.get("dropped", {}))
        stage["quarantined_because"].update(one.facts.get("quarantine_counts", {}))
    return [
        {
            **stage,
            **{name: dict(sorted(stage[name].items())) for name in REASONS},
        }
        for stage in found.values()
    ]


REASONS = ("dropped", "quarantined_because")


def checks(evaluations: Sequence[Checked]) -> list[dict[str, Any]]:
    """Per asset and check: how often it was evaluated, how often it held, and what it looked at."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in evaluations:
        entry = found.setdefault(
            (one.asset, one.check),
            {
                **{"asset": one.asset, "check": one.check, "blocking": one.blocking},
                **{"evaluations": 0, "passed": 0, "expectations": 0, "failed": 0, "rows": 0},
            },
        )
        entry["evaluations"] += 1
        entry["passed"] += one.passed
        for name in ("expectations", "failed", "rows"):
            entry[name] += int(one.facts.get(name, 0))
    return [found[key] for key in sorted(found)]


def masked(made: Iterable[Made]) -> dict[str, Any]:
    """What the anonymized assets replaced, and by which operators."""
    values: dict[str, int] = {}
    operators: list[Any] = []
    for one in made:
        if "identifiers_masked" not in one.facts:
            continue
        values[one.asset] = values.get(one.asset, 0) + int(one.facts["identifiers_masked"])
        if (chosen := one.facts.get("operators")) and chosen not in operators:
            operators.append(chosen)
    return {
        "identifiers_masked": dict(sorted(values.items())),
        "operators": operators,  # more than one where the policy changed between weeks
    }
