"""A feed of four domains to try the platform on, dirty as real ones are: generated, not collected.

`python -m ft_assets.raw.sample_feed FOLDER` writes it. Equal arguments give equal bytes; a feed of
more weeks continues that of fewer: its logs, annotations and corrections begin with the same bytes.
From week 10 on healthcare and ecommerce get topics that were not there before; finance and legal
stay as they are. Every person, company, rule and number in it is invented.
"""

import argparse
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ft_assets.raw.sample_texts.defects import (
    EMPTY,
    ENCODING,
    FOREIGN,
    INJECTIONS,
    MALFORMED,
    REFUSALS,
    VIOLATIONS,
    dump,
    nearly_the_same,
)
from ft_assets.raw.sample_texts.ecommerce import ECOMMERCE
from ft_assets.raw.sample_texts.finance import FINANCE
from ft_assets.raw.sample_texts.grammar import DomainTexts, Exchange, document, exchange
from ft_assets.raw.sample_texts.healthcare import HEALTHCARE
from ft_assets.raw.sample_texts.legal import LEGAL
from ft_assets.raw.sample_texts.personal import PERSONAL, kinds_for
from ft_assets.raw.weeks import parse_week

TEXTS = {texts.name: texts for texts in (HEALTHCARE, FINANCE, LEGAL, ECOMMERCE)}
SOURCE = {"source": "sample feed", "license": "Apache-2.0"}

DRIFT_WEEK = 10  # counted from 1
DRIFT_SHARE = 0.6  # of the events from then on
USERS = 120
NO_CONSENT_SHARE = 0.08
ERASURES = 3
ANNOTATIONS_PER_WEEK = 13
CORRECTIONS_PER_WEEK = 7
EVAL_CASES = 60
NEW_EVAL_CASES = 20  # of them, on the new topics, once these exist
CONTAMINATED_WEEKS = (2, 4, 7, 11)  # an eval case turns up in the logs

# Share of the events that get each defect; at most one each, so that each can be told apart.
DEFECTS = {
    "personal_data": 0.11,
    "encoding": 0.03,
    "empty": 0.008,
    "prompt_injection": 0.009,
    "non_english": 0.009,
    "wrong_domain": 0.005,
    "exact_duplicate": 0.025,
    "near_duplicate": 0.03,
    "redelivered": 0.01,
    "feedback_update": 0.01,
    "late_arrival": 0.012,
    "malformed": 0.014,
    "schema_violation": 0.016,
}
# Share of good answers by model version; the canary of the last weeks is worse on purpose.
GOOD_SHARE = {"m-1.0": 0.78, "m-1.1": 0.83, "m-1.2": 0.87, "m-1.3-canary": 0.6}
NEW_TOPIC_PENALTY = 0.12
THUMB_UP = {"good": 0.93, "partial": 0.45, "wrong": 0.1, "refusal": 0.1}
RATING = {"good": 4.5, "partial": 3.1, "wrong": 1.7, "refusal": 1.5}
REGENERATED = {"good": 0.03, "partial": 0.18, "wrong": 0.32, "refusal": 0.36}
CLICKED = {"good": 0.31, "partial": 0.16, "wrong": 0.06, "refusal": 0.02}


@dataclass
class _Event:
    record: dict[str, Any]
    gold: str
    quality: str


@dataclass
class _Planted:
    counts: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    personal: list[dict[str, str]] = field(default_factory=list)


def write_feed(
    folder: Path,
    seed: int = 0,
    domains: Iterable[str] = tuple(TEXTS),
    weeks: int = 12,
    first_week: str = "2026-08-31",
    events_per_week: int = 90,
) -> dict[str, dict[str, Any]]:
    """Write one folder per domain; return per domain what it holds.

    Keys: "lines" by file, blank ones left out; "planted" by kind; "quarantined": log lines that
    cannot be taken up; "personal": the planted values with kind and event_id.
    """
    if weeks < 1 or events_per_week < 10:
        raise ValueError(
            f"need at least 1 week of 10 events, got {weeks} weeks of {events_per_week}"
        )
    monday = datetime.combine(parse_week(first_week), datetime.min.time(), UTC)
    summary = {}
    for domain in domains:
        if domain not in TEXTS:
            raise ValueError(f"no sample texts for domain {domain!r}; there are {', '.join(TEXTS)}")
        feed = _Feed(TEXTS[domain], seed, monday, weeks, events_per_week)
        summary[domain] = feed.write(folder / domain)
    return summary


class _Feed:
    """One domain. Every part draws from a generator of its own, named by part and week, so that a
    change of one leaves the others as they were."""

    def __init__(
        self, texts: DomainTexts, seed: int, monday: datetime, weeks: int, events_per_week: int
    ) -> None:
        self.texts, self.seed, self.monday, self.weeks = texts, seed, monday, weeks
        self.events_per_week = events_per_week
        self.drifted = bool(texts.new_topics) and weeks >= DRIFT_WEEK
        self.planted = _Planted()
        self.users = [self._id("usr", number) for number in range(USERS)]
        self.eval_cases = list(self._eval_cases())
        self.eval_prompts = {case["prompt"] for case in self.eval_cases}

    def write(self, folder: Path) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        logs, annotations, corrections = [], [], []
        late: list[bytes] = []
        for week in range(1, self.weeks + 1):
            events = self._events(week)
            lines, late = self._delivered(week, events, late)
            logs += lines
            annotations += self._annotations(week)
            corrections += self._corrections(week, events)
        files = {
            "logs": logs,
            "documents": [dump(row) for row in self._documents()],
            "annotations": [dump(row) for row in annotations],
            "corrections": [dump(row) for row in corrections],
            "users": [dump(row) for row in self._user_rows()],
            "eval": [dump(row) for row in self.eval_cases],
        }
        for name, lines in files.items():
            (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return {
            "lines": {name: _not_blank(b"\n".join(lines)) for name, lines in files.items()},
            "planted": dict(sorted(self.planted.counts.items())),
            "quarantined": self.planted.quarantined,
            "personal": self.planted.personal,
        }

    def _rng(self, *part: object) -> random.Random:
        return random.Random(f"{self.seed}/{self.texts.name}/{'/'.join(map(str, part))}")  # noqa: S311

    def _id(self, kind: str, *part: object) -> str:
        name = f"{self.seed}/{self.texts.name}/{kind}/{'/'.join(map(str, part))}"
        return f"{kind}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"

    def _exchange(self, rng: random.Random, new: bool) -> Exchange:
        topics = self.texts.new_topics if new else self.texts.topics
        while True:
            found = exchange(rng, self.texts, topics)
            if found.prompt not in self.eval_prompts:
                return found

    def _is_new(self, rng: random.Random, week: int) -> bool:
        return self.drifted and week >= DRIFT_WEEK and rng.random() < DRIFT_SHARE

    def _eval_cases(self) -> Iterator[dict[str, Any]]:
        self.eval_prompts: set[str] = set()
        base = EVAL_CASES - (NEW_EVAL_CASES if self.texts.new_topics else 0)
        plan = [("base", base)] + ([("new", NEW_EVAL_CASES)] if self.drifted else [])
        for bucket, count in plan:
            rng = self._rng("eval", bucket)
            for number in range(1, count + 1):
                found = self._exchange(rng, bucket == "new")
                self.eval_prompts.add(found.prompt)
                yield {
                    "eval_id": self._id("evl", bucket, number),
                    "domain": self.texts.name,
                    "task": found.task,
                    "prompt": found.prompt,
                    "response": found.response,
                    "topic": found.topic,
                    "bucket": bucket,
                    **SOURCE,
                }

    def _events(self, week: int) -> list[_Event]:
        """The week's events as they happened, in the order of their time."""
        rng = self._rng("events", week)
        wanted = round(self.events_per_week * rng.uniform(0.94, 1.06))
        weights = [1 / (rank + 4) ** 0.8 for rank in range(USERS)]
        events: list[_Event] = []
        session = 0
        while len(events) < wanted:
            session += 1
            user = rng.choices(self.users, weights)[0]
            start = self._moment(rng, week)
            new, turn = self._is_new(rng, week), 0
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
                found = self._exchange(rng, new)
                for response, quality, again in self._answers(rng, week, new, found):
                    start += timedelta(seconds=rng.randint(20, 240))
                    record = {
                        "event_id": self._id("evt", week, session, turn),
                        "ts": _text(start),
                        "domain": self.texts.name,
                        "user_id": user,
                        "session_id": self._id("ses", week, session),
                        "turn": turn,
                        "prompt": found.prompt,
                        "response": response,
                        "model_version": self._version(rng, week),
                        **self._feedback(rng, quality, again, found.response),
                        "latency_ms": int(rng.lognormvariate(6.2, 0.5)) + 4 * len(response),
                    }
                    events.append(_Event(record, found.response, quality))
                    turn += 1
        events.sort(key=lambda event: event.record["ts"])
        return events

    def _moment(self, rng: random.Random, week: int) -> datetime:
        day = rng.choices(range(7), (1, 0.95, 0.95, 0.95, 0.95, 0.45, 0.4))[0]
        hour = min(max(rng.gauss(14.2, 3.6), 0.2), 22.5)  # sessions end before midnight
        return self.monday + timedelta(weeks=week - 1, days=day, hours=hour)

    def _version(self, rng: random.Random, week: int) -> str:
        if week > 10 and rng.random() < 0.12:
            return "m-1.3-canary"
        return ("m-1.0", "m-1.1", "m-1.2")[min((week - 1) // 4, 2)]

    def _answers(
        self, rng: random.Random, week: int, new: bool, found: Exchange
    ) -> Iterator[tuple[str, str, bool]]:
        """The answer with its quality and whether the user asked for another; then that other."""
        good = GOOD_SHARE[self._version(rng, week)] - (NEW_TOPIC_PENALTY if new else 0)
        texts = {
            "good": found.response,
            "partial": found.short,
            "wrong": found.wrong,
            "refusal": rng.choice(REFUSALS),
        }
        quality = "good" if rng.random() < good else rng.choice(("partial", "wrong", "refusal"))
        again = rng.random() < REGENERATED[quality]
        yield texts[quality], quality, again
        if again and quality != "good" and rng.random() < 0.6:
            yield found.response, "good", False

    def _feedback(self, rng: random.Random, quality: str, again: bool, gold: str) -> dict[str, Any]:
        thumb = rating = None
        if rng.random() < 0.2:
            up = rng.random() < THUMB_UP[quality]
            thumb = "up" if up else "down"
        if rng.random() < 0.1:
            rating = min(max(round(rng.gauss(RATING[quality], 0.8)), 1), 5)
        corrected = quality != "good" and rng.random() < 0.08
        return {
            "rating": rating,
            "thumb": thumb,
            "correction": gold if corrected else None,
            "regenerated": again,
            "clicked": rng.random() < CLICKED[quality],
        }

    def _delivered(
        self, week: int, events: list[_Event], late: list[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        """The week's lines with their defects, and those that will only come next week."""
        rng = self._rng("defects", week)
        lines: list[bytes] = []
        later: list[tuple[int, bytes]] = [
            (rng.randrange(min(30, len(events))), line) for line in late
        ]
        next_week: list[bytes] = []
        kinds = rng.choices(
            [*DEFECTS, ""], [*DEFECTS.values(), 1 - sum(DEFECTS.values())], k=len(events)
        )
        for number, (event, kind) in enumerate(zip(events, kinds, strict=True)):
            record, extra = event.record, None
            place = number + rng.randint(3, 60)  # where a second or late line comes
            if kind == "late_arrival":
                place = number + rng.randint(40, 200)
                if place < len(events):
                    later.append((place, dump(record)))
                else:
                    next_week.append(dump(record))
                self.planted.counts[kind] += week < self.weeks or place < len(events)
            elif kind in ("malformed", "schema_violation"):
                lines.append(self._broken(rng, kind, record))
            else:
                record, extra = self._changed(rng, week, number, kind, record)
                lines.append(dump(record))
            if extra is not None:
                later.append((min(place, len(events) - 1), dump(extra)))
            lines += [line for at, line in later if at == number]
        if week in CONTAMINATED_WEEKS:
            case = self.eval_cases[week]
            known = {"prompt": case["prompt"], "response": case["response"]}
            lines.append(dump(self._copy(rng, events[-1].record, week, "eval", known)))
            self.planted.counts["eval_contamination"] += 1
        return lines, next_week

    def _broken(self, rng: random.Random, kind: str, record: dict[str, Any]) -> bytes:
        # One after the other, so that a feed of usual size holds every kind.
        ways: Mapping[str, Any] = MALFORMED if kind == "malformed" else VIOLATIONS
        way = list(ways)[self.planted.counts[kind] % len(ways)]
        self.planted.counts[kind] += 1
        self.planted.counts[f"{kind}/{way}"] += 1
        made = ways[way](record)
        line = made if isinstance(made, bytes) else dump(made)
        self.planted.quarantined += _not_blank(line)
        return line

    def _changed(
        self, rng: random.Random, week: int, number: int, kind: str, record: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The event with a defect of its text, and a second line that follows from it."""
        if not kind:
            return record, None
        self.planted.counts[kind] += 1
        prompt, response = record["prompt"], record["response"]
        if kind == "redelivered":
            return record, record
        if kind == "feedback_update":
            before = {**record, "rating": None, "thumb": None}
            return before, {**before, "thumb": rng.choice(("up", "down"))}
        if kind == "exact_duplicate":
            return record, self._copy(rng, record, week, f"copy{number}", {})
        if kind == "near_duplicate":
            texts = {"prompt": nearly_the_same(rng, prompt), "response": response}
            return record, self._copy(rng, record, week, f"near{number}", texts)
        if kind == "personal_data":
            prompt, response = self._with_personal_data(rng, record)
        elif kind == "encoding":
            way = list(ENCODING)[self.planted.counts[kind] % len(ENCODING)]
            self.planted.counts[f"{kind}/{way}"] += 1
            prompt, response = ENCODING[way](prompt), response
        elif kind == "empty":
            prompt, response = rng.choice(((prompt, rng.choice(EMPTY)), (EMPTY[0], response)))
        elif kind == "prompt_injection":
            prompt, response = f"{prompt} {rng.choice(INJECTIONS)}", rng.choice(REFUSALS)
        elif kind == "non_english":
            prompt, response = rng.choice(FOREIGN)
        elif kind == "wrong_domain":
            other = rng.choice([texts for texts in TEXTS.values() if texts is not self.texts])
            found = exchange(rng, other, other.topics)
            prompt, response = found.prompt, found.response
        return {**record, "prompt": prompt, "response": response}, None

    def _copy(
        self,
        rng: random.Random,
        record: dict[str, Any],
        week: int,
        part: str,
        texts: dict[str, Any],
    ) -> dict[str, Any]:
        """Another event with the same (or these) texts, by somebody else, a little later."""
        moment = datetime.fromisoformat(record["ts"]) + timedelta(minutes=rng.randint(2, 50))
        return {
            **record,
            **texts,
            "event_id": self._id("evt", week, part),
            "ts": _text(moment),
            "user_id": rng.choice(self.users),
            "session_id": self._id("ses", week, part),
            "turn": 0,
        }

    def _with_personal_data(self, rng: random.Random, record: dict[str, Any]) -> tuple[str, str]:
        prompt, response = record["prompt"], record["response"]
        kinds = kinds_for(self.texts.name)
        for kind in rng.sample(kinds, rng.choice((1, 1, 2, 3))):
            make, told, repeated = PERSONAL[kind]
            value = make(rng)
            self.planted.personal.append(
                {"kind": kind, "value": value, "event_id": record["event_id"]}
            )
            self.planted.counts[f"personal_data/{kind}"] += 1
            sentence = told.format(value=value)
            prompt = rng.choice((f"{sentence} {prompt}", f"{prompt} {sentence}"))
            if rng.random() < 0.25:
                response = f"{repeated.format(value=value)} {response}"
        return prompt, response

    def _annotations(self, week: int) -> list[dict[str, Any]]:
        rng = self._rng("annotations", week)
        rows = []
        for number in range(ANNOTATIONS_PER_WEEK):
            found = self._exchange(rng, self._is_new(rng, week))
            rows.append(
                {
                    "annotation_id": self._id("ann", week, number),
                    "domain": self.texts.name,
                    "task": found.task,
                    "prompt": found.prompt,
                    "response": found.response,
                    "labels": {"topic": found.topic},
                    "annotator_id": f"ann-{rng.randint(1, 6):02d}",
                    "created_at": _text(self._moment(rng, week)),
                    "agreement": rng.choice((0.67, 0.83, 1.0, 1.0)),
                    **SOURCE,
                }
            )
        return rows

    def _corrections(self, week: int, events: list[_Event]) -> list[dict[str, Any]]:
        """Reviewers' corrections of the week's bad answers, some of answers outside the logs."""
        rng = self._rng("corrections", week)
        bad = [event for event in events if event.quality in ("partial", "wrong")]
        rows = []
        for number in range(CORRECTIONS_PER_WEEK):
            if number < len(bad) and rng.random() < 0.7:
                event, record = bad[number], bad[number].record
                prompt, original, gold = record["prompt"], record["response"], event.gold
                event_id, moment = record["event_id"], datetime.fromisoformat(record["ts"])
            else:
                found = self._exchange(rng, self._is_new(rng, week))
                prompt, original, gold = found.prompt, found.wrong, found.response
                event_id, moment = None, self._moment(rng, week)
            rows.append(
                {
                    "correction_id": self._id("cor", week, number),
                    "ts": _text(moment + timedelta(minutes=rng.randint(5, 60))),
                    "domain": self.texts.name,
                    "event_id": event_id,
                    "reviewer_id": f"rev-{rng.randint(1, 5):02d}",
                    "prompt": prompt,
                    "original_response": original,
                    "corrected_response": gold,
                    "reason": rng.choice(("incorrect fact", "incomplete answer")),
                    "severity": rng.choice(("low", "medium", "high")),
                    "status": rng.choices(("approved", "pending", "rejected"), (85, 10, 5))[0],
                    "origin": "log_event" if event_id else "reviewer",
                    **SOURCE,
                }
            )
        return rows

    def _documents(self) -> Iterator[dict[str, Any]]:
        rng = self._rng("documents")
        topics = self.texts.topics + (self.texts.new_topics if self.drifted else ())
        for topic in topics:
            for thing in topic.things:
                title, text = document(rng, self.texts, topic, thing)
                row = {
                    "doc_id": self._id("doc", topic.name, thing),
                    "domain": self.texts.name,
                    "kind": rng.choice(self.texts.document_kinds),
                    "title": title,
                    "text": text,
                    "topic": topic.name,
                    "version": 1,
                    "updated_at": _text(self.monday - timedelta(days=rng.randint(2, 300))),
                    "access": rng.choice(("public", "internal", "internal", "restricted")),
                    "source_id": thing,
                    **SOURCE,
                }
                yield row
                if rng.random() < 0.1:
                    self.planted.counts["document_superseded"] += 1
                    newer = f"{text}\n\nRevised edition: the points above were confirmed."
                    yield {**row, "text": newer, "version": 2, "updated_at": _text(self.monday)}

    def _user_rows(self) -> Iterator[dict[str, Any]]:
        rng = self._rng("users")
        erased = set(rng.sample(range(USERS), ERASURES))
        for number, user in enumerate(self.users):
            consent = rng.random() >= NO_CONSENT_SHARE
            asked_at = self.monday + timedelta(days=rng.randint(0, 6), hours=9)
            self.planted.counts["no_consent"] += not consent
            self.planted.counts["erasure_requested"] += number in erased
            yield {
                "user_id": user,
                "region": rng.choice(("EU", "UK", "US", "CA")),
                "training_consent": consent,
                "erasure_requested_at": _text(asked_at) if number in erased else None,
            }


def _not_blank(lines: bytes) -> int:
    return sum(1 for line in lines.split(b"\n") if line.strip())


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a sample feed, one folder per domain.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--first-week", default="2026-08-31", help="a Monday")
    parser.add_argument("--events-per-week", type=int, default=90)
    args = parser.parse_args()
    summary = write_feed(
        args.folder,
        args.seed,
        weeks=args.weeks,
        first_week=args.first_week,
        events_per_week=args.events_per_week,
    )
    shown = {
        domain: {key: value for key, value in facts.items() if key != "personal"}
        for domain, facts in summary.items()
    }
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
