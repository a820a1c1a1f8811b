"""Energy of a training as codecarbon sees it, where it is asked for and installed.

codecarbon reads the meters of processor and GPU where the machine shows them, and a table where it
does not (a virtual machine). It runs offline: the country gives the carbon intensity of the grid.
Without it the cost is arithmetic over seconds (cost.py, docs/decisions/0024-cost.md).
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

COUNTRY_KEY = "costs.codecarbon_country"


@contextmanager
def metered(country: str | None) -> Generator[dict[str, float]]:
    """Give a dict that has `kwh` and `co2e_grams` after the block; it stays empty without a country
    (ISO 3166, three letters). It is of this process's share of the machine, as codecarbon puts it.

    Raises ValueError when codecarbon is not installed, before the block begins.
    """
    found: dict[str, float] = {}
    if country is None:
        yield found
        return
    tracker = _tracker(country)
    tracker.start()
    try:
        yield found
    finally:
        tracker.stop()
    measured = tracker.final_emissions_data
    found["kwh"] = float(measured.energy_consumed)
    found["co2e_grams"] = 1000 * float(measured.emissions)


def _tracker(country: str) -> Any:
    try:
        codecarbon = import_module("codecarbon")
    except ModuleNotFoundError:
        raise ValueError(
            f"{COUNTRY_KEY} is {country!r}, but codecarbon is not installed: install the extra "
            "`energy`, or leave the key out for the estimate by the price table"
        ) from None
    return codecarbon.OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode="process",
        measure_power_secs=5,
        save_to_file=False,
        allow_multiple_runs=True,
        log_level="error",
    )
