import random
import time

import pytest

from ft_assets.corpus.dedup import Entry, Role, find_duplicates
from ft_assets.corpus.shingles import (
    CHARS_UP_TO_WORDS,
    WORDS_FROM_WORDS,
    fold,
    shingle_views,
    similarity,
    words,
)

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
    ],
)
def test_what_counts_as_a_copy(other: tuple[str, str], role: Role):
    assert roles((QUESTION, ANSWER), other) == [Role.REPRESENTATIVE, role]


def test_questions_about_one_long_table_are_not_copies():
    table = text(1, 300)
    assert (
        similarity(
            shingle_views(words(f"What was revenue? {table} 120")),
            shingle_views(words(f"What was net debt? {table} 4,310")),
        )
        > 0.8
    )
    assert (
        roles(
            (f"What was revenue? {table}", "120 million"), (f"What was net debt? {table}", "4,310")
        )
        == [Role.REPRESENTATIVE] * 2
    )


@pytest.mark.parametrize(
    "length", [30, WORDS_FROM_WORDS - 1, WORDS_FROM_WORDS, CHARS_UP_TO_WORDS, 85, 90, 400]
)
def test_one_more_or_changed_word_is_found_at_every_length(length: int):
    original = text(length, length)
    for variant in (with_changed_words(original, 1), f"please {original}", original + " thanks"):
        assert roles(("", original), ("", variant)) == [Role.REPRESENTATIVE, Role.NEAR]
    different = with_changed_words(original, length // 2)
    assert roles(("", original), ("", different)) == [Role.REPRESENTATIVE] * 2


def test_lengths_that_can_be_alike_have_a_view_in_common():
    for length in range(1, 300):
        one, other = "a " * length, "a " * int(length * 1.25)
        views = shingle_views(words(one)).keys() & shingle_views(words(other)).keys()
        assert views, length


def test_texts_without_spaces_are_compared_by_characters():
    original = "定期預金の口座から普通預金の口座へお金を移す方法を教えてください。" * 8
    assert len(words(original)) > 100
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


def test_a_chain_is_one_cluster():
    first = text(3, 200)
    middle = with_changed_words(first, 4)
    last = middle + " " + text(4, 12)
    ends = similarity(shingle_views(words(first)), shingle_views(words(last)))
    assert ends < 0.85
    clusters = find_duplicates(
        [Entry(k, "", t) for k, t in zip("abc", (first, middle, last), strict=True)]
    )
    assert [m.cluster for m in clusters] == ["a"] * 3


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
    entries = [Entry(f"{i:05d}", "", f"{original} n{i}") for i in range(2000)]
    started = time.process_time()
    assert {m.cluster for m in find_duplicates(entries)} == {"00000"}
    assert time.process_time() - started < 8


def test_fold_keeps_punctuation_and_words_do_not():
    assert fold("  A\u00a0B,\tc ") == "a b, c"
    assert words("A-37.6 %") == ["a", "37", "6"]
