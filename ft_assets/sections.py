"""The sections of platform.yaml: every key, its type, and its one default."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ft_assets.corpus.policy import POLICIES, TYPES, Operators
from ft_assets.raw.feed import Feed
from ft_assets.raw.schema import MODELS

Share = Annotated[float, Field(ge=0, le=1)]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
RowLocalReason = Literal[
    "empty_answer",
    "too_short",
    "too_long",
    "prompt_injection",
    "toxic",
    "foreign_language",
    "gibberish",
    "refusal",
    "boilerplate",
    "wrong_domain",
]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_or_many(feeds: object) -> object:
    return [feeds] if isinstance(feeds, str | dict) else feeds


Feeds = Annotated[list[Feed], BeforeValidator(_one_or_many)]


def _landed(kind: str, below: str = "") -> Any:
    folder = f"{{landing}}/{{domain}}/{kind}"
    return Field(default_factory=lambda: [Feed(files=[f"{folder}*", f"{folder}{below}"])])


class Sources(Section):
    """The feeds of one domain: folders, globs or fsspec URLs in which {landing} and {domain} are
    filled in, or objects that also say how they are read (ft_assets/raw/feed.py, docs/sources.md).
    """

    logs: Feeds = _landed("logs")
    documents: Feeds = _landed("documents", "/**")
    annotations: Feeds = _landed("annotations", "/**")
    corrections: Feeds = _landed("corrections")
    users: Feeds = _landed("users")
    eval: Feeds = _landed("eval")

    @model_validator(mode="after")
    def _fields_are_known(self) -> "Sources":
        for kind, model in MODELS.items():
            for place, feed in enumerate(getattr(self, kind)):
                if feed.export and kind != "annotations":
                    raise ValueError(f"{kind}.{place}.export: only annotations are exported so")
                if unknown := sorted(set(feed.map) - set(model.model_fields)):
                    raise ValueError(
                        f"{kind}.{place}.map.{unknown[0]}: {kind} have no such field; "
                        f"allowed here: {', '.join(sorted(model.model_fields))}"
                    )
        return self


class Screening(Section):
    """What a corpus does not learn from; docs/decisions/0011-screening.md has the numbers."""

    languages: list[LanguageCode] = ["en"]  # ISO 639-1; [] allows all
    min_chars: Annotated[int, Field(ge=0)] = 1  # of prompt and answer each
    max_chars: Annotated[int, Field(ge=1)] = 20_000  # of the two together
    # A row is refused from the limit on: a lower limit refuses more.
    injection_limit: Annotated[float, Field(gt=0)] = 1.0  # weights of the signs found, added up
    toxicity_limit: Annotated[float, Field(gt=0)] = 0.9  # 0 to 1; above 1: off
    foreign_limit: Annotated[float, Field(gt=0)] = 0.7  # probability of no allowed language
    gibberish_limit: Annotated[float, Field(gt=0)] = 0.6  # share of the text
    wrong_domain_limit: Annotated[float, Field(gt=0)] = 1.0  # in margins of the domain's own text
    keep: list[RowLocalReason] = []  # reasons that are scored but refuse no row
    min_votes: Annotated[int, Field(ge=2)] = 10  # of a rater who always says the same
    max_votes: Annotated[int, Field(ge=1)] = 20  # of a user in a week; further ones are ignored
    min_pushes: Annotated[int, Field(ge=3)] = 6  # conversations in which few users push one phrase
    max_user_share: Annotated[float, Field(gt=0, le=1)] = 0.05  # of a corpus's rows

    @model_validator(mode="after")
    def _lengths_fit(self) -> "Screening":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        return self


class DomainAnonymization(Section):
    policy: str | None = None  # null: the platform's policy and operators
    operators: Operators = {}  # by type, or DEFAULT; they override those of the policy


class TaggerSettings(Section):
    """What finds names, addresses and places; docs/decisions/0010-tagger.md."""

    kind: Literal["trained", "huggingface", "none"] = "trained"  # none: patterns alone
    # kind: trained
    annotated: list[str] = []  # globs of JSON lines, .gz too (ft_assets/corpus/tagger/annotated.py)
    generated: Annotated[int, Field(ge=100)] = 14_000  # texts to learn from besides
    epochs: Annotated[int, Field(ge=1)] = 4
    precision_floor: Share = 0.94  # of direct identifiers on development data; lower masks more
    seed: int = 0
    cache: str = "{state}/taggers"  # made once, then found by digest
    # kind: huggingface, a token classification model
    model: str | None = None  # folder, or id on the hub
    labels: dict[str, str] = {}  # its labels without B- and I-, by type of ours; others: by name
    threshold: Share = 0.5

    @model_validator(mode="after")
    def _names_its_model(self) -> "TaggerSettings":
        if self.kind == "huggingface" and not self.model:
            raise ValueError("kind 'huggingface' needs 'model': a folder or an id on the hub")
        return self


class Anonymization(Section):
    """What becomes of personal data in texts; docs/anonymization.md is the reference."""

    policy: str = "placeholders"  # or hipaa_safe_harbor, gdpr_pseudonymized, or one of `policies`
    operators: Operators = {}
    policies: dict[str, Operators] = {}  # of one's own, by name

    @field_validator("policies")
    @classmethod
    def _are_new(cls, policies: dict[str, Operators]) -> dict[str, Operators]:
        if taken := sorted(policies.keys() & POLICIES.keys()):
            raise ValueError(f"{', '.join(taken)}: built in; give your own another name")
        return policies

    tagger: TaggerSettings = TaggerSettings()


class FewShotSettings(Section):
    """The base with examples of the training corpus before each question."""

    examples: Annotated[int, Field(ge=1)] = 3
    tokens: Annotated[int, Field(ge=16)] = 256  # of all examples; at most half of the context
    rows: Annotated[int, Field(ge=1)] = 60  # of the evaluation rows, by hash


class BiasSettings(Section):
    file: str  # paired sentences, .csv or .csv.gz with the columns of CrowS-Pairs
    pairs: Annotated[int, Field(ge=20)] = 400  # of them, by hash


class OpenPromptsSettings(Section):
    file: str  # beginnings of sentences, .jsonl or .jsonl.gz with the fields of BOLD
    prompts: Annotated[int, Field(ge=20)] = 200  # of them, evenly by group
    new_tokens: Annotated[int, Field(ge=1)] = 24


class JudgeModelSettings(Section):
    """A model behind an OpenAI-compatible API; its key is FT_JUDGE_API_KEY in the environment."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]  # e.g. http://host/v1
    model: Annotated[str, Field(min_length=1)]
    timeout_seconds: Annotated[float, Field(gt=0)] = 60


class LmEvalSettings(Section):
    """Tasks of lm-evaluation-harness; needs the extra `lm-eval`."""

    folder: str  # of task files (YAML) and their data
    tasks: Annotated[list[str], Field(min_length=1)]
    limit: Annotated[int, Field(ge=1)] | None = None  # examples of a task


class MemorizationSettings(Section):
    """What an adapter remembers of its training rows: evaluation/memorization.py.

    Secrets that `adapters.planted_secrets` put into the training are looked for as well.
    """

    rows: Annotated[int, Field(ge=30)] = 100  # trained on, and as many that were not


class EvaluationSettings(Section):
    """What a candidate is compared by; docs/evaluation.md."""

    margin_nats: Annotated[float, Field(gt=0)] = 0.1  # a champion's loss + this is not worse
    seed_sd_nats: Annotated[float, Field(ge=0)] = 0.038  # of the difference that a reseed makes
    slice_margin_nats: Annotated[float, Field(ge=0)] = 0.14  # no slice may be proven worse by it
    min_rows: Annotated[int, Field(ge=2)] = 30
    min_slice_rows: Annotated[int, Field(ge=2)] = 20
    max_rows: Annotated[int, Field(ge=2)] = 300
    max_general_ratio: Annotated[float, Field(gt=1)] = 1.25  # general perplexity, adapter / base
    max_harm_increase: Share = 0.02  # of unsafe answers, failed cases, preferred stereotypes
    required: list[str] = []  # rules that may not go unmeasured
    generate_rows: Annotated[int, Field(ge=0)] = 64
    max_new_tokens: Annotated[int, Field(ge=1)] = 48
    review_rows: Annotated[int, Field(ge=0)] = 20  # for a person to look at
    few_shot: FewShotSettings | None = FewShotSettings()
    bias: BiasSettings | None = None
    open_prompts: OpenPromptsSettings | None = None
    judge_model: JudgeModelSettings | None = None
    lm_eval: LmEvalSettings | None = None
    memorization: MemorizationSettings | None = None
    scores: str = "{state}/scores"  # what was scored before, by digest
    resamples: Annotated[int, Field(ge=100)] = 2000
    seed: int = 0


class ReviewSettings(Section):
    """What a person must see, and how many of them decide; docs/serving.md."""

    high_stakes: list[str] = []  # RE2 patterns of prompt or answer, case ignored
    audit_share: Share = 0.01  # of all answers, drawn by hash
    reviewers: Annotated[int, Field(ge=1, le=2)] = 1  # who must agree on an item
    max_items: Annotated[int, Field(ge=1, le=10_000)] = 200  # waiting at once

    @field_validator("high_stakes")
    @classmethod
    def _are_patterns(cls, patterns: list[str]) -> list[str]:
        import re2

        for pattern in patterns:
            try:
                re2.compile(pattern)
            except re2.error as error:
                raise ValueError(f"{pattern!r} is no pattern of RE2: {error}") from None
        return patterns


class Domain(Section):
    description: str = ""
    sources: Sources = Sources()
    # Suites of its own (ft_assets/expectations/suite.py): files beside this one, globs, or inline.
    expectations: list[str | dict[str, Any]] = []
    anonymization: DomainAnonymization = DomainAnonymization()
    screening: Screening | None = None  # keys given here replace those of the platform's screening
    evaluation: EvaluationSettings | None = None  # the same, of the platform's evaluation
    canary: "CanarySettings | None" = None  # the same, of the platform's canary
    review: ReviewSettings | None = None  # the same, of the platform's review
    cases: list[str] = []  # files of test cases beside this one, or globs; docs/evaluation.md


class Intake(Section):
    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    max_line_mib: Annotated[int, Field(ge=1, le=1024)] = 16


class Benchmark(Section):
    """Rows that no corpus may contain, besides its own evaluation set."""

    files: Annotated[list[str], Field(min_length=1)]  # globs of .jsonl, .csv, .parquet; .gz too
    prompt: str = "prompt"  # name of the field
    response: str | None = "response"  # null: the benchmark has prompts alone


class ReplaySettings(Section):
    recent_weeks: Annotated[int, Field(ge=1)] = 4  # used whole
    share_of_older: Share = 0.3  # of the rows of the weeks before


class CorpusPolicy(Section):
    held_out_share: Share = 0.05
    validation_share: Share = 0.05
    document_share: Share = 0.25  # of the characters of the corpus
    document_access: list[Literal["public", "internal", "restricted"]] = ["public", "internal"]
    # Characters per character of the kinds with weight 1 (log, annotation, correction, document).
    mixture: dict[
        Literal["log", "annotation", "correction", "document"], Annotated[float, Field(ge=0)]
    ] = {}
    replay: ReplaySettings | None = None  # null: all weeks are used whole
    benchmarks: dict[str, Benchmark] = {}  # by name
    split_salt: Annotated[str, Field(min_length=1)] = "split-1"  # another salt is another split
    rating_floor: Annotated[int, Field(ge=1, le=5)] = 3  # lower ratings are not trained on
    min_rows: Annotated[int, Field(ge=1)] = 20  # fewer rows than this is not a corpus


class BaseModelSettings(Section):
    kind: Literal["embedded", "path", "hub"] = "embedded"
    path: str | None = None  # kind: path
    id: str | None = None  # kind: hub
    revision: str | None = None  # kind: hub
    text: list[str] = []  # kind: embedded; text files to learn from, besides the project's own
    steps: Annotated[int, Field(ge=1)] = 1200  # kind: embedded
    seed: int = 0
    cache: str = "{state}/base_models"  # kind: embedded; made once, then found by digest

    @model_validator(mode="after")
    def _needs_its_place(self) -> "BaseModelSettings":
        if self.kind == "path" and not self.path:
            raise ValueError("kind 'path' needs 'path': the folder of the model")
        if self.kind == "hub" and not self.id:
            raise ValueError("kind 'hub' needs 'id': the name of the model on the hub")
        return self


class PlantedSecretsSettings(Section):
    """Invented secrets in every training, by which the gate sees what it memorizes."""

    secrets: Annotated[int, Field(ge=1)] = 8
    copies: Annotated[int, Field(ge=1)] = 1  # rows of each
    controls: Annotated[int, Field(ge=1)] = 8  # made alike and trained on by nobody


class AdapterSettings(Section):
    recipe: str = "lora-tiny"
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] = 2  # part of what the adapter's bytes depend on
    timeout_minutes: Annotated[float, Field(gt=0)] = 120
    encoded: str = "{state}/encoded"  # of each domain the tokens of its newest corpus
    checkpoints: str = "{state}/checkpoints"  # of trainings that have not been published
    privacy_budget: Annotated[float, Field(gt=0)] = (
        8.0  # epsilon of each domain, over all trainings
    )
    # Looked for where evaluation.memorization is set; decision 19.
    planted_secrets: PlantedSecretsSettings | None = None


Chance = Annotated[float, Field(gt=0, le=0.5)]


class GuardrailSettings(Section):
    """Shares of a canary's answers that it must stay below; docs/canary.md."""

    errors: Chance = 0.01
    empty: Chance = 0.05
    slow: Chance = 0.05  # longer than slow_seconds
    personal_data: Chance = 0.001  # an identifier that was not in the question


class CanarySettings(Section):
    """From an adapter that passed its gate to champion, or back; docs/canary.md."""

    # replay: the same prompts to both at once, decided in the run. evidence: by people, over days.
    decide_by: Literal["replay", "evidence"] = "replay"
    # replay:
    share: Share = 0.1  # of the conversations of a domain while a canary runs
    replay_rows: Annotated[int, Field(ge=1)] = 20
    max_error_share: Share = 0.0
    max_empty_share: Share = 0.2
    max_latency_ratio: Annotated[float, Field(gt=0)] = 3.0  # p95, canary / champion
    max_loss_gap_nats: Annotated[float, Field(ge=0)] = 0.1  # canary - champion on the replayed rows
    # evidence:
    false_promotion: Chance = 0.05  # of a canary that is worse by the margin, at any time
    false_rollback: Chance = 0.05  # of one that is not worse, guardrails included
    margin: Chance = 0.05  # of the mean reaction, 0 to 1
    min_reactions: Annotated[int, Field(ge=1)] = 50  # canary conversations, before a promotion
    guardrails: GuardrailSettings = GuardrailSettings()
    slow_seconds: Annotated[float, Field(gt=0)] = 30
    shadow_answers: Annotated[int, Field(ge=0)] = 20  # mirrored before anybody sees it; 0: none
    steps: Annotated[list[Chance], Field(min_length=1)] = [0.01, 0.05, 0.1, 0.25, 0.5]
    step_answers: Annotated[int, Field(ge=0)] = 50  # canary answers before the next step
    step_minutes: Annotated[float, Field(ge=0)] = 0  # and at least this long
    reaction_minutes: Annotated[float, Field(gt=0)] = 10  # from the beginning of a conversation
    votes_per_user: Annotated[int, Field(ge=1)] = 3  # conversations in which one user counts
    horizon_days: Annotated[float, Field(gt=0)] = 14  # undecided until then: held
    hold_days: Annotated[float, Field(ge=0)] = 2  # for a person to look; then rolled back
    approval: Literal["none", "canary", "promotion"] = "none"  # what waits for a person
    holdback: Annotated[float, Field(ge=0, le=0.5)] = 0.05  # of the old champion, after promotion
    holdback_days: Annotated[float, Field(ge=0)] = 7

    @field_validator("steps")
    @classmethod
    def _grow(cls, steps: list[float]) -> list[float]:
        if steps != sorted(set(steps)):
            raise ValueError("steps must grow")
        return steps


class DriftSettings(Section):
    """When a week has drifted; docs/triggers.md, and decision 30 for the numbers."""

    newest_weeks: Annotated[int, Field(ge=1)] = 12  # after those trained on, each judged by itself
    # Expected at most, of all domains together, when nothing changes; lower finds less.
    false_alarms_per_year: Annotated[float, Field(gt=0)] = 4.0
    score_limit: Share = 0.6  # text classifier AUC that is worth an alarm, if chance allows it
    clears_at: Annotated[float, Field(gt=0, lt=1)] = 0.6  # of the way from normal to the limit
    cooldown_weeks: Annotated[int, Field(ge=1)] = 2  # from one retraining for drift to the next
    worse_by: Annotated[float, Field(ge=0)] = 0.05  # AUC above that of the last one: no cooldown
    min_rows: Annotated[int, Field(ge=10)] = 50  # of a week, and of what it is compared with
    max_rows: Annotated[int, Field(ge=50)] = 2000  # of either; more are sampled
    seed: int = 0


class TriggerSettings(Section):
    """What besides drift starts a retraining; docs/triggers.md. null or false: it does not."""

    feedback_rows: Annotated[int, Field(ge=1)] | None = 200  # pairs and corrections, since training
    min_up_share: Share | None = 0.6  # of good votes on the champion, since it serves
    min_votes: Annotated[int, Field(ge=10)] = 50  # fewer say nothing
    new_base_model: bool = True
    erasure: bool = True
    new_weeks: Annotated[int, Field(ge=1)] | None = None  # that the champion was not trained on


class PageSettings(Section):
    """What Dagster's pages say of the assets besides their own."""

    # "team:NAME" or e-mail addresses; whose the assets are
    owners: list[Annotated[str, Field(pattern=r"^(team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$")]] = []
    # A weekly asset that was not made for so long is shown as overdue; null: none ever is.
    fresh_within_days: Annotated[int, Field(ge=1)] | None = None


class Service(Section):
    url: str
    embedded: bool = True  # `ft up` starts it; false: it runs elsewhere

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/\s:]+(:\d+)?/?", url):
            raise ValueError("must look like http://host:port")
        return url.rstrip("/")

    @property
    def host(self) -> str:
        return self.url.split("//", 1)[1].split(":")[0]

    @property
    def port(self) -> int:
        tail = self.url.split("//", 1)[1].split(":")
        return int(tail[1]) if len(tail) > 1 else (443 if self.url.startswith("https") else 80)


class Services(Section):
    lakefs: Service = Service(url="http://127.0.0.1:8000")
    gateway: Service = Service(url="http://127.0.0.1:8300")
    dagster: Service = Service(url="http://127.0.0.1:3000")
    mlflow: Service = Service(url="http://127.0.0.1:5000")


RepositoryName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{2,62}$")]  # lakeFS's own rule


RetentionDays = Annotated[int, Field(ge=1, le=36_500, strict=True)]


class Retention(Section):
    """How long both repositories keep what no branch and no tag shows any more: lakeFS's garbage
    collection rules. A commit counts while it was the head of its branch within these days.
    """

    days: RetentionDays
    branches: dict[Annotated[str, Field(pattern=r"^\w[-\w]*$")], RetentionDays] = {}


class HookSettings(Section):
    """What hooks (_lakefs_actions/*.yaml) may do besides webhooks to this machine."""

    # Of hooks of type `python`, by name; the module must be one that `ft up` can import.
    functions: dict[
        Annotated[str, Field(pattern=r"^[^\s=]+$")], Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    ] = {}
    hosts: list[Annotated[str, Field(pattern=r"^[^\s/:@]+(:\d+)?$")]] = []  # name or name:port


class Versioning(Section):
    repository: RepositoryName = "ft-corpora"
    raw_repository: RepositoryName = "ft-raw"  # the only place with personal data
    storage_namespace: str = "local://{repository}"  # e.g. s3://bucket/{repository}
    retention: Retention | None = None  # null: nothing that was committed is ever removed
    # Of the embedded server alone:
    import_folder: str | None = None  # which lakeFS imports may read; null: none
    hooks: HookSettings = HookSettings()


class VaultRole(Section):
    types: Annotated[list[str], Field(min_length=1)]  # "*": all
    key_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of FT_VAULT_ROLE_KEY

    @field_validator("types")
    @classmethod
    def _are_types(cls, types: list[str]) -> list[str]:
        if unknown := sorted(set(types) - TYPES - {"*"}):
            raise ValueError(f"unknown types {unknown}; allowed: *, {', '.join(sorted(TYPES))}")
        return types


class VaultSettings(Section):
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = "default"
    folder: str = "{state}/vault"
    roles: dict[str, VaultRole] = {}  # who may see originals; none by default


NotNegative = Annotated[float, Field(ge=0)]


class CostSettings(Section):
    """The price table: what the seconds of a training are taken to cost (decision 24)."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    cpu_hour: NotNegative = 0.04  # money per hour of one core
    gpu_hour: NotNegative = 2.50  # money per hour of one GPU
    kwh: NotNegative = 0.0  # money per kWh, where the prices per hour do not have it in them
    core_watts: NotNegative = 10.0  # of one busy core, with its share of the board
    gpu_watts: NotNegative = 400.0  # of one busy GPU
    memory_watts_per_gib: NotNegative = 0.3725  # Lannelongue et al. 2021
    overhead: Annotated[float, Field(ge=1)] = 1.2  # power usage effectiveness of the building
    co2e_grams_per_kwh: NotNegative = 400.0  # of the grid the machines hang on
    # Energy by codecarbon (extra `energy`) in place of the watts above, with the grid of this
    # country: ISO 3166, three letters. null: the arithmetic over the table.
    codecarbon_country: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None


class MlflowSettings(Section):
    tracking_uri: str = "sqlite:///{state}/mlflow/mlflow.db"
    artifacts: str = "{state}/mlflow/artifacts"
    experiment: str = "continuous-fine-tuning"
