"""Calls that lakeFS calls internal, as its SDK makes them."""

import pytest
from lakefs.exceptions import ForbiddenException
from lakefs_sdk import (
    BranchProtectionRule,
    GarbageCollectionRule,
    GarbageCollectionRules,
    StatsEvent,
    StatsEventsList,
)
from lakefs_sdk.exceptions import ApiException

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


def test_protection_rules_one_by_one(client, repository):
    api = client.sdk_client.internal_api
    for pattern in ("main", "release-*"):
        api.internal_create_branch_protection_rule(
            repository.id, BranchProtectionRule(pattern=pattern)
        )
    listed = api.internal_get_branch_protection_rules(repository.id)
    assert sorted(rule.pattern for rule in listed) == ["main", "release-*"]
    with pytest.raises(ForbiddenException):
        repository.branch("main").object("x").upload(b"1")
    api.internal_delete_branch_protection_rule(repository.id, BranchProtectionRule(pattern="main"))
    repository.branch("main").object("x").upload(b"1")
    with pytest.raises(ApiException) as missing:
        api.internal_delete_branch_protection_rule(
            repository.id, BranchProtectionRule(pattern="main")
        )
    assert missing.value.status == 404


def test_retention_rules(client, repository):
    api = client.sdk_client.internal_api
    named = [GarbageCollectionRule(branch_id="main", retention_days=9)]
    rules = GarbageCollectionRules(default_retention_days=3, branches=named)
    api.internal_set_garbage_collection_rules(repository.id, rules)
    assert api.internal_get_garbage_collection_rules(repository.id) == rules
    api.internal_delete_garbage_collection_rules(repository.id)
    with pytest.raises(ApiException) as missing:
        api.internal_get_garbage_collection_rules(repository.id)
    assert missing.value.status == 404
    assert api.get_garbage_collection_config().grace_period


def test_small_questions(embedded, client, repository):
    api = client.sdk_client.internal_api
    event = StatsEvent(var_class="c", name="n", count=1)
    api.post_stats_events(StatsEventsList(events=[event]))
    assert api.get_usage_report_summary().reports == []
    main = repository.branch("main")
    main.object("x").upload(b"1")
    objects = client.sdk_client.objects_api
    assert objects.get_underlying_properties(repository.id, "main", "x").storage_class is None
    with pytest.raises(ApiException) as missing:
        objects.get_underlying_properties(repository.id, "main", "y")
    assert missing.value.status == 404


def test_it_is_set_up_already(embedded, endpoint):
    assert endpoint.request("POST", "/setup_lakefs", json={"username": "x"}).status == 409


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/repositories/r/pulls", "pull requests are"),
        ("GET", "/auth/policies", "users, groups and policies are"),
        ("POST", "/sts/login", "STS login is"),
        ("POST", "/auth/external/principal/login", "external principals are"),
        ("POST", "/repositories/r/branches/b/staging/pmpu", "presigned multipart uploads are"),
        ("POST", "/repositories/r/dump", "dumping refs is"),
        ("POST", "/repositories/r/gc/prepare_commits/async", "`ft lakefs gc` does it here"),
    ],
)
def test_what_is_missing_is_named(embedded, endpoint, method, path, told):
    got = endpoint.request(method, path, json={})
    assert (got.status, told in got.json()["message"]) == (501, True), got.json()
