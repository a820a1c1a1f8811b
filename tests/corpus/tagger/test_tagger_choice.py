import json
from pathlib import Path

import pytest

from ft_assets.corpus.detect import Span
from ft_assets.corpus.tagger import choice, learn, model_file
from ft_assets.corpus.tagger.huggingface import HuggingFaceTagger
from ft_assets.corpus.tagger.learn import Spec
from ft_assets.settings import Platform

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "MISC"]


def settings(tmp_path, **tagger):
    return Platform.model_validate(
        {"domains": {"any": {}}, "root": tmp_path, "anonymization": {"tagger": tagger}}
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A BERT that says PER to "ingrid", LOC to "rome" and MISC to "nato", and nothing else."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ingrid", "rome", "nato", "word"]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    torch.manual_seed(0)
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        embeddings = model.bert.embeddings
        embeddings.word_embeddings.weight[4, 0] = 1
        embeddings.word_embeddings.weight[5, 1] = 1
        embeddings.word_embeddings.weight[6, 2] = 1
        [layer] = model.bert.encoder.layer
        for part in (embeddings, layer.attention.output, layer.output):
            part.LayerNorm.weight.fill_(1)
        model.classifier.bias[0] = 3
        for dimension, label in ((0, 1), (1, 3), (2, 4)):
            model.classifier.weight[label, dimension] = 8
    model.save_pretrained(folder)
    return folder


def test_none_is_patterns_alone(tmp_path):
    files = choice.ensure(settings(tmp_path, kind="none"), print)
    detector = choice.detector_from(files)
    assert detector.find_in([["Ann Lee, a@x.com"]]) == [[[Span(9, 16, "EMAIL")]]]


def test_trained_once_and_then_found(tmp_path):
    chosen = settings(tmp_path, generated=120, epochs=1)
    messages = []
    first = choice.ensure(chosen, messages.append)
    assert messages
    messages.clear()
    assert choice.ensure(chosen, messages.append) == first
    assert not messages
    kept = choice.kept_at(chosen, choice.spec_of(chosen))
    assert set(kept.parent.iterdir()) == {kept, kept.with_suffix(".lock")}
    choice.detector_from(first).find_in([["Ann Lee"]])


def test_what_a_tagger_depends_on(tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps({"text": "Ann", "spans": [[0, 3, "PERSON"]]}) + "\n")
    one = Spec(annotated=(file,))
    digests = {one.digest(), Spec().digest(), Spec(seed=1).digest(), Spec(epochs=9).digest()}
    file.write_text(json.dumps({"text": "Bob", "spans": [[0, 3, "PERSON"]]}) + "\n")
    assert len({*digests, one.digest()}) == 5
    assert choice.spec_of(settings(tmp_path, annotated=["*.jsonl", "none*.jsonl"])).annotated == (
        file,
    )


def test_another_code_learns_another_tagger(tmp_path, monkeypatch):
    names = {file.name for file in learn.source_files()}
    assert {"learn.py", "texts.py", "words.txt", "phones.py", "detect.py"} <= names
    (tmp_path / "rules.py").write_text("ONE = 1\n")
    monkeypatch.setattr(learn, "SOURCES", (tmp_path,))
    before = Spec().digest()
    (tmp_path / "rules.py").write_text("ONE = 2\n")
    assert Spec().digest() != before


def test_a_model_of_transformers_takes_its_place(tmp_path, small):
    files = choice.ensure(settings(tmp_path, kind="huggingface", model=str(small)), print)
    detector = choice.detector_from(files)
    text = "Ingrid saw NATO in Rome, a@x.com"
    assert detector.find_in([[text]]) == [
        [[Span(0, 6, "PERSON"), Span(19, 23, "LOCATION"), Span(25, 32, "EMAIL")]]
    ]
    assert detector.find_in([["", "  "]]) == [[[], []]]


def test_nothing_of_a_long_text_is_cut_off(small):
    tagger = HuggingFaceTagger(str(small), {}, 0.5)
    text = "word " * 200 + "Ingrid " + "word " * 90 + "Rome"
    [[spans]] = tagger.find_in([[text]], [[[]]])
    assert [(text[s.start : s.end], s.type) for s in spans] == [
        ("Ingrid", "PERSON"),
        ("Rome", "LOCATION"),
    ]


def test_labels_can_be_given_names(small):
    tagger = HuggingFaceTagger(str(small), {"MISC": "ORG"}, 0.5)
    assert tagger.find_in([["NATO"]], [[[]]]) == [[[Span(0, 4, "ORG")]]]
    with pytest.raises(ValueError, match="'COMPANY' is none of"):
        HuggingFaceTagger(str(small), {"MISC": "COMPANY"}, 0.5)


def test_another_model_in_the_folder_is_refused(tmp_path, small):
    import shutil

    folder = Path(shutil.copytree(small, tmp_path / "model"))
    files = choice.ensure(settings(tmp_path, kind="huggingface", model="model"), print)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(model_file.ModelFileError, match="materialize it again"):
        choice.detector_from(files)


def test_a_file_that_is_no_tagger(tmp_path):
    from safetensors.numpy import save

    for content in (b"", b"\x00" * 40, save({}), save({}, metadata={"tagger": "{}"})):
        with pytest.raises(model_file.ModelFileError, match="tagger"):
            model_file.from_bytes(content)
