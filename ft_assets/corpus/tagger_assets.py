"""The tagger of names as an asset, and the detector that anonymization builds from it."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from ft_assets.corpus.detector import Detector
from ft_assets.publishing import markdown_table, materialized, open_draft
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref

PREFIX = "pii_tagger/"
_KEPT: dict[str, Detector] = {}  # the one used last, by digest


@dg.asset(
    group_name="corpus",
    kinds={"lakefs", "pytorch"},
    code_version="1",
)
def pii_tagger(context: dg.AssetExecutionContext, lakefs: LakeFS) -> dg.MaterializeResult:
    """What finds names, addresses and places in texts: trained here, or a model named in its place.

    It is learned from generated text and the annotated sets of platform.yaml, once per choice of
    these: a second materialization finds the same file.
    """
    from ft_assets.corpus.tagger.choice import MODEL, ensure

    files = ensure(platform(), context.log.info)
    draft = open_draft(context, lakefs, lakefs.repository, {})
    draft.write(PREFIX, files)
    kind = platform().anonymization.tagger.kind
    draft.commit(f"pii_tagger: {kind}")
    ref = draft.merge()[PREFIX]
    facts: dict[str, Any] = {"kind": kind}
    if MODEL in files:
        facts |= _facts(files[MODEL])
    return materialized(context, lakefs, {None: ref}, {None: facts})


def _facts(model: bytes) -> dict[str, Any]:
    from ft_assets.corpus.tagger.model_file import from_bytes

    _, known = from_bytes(model)
    columns = ["documents", "direct_recall", "direct_precision", "recall", "precision", "clean"]
    scores = [
        [source, *(values.get(column, "") for column in columns)]
        for source, values in known.scores.items()
    ]
    return {
        "threshold": known.threshold,
        "bytes": len(model),
        "learned_from": markdown_table(["source", "texts"], sorted(known.texts.items())),
        "scores_on_development_data": markdown_table(["source", *columns], scores),
    }


def detector_of(lakefs: LakeFS, tagger: Ref | None) -> Detector:
    """The detector of a materialized `pii_tagger`, kept for the next run of this process.

    Raises dg.Failure when there is none: text must not pass with its names.
    """
    if tagger is None:
        raise dg.Failure("pii_tagger is not there yet; materialize it first", allow_retries=False)
    if tagger.digest not in _KEPT:
        from ft_assets.corpus.tagger.choice import detector_from

        files = {name: lakefs.read(tagger, name) for name in lakefs.names(tagger)}
        _KEPT.clear()
        _KEPT[tagger.digest] = detector_from(files)
    return _KEPT[tagger.digest]


def with_tagger(inputs: Mapping[str, Ref], tagger: Ref | None) -> dict[str, Ref]:
    """The inputs of an anonymized asset, for its lineage."""
    return {**inputs, **({"pii_tagger": tagger} if tagger else {})}
