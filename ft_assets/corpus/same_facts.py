"""Whether two texts that are alike also say the same: the last word on what is a near copy.

Templates make rows that are alike and not copies: another name, amount, product or clause in one
sentence, or the same sentence denied. So the words that carry meaning are laid side by side. Two
texts differ when one has another word where the other has one (a slip of the pen apart), when words
have changed places, when one denies what the other says, and, for questions, when one has more to
say than a twentieth of its words. Articles, pronouns, auxiliaries and polite words carry no meaning
here. What a placeholder hides cannot be compared: it agrees with the words in its place, whatever
they are, so that a text is a copy of itself when one of its words was masked in one of them alone.

Not seen: synonyms (they make two texts distinct), a slip that spells another word ("form", "from"),
what words outside the lists below mean. English first; of German, French, Spanish, Italian and
Portuguese the articles, pronouns and negations are known, of other languages none, and more rows
are then called distinct.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from string import ascii_lowercase

from ft_assets.corpus.shingles import COURTESY, words

PROMPT_EXTRA = 0.05  # share of a question's words that the other question may lack
HIDDEN = "<>"  # what stands for a placeholder
HIDES = 4  # words, at most
SLIP_LETTERS = 4  # a shorter word with one letter changed is another word

# fmt: off
NEGATIONS = frozenset([
    "not", "no", "never", "none", "nor", "neither", "nothing", "nobody", "without", "cannot", "t",
    "dont", "cant", "wont", "didnt", "doesnt", "isnt", "except", "unless",
    "nicht", "kein", "keine", "keinen", "keinem", "keiner", "nie", "ohne",
    "pas", "jamais", "sans", "aucun", "aucune",
    "nunca", "sin", "ningún", "ninguna", "tampoco",
    "non", "mai", "senza", "nessun", "nessuna",
    "não", "nem", "sem", "nenhum", "nenhuma",
])
NEUTRAL = frozenset(COURTESY) | frozenset([
    "a", "an", "the", "this", "that", "these", "those", "it", "its", "there", "here",
    "i", "me", "my", "you", "your", "u", "we", "us", "our",
    "is", "are", "am", "be", "been", "was", "were", "s", "re", "m", "ve", "d", "ll",
    "do", "does", "did", "have", "has", "had", "can", "could", "will", "would", "shall",
    "what", "which", "want", "need", "require", "wish", "like",
    "so", "very", "much", "just", "also", "and", "of",
    "ok", "okay", "sir", "madam", "all",
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "ich",
    "mir", "mich", "mein", "meine", "meinen", "sie", "ihr", "ihre", "es", "ist", "sind", "und",
    "le", "la", "les", "l", "un", "une", "du", "je", "j", "vous", "votre", "mon", "ma", "mes",
    "et", "est", "ce", "cette", "el", "los", "las", "una", "yo", "mi", "mis", "su", "y", "que",
    "il", "lo", "gli", "io", "mio", "mia", "o", "os", "as", "um", "uma", "eu", "meu", "minha",
])
# fmt: on
_PLACEHOLDER = re.compile(r"[a-z]+(?:_[a-z]+)*_\d+")


def _swaps(word: str) -> Iterator[str]:
    """The word with two neighbouring letters in each other's place."""
    for at in range(len(word) - 1):
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


_MISSPELLED_NEUTRAL = frozenset(
    slip for word in NEUTRAL if len(word) > 1 for slip in _swaps(word)
) - {*NEGATIONS, "saw", "on"}


# An apostrophe that stands for a letter ("th's", "otherw'se"), unless it begins one of the endings
# that English writes with it.
_APOSTROPHE = re.compile(r"([^\W\d_]+)['\u2019](?!(?:m|d|t|re|ve|ll)\b)([^\W\d_]+)")


def _joined(found: re.Match[str]) -> str:
    before, after = found[1].lower(), found[2].lower()
    if any(f"{before}{letter}{after}" in NEUTRAL for letter in ascii_lowercase):
        return " "
    return found[0] if before in NEUTRAL else before + after


def meaning(text: str) -> list[str]:
    """The words of a text that carry meaning, in their order; HIDDEN for each placeholder."""
    if "'" in text or "\u2019" in text:
        text = _APOSTROPHE.sub(_joined, text)
    return [
        HIDDEN if _PLACEHOLDER.fullmatch(word) else word
        for word in words(text)
        if word not in NEUTRAL and word not in _MISSPELLED_NEUTRAL
    ]


def same_facts(one: Sequence[str], other: Sequence[str], extra: float | None = None) -> bool:
    """Whether texts of these words (of `meaning`) say the same.

    `extra` bounds the words that one has and the other lacks, as a share of the longer text; None
    sets no bound.
    """
    if one == other:
        return True
    only: tuple[list[str], list[str]] = ([], [])
    for left, right in map(_seen, _differences(one, other)):
        if left and right and not _respelled(left, right):
            return False
        if not (left and right):
            only[0].extend(left)
            only[1].extend(right)
    if not NEGATIONS.isdisjoint([*only[0], *only[1]]) or not set(only[0]).isdisjoint(only[1]):
        return False
    most = len(only[0]) + len(only[1])
    return extra is None or most <= extra * max(len(one), len(other))


def _seen(pair: tuple[Sequence[str], Sequence[str]]) -> tuple[Sequence[str], Sequence[str]]:
    """What stands in each text, without what a placeholder of the other may hide."""
    left, right = pair
    if NEGATIONS.isdisjoint([*left, *right]):
        if len(left) == len(right):
            seen = [words for words in zip(left, right, strict=True) if HIDDEN not in words]
            return [one for one, _ in seen], [other for _, other in seen]
        if _may_hide(left, right) or _may_hide(right, left):
            return [], []
    return [word for word in left if word != HIDDEN], [word for word in right if word != HIDDEN]


def _may_hide(placeholders: Sequence[str], words: Sequence[str]) -> bool:
    return set(placeholders) == {HIDDEN} and len(words) <= HIDES * len(placeholders)


def _differences(
    one: Sequence[str], other: Sequence[str]
) -> list[tuple[Sequence[str], Sequence[str]]]:
    """What stands in the one text and in the other between words that both have."""
    begin = _common(one, other)
    tail = _common(one[begin:][::-1], other[begin:][::-1])
    while begin and one[begin - 1] == HIDDEN:
        begin -= 1
    while tail and one[len(one) - tail] == HIDDEN:
        tail -= 1
    left, right = one[begin : len(one) - tail], other[begin : len(other) - tail]
    if not left or not right or len(left) == len(right) == 1:
        return [(left, right)]
    # Placeholders do not anchor: one of them may hide more words here than there.
    apart = [f"{HIDDEN}{HIDDEN}" if word == HIDDEN else word for word in right]
    matched = SequenceMatcher(None, left, apart, autojunk=False)
    return [
        (left[i:j], right[k:m]) for kind, i, j, k, m in matched.get_opcodes() if kind != "equal"
    ]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words at the beginning are the same; in few comparisons of many words."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _respelled(left: Sequence[str], right: Sequence[str]) -> bool:
    if "".join(left) == "".join(right):  # "log in" and "login"
        return True
    return len(left) == len(right) and all(map(_slip, left, right))


def _slip(one: str, other: str) -> bool:
    """Two letters in each other's place, or one added, left out or changed behind the first."""
    if one == other:
        return True
    if not (one + other).isalpha() or not NEGATIONS.isdisjoint((one, other)):
        return False
    if len(one) == len(other) and other in _swaps(one):
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < SLIP_LETTERS or len(long) - len(short) > 1 or short[0] != long[0]:
        return False
    at = next((n for n, letter in enumerate(short) if letter != long[n]), len(short))
    return short[at + (len(short) == len(long)) :] == long[at + 1 :]
