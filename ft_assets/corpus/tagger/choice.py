"""Which tagger a platform uses, and where it lies once it was made.

A tagger is made once per spec and kept by digest, so that the asset, the commands and a stream of
texts share it. What is handed on is the file of a trained one, or a record of what stands in its
place.
"""

import fcntl
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ft_assets.corpus.detector import Detector
from ft_assets.corpus.tagger import model_file
from ft_assets.corpus.tagger.learn import Report, Spec, learn
from ft_assets.settings import Platform

MODEL = "tagger.safetensors"
RECORD = "tagger.json"


def spec_of(settings: Platform) -> Spec:
    """Patterns of files that match nothing give no file: the generated text is always there."""
    chosen = settings.anonymization.tagger
    files = {
        Path(file) for pattern in chosen.annotated for file in glob.glob(settings.path(pattern))
    }
    return Spec(
        annotated=tuple(sorted(files)),
        generated=chosen.generated,
        epochs=chosen.epochs,
        precision_floor=chosen.precision_floor,
        seed=chosen.seed,
        threads=settings.adapters.threads,
    )


def kept_at(settings: Platform, spec: Spec) -> Path:
    return (
        Path(settings.path(settings.anonymization.tagger.cache))
        / f"{spec.digest()[:32]}.safetensors"
    )


def ensure(settings: Platform, report: Report) -> dict[str, bytes]:
    """What a platform's detector needs, by name of file; a tagger is made if it is not there yet.

    Raises AnnotationError for an annotated set that cannot be read.
    """
    chosen = settings.anonymization.tagger
    if chosen.kind != "trained":
        record: dict[str, Any] = {"kind": chosen.kind}
        if chosen.kind == "huggingface":
            model = chosen.model or ""
            record |= {"model": model, "labels": chosen.labels, "threshold": chosen.threshold}
            if Path(settings.path(model)).is_dir():
                record |= {"model": settings.path(model), "digest": _digest(settings.path(model))}
        return {RECORD: json.dumps(record, indent=1, sort_keys=True).encode()}
    return {MODEL: trained(settings, report)}


def detector_from(files: Mapping[str, bytes]) -> Detector:
    """The detector of what `ensure` gave.

    Raises ModelFileError, or as huggingface.HuggingFaceTagger does.
    """
    if MODEL in files:
        tagger, _ = model_file.from_bytes(files[MODEL])
        return Detector(tagger)
    record = json.loads(files[RECORD])
    if record["kind"] == "none":
        return Detector()
    from ft_assets.corpus.tagger.huggingface import HuggingFaceTagger

    if "digest" in record and _digest(record["model"]) != record["digest"]:
        raise model_file.ModelFileError(
            f"{record['model']} is not the model that pii_tagger names; materialize it again"
        )
    return Detector(HuggingFaceTagger(record["model"], record["labels"], record["threshold"]))


def _digest(folder: str) -> str:
    """sha256 over the names and contents of a folder's files."""
    state = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*")):
        if file.is_file():
            state.update(file.relative_to(folder).as_posix().encode())
            state.update(hashlib.sha256(file.read_bytes()).digest())
    return state.hexdigest()


def trained(settings: Platform, report: Report) -> bytes:
    """The file of the trained tagger: found by digest, or learned now."""
    spec = spec_of(settings)
    file = kept_at(settings, spec)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Two that need the same tagger at once: the second waits for the first.
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.is_file():
            return file.read_bytes()
        report("learning to find names; this takes minutes, once")
        content = learn(spec, report)
        _keep(file, content)
        return content


def _keep(file: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, suffix=".part")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(name, file)
