"""Repositories, branches, tags, ref expressions, and protection."""

import itertools
import time
import uuid

import lakefs
import pytest
from lakefs.exceptions import (
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    PermissionException,
)
from lakefs_sdk import (
    BranchCreation,
    BranchProtectionRule,
    GarbageCollectionRule,
    GarbageCollectionRules,
    RepositoryMetadataSet,
    TagCreation,
)
from lakefs_sdk.exceptions import ApiException


def protect(branch: lakefs.Branch, *patterns: str) -> None:
    branch._client.sdk_client.repositories_api.set_branch_protection_rules(
        branch.repo_id, [BranchProtectionRule(pattern=pattern) for pattern in patterns]
    )


def put(branch: lakefs.Branch, key: str, content: str = "x") -> str:
    branch.object(key).upload(content)
    return branch.commit(f"put {key}", allow_empty=True).id


def test_repository_lives_and_dies(client):
    names = sorted(f"life-{uuid.uuid4().hex[:8]}" for _ in range(3))
    for name in names:
        created = lakefs.Repository(name, client=client).create(
            f"local://life/{name}", default_branch="trunk"
        )
        assert created.properties.default_branch == "trunk"
    listed = [r.id for r in lakefs.repositories(client=client, prefix="life-", max_amount=50)]
    assert set(names) <= set(listed)
    assert listed == sorted(listed)
    first = lakefs.Repository(names[0], client=client)
    with pytest.raises(ConflictException):
        first.create("local://life/other")
    assert first.create("local://life/other", exist_ok=True).properties.default_branch == "trunk"
    [commit] = first.branch("trunk").log()
    assert (commit.message, commit.metadata, commit.parents) == ("Repository created", {}, [])
    put(first.branch("dev").create("trunk"), "x")
    for name in names:
        lakefs.Repository(name, client=client).delete()
    with pytest.raises(NotFoundException):
        first.branch("trunk").get_commit()


def test_new_repository_of_an_old_name_is_empty(embedded, client):
    repo = lakefs.Repository(f"again-{uuid.uuid4().hex[:8]}", client=client)
    for _ in range(3):
        repo.create(f"local://again/{repo.id}")
        put(repo.branch("dev").create("main"), "x")
        assert len(list(repo.branch("dev").log())) == 2
        assert list(repo.branch("main").objects()) == []
        repo.delete()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "Upper"}, 400),
        ({"name": "ab"}, 400),
        ({"name": "-abc"}, 400),
        ({"name": "a" * 64}, 400),
        ({"storage_namespace": "no uri"}, 400),
        ({"storage_id": "unknown"}, 400),
        ({"default_branch": "no/slash"}, 400),
    ],
)
def test_repositories_refused(endpoint, fields, status):
    good = {"name": f"r-{uuid.uuid4().hex[:8]}", "storage_namespace": f"local://r/{uuid.uuid4()}"}
    got = endpoint.request("POST", "/repositories", json={**good, **fields})
    assert (got.status, "message" in got.json()) == (status, True)


def test_repositories_are_searched(client, repository):
    search = client.sdk_client.repositories_api.list_repositories
    middle = repository.id[3:-2]
    assert [found.id for found in search(search=middle).results] == [repository.id]
    assert search(search=middle, prefix="other").results == []
    assert search(search="no such").results == []


def test_samples(client):
    repo = lakefs.Repository(f"samples-{uuid.uuid4().hex[:8]}", client=client)
    namespace = f"local://samples/{repo.id}"
    repo.create(namespace, include_samples=True)
    assert b"sample" in repo.branch("main").object("README.md").reader("rb").read()
    assert [c.message for c in repo.branch("main").log()] == [
        "Add sample data",
        "Repository created",
    ]
    assert list(repo.branch("main").uncommitted()) == []
    repo.create(namespace, include_samples=True, exist_ok=True)
    with pytest.raises(ConflictException):
        repo.create(namespace, include_samples=True)
    assert len(list(repo.branch("main").log())) == 2
    repo.delete()


def test_storage_namespace_is_not_shared(client, repository):
    with pytest.raises(BadRequestException):
        lakefs.Repository("another-one", client=client).create(
            repository.properties.storage_namespace
        )


def test_repository_metadata(client, repository):
    api = client.sdk_client
    assert api.repositories_api.get_repository_metadata(repository.id) == {}
    api.internal_api.set_repository_metadata(
        repository.id, RepositoryMetadataSet(metadata={"a": "1"})
    )
    api.internal_api.set_repository_metadata(
        repository.id, RepositoryMetadataSet(metadata={"b": "2"})
    )
    assert api.repositories_api.get_repository_metadata(repository.id) == {"a": "1", "b": "2"}


def test_branches(repository, main):
    dev = repository.branch("dev").create("main")
    assert dev.head.id == main.head.id
    with pytest.raises(ConflictException):
        repository.branch("dev").create("main")
    repository.branch("dev").create("main", exist_ok=True)
    repository.branch("secret").create("main", hidden=True)
    for name in ("dev-1", "dev-2", "zz"):
        repository.branch(name).create("main")
    assert [b.id for b in repository.branches()] == ["dev", "dev-1", "dev-2", "main", "zz"]
    assert [b.id for b in repository.branches(prefix="dev-")] == ["dev-1", "dev-2"]
    assert [b.id for b in repository.branches(after="dev-1", amount=1)] == ["dev-2", "main", "zz"]
    assert [b.id for b in repository.branches(show_hidden=True, prefix="s")] == ["secret"]
    assert repository.branch("secret").head.id == main.head.id
    dev.delete()
    with pytest.raises(NotFoundException):
        dev.get_commit()
    with pytest.raises(NotFoundException):
        dev.delete()


@pytest.mark.parametrize("name", ["a/b", "-a", "a b", "a~1", "a.b", ""])
def test_branch_names_refused(repository, name):
    with pytest.raises(BadRequestException):
        repository.branch(name).create("main")


def test_branch_from_nowhere(repository):
    with pytest.raises(NotFoundException):
        repository.branch("dev").create("no-such-ref")


def test_new_branch_answers_its_commit_as_text(client, endpoint, repository, main):
    body = {"name": "dev", "source": "main"}
    got = endpoint.request("POST", f"/repositories/{repository.id}/branches", json=body)
    assert (got.status, got.data.decode()) == (201, main.head.id)
    assert got.headers["Content-Type"].startswith("text/html")
    made = client.sdk_client.branches_api.create_branch(
        repository.id, BranchCreation(name="dev2", source="main")
    )
    assert made == main.head.id


def test_branch_is_a_moment_of_its_source(branch, main):
    branch.object("staged").upload(b"x")
    copy = lakefs.Branch(branch.repo_id, "copy", branch._client).create("dev")
    assert list(copy.objects()) == []
    put(branch, "later")
    assert list(copy.objects()) == []


def test_deleted_branch_takes_its_staging_along(repository, branch):
    branch.object("staged").upload(b"x")
    branch.delete()
    again = repository.branch("dev").create("main")
    assert list(again.objects()) == []


def test_default_branch_stays(main):
    with pytest.raises(ForbiddenException):
        main.delete()


def test_tags(repository, branch):
    first, second = put(branch, "1"), put(branch, "2")
    tag = repository.tag("v1").create(first)
    assert tag.get_commit().id == first
    with pytest.raises(ConflictException, match="tag already exists"):
        repository.tag("v1").create(second)
    repository.tag("v1").create(second, exist_ok=True)
    assert repository.tag("v1").get_commit().id == first
    repository.tag("v2.0-rc_1").create("dev")
    assert [t.id for t in repository.tags()] == ["v1", "v2.0-rc_1"]
    assert [t.id for t in repository.tags(prefix="v2")] == ["v2.0-rc_1"]
    assert [t.id for t in repository.tags(after="v1")] == ["v2.0-rc_1"]
    tag.delete()
    with pytest.raises(NotFoundException):
        tag.delete()
    with pytest.raises(NotFoundException):
        repository.tag("v3").create("nowhere")


def test_tag_with_a_slash(embedded, client, branch):
    tags = client.sdk_client.tags_api
    commit = put(branch, "1")
    tags.create_tag(branch.repo_id, TagCreation(id="release/1", ref="dev"))
    assert tags.get_tag(branch.repo_id, "release/1").commit_id == commit
    ref = lakefs.Reference(branch.repo_id, "release/1", client)
    assert [o.path for o in ref.objects()] == ["1"]
    assert ref.get_commit().id == commit
    assert [c.path for c in lakefs.Reference(branch.repo_id, "main", client).diff(ref)] == ["1"]
    tags.delete_tag(branch.repo_id, "release/1")


def test_ref_expressions(repository, main, branch):
    c1, c2 = put(branch, "1"), put(branch, "2")
    repository.tag("t").create(c1)
    put(main_side := repository.branch("side").create("main"), "side")
    merged = branch.merge_into(main_side)
    start = main.head.id
    for expression, expected in {
        "dev": c2,
        "dev@": c2,
        "dev~": c1,
        "dev~1": c1,
        "dev^": c1,
        "dev^1": c1,
        "dev~2": start,
        "dev^^": start,
        "dev~1^": start,
        "dev~0": c2,
        "dev^0": c2,
        "side": merged,
        "side^2": c2,
        "side^2~1": c1,
        "side^2^": c1,
        "side~2": start,
        "t": c1,
        "t~1": start,
        c1: c1,
        c1[:12]: c1,
        f"{c2[:12]}~1": c1,
    }.items():
        assert repository.ref(expression).get_commit().id == expected, expression
    for missing in ("dev~3", "dev^2", "t~2", "side^3", "none~1", "0" * 64, "dev~99999999999999"):
        with pytest.raises(NotFoundException):
            repository.ref(missing).get_commit()
    for broken in ("~1", "dev~x", "dev$", "dev@{1}", "^", "dev~" + "9" * 5000):
        with pytest.raises((BadRequestException, NotFoundException)):
            repository.ref(broken).get_commit()


def test_branch_wins_over_tag_and_commit(repository, branch):
    commit = put(branch, "1")
    repository.branch(commit[:8]).create("main")
    assert repository.ref(commit[:8]).get_commit().id != commit
    assert repository.ref(commit[:9]).get_commit().id == commit


def test_ambiguous_prefix(repository, branch):
    ids = [put(branch, "k", str(number)) for number in range(20)]
    shared = next(a[:1] for a, b in itertools.combinations(ids, 2) if a[0] == b[0])
    with pytest.raises(NotFoundException):
        repository.ref(shared).get_commit()


def test_protected_branch_changes_by_merge_alone(repository, main, branch):
    put(branch, "1")
    branch.merge_into(main)
    main.object("staged-before").upload(b"x")
    main.reset_changes()
    protect(main, "main", "release-*")
    release = repository.branch("release-1").create("main")
    for target in (main, release):
        for write in (
            lambda t=target: t.object("x").upload(b"x"),
            lambda t=target: t.object("1").delete(),
            lambda t=target: branch.object("1").copy(t.id, "copy"),
            lambda t=target: t.commit("no", allow_empty=True),
        ):
            with pytest.raises((ForbiddenException, PermissionException)):
                write()
        with pytest.raises(ApiException) as refused:
            target.reset_changes()
        assert refused.value.status == 403
        [failed] = target.delete_objects(["1"]).errors
        assert (failed.path, failed.status_code) == ("1", 403)
        assert target.object("1").exists()
    put(branch, "2")
    branch.merge_into(main)
    assert [o.path for o in main.objects()] == ["1", "2"]
    main.revert("main", parent_number=1)
    assert [o.path for o in main.objects()] == ["1"]
    protect(main)
    main.object("x").upload(b"x")


def test_protection_speaks_as_lakefs_does(endpoint, main):
    """lakefs-spec's own tests compare the whole text."""
    protect(main, "m*")
    path = f"/repositories/{main.repo_id}/branches/main"
    for message, got in {
        "cannot write to protected branch": endpoint.request(
            "POST", f"{path}/objects?path=x", body=b"x"
        ),
        "cannot commit to protected branch": endpoint.request(
            "POST", f"{path}/commits", json={"message": "m"}
        ),
    }.items():
        assert (got.status, got.json()["message"]) == (403, message)


def test_protection_rules_are_not_lost_between_two_writers(client, endpoint, repository):
    path = f"/repositories/{repository.id}/settings/branch_protection"
    first = endpoint.request("GET", path)
    assert first.json() == []
    rules = [{"pattern": "main"}]
    match = {"If-Match": first.headers["ETag"]}
    assert endpoint.request("PUT", path, json=rules, headers=match).status == 204
    assert endpoint.request("PUT", path, json=[], headers=match).status == 412
    got = client.sdk_client.repositories_api.get_branch_protection_rules(repository.id)
    assert [rule.pattern for rule in got] == ["main"]
    assert endpoint.request("PUT", path, json={"pattern": "x"}).status == 400


def test_gc_rules_are_kept(client, repository):
    api = client.sdk_client.repositories_api
    with pytest.raises(ApiException) as missing:
        api.get_gc_rules(repository.id)
    assert missing.value.status == 404
    rules = GarbageCollectionRules(
        default_retention_days=21,
        branches=[GarbageCollectionRule(branch_id="main", retention_days=28)],
    )
    api.set_gc_rules(repository.id, rules)
    assert api.get_gc_rules(repository.id) == rules
    api.delete_gc_rules(repository.id)
    with pytest.raises(ApiException):
        api.get_gc_rules(repository.id)


def test_hard_reset(client, branch):
    first = put(branch, "1")
    put(branch, "2")
    reset = client.sdk_client.experimental_api.hard_reset_branch
    branch.object("dirty").upload(b"x")
    with pytest.raises(ApiException) as refused:
        reset(branch.repo_id, "dev", "dev~1")
    assert refused.value.status == 400
    branch.reset_changes()
    reset(branch.repo_id, "dev", "dev~1")
    assert branch.head.id == first


def test_commits_of_one_second_keep_their_order(branch):
    ids = [put(branch, str(number)) for number in range(8)]
    assert [c.id for c in branch.log()][:8] == ids[::-1]
    assert time.time() - branch.get_commit().creation_date < 60
