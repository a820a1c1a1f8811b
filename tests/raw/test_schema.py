"""What a line must be to become a row, and which reason it gets when it is not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ft_assets.raw import schema
from ft_assets.raw.json_objects import MAX_DEPTH
from ft_assets.raw.quarantine import Problem, Reason

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD: dict[type[schema.Row], dict[str, Any]] = {
    schema.Interaction: {
        "event_id": "evt_1",
        "ts": "2026-09-01T10:00:00.250Z",
        "domain": "legal",
        "user_id": "usr_1",
        "session_id": "ses_1",
        "turn": 0,
        "prompt": "Is it due?",
        "response": "Yes.",
        "model_version": "m-1.0",
        "rating": 4,
        "thumb": "up",
        "correction": None,
        "comment": "Too short.",
        "edit_share": 0.25,
        "regenerated": False,
        "clicked": True,
        "copied": True,
        "abandoned": False,
        "latency_ms": 350,
        "feedback_seq": 0,
    },
    schema.Document: {
        "doc_id": "doc_1",
        "domain": "legal",
        "kind": "memo",
        "title": "Rent",
        "text": "Rent is due.",
        "topic": "tenancy",
        "version": 2,
        "updated_at": "2026-01-01T00:00:00Z",
        "access": "internal",
        "source": "desk",
        "source_id": "7",
        "license": "CC-BY-4.0",
    },
    schema.Annotation: {
        "annotation_id": "ann_1",
        "domain": "legal",
        "task": "qa",
        "prompt": "Is it due?",
        "response": "Yes.",
        "labels": {"topic": "tenancy"},
        "annotator_id": "ann-01",
        "created_at": "2026-09-02T10:00:00Z",
        "agreement": 0.83,
        "source": "desk",
        "license": "CC-BY-4.0",
    },
    schema.Correction: {
        "correction_id": "cor_1",
        "ts": "2026-09-02T10:00:00Z",
        "domain": "legal",
        "event_id": None,
        "reviewer_id": "rev-01",
        "prompt": "Is it due?",
        "original_response": "No.",
        "corrected_response": "Yes.",
        "reason": "incorrect",
        "severity": "low",
        "status": "approved",
        "origin": "log_event",
        "source": "desk",
        "license": "CC-BY-4.0",
    },
    schema.User: {
        "user_id": "usr_1",
        "region": "EU",
        "training_consent": True,
        "erasure_requested_at": "2026-10-01T00:00:00Z",
    },
    schema.EvalCase: {
        "eval_id": "v-1",
        "domain": "legal",
        "task": "qa",
        "prompt": "Is it due?",
        "response": "Yes.",
        "topic": "tenancy",
        "bucket": "base",
        "license": "CC-BY-4.0",
    },
}
OPTIONAL = {
    schema.Interaction: {"turn", "model_version", "rating", "thumb", "correction"}
    | {"comment", "edit_share", "regenerated", "clicked", "copied", "abandoned"}
    | {"latency_ms", "feedback_seq"},
    schema.Document: {"topic", "version", "updated_at", "source", "source_id", "license"},
    schema.Annotation: {"labels", "annotator_id", "created_at", "agreement", "source", "license"},
    schema.Correction: {"event_id", "reviewer_id", "original_response", "reason", "severity"}
    | {"origin", "source", "license"},
    schema.User: {"region", "erasure_requested_at"},
    schema.EvalCase: {"topic", "bucket", "license"},
}
MODELS = list(GOOD)


def read(
    data: bytes | dict[str, Any],
    model: type[schema.Row] = schema.Interaction,
    unknown_fields: schema.UnknownFields = "refuse",
) -> dict[str, Any] | Problem:
    line = data if isinstance(data, bytes) else json.dumps(data).encode()
    return schema.read_row(line, model, "legal", NOW, unknown_fields)


def event(**changes: object) -> dict[str, Any]:
    return {**GOOD[schema.Interaction], **changes}


@pytest.mark.parametrize("model", MODELS)
def test_a_good_row_comes_out_as_it_went_in(model: type[schema.Row]) -> None:
    expected = dict(GOOD[model])
    if model is schema.Interaction:
        expected["ts"] = "2026-09-01T10:00:00.250000Z"
    assert read(GOOD[model], model) == expected


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_required_unless_listed_as_optional(model: type[schema.Row]) -> None:
    for name in GOOD[model]:
        row = {key: value for key, value in GOOD[model].items() if key != name}
        found = read(row, model)
        if name in OPTIONAL[model]:
            assert isinstance(found, dict), name
        else:
            assert found == Problem(Reason.MISSING_FIELD, name)


@pytest.mark.parametrize("model", MODELS)
def test_required_fields_are_not_null_and_texts_are_not_numbers(model: type[schema.Row]) -> None:
    for name in set(GOOD[model]) - OPTIONAL[model]:
        for value in (None, 7, ["x"], {"x": 1}):
            found = read({**GOOD[model], name: value}, model)
            assert isinstance(found, Problem), (name, value)
            assert found.detail == name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rating": "4"}, Reason.WRONG_TYPE),
        ({"rating": 4.0}, Reason.WRONG_TYPE),
        ({"rating": True}, Reason.WRONG_TYPE),
        ({"rating": 0}, Reason.OUT_OF_RANGE),
        ({"rating": 6}, Reason.OUT_OF_RANGE),
        ({"thumb": True}, Reason.WRONG_TYPE),
        ({"thumb": 1}, Reason.WRONG_TYPE),
        ({"thumb": "sideways"}, Reason.OUT_OF_RANGE),
        ({"clicked": "true"}, Reason.WRONG_TYPE),
        ({"clicked": 1}, Reason.WRONG_TYPE),
        ({"clicked": None}, Reason.WRONG_TYPE),
        ({"edit_share": 1.5}, Reason.OUT_OF_RANGE),
        ({"comment": 7}, Reason.WRONG_TYPE),
        ({"turn": -1}, Reason.OUT_OF_RANGE),
        ({"latency_ms": -1}, Reason.OUT_OF_RANGE),
        ({"latency_ms": 2**63}, Reason.OUT_OF_RANGE),
        ({"latency_ms": 2.5}, Reason.WRONG_TYPE),
        ({"event_id": ""}, Reason.OUT_OF_RANGE),
        ({"user_id": " usr_1"}, Reason.OUT_OF_RANGE),
        ({"user_id": "usr_1\n"}, Reason.OUT_OF_RANGE),
        ({"user_id": "usr\u200b_1"}, Reason.OUT_OF_RANGE),
        ({"session_id": "s" * 257}, Reason.OUT_OF_RANGE),
        ({"domain": "Legal"}, Reason.DOMAIN_MISMATCH),
        ({"domain": "finance", "turn": -1, "debug": 1}, Reason.DOMAIN_MISMATCH),
        ({"debug": 1}, Reason.UNKNOWN_FIELD),
    ],
)
def test_values_that_do_not_fit(changes: dict[str, Any], reason: Reason) -> None:
    assert read(event(**changes)) == Problem(reason, ", ".join(sorted(changes)))


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        (schema.Document, {"access": "secret"}, Reason.OUT_OF_RANGE),
        (schema.Document, {"version": "2"}, Reason.WRONG_TYPE),
        (schema.Document, {"updated_at": "yesterday"}, Reason.BAD_TIMESTAMP),
        (schema.Annotation, {"labels": []}, Reason.WRONG_TYPE),
        (schema.Annotation, {"agreement": 1.01}, Reason.OUT_OF_RANGE),
        (schema.Annotation, {"agreement": "1"}, Reason.WRONG_TYPE),
        (schema.Correction, {"status": "maybe"}, Reason.OUT_OF_RANGE),
        (schema.Correction, {"ts": None}, Reason.BAD_TIMESTAMP),
        (schema.User, {"training_consent": "yes"}, Reason.WRONG_TYPE),
        (schema.User, {"training_consent": 1}, Reason.WRONG_TYPE),
        (schema.User, {"erasure_requested_at": 1788000000}, Reason.BAD_TIMESTAMP),
    ],
)
def test_values_that_do_not_fit_other_sources(
    model: type[schema.Row], changes: dict[str, Any], reason: Reason
) -> None:
    assert read({**GOOD[model], **changes}, model) == Problem(reason, next(iter(changes)))


@pytest.mark.parametrize(
    "ts",
    [
        1788000000000,
        "1788000000000",
        None,
        "2026-09-01T10:00:00",
        "2026-09-01",
        "2026-02-30T10:00:00Z",
        "2026-09-01T25:00:00Z",
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2000-01-01T00:30:00+01:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-24T12:00:01Z",
        "\uff12\uff10\uff12\uff16-09-01T10:00:00Z",
        " 2026-09-01T10:00:00Z",
    ],
)
def test_times_that_are_none(ts: object) -> None:
    assert read(event(ts=ts)) == Problem(Reason.BAD_TIMESTAMP, "ts")


@pytest.mark.parametrize(
    ("ts", "utc"),
    [
        ("2026-09-01T10:00:00Z", "2026-09-01T10:00:00Z"),
        ("2026-09-01 10:00Z", "2026-09-01T10:00:00Z"),
        ("2026-09-01T00:30:00+02:00", "2026-08-31T22:30:00Z"),
        ("2026-09-01T10:00:00.123456789Z", "2026-09-01T10:00:00.123456Z"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:00Z"),
    ],
)
def test_times_come_out_as_utc(ts: str, utc: str) -> None:
    found = read(event(ts=ts))
    assert isinstance(found, dict)
    assert found["ts"] == utc


LINE = json.dumps(GOOD[schema.Interaction]).encode()


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (LINE.replace(b"Is it", b"Is\xff it"), Reason.NOT_UTF8, ""),
        (LINE.replace(b"Is it", b"\xed\xa0\x80"), Reason.NOT_UTF8, ""),
        (LINE[:-20], Reason.NOT_JSON, ""),
        (LINE + LINE, Reason.NOT_JSON, ""),
        (LINE[:-1] + b",}", Reason.NOT_JSON, ""),
        (LINE.replace(b"350", b"NaN"), Reason.NOT_JSON, ""),
        (LINE.replace(b"350", b"-Infinity"), Reason.NOT_JSON, ""),
        (LINE.replace(b"350", b"1e999"), Reason.NOT_JSON, ""),
        (LINE.replace(b"350", b"9" * 5000), Reason.NOT_JSON, ""),
        (LINE.replace(b"Is it", b"Is\x00it"), Reason.NOT_JSON, ""),
        (b"\x00" * 50, Reason.NOT_JSON, ""),
        (LINE.decode().encode("utf-16"), Reason.NOT_UTF8, ""),
        (b"[" + LINE + b"]", Reason.NOT_AN_OBJECT, ""),
        (b"null", Reason.NOT_AN_OBJECT, ""),
        (b"[" * 100_000, Reason.NESTED_TOO_DEEP, ""),
        (b'{"a":' * 100_000, Reason.NESTED_TOO_DEEP, ""),
        (LINE[:-1] + b', "turn": 1}', Reason.DUPLICATE_KEY, "turn"),
        (LINE[:-1] + b', "jo@x.example": 1, "jo@x.example": 2}', Reason.DUPLICATE_KEY, "(unnamed)"),
        (LINE.replace(b"Is it", rb"\ud83d"), Reason.LONE_SURROGATE, "prompt"),
        (LINE.replace(b'"turn"', rb'"\udc00"'), Reason.LONE_SURROGATE, "(unnamed)"),
    ],
)
def test_lines_that_are_no_object(line: bytes, reason: Reason, detail: str) -> None:
    assert read(line) == Problem(reason, detail)


def test_escapes_that_are_characters_are_fine() -> None:
    found = read(LINE.replace(b"Is it", rb"\ud83d\ude00 caf\u00e9 \\ud83d"))
    assert isinstance(found, dict)
    assert found["prompt"] == "\U0001f600 café \\ud83d due?"


def test_nesting_is_bounded_where_objects_are_allowed() -> None:
    def labels(depth: int) -> dict[str, Any]:
        inner: object = 1
        for _ in range(depth):
            inner = {"x": inner}
        return {**GOOD[schema.Annotation], "labels": inner}

    assert isinstance(read(labels(MAX_DEPTH - 1), schema.Annotation), dict)
    found = read(labels(MAX_DEPTH), schema.Annotation)
    assert found == Problem(Reason.NESTED_TOO_DEEP, "labels")


def test_unknown_fields_can_be_ignored_and_never_come_out() -> None:
    row = event(debug="x")
    assert read(row) == Problem(Reason.UNKNOWN_FIELD, "debug")
    found = read(row, unknown_fields="ignore")
    assert isinstance(found, dict)
    assert "debug" not in found


def test_test_cases_may_have_columns_of_their_own() -> None:
    found = read({**GOOD[schema.EvalCase], "difficulty": 3}, schema.EvalCase)
    assert found == GOOD[schema.EvalCase]


def test_details_name_fields_but_never_what_somebody_wrote() -> None:
    secret = "jane.roe@example.com"
    for row in (event(rating=secret), event(**{secret: 1}), event(ts=secret), event(domain=secret)):
        found = read(row)
        assert isinstance(found, Problem)
        assert secret not in found.detail


def test_the_future_is_measured_from_the_given_now() -> None:
    row = json.dumps(event(ts="2026-11-24T12:00:01Z")).encode()
    later = NOW + timedelta(seconds=1)
    assert isinstance(schema.read_row(row, schema.Interaction, "legal", later, "refuse"), dict)
