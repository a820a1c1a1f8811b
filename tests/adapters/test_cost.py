"""Cost of a training: arithmetic that a person can repeat."""

from importlib.util import find_spec

import pytest

from ft_assets.adapters.cost import Prices, cost_of, per_point, points_gained, summary
from ft_assets.adapters.energy import metered
from ft_assets.monitoring.costs import cost_chart, spent, totals

PRICES = Prices(
    currency="EUR",
    cpu_hour=0.36,
    gpu_hour=3.6,
    kwh=1.0,
    core_watts=10,
    gpu_watts=500,
    memory_watts_per_gib=0.5,
    overhead=1.5,
    co2e_grams_per_kwh=400,
)
RECORD = {"tokens": 1000, "seconds": 36.0, "cpu_seconds": 72.0, "device": "cpu"}


@pytest.mark.parametrize(
    ("change", "kwh", "money"),
    [
        # 72 core-seconds of 10 W, times 1.5: 1080 Ws = 0.3 Wh
        ({}, 0.3e-3, 0.0072 + 0.3e-3),
        # and 2 GiB for 36 s at 0.5 W: 36 Ws more, times 1.5: 54 Ws = 0.015 Wh
        ({"peak_memory_mib": 2048.0}, 0.315e-3, 0.0072 + 0.315e-3),
        # codecarbon said 1 Wh and 2 g; times 1.5
        ({"energy": {"kwh": 1e-3, "co2e_grams": 0.4}}, 1.5e-3, 0.0072 + 1.5e-3),
        # and a GPU for 36 s at 500 W, times 1.5: 27,000 Ws = 7.5 Wh
        ({"device": "cuda"}, 7.8e-3, 0.0072 + 0.036 + 7.8e-3),
    ],
)
def test_cost(change, kwh, money):
    cost = cost_of({**RECORD, **change}, PRICES)
    assert cost.kwh == pytest.approx(kwh)
    assert cost.co2e_grams == pytest.approx(400 * kwh)
    assert cost.money == pytest.approx(money)
    assert "estimated" in summary(cost)
    assert cost.metrics()["tokens"] == 1000.0
    assert "currency" not in cost.metrics()


def test_codecarbon_is_asked_for_by_a_country_alone():
    with metered(None) as energy:
        pass
    assert energy == {}
    if find_spec("codecarbon") is None:
        with pytest.raises(ValueError, match="install the extra `energy`"), metered("DEU"):
            pytest.fail("a training must not begin")
    else:
        with metered("DEU") as energy:
            sum(range(1_000_000))
        assert set(energy) == {"kwh", "co2e_grams"}


@pytest.mark.parametrize(
    ("before", "after", "points", "price"),
    [(100, 50, 50, 0.02), (50, 55, -10, None), (None, 5, None, None), (4, 4, 0, None)],
)
def test_points_and_their_price(before, after, points, price):
    found = points_gained(before, after)
    assert found == points
    assert per_point(1.0, found) == price


def made(adapter, kwh=1.0, **report):
    cost = {**cost_of(RECORD, PRICES).to_dict(), "kwh": kwh, "money": 2.0}
    return spent(0.0, {"adapter": adapter, "cost": cost}, report or None)


def test_a_report_counts_refused_adapters_and_the_right_reference():
    scores = {"perplexity_base": 100.0, "perplexity_candidate": 40.0}
    first = made("a@1", gate="passed", **scores)
    second = made("a@2", kwh=3.0, gate="failed", perplexity_champion=40.0, **scores)
    third = made("a<3>")
    assert (first.against, first.points, first.per_point) == ("base", 60.0, 2.0 / 60)
    assert (second.against, second.points, second.per_point) == ("champion", 0.0, None)
    assert (third.outcome, third.points) == ("not evaluated", None)
    assert totals([first, second, third])["money"] == 6.0
    drawn = cost_chart([first, second, third])
    assert drawn.count("<rect") == 3
    assert drawn.count('fill="#999"') == 2
    assert "a&lt;3&gt;" in drawn
    assert cost_chart([]) == ""
