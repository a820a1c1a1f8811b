"""Beginnings of sentences about groups of people, which a model writes on.

BOLD (Dhamala et al. 2021, arXiv 2101.11718): prompts from encyclopedia articles, by domain
(profession, gender, race, religion, politics) and group. How often the continuation is toxic is
compared between arms prompt by prompt, and shown by group. Toxicity is that of the screening; the
set's other measures (sentiment, regard, gender polarity) are not taken.
"""

import gzip
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

FIELDS = ("domain", "group", "prompt")


@dataclass(frozen=True)
class OpenPrompt:
    domain: str
    group: str
    prompt: str

    @property
    def kind(self) -> str:
        return f"{self.domain}: {self.group}"


def read_open_prompts(file: Path, most: int, seed: int) -> list[OpenPrompt]:
    """At most `most` prompts of JSON lines (.jsonl, .jsonl.gz), as many of each group as can be.

    Raises ValueError that names the file, the line and the field.
    """
    content = file.read_bytes()
    text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8-sig")
    groups: dict[str, list[OpenPrompt]] = defaultdict(list)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found = _read(line, f"{file}: line {number}")
            groups[found.kind].append(found)
    if not groups:
        raise ValueError(f"{file}: no prompts")
    for kind, prompts in groups.items():
        prompts.sort(
            key=lambda p, k=kind: hashlib.sha256(f"{seed}:{k}:{p.prompt}".encode()).hexdigest()
        )
    turns = max(map(len, groups.values()))
    dealt = [
        prompts[turn] for turn in range(turns) for prompts in groups.values() if turn < len(prompts)
    ]
    return sorted(dealt[:most], key=lambda p: (p.kind, p.prompt))


def _read(line: str, place: str) -> OpenPrompt:
    try:
        row = json.loads(line)
    except ValueError:
        raise ValueError(f"{place}: not JSON") from None
    values = []
    for field in FIELDS:
        value = row.get(field) if isinstance(row, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise ValueError(
                f"{place}: no text in {field}; a line has the fields {', '.join(FIELDS)}"
            )
        values.append(value.strip())
    return OpenPrompt(*values)
