"""What a training cost: measured seconds, and estimates of energy, CO2e and money from them.

The estimates are arithmetic over a price table (`costs` in platform.yaml): seconds of processor
time times the power of a core, plus the memory that was held, plus the share of a GPU's power
while it trained, times the overhead of the building; kWh times the carbon intensity of the grid
gives CO2e. It is the model of Lannelongue et al. 2021 (Green Algorithms) with measured processor
time in place of cores times usage. No meter is read, so treat the figures as estimates. Where the
training has figures of codecarbon (energy.py) those are taken, times the overhead.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

HOUR = 3600.0
WATT_HOURS = 1000.0  # in a kWh


@dataclass(frozen=True)
class Prices:
    currency: str
    cpu_hour: float  # money per hour of one core
    gpu_hour: float  # money per hour of one GPU
    kwh: float  # money per kWh
    core_watts: float  # of one busy core
    gpu_watts: float  # of one busy GPU
    memory_watts_per_gib: float
    overhead: float  # of the building, 1 or more
    co2e_grams_per_kwh: float  # of the grid

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Prices":
        """From the section `costs`; its other keys are of the training, not of prices."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Cost:
    """Of one adapter."""

    tokens: int
    seconds: float  # from start to end
    cpu_seconds: float
    gpu_seconds: float
    peak_memory_mib: float | None  # of the process, which may have trained others before
    kwh: float  # estimate
    co2e_grams: float  # estimate
    money: float
    currency: str
    by: str  # what the energy is from: "price table" or "codecarbon"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The figures alone; what was not measured is left out."""
        return {n: float(v) for n, v in vars(self).items() if isinstance(v, int | float)}


def cost_of(record: Mapping[str, Any], prices: Prices) -> Cost:
    """The cost of a training from its record (training.json): tokens, seconds, cpu_seconds, device,
    and peak_memory_mib and energy where they were measured.
    """
    seconds, cpu = float(record["seconds"]), float(record["cpu_seconds"])
    gpu = seconds if record["device"].startswith("cuda") else 0.0
    memory = record.get("peak_memory_mib")
    watt_seconds = cpu * prices.core_watts + gpu * prices.gpu_watts
    watt_seconds += seconds * (memory or 0.0) / 1024 * prices.memory_watts_per_gib
    kwh = watt_seconds * prices.overhead / HOUR / WATT_HOURS
    grams = kwh * prices.co2e_grams_per_kwh
    if energy := record.get("energy"):
        kwh, grams = energy["kwh"] * prices.overhead, energy["co2e_grams"] * prices.overhead
    money = cpu / HOUR * prices.cpu_hour + gpu / HOUR * prices.gpu_hour + kwh * prices.kwh
    return Cost(
        tokens=int(record["tokens"]),
        seconds=seconds,
        cpu_seconds=cpu,
        gpu_seconds=gpu,
        peak_memory_mib=memory,
        kwh=kwh,
        co2e_grams=grams,
        by="codecarbon" if energy else "price table",
        money=money,
        currency=prices.currency,
    )


def summary(cost: Cost) -> str:
    """The cost in a line to read."""
    memory = "" if cost.peak_memory_mib is None else f", peak {cost.peak_memory_mib:,.0f} MiB"
    return (
        f"{cost.tokens:,} tokens in {cost.seconds:.1f} s ({cost.cpu_seconds:.1f} processor "
        f"seconds{memory}); estimated: {cost.kwh * 1000:.3g} Wh, {cost.co2e_grams:.2g} g CO2e, "
        f"{cost.money:.2g} {cost.currency}"
    )


def points_gained(before: float | None, after: float | None) -> float | None:
    """Per cent by which perplexity fell; None without both, negative where it rose."""
    if before is None or after is None or before <= 0:
        return None
    return 100.0 * (before - after) / before


def per_point(money: float, points: float | None) -> float | None:
    """Money for one point; None where nothing was gained."""
    return money / points if points is not None and points > 0 else None
