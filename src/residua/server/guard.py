"""What every request passes before a route sees it.

The host it was sent to, the site it comes from, the token it carries.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from residua.server.answers import RefusedError

# A name or an address in brackets, and a port.
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_GUARDED = ("/v1/", "/openapi.json")
PAGES = ("/", "/review", "/watch")
"""What a link on another site may lead to."""
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
NOTICE = "Residua-Notice"
"""The header that says what has changed since the server started, to whom the token allows it."""


@dataclass(frozen=True)
class GuardOptions:
    """The options of the guard.

    `token` is what a client has to show (None: nothing), `hosts` the names it may call us by.

    With `by_address` any IP address in the ``Host`` header is answered too: it names this machine
    or a proxy before it, and no page of another site can bear it. Pages of `sites` may use the
    server: a proxy's public names.
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    by_address: bool = False
    sites: tuple[str, ...] = ()


class Guard:
    """ASGI middleware that refuses by `GuardOptions` and puts security headers on every answer.

    A name that is not ours means that somebody's page has pointed its own name at this machine (DNS
    rebinding), and a cross-site request that somebody's page uses this server behind its visitor's
    back: neither needs a token to hurt.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard_options: GuardOptions,
        notice: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._app, self._doorkeeping, self._notice = app, guard_options, notice
        self._token = None if guard_options.token is None else _digest(guard_options.token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer in the routes' stead."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        path, authority = _target(scope["path"])
        refusal = self._refusal(path, authority, Headers(scope=scope))
        may_know = refusal is None and (self._token is None or path.startswith(_GUARDED))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                told = self._notice()  # asked each time, so that a change is logged soon
                if told is not None and may_know:
                    headers[NOTICE] = told.encode("ascii", "replace").decode()
            await send(message)

        if refusal is None:
            await self._app(
                {**scope, "path": path, "raw_path": path.encode()}, receive, send_with_headers
            )
        else:
            await answer_refusal(refusal)(scope, receive, send_with_headers)

    def _refusal(self, path: str, authority: str | None, headers: Headers) -> RefusedError | None:
        host = headers.get("host", "") if authority is None else authority
        if not self._is_ours(host):
            return RefusedError(
                421,
                "wrong-host",
                "This server does not answer to that host name. Allow it with --allow-host.",
            )
        if path not in PAGES and self._is_of_another_site(host, headers):
            return RefusedError(403, "cross-site", "Pages of other sites may not use this server.")
        if self._token is not None and path.startswith(_GUARDED) and not self._is_allowed(headers):
            return RefusedError(
                401,
                "no-token",
                "The header Authorization must be 'Bearer TOKEN', with the server's.",
                {"WWW-Authenticate": 'Bearer realm="residua"'},
            )
        return None

    def _is_ours(self, host: str) -> bool:
        name = _host_name(host)
        return name in self._doorkeeping.hosts or (
            self._doorkeeping.by_address and _is_address(name)
        )

    def _is_of_another_site(self, host: str, headers: Headers) -> bool:
        """Whether ``Origin``, or over https ``Sec-Fetch-Site``, names another site."""
        if headers.get("sec-fetch-site") == "cross-site":
            return True
        origin = headers.get("origin")
        if origin is None:
            return False
        site = origin.partition("://")[2].lower()  # empty for "null", which sandboxed pages send
        name, _, port = site.partition(":")
        is_allowed = name in self._doorkeeping.sites and (not port or port.isdigit())
        return site != host.lower() and not is_allowed

    def _is_allowed(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Digests are of one length and compared in constant time: how long an answer takes tells
        # nothing of the token.
        same = hmac.compare_digest(_digest(given.strip().encode("latin-1")), self._token or b"")
        return same and scheme.lower() == "bearer"


def answer_refusal(refusal: RefusedError) -> JSONResponse:
    """A refusal as a response."""
    return JSONResponse(refusal.problem.model_dump(), refusal.status, refusal.headers)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _target(path: str) -> tuple[str, str | None]:
    """The path of a request, and its authority where the target is absolute, as to a proxy."""
    scheme, separator, rest = path.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return path, None
    authority, slash, below = rest.partition("/")
    return slash + below or "/", authority


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port; empty where that is none."""
    found = _HOST.fullmatch(host.lower())
    return found[1] if found else ""
