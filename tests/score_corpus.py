"""Score cleaning, anonymization, screening, deduplication and composition against answer keys.

    python -m tests.score_corpus ../shared/data [--json OUT] [--domain NAME ...]

Runs the pipeline's own functions in this process, as the assets do, on every domain folder that has
a `manifest.jsonl.gz`, then reads the answer keys (manifest, truth, pii_gold, natural), which
nothing else in the project reads. Prints a line per planted kind: found of planted (recall), and
correct of flagged (precision) where the pipeline flags something. Rows that an earlier stage took
out are not asked of a later one.
"""

import argparse
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from ft_assets.corpus import compose
from ft_assets.corpus.anonymize import (
    anonymize_cases,
    anonymize_documents,
    anonymize_examples,
    anonymize_logs,
    consent_states,
)
from ft_assets.corpus.clean import clean
from ft_assets.corpus.dedup import Entry, Role, find_duplicates
from ft_assets.corpus.detector import Detector
from ft_assets.corpus.screen.domains import DomainProfiles
from ft_assets.corpus.screen.influence import (
    Influence,
    InfluencePolicy,
    influence,
    without_votes,
)
from ft_assets.corpus.screen.policy import ScreenPolicy
from ft_assets.corpus.screen.profile_texts import profile_texts
from ft_assets.corpus.screen.reasons import ScreenReason, Verdict
from ft_assets.corpus.screen.screening import screen, screen_documents
from ft_assets.corpus.tagger.choice import detector_from, ensure
from ft_assets.raw import schema
from ft_assets.raw.intake import take_up
from ft_assets.raw.sources import list_files
from ft_assets.raw.taken import Intake
from ft_assets.settings import platform
from ft_resources.pseudonyms import Pseudonyms

# Rows that no key lists are copies of each other when they are so alike (Jaccard of character
# 3-grams), or when one has every longer word, by its stem, and every number of the other. Neither
# rule knows what the pipeline compares.
ALIKE = 0.8
STEM = 5  # letters; words of fewer letters are not compared
NOW = datetime(2026, 11, 25, tzinfo=UTC)
PSEUDONYMS = Pseudonyms(key="score")
MODELS = {
    "logs": schema.Interaction,
    "documents": schema.Document,
    "annotations": schema.Annotation,
    "corrections": schema.Correction,
    "users": schema.User,
    "eval": schema.EvalCase,
}
# Planted kind -> what screening calls it
SCREENED = {
    "prompt_injection": ScreenReason.PROMPT_INJECTION,
    "toxic": ScreenReason.TOXIC,
    "non_english": ScreenReason.FOREIGN_LANGUAGE,
    "wrong_domain": ScreenReason.WRONG_DOMAIN,
    "poison": ScreenReason.POISONED,
}

Row = dict[str, Any]


@dataclass
class Line:
    kind: str
    planted: int = 0
    found: int = 0
    flagged: int = 0
    correct: int = 0
    note: str = ""

    def add(self, other: "Line") -> None:
        for name in ("planted", "found", "flagged", "correct"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.note = self.note or other.note

    @property
    def recall(self) -> float | None:
        return self.found / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        return self.correct / self.flagged if self.flagged else None


@dataclass
class Run:
    """What the pipeline made of one domain."""

    domain: str
    raw: dict[str, Intake]
    logs: list[Row]
    examples: list[Row]
    documents: list[Row]
    cases: list[Row]
    consent: dict[str, str]
    texts_dropped: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    passages: dict[str, Verdict] = field(default_factory=dict)
    influence: Influence | None = None
    corpus: list[Mapping[str, Any]] = field(default_factory=list)
    evaluation: list[Mapping[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def event(self, event_id: str) -> ScreenReason | None:
        verdict = self.verdicts.get(event_id)
        return verdict.reason if verdict else None


@lru_cache
def _detector() -> Detector:
    """That of the platform, with its tagger: trained first where there is none."""
    return detector_from(ensure(platform(), print))


def take_in(folder: Path) -> Run:
    domain = folder.name
    raw = {
        kind: take_up(
            list_files([str(folder / f"{kind}.jsonl.gz")]),
            model,
            domain=domain,
            now=NOW,
            unknown_fields="ignore" if kind == "eval" else "refuse",
        )
        for kind, model in MODELS.items()
    }
    detector = _detector()
    logs = anonymize_logs(raw["logs"].rows, PSEUDONYMS.of, detector)
    examples = anonymize_examples(raw["annotations"].rows, raw["corrections"].rows, detector)
    documents = anonymize_documents(raw["documents"].rows, detector)
    return Run(
        domain,
        raw,
        logs.rows,
        examples.rows,
        documents.rows,
        anonymize_cases(raw["eval"].rows, detector).rows,
        consent_states(raw["users"].rows, PSEUDONYMS.of),
        logs.dropped.total() + documents.dropped.total(),
    )


def screen_and_compose(run: Run, profiles: DomainProfiles) -> None:
    policy = ScreenPolicy()
    verdicts = screen(run.logs, policy, profiles)
    run.verdicts = {r["event_id"]: v for r, v in zip(run.logs, verdicts, strict=True)}
    run.passages = screen_documents(run.documents, policy)
    run.influence = influence(run.logs, InfluencePolicy())
    refused: dict[str, str] = {}
    for row, verdict in zip(run.examples, screen(run.examples, policy), strict=True):
        if verdict.reason:
            refused[f"{row['kind']}:{row['example_id']}"] = verdict.reason
    refused |= {key: v.reason for key, v in run.passages.items() if v.reason}
    refused |= {f"log:{event}": reason for event, reason in run.influence.refused.items()}
    refused |= {f"log:{event}": v.reason for event, v in run.verdicts.items() if v.reason}
    logs = without_votes(run.logs, run.influence.ignored_raters)
    _compose(run, logs, refused)


def _compose(run: Run, logs: list[Row], refused: Mapping[str, str]) -> None:
    policy = compose.Policy(max_user_share=InfluencePolicy().max_user_share)
    logs = [row for row in logs if f"log:{row['event_id']}" not in refused]
    examples = [r for r in run.examples if f"{r['kind']}:{r['example_id']}" not in refused]
    chosen = compose.compose_eval(run.cases, examples, logs, run.consent, policy)
    corpus = compose.compose_training(
        logs, examples, run.documents, run.consent, chosen.rows, policy
    )
    run.dropped = corpus.counts.dropped
    run.corpus = [row for row in corpus.rows if row["row_id"] not in refused]
    run.evaluation = list(chosen.rows)


def score(run: Run, folder: Path) -> Iterator[Line]:
    manifest = list(_read(folder / "manifest.jsonl.gz"))
    planted: dict[str, list[Row]] = defaultdict(list)
    for plant in manifest:
        planted[plant["kind"]].append(plant)
    truth = {row["event_id"]: row for row in _read(folder / "truth.jsonl.gz")}
    yield from _intake_lines(run, planted, folder)
    yield from _encoding_lines(run, planted["encoding"])
    yield from _duplicate_lines(run, planted, truth, list(_read(folder / "natural.jsonl.gz")))
    yield from _screen_lines(run, planted, truth)
    yield from _influence_lines(run, planted)
    yield from _corpus_lines(run, planted, folder)


def _intake_lines(run: Run, planted: dict[str, list[Row]], folder: Path) -> Iterator[Line]:
    intake = run.raw["logs"]
    refused = {record.source_line for record in intake.quarantined}
    kept = {row["event_id"] for row in intake.rows}
    lines = gzip.decompress((folder / "logs.jsonl.gz").read_bytes()).split(b"\n")
    malformed = planted["malformed"]
    wrong = Counter()
    for plant in malformed:
        number = plant["line_no"]
        wrong["found"] += number in refused or not lines[number - 1].strip()
        wrong["kept"] += plant["record_id"] in kept
    yield Line("malformed", len(malformed), wrong["found"], note=f"{wrong['kept']} repaired")
    ids = {record.source_line: _named(record.raw) for record in intake.quarantined}
    violations = {plant["record_id"] for plant in planted["schema_violation"]}
    nulls = {p["record_id"] for p in planted["empty"] if p.get("subkind") == "None"}
    by_line = {plant["line_no"] for plant in malformed}
    # A line without an id cannot be found by it.
    nameless = [line for line, name in ids.items() if not name and line not in by_line]
    named = set(ids.values())
    missing = [
        plant
        for plant in planted["schema_violation"]
        if plant["record_id"] not in named and plant.get("subkind") == "missing_event_id"
    ]
    found = sum(plant["record_id"] in named for plant in planted["schema_violation"])
    expected = violations | nulls
    flagged = [line for line in ids if line not in by_line and line - 1 not in by_line]
    yield Line(
        "schema_violation",
        len(planted["schema_violation"]),
        found + min(len(missing), len(nameless)),
        len(flagged),
        sum(ids[line] in expected or line in nameless for line in flagged),
    )
    dropped = intake.dropped.get("redelivered", 0)
    twice = planted["redelivered"]
    # A redelivered line that is refused is refused twice.
    again = sum(
        1 for plant in twice if plant["record_id"] not in kept and plant["record_id"] in named
    )
    yield Line("redelivered", len(twice), min(len(twice), dropped + again))


def _named(raw: str) -> str:
    found = re.search(r'"event_id": "([^"]+)"', raw)
    return found[1] if found else ""


def _encoding_lines(run: Run, plants: list[Row]) -> Iterator[Line]:
    """Compared before anonymization, white space folded: what a reader sees must be the same."""
    texts = {
        **{row["event_id"]: row for row in run.raw["logs"].rows},
        **{row["doc_id"]: row for row in run.raw["documents"].rows},
    }
    by_kind: dict[str, Line] = {}
    for plant in plants:
        if plant["record_id"] not in texts:
            continue  # quarantined for another plant on its copy
        line = by_kind.setdefault(plant["subkind"], Line(f"encoding {plant['subkind']}"))
        line.planted += 1
        repaired = _seen(clean(texts[plant["record_id"]][plant["field"]]).text)
        # The source text has faults of its own, which cleaning repairs with the planted one.
        line.found += repaired in (_seen(plant["clean"]), _seen(clean(plant["clean"]).text))
    yield from (by_kind[name] for name in sorted(by_kind))
    total = Line("encoding, all")
    for line in by_kind.values():
        total.add(line)
    yield total


def _seen(text: str) -> str:
    return " ".join(text.split())


def _duplicate_lines(
    run: Run, planted: dict[str, list[Row]], truth: dict[str, Row], natural: list[Row]
) -> Iterator[Line]:
    entries = [
        Entry(r["event_id"], r["prompt"], r["correction"] or r["response"], (0, r["ts"]))
        for r in run.logs
    ]
    found = find_duplicates(entries)
    member = {e.key: m for e, m in zip(entries, found, strict=True)}
    documents = [Entry(r["doc_id"], "", r["text"]) for r in run.documents]
    member |= {e.key: m for e, m in zip(documents, find_duplicates(documents), strict=True)}
    pairs = {kind: _pairs(planted[kind], member) for kind in ("exact_dup", "near_dup")}
    origin = _origins(planted, truth, natural)
    text = {e.key: f"{e.prompt} {e.response}" for e in (*entries, *documents)}
    clusters: dict[str, list[str]] = defaultdict(list)
    for key, m in member.items():
        clusters[m.cluster].append(key)
    for kind, role in (("exact_dup", Role.EXACT), ("near_dup", Role.NEAR)):
        hits = sum(member[one].cluster == member[other].cluster for one, other in pairs[kind])
        copies = [key for key, m in member.items() if m.role is role]
        listed = [key for key in copies if origin(key) == origin(member[key].cluster)]
        alike = right = len(listed)
        for key in set(copies) - set(listed):
            others = [text[other] for other in clusters[member[key].cluster] if other != key]
            found = any(_alike(text[key], other) >= ALIKE for other in others)
            alike += found
            right += found or any(_covers(text[key], other) for other in others)
        note = f"{len(listed)} listed or of one source, {alike} with those alike at {ALIKE}"
        yield Line(kind, len(pairs[kind]), hits, len(copies), right, note)


def _covers(one: str, other: str) -> bool:
    left, right = _stems(one), _stems(other)
    return left <= right or right <= left


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    return frozenset(
        word if word[0].isdigit() else word[:STEM]
        for word in re.findall(r"\w+", text.lower())
        if word[0].isdigit() or len(word) >= STEM
    )


def _alike(one: str, other: str) -> float:
    """Jaccard of character 3-grams, lower case, spaces folded: how the manifest measures copies."""
    left, right = _grams(one), _grams(other)
    return len(left & right) / len(left | right)


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    folded = " ".join(text.lower().split())
    return frozenset(folded[i : i + 3] for i in range(max(1, len(folded) - 2)))


def _pairs(plants: list[Row], member: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (plant["record_id"], plant["ref_id"])
        for plant in plants
        if plant["file"] != "annotations.jsonl.gz"
        and plant["record_id"] in member
        and plant["ref_id"] in member
    ]


def _origins(planted: dict[str, list[Row]], truth: dict[str, Row], natural: list[Row]) -> Any:
    parent: dict[Any, Any] = {}

    def find(item: Any) -> Any:
        while parent.get(item, item) != item:
            item = parent[item]
        return item

    def join(one: Any, other: Any) -> None:
        parent[find(one)] = find(other)

    for kind in ("exact_dup", "near_dup"):
        for plant in planted[kind]:
            join(plant["record_id"], plant["ref_id"])
    for row in natural:
        if row["kind"] == "natural_exact_repeat":
            for event in row["event_ids"][1:]:
                join(event, row["event_ids"][0])
    for event, row in truth.items():
        if row.get("sid"):
            join(event, ("source", row["src"], row["sid"], row["quality"]))
        if row.get("retried_as"):
            join(event, row["retried_as"])
    return find


def _screen_lines(run: Run, planted: dict[str, list[Row]], truth: dict[str, Row]) -> Iterator[Line]:
    for kind, reason in SCREENED.items():
        if kind == "poison":
            continue
        logs = {p["record_id"] for p in planted[kind] if p["file"] == "logs.jsonl.gz"}
        logs &= {row["event_id"] for row in run.logs}
        flagged = {event for event, verdict in run.verdicts.items() if verdict.reason is reason}
        # A planted row refused for another reason does not reach the corpus either.
        gone = {event for event in logs - flagged if run.event(event)}
        any_planted = {p["record_id"] for k in SCREENED for p in planted[k]}
        note = f"{len(gone)} more refused for another reason"
        hits = len(logs & flagged)
        yield Line(kind, len(logs), hits, len(flagged), len(flagged & any_planted), note)
        documents = {p["record_id"] for p in planted[kind] if p["file"] == "documents.jsonl.gz"}
        if documents:
            hit = {k.split(":")[1] for k, v in run.passages.items() if v.reason is reason}
            yield Line(
                f"{kind}, documents",
                len(documents),
                len(documents & hit),
                len(hit),
                len(hit & documents),
            )
    left = {row["event_id"] for row in run.logs}
    for kind in ("empty", "huge"):
        ids = {p["record_id"] for p in planted[kind] if p["file"] == "logs.jsonl.gz"}
        reasons = {
            "empty": {ScreenReason.EMPTY_ANSWER, ScreenReason.TOO_SHORT},
            "huge": {ScreenReason.TOO_LONG},
        }[kind]
        flagged = {e for e, v in run.verdicts.items() if v.reason in reasons}
        gone = {event for event in ids if event not in left or run.event(event)}
        yield Line(kind, len(ids), len(gone), len(flagged), len(flagged & ids))
    refusals = {e for e, row in truth.items() if row["quality"] == "refusal"} & left
    flagged = {e for e, v in run.verdicts.items() if v.reason is ScreenReason.REFUSAL}
    planted_rows = {p["record_id"] for k in SCREENED for p in planted[k]} | {
        e for e, row in truth.items() if row["quality"] == "planted"
    }
    refused = {event for event in refusals if run.event(event)}
    judged = flagged - planted_rows
    yield Line("refusal answers", len(refusals), len(refused), len(judged), len(judged & refusals))


def _influence_lines(run: Run, planted: dict[str, list[Row]]) -> Iterator[Line]:
    assert run.influence is not None
    left = {row["event_id"] for row in run.logs}
    poison = {p["record_id"] for p in planted["poison"]} & left
    flagged = set(run.influence.refused)
    yield Line("poison", len(poison), len(poison & flagged), len(flagged), len(flagged & poison))
    spam = {p["record_id"] for p in planted["rater_spam"]} & left
    users = {row["event_id"]: row["user"] for row in run.logs}
    voted = {row["event_id"] for row in run.logs if row["thumb"] or row["rating"] is not None}
    ignored = {e for e in voted if users[e] in run.influence.ignored_raters}
    # The pushers of an answer and the spammers' other votes are always one way too.
    spammers = {users[event] for event in spam | poison}
    yield Line(
        "rater_spam",
        len(spam),
        len(spam & ignored),
        len(ignored),
        sum(users[event] in spammers for event in ignored),
    )


def _corpus_lines(run: Run, planted: dict[str, list[Row]], folder: Path) -> Iterator[Line]:
    """What must not be in the corpus: `found` counts what was kept out."""
    sources = {row["source_id"] for row in run.corpus} | {
        row["source_id"] for row in run.evaluation if row["origin"] != "own"
    }
    trained = {row["source_id"] for row in run.corpus}
    contaminated = {p["record_id"] for p in planted["eval_contamination"]}
    yield _kept_out("eval_contamination kept out", contaminated, trained)
    silent = {
        user["user_id"]
        for user in _read(folder / "users.jsonl.gz")
        if not user["training_consent"] or user["erasure_requested_at"]
    }
    known = {user["user_id"] for user in _read(folder / "users.jsonl.gz")}
    theirs = {
        row["event_id"]
        for row in run.raw["logs"].rows
        if row["user_id"] in silent or row["user_id"] not in known
    }
    yield _kept_out("no consent or erased, kept out", theirs, sources)
    for kind in SCREENED:
        ids = {p["record_id"] for p in planted[kind] if p["file"] == "logs.jsonl.gz"}
        yield _kept_out(f"{kind} kept out of the corpus", ids, trained)
    yield from _identifier_lines(run, folder)


def _identifier_lines(run: Run, folder: Path) -> Iterator[Line]:
    """Planted identifiers, looked up literally in the anonymized row that they were planted in."""
    texts: dict[str, str] = {}
    for row in run.logs:
        texts[row["event_id"]] = "\n".join(
            filter(None, (row["prompt"], row["response"], row["correction"]))
        )
    texts |= {row["doc_id"]: f"{row['title']}\n{row['text']}" for row in run.documents}
    texts |= {row["example_id"]: f"{row['prompt']}\n{row['response']}" for row in run.examples}
    structured, free = Line("identifiers masked"), Line("names and addresses masked")
    for gold in _read(folder / "pii_gold.jsonl.gz"):
        if gold["record_id"] not in texts:
            continue
        line = free if gold["type"] in {"NAME", "ADDRESS"} else structured
        line.planted += 1
        line.found += clean(gold["text"]).text not in texts[gold["record_id"]]
    yield structured
    yield free


def _kept_out(kind: str, ids: set[str], inside: set[str]) -> Line:
    return Line(kind, len(ids), len(ids - inside), note=f"{len(ids & inside)} left")


def _read(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def table(lines: Iterable[Line]) -> str:
    shown = [f"{'planted kind':44} {'recall':>16} {'precision':>18}"]
    for line in lines:
        recall = "" if line.recall is None else f"{line.found}/{line.planted} {line.recall:.3f}"
        right = (
            "" if line.precision is None else f"{line.correct}/{line.flagged} {line.precision:.3f}"
        )
        shown.append(f"{line.kind:44} {recall:>16} {right:>18}  {line.note}".rstrip())
    return "\n".join(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--domain", action="append")
    arguments = parser.parse_args()
    folders = sorted(file.parent for file in arguments.data.glob("*/manifest.jsonl.gz"))
    runs = {folder: take_in(folder) for folder in folders}
    profiles = DomainProfiles.fit(
        {run.domain: profile_texts(run.documents, run.examples) for run in runs.values()}
    )
    total: dict[str, Line] = {}
    by_domain: dict[str, list[dict[str, Any]]] = {}
    for folder, run in runs.items():
        if arguments.domain and run.domain not in arguments.domain:
            continue
        screen_and_compose(run, profiles)
        lines = list(score(run, folder))
        print(f"\n{run.domain}: {len(run.logs)} events, {len(run.corpus)} rows in the corpus")
        print(table(lines), flush=True)
        by_domain[run.domain] = [asdict(line) for line in lines]
        for line in lines:
            total.setdefault(line.kind, Line(line.kind)).add(replace(line, note=""))
    print(f"\nall domains\n{table(total.values())}")
    if arguments.json:
        summary = {**by_domain, "all": [asdict(line) for line in total.values()]}
        arguments.json.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
