"""The pipeline's side of the gateway.

Errors are builtin exceptions that name the address and what to do, never the prompt:
ConnectionError (not there, overloaded, no base yet), PermissionError (key or signature),
LookupError (unknown model, adapter or id), ValueError (refused as wrong).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import requests

from ft_resources.adapter_format import ADAPTER_FILES
from ft_resources.adapter_manifest import read_manifest
from ft_resources.signing import sign

RETRIES = 5  # of a routing change that another writer overtook
LOAD_SECONDS = 900.0  # a large base is hashed and read


class RouteChange(TypedDict, total=False):
    champion: str | None
    previous: str | None
    canary: str | None
    share: float


@dataclass(frozen=True)
class Answer:
    id: str
    text: str
    model: str  # exactly what answered: domain@digest or base
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    latency_ms: float  # as seen from here


class GatewayClient:
    def __init__(
        self,
        url: str,
        admin_key: str,
        signing_key: bytes | None = None,
        api_key: str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._admin_key = admin_key
        self._signing_key = signing_key
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between the pipeline and its own gateway

    def load_base(self, folder: str | Path, digest: str) -> None:
        """Make this folder, as the gateway's machine sees it, the base. Again is fine."""
        body = {"path": str(folder), "digest": digest}
        self._call("PUT", "/admin/base", json=body, timeout=LOAD_SECONDS)

    def load_adapter(self, folder: Path) -> str:
        """Hand over a signed adapter folder; return its name. Again is fine."""
        name = read_manifest(folder)["name"]
        files = {file: (file, (folder / file).read_bytes()) for file in sorted(ADAPTER_FILES)}
        self._call("PUT", f"/admin/adapters/{_part(name)}", files=files, timeout=LOAD_SECONDS)
        return name

    def unload(self, name: str) -> None:
        """ValueError while it is routed."""
        self._call("DELETE", f"/admin/adapters/{_part(name)}")

    def routing(self) -> dict[str, Any]:
        """{generation, domains: {domain: {champion, previous, canary, share}}, signature}"""
        return self._call("GET", "/admin/routing")

    def route(self, domain: str, **change: Unpack[RouteChange]) -> dict[str, Any]:
        """Change what is named of a domain's route, keep the rest; return the new document."""
        if self._signing_key is None:
            raise PermissionError("changing the routing needs the signing key (FT_SIGNING_KEY)")
        for attempt in range(RETRIES):
            document = self.routing()
            domains = dict(document["domains"])
            empty = {"champion": None, "previous": None, "canary": None, "share": 0.0}
            domains[domain] = {**empty, **domains.get(domain, {}), **change}
            unsigned = {"generation": document["generation"] + 1, "domains": domains}
            try:
                body = sign(unsigned, self._signing_key)
                return self._call("PUT", "/admin/routing", json=body, overtaken=BlockingIOError)
            except BlockingIOError:
                time.sleep(0.05 * (attempt + 1))
        raise ConnectionError(
            f"{self._url}: routing was changed by others {RETRIES} times in a row"
        )

    def rollback(self, domain: str, to: str = "champion") -> dict[str, Any]:
        """Drop the canary (`champion`), or go back to the champion before (`previous`)."""
        return self._call("POST", f"/admin/rollback/{_part(domain)}", json={"to": to})

    def begin_rollout(
        self, domain: str, candidate: str, plan: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a loaded adapter against the champion; return the rollout's state. Again is fine.

        ValueError for a plan that does not fit, or without a champion.
        """
        body = {"candidate": candidate, "plan": dict(plan or {})}
        return self._call("POST", f"/admin/rollouts/{_part(domain)}", json=body)

    def compare(
        self, domain: str, first: str, second: str, plan: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Begin an A/B test of two loaded adapters of a domain."""
        body = {"first": first, "second": second, "plan": dict(plan or {})}
        return self._call("POST", f"/admin/comparisons/{_part(domain)}", json=body)

    def rollout(self, domain: str) -> dict[str, Any]:
        """The current or last rollout. LookupError when there was none."""
        return self._call("GET", f"/admin/rollouts/{_part(domain)}")

    def approve(self, domain: str, by: str) -> dict[str, Any]:
        return self._call("POST", f"/admin/rollouts/{_part(domain)}/approve", json={"by": by})

    def abort(self, domain: str, by: str, why: str) -> dict[str, Any]:
        body = {"by": by, "why": why}
        return self._call("POST", f"/admin/rollouts/{_part(domain)}/abort", json=body)

    def stats(self, domain: str) -> dict[str, Any]:
        return self._call("GET", f"/admin/stats/{_part(domain)}")

    def chat(
        self,
        model: str,
        prompt: str | Sequence[Mapping[str, str]],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        user: str | None = None,
        session_id: str | None = None,
        probe: bool = False,
    ) -> Answer:
        """Ask; `prompt` is a text or messages. A probe is not written to the landing zone."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [*prompt]
        body: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "stop": stop if stop is None or isinstance(stop, str) else [*stop],
            "user": user,
            "metadata": None if session_id is None else {"session_id": session_id},
        }
        began = time.perf_counter()
        reply = self._call(
            "POST",
            "/v1/chat/completions",
            json={name: value for name, value in body.items() if value is not None},
            key=self._admin_key if probe else self._api_key,
            headers={"X-FT-Probe": "1"} if probe else {},
        )
        choice, usage = reply["choices"][0], reply["usage"]
        return Answer(
            reply["id"],
            choice["message"]["content"],
            reply["model"],
            choice["finish_reason"],
            usage["prompt_tokens"],
            usage["completion_tokens"],
            (time.perf_counter() - began) * 1000,
        )

    def feedback(self, id: str, **fields: Any) -> None:
        self._call("POST", "/feedback", json={"id": id, **fields}, key=self._api_key)

    def put_review(
        self, domain: str, items: Sequence[Mapping[str, Any]], reviewers: int
    ) -> dict[str, Any]:
        """Replace the review queue of a domain; return {domain, items, open}."""
        body = {"items": [*items], "reviewers": reviewers}
        return self._call("PUT", f"/admin/review/{_part(domain)}", json=body)

    def score(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Mean nats per token of each row's `response` after its `messages`."""
        body = {"model": model, "rows": [dict(row) for row in rows]}
        return self._call("POST", "/admin/score", json=body)["nll"]

    def health(self) -> dict[str, Any]:
        return self._call("GET", "/health", key=None)

    def wait_ready(self, seconds: float) -> dict[str, Any]:
        """Return its health once it answers. Raises ConnectionError when it does not in time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.health()
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        files: Any = None,
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        overtaken: type[Exception] = ValueError,
    ) -> dict[str, Any]:
        bearer = self._admin_key if key == "" else key
        sent = dict(headers or {})
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        where = f"{method} {self._url}{path}"
        try:
            reply = self._session.request(
                method,
                f"{self._url}{path}",
                json=json,
                files=files,
                headers=sent,
                timeout=timeout or self._timeout_s,
            )
        except requests.Timeout:
            raise ConnectionError(
                f"{where}: no answer within {timeout or self._timeout_s:g} s; look at /health"
            ) from None
        except requests.ConnectionError:
            raise ConnectionError(
                f"{where}: no gateway there; start it with `ft gateway serve`"
            ) from None
        if reply.ok:
            return reply.json()
        raise _error(where, reply, overtaken)


def _error(where: str, reply: requests.Response, overtaken: type[Exception]) -> Exception:
    try:
        said = reply.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = "an answer that is not of the gateway; is something else on this port?"
    kinds: dict[int, type[Exception]] = {
        401: PermissionError,
        403: PermissionError,
        404: LookupError,
        409: overtaken,
        429: ConnectionError,
    }
    kind = kinds.get(reply.status_code, ConnectionError if reply.status_code >= 500 else ValueError)
    return kind(f"{where}: {reply.status_code}: {said}")


def _part(name: str) -> str:
    return quote(name, safe="@")
