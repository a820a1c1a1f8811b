"""What writes the answers: the model in this process (engine.py) or a vLLM server (vllm.py).

The gateway renders and tokenizes prompts itself, whatever writes the answer: a backend gets token
ids. So a prompt is the one that was trained on, and no text of a caller can become a special token.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from ft_resources.gateway.cohort import Generation
from ft_resources.gateway.tokens import ChatTokenizer


class Base(Protocol):
    """A base model that a backend serves."""

    @property
    def digest(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def tokenizer(self) -> ChatTokenizer: ...


class Backend(Protocol):
    """All but `score` and the futures return at once; any thread may call."""

    max_adapters: int  # loaded at a time

    @property
    def problem(self) -> str | None:
        """Why no answers can be written now, for /health."""
        ...

    @property
    def passes(self) -> int:
        """Forward passes so far; 0 where the backend does not tell."""
        ...

    def start(self) -> None: ...
    def stop(self, timeout_s: float) -> None: ...

    def load_base(self, folder: Path, digest: str) -> Future[None]: ...
    def unload_base(self, digest: str) -> Future[None]:
        """Refused with ValueError while it has adapters or requests."""
        ...

    def load_adapter(self, name: str, folder: Path, base: str) -> Future[None]: ...
    def unload_adapter(self, name: str) -> Future[None]:
        """Takes no new request from now on, is done when the last running one is answered."""
        ...

    def submit(self, job: Generation) -> None:
        """LookupError for an adapter or base that is not loaded, queue.Full when too many wait,
        ConnectionError when it is stopping or not there."""
        ...

    def score(
        self, base: str, adapter: str | None, rows: Sequence[tuple[list[int], int]]
    ) -> Sequence[Future[list[float]]]:
        """Mean nats per token of ids[start:] of each row (ids, start), in their order."""
        ...

    def base_of(self, adapter: str) -> str | None:
        """Digest of the base of a loaded adapter."""
        ...

    def base(self, digest: str) -> Base | None: ...
    def adapters(self) -> list[str]: ...
    def load(self) -> tuple[int, int]:
        """Requests (waiting, running)."""
        ...

    def busy(self) -> bool:
        """Whether one more request would wait for others to end."""
        ...

    def adapters_at_work(self) -> tuple[set[str], set[str]]:
        """Adapters with requests that (run, wait)."""
        ...
