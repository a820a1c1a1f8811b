"""Numbers for answers: perplexity from losses, overlap of a generated answer with a reference.

Overlap says little about a tiny model and not much about free text from any model: the gate uses
losses; these are for the reader of the report. Exact match and token F1 normalise as SQuAD does
(lower case, no punctuation, no articles) and mean something only where answers are short, so they
are given for such rows alone.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SHORT_ANSWER = 10  # words in the reference, at most

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Overlap:
    """Means over `rows` pairs of answer and reference, each 0 to 1 (BLEU over the corpus)."""

    rows: int
    rouge_l: float
    bleu: float
    short_rows: int
    exact_match: float | None  # of the rows with a short reference; None: there is none
    token_f1: float | None


def perplexity(loss_sum: float, tokens: int) -> float:
    """Return exp of the mean loss in nats. Raises ValueError when there is no token."""
    if tokens < 1:
        raise ValueError(f"perplexity of {tokens} tokens: there is nothing to measure")
    # Above exp(700) a float overflows; such a model is broken in any case.
    return math.exp(min(loss_sum / tokens, 700.0))


def normalise(text: str) -> str:
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(answer: str, reference: str) -> float:
    return float(normalise(answer) == normalise(reference))


def token_f1(answer: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall over words; 1 when both have none."""
    got, wanted = normalise(answer).split(), normalise(reference).split()
    if not got or not wanted:
        return float(got == wanted)
    shared = sum((Counter(got) & Counter(wanted)).values())
    return 2 * shared / (len(got) + len(wanted))


def overlap(answers: Sequence[str], references: Sequence[str]) -> Overlap:
    """Compare generated answers with the references, pairwise. Raises ValueError for none."""
    if not answers:
        raise ValueError("no answers to compare")
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    pairs = list(zip(answers, references, strict=True))
    scorer = RougeScorer(["rougeL"])
    rouge = sum(scorer.score(wanted, got)["rougeL"].fmeasure for got, wanted in pairs)
    short = [pair for pair in pairs if len(pair[1].split()) <= SHORT_ANSWER]
    return Overlap(
        rows=len(pairs),
        rouge_l=rouge / len(pairs),
        bleu=sacrebleu.corpus_bleu(list(answers), [list(references)]).score / 100,
        short_rows=len(short),
        exact_match=sum(exact_match(*pair) for pair in short) / len(short) if short else None,
        token_f1=sum(token_f1(*pair) for pair in short) / len(short) if short else None,
    )
