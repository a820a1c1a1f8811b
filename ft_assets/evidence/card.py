"""The model card: README.md as model hubs read it, front matter first (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from ft_assets.evidence.facts import NOT_STATED
from ft_assets.evidence.page import number


def model_card(record: Mapping[str, Any]) -> str:
    """Markdown of an evidence record (evidence.json)."""
    adapter, data, consent, gate = (record[k] for k in ("adapter", "data", "consent", "gate"))
    licences = sorted({one["licence"] for one in data["licences"]})
    models = "\n".join(
        f"| {arm} | {gate['models'].get(arm, '')} | {number(found, 1)} |"
        for arm, found in gate["perplexity"].items()
    )
    rules = "\n".join(
        f"| {rule['rule']} | {rule['outcome']} | {number(rule['value'])} "
        f"| {number(rule['low'])} to {number(rule['high'])} | {number(rule['limit'])} |"
        for rule in gate["rules"]
    )
    dropped = "\n".join(f"| {reason} | {rows} |" for reason, rows in data["dropped"].items())
    return f"""---
library_name: peft
license: other
tags: [lora, {adapter["domain"]}]
---
# {adapter["name"]}

A LoRA adapter of domain `{adapter["domain"]}` over the base `{adapter["base_digest"][:12]}`, for
answering that domain's users behind the gateway. It is not meant for other domains, other bases, or
advice that nobody reads before it counts.

## Training data
{data["rows"]:,} rows of the weeks {", ".join(record["weeks"]) or "none"}; \
{", ".join(f"{kind} {rows:,}" for kind, rows in data["by_kind"].items())}.
Licences: {", ".join(licences) or NOT_STATED}. {consent["trained_on"]} subjects consented, \
{consent["without_consent"]} of those trained on did not.

| left out because | rows |
|---|---|
{dropped}

## Evaluation
Promotion gate: **{gate["outcome"]}**; canary: **{record["canary"]["decision"]}**.

| rule | outcome | value | interval | limit |
|---|---|---|---|---|
{rules}

| model | name | perplexity |
|---|---|---|
{models}

## Use
Loads in plain PEFT: `PeftModel.from_pretrained(base, folder)`. Digest `{adapter["digest"]}`.

## How to make it again
```
{record["reproduce"]["command"]}
```
"""
