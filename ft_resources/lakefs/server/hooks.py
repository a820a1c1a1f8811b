"""Running one hook: an HTTP call, or a function that the server was started with.

A webhook is a request that whoever may write to a branch can make this server send. So it goes to
this machine only, or to hosts that the server's configuration names; it is never redirected, uses
no proxy, and the answer kept is short.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import requests
from urllib3.util import parse_url

from ft_resources.lakefs.server.actions import Hook

Function = Callable[[Mapping[str, Any]], object]  # raises to refuse
MAX_OUTPUT_BYTES = 64 * 1024
CHUNK_BYTES = 4096


@dataclass(frozen=True)
class Outcome:
    passed: bool
    output: str


@dataclass(frozen=True)
class Hooks:
    """What the server's configuration allows hooks to do."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()  # "name" or "name:port", besides this machine

    def run(self, hook: Hook, event: Mapping[str, Any]) -> Outcome:
        return self._post(hook, event) if hook.type == "webhook" else self._call(hook, event)

    def _call(self, hook: Hook, event: Mapping[str, Any]) -> Outcome:
        name = hook.properties["function"]
        function = self.functions.get(name)
        if function is None:
            return Outcome(False, f"no function {name!r}; register it where the server is started")
        # A thread of its own: it gives a time limit, and whatever the function raises refuses.
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"hook-{name}")
        running = thread.submit(function, event)
        thread.shutdown(wait=False)
        if wait([running], hook.timeout_s).not_done:
            return Outcome(False, f"function {name!r} did not end within {hook.timeout_s:g} s")
        error = running.exception()
        if error is not None:
            return Outcome(False, f"{type(error).__name__}: {error}"[:MAX_OUTPUT_BYTES])
        answer = running.result()
        return Outcome(True, "" if answer is None else str(answer)[:MAX_OUTPUT_BYTES])

    def _post(self, hook: Hook, event: Mapping[str, Any]) -> Outcome:
        url = hook.properties["url"]
        ends = time.monotonic() + hook.timeout_s
        with requests.Session() as session:
            session.trust_env = False
            try:
                request = self._request(hook, event)
                if not self._may_call(request.url or ""):
                    return Outcome(
                        False,
                        f"{url} is not on this machine and not among the hosts that hooks may "
                        "call; name it where the server is started",
                    )
                with session.send(
                    request, timeout=hook.timeout_s, allow_redirects=False, stream=True
                ) as answer:
                    body = _short_body(answer, ends)
            except requests.RequestException as error:
                return Outcome(False, f"Request:\nPOST {url}\n\n{type(error).__name__}")
        return Outcome(
            200 <= answer.status_code < 300,
            f"Request:\nPOST {url}\n\n{json.dumps(event, indent=1)}\n\n"
            f"Response:\n{answer.status_code} {answer.reason}\n\n{body}",
        )

    def _request(self, hook: Hook, event: Mapping[str, Any]) -> requests.PreparedRequest:
        headers = {name: str(v) for name, v in hook.properties.get("headers", {}).items()}
        params = hook.properties.get("query_params")
        url = hook.properties["url"]
        return requests.Request("POST", url, headers=headers, params=params, json=event).prepare()

    def _may_call(self, url: str) -> bool:
        # The parser that the call itself uses: two parsers disagree on a backslash before `@`.
        parts = parse_url(url)
        host = (parts.host or "").strip("[]")
        return _is_this_machine(host) or bool({host, f"{host}:{parts.port}"} & self.hosts)


def _short_body(answer: requests.Response, ends: float) -> str:
    body = b""
    for chunk in answer.iter_content(CHUNK_BYTES):
        body += chunk
        if time.monotonic() > ends:
            raise requests.Timeout("the answer took longer than the hook's timeout")
        if len(body) >= MAX_OUTPUT_BYTES:
            break
    return body[:MAX_OUTPUT_BYTES].decode(errors="replace")


def _is_this_machine(host: str) -> bool:
    """By the address as written: a name could lead elsewhere by the time of the call."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
