"""Sources over a real protocol: a web server on this machine that knows ranges, or not, fails now
and then, and refuses."""

from __future__ import annotations

import io
import tarfile
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import SourceError
from residua.images import load_images, stores

pytest.importorskip("aiohttp", reason="fsspec speaks HTTP through aiohttp")


class Handler(SimpleHTTPRequestHandler):
    """Ranges as object stores serve them, and as much trouble as the server's `trouble` asks
    for."""

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """A part of a file where one is asked for."""
        asked, trouble = self.headers.get("Range"), self.server.trouble
        self.server.asked[self.path] += 1
        if status := trouble(self.path, self.server.asked[self.path]):
            return self.send_error(status)
        if asked is None or not self.server.ranges:
            return super().do_GET()
        data = Path(self.translate_path(self.path)).read_bytes()
        first, last = asked.removeprefix("bytes=").split("-")
        start, stop = int(first), min(len(data), int(last) + 1)
        if start >= len(data):
            return self.send_error(416)
        self.send_response(206)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        return self.wfile.write(data[start:stop])


@pytest.fixture
def served(tmp_path):
    """A folder, its URL, and the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    server.daemon_threads, server.ranges, server.asked, server.trouble = (
        True,
        True,
        Counter(),
        lambda path, n: None,
    )
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    yield tmp_path, f"http://127.0.0.1:{server.server_address[1]}", server
    server.shutdown()
    server.server_close()


def png(seed):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5)).astype(np.uint8)).save(
        data, "PNG"
    )
    return data.getvalue()


def write_folders(folder, n=6):
    for seed in range(n):
        place = folder / ("bad" if seed % 3 == 0 else "good") / f"{seed}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(png(seed))
    return folder


def write_tar(path):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for seed in range(4):
            for suffix, content in (("png", png(seed)), ("cls", b"good")):
                info = tarfile.TarInfo(f"{seed}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def test_folders_tar_and_parquet_over_http_are_those_of_the_disk(served):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder, url, _ = served
    write_folders(folder / "folders")
    write_tar(folder / "tar" / "a.tar")
    (folder / "parquet").mkdir()
    table = pa.table({"image": [png(seed) for seed in range(4)], "label": [0, 0, 1, 1]})
    pq.write_table(table, folder / "parquet" / "a.parquet", row_group_size=2)
    for name in ("folders", "tar", "parquet"):
        assert load_images(f"{url}/{name}").fingerprint == load_images(folder / name).fingerprint, (
            name
        )


def test_a_server_that_gives_whole_files_is_refused_for_shards_and_does_for_single_images(served):
    folder, url, server = served
    server.ranges = False
    write_tar(folder / "tar" / "a.tar")
    with pytest.raises(SourceError, match="must give parts of files"):
        load_images(f"{url}/tar")
    write_folders(folder / "folders")
    assert len(load_images(f"{url}/folders")) == 6


def test_a_server_that_fails_now_and_then_is_asked_again(served, monkeypatch):
    monkeypatch.setattr(stores, "FIRST_WAIT", 0)
    folder, url, server = served
    write_folders(folder / "set")
    server.trouble = lambda path, n: 503 if path.endswith(".png") and n < stores.ATTEMPTS else None
    assert len(load_images(f"{url}/set")) == 6
    assert {n for path, n in server.asked.items() if path.endswith(".png")} == {stores.ATTEMPTS}


def test_a_server_that_only_fails_ends_the_work_after_five_attempts(served, monkeypatch):
    monkeypatch.setattr(stores, "FIRST_WAIT", 0)
    folder, url, server = served
    write_folders(folder / "set")
    server.trouble = lambda path, n: 500 if path.endswith(".png") else None
    with pytest.raises(SourceError, match="5 times in a row"):
        load_images(f"{url}/set")
    assert max(server.asked.values()) == stores.ATTEMPTS


def test_what_is_refused_or_empty_is_quarantined_and_asked_for_once(served):
    folder, url, server = served
    write_folders(folder / "set")
    (folder / "set" / "good" / "empty.png").write_bytes(b"")
    server.trouble = lambda path, n: 403 if path.endswith("/1.png") else None
    images = load_images(f"{url}/set")
    assert len(images) == 5
    assert sorted(one.path for one in images.quarantined) == ["good/1.png", "good/empty.png"]
    assert server.asked["/set/good/1.png"] == server.asked["/set/good/empty.png"] == 1


def test_a_place_that_may_not_be_listed_is_refused_with_its_name(served):
    _, url, server = served
    server.trouble = lambda path, n: 403
    with pytest.raises(SourceError, match=f"{url}/set"):
        load_images(f"{url}/set")
