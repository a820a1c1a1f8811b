"""The operators that `ft anonymize` is asked for, and the vault where they need one."""

import os
from collections.abc import Callable
from pathlib import Path

from ft_assets.corpus.operators import DomainOperators, Original
from ft_assets.corpus.policy import POLICIES, resolve
from ft_assets.corpus.surrogates import Surrogates
from ft_assets.settings import PlatformError, load_platform
from ft_resources import secrets

Keep = Callable[[list[Original]], object]


def chosen_operators(
    file: Path, domain: str | None, policy: str | None
) -> tuple[DomainOperators, Keep | None]:
    """Those of a domain or policy, and what stores originals.

    The platform file is read for its domains, its own policies and its vault; a built-in policy
    that needs no key does without. Raises PlatformError, PolicyError, VaultError and
    FileNotFoundError.
    """
    if domain is None and policy in POLICIES:
        operators = resolve(policy, {})
        if not any(each.keyed for each in operators.values()):
            return DomainOperators(operators, None), None
    settings = load_platform(file)
    if domain is not None and domain not in settings.domains:
        raise PlatformError(
            f"{file}: no domain {domain!r}; there are {', '.join(sorted(settings.domains))}"
        )
    operators = settings.operators_of(domain, policy)
    if not any(each.keyed for each in operators.values()):
        return DomainOperators(operators, None), None
    from ft_resources.vault.raw_zone import RawZone

    values = secrets.load_or_generate(settings.state_folder, os.environ)
    vault = RawZone(
        tenant=settings.vault.tenant,
        tenant_key=values[secrets.TENANT_KEY],
        folder=settings.path(settings.vault.folder),
    )
    originals = vault.originals()
    return DomainOperators(operators, Surrogates(vault.surrogate_key())), originals.keep
