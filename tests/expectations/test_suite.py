"""Suites: every file loads, what a domain may change, and errors that say where and what."""

from typing import Any

import pytest

from ft_assets.expectations.suite import (
    Expectation,
    Reference,
    Severity,
    Suite,
    SuiteError,
    Usual,
    check_own,
    domain_suite,
    extend,
    load_suite,
    read_suite,
    suite_names,
)
from ft_assets.settings import PlatformError, load_platform

BETWEEN = "expect_column_values_to_be_between"
ROWS = "expect_table_row_count_to_be_between"
MEAN = "expect_column_mean_to_be_between"
KL = "expect_column_kl_divergence_to_be_less_than"


def suite(*entries: dict[str, Any]) -> Suite:
    return read_suite({"suite": "raw_logs", "expectations": list(entries)}, "own.yaml")


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_loads_and_blocks_on_something(name):
    loaded = load_suite(name)
    assert loaded.name == name
    assert Severity.CRITICAL in {e.severity for e in loaded.expectations}
    assert Severity.WARNING in {e.severity for e in loaded.expectations}


@pytest.mark.parametrize("name", suite_names())
def test_what_protects_people_and_splits_is_fixed(name):
    protecting = {"identifiers_left", "overlaps_evaluation", "group_on_two_sides"}
    found = [e for e in load_suite(name).expectations if set(e.columns) & protecting]
    assert all(e.fixed and e.severity is Severity.CRITICAL for e in found)
    assert found or not name.startswith(("anonymized", "training"))


def test_a_list_of_columns_stands_for_one_each():
    found = suite({BETWEEN: {"column": ["a", "b"], "min_value": 0}, "severity": "warning"})
    assert [(e.column, e.arguments, e.severity) for e in found.expectations] == [
        (name, {"min_value": 0}, Severity.WARNING) for name in ("a", "b")
    ]


@pytest.mark.parametrize(
    ("entry", "usual", "severity"),
    [
        ({"usual": {"within": "50%"}}, Usual(Reference.WEEKS, 0.5, True), Severity.WARNING),
        ({"usual": {"within": 3}}, Usual(Reference.WEEKS, 3.0), Severity.WARNING),
        (
            {"since_last": {"fall": "25%"}, "severity": "critical"},
            Usual(Reference.LAST, 0.25, True, falls_only=True),
            Severity.CRITICAL,
        ),
    ],
)
def test_limits_from_earlier_weeks(entry, usual, severity):
    [found] = suite({ROWS: {}, **entry}).expectations
    assert (found.usual, found.severity) == (usual, severity)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("text", "own.yaml: 0: expected an expectation, got str"),
        ({}, "own.yaml: 0: one expectation and these keys are allowed: severity, usual"),
        ({ROWS: {}, BETWEEN: {"column": "a"}}, "own.yaml: 0: one expectation"),
        ({"expect_luck": {}}, "own.yaml: 0: 'expect_luck' is unknown; allowed: .*expect_table"),
        ({BETWEEN: {"column": "a", "minimum": 1}}, "minimum: unknown; allowed: column, mostly"),
        ({BETWEEN: {"min_value": 1}}, f"own.yaml: 0.{BETWEEN}: lacks column"),
        ({BETWEEN: ["a"]}, f"{BETWEEN}: expected arguments, got list"),
        ({ROWS: {}, "severity": "high"}, "severity: allowed: critical, warning; got 'high'"),
        ({ROWS: {}, "fixed": "yes"}, "fixed: must be true or false, got 'yes'"),
        ({ROWS: {}, "note": 1}, "note: must be a text, got 1"),
        ({ROWS: {"min_value": {"$PARAMETER": "x"}}}, r"PARAMETER: allowed: min_rows; got 'x'"),
        ({ROWS: {}, "usual": {"about": 1}}, r"usual: must be {within: 0.1}"),
        ({ROWS: {}, "usual": {"within": "half"}}, "within: must be a number or a percentage"),
        ({ROWS: {}, "usual": {"within": 0}}, "within: must be more than 0"),
        ({ROWS: {}, "usual": {"within": True}}, "within: must be a number"),
        ({ROWS: {}, "usual": {"within": 1}, "since_last": {"fall": 1}}, "not both"),
        ({BETWEEN: {"column": "a"}, "usual": {"within": 1}}, "usual: only with"),
        ({KL: {"column": "kind"}, "since_last": {"fall": 1}}, "since_last: not with a mix"),
        ({KL: {"column": "user"}, "usual": {"within": 1}}, "allowed: access, kind, .*got 'user'"),
    ],
)
def test_a_wrong_entry_is_named(entry, message):
    with pytest.raises(SuiteError, match=message.replace("{", r"\{").replace("$", r"\$")):
        suite(entry)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "own.yaml: expected keys and values, got list"),
        ({"suites": "a"}, "own.yaml: suites: unknown key; allowed: suite, expectations"),
        ({"expectations": []}, "own.yaml: suite: must name one of .*raw_logs"),
        ({"suite": "raw_logs"}, "own.yaml: expectations: must be a list"),
    ],
)
def test_a_wrong_file_is_named(content, message):
    with pytest.raises(SuiteError, match=message):
        read_suite(content, "own.yaml")


def test_two_of_one_kind_and_column_need_names():
    with pytest.raises(SuiteError, match=f"{ROWS} is there twice; give one of them a name"):
        suite({ROWS: {}}, {ROWS: {"min_value": 1}})
    assert len(suite({ROWS: {}}, {ROWS: {"min_value": 1}, "name": "any"}).expectations) == 2


BASE = suite(
    {BETWEEN: {"column": "latency_ms", "min_value": 0}},
    {BETWEEN: {"column": "rating", "min_value": 1}, "fixed": True},
)


def test_a_domain_adds_replaces_and_removes():
    own = [
        {BETWEEN: {"column": "latency_ms", "max_value": 9}, "severity": "warning"},
        {MEAN: {"column": "rating", "min_value": 2}},
    ]
    found = extend(BASE, {"suite": "raw_logs", "expectations": own}, "own.yaml")
    assert [(e.column, e.severity) for e in found.expectations] == [
        ("latency_ms", Severity.WARNING),
        ("rating", Severity.CRITICAL),
        ("rating", Severity.CRITICAL),
    ]
    assert found.expectations[0].arguments == {"max_value": 9}
    key = BASE.expectations[0].key
    left = extend(BASE, {"suite": "raw_logs", "expectations": [{"remove": key}]}, "own.yaml")
    assert [e.column for e in left.expectations] == ["rating"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"remove": f"{BETWEEN}(rating)"}, r"own.yaml: 0: .*\(rating\) is fixed"),
        ({BETWEEN: {"column": "rating", "min_value": 0}}, r"\(rating\) is fixed"),
        ({"remove": "luck"}, r"own.yaml: 0.remove: no 'luck'; there are: expect_"),
    ],
)
def test_a_domain_may_not_change_what_is_fixed(entry, message):
    with pytest.raises(SuiteError, match=message):
        extend(BASE, {"suite": "raw_logs", "expectations": [entry]}, "own.yaml")


def test_columns_of_an_expectation_about_several():
    pair = {"column_A": "a", "column_B": "b"}
    assert Expectation("expect_column_pair_values_to_be_equal", None, pair).columns == ("a", "b")
    several = Expectation("expect_compound_columns_to_be_unique", None, {"column_list": ["a", "b"]})
    assert (several.columns, several.key.endswith("(a,b)")) == (("a", "b"), True)
    ordered = {"column_list": ["a"]}
    assert Expectation("expect_table_columns_to_match_ordered_list", None, ordered).columns == ()


OWN = "suite: raw_logs\nexpectations:\n  - expect_column_values_to_be_between: {%s}\n"


@pytest.fixture
def platform_file(tmp_path):
    def write(expectations: str):
        file = tmp_path / "platform.yaml"
        file.write_text(f"domains: {{finance: {{expectations: {expectations}}}, legal: {{}}}}\n")
        return file

    return write


def test_platform_yaml_takes_files_globs_and_inline(platform_file, tmp_path):
    (tmp_path / "finance").mkdir()
    (tmp_path / "finance" / "a.yaml").write_text(OWN % "column: a, max_value: 1")
    (tmp_path / "finance" / "b.yaml").write_text(OWN % "column: b, max_value: 1")
    inline = "{suite: raw_logs, expectations: [{expect_column_values_to_be_unique: {column: c}}]}"
    settings = load_platform(platform_file(f"['finance/*.yaml', {inline}]"))
    added = [e.column for e in settings.suite("raw_logs", "finance").expectations][-3:]
    assert added == ["a", "b", "c"]
    assert settings.suite("raw_logs", "legal") == load_suite("raw_logs")
    assert settings.suite("raw_users", "finance") == load_suite("raw_users")


@pytest.mark.parametrize(
    ("expectations", "message"),
    [
        ("[gone.yaml]", "no file 'gone.yaml' below"),
        ("[wrong.yaml]", r"wrong.yaml: 0.*minimum: unknown; allowed: column"),
        ("[broken.yaml]", "broken.yaml: not YAML"),
        ("[{suite: raw_log, expectations: []}]", "inline 0: suite 'raw_log'; there are: anonym"),
        ("[{suite: training_corpus, expectations: [{remove: enough_rows}]}]", "rows is fixed"),
    ],
)
def test_platform_yaml_is_refused_with_domain_file_and_key(
    platform_file, tmp_path, expectations, message
):
    (tmp_path / "wrong.yaml").write_text(OWN % "column: a, minimum: 1")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(PlatformError, match=r"(?s)domains\.finance\.expectations: .*" + message):
        load_platform(platform_file(expectations))


def test_own_expectations_of_other_assets_are_left_alone(tmp_path):
    own = [{"suite": "raw_users", "expectations": [{"remove": "any_rows"}]}]
    check_own(own, tmp_path)
    assert domain_suite("raw_logs", own, tmp_path) == load_suite("raw_logs")
    assert len(domain_suite("raw_users", own, tmp_path).expectations) == (
        len(load_suite("raw_users").expectations) - 1
    )
