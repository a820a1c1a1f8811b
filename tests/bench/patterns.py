# ruff: noqa: E501  (lines of logs stay on one line)
"""Anonymization against Presidio, one thread each, taking turns: the patterns, and all of it.

`python -m tests.bench.patterns [FILE ...]`: generated logs, sentences and prose, or the lines of
files (for `.jsonl` and `.jsonl.gz` the field `text` of each). Needs presidio-analyzer:
`pip install '.[bench]'`.

Patterns: Presidio runs its default English registry without a model (a blank spaCy pipeline): 16
recognizers of patterns and its phone recognizer. All of it: ours is the detector of this platform
with its tagger, which is trained first where there is none; Presidio's its whole registry with the
spaCy model `en_core_web_sm`. Where that is not installed its place is taken by a pipeline of the
same architecture that has learned to find nothing: it computes as much. Presidio
gets one text at a time, which is all that it takes; ours gets the list. Speeds are megabytes of UTF-8 per second of this process's CPU, medians of rounds.
"""

import gc
import gzip
import importlib.util
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ft_assets.corpus.detect import find_many
from ft_assets.corpus.tagger.choice import detector_from, ensure
from ft_assets.settings import platform
from tests.bench.timing import Measure, missing

GOAL, FULL_GOAL = 50, 10
MODEL = "en_core_web_sm"
ROUNDS = 5
PEER_TEXT = 12_000  # characters for Presidio a round: a third of a second of it
OUR_TEXT = 250_000

LOGS = (
    '{ipv4} - {user_name} [12/Mar/2024:10:11:12 +0000] "GET /api/orders/{pyint} HTTP/1.1" 200 {pyint} "-" "Mozilla/5.0 (X11; Linux x86_64)"',
    '{{"ts":"2024-03-12T10:11:12Z","level":"info","msg":"profile updated","user":{{"email":"{email}","phone":"{phone_number}"}},"trace_id":"{md5}"}}',
    "2024-03-12 10:11:12,345 INFO [worker-{pyint}] c.acme.billing.Charge - card={credit_card_number} amount={pyint}.00 status=ok took=45ms",
    "Mar 12 10:11:12 web01 sshd[{pyint}]: Failed password for invalid user {user_name} from {ipv4} port 55122 ssh2",
    "level=warn ts=2024-03-12T10:11:12Z caller=queue.go:88 msg=\"retry\" attempt={pyint} backoff=1.5s request_id={uuid4}",
    "INSERT INTO customers (id, name, email, phone) VALUES ({pyint}, '{name}', '{email}', '{phone_number}');",
    "ERROR duplicate key value violates unique constraint \"users_ssn_key\" DETAIL: Key (ssn)=({ssn}) already exists.",
    "kafka: partition {pyint} offset {pyint} lag {pyint} group payments-consumer iban={iban}",
)  # fmt: skip
SENTENCES = (
    "Hi, my name is {name} and my card {credit_card_number} was declined twice today.",
    "Please call me back at {phone_number} or write to {email}.",
    "My social security number is {ssn}.",
    "I moved to {street_address}, {city}, and would like to update my address.",
    "Can you transfer the money to {iban}? I am waiting since last week.",
    "What is the weather like in {city} this weekend?",
    "You can find my portfolio at {url}.",
    "{company} has not answered any of my questions about the refund.",
)


def measures(paths: Sequence[Path] = ()) -> Iterator[Measure]:
    """One measure over all texts, one for each kind of them (or each file), and one of it all."""
    kinds = {path.name: _lines(path) for path in paths} or generated()
    name, goal = "anonymize_structured_vs_presidio", f"ours / peer >= {GOAL}"
    try:
        peer, whole, note = presidio(names=False), presidio(names=True), _full_note()
    except ImportError as error:
        why = f"{error.name} is missing: pip install '.[bench]'"
        yield missing(name, "MB/s", goal, why)
        yield missing("anonymize_full_vs_presidio", "MB/s", f"ours / peer >= {FULL_GOAL}", why)
        return
    rows, seconds, full = [], [], []
    detector = detector_from(ensure(platform(), print))
    for kind, texts in kinds.items():
        ours, theirs = _seconds_per_megabyte(texts, lambda many: list(find_many(many)), peer)
        seconds.append((ours, theirs))
        rows.append(_row(f"{name}_{kind}", ours, theirs, GOAL))
        full.append(
            _seconds_per_megabyte(
                texts, lambda many: detector.find_in([[text] for text in many]), whole
            )
        )
    yield _row(name, *_mean(seconds), GOAL)
    yield from rows
    yield {**_row("anonymize_full_vs_presidio", *_mean(full), FULL_GOAL), "note": note}


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    ours, theirs = zip(*pairs, strict=True)
    return statistics.fmean(ours), statistics.fmean(theirs)


def _full_note() -> str:
    if importlib.util.find_spec(MODEL):
        return f"Presidio with {MODEL}"
    return f"Presidio with a pipeline of the architecture of {MODEL} that finds nothing"


def _small_pipeline() -> Any:
    """en_core_web_sm, or what computes as much: tok2vec of width 96 and depth 4, tagger, parser,
    ner, as spaCy's own configuration for efficiency has them."""
    import spacy
    from spacy.cli.init_config import init_config
    from spacy.training import Example
    from spacy.util import load_model_from_config

    if importlib.util.find_spec(MODEL):
        return spacy.load(MODEL)
    config = init_config(lang="en", pipeline=["tagger", "parser", "ner"], optimize="efficiency")
    pipeline = load_model_from_config(config, auto_fill=True)
    learned = {
        "tags": ["NNP", "VBZ", "NNP", "."],
        "heads": [1, 1, 1, 1],
        "deps": ["nsubj", "ROOT", "dobj", "punct"],
        "entities": ["U-PERSON", "O", "U-GPE", "O"],
    }
    example = Example.from_dict(pipeline.make_doc("Maria visits Madrid ."), learned)
    pipeline.initialize(lambda: [example])
    # Untouched weights call every word a person, and each would cost Presidio more.
    texts = [text for kind in generated().values() for text in kind[:20]]
    examples = [
        Example.from_dict(doc, {"entities": ["O"] * len(doc)})
        for doc in map(pipeline.make_doc, texts)
    ]
    with pipeline.select_pipes(enable=["tok2vec", "ner"]):
        for _ in range(3):
            pipeline.update(examples)
    return pipeline


def presidio(names: bool) -> Callable[[str], Any]:
    """Presidio with all its recognizers and a pipeline that finds names, or with those of patterns
    alone."""
    import spacy
    from presidio_analyzer import (
        AnalyzerEngine,
        LocalRecognizer,
        PatternRecognizer,
        RecognizerRegistry,
    )
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)

    class Loaded(SpacyNlpEngine):
        """Downloads nothing."""

        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": MODEL}])
            self.nlp = {"en": _small_pipeline() if names else spacy.blank("en")}

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    if not names:
        kept: tuple[type[LocalRecognizer], ...] = (PatternRecognizer, PhoneRecognizer)
        registry.recognizers = [each for each in registry.recognizers if isinstance(each, kept)]
    engine = AnalyzerEngine(registry=registry, nlp_engine=Loaded(), supported_languages=["en"])
    return lambda text: engine.analyze(text, language="en")


def generated(seed: int = 7) -> dict[str, list[str]]:
    from faker import Faker

    from ft_assets.raw.sample_feed import write_feed

    fake, rng = Faker(["en_US", "en_GB", "de_DE", "fr_FR", "es_ES"]), random.Random(seed)
    Faker.seed(seed)
    values = ("ipv4", "user_name", "pyint", "email", "phone_number", "md5", "credit_card_number",
              "uuid4", "name", "ssn", "iban", "street_address", "city", "url", "company")  # fmt: skip
    people = [{value: getattr(fake, value)() for value in values} for _ in range(300)]

    def lines(templates: Sequence[str]) -> list[str]:
        return [rng.choice(templates).format(**rng.choice(people)) for _ in range(2500)]

    with tempfile.TemporaryDirectory() as folder:
        write_feed(Path(folder), weeks=1)
        rows = [
            json.loads(line)
            for file in sorted(Path(folder).glob("*/documents.jsonl"))
            for line in file.read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
    prose = [row["text"] for row in rows]
    rng.shuffle(prose)
    return {"logs": lines(LOGS), "sentences": lines(SENTENCES), "prose": prose}


def _lines(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if line.strip()]
    return [json.loads(line)["text"] for line in lines] if ".jsonl" in path.name else lines


def _seconds_per_megabyte(
    texts: Sequence[str], mine: Callable[[list[str]], Any], peer: Callable[[str], Any]
) -> tuple[float, float]:
    few, many = _first(texts, PEER_TEXT), _first(texts, OUR_TEXT)

    def theirs() -> None:
        for text in few:
            peer(text)

    def ours() -> None:
        mine(many)

    runs = ((ours, many), (theirs, few))
    for run, _ in runs:
        run()  # builds the automata
    gc.collect()
    gc.freeze()  # what was loaded before is not searched for garbage while time is taken
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for (run, read), taken in zip(runs, times, strict=True):
            began = time.process_time()
            run()
            taken.append((time.process_time() - began) / _megabytes(read))
    return statistics.median(times[0]), statistics.median(times[1])


def _first(texts: Sequence[str], characters: int) -> list[str]:
    taken, length = [], 0
    for text in texts:
        if length >= characters:
            break
        taken.append(text)
        length += len(text)
    return taken


def _megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def _row(measure: str, ours: float, theirs: float, goal: float) -> Measure:
    ratio = theirs / ours
    return {
        "measure": measure,
        "ours": round(1 / ours, 3),
        "peer": round(1 / theirs, 4),
        "unit": "MB/s",
        "ratio": round(ratio, 1),
        "goal": f"ours / peer >= {goal}",
        "holds": ratio >= goal,
    }


if __name__ == "__main__":
    for row in measures([Path(name) for name in sys.argv[1:]]):
        print(json.dumps(row))
