import dataclasses
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_assets.corpus.dedup import (
    NONE,
    Clusters,
    Entry,
    Role,
    find_clusters,
    find_duplicates,
)
from ft_assets.corpus.fingerprints import Details, Fingerprints, fingerprint_pairs
from ft_assets.corpus.near_copies import SHORT_WORDS
from ft_assets.corpus.shingles import CHARS_UP_TO_WORDS, WORDS_FROM_WORDS

QUESTION = "How do I move money from my savings account to my checking account before Friday?"
ANSWER = "Open the transfer page, choose both accounts and the amount, and confirm with your code."


def text(seed: int, length: int) -> str:
    pick = random.Random(seed)
    return " ".join(f"w{pick.randrange(5000)}" for _ in range(length))


def with_changed_words(original: str, count: int) -> str:
    tokens = original.split()
    for place in range(count):
        tokens[(place + 1) * len(tokens) // (count + 1)] = f"changed{place}"
    return " ".join(tokens)


def roles(*pairs: tuple[str, str]) -> list[Role]:
    entries = [Entry(f"e{i}", prompt, response) for i, (prompt, response) in enumerate(pairs)]
    return [membership.role for membership in find_duplicates(entries)]


@pytest.mark.parametrize(
    ("other", "role"),
    [
        ((QUESTION, ANSWER), Role.EXACT),
        ((QUESTION.upper(), f"  {ANSWER}\n"), Role.EXACT),
        (("\uff28ow" + QUESTION[3:], ANSWER), Role.EXACT),  # full-width letter
        (("Hello! " + QUESTION, ANSWER), Role.NEAR),
        ((QUESTION.replace("?", " ??"), ANSWER.replace(",", "")), Role.NEAR),
        ((QUESTION.replace("money", "mony"), ANSWER), Role.NEAR),
        ((QUESTION, "No."), Role.REPRESENTATIVE),  # another answer is no copy
        (("What is the interest rate of a savings account?", ANSWER), Role.REPRESENTATIVE),
        ((QUESTION, ""), Role.REPRESENTATIVE),
        ((QUESTION.replace("savings", "business"), ANSWER), Role.REPRESENTATIVE),
        ((QUESTION.replace("savings", "joint savings"), ANSWER), Role.REPRESENTATIVE),
        ((QUESTION, ANSWER.replace("code", "thumb")), Role.REPRESENTATIVE),
        ((QUESTION, ANSWER.replace("confirm", "do not confirm")), Role.REPRESENTATIVE),
        ((QUESTION, ANSWER + " (updated)"), Role.NEAR),
    ],
)
def test_what_counts_as_a_copy(other: tuple[str, str], role: Role):
    assert roles((QUESTION, ANSWER), other) == [Role.REPRESENTATIVE, role]


def test_questions_about_one_long_table_are_not_copies():
    table = text(1, 300)
    first = f"What was revenue? {table}", "120 million"
    assert roles(first, (f"What was net debt? {table}", "4,310")) == [Role.REPRESENTATIVE] * 2
    # Nor is another number of a short question, or another subject with a stock answer.
    assert roles((QUESTION + " 1", ANSWER), (QUESTION + " 2", ANSWER)) == [Role.REPRESENTATIVE] * 2
    stock = text(2, 150)
    asked = ("Is Krabbe disease inherited?", "How do doctors treat a broken wrist?")
    assert roles(*((question, stock) for question in asked)) == [Role.REPRESENTATIVE] * 2


@pytest.mark.parametrize(
    "length", [30, WORDS_FROM_WORDS - 1, WORDS_FROM_WORDS, CHARS_UP_TO_WORDS, 85, 90, 400]
)
def test_one_word_more_or_less_is_found_at_every_length(length: int):
    original = text(length, length)
    less = " ".join(original.split()[: length // 2] + original.split()[length // 2 + 1 :])
    for variant in (less, f"please {original}", original + " (revised)"):
        assert roles(("", original), ("", variant)) == [Role.REPRESENTATIVE, Role.NEAR]
    # One word for another is another record in a short text, and an edit of a long one.
    role = Role.REPRESENTATIVE if length <= SHORT_WORDS else Role.NEAR
    assert roles(("", original), ("", with_changed_words(original, 1)))[1] is role
    different = with_changed_words(original, length // 2)
    assert roles(("", original), ("", different)) == [Role.REPRESENTATIVE] * 2


def test_texts_without_spaces_are_compared_by_characters():
    original = "定期預金の口座から普通預金の口座へお金を移す方法を教えてください。" * 8
    assert roles(("", original), ("", original.replace("定期", "積立", 1))) == [
        Role.REPRESENTATIVE,
        Role.NEAR,
    ]


def test_clusters_do_not_depend_on_the_order_of_the_rows():
    pick = random.Random(7)
    entries = []
    for group in range(60):
        original = text(group, pick.choice([8, 40, 70, 80, 150]))
        for copy in range(pick.randrange(1, 5)):
            variant = original if copy % 2 else with_changed_words(original, copy // 2)
            entries.append(Entry(f"{group}-{copy}", "", variant, (pick.randrange(2), "")))
    expected = {e.key: m for e, m in zip(entries, find_duplicates(entries), strict=True)}
    assert len({m.cluster for m in expected.values()}) < len(entries)
    for seed in range(3):
        shuffled = random.Random(seed).sample(entries, len(entries))
        assert {
            e.key: m for e, m in zip(shuffled, find_duplicates(shuffled), strict=True)
        } == expected


@pytest.mark.parametrize(
    ("ranks", "representative"),
    [
        ([(2, "2026-01-01"), (0, ""), (1, "")], "e1"),  # trust first
        ([(2, "2026-01-02"), (2, "2026-01-01"), (2, "2026-01-03")], "e1"),  # then age
        ([(2, ""), (2, ""), (2, "")], "e0"),  # then the key
    ],
)
def test_the_lowest_rank_represents_its_cluster(ranks: list[tuple[int, str]], representative: str):
    texts = [ANSWER, ANSWER + " Thanks.", ANSWER.lower()]
    entries = [
        Entry(f"e{i}", QUESTION, response, rank)
        for i, (response, rank) in enumerate(zip(texts, ranks, strict=True))
    ]
    memberships = find_duplicates(entries)
    assert {m.cluster for m in memberships} == {representative}
    kept = [e.key for e, m in zip(entries, memberships, strict=True) if m.role == "representative"]
    assert kept == [representative]


def test_a_copy_of_a_copy_is_in_the_cluster_of_the_first():
    first = text(3, 200)
    middle = with_changed_words(first, 4)
    last = middle + " " + text(4, 12)
    assert [m.cluster for m in find_duplicates([Entry("a", "", first), Entry("c", "", last)])] == [
        "a",
        "c",
    ]
    clusters = find_duplicates(
        [Entry(k, "", t) for k, t in zip("abc", (first, middle, last), strict=True)]
    )
    assert [m.cluster for m in clusters] == ["a"] * 3


def test_a_row_like_two_clusters_joins_the_older_and_ties_nothing():
    first = text(3, 200)
    middle = with_changed_words(first, 4)
    last = middle + " " + text(4, 12)
    entries = [Entry("a", "", first), Entry("b", "", last), Entry("c", "", middle)]
    assert [m.cluster for m in find_duplicates(entries)] == ["a", "b", "a"]


def test_exact_copies_need_a_threshold_of_one():
    near = Entry("b", QUESTION + " please", ANSWER)
    found = find_duplicates([Entry("a", QUESTION, ANSWER), near], threshold=1)
    assert [m.role for m in found] == [Role.REPRESENTATIVE] * 2


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_a_threshold_out_of_range_is_refused(threshold: float):
    with pytest.raises(ValueError, match="threshold must be above 0 and at most 1"):
        find_duplicates([], threshold)


def test_no_rows_and_blank_rows():
    assert find_duplicates([]) == []
    assert roles(("", ""), ("", "")) == [Role.REPRESENTATIVE, Role.EXACT]


def test_many_near_copies_of_one_text_stay_fast():
    # Compared pair by pair this would be two million set intersections.
    original = text(9, 60)
    copies = [Entry(f"{i:05d}", "", f"{original}{' again' * (i % 9)}") for i in range(2000)]
    records = [Entry(f"{i:05d}", "", f"{original} n{i}") for i in range(500)]
    started = time.process_time()
    assert {m.cluster for m in find_duplicates(copies)} == {"00000"}
    assert len({m.cluster for m in find_duplicates(records)}) == 500
    assert time.process_time() - started < 16


def batches(entries: list[Entry], bounds: list[int]) -> list[Fingerprints]:
    parts = zip([0, *bounds], [*bounds, len(entries)], strict=True)
    return [
        fingerprint_pairs(
            [e.key for e in entries[begin:end]],
            [e.rank[1] for e in entries[begin:end]],
            [e.prompt for e in entries[begin:end]],
            [e.response for e in entries[begin:end]],
        )
        for begin, end in parts
    ]


def many_rows(seed: int, count: int) -> list[Entry]:
    pick = random.Random(seed)
    entries: list[Entry] = []
    for number in range(count):
        prompt, response = text(pick.randrange(10**6), 9), text(pick.randrange(10**6), 80)
        if entries and pick.random() < 0.4:
            copied = pick.choice(entries)
            prompt = pick.choice([copied.prompt, f"Hello, {copied.prompt}"])
            response = with_changed_words(copied.response, pick.randrange(3))
        entries.append(Entry(f"e{number}", prompt, response, (0, f"{pick.randrange(count):04d}")))
    return entries


def as_dict(clusters: Clusters) -> dict[str, tuple[str, int]]:
    return {
        key: (name, role)
        for key, name, role in zip(
            clusters.keys.tolist(), clusters.names().tolist(), clusters.roles.tolist(), strict=True
        )
    }


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_order_and_partition_gives_the_clusters_made_from_scratch(data: st.DataObject):
    entries = many_rows(data.draw(st.integers(0, 999)), 60)
    expected = as_dict(find_clusters(batches(entries, [])))
    assert {role for _, role in expected.values()} == {0, 1, 2}
    bounds = sorted(data.draw(st.lists(st.integers(0, 60), max_size=4)))
    parts = data.draw(st.permutations(batches(entries, bounds)))
    known = NONE
    for number in range(1, len(parts) + 1):  # one batch after the other, whatever its times
        known = find_clusters(parts[:number], known)
    assert as_dict(known) == expected


def test_later_rows_change_no_cluster_of_an_earlier_one():
    entries = sorted(many_rows(3, 300), key=lambda e: (e.rank, e.key))
    weeks = batches(entries, [60, 120, 180, 240])
    known = NONE
    for number in range(1, 6):
        grown = find_clusters(weeks[:number], known)
        assert as_dict(known).items() <= as_dict(grown).items()
        known = grown


def test_what_is_known_is_not_compared_again(monkeypatch: pytest.MonkeyPatch):
    entries = sorted(many_rows(3, 300), key=lambda e: (e.rank, e.key))
    old, new = batches(entries, [240])
    known = find_clusters([old])

    def unread() -> Details:
        raise AssertionError("an old week was read though nothing of it had to be compared")

    unlike = fingerprint_pairs(["z"], ["9999"], [text(77, 9)], [text(78, 80)])
    closed = dataclasses.replace(old, details=unread)
    assert as_dict(find_clusters([closed, unlike], known)).items() > as_dict(known).items()
    assert as_dict(find_clusters([old, new], known)) == as_dict(find_clusters([old, new]))


def test_a_changed_old_row_is_matched_again():
    entries = sorted(many_rows(4, 120), key=lambda e: (e.rank, e.key))
    known = find_clusters(batches(entries, [60]))
    entries[30] = dataclasses.replace(entries[30], response=entries[90].response)
    assert as_dict(find_clusters(batches(entries, [60]), known)) == as_dict(
        find_clusters(batches(entries, []))
    )


def test_a_key_of_two_rows_is_refused():
    with pytest.raises(ValueError, match="1 keys belong to several rows, first 'a'"):
        find_duplicates([Entry("a", "x", "y"), Entry("a", "z", "y")])


def test_clusters_survive_their_table():
    found = find_clusters(batches(many_rows(5, 80), []))
    again = Clusters.from_table(found.to_table())
    for field in dataclasses.fields(Clusters):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(found, field.name))
    assert len(Clusters.from_table(NONE.to_table())) == 0


def test_clusters_of_an_earlier_rule_are_not_taken_over():
    table = find_clusters(batches(many_rows(5, 80), [])).to_table()
    assert len(Clusters.from_table(table.replace_schema_metadata({"rules": "1"}))) == 0
    assert len(Clusters.from_table(table.replace_schema_metadata())) == 0
