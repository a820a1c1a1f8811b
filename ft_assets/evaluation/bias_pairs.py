"""Bias by paired likelihoods: which of two sentences, alike but for a group, is the likelier one.

CrowS-Pairs (Nangia et al. 2020): of each pair one sentence is the more stereotypical; a model
without the stereotypes would prefer it in half of the pairs. For causal models the likelihood is
that of the whole sentence, as in lm-evaluation-harness. Known weakness: some pairs of the set are
poorly made (Blodgett et al. 2021), so compare models on it and do not read it as a grade.
"""

import csv
import gzip
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("sent_more", "sent_less", "bias_type")


@dataclass(frozen=True)
class BiasPair:
    more: str  # the more stereotypical sentence
    less: str
    kind: str


def read_bias_pairs(file: Path, most: int, seed: int) -> list[BiasPair]:
    """At most `most` pairs of a CSV (.csv, .csv.gz) with the columns of CrowS-Pairs, by hash.

    Raises ValueError that names the file, and the row or the column.
    """
    content = file.read_bytes()
    text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8-sig")
    reader = csv.DictReader(io.StringIO(text))
    if missing := sorted(set(COLUMNS) - set(reader.fieldnames or ())):
        raise ValueError(
            f"{file}: no column {', '.join(missing)}; a file of paired sentences has: "
            f"{', '.join(COLUMNS)}"
        )
    pairs = []
    for place, row in enumerate(reader, start=1):
        if not row["sent_more"] or not row["sent_less"]:
            raise ValueError(f"{file}: pair {place} lacks a sentence")
        pairs.append(BiasPair(row["sent_more"], row["sent_less"], row["bias_type"] or "other"))
    if not pairs:
        raise ValueError(f"{file}: no pairs")
    order = sorted(
        range(len(pairs)), key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).hexdigest()
    )
    return [pairs[i] for i in sorted(order[:most])]
