"""Start the server and keep it until somebody stops it."""

from __future__ import annotations

import ipaddress
import logging
import socket
from math import ceil

import uvicorn

from residua.errors import InputError, OutputError
from residua.server.app import build_app
from residua.server.guard import LOOPBACK_NAMES, GuardOptions
from residua.server.limits import Limits
from residua.server.model import ServedModel
from residua.server.protocol import bounded_protocol

_SHORTEST_TOKEN = 16  # characters
_BACKLOG = 2048


class Server:
    """A server that listens already.

    `run` answers until `stop`, SIGINT or SIGTERM, and what was taken by then is answered first.

    Only requests sent to this machine's names, to `host`, or to the names in `hosts` are answered;
    beyond loopback also those sent to an IP address. Beyond loopback a token is needed, unless
    `without_token` says that everybody may ask. `trusted_proxies` are addresses whose
    ``X-Forwarded-For`` is believed. Port 0 takes a free one, which `address` says.

    Raises
    ------
    InputError
        If the token is short or not plain text, or there is none and other machines reach `host`.
    OutputError
        If the address cannot be bound.
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
    ) -> None:
        limits = limits or Limits()
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
            build_app(model, limits, guard_options),
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
        with self._listening:
            self._server.run(sockets=[self._listening])

    def close(self) -> None:
        """Give the address back without ever having run."""
        self._listening.close()

    def stop(self) -> None:
        """Take no more requests, from another thread.

        `run` returns when those it has are answered.
        """
        self._server.should_exit = True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`.

    Examples
    --------
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
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
    """Our faults to standard error.

    What strangers send is not worth a line, unless the access log was asked for.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.ERROR)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.CRITICAL)
