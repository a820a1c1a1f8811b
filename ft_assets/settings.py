"""platform.yaml, typed: the domains, where their sources lie, and every policy a user may set.

Its sections are in sections.py. A key that is not here, or a value that does not fit, is an error
that names the key, the value and what is allowed. Secrets are not settings: see
ft_resources/secrets.py.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Annotated, get_args

import yaml
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ft_assets.caller_settings import RESERVED_CALLERS, CallerName, CallerSettings
from ft_assets.corpus.policy import (
    OPERATORS,
    AnyOperator,
    PolicyError,
    resolve,
)
from ft_assets.expectations.suite import Suite, SuiteError, check_own, domain_suite
from ft_assets.raw.feed import DocumentFeed, Feed
from ft_assets.raw.resubmit import resubmitted_feed
from ft_assets.sections import (
    AdapterSettings,
    Anonymization,
    BaseModelSettings,
    CanarySettings,
    CorpusPolicy,
    CostSettings,
    Domain,
    DomainAnonymization,
    DriftSettings,
    EvaluationSettings,
    Intake,
    MlflowSettings,
    PageSettings,
    ReviewSettings,
    Screening,
    Section,
    Services,
    TriggerSettings,
    VaultSettings,
    Versioning,
)
from ft_assets.serving_settings import ServingSettings

PLATFORM_ENV = "FT_PLATFORM"
BASE_MODEL = "base"  # as callers name it
PASSWORD = re.compile(r"(://[^/\s'\"@]*?:)[^/\s'\"]*(@)|(password=)[^&\s'\"]*()", re.IGNORECASE)
DOMAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Platform(Section):
    state: str = ".ft"
    landing: str = "{state}/landing"
    domains: Annotated[dict[str, Domain], Field(min_length=1)]
    intake: Intake = Intake()
    corpus: CorpusPolicy = CorpusPolicy()
    anonymization: Anonymization = Anonymization()
    screening: Screening = Screening()
    base_model: BaseModelSettings = BaseModelSettings()
    adapters: AdapterSettings = AdapterSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    review: ReviewSettings = ReviewSettings()
    canary: CanarySettings = CanarySettings()
    drift: DriftSettings = DriftSettings()
    triggers: TriggerSettings = TriggerSettings()
    pages: PageSettings = PageSettings()
    costs: CostSettings = CostSettings()
    services: Services = Services()
    callers: dict[CallerName, CallerSettings] = Field(default_factory=dict)  # of the gateway
    serving: ServingSettings = ServingSettings()
    versioning: Versioning = Versioning()
    mlflow: MlflowSettings = MlflowSettings()
    vault: VaultSettings = VaultSettings()
    sensor_interval_seconds: Annotated[int, Field(ge=1)] = 30
    root: Path = Field(default=Path("."), exclude=True)  # folder of the file, set by load_platform

    @model_validator(mode="after")
    def _options_have_their_server(self) -> "Platform":
        if not self.services.lakefs.embedded:
            for key in ("import_folder", "hooks"):
                if getattr(self.versioning, key) != Versioning.model_fields[key].get_default():
                    raise ValueError(
                        f"versioning.{key} is for the embedded lakeFS, and services.lakefs.embedded"
                        " is false; set it where your server is configured"
                    )
        return self

    @model_validator(mode="after")
    def _callers_use_what_is_here(self) -> "Platform":
        known = {*self.domains, BASE_MODEL}
        for name, caller in self.callers.items():
            if unknown := sorted(set(caller.domains or ()) - known):
                raise ValueError(
                    f"callers.{name}.domains: no domain {', '.join(unknown)}; allowed: "
                    f"{', '.join(sorted(known))}"
                )
            if name in RESERVED_CALLERS:
                raise ValueError(f"callers.{name}: this name is taken; choose another")
        return self

    @field_validator("domains", mode="before")
    @classmethod
    def _domain_names(cls, domains: object) -> object:
        if isinstance(domains, dict):
            for name in domains:
                if not DOMAIN_NAME.fullmatch(str(name)):
                    raise ValueError(
                        f"domain {name!r}: use lower case letters, digits and _, first a letter"
                    )
            return {name: value or {} for name, value in domains.items()}
        return domains

    def path(self, value: str) -> str:
        """A path or URL of the file with {state} filled in; a local path becomes absolute."""
        filled = value.replace("{state}", self.state)
        scheme, sep, rest = filled.partition("://")
        if not sep:
            return str((self.root / filled).resolve())
        if scheme == "sqlite":
            return (
                f"sqlite:///{(self.root / rest.lstrip('/')).resolve()}"
                if not rest.startswith("//")
                else filled
            )
        return filled

    @property
    def seldom_interval_seconds(self) -> int:
        """Of sensors that have something to do once in a while: each tick costs 0.1 CPU-seconds."""
        return 5 * self.sensor_interval_seconds

    @property
    def state_folder(self) -> Path:
        return (self.root / self.state).resolve()

    @property
    def lakefs_folder(self) -> Path | None:
        """Where the embedded lakeFS keeps its repositories; None for a lakeFS elsewhere."""
        return self.state_folder / "lakefs" if self.services.lakefs.embedded else None

    @property
    def landing_folder(self) -> str:
        return self.path(self.landing)

    def screening_of(self, domain: str) -> Screening:
        """The platform's screening with the domain's own keys in their place."""
        own = self.domains[domain].screening
        if own is None:
            return self.screening
        given = {name: getattr(own, name) for name in own.model_fields_set}
        return Screening.model_validate({**self.screening.model_dump(), **given})

    def evaluation_of(self, domain: str) -> EvaluationSettings:
        """The platform's evaluation with the domain's own keys in their place."""
        own = self.domains[domain].evaluation
        if own is None:
            return self.evaluation
        given = {name: getattr(own, name) for name in own.model_fields_set}
        return EvaluationSettings.model_validate({**self.evaluation.model_dump(), **given})

    def canary_of(self, domain: str | None) -> CanarySettings:
        """The platform's canary with the domain's own keys in their place."""
        own = self.domains[domain].canary if domain is not None else None
        if own is None:
            return self.canary
        given = {name: getattr(own, name) for name in own.model_fields_set}
        return CanarySettings.model_validate({**self.canary.model_dump(), **given})

    def review_of(self, domain: str) -> ReviewSettings:
        """The platform's review with the domain's own keys in their place."""
        own = self.domains[domain].review
        if own is None:
            return self.review
        given = {name: getattr(own, name) for name in own.model_fields_set}
        return ReviewSettings.model_validate({**self.review.model_dump(), **given})

    def operators_of(self, domain: str | None, policy: str | None = None) -> dict[str, AnyOperator]:
        """What becomes of each type of personal data in a domain; None: what the platform says.

        A `policy` given here stands instead of the file's, with none of its operators. Raises
        PolicyError.
        """
        whole, own = self.anonymization, DomainAnonymization()
        if domain is not None:
            own = self.domains[domain].anonymization
        if policy is not None:
            return resolve(policy, whole.policies)
        if own.policy is not None:
            return resolve(own.policy, whole.policies, own.operators)
        return resolve(whole.policy, whole.policies, whole.operators, own.operators)

    def sources(self, domain: str, kind: str) -> list[Feed]:
        """The feeds of one kind ("logs", "documents", ...) of one domain, with absolute paths; the
        last one is that of corrected rows.
        """
        feeds: list[Feed] = getattr(self.domains[domain].sources, kind)

        def absolute(pattern: str) -> str:
            filled = pattern.replace("{landing}", self.landing_folder)
            return self.path(filled.replace("{domain}", domain))

        own = [
            feed.model_copy(
                update={"files": [absolute(pattern) for pattern in feed.files]}
                if feed.files
                else {"sql": absolute(str(feed.sql))}
            )
            for feed in feeds
        ]
        if kind == "documents":
            own = [DocumentFeed.model_construct(**dict(feed)) for feed in own]
        return [*own, resubmitted_feed(self.landing_folder, domain, kind)]

    def suite(self, asset: str, domain: str) -> Suite:
        """What must hold of an asset's data in one domain."""
        return domain_suite(asset, self.domains[domain].expectations, self.root)


class PlatformError(ValueError):
    """platform.yaml does not say what it must."""


def load_platform(file: Path) -> Platform:
    """Read and check a platform file.

    Raises FileNotFoundError when it is not there and PlatformError naming every wrong key.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no platform file at {file}; set {PLATFORM_ENV} or run beside it")
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise PlatformError(f"{file}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise PlatformError(f"{file}: expected keys and values, got {type(content).__name__}")
    if "root" in content:
        raise PlatformError(f"{file}: root: unknown key")
    try:
        settings = Platform.model_validate({**content, "root": file.resolve().parent})
    except ValidationError as error:
        raise PlatformError(f"{file}:\n" + "\n".join(_explain(error))) from None
    _check_operators(file, settings)
    for name, domain in settings.domains.items():
        try:
            check_own(domain.expectations, settings.root)
        except SuiteError as error:
            raise PlatformError(f"{file}:\n  domains.{name}.expectations: {error}") from None
    return settings


def _check_operators(file: Path, settings: Platform) -> None:
    for name in (None, *settings.domains):
        try:
            settings.operators_of(name)
        except PolicyError as error:
            key = "anonymization" if name is None else f"domains.{name}.anonymization"
            raise PlatformError(f"{file}:\n  {key}: {error}") from None


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "file"
        if problem["type"] == "extra_forbidden":
            lines.append(
                f"  {key}: unknown key; allowed here: {', '.join(_allowed(problem['loc']))}"
            )
        else:
            given = PASSWORD.sub(r"\1\3***\2", repr(problem["input"]))
            lines.append(f"  {key}: {problem['msg']}, got {given}")
    return lines


def _allowed(loc: tuple[int | str, ...]) -> list[str]:
    if len(loc) > 1 and "anonymization" in loc and loc[-2] in OPERATORS:
        return sorted(OPERATORS[str(loc[-2])].model_fields)
    section: type[BaseModel] = Platform
    for part in loc[:-1]:
        if section is Platform and part == "domains":
            section = Domain
        elif part in section.model_fields:
            kind = section.model_fields[str(part)].annotation
            for choice in (kind, *get_args(kind)):
                if isinstance(choice, type) and issubclass(choice, BaseModel):
                    section = choice
    names = {field.alias or name for name, field in section.model_fields.items()}
    return sorted(names - {"root"})


@cache
def platform() -> Platform:
    """The platform file of this process: $FT_PLATFORM, or ./platform.yaml."""
    return load_platform(Path(os.environ.get(PLATFORM_ENV, "platform.yaml")))
