"""Every limit refuses with its status code and a sentence, and lets go of what it held."""

from __future__ import annotations

import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from test_server_scores import Choking

from residua.errors import InputError, RangeError
from residua.server import Limits
from residua.server.limits import checked_limits
from residua.server.run import check_uvicorn
from serving import asking, encoded, until_ready, with_engine

BINARY = {"content-type": "application/octet-stream"}


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def bomb(side: int) -> bytes:
    """A PNG of side x side black pixels in a few kilobytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    rows = zlib.compress(bytes((side + 1) * side // 100), 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json", "application/x-www-form-urlencoded", "video/mp4", ""],
)
def test_other_content_types_are_refused(client, good, content_type):
    assert code(client.post("/v1/score", content=good, headers={"content-type": content_type})) == (
        415,
        "wrong-type",
    )


def test_a_batch_is_a_form(client, good):
    assert code(
        client.post("/v1/score-batch", content=good, headers={"content-type": "image/png"})
    ) == (415, "wrong-type")


def test_compressed_bodies_are_refused(client, good):
    answer = client.post("/v1/score", content=good, headers={**BINARY, "content-encoding": "gzip"})
    assert code(answer) == (415, "wrong-encoding")


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        bytes(50),
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x1f\x8b\x08",
    ],
)
def test_what_is_no_image_is_refused_whatever_it_is_called(client, body):
    assert code(client.post("/v1/score", content=body, headers={"content-type": "image/png"})) == (
        415,
        "not-an-image",
    )


def test_nothing_is_refused(client):
    assert code(client.post("/v1/score", content=b"", headers=BINARY)) == (400, "empty-body")
    assert code(client.post("/v1/score", files={"image": ("empty.png", b"")})) == (
        415,
        "not-an-image",
    )


def test_a_broken_image_is_refused(client, good):
    for data in (good[:40], good[:-30], good[:30] + b"\x00" * 40 + good[70:]):
        assert code(client.post("/v1/score", content=data, headers=BINARY)) == (422, "broken-image")


BOUNDARY = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"content-type": "multipart/form-data"}, b"--x--\r\n", (400, "bad-form")),
        (BOUNDARY, b"", (400, "bad-form")),
        (BOUNDARY, b"no form at all", (400, "bad-form")),
        (
            BOUNDARY,
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc',
            (400, "bad-form"),
        ),
        (
            BOUNDARY,
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--x--\r\n',
            (422, "unknown-field"),
        ),
        (BOUNDARY, b"--x\r\n\r\nabc\r\n--x--\r\n", (422, "unknown-field")),
        (BOUNDARY, b"--x\r\nbad header\r\n\r\nabc\r\n--x--\r\n", (400, "bad-form")),
    ],
)
def test_malformed_forms_are_refused(client, headers, body, expected):
    assert code(client.post("/v1/score", content=body, headers=headers)) == expected


def test_one_image_is_not_several(client, good):
    files = [("image", ("a", good)), ("image", ("b", good))]
    assert code(client.post("/v1/score", files=files)) == (422, "several-images")


@pytest.mark.parametrize("query", ["pictures=maybe", "pictures="])
def test_parameters_are_checked(client, good, query):
    assert code(client.post(f"/v1/score?{query}", content=good, headers=BINARY)) == (
        422,
        "bad-parameter",
    )
    assert code(client.post("/v1/map?style=../../etc", content=good, headers=BINARY)) == (
        422,
        "bad-parameter",
    )


def test_unknown_addresses_and_methods_are_refused_in_the_same_form(client):
    assert code(client.get("/v1/nothing")) == (404, "not-found")
    answer = client.get("/v1/score")
    assert code(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    for path in ("/docs", "/redoc", "/../run.json", "/%2e%2e/run.json", "/assets/page.js"):
        assert client.get(path).status_code == 404


@pytest.fixture(scope="module")
def small(model):
    limits = Limits(megabytes=0.02, pixels=2_000, images=3, upload_megabytes=0.02)
    with asking(model, limits=limits) as client:
        yield client


def test_bytes_are_limited_whether_they_are_declared_or_not(small):
    assert code(small.post("/v1/score", content=bytes(20_001), headers=BINARY)) == (
        413,
        "too-many-bytes",
    )
    pieces = (bytes(1000) for _ in range(30))
    assert code(small.post("/v1/score", content=pieces, headers=BINARY)) == (413, "too-many-bytes")
    pieces = (bytes(1000) for _ in range(20))
    assert code(small.post("/v1/score", content=pieces, headers=BINARY)) == (415, "not-an-image")


def test_pixels_are_limited_by_the_header_before_any_is_decoded(small, client):
    at_limit, beyond = np.zeros((40, 50, 1), np.uint8), np.zeros((40, 51, 1), np.uint8)
    assert small.post("/v1/score", content=encoded(at_limit), headers=BINARY).status_code == 200
    assert code(small.post("/v1/score", content=encoded(beyond), headers=BINARY)) == (
        413,
        "too-many-pixels",
    )
    assert code(client.post("/v1/score", content=bomb(10_000), headers=BINARY)) == (
        413,
        "too-many-pixels",
    )
    assert code(client.post("/v1/score", content=bomb(60_000), headers=BINARY)) == (
        413,
        "too-many-pixels",
    )


def test_images_of_a_batch_are_limited(small, good):
    files = [("images", (str(index), good)) for index in range(4)]
    assert small.post("/v1/score-batch", files=files[:3]).status_code == 200
    assert code(small.post("/v1/score-batch", files=files)) == (413, "too-many-images")


def pile_up(client, held, n: int, good: bytes):
    """`n` requests that wait for the engine, and one more that comes when they are all there."""

    def insist():
        while (answer := client.post("/v1/score", content=good, headers=BINARY)).status_code != 200:
            assert "retry-after" in answer.headers  # the one below was there first
        return answer

    with ThreadPoolExecutor(n) as pool:
        held.engine.open.clear()
        waiting = [pool.submit(insist) for _ in range(n)]
        try:
            for _ in range(400):
                last = client.post(
                    "/v1/score", content=b"x", headers=BINARY
                )  # refused at once, whatever is going on
                if last.status_code != 415:
                    break
        finally:
            held.engine.open.set()
        return last, [one.result() for one in waiting]


def test_a_full_queue_refuses_and_says_when_to_come_again(held, good):
    with asking(held, limits=Limits(concurrency=2, queue=3)) as client:
        last, waiting = pile_up(client, held, 5, good)
        assert code(last) == (503, "queue-full")
        assert last.headers["retry-after"] == "1"
        assert [one.status_code for one in waiting] == [200] * 5
        assert client.post("/v1/score", content=good, headers=BINARY).status_code == 200


def test_one_address_takes_no_more_than_its_share(held, good):
    with asking(held, limits=Limits(concurrency=2, queue=3, per_client=2)) as client:
        last, waiting = pile_up(client, held, 2, good)
        assert code(last) == (429, "too-many-requests")
        assert last.headers["retry-after"] == "1"
        assert [one.status_code for one in waiting] == [200] * 2


def test_work_that_takes_too_long_is_given_up_and_its_place_is_free_again(held, good):
    with asking(held, limits=Limits(concurrency=1, queue=0, seconds=0.3)) as client:
        held.engine.open.clear()
        slow = client.post("/v1/score", content=good, headers=BINARY)
        held.engine.open.set()
        assert code(slow) == (503, "out-of-time")
        assert client.post("/v1/score", content=good, headers=BINARY).status_code == 200


def test_the_server_is_ready_only_after_it_has_scored_an_image(held, good):
    held.engine.open.clear()
    with asking(held, wait=False) as client:
        alive, waiting = client.get("/healthz"), client.get("/readyz")
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
        assert (waiting.status_code, waiting.json(), waiting.headers["retry-after"]) == (
            503,
            {"status": "warming-up"},
            "1",
        )
        assert code(client.post("/v1/score", content=good, headers=BINARY)) == (503, "not-ready")
        held.engine.open.set()
        until_ready(client)


def test_an_engine_that_cannot_score_never_becomes_ready(model):
    broken = with_engine(model, Choking(0))
    broken.warm_up_image = lambda: np.full((12, 12, 1), 255, np.uint8)
    with asking(broken, wait=False) as client:
        states = [client.get("/readyz").json()["status"] for _ in range(50)]
    assert set(states) <= {"warming-up", "stopped"}
    assert states[-1] == "stopped"


def test_decoded_images_wait_for_room(model, good):
    with (
        asking(model, limits=Limits(waiting_pixels=1, concurrency=4)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(
            lambda _: client.post("/v1/score", content=good, headers=BINARY), range(16)
        )
        assert {one.status_code for one in answers} == {200}


def test_limits_out_of_range_are_named_all_at_once():
    with pytest.raises(RangeError, match=r"(?s)--pixels.*--seconds"):
        checked_limits(pixels=0, seconds=-1, queue=None)
    assert checked_limits(queue=0).places == Limits().concurrency


def test_many_threads_end_with_the_server(model):
    before = threading.active_count()
    for _ in range(2):
        with asking(model):
            pass
    assert threading.active_count() <= before + 1


def test_a_uvicorn_of_another_make_is_refused_and_ours_is_not():
    class Other:
        def __init__(self):
            self.loop = self.transport = None

    check_uvicorn()
    with pytest.raises(InputError, match="without connections, cycle, on_response_complete"):
        check_uvicorn(Other)
