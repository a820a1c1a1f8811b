"""Exports of annotation tools as annotations: one record per task and annotator.

Label Studio: the exports JSON (tasks with their annotations) and JSON_MIN (a record for each
annotation), https://labelstud.io/guide/export. Argilla: records as `to_json` of version 2 writes
them, nested or flattened, and those of version 1, https://docs.argilla.io. Suggestions and
predictions of models are no answers: they are left out. What nobody answered, or somebody skipped,
is dropped as unanswered.

A record has the parts that rules of `map` reach by their names: `data` (Argilla: `fields` is the
same), `answers` by question, `metadata`, `task_id`, `annotation_id`, `annotator`, `created_at`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ft_assets.raw.json_objects import parse_object
from ft_assets.raw.mapping import FieldRule, values_of
from ft_assets.raw.quarantine import Problem, Reason
from ft_assets.raw.sources import Line

Export = Literal["label_studio", "argilla"]
Record = dict[str, Any]

# Under which names prompt and answer usually go; a rule of `map` says it where they do not.
PROMPTS = ("prompt", "question", "instruction", "input", "query", "context", "text")
ANSWERS = ("response", "answer", "completion", "output", "correction", "corrected_response")
# What JSON_MIN puts beside data and answers.
MIN_PARTS = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")


def expand(lines: Iterator[Line], export: Export) -> Iterator[Line]:
    """Each task as one line per answer; numbers are those of the tasks."""
    records = _label_studio if export == "label_studio" else _argilla
    for line in lines:
        task = parse_object(line.data) if line.fields is None else line.fields
        if line.problem:
            yield line
            continue
        if isinstance(task, Problem):
            yield Line(line.number, line.data, task.reason)
            continue
        found = [record for record in records(task) if record["answers"]]
        for record in found:
            yield Line(line.number, b"", None, record)
        if not found:
            yield Line(line.number, line.data, Reason.UNANSWERED, line.fields)


def annotation_of(record: Record, rules: Mapping[str, FieldRule]) -> Record:
    """A record under the schema's names; what a rule says comes before what is usual."""
    data, answers = record.get("data") or {}, record.get("answers") or {}
    prompt = next((data[name] for name in PROMPTS if isinstance(data.get(name), str)), None)
    question = _answer_in(answers)
    usual = {
        "annotation_id": f"{record.get('task_id')}-{record.get('annotation_id')}",
        "task": "annotation",
        "prompt": prompt,
        "response": answers.get(question),
        "labels": {name: value for name, value in answers.items() if name != question},
        "annotator_id": record.get("annotator"),
        "created_at": record.get("created_at"),
    }
    told = values_of(rules, record)
    return {name: value for name, value in {**usual, **told}.items() if value is not None}


def _answer_in(answers: Record) -> str:
    """The question whose answer is the response: the one with a usual name, else the only text."""
    texts = [name for name, value in answers.items() if isinstance(value, str)]
    named = [name for name in ANSWERS if name in texts]
    return (named or (texts if len(texts) == 1 else []) or [""])[0]


def _label_studio(task: Record) -> Iterator[Record]:
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list):
        yield _of_min(task)
        return
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        by = annotation.get("completed_by")
        yield {
            "task_id": task.get("id"),
            "annotation_id": annotation.get("id"),
            "annotator": by.get("id", by.get("email")) if isinstance(by, dict) else by,
            "created_at": annotation.get("updated_at") or annotation.get("created_at"),
            "data": task.get("data"),
            "metadata": task.get("meta"),
            "answers": _regions(annotation.get("result")),
        }


def _regions(result: Any) -> Record:
    """The answers of an annotation by control tag; a tag used twice has a list."""
    found: dict[str, list[Any]] = {}
    for region in result if isinstance(result, list) else []:
        if not isinstance(region, dict) or "from_name" not in region:
            continue  # relations between regions answer no question
        kind, value = region.get("type"), region.get("value")
        content = value
        if isinstance(value, dict):
            own = value.get("text" if kind == "textarea" else str(kind))
            spans = {"start", "end"} <= value.keys()
            content = value if own is None or spans else own
            if kind == "pairwise":
                content = value.get("selected", value)
        found.setdefault(str(region["from_name"]), []).append(_single(content))
    return {name: _single(values) for name, values in found.items()}


def _of_min(row: Record) -> Record:
    """JSON_MIN has data and answers side by side: prompt names are data, everything else both."""
    rest = {name: value for name, value in row.items() if name not in MIN_PARTS}
    answers = {}
    for name, value in rest.items():
        if name not in PROMPTS:
            inner = value.get("choices", value.get("text")) if isinstance(value, dict) else None
            answers[name] = _single(value if inner is None else inner)
    return {
        "task_id": row.get("id"),
        "annotation_id": row.get("annotation_id"),
        "annotator": row.get("annotator"),
        "created_at": row.get("updated_at") or row.get("created_at"),
        "data": rest,
        "answers": {name: value for name, value in answers.items() if value not in (None, "", [])},
    }


def _argilla(record: Record) -> Iterator[Record]:
    responses = record.get("responses")
    if isinstance(responses, list):
        answered = _version_1(responses)
    elif isinstance(responses, dict):
        answered = _nested(responses)
    else:
        answered = _flattened(record)
    data = record.get("fields")
    if not isinstance(data, dict):
        data = {name: value for name, value in record.items() if "." not in name}
    name = record.get("id") or record.get("external_id") or record.get("_server_id")
    for user, answers in answered.items():
        yield {
            "task_id": name,
            "annotation_id": user,
            "annotator": user,
            "created_at": record.get("updated_at") or record.get("inserted_at"),
            "data": data,
            "metadata": record.get("metadata"),
            "answers": answers,
        }


def _version_1(responses: list[Any]) -> dict[str, Record]:
    """[{"user_id", "status", "values": {question: {"value"}}}]"""
    found: dict[str, Record] = {}
    for response in responses:
        if not isinstance(response, dict) or not _submitted(response.get("status")):
            continue
        values = response.get("values")
        for question, answer in values.items() if isinstance(values, dict) else ():
            value = answer.get("value") if isinstance(answer, dict) else answer
            found.setdefault(str(response.get("user_id")), {})[question] = value
    return found


def _nested(responses: Record) -> dict[str, Record]:
    """{question: [{"value", "user_id", "status"?}]}"""
    found: dict[str, Record] = {}
    for question, answers in responses.items():
        for answer in answers if isinstance(answers, list) else []:
            if isinstance(answer, dict) and _submitted(answer.get("status")):
                found.setdefault(str(answer.get("user_id")), {})[question] = answer.get("value")
    return found


def _flattened(record: Record) -> dict[str, Record]:
    """{"question.responses": [...], "question.responses.users": [...], "....status": [...]}"""
    found: dict[str, Record] = {}
    for name, values in record.items():
        if not name.endswith(".responses") or not isinstance(values, list):
            continue
        users = record.get(f"{name}.users") or [""] * len(values)
        states = record.get(f"{name}.status") or [None] * len(values)
        for value, user, state in zip(values, users, states, strict=False):
            if _submitted(state):
                found.setdefault(str(user), {})[name.removesuffix(".responses")] = value
    return found


def _submitted(status: Any) -> bool:
    """Older exports do not say; a draft and a discarded answer are none."""
    return status in (None, "submitted")


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
