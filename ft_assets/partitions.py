"""Partitions: one per domain of platform.yaml, and domain x week for what arrives over time.

Weeks are dynamic: a week exists once rows of it were seen, by the Monday (UTC) it begins on.
"""

import warnings

import dagster as dg

from ft_assets.settings import platform

WEEKS = "week"

domains = dg.StaticPartitionsDefinition(list(platform().domains))
weeks = dg.DynamicPartitionsDefinition(name=WEEKS)
domain_weeks = dg.MultiPartitionsDefinition({"domain": domains, "week": weeks})

with warnings.catch_warnings():
    # For a command that has these partitions and no definitions; the version is pinned.
    warnings.simplefilter("ignore", dg.BetaWarning)
    all_weeks_of_the_domain = dg.MultiToSingleDimensionPartitionMapping("domain")
ALL_WEEKS = dg.AssetIn(partition_mapping=all_weeks_of_the_domain)


def split_key(key: str) -> tuple[str, str]:
    """(domain, week) of a domain x week key."""
    domain, _, week = key.partition("|")
    return domain, week
