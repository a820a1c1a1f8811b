"""The five routes of vLLM that a gateway uses: health, models, completions, load and unload.

Of vLLM's errors the status is repeated, never the text: it may quote a prompt.
"""

import codecs
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import aiohttp

from ft_resources.gateway.token_scores import Scored

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 120.0  # between two pieces of an answer
LOAD_SECONDS = 300.0
BY_ID = "token_id:"  # how vLLM names a token when asked for ids
END = "data: [DONE]"


class Refused(Exception):
    """An answer of vLLM that is an error."""

    def __init__(self, route: str, status: int) -> None:
        super().__init__(f"vLLM answered {route} with {status}")
        self.status = status


class VllmApi:
    """Used on one event loop, after `open`; ConnectionError when vLLM cannot be reached."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self.url = url.rstrip("/")
        self._key = api_key

    async def open(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
        )
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
        )

    async def close(self) -> None:
        await self._session.close()

    async def problem(self) -> str | None:
        try:
            async with self._session.get(f"{self.url}/health") as reply:
                return None if reply.ok else f"vLLM is not healthy ({reply.status})"
        except (aiohttp.ClientError, TimeoutError) as error:
            return self._unreachable(error)

    async def change(self, route: str, body: Mapping[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(total=LOAD_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.post(
                f"{self.url}/v1/{route}", json=body, timeout=timeout
            ) as reply:
                if reply.ok:
                    return
                status = reply.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(self._unreachable(error)) from None
        if route == "unload_lora_adapter":
            raise Refused(route, status)
        reasons = {
            401: "its API key is another one; set the one in serving.backend.api_key_env",
            404: "it does not find the folder (serving.backend.adapter_root), or was started "
            "without VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
        }
        why = reasons.get(status, "its log says why")
        raise ValueError(f"vLLM refused to load {body['lora_name']} ({status}): {why}")

    async def models(self) -> list[dict[str, Any]]:
        try:
            async with self._session.get(f"{self.url}/v1/models") as reply:
                if not reply.ok:
                    raise ValueError(
                        f"vLLM at {self.url} answered /v1/models with {reply.status}; a 401 means "
                        "another key than the one in serving.backend.api_key_env"
                    )
                return (await reply.json())["data"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(self._unreachable(error)) from None

    async def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            async with self._session.post(f"{self.url}/v1/completions", json=body) as reply:
                if not reply.ok:
                    raise Refused("/v1/completions", reply.status)
                return await reply.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(self._unreachable(error)) from None

    def _unreachable(self, error: Exception) -> str:
        return f"vLLM at {self.url} is not reachable ({type(error).__name__})"

    async def events(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async with self._session.post(f"{self.url}/v1/completions", json=body) as reply:
            if not reply.ok:
                raise Refused("/v1/completions", reply.status)
            async for raw in reply.content:
                line = raw.decode().strip()
                if line == END:
                    return
                if not line.startswith("data: "):
                    continue
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise Refused("/v1/completions", int(chunk["error"].get("code") or 500))
                yield chunk
        raise ConnectionError("the stream ended without its mark")


class StreamedScores:
    """The scores of one answer as vLLM tells them, with tokens as ids.

    Its own `text_offset` counts the letters of the ids then; here characters are counted.
    """

    def __init__(self, top: int, token_bytes: Callable[[int], bytes]) -> None:
        self._top = top
        self._token_bytes = token_bytes
        self._whole = codecs.getincrementaldecoder("utf-8")("ignore")
        self._characters = 0

    def take(self, told: Mapping[str, Any] | None) -> tuple[Scored, ...]:
        """`told`: the `logprobs` of a choice."""
        scores = []
        rows = (
            zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True)
            if told
            else ()
        )
        for token, logprob, best in rows:
            # vLLM adds the chosen token to the most likely ones.
            ranked = sorted((best or {}).items(), key=lambda item: -item[1])[: self._top]
            top = tuple((self._named(t), v) for t, v in ranked)
            scores.append(Scored(self._named(token), logprob, self._characters, top))
            self._characters += len(self._whole.decode(scores[-1].token))
        return tuple(scores)

    def _named(self, token: str) -> bytes:
        return self._token_bytes(int(token.removeprefix(BY_ID)))


def _rows(told: Mapping[str, Any]) -> Iterable[tuple[str, float, dict[str, float] | None]]:
    return zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True)
