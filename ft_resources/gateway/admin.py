"""What the administrator may do: load, route, roll back, count, score."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from ft_resources.adapter_format import ADAPTER_FILES
from ft_resources.gateway.bodies import MAX_BODY, declared_length, json_reply, read_body
from ft_resources.gateway.chat import Refusal, clean_text, invalid, read_json, read_messages
from ft_resources.gateway.service import Gateway

MAX_ADMIN_BODY = 64 * 1024 * 1024  # bytes of rows to score
MAX_ADAPTER = 2 * 1024**3  # bytes of an uploaded adapter
MAX_SCORE_ROWS = 10_000

log = logging.getLogger(__name__)


class Admin:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def put_base(self, request: Request) -> Response:
        body = read_json(await read_body(request, MAX_BODY))
        path, digest = body.get("path"), body.get("digest")
        if not isinstance(path, str) or not isinstance(digest, str):
            raise invalid("path and digest must be texts", "path")
        await _work(self._gateway.set_base, Path(path), digest)
        return json_reply({"base": digest})

    async def put_adapter(self, request: Request) -> Response:
        name = request.path_params["name"]
        if declared_length(request) > MAX_ADAPTER:
            raise Refusal(413, f"an adapter has at most {MAX_ADAPTER} bytes", "too_large")
        incoming = await run_in_threadpool(self._gateway.incoming_folder)
        try:
            await _receive_files(request, incoming)
            created = await _work(self._gateway.add_adapter, incoming, name)
        finally:
            await run_in_threadpool(shutil.rmtree, incoming, ignore_errors=True)
        return json_reply({"name": name, "created": created}, status=201 if created else 200)

    async def delete_adapter(self, request: Request) -> Response:
        name = request.path_params["name"]
        await _work(self._gateway.remove_adapter, name)
        return json_reply({"name": name, "deleted": True})

    async def get_routing(self, request: Request) -> Response:
        return json_reply(self._gateway.document())

    async def put_routing(self, request: Request) -> Response:
        body = read_json(await read_body(request, MAX_BODY))
        return json_reply(await _work(self._gateway.set_routing, body))

    async def rollback(self, request: Request) -> Response:
        # In a hurry a bare POST must do.
        data = await read_body(request, MAX_BODY)
        to = read_json(data).get("to", "champion") if data else "champion"
        domain = request.path_params["domain"]
        return json_reply(await _work(self._gateway.rollback, domain, to))

    async def stats(self, request: Request) -> Response:
        return json_reply(await _work(self._gateway.stats, request.path_params["domain"]))

    async def score(self, request: Request) -> Response:
        body = read_json(await read_body(request, MAX_ADMIN_BODY))
        model, rows = body.get("model"), body.get("rows")
        if not isinstance(model, str):
            raise invalid("model must be base or domain@digest", "model")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_SCORE_ROWS:
            raise invalid(f"rows must be a list of 1 to {MAX_SCORE_ROWS}", "rows")
        pairs = []
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise invalid(f"rows.{i} must hold messages and response", f"rows.{i}")
            messages = read_messages(row.get("messages"), f"rows.{i}.messages")
            pairs.append((messages, clean_text(row.get("response"), f"rows.{i}.response")))
        target = self._gateway.scored(model)
        encode = target.base.tokenizer.encode_answer
        encoded = await _work(lambda: [encode(messages, answer) for messages, answer in pairs])
        try:
            futures = self._gateway.engine.score(target.base.digest, target.adapter, encoded)
            batches = await asyncio.gather(*map(asyncio.wrap_future, futures))
        except RuntimeError as error:
            name = type(error).__name__
            raise Refusal(503, f"{target.name} failed ({name})", "engine_failed") from None
        except (LookupError, ConnectionError) as error:
            raise Refusal(503, str(error), "not_loaded") from None
        return json_reply(
            {"model": target.name, "nll": [loss for batch in batches for loss in batch]}
        )


async def _work(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run blocking work of the administrator; builtin errors become refusals."""
    try:
        return await run_in_threadpool(work, *arguments)
    except PermissionError as error:
        raise Refusal(403, str(error), "bad_signature") from None
    except FileExistsError as error:
        raise Refusal(409, str(error), "conflict") from None
    except LookupError as error:
        raise Refusal(404, str(error.args[0] if error.args else error), "not_found") from None
    except (ValueError, FileNotFoundError) as error:
        raise Refusal(422, str(error), "refused") from None
    except ConnectionError as error:
        raise Refusal(503, str(error), "stopping") from None
    except OSError as error:
        log.error("not written: %s %s", type(error).__name__, error.errno)
        raise Refusal(
            503,
            f"the gateway cannot write its state ({error.strerror}); nothing was changed",
            "disk",
        ) from None


async def _receive_files(request: Request, folder: Path) -> None:
    if "content-length" not in request.headers:
        raise invalid("send Content-Length with an upload", None)
    async with request.form(max_files=len(ADAPTER_FILES), max_fields=0) as form:
        for name, upload in form.multi_items():
            if name not in ADAPTER_FILES or not isinstance(upload, UploadFile):
                allowed = ", ".join(sorted(ADAPTER_FILES))
                raise invalid(f"an upload holds a file that is none of {allowed}", None)
            with (folder / name).open("wb") as out:
                await run_in_threadpool(shutil.copyfileobj, upload.file, out, 1024 * 1024)
