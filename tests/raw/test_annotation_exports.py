"""What annotation tools export, in the shapes their documentation shows, becomes annotations."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ft_assets.raw import schema
from ft_assets.raw.delivery import list_sources
from ft_assets.raw.intake import take_up
from ft_assets.raw.taken import Intake
from ft_assets.settings import PlatformError, load_platform

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TIME = "2026-09-02T10:00:00.123456Z"


def taken(folder: Path, **feed: Any) -> Intake:
    sources = {"annotations": {"files": f"{folder}/export.json", **feed}}
    file = folder / "platform.yaml"
    file.write_text(json.dumps({"domains": {"legal": {"sources": sources}}}))
    found = list_sources(load_platform(file).sources("legal", "annotations"))
    intake = take_up(found, schema.Annotation, domain="legal", now=NOW)
    kept = len(intake.rows) + len(intake.quarantined) + sum(intake.dropped.values())
    assert intake.rows_in == kept
    return intake


def exported(folder: Path, records: list, **feed: Any) -> Intake:
    (folder / "export.json").write_text(json.dumps(records, indent=2))
    return taken(folder, **feed)


def shown(row: dict[str, Any], *names: str) -> tuple:
    names = names or ("annotation_id", "prompt", "response", "labels", "annotator_id", "created_at")
    return tuple(row[name] for name in names)


def region(name: str, kind: str, **value: Any) -> dict[str, Any]:
    return {"id": "x1", "from_name": name, "to_name": "q", "type": kind, "value": value}


def task(number: int, *results: list, **more: Any) -> dict[str, Any]:
    annotations = [
        {
            "id": 1000 + n,
            "completed_by": {"id": 7 + n, "email": "a@example.org"} if n else 7,
            "result": result,
            "was_cancelled": False,
            "created_at": TIME,
            "updated_at": TIME,
            "lead_time": 4.2,
        }
        for n, result in enumerate(results)
    ]
    data = {"prompt": "Is it due?", "case": 9}
    return {"id": number, "data": data, "annotations": annotations, "predictions": [], **more}


def test_tasks_of_label_studio(tmp_path: Path) -> None:
    text = region("answer", "textarea", text=["Yes."])
    records = [
        task(
            1,
            [text, region("tone", "choices", choices=["polite"])],
            [text, region("tone", "choices", choices=["a", "b"]), {"type": "relation"}],
        ),
        task(2),
        task(3, [text, region("stars", "rating", rating=4)]),
        task(4, [region("spans", "labels", start=0, end=2, text="Is", labels=["VERB"]), text]),
        {**task(5, [text]), "annotations": [{"id": 1, "was_cancelled": True, "result": [text]}]},
    ]
    intake = exported(tmp_path, records, export="label_studio")
    assert [shown(row) for row in intake.rows] == [
        ("1-1000", "Is it due?", "Yes.", {"tone": "polite"}, "7", TIME),
        ("1-1001", "Is it due?", "Yes.", {"tone": ["a", "b"]}, "8", TIME),
        ("3-1000", "Is it due?", "Yes.", {"stars": 4}, "7", TIME),
        (
            "4-1000",
            "Is it due?",
            "Yes.",
            {"spans": {"start": 0, "end": 2, "text": "Is", "labels": ["VERB"]}},
            "7",
            TIME,
        ),
    ]
    assert [row["source_line"] for row in intake.rows] == [1, 1, 3, 4]
    assert intake.dropped == {"unanswered": 2}


def test_label_studio_json_min(tmp_path: Path) -> None:
    row = {"id": 1, "annotation_id": 5, "annotator": 7, "created_at": TIME, "lead_time": 3.0}
    records = [
        {**row, "question": "Is it due?", "answer": "Yes.", "tone": {"choices": ["a", "b"]}},
        {**row, "id": 2, "question": "Is it?", "answer": ["No."], "tone": "polite"},
        {**row, "id": 3, "question": "Unanswered?"},
    ]
    intake = exported(tmp_path, records, export="label_studio")
    assert [shown(row, "annotation_id", "prompt", "response", "labels") for row in intake.rows] == [
        ("1-5", "Is it due?", "Yes.", {"tone": ["a", "b"]}),
        ("2-5", "Is it?", "No.", {"tone": "polite"}),
    ]
    assert intake.dropped == {"unanswered": 1}


def test_a_rule_reaches_every_part(tmp_path: Path) -> None:
    rules = {
        "prompt": "data.case",
        "response": "answers.tone",
        "task": {"const": "tone"},
        "agreement": "metadata.agreement",
        "annotator_id": {"from": "annotator", "values": {"7": "jane"}},
    }
    result = [region("tone", "choices", choices=["polite"]), region("n", "textarea", text=["x"])]
    records = [task(1, result, meta={"agreement": 0.5})]
    [row] = exported(tmp_path, records, export="label_studio", map=rules).rows
    names = ("prompt", "response", "task", "agreement", "annotator_id")
    assert shown(row, *names) == ("9", "polite", "tone", 0.5, "jane")


def test_what_does_not_fit_is_quarantined_with_its_answer(tmp_path: Path) -> None:
    no_prompt = {**task(1, [region("answer", "textarea", text=["Yes."])]), "data": {"image": "x"}}
    two_texts = task(2, [region(name, "textarea", text=["x"]) for name in ("left", "right")])
    intake = exported(tmp_path, [no_prompt, two_texts, 5], export="label_studio")
    assert [(r.source_line, r.reason.value, r.detail) for r in intake.quarantined] == [
        (1, "missing_field", "prompt"),
        (2, "missing_field", "response"),
        (3, "not_an_object", ""),
    ]
    assert json.loads(intake.quarantined[1].raw)["answers"] == {"left": "x", "right": "x"}


FIELDS = {"instruction": "Is it due?"}
VERSION_1 = {
    "id": "r1",
    "fields": FIELDS,
    "metadata": {},
    "responses": [
        {
            "user_id": "u1",
            "status": "submitted",
            "values": {"response": {"value": "Yes."}, "stars": {"value": 4}},
        },
        {"user_id": "u2", "status": "discarded", "values": {"response": {"value": "No."}}},
    ],
    "suggestions": [{"question_name": "response", "value": "Perhaps.", "agent": "m"}],
}
NESTED = {
    "id": "r1",
    "fields": FIELDS,
    "metadata": {},
    "suggestions": {"response": {"value": "Perhaps.", "score": 0.5, "agent": "m"}},
    "responses": {
        "response": [
            {"value": "Yes.", "user_id": "u1"},
            {"value": "No.", "user_id": "u2", "status": "draft"},
        ],
        "stars": [{"value": 4, "user_id": "u1"}],
    },
    "vectors": {},
    "_server_id": "s1",
}
FLATTENED = {
    "id": "r1",
    "_server_id": "s1",
    **FIELDS,
    "response.responses": ["Yes.", "No."],
    "response.responses.users": ["u1", "u2"],
    "response.responses.status": ["submitted", "discarded"],
    "stars.responses": [4],
    "stars.responses.users": ["u1"],
    "stars.responses.status": ["submitted"],
    "response.suggestion": "Perhaps.",
    "response.suggestion.score": 0.5,
}


@pytest.mark.parametrize("record", [VERSION_1, NESTED, FLATTENED], ids=["v1", "v2", "flat"])
def test_records_of_argilla(tmp_path: Path, record: dict[str, Any]) -> None:
    unanswered = {**record, "id": "r2", "responses": {}}
    unanswered |= {name: [] for name in record if ".responses" in name}
    intake = exported(tmp_path, [record, unanswered], export="argilla")
    assert [shown(row)[:5] for row in intake.rows] == [
        ("r1-u1", "Is it due?", "Yes.", {"stars": 4}, "u1")
    ]
    assert intake.dropped == {"unanswered": 1}


def test_an_export_in_json_lines_and_one_of_another_source(tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(json.dumps(NESTED) + "\n" + json.dumps(NESTED) + "\n")
    intake = taken(tmp_path, export="argilla")
    assert (len(intake.rows), intake.dropped) == (1, {"redelivered": 1})
    file = tmp_path / "platform.yaml"
    sources = {"logs": {"files": "x", "export": "argilla"}}
    file.write_text(json.dumps({"domains": {"legal": {"sources": sources}}}))
    with pytest.raises(PlatformError, match=r"logs\.0\.export"):
        load_platform(file)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8")
    [example] = re.findall(r"```yaml\n(annotations:.*?)```", text, re.DOTALL)
    feed = yaml.safe_load(example)["annotations"]
    records = [task(1, [region("reply", "textarea", text=["Yes."])])]
    records[0]["data"] = {"email": "Is it due?"}
    [row] = exported(tmp_path, records, **{**feed, "files": f"{tmp_path}/export.json"}).rows
    assert shown(row, "prompt", "response", "task") == ("Is it due?", "Yes.", "reply")


ROWS = [
    {"annotation_id": f"a{n}", "domain": "legal", "task": "qa", "prompt": "Q", "response": "A"}
    for n in range(4)
]


def saved_to_disk(folder: Path, rows: list, shards: int = 2) -> None:
    """As `Dataset.save_to_disk` lays it out."""
    folder.mkdir(parents=True)
    names = [f"data-{n:05d}-of-{shards:05d}.arrow" for n in range(shards)]
    for n, name in enumerate(names):
        table = pa.Table.from_pylist(rows[n::shards])
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(table)
    (folder / "cache-0a1b.arrow").write_bytes((folder / names[0]).read_bytes())
    (folder / "dataset_info.json").write_text('{"features": {}}')
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": n} for n in names]})
    )


def found_in(folder: Path, files: str) -> list[tuple[str, str]]:
    intake = taken(folder, files=files)
    assert intake.quarantined == []
    return [(row["annotation_id"], row["source_file"]) for row in intake.rows]


def test_a_saved_dataset(tmp_path: Path) -> None:
    saved_to_disk(tmp_path / "gold", ROWS)
    assert found_in(tmp_path, f"{tmp_path}/gold") == [
        ("a0", "gold/data-00000-of-00002.arrow"),
        ("a2", "gold/data-00000-of-00002.arrow"),
        ("a1", "gold/data-00001-of-00002.arrow"),
        ("a3", "gold/data-00001-of-00002.arrow"),
    ]


def test_a_saved_dataset_with_splits(tmp_path: Path) -> None:
    saved_to_disk(tmp_path / "gold" / "train", ROWS[:2], 1)
    saved_to_disk(tmp_path / "gold" / "test", ROWS[2:], 1)
    (tmp_path / "gold" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    expected = [
        ("a2", "gold/test/data-00000-of-00001.arrow"),
        ("a3", "gold/test/data-00000-of-00001.arrow"),
        ("a0", "gold/train/data-00000-of-00001.arrow"),
        ("a1", "gold/train/data-00000-of-00001.arrow"),
    ]
    assert found_in(tmp_path, f"{tmp_path}/gold") == expected
    assert found_in(tmp_path, f"{tmp_path}/gold/**") == expected


def test_a_folder_of_parquet_as_the_hub_has_it(tmp_path: Path) -> None:
    (tmp_path / "gold" / "data").mkdir(parents=True)
    (tmp_path / "gold" / "README.md").write_text("---\nlicense: mit\n---\n")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "gold/data/train-00000-of-00001.parquet")
    assert [name for name, _ in found_in(tmp_path, f"{tmp_path}/gold/**")] == [
        row["annotation_id"] for row in ROWS
    ]
