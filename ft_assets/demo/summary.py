"""What the demo says at its end: per domain what became of the rows, the models and the traffic.

Rows are followed from the delivered line to the corpus: rows_in = rows_out + quarantined + dropped.
They are log lines, annotations and corrections; documents are cut into passages and counted apart.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Facts = Callable[[str, str], Mapping[str, Any]]  # (asset, partition) -> metadata

CONVERSATIONS = ("log", "annotation", "correction")
NOT_YET = "not_in_corpus_yet"  # taken up, but of weeks after the last training


def domain_summary(facts: Facts, domain: str, weeks: Iterable[str]) -> dict[str, Any]:
    """Counts of one domain. Raises ValueError when a row is unaccounted for."""
    corpus = facts("training_corpus", domain)
    rows_in = quarantined = masked = left = 0
    dropped: Counter[str] = Counter()
    for week in weeks:
        raw, clean = (facts(name, f"{domain}|{week}") for name in ("raw_logs", "anonymized_logs"))
        rows_in += raw["rows_in"]
        quarantined += raw["quarantined"]
        masked += clean["identifiers_masked"]
        dropped.update(raw["dropped"])
        dropped.update(clean["dropped"])
        if week in corpus["weeks"]:
            left += clean["rows_out"]
        else:
            dropped[NOT_YET] += clean["rows_out"]
    for name in ("raw_annotations", "raw_corrections"):
        raw = facts(name, domain)
        rows_in += raw["rows_in"]
        quarantined += raw["quarantined"]
        dropped.update(raw["dropped"])
    examples, documents = (
        facts(name, domain) for name in ("anonymized_examples", "anonymized_documents")
    )
    dropped.update(examples["dropped"])
    masked += examples["identifiers_masked"] + documents["identifiers_masked"]
    for kind in CONVERSATIONS:
        dropped.update(corpus["dropped_by_kind"].get(kind, {}))
    rows_out = sum(corpus["rows_by_kind"].get(kind, 0) for kind in CONVERSATIONS)
    if rows_in != rows_out + quarantined + dropped.total():
        raise ValueError(
            f"{domain}: rows do not add up: {rows_in} in, {rows_out} out, {quarantined} "
            f"quarantined, {dropped.total()} dropped"
        )
    raw_documents = facts("raw_documents", domain)
    return {
        "rows_in": rows_in,
        "rows_out": rows_out,
        "quarantined": quarantined,
        "dropped": {reason: n for reason, n in sorted(dropped.items()) if n},
        "identifiers_masked": masked,
        "corpus_rows": corpus["rows_out"],
        "documents": {
            "rows_in": raw_documents["rows_in"],
            "quarantined": raw_documents["quarantined"],
            "passages_used": corpus["rows_by_kind"].get("document", 0),
        },
    }


def model_summary(facts: Facts, domain: str) -> dict[str, Any]:
    """The evaluation of the newest adapter and what serves."""
    report, deployed = facts("eval_report", domain), facts("deployed_model", domain)
    champion = deployed.get("champion")
    return {
        "perplexity_base": report.get("perplexity_base"),
        "perplexity_adapter": report.get("perplexity_candidate"),
        "general_perplexity_base": report.get("general_perplexity_base"),
        "general_perplexity_adapter": report.get("general_perplexity_candidate"),
        "gate": report.get("gate"),
        "canary": deployed.get("decision"),
        "deployed": None if champion in (None, "none") else champion,
    }
