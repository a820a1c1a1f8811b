import re
from dataclasses import dataclass

import pytest

from ft_assets.adapters.section import Section, choice, flag, number, section


@dataclass(frozen=True)
class Inner(Section):
    share: float = number(0.5, 0, 1)
    kind: str = choice("a", "b")
    on: bool = flag(False)


@dataclass(frozen=True)
class Outer(Section):
    steps: int = number(3, 1, 9)
    inner: Inner | None = section(Inner)


def test_a_section_is_there_when_it_is_named():
    assert Outer.of({}).to_dict() == {"steps": 3}
    outer = Outer.of({"inner": {"share": "1e-1"}})
    assert outer.inner == Inner(share=0.1)
    assert Outer.of(outer.to_dict()) == outer
    assert Outer.of({"inner": None}) == Outer()


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ({"share": 2}, "inner.share: got 2; allowed: a number from 0 to 1"),
        ({"kind": "c"}, "inner.kind: got 'c'; allowed: a, b"),
        ({"on": 1}, "inner.on: got 1; allowed: false, true"),
        ({"shares": 1}, "inner.shares: unknown key"),
        (3, "inner: got 3; allowed: keys and values"),
    ],
)
def test_what_is_wrong_inside_is_named_with_its_section(inner, says):
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        Outer.of({"inner": inner})


def test_a_section_is_not_a_dictionary():
    with pytest.raises(ValueError, match="inner: got"):
        Outer(inner={"share": 0.1})
