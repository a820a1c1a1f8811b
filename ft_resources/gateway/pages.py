"""The pages of the gateway: static files, under a policy that lets them load nothing else.

A page needs no key; what it calls does. Nothing of it comes from another host, and no script or
style stands in the markup, so that a text that is shown can never become one.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ft_resources.gateway.chat import Refusal

FOLDER = Path(__file__).with_name("pages")
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Pages:
    def __init__(self) -> None:
        self._files = {file.name: file.read_bytes() for file in FOLDER.iterdir()}

    async def chat(self, request: Request) -> Response:
        return self._reply("chat.html")

    async def review(self, request: Request) -> Response:
        return self._reply("review.html")

    async def part(self, request: Request) -> Response:
        return self._reply(request.path_params["name"])

    def _reply(self, name: str) -> Response:
        kind = KINDS.get(Path(name).suffix)
        if name not in self._files or kind is None:
            raise Refusal(404, "no such page", "not_found")
        return Response(self._files[name], media_type=kind, headers=HEADERS)
