import pytest

from ft_assets.corpus.persons import Part, People, Person, parse


@pytest.mark.parametrize(
    ("text", "given", "family"),
    [
        ("John Smith", "john", "smith"),
        ("Smith, John", "john", "smith"),
        ("SMITH, JOHN PAUL", "john", "smith"),
        ("Dr. María-José Núñez", "mariajose", "nunez"),
        ("Mr Smith", "", "smith"),
        ("weird al", "weird", "al"),
        ("Mmes J. Hutcheon", "j", "hutcheon"),
        ("Frau Dr. Müller", "", "muller"),
        ("Prof. Dr. Anna Schmidt", "anna", "schmidt"),
        ("J. Smith", "j", "smith"),
        ("Ludwig van Beethoven", "ludwig", "beethoven"),
        ("John Smith Jr.", "john", "smith"),
        ("John Smith, PhD", "john", "smith"),
        ("García López, Ana", "ana", "garcia lopez"),
        ("Anna", "anna", ""),
        ("Kowalska", "", "kowalska"),
        ("John Smith's", "john", "smith"),
        ("", "", ""),
        ("12", "", ""),
    ],
)
def test_parse(text, given, family):
    assert parse(text).person == Person(given, family)


def test_titles_and_particles_are_kept_and_nothing_else():
    mention = parse("Dr. Ann Q. van der Berg")
    assert mention.words(Part.KEPT) == ["Dr.", "van", "der"]
    assert mention.words(Part.MIDDLE) == ["Q."]


def resolved(text, *named):
    people = People()
    for name in named:
        people.learn(parse(name))
    return people.resolve(parse(text))


JOHN, MARY = Person("john", "smith"), Person("mary", "smith")


@pytest.mark.parametrize(
    ("text", "named", "expected"),
    [
        ("Mr Smith", ["John Smith"], JOHN),
        ("Smith", ["John Smith"], JOHN),
        ("John", ["John Smith"], JOHN),
        ("J. Smith", ["John Smith"], JOHN),
        ("J. Smith", ["Mary Smith"], Person("j", "smith")),
        ("M. Smith", ["John Smith"], JOHN),  # Monsieur
        ("Smith", ["Mary Smith", "John Smith"], MARY),  # the one named first
        ("John Smith", ["Mary Smith"], JOHN),
        ("Mr Smith", [], Person("", "smith")),
        ("Mr John", ["John Smith"], Person("", "john")),
        ("Mr Smith", ["J. Smith"], Person("", "smith")),  # an initial is no full name
    ],
)
def test_resolve(text, named, expected):
    assert resolved(text, *named) == expected
