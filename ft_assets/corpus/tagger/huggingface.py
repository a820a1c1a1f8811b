"""A token classification model of transformers in the place of the trained tagger.

Its labels are read by name (PER, B-LOC, EMAIL ...: labels.py) or by a table from platform.yaml.
Texts longer than the model takes are cut into windows that overlap by half: models that truncate in
silence lose what stands behind (urchade/GLiNER#378). The weights must be safetensors, and nothing
is fetched unless the hub client is allowed to.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger.labels import NUMBER, OUTSIDE, our_type
from ft_assets.corpus.tagger.tag import apart_from

_TOGETHER = 16  # windows in a batch


class HuggingFaceTagger:
    """`labels` maps the model's labels, without B- and I-, to types of ours.

    Raises OSError when the model is not there, ValueError when none of its labels is known.
    """

    def __init__(self, model: str, labels: Mapping[str, str], threshold: float) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(model, use_fast=True)
        self._model: Any = AutoModelForTokenClassification.from_pretrained(
            model, use_safetensors=True
        ).eval()
        self._threshold = threshold
        by_number: Mapping[int, str] = self._model.config.id2label
        self._types = [_type(by_number[number], labels) for number in sorted(by_number)]
        if all(kind == OUTSIDE for kind in self._types):
            raise ValueError(
                f"{model}: none of its labels {sorted(set(by_number.values()))} is known; name "
                "them in anonymization.tagger.labels"
            )

    def find_in(
        self, documents: Sequence[Sequence[str]], found: Sequence[Sequence[Sequence[Span]]]
    ) -> list[list[list[Span]]]:
        """What the model finds beside `found`: in code points, sorted, without overlaps."""
        return [
            [
                list(apart_from(text, self._spans(text), others))
                for text, others in zip(document, spans, strict=True)
            ]
            for document, spans in zip(documents, found, strict=True)
        ]

    def _spans(self, text: str) -> list[Span]:
        """Neighbours of one type are one span; a token of two windows is what either says."""
        if not text.strip():
            return []
        kinds: dict[tuple[int, int], str] = {}
        for start, end, kind in self._tokens(text):
            if kind != OUTSIDE or (start, end) not in kinds:
                kinds[start, end] = kind
        spans: list[Span] = []
        for (start, end), kind in sorted(kinds.items()):
            if kind == OUTSIDE or start == end:
                continue
            if spans and spans[-1].type == kind and not text[spans[-1].end : start].strip():
                spans[-1] = Span(spans[-1].start, max(end, spans[-1].end), kind)
            elif not spans or start >= spans[-1].end:
                spans.append(Span(start, end, kind))
        return spans

    def _tokens(self, text: str) -> Iterator[tuple[int, int, str]]:
        import torch

        limit = min(self._tokenizer.model_max_length, self._model.config.max_position_embeddings)
        windows = self._tokenizer(
            text,
            truncation=True,
            max_length=limit,
            stride=limit // 2 - self._tokenizer.num_special_tokens_to_add(),
            padding=True,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        offsets, special = windows["offset_mapping"], windows["special_tokens_mask"]
        for first in range(0, len(offsets), _TOGETHER):
            batch = slice(first, first + _TOGETHER)
            with torch.inference_mode():
                logits = self._model(
                    input_ids=windows["input_ids"][batch],
                    attention_mask=windows["attention_mask"][batch],
                ).logits
            chosen = self._chosen(logits)
            for places, skipped, kinds in zip(offsets[batch], special[batch], chosen, strict=True):
                for (start, end), skip, kind in zip(
                    places.tolist(), skipped.tolist(), kinds, strict=True
                ):
                    if not skip:
                        yield start, end, kind

    def _chosen(self, logits: Any) -> list[list[str]]:
        """The best type of each token that is nothing with less probability than the threshold."""
        probabilities = logits.softmax(dim=-1)
        outside = [number for number, kind in enumerate(self._types) if kind == OUTSIDE]
        personal = probabilities[..., outside].sum(dim=-1) < self._threshold
        probabilities[..., outside] = -1
        best = probabilities.argmax(dim=-1)
        return [
            [self._types[number] if found else OUTSIDE for number, found in zip(*row, strict=True)]
            for row in zip(best.tolist(), personal.tolist(), strict=True)
        ]


def _type(label: str, labels: Mapping[str, str]) -> str:
    bare = label[2:] if label[:2] in ("B-", "I-", "L-", "U-", "S-", "E-") else label
    given = labels.get(bare)
    if given is not None and given not in NUMBER:
        raise ValueError(f"anonymization.tagger.labels: {given!r} is none of {sorted(NUMBER)}")
    return given or our_type(bare)
