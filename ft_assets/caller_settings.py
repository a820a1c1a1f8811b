"""Section `callers` of platform.yaml: who may call the gateway."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ft_assets.sections import Section

CallerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
RESERVED_CALLERS = ("admin", "caller", "anyone")  # whom the keys of the environment name
PerMinute = Annotated[int, Field(ge=1)]


class CallerSettings(Section):
    """One caller of the gateway: where its key is found, and what it may do (docs/serving.md)."""

    # One of the three; the key itself is never written here.
    key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    key_file: str | None = None  # a file that holds the key alone, as mounted secrets are
    key_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    role: Literal["caller", "reviewer", "admin"] = "caller"
    domains: list[str] | None = None  # null: all; "base" is the base model by itself
    requests_per_minute: PerMinute | None = None  # null: no limit
    tokens_per_minute: PerMinute | None = None  # of prompts and answers
    max_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None  # of an answer
    max_body_kib: Annotated[int, Field(ge=1, le=1024)] | None = None  # of a request
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] | None = None  # of a request

    @model_validator(mode="after")
    def _has_one_key(self) -> "CallerSettings":
        given = [self.key_env, self.key_file, self.key_sha256]
        if sum(key is not None for key in given) != 1:
            raise ValueError("give exactly one of key_env, key_file, key_sha256")
        return self
