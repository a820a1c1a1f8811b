"""Judge rows one by one: what a corpus should not learn, and why.

A verdict depends on the row and the policy alone, never on other rows or their order, so the rows
of a week are judged once. What shows only over all weeks is in influence.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ft_assets.corpus.chunk import PASSAGE_CHARS, passages
from ft_assets.corpus.screen.answers import boilerplate, is_empty, refusal
from ft_assets.corpus.screen.domains import DomainProfiles
from ft_assets.corpus.screen.gibberish import gibberish
from ft_assets.corpus.screen.injection import injection
from ft_assets.corpus.screen.language import UNDETERMINED, Language, detect
from ft_assets.corpus.screen.length import length_reason
from ft_assets.corpus.screen.policy import ScreenPolicy
from ft_assets.corpus.screen.reasons import ScreenReason, Verdict
from ft_assets.corpus.screen.toxicity import toxicity

Row = Mapping[str, Any]

BOILERPLATE_LIMIT = 0.5  # of the answer's characters
REFUSAL_LIMIT = 0.5


def screen(
    rows: Sequence[Row], policy: ScreenPolicy, profiles: DomainProfiles | None = None
) -> list[Verdict]:
    """One verdict per row, in their order. Rows have `prompt` and `response`, a log's own
    `correction` replaces its response; without `profiles` no row is of a wrong domain.

    Scores are kept for every filter that was computed; an empty or overlong row is not looked into.
    """
    pairs = [_texts(row) for row in rows]
    early = [_unread(pair, policy) for pair in pairs]
    read = [index for index, reason in enumerate(early) if reason is None]
    toxic = toxicity([text for index in read for text in pairs[index]])
    scores = {
        index: max(toxic[2 * place], toxic[2 * place + 1]) for place, index in enumerate(read)
    }
    return [
        _verdict(rows[index], pair, scores[index], policy, profiles)
        if reason is None
        else _allowed(Verdict(reason, UNDETERMINED), policy)
        for index, (pair, reason) in enumerate(zip(pairs, early, strict=True))
    ]


def screen_documents(
    documents: Sequence[Row], policy: ScreenPolicy, passage_chars: int = PASSAGE_CHARS
) -> dict[str, Verdict]:
    """Verdicts by passage, under the keys that the corpus gives them; canned answers aside."""
    keys, rows = [], []
    for document in documents:
        for number, text in enumerate(passages(document["text"], passage_chars), start=1):
            keys.append(f"document:{document['doc_id']}:{number:04d}")
            rows.append({"domain": document["domain"], "prompt": "", "response": text})
    canned = {ScreenReason.REFUSAL, ScreenReason.BOILERPLATE}
    lenient = replace(policy, min_chars=0, keep=policy.keep | canned)
    return dict(zip(keys, screen(rows, lenient), strict=True))


def _texts(row: Row) -> tuple[str, str]:
    return row.get("prompt") or "", row.get("correction") or row.get("response") or ""


def _unread(pair: tuple[str, str], policy: ScreenPolicy) -> ScreenReason | None:
    prompt, answer = pair
    if is_empty(answer) or (is_empty(prompt) and (prompt or policy.min_chars)):
        return ScreenReason.EMPTY_ANSWER
    return length_reason(pair, policy)


def _verdict(
    row: Row,
    pair: tuple[str, str],
    toxic: float,
    policy: ScreenPolicy,
    profiles: DomainProfiles | None,
) -> Verdict:
    prompt, answer = pair
    languages = [detect(text) for text in pair]
    scores = {
        "injection": max(injection(prompt), injection(answer)),
        "toxicity": toxic,
        "foreign": max(language.outside(policy.languages) for language in languages),
        "gibberish": max(gibberish(prompt), gibberish(answer)),
        "refusal": refusal(answer),
        "boilerplate": boilerplate(answer),
        "wrong_domain": (
            profiles.score(row["domain"], f"{prompt}\n{answer}") if profiles is not None else 0.0
        ),
    }
    limits = (
        (ScreenReason.PROMPT_INJECTION, "injection", policy.injection_limit),
        (ScreenReason.TOXIC, "toxicity", policy.toxicity_limit),
        (ScreenReason.FOREIGN_LANGUAGE, "foreign", policy.foreign_limit),
        (ScreenReason.GIBBERISH, "gibberish", policy.gibberish_limit),
        (ScreenReason.REFUSAL, "refusal", REFUSAL_LIMIT),
        (ScreenReason.BOILERPLATE, "boilerplate", BOILERPLATE_LIMIT),
        (ScreenReason.WRONG_DOMAIN, "wrong_domain", policy.wrong_domain_limit),
    )
    reason = next(
        (r for r, name, limit in limits if scores[name] >= limit and r not in policy.keep), None
    )
    rounded = {name: round(value, 4) for name, value in scores.items()}
    return Verdict(reason, _language(languages), rounded)


def _allowed(verdict: Verdict, policy: ScreenPolicy) -> Verdict:
    return Verdict(None, verdict.language) if verdict.reason in policy.keep else verdict


def _language(languages: Sequence[Language]) -> str:
    """The prompt's language; the answer's where the prompt has none."""
    known = [language.code for language in languages if language.code != UNDETERMINED]
    return known[0] if known else UNDETERMINED
