"""One key pair: Basic on every call, or a bearer token that a login handed out.

Tokens are JWTs signed with a key derived from the secret; a new secret ends them all.

A browser is asked for the key pair on the pages only. From then on it sends the pair along with
every request to this server, also one that a page of somebody else makes it send. Such a page
cannot read the answer, and `_is_foreign` keeps it from changing anything.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ft_resources.lakefs.server.errors import Forbidden, NotAuthenticated, Refused, answer
from ft_resources.lakefs.server.pages import refused_page

TOKEN_SECONDS = 24 * 3600
API = "/api/v1"
PRESIGNED = f"{API}/presigned/"  # what is below it checks the permission in its own address
OPEN_PATHS = frozenset({f"{API}/healthcheck", f"{API}/setup_lakefs", f"{API}/auth/login"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
JWT_HEADER = '{"alg":"HS256","typ":"JWT"}'


@dataclass(frozen=True)
class Keys:
    access_key_id: str
    secret_access_key: str

    def __post_init__(self) -> None:
        if not self.access_key_id or not self.secret_access_key:
            raise ValueError("access_key_id and secret_access_key must not be empty")

    def derived(self, purpose: str) -> bytes:
        return hmac.new(self.secret_access_key.encode(), purpose.encode(), hashlib.sha256).digest()

    def check_pair(self, access_key_id: str, secret_access_key: str) -> None:
        """Raises NotAuthenticated; takes the same time wherever the pair is wrong."""
        known = hmac.compare_digest(access_key_id.encode(), self.access_key_id.encode())
        right = hmac.compare_digest(secret_access_key.encode(), self.secret_access_key.encode())
        if not (known & right):
            raise NotAuthenticated("error authenticating request: wrong access key or secret")

    def new_token(self) -> tuple[str, int]:
        """(token, when it ends in Unix seconds)."""
        expires = int(time.time()) + TOKEN_SECONDS
        return self.seal("token", self.access_key_id, expires), expires

    def check_token(self, token: str) -> None:
        self.unseal("token", token)

    def seal(self, purpose: str, subject: str, expires: int) -> str:
        """A JWT that says `subject` until `expires` in Unix seconds, and is good for one purpose.

        Signed, not encrypted: whoever has it can read the subject.
        """
        claims = json.dumps({"sub": subject, "exp": expires})
        signed = f"{_base64(JWT_HEADER.encode())}.{_base64(claims.encode())}"
        return f"{signed}.{_base64(self._sign(purpose, signed))}"

    def unseal(self, purpose: str, token: str) -> str:
        """The subject. Raises NotAuthenticated for a token that is forged, or of another purpose,
        or over.
        """
        signed, _, signature = token.rpartition(".")
        right = _base64(self._sign(purpose, signed))
        if not hmac.compare_digest(signature.encode(), right.encode()):
            raise NotAuthenticated("error authenticating request: the token is not valid")
        claims = json.loads(_unbase64(signed.partition(".")[2]))
        if claims["exp"] < time.time():
            raise NotAuthenticated("error authenticating request: the token has expired")
        return claims["sub"]

    def check_header(self, header: str | None) -> None:
        scheme, _, value = (header or "").partition(" ")
        if scheme.lower() == "bearer":
            self.check_token(value.strip())
        elif scheme.lower() == "basic":
            try:
                pair = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise NotAuthenticated("error authenticating request: malformed header") from None
            name, _, secret = pair.partition(":")
            self.check_pair(name, secret)
        else:
            raise NotAuthenticated("error authenticating request: no credentials given")

    def _sign(self, purpose: str, text: str) -> bytes:
        return hmac.new(self.derived(purpose), text.encode(), hashlib.sha256).digest()


class Authentication:
    """ASGI middleware; plain ASGI so that bodies stream through it."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_open(scope["path"]):
            headers = Headers(scope=scope)
            try:
                self.keys.check_header(headers.get("authorization"))
                if scope["method"] not in SAFE_METHODS and _is_foreign(headers):
                    raise Forbidden("a page of another site may not change anything here")
            except Refused as error:
                response = refused_page(error) if is_page(scope["path"]) else answer(error)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(PRESIGNED)


def is_page(path: str) -> bool:
    """For a browser, which gets HTML also where something is wrong."""
    return not path.startswith("/api/")


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin sent this; API clients say nothing."""
    origin = headers.get("origin")
    if origin is not None:
        return origin.partition("://")[2] != headers.get("host")
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
