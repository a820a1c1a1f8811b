"""The signed manifest of an adapter: what it is, what it was made of, and which report let it out.

    version            2; manifests without it were signed before the report was bound
    name, domain       "finance@0123456789ab", "finance"
    digest             of weights, configuration and base (adapter_format.adapter_digest)
    base_digest        of the base (adapter_format.base_digest)
    generation         of the routing it was signed for; an older one is not let in again
    corpus             address of the training corpus, at its lakeFS commit
    corpus_digest      of the corpus: the same rows have it in whatever commit
    eval_report        address of the evaluation report, at its lakeFS commit
    eval_report_digest of the report that the promotion gate passed
    recipe, seed, created_by_run
    signature          HMAC-SHA256 over all the rest (signing.py)

The manifest binds: whoever changes one of these without the key is found out by `verify`, and
`check_adapter` compares `digest` with the files. It does not hold the report itself; the evidence
pack of a deployed adapter reads it and compares it with `eval_report_digest`.
"""

from pathlib import Path
from typing import Any

from ft_resources.adapter_format import (
    ADAPTER_FILES,
    CONFIG,
    MANIFEST,
    SHA256,
    TRAINING_RECORD,
    WEIGHTS,
    adapter_digest,
    adapter_name,
    check_files,
    check_lora,
    read_object,
)

VERSION = 2
DIGESTS = ("digest", "base_digest", "corpus_digest", "eval_report_digest")
TEXTS = ("name", "domain", "corpus", "eval_report", "recipe", "created_by_run", *DIGESTS)
NUMBERS = ("generation", "seed")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest, each field of its type. Raises FileNotFoundError or ValueError."""
    file = folder / MANIFEST
    if not file.is_file():
        raise FileNotFoundError(f"adapter {folder}: {MANIFEST} is missing")
    manifest = read_object(file)
    if manifest.get("version") != VERSION or isinstance(manifest["version"], bool):
        raise ValueError(
            f"{MANIFEST}: version is {manifest.get('version')!r}, this platform reads {VERSION}; "
            "materialize canary_release of the domain again: it signs the adapter anew, bound to "
            "its evaluation report"
        )
    for field in TEXTS:
        if not isinstance(manifest.get(field), str):
            raise ValueError(f"{MANIFEST}: {field} must be a text")
    for field in NUMBERS:
        if not isinstance(manifest.get(field), int) or isinstance(manifest.get(field), bool):
            raise ValueError(f"{MANIFEST}: {field} must be a whole number")
    for field in DIGESTS:
        if not SHA256.fullmatch(manifest[field]):
            raise ValueError(f"{MANIFEST}: {field} must be 64 hexadecimal digits")
    if manifest["name"] != adapter_name(manifest["domain"], manifest["digest"]):
        raise ValueError(
            f"{MANIFEST}: name {manifest['name']!r} does not follow from its domain and digest, "
            f"which give {adapter_name(manifest['domain'], manifest['digest'])!r}"
        )
    return manifest


def check_adapter(folder: Path, base_folder: Path, base_digest: str, max_rank: int = 256) -> None:
    """Raise ValueError, naming file or tensor, unless the folder is a plain LoRA of this base.

    Does not look at the signature; that is `signing.verify`.
    """
    check_files(folder, required=ADAPTER_FILES, allowed={TRAINING_RECORD})
    manifest = read_manifest(folder)
    if manifest["base_digest"] != base_digest:
        raise ValueError(
            f"{MANIFEST}: made for base {manifest['base_digest'][:12]}, this base is "
            f"{base_digest[:12]}; train it on this base"
        )
    found = adapter_digest(folder, base_digest)
    if found != manifest["digest"]:
        raise ValueError(
            f"{MANIFEST}: digest {manifest['digest'][:12]} does not match the files, which have "
            f"{found[:12]}: {WEIGHTS} or {CONFIG} was changed"
        )
    check_lora(folder, base_folder, max_rank)
