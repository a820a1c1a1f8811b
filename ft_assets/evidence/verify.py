"""The parts of an evidence pack that are not told but tested: digests, bindings, the signature."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ft_resources.adapter_format import adapter_digest
from ft_resources.lakefs.client import content_digest
from ft_resources.signing import verify as verify_signature


def verified(
    *,
    adapter: Path,
    lineage: Mapping[str, Any],
    manifest: Mapping[str, Any],
    decision: Mapping[str, Any],
    report: Mapping[str, bytes],
    corpus: Mapping[str, bytes],
    consent: Mapping[str, Any],
    key: bytes,
) -> list[dict[str, Any]]:
    """Each claim with whether it holds. `report` and `corpus` are the objects as lakeFS has them at
    the commits that the manifest names.
    """
    name = lineage["adapter"]
    digest = adapter_digest(adapter, lineage["base_digest"])
    claims = [
        ("The adapter's files have the digest in its name", digest == lineage["digest"], digest),
        ("The manifest is signed by this platform", _is_signed(manifest, key), name),
        ("The manifest is of this adapter", manifest["digest"] == digest, manifest["name"]),
        (
            "The manifest names the evaluation report that lies in lakeFS",
            manifest["eval_report_digest"] == content_digest(report),
            manifest["eval_report_digest"],
        ),
        (
            "The manifest names the corpus that lies in lakeFS",
            manifest["corpus_digest"] == content_digest(corpus),
            manifest["corpus_digest"],
        ),
        (
            "The report is of this adapter, and its gate passed",
            decision["adapter"] == name and decision["outcome"] == "passed",
            f"{decision['adapter']}: {decision['outcome']}",
        ),
        (
            "Every subject that is trained on has consented",
            consent["without_consent"] == 0,
            f"{consent['trained_on']} subjects, {consent['without_consent']} without consent",
        ),
    ]
    return [{"claim": claim, "holds": holds, "value": value} for claim, holds, value in claims]


def _is_signed(manifest: Mapping[str, Any], key: bytes) -> bool:
    try:
        verify_signature(manifest, key)
    except ValueError:
        return False
    return True
