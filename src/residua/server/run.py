"""Start the server and keep it until somebody stops it.

Its connections have the deadlines that uvicorn leaves open: slow headers, slow readers, too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from math import ceil
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from residua.errors import InputError, OutputError
from residua.server.app import build_app
from residua.server.guard import LOOPBACK_NAMES, GuardOptions
from residua.server.limits import Limits
from residua.server.line import Line
from residua.server.model import ServedModel
from residua.server.review.review import Review

_HEAD_SECONDS = 10.0  # to send the head of a request
_TOO_MANY = (
    b'{"code":"too-many-connections","message":"Too many connections are open. Try again in a'
    b' moment."}'
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After:"
    b" 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(_TOO_MANY)
) + _TOO_MANY
_SHORTEST_TOKEN = 16  # characters
_BACKLOG = 2048


_NEEDED = frozenset({"connections", "cycle", "loop", "transport"})
"""What a connection of uvicorn must hold for its deadlines: its class is not public."""


def check_uvicorn(protocol: Any = H11Protocol) -> None:
    """Refuse a uvicorn whose connections are made otherwise, so that none goes without deadlines.

    Raises InputError with the version, and what its connections lack.
    """
    held = set(protocol.__init__.__code__.co_names)
    missing = sorted(
        {*_NEEDED - held} | {n for n in ("on_response_complete",) if not hasattr(protocol, n)}
    )
    if missing:
        raise InputError(
            "serve: uvicorn must make connections whose deadlines can be set. Got version"
            f" {uvicorn.__version__}, without {', '.join(missing)}. Install uvicorn 0.32 to 0.54."
        )


def bounded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn whose connections keep to `limits`."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"limits": limits})


class _BoundedProtocol(H11Protocol):
    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.write(_FULL)
            transport.close()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what it asked for; it may take as long as an upload may."""
        super().pause_writing()
        self._read_deadline = self.loop.call_later(self.limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None

    def _watch_head(self) -> None:
        """Watch the time between two requests.

        A client has a few seconds to send the head of the next, and what is left of a refused body.
        """
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if is_busy and self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
        elif not is_busy and self._head_deadline is None and not self.transport.is_closing():
            self._head_deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _cancel(self) -> None:
        for deadline in (self._head_deadline, self._read_deadline):
            if deadline is not None:
                deadline.cancel()
        self._head_deadline = self._read_deadline = None


class Server:
    """A server that listens already.

    `run` answers until `stop`, SIGINT or SIGTERM, and what was taken by then is answered first.

    Only requests sent to this machine's names, to `host`, or to the names in `hosts` are answered;
    beyond loopback also those sent to an IP address. Beyond loopback a token is needed, unless
    `without_token` says that everybody may ask. `trusted_proxies` are addresses whose
    ``X-Forwarded-For`` is believed. With a `review` its page is served too, and that of a watched
    `line`. Port 0 takes a free one, which `address` says.

    Raises InputError if the token is short or not plain text, or there is none and other machines
    reach `host`. Raises OutputError if the address cannot be bound.
    """

    def __init__(
        self,
        model: ServedModel,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        token: str | None = None,
        without_token: bool = False,
        hosts: tuple[str, ...] = (),
        trusted_proxies: tuple[str, ...] = (),
        access_log: bool = False,
        limits: Limits | None = None,
        review: Review | None = None,
        line: Line | None = None,
    ) -> None:
        limits = limits or Limits()
        check_uvicorn()
        check_token(token)
        self.is_open_to_all = not is_loopback(host) and token is None
        if self.is_open_to_all and not without_token:
            raise InputError(
                "serve: on an address that other machines reach, clients must show a token. Got"
                f" --host {host} and no token. Set RESIDUA_TOKEN, or say --without-token if"
                " everybody there may ask."
            )
        own = (*LOOPBACK_NAMES, socket.gethostname().lower(), host.lower())
        sites = tuple(map(str.lower, hosts))
        guard_options = GuardOptions(
            token, (*own, *sites), by_address=not is_loopback(host), sites=sites
        )
        self._listening = _bind(host, port)
        self.address = _address(host, self._listening)
        _set_logging(access_log=access_log)
        config = uvicorn.Config(
            build_app(model, limits, guard_options, review, line),
            http=bounded_protocol(limits),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=access_log,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_graceful_shutdown=ceil(limits.seconds),
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until somebody stops it."""
        # uvicorn raises the signal that stopped it once more when everything is answered.
        with self._listening, contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._listening])

    def close(self) -> None:
        """Give the address back without ever having run."""
        self._listening.close()

    def stop(self) -> None:
        """Take no more requests, from another thread; `run` returns when all are answered."""
        self._server.should_exit = True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "10.0.0.7")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_token(token: str | None) -> None:
    """Refuse a token that cannot be sent in a header, or that is guessed too easily."""
    if token is None:
        return
    if (
        len(token) < _SHORTEST_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise InputError(
            f"serve: the token must be at least {_SHORTEST_TOKEN} plain characters without spaces."
            f" Got {len(token)} characters. Make one with: python -c 'import secrets;"
            " print(secrets.token_urlsafe())'"
        )


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            # On Windows SO_REUSEADDR would let another program take the port too.
            alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
            listening.setsockopt(socket.SOL_SOCKET, alone, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"serve: the address must be free and ours. Got {host}:{port}: {reason}. Name another"
            " with --host, --port."
        ) from error
    listening.setblocking(False)
    return listening


def _address(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _set_logging(*, access_log: bool) -> None:
    """Our faults to standard error; what strangers send only if the access log is on."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.ERROR)
    logging.getLogger("residua.server").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.CRITICAL)
