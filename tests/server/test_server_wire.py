"""What only shows on the wire: slow clients, those that leave, garbage, too many connections, and
an end in good order."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from residua.server import Limits, run
from serving import asking, until_ready

BINARY = {"content-type": "application/octet-stream"}


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=15)


def head(client: httpx.Client, length: int, more: str = "") -> bytes:
    host = f"{client.base_url.host}:{client.base_url.port}"
    return (
        f"POST /v1/score HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length:"
        f" {length}\r\n{more}\r\n"
    ).encode()


def everything(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_an_upload_that_does_not_come_is_ended_with_408(model, good):
    with asking(model, limits=Limits(seconds=0.3)) as client, connected(client) as connection:
        connection.sendall(head(client, 1000) + good[:10])
        answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"upload-too-slow"' in answer
        assert b"connection: close" in answer.lower()


def test_a_trickle_is_no_way_around_the_deadline(model):
    with asking(model, limits=Limits(seconds=0.5)) as client, connected(client) as connection:
        connection.sendall(head(client, 1000))
        started = time.monotonic()
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() - started < 10:
            connection.sendall(b"x")
            try:
                answer = connection.recv(100)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"POST /v1/score HTTP/1.1\r\nHost: local"])
def test_a_head_that_does_not_come_ends_the_connection(model, sent, monkeypatch):
    monkeypatch.setattr(run, "_HEAD_SECONDS", 0.3)
    with asking(model) as client, connected(client) as connection:
        connection.sendall(sent)
        with pytest.raises(ConnectionResetError):
            raise ConnectionResetError if everything(connection) == b"" else AssertionError


def test_a_refused_body_may_not_come_forever(model, monkeypatch):
    monkeypatch.setattr(run, "_HEAD_SECONDS", 0.5)
    with asking(model, limits=Limits(megabytes=0.001)) as client, connected(client) as connection:
        connection.sendall(head(client, 10**9))
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        with pytest.raises(OSError):
            for _ in range(500):
                connection.sendall(bytes(1000))
                time.sleep(0.01)


def test_a_client_that_leaves_gives_its_place_and_bytes_back(held, good):
    with asking(
        held, limits=Limits(concurrency=1, queue=1, megabytes=0.01, upload_megabytes=0.01)
    ) as client:
        for _ in range(5):  # in the middle of the upload
            with connected(client) as connection:
                connection.sendall(head(client, 10_000) + bytes(9_000))
        held.engine.open.clear()
        for _ in range(5):  # while its image waits for the engine
            with connected(client) as connection:
                connection.sendall(head(client, len(good)) + good)
        held.engine.open.set()
        for _ in range(100):
            answer = client.post("/v1/score", content=good, headers=BINARY)
            if answer.status_code == 200:
                break
            assert answer.status_code == 503
            time.sleep(0.02)
        assert answer.status_code == 200


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01",
    b"GET / HTTP/9.9\r\n\r\n",
    b"A" * 70_000,
    b"\r\n" * 50_000,
    bytes(5000),
]
GARBAGE += [b"GET / HTTP/1.1\r\nX-Large: " + b"a" * 300_000]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_its_own_connection_and_nothing_else(client, good, garbage):
    with connected(client) as connection:
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            answer = everything(connection)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))
    assert client.post("/v1/score", content=good, headers=BINARY).status_code == 200


@pytest.mark.parametrize(
    "more", ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"]
)
def test_heads_that_contradict_themselves_are_refused(client, more):
    with connected(client) as connection:
        connection.sendall(head(client, 10, more))
        assert re.match(rb"HTTP/1.1 4\d\d ", everything(connection))


def test_connections_beyond_the_limit_are_told_to_come_again(model):
    with asking(model, limits=Limits(connections=3)) as client:
        others = [connected(client) for _ in range(2)]
        until_ready(client)
        with connected(client) as connection:
            answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer
        body = answer.partition(b"\r\n\r\n")[2]
        assert f"Content-Length: {len(body)}".encode() in answer
        for other in others:
            other.close()
        until_ready(client)


def test_all_uploads_together_are_bounded(model, good):
    with asking(model, limits=Limits(megabytes=0.01, upload_megabytes=0.02)) as client:
        others = [connected(client) for _ in range(2)]
        for other in others:
            other.sendall(head(client, 10_000) + bytes(9_950))
        time.sleep(
            0.5
        )  # nothing tells when they have arrived, and one more image among them would be too much
        answer = client.post("/v1/score", content=good, headers=BINARY)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            503,
            "uploads-full",
            "1",
        )
        for other in others:
            other.close()
        for _ in range(200):  # until the server has noticed
            answer = client.post("/v1/score", content=good, headers=BINARY)
            if answer.status_code == 200:
                break
            time.sleep(0.01)
        assert answer.status_code == 200


def test_the_address_of_a_client_is_believed_only_from_a_trusted_proxy(held, good):
    for proxies, expected in (((), 429), (("127.0.0.1",), 415)):
        with asking(held, limits=Limits(per_client=1, queue=8), trusted_proxies=proxies) as client:
            held.engine.open.clear()
            with connected(client) as waiting:
                waiting.sendall(head(client, len(good), "X-Forwarded-For: 10.0.0.1\r\n") + good)
                time.sleep(0.3)
                answer = client.post(
                    "/v1/score", content=b"x", headers={**BINARY, "x-forwarded-for": "10.0.0.2"}
                )
                held.engine.open.set()
            assert answer.status_code == expected


def test_the_command_serves_and_ends_in_good_order_when_asked(run, good):
    command = [sys.executable, "-m", "residua", "serve", str(run), "--port", "0", "--seconds", "10"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "RESIDUA_TOKEN": "t" * 16}
    ) as process:
        try:
            line = process.stderr.readline()
            address = re.search(r"at (http://127\.0\.0\.1:\d+)", line)[1]
            with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
                until_ready(client)
                assert client.post("/v1/score", content=good, headers=BINARY).status_code == 401
                authorization = {"authorization": f"Bearer {'t' * 16}"}
                with connected(client) as slow:  # a request that is on its way is still answered
                    slow.sendall(
                        head(client, len(good), f"Authorization: Bearer {'t' * 16}\r\n") + good[:20]
                    )
                    assert (
                        client.post(
                            "/v1/score", content=good, headers={**BINARY, **authorization}
                        ).status_code
                        == 200
                    )
                    process.send_signal(signal.SIGTERM)
                    time.sleep(0.3)
                    slow.sendall(good[20:])
                    assert everything(slow).startswith(b"HTTP/1.1 200 ")
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
