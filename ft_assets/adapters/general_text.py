"""General English to learn from when nobody hands in any: it ships with Python, needs no network.

About 2.7 MB of prose: the language reference in `pydoc_data.topics` and the docstrings of the
standard library (both under the PSF licence), and exchanges of everyday English from a grammar of
our own. It is technical and small: enough for a tiny model, no substitute for a real corpus.
The text differs between Python versions, so its digest is part of what a base model is made of.

Also here: how text files are read (documents divided by <|endoftext|>) and which documents are
for training, validation and test, so that the base model, the replay of a training, its limit on
what is forgotten and the forgetting test agree on it.
"""

import ast
import gzip
import hashlib
import inspect
import random
import sys
import sysconfig
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SEPARATOR = "<|endoftext|>"
HELD_OUT = 32  # one document in so many is for the test, another one for validation
MAX_DOCUMENT = 8_000  # characters; a longer text is cut between paragraphs
MIN_DOCSTRING = 160  # characters; shorter ones are labels rather than prose
MIN_PROSE = 0.75  # share of letters and spaces; below it is tables and code
EXCHANGES = 4_000
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")  # in the order of the fields
LEFT_OUT = {"test", "idlelib", "turtledemo", "lib2to3", "antigravity", "this"}


def write_general_text(folder: Path) -> Path:
    """Write the project's own general text below `folder` unless it is there; return the file."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    file = folder / f"general-python-{version}.txt"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        text = SEPARATOR.join(own_documents())
        work = file.with_suffix(".writing")
        work.write_text(text, "utf-8")
        work.rename(file)
    return file


def own_documents() -> list[str]:
    return [*_topics(), *_docstrings(), *_exchanges(EXCHANGES)]


def read_documents(files: Iterable[Path]) -> list[str]:
    """Return the documents of text files (.txt, .txt.gz), none longer than MAX_DOCUMENT."""
    documents = []
    for file in files:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
        for document in text.split(SEPARATOR):
            documents.extend(_pieces(document.strip()))
    return documents


@dataclass(frozen=True)
class Split:
    """Documents by what they are for. Those of validation and test are never trained on: a base
    knows what it was trained on too well to show what it forgets."""

    train: list[str]
    validation: list[str]  # a training is held to its limit by them
    test: list[str]  # the evaluation looks at them


def split_documents(documents: list[str]) -> Split:
    """A document is on the same side in every list it is in."""
    split = Split([], [], [])
    for document in documents:
        digest = hashlib.sha256(document.encode("utf-8")).digest()
        place = int.from_bytes(digest[:4]) % HELD_OUT
        side = {0: split.test, 1: split.validation}.get(place, split.train)
        side.append(document)
    return split


def _pieces(document: str) -> Iterator[str]:
    piece = ""
    for paragraph in document.split("\n\n"):
        if piece and len(piece) + len(paragraph) > MAX_DOCUMENT:
            yield piece
            piece = ""
        piece = f"{piece}\n\n{paragraph}" if piece else paragraph
        while len(piece) > MAX_DOCUMENT:
            yield piece[:MAX_DOCUMENT]
            piece = piece[MAX_DOCUMENT:]
    if piece.strip():
        yield piece


def _topics() -> Iterator[str]:
    from pydoc_data import topics

    for _, text in sorted(topics.topics.items()):
        yield from _pieces(text.strip())


def _docstrings() -> Iterator[str]:
    library = Path(sysconfig.get_path("stdlib"))
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        file = library / f"{name}.py"
        files = [file] if file.is_file() else sorted((library / name).rglob("*.py"))
        for source in files:
            if LEFT_OUT.isdisjoint(source.relative_to(library).parts):
                yield from _docstrings_of(source, ".".join(source.relative_to(library).parts)[:-3])


def _docstrings_of(source: Path, module: str) -> Iterator[str]:
    for node in _documented(ast.parse(source.read_bytes())):
        text = inspect.cleandoc(ast.get_docstring(node, clean=False) or "")
        if len(text) >= MIN_DOCSTRING and _prose(text) >= MIN_PROSE * len(text):
            name = getattr(node, "name", "the module")
            for piece in _pieces(text):
                yield f"What is {name} in {module}?\n\n{piece}"


def _prose(text: str) -> int:
    return sum(character.isalpha() or character == " " for character in text)


def _documented(module: ast.Module) -> Iterator[Documented]:
    """The nodes that may have a docstring, in the order of ast.walk: the text depends on it.

    Nothing is defined inside an expression, so those are not looked into.
    """
    waiting: deque[ast.AST] = deque([module])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, Documented):
            yield node
        for name in BLOCKS:
            waiting.extend(getattr(node, name, ()))


PEOPLE = [
    "my sister",
    "my neighbour",
    "the new teacher",
    "our doctor",
    "a friend from school",
    "the baker",
]
PLACES = [
    "the library",
    "the post office",
    "the market",
    "the station",
    "the swimming pool",
    "the museum",
]
DAYS = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
]
TIMES = [
    "seven in the morning",
    "half past eight",
    "nine",
    "noon",
    "three in the afternoon",
    "six",
    "ten",
]
FOODS = [
    "bread",
    "soup",
    "rice",
    "apples",
    "cheese",
    "fish",
    "potatoes",
    "beans",
    "coffee",
    "tea",
    "eggs",
    "salad",
]
WEATHER = [
    "rain",
    "snow",
    "strong wind",
    "fog",
    "bright sunshine",
    "a cold night",
    "a warm evening",
]
THINGS = [
    "a book",
    "a coat",
    "a bicycle",
    "a lamp",
    "a phone",
    "a ticket",
    "a chair",
    "a pair of shoes",
    "a bag",
]
REASONS = [
    "it was too small",
    "it arrived late",
    "the price has changed",
    "there was a mistake",
    "somebody else needed it",
    "it did not work",
    "the colour was wrong",
]
EXCHANGE_FORMS = (
    (
        "When does {place} open on {day}?",
        "On {day} {place} opens at {time}. It closes later than on {other_day}, so there is time "
        "to go after work. If you are not sure, call before you leave the house.",
    ),
    (
        "What did {person} buy last {day}?",
        "Last {day} {person} bought {thing} and some {food}. The next day {person} took {thing} "
        "back, because {reason}. The shop gave the money back without any question.",
    ),
    (
        "Can you tell me how to make {food} with {other_food}?",
        "Yes. First wash your hands and prepare the {food}. Then add the {other_food}, a little "
        "salt and some oil, and wait until {time}. It is best when you share it with {person}.",
    ),
    (
        "What will the weather be like on {day}?",
        "They expect {weather} on {day}, and then {other_weather} on {other_day}. Take {thing} "
        "with you when you go to {place}, and tell {person} that you may be late.",
    ),
    (
        "Hello, I need help. I lost {thing} near {place}.",
        "I am sorry to hear that. Please tell me when you lost {thing} and what it looks like. You "
        "can also ask at {place}: it is open on {day} from {time}. I hope that you find it soon.",
    ),
    (
        "Why was the order sent back?",
        "The order was sent back because {reason}. We have sent {thing} again on {day}, and it "
        "should arrive before {other_day}. Thank you for your patience, and please "
        "write to us again if anything else is missing.",
    ),
    (
        "Could you summarise the letter from {person}?",
        "In short: {person} will visit us on {day} at {time}, would like to see {place}, and asks "
        "whether we have {food} at home. If there is {weather}, the visit moves to {other_day}.",
    ),
    (
        "Is it better to walk to {place} or to take the bus?",
        "It depends on the weather. With {weather} the bus is better; it leaves at {time}. "
        "Otherwise walk: it takes about twenty minutes, and on the way you can buy "
        "{food} or {other_food}.",
    ),
)


def _exchanges(count: int) -> Iterator[str]:
    choose = random.Random(0).choice  # noqa: S311  # text, no secret
    for _ in range(count):
        question, answer = choose(EXCHANGE_FORMS)
        words = {
            "person": choose(PEOPLE),
            "place": choose(PLACES),
            "day": choose(DAYS),
            "other_day": choose(DAYS),
            "time": choose(TIMES),
            "food": choose(FOODS),
            "other_food": choose(FOODS),
            "weather": choose(WEATHER),
            "other_weather": choose(WEATHER),
            "thing": choose(THINGS),
            "reason": choose(REASONS),
        }
        yield f"{question.format(**words)}\n\n{answer.format(**words)}"
