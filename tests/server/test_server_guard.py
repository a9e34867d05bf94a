"""Who is let in: the token, the host's name, pages of other sites; and what every answer forbids
the browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket

import pytest

from residua.errors import InputError, OutputError
from residua.server import Server
from residua.server.run import check_token
from serving import asking

BINARY = {"content-type": "application/octet-stream"}
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def locked(model):
    with asking(model, token=TOKEN) as client:
        yield client


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xe4\xf6\xfc",
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/score", "/v1/map", "/v1/score-batch", "/v1/model", "/openapi.json", "/v1/nothing"]
)
def test_without_the_token_nothing_is_told(locked, good, path, given):
    headers = {**BINARY, **({"authorization": given.encode("latin-1")} if given else {})}
    answer = locked.request(
        "GET" if path in {"/v1/model", "/openapi.json"} else "POST",
        path,
        content=good,
        headers=headers,
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert set(answer.json()) == {"code", "message"}
    assert TOKEN not in answer.text


def test_with_the_token_it_works_and_page_and_health_ask_for_none(locked, good):
    for scheme in ("Bearer", "bearer"):
        answer = locked.post(
            "/v1/score", content=good, headers={**BINARY, "authorization": f"{scheme} {TOKEN}"}
        )
        assert answer.status_code == 200
    for path in ("/", "/healthz", "/readyz"):
        answer = locked.get(path)
        assert answer.status_code == 200
        assert TOKEN not in answer.text


def test_the_token_is_compared_in_constant_time(model, good, monkeypatch):
    compared = []
    monkeypatch.setattr(
        hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or a == b
    )
    with asking(model, token=TOKEN) as client:
        for given in ("x", TOKEN, TOKEN * 3):
            client.post(
                "/v1/score", content=good, headers={**BINARY, "authorization": f"Bearer {given}"}
            )
    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.",
        "[::2]",
        "[::1].evil.example",
        "",
        "\xe4",
    ],
)
def test_names_that_are_not_this_machines_are_refused(client, good, host):
    answer = client.post(
        "/v1/score", content=good, headers={**BINARY, "host": host.encode("latin-1")}
    )
    assert (answer.status_code, answer.json()["code"]) == (421, "wrong-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_this_machines_names_are_answered(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_other_names_can_be_allowed(model):
    with asking(model, hosts=("Parts.Example",)) as client:
        assert client.get("/healthz", headers={"host": "parts.example:443"}).status_code == 200
        assert client.get("/healthz", headers={"host": "other.example"}).status_code == 421


def test_pages_of_other_sites_may_not_use_it(client, good):
    for path, method in (("/v1/score", "POST"), ("/v1/model", "GET")):
        answer = client.request(
            method, path, content=good, headers={**BINARY, "sec-fetch-site": "cross-site"}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "cross-site")
    assert (
        client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200
    )  # a link from elsewhere
    for site in ("same-origin", "none"):
        assert (
            client.post(
                "/v1/score", content=good, headers={**BINARY, "sec-fetch-site": site}
            ).status_code
            == 200
        )
    preflight = client.options(
        "/v1/score",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )
    assert not any(name.startswith("access-control") for name in preflight.headers)


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/model", "/v1/nothing", "/openapi.json"])
def test_every_answer_forbids_what_it_does_not_need(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "unsafe" not in headers["content-security-policy"]


def test_the_page_runs_only_the_script_and_style_that_are_in_it(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    for tag in ("script", "style"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert (
            f"{tag}-src"
            f" 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            in policy
        )
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text
    assert not re.search(r"\son\w+=", answer.text)


@pytest.mark.parametrize("token", ["", "short", "sixteen spaces !", "ä" * 20, "a" * 20 + "\n"])
def test_a_token_that_cannot_work_is_refused_before_anything_listens(token):
    with pytest.raises(InputError, match="the token must be"):
        check_token(token)


def test_an_address_that_is_taken_is_named(model):
    with (
        asking(model) as client,
        pytest.raises(OutputError, match=rf"Got 127.0.0.1:{client.base_url.port}: .*in use"),
    ):
        Server(model, port=client.base_url.port)
    with pytest.raises(OutputError, match=r"Got no\.such\.host\.invalid:0"):
        Server(model, host="no.such.host.invalid", port=0, token=TOKEN)


def test_only_an_open_address_without_a_token_is_warned_of(model):
    for host, token, expected in (
        ("127.0.0.1", None, False),
        ("0.0.0.0", None, True),
        ("0.0.0.0", TOKEN, False),
    ):
        server = Server(model, host=host, port=0, token=token, without_token=True)
        server.close()
        assert server.is_open_to_all == expected


def test_beyond_this_machine_it_does_not_start_without_a_token_unless_told(model):
    with pytest.raises(InputError, match=r"must show a token.*--without-token"):
        Server(model, host="0.0.0.0", port=0)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("rebound.example:8000", 421),
        ("127.0.0.1", 200),
        ("10.1.2.3:8000", 200),
        ("[2001:db8::1]:80", 200),
    ],
)
def test_beyond_this_machine_only_addresses_and_own_names_are_answered(model, host, status):
    with asking(model, host="0.0.0.0", without_token=True) as client:
        assert client.get("/healthz", headers={"host": host}).status_code == status


def test_a_page_of_another_site_is_known_by_its_origin_too(client, good):
    own = client.base_url.netloc.decode()
    for origin, status in (
        (f"http://{own}", 200),
        ("http://evil.example", 403),
        ("null", 403),
        (f"http://{own}.evil.example", 403),
        ("http://localhost:3000", 403),
    ):
        answer = client.post("/v1/score", content=good, headers={**BINARY, "origin": origin})
        assert answer.status_code == status, origin


def test_a_page_behind_a_proxy_may_use_it_under_an_allowed_name(model, good):
    with asking(model, hosts=("parts.example",)) as client:
        for origin, status in (("https://parts.example", 200), ("https://other.example", 403)):
            answer = client.post("/v1/score", content=good, headers={**BINARY, "origin": origin})
            assert answer.status_code == status


def test_a_target_in_absolute_form_is_answered_and_its_host_counts(client):
    own = client.base_url.netloc.decode()
    for target, status in (
        (f"http://{own}/healthz", 200),
        ("http://evil.example/healthz", 421),
        (f"http://{own}", 200),
    ):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as wire:
            wire.sendall(
                f"GET {target} HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n".encode()
            )
            assert wire.makefile("rb").readline().split()[1] == str(status).encode()


def test_no_answer_tells_where_the_server_lives(client, run, good):
    broken = good[:50]
    answers = [
        client.get(path) for path in ("/", "/v1/model", "/openapi.json", "/v1/nothing", "/readyz")
    ]
    answers += [
        client.post("/v1/score", content=data, headers=BINARY)
        for data in (good, broken, b"", b"x" * 100)
    ]
    for answer in answers:
        text = answer.text + str(answer.headers)
        assert str(run.parent) not in text
        assert "Traceback" not in text
        assert ".py" not in text
        assert "object at 0x" not in text
