"""A trained tagger as one file: safetensors, its facts as JSON in the header.

What is stored as float16 is the table, which is nearly all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ft_assets.corpus.tagger.labels import LABELS
from ft_assets.corpus.tagger.network import DILATIONS, Array, Network
from ft_assets.corpus.tagger.tag import Tagger
from ft_assets.corpus.tagger.tokens import ROWS

FORMAT = 1
_FACTS = "tagger"
# What a file must have been made with to be read here.
SHAPE = {"format": FORMAT, "labels": list(LABELS), "dilations": list(DILATIONS), "rows": ROWS}


class ModelFileError(ValueError):
    """A file that is no tagger of this version."""


@dataclass(frozen=True)
class Facts:
    threshold: float
    texts: dict[str, int]  # learned from, by source
    scores: dict[str, dict[str, float]]  # on development data, by source
    recipe: dict[str, Any]


def to_bytes(weights: Mapping[str, Array], facts: Facts) -> bytes:
    """Equal weights and facts give equal bytes."""
    from safetensors.numpy import save

    arrays = {
        name: np.ascontiguousarray(value, np.float16 if name == "table" else np.float32)
        for name, value in weights.items()
    }
    header = {**SHAPE, **asdict(facts)}
    return save(arrays, metadata={_FACTS: json.dumps(header, sort_keys=True)})


def from_bytes(content: bytes) -> tuple[Tagger, Facts]:
    """Raises ModelFileError when it is not a tagger, or one of another version."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        header = json.loads(_metadata(content)[_FACTS])
    except (SafetensorError, KeyError, ValueError):
        raise ModelFileError("not a tagger: no safetensors with a header of ours") from None
    for name, value in SHAPE.items():
        if header.get(name) != value:
            raise ModelFileError(
                f"a tagger of another version: its {name} differ; train one with `ft pii train`"
            )
    facts = Facts(header["threshold"], header["texts"], header["scores"], header["recipe"])
    return Tagger(Network(arrays), facts.threshold), facts


def _metadata(content: bytes) -> dict[str, str]:
    """The header of the safetensors format: its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]
