import pytest

from ft_assets.corpus.same_facts import PROMPT_EXTRA, meaning, same_facts

SAME = [
    ("I need to change my address.", "i would like to change my adress"),
    ("What are the symptoms of asthma?", "Hello, which are the symtpoms of asthma ??"),
    ("Where's the venue?", "Where is hte venue"),
    ("Please log in to the portal", "please login to the portal"),
    ("Thanks. That's all.", "That is all, thank you!"),
    ("Send it to <PERSON_1>, please", "please send it to <PERSON_2>"),
    ("I am into <PERSON_1> films at the moment", "Hi, I'm into drama films at the moment"),
    ("Where is <STREET_ADDRESS_1>, number 3?", "Where is Bay Street West, number 3?"),
    ("It ends on december 31, <DATE_1>, by law", "It ends on <DATE_1>, by law"),
    ("Explain th's point on a non-diluted bas's", "Explain this point on a non-diluted basis"),
    (
        "unless otherw'se told what the user\u2019s share is",
        "unless otherwise told what the users share is",
    ),
    ("", "Thanks!"),
]
OTHER = [
    ("Cancel my gold account", "Cancel my silver account"),
    ("Explain the terms of Delta", "Explain the terms of Acme"),
    ("I was charged 20 pounds", "I was charged 30 pounds"),
    ("Your balance is $820.20", "Your balance is $820.25"),
    ("You can return the item", "You cannot return the item"),
    ("You can return the item", "You can not return the item"),
    ("I do drink", "I don't drink"),
    ("Das ist erlaubt", "Das ist nicht erlaubt"),
    ("A flight from Paris to London", "A flight from London to Paris"),
    ("Clean the cat", "Clean the car"),  # one letter of a short word
    ("Signs of typical pneumonia", "Signs of atypical pneumonia"),  # the first letter
    ("He is on leave", "He is no leave"),
    ("He is <PERSON_1> on leave", "He is not on leave"),
    ("It ends on december 31, <DATE_1>, by law", "It ends on <DATE_1>, by custom"),
    ("You'd sell", "You didn't sell"),
    ("You're to sell", "You aren't to sell"),
    ("Show <PERSON_1> the gold account", "Show drama the silver account"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_slips_courtesy_and_small_words_change_nothing(one: str, other: str):
    assert same_facts(meaning(one), meaning(other), PROMPT_EXTRA)
    assert same_facts(meaning(other), meaning(one), PROMPT_EXTRA)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_another_word_number_order_or_a_denial_is_another_fact(one: str, other: str):
    assert not same_facts(meaning(one), meaning(other))
    assert not same_facts(meaning(other), meaning(one))


def test_what_is_added_counts_where_it_is_bounded():
    record = "Service: music Artist: Ghost Song: Rats"
    one, other = meaning(record), meaning(f"{record} Year: 2018")
    assert same_facts(one, other)
    assert not same_facts(one, other, PROMPT_EXTRA)
    many, hidden = meaning("Ask left right upper lower office"), meaning("Ask <PERSON_1> office")
    assert same_facts(many, hidden, PROMPT_EXTRA)
    assert not same_facts([*many[:3], "front", *many[3:]], hidden, PROMPT_EXTRA)
    long = meaning("clause " * 40)
    assert same_facts(long, [*long, "updated"], PROMPT_EXTRA)
