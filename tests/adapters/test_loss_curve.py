from xml.etree import ElementTree

import pytest

from ft_assets.adapters.loss_curve import loss_curve

CURVE = [(1, 7.0), (50, 5.0), (100, 4.5)]
SVG = "{http://www.w3.org/2000/svg}"


def test_the_loss_curve_is_drawn_to_scale():
    svg = ElementTree.fromstring(loss_curve(CURVE, CURVE[1:]))
    train, validation = [e.get("points", "").split() for e in svg.iter(f"{SVG}polyline")]
    assert (len(train), len(validation)) == (3, 2)
    heights = [float(point.split(",")[1]) for point in train]
    assert heights == sorted(heights)
    assert train[1:] == validation


@pytest.mark.parametrize("points", [[], [(1, 2.0)]])
def test_a_curve_of_no_or_one_point(points):
    assert bool(loss_curve(points, [])) is bool(points)
