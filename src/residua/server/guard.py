"""What every request passes before a route sees it: the host it was sent to, the site it comes from, the token it carries."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from residua.server.refusals import RefusedError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_GUARDED = ("/v1/", "/openapi.json")
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Doorkeeping:
    """Who may ask: `token` is what a client has to show (None: nothing), `hosts` the names it may call us by (None: any)."""

    token: str | None = None
    hosts: tuple[str, ...] | None = None


class Guard:
    """ASGI middleware that refuses by `Doorkeeping` and puts security headers on every answer.

    A name that is not ours means that somebody's page has pointed its own name at this machine (DNS rebinding), and a
    cross-site request that somebody's page uses this server behind its visitor's back: neither needs a token to hurt.
    """

    def __init__(self, app: ASGIApp, doorkeeping: Doorkeeping) -> None:
        self._app, self._hosts = app, doorkeeping.hosts
        self._token = None if doorkeeping.token is None else _digest(doorkeeping.token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer in the routes' stead."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            await answer_refusal(refusal)(scope, receive, send_with_headers)

    def _refusal(self, path: str, headers: Headers) -> RefusedError | None:
        if self._hosts is not None and _host_name(headers.get("host", "")) not in self._hosts:
            return RefusedError(421, "wrong-host", "This server does not answer to that host name. Allow it with --allow-host.")
        if headers.get("sec-fetch-site") == "cross-site" and path != "/":
            return RefusedError(403, "cross-site", "Pages of other sites may not use this server.")
        if self._token is not None and path.startswith(_GUARDED) and not self._is_allowed(headers):
            challenge = {"WWW-Authenticate": 'Bearer realm="residua"'}
            return RefusedError(401, "no-token", "The header Authorization must be 'Bearer TOKEN', with the server's.", challenge)
        return None

    def _is_allowed(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Digests are of one length and compared in constant time: how long an answer takes tells nothing of the token.
        same = hmac.compare_digest(_digest(given.strip().encode("latin-1")), self._token or b"")
        return same and scheme.lower() == "bearer"


def answer_refusal(refusal: RefusedError) -> JSONResponse:
    """A refusal as a response."""
    return JSONResponse(refusal.problem.model_dump(), refusal.status, refusal.headers)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port."""
    name = host.lower()
    return name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
