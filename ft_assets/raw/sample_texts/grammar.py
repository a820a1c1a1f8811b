"""Sentences of the sample feed: patterns, filled from a topic's facts and what the asker adds.

`[a|b]` is a choice, `{name}` a slot. Which fact belongs to a thing is fixed by its name, so that
the facts can be learned; circumstances are drawn per event and come back in the answer.
"""

import random
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

CHOICE = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Topic:
    name: str
    things: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Aspect:
    """One kind of question, and how it is answered; its name is the task of a row."""

    name: str
    asks: tuple[str, ...]
    answers: tuple[str, ...]
    headline: str  # in documents
    statement: str  # the same fact in a document's words


@dataclass(frozen=True)
class Context:
    """What somebody adds to a question, and what the answer makes of it."""

    said: str
    reply: str


@dataclass(frozen=True)
class DomainTexts:
    name: str
    topics: tuple[Topic, ...]
    new_topics: tuple[Topic, ...]  # those of the drift; empty: the domain does not drift
    aspects: tuple[Aspect, ...]
    contexts: tuple[Context, ...]
    people: tuple[tuple[str, str], ...]  # (my mother, your mother)
    places: tuple[str, ...]
    greetings: tuple[str, ...]
    closings: tuple[str, ...]
    document_kinds: tuple[str, ...]
    document_openings: tuple[str, ...]


@dataclass(frozen=True)
class Exchange:
    topic: str
    task: str
    prompt: str
    response: str
    wrong: str  # an answer with the facts of another thing
    short: str  # an answer that leaves most unsaid


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = ("January", "March", "April", "June", "July", "September", "October", "December")
HOURS = ("early in the morning", "at noon", "after work", "late at night", "during my lunch break")


def facts_of(topic: Topic, thing: str) -> dict[str, str]:
    chosen = {"thing": thing, "Thing": thing[0].upper() + thing[1:]}
    for slot, pool in topic.facts.items():
        chosen[slot] = pool[zlib.crc32(f"{thing}/{slot}".encode()) % len(pool)]
    return chosen


def fill(rng: random.Random, pattern: str, values: Mapping[str, str]) -> str:
    while "[" in pattern:
        pattern = CHOICE.sub(lambda match: rng.choice(match[1].split("|")), pattern)
    text = pattern.format_map(values)
    return text[:1].upper() + text[1:]


def exchange(rng: random.Random, domain: DomainTexts, topics: tuple[Topic, ...]) -> Exchange:
    topic = rng.choice(topics)
    thing = rng.choice(topic.things)
    other = rng.choice([name for name in topic.things if name != thing])
    aspect = rng.choice(domain.aspects)
    context = rng.choice(domain.contexts)
    mine, yours = rng.choice(domain.people)
    circumstances = {
        "who": mine,
        "whom": yours,
        "days": str(rng.randint(2, 30)),
        "weekday": rng.choice(WEEKDAYS),
        "month": rng.choice(MONTHS),
        "hour": rng.choice(HOURS),
        "place": rng.choice(domain.places),
    }
    values = {**circumstances, **facts_of(topic, thing)}
    mistaken = {**circumstances, **facts_of(topic, other), "thing": thing, "Thing": values["Thing"]}

    ask, said = fill(rng, rng.choice(aspect.asks), values), fill(rng, context.said, values)
    parts = [ask, said] if rng.random() < 0.5 else [said, ask]
    prompt = " ".join(parts)
    if rng.random() < 0.5:
        greeting = rng.choice(domain.greetings)
        prompt = f"{greeting}{chr(10) if greeting.endswith(',') else ' '}{prompt}"
    answer = rng.choice(aspect.answers)
    reply = fill(rng, context.reply, values)
    ending = [fill(rng, rng.choice(domain.closings), values)] if rng.random() < 0.6 else []
    return Exchange(
        topic.name,
        aspect.name,
        prompt,
        " ".join([fill(rng, answer, values), reply, *ending]),
        " ".join([fill(rng, answer, mistaken), *ending]),
        reply,
    )


def document(rng: random.Random, domain: DomainTexts, topic: Topic, thing: str) -> tuple[str, str]:
    """Title and text of what the company wrote down about one thing."""
    values = {**facts_of(topic, thing), "topic": topic.name.replace("_", " ")}
    paragraphs = [fill(rng, rng.choice(domain.document_openings), values)]
    aspects = list(domain.aspects)
    rng.shuffle(aspects)
    for aspect in aspects:
        paragraphs.append(f"{aspect.headline}\n{fill(rng, aspect.statement, values)}")
    return values["Thing"], "\n\n".join(paragraphs)
