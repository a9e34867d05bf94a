"""Damaged bytes into every reader of foreign bytes: each must give a result or one of our errors,
nothing else.

    python benchmarks/fuzz.py [--seconds 60] [--only NAME,...] [--seed N]

The seconds are processor seconds of each reader.

Hypothesis cuts, overwrites, inserts and repeats pieces of valid files, and sets text in them to
other values. What comes out of a reader and is not a `ResiduaError` is a finding: it is shrunk,
printed with its place, and counted by that place. The tests run the same targets for a few seconds
(`tests/test_fuzz.py`).
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, seed as seeded, settings, strategies as st
from PIL import Image

from residua.errors import ResiduaError


@dataclass(frozen=True)
class Target:
    """A reader: `samples` are valid files, `name` the file's name, `read` takes its path; `mend`
    mends checksums.
    """

    name: str
    samples: tuple[bytes, ...]
    read: Callable[[Path], object]
    mend: Callable[[bytes], bytes] = bytes

    def write(self, folder: Path, data: bytes) -> Path:
        """`data`, mended, under the target's name."""
        place = folder / self.name.partition(",")[0]
        place.write_bytes(self.mend(data))
        return place


def encoded(pixels: np.ndarray, kind: str, **more: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **more)
    return buffer.getvalue()


def saved(save: Callable, *given: object, **named: object) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *given, **named)
    return buffer.getvalue()


def targets(run: Path) -> list[Target]:
    """Every reader; `run` is a finished and evaluated run whose files are damaged one at a time."""
    draw = np.random.default_rng(0)
    grey, colour = (
        draw.integers(0, 256, (12, 9)).astype(np.uint8),
        draw.integers(0, 256, (12, 9, 3)).astype(np.uint8),
    )
    stack = draw.integers(0, 256, (6, 8, 8)).astype(np.uint8)
    kinds = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
    deep = (encoded(grey.astype(np.uint16) * 200, "PNG"), encoded(grey, "TIFF"))
    images = (
        *(encoded(colour, kind) for kind in kinds),
        *deep,
        encoded(np.zeros((4_000, 1), np.uint8), "PNG"),
    )
    idx = (
        b"\0\0\x08\x03" + b"".join(int(n).to_bytes(4, "big") for n in stack.shape) + stack.tobytes()
    )
    labels = np.arange(6) % 2
    arrays = saved(np.savez, x_train=stack, y_train=labels, x_test=stack, y_test=labels)
    small = saved(
        np.savez_compressed,
        x=stack,
        labels=np.array(["a", "b"] * 3),
        splits=np.array(["train", "test"] * 3),
    )
    manifest = b"path,label,mask,split,group\na.png,good,,train,1\nb.png,bad,m.png,test,2\n"
    hostile = b"path;label;\x1b]0;x\x07\na.png;=1+1;2\nb.png;\xe2\x80\xae bad;1,5\n"
    found = [
        Target("images.png", images, read_image),
        Target("x-images-idx3-ubyte", (idx,), load),
        Target("x-images-idx3-ubyte.gz", (gzip.compress(idx, mtime=0),), load),
        Target("x.npy", (saved(np.save, stack), saved(np.save, stack / np.float32(255))), load),
        Target("x.npz", (arrays, small), load),
        Target("manifest.csv", (manifest, hostile), load_manifest),
        Target("shard.tar", (shard(colour),), load),
        Target(
            "scores.csv",
            (b"path,label,score\na,good,0.1\nb,bad,0.9\nc,good,0.2\n", b"0.1\n0.2\n0.3\n"),
            judge_scores,
        ),
        Target("scores.npy", (saved(np.save, np.linspace(0, 1, 9)),), judge_scores),
        *(
            Target(name, ((run / where).read_bytes(),), in_run(run, where, read), mend)
            for name, where, read, mend in (
                ("run.json", "run.json", read_state, bytes),
                ("images.csv", "images.csv", read_parts, bytes),
                ("training.npz", "training.npz", read_training, bytes),
                ("features.npz", "features.npz", read_features, bytes),
                ("learning.json", "learning.json", read_learning, bytes),
                ("evaluation.json", "evaluation.json", read_report, bytes),
                ("evidence.npz", "evidence.npz", read_report, bytes),
                ("bundle.json", "bundle/bundle.json", read_bundle, bytes),
                ("bundle.json, its checksum right", "bundle/bundle.json", read_bundle, checksummed),
                ("model.safetensors", "bundle/model.safetensors", read_weights, bytes),
                ("model.onnx.json", "export/model.onnx.json", read_export, bytes),
            )
        ),
        Target("request.form", (form(images[0]),), read_form),
        Target("report.html", ((run / "report.html").read_bytes(),), verify),
        Target("part.json", (json.dumps(PART).encode(),), read_part),
    ]
    return found + tables(images[0])


def tables(image: bytes) -> list[Target]:
    """Parquet, where pyarrow is installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        return []
    table = pa.table(
        {"image": [{"bytes": image, "path": "a.png"}] * 3, "label": ["good", "bad", None]}
    )
    return [Target("x.parquet", (saved(lambda file: pq.write_table(table, file)),), load)]


def shard(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in (
            ("a.png", encoded(pixels, "PNG")),
            ("a.cls", b"1"),
            ("b.jpg", encoded(pixels, "JPEG")),
            ("b.json", b"{}"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def form(image: bytes) -> bytes:
    part = (
        b'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type:'
        b" image/png\r\n\r\n"
    )
    return b"--x\r\n" + part + image + b"\r\n--x\r\n" + part + image + b"\r\n--x--\r\n"


def read_image(path: Path) -> object:
    from residua.images.decoding import decode

    return decode(path.read_bytes(), 1_000_000)


def load(path: Path) -> object:
    from residua.images import load_images

    images = load_images(path, pixel_limit=1_000_000, memory_megabytes=64)
    return images.summary(), [image.shape for image in images]


def load_manifest(path: Path) -> object:
    for index, name in enumerate(("a.png", "b.png", "m.png")):
        (path.parent / name).write_bytes(encoded(np.full((8, 8), 40 * index, np.uint8), "PNG"))
    return load(path)


def judge_scores(path: Path) -> object:
    from residua.evaluation.arrays import judge

    return judge(scores=path)


def in_run(run: Path, name: str, read: Callable[[Path], object]) -> Callable[[Path], object]:
    """Read `run` with one file replaced by the damaged one."""

    def replaced(path: Path) -> object:
        whole = run / name
        kept = whole.read_bytes()
        try:
            whole.write_bytes(path.read_bytes())
            return read(run)
        finally:
            whole.write_bytes(kept)

    return replaced


def read_state(run: Path) -> object:
    from residua.runs.trained_run import TrainedRun

    return TrainedRun(run).read_state()


def read_parts(run: Path) -> object:
    from residua.runs.trained_run import TrainedRun

    return TrainedRun(run).read_images()


def read_training(run: Path) -> object:
    from residua.runs.trained_run import TrainedRun

    return TrainedRun(run).read_training()


def read_features(run: Path) -> object:
    from residua.runs.learning.features import StoredFeatures
    from residua.runs.trained_run import TrainedRun

    return StoredFeatures.load(TrainedRun(run)) or "of another model"


def read_learning(run: Path) -> object:
    from residua.runs.learning.record import read_record
    from residua.runs.trained_run import TrainedRun

    return read_record(TrainedRun(run))


def read_report(run: Path) -> object:
    from residua.runs.report import report_run

    return report_run(run, run / "report.html")


def read_bundle(run: Path) -> object:
    from residua.training.bundle import load_bundle

    return load_bundle(run / "bundle")


def read_weights(run: Path) -> object:
    """The weights with a JSON that vouches for them, so that their own reader is reached."""
    import hashlib

    listed = run / "bundle" / "bundle.json"
    kept = listed.read_bytes()
    weights = (run / "bundle" / "model.safetensors").read_bytes()
    body = json.loads(kept)
    body["files"]["model.safetensors"] = {
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    try:
        listed.write_bytes(checksummed(json.dumps(body).encode()))
        return read_bundle(run)
    finally:
        listed.write_bytes(kept)


def read_export(run: Path) -> object:
    from residua.engines import load_engine

    return load_engine(run / "export", "onnx", bundle=run / "bundle")


PART = {
    "seen": 3,
    "rows": 3,
    "scored": 2,
    "reused": 0,
    "digests": "A" * 64,
    "anomalous": 1,
    "quarantined": [["c.png", "not an image"]],
    "last": True,
}


def read_part(path: Path) -> object:
    """The note of a part of half-written scores, as `score --resume` finds it."""
    from residua.runs.tables import ChunkFiles

    parts = ChunkFiles(path.parent / "scores.csv")
    parts.folder.mkdir(exist_ok=True)
    (parts.folder / "0000000-000000.json").write_bytes(path.read_bytes())
    return parts.state_of(0), parts.summary(1)


def verify(path: Path) -> object:
    from residua.evaluation.verification import verify_report

    return verify_report(path)


def read_form(path: Path) -> object:
    from residua.server import Limits
    from residua.server.uploads import parts_of

    return parts_of(path.read_bytes(), "multipart/form-data; boundary=x", Limits(images=4))


def checksummed(data: bytes) -> bytes:
    """The JSON with the checksum that its content needs: what an attacker would write."""
    from residua._files import checksum

    try:
        body = json.loads(data)
        body.pop("checksum", None)
        return json.dumps({**body, "checksum": checksum(body)}).encode()
    except (ValueError, AttributeError, TypeError, RecursionError):
        return data


_PLACES = st.integers(0, 1 << 30)
_OTHERS = st.sampled_from(
    [
        b"",
        b"0",
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"999999999999999999999",
        b"../../etc/passwd",
        b",",
        b'"',
        b"\r\n",
        b"\xff",
        bytes(8),
        b"\xff" * 8,
        b"\x7f\xff\xff\xff",
    ]
)
_EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("byte"), _PLACES, st.integers(0, 255)),
        st.tuples(st.just("cut"), _PLACES, st.integers(1, 64)),
        st.tuples(st.just("end"), _PLACES, st.just(0)),
        st.tuples(st.just("repeat"), _PLACES, st.integers(1, 64)),
        st.tuples(st.just("put"), _PLACES, _OTHERS),
        st.tuples(st.just("word"), _PLACES, _OTHERS),
        st.tuples(st.just("insert"), _PLACES, st.binary(min_size=1, max_size=12)),
    ),
    min_size=1,
    max_size=5,
)


def damaged(data: bytes, edits: list) -> bytes:
    """`data` after the edits; most fall into its first kilobyte, where headers are."""
    text = bytearray(data)
    for kind, number, value in edits:
        if not text:
            break
        place = number % min(len(text), 1024 if number % 4 else len(text))
        if kind == "byte":
            text[place] = value
        elif kind == "cut":
            del text[place : place + value]
        elif kind == "end":
            del text[place:]
        elif kind == "repeat":
            text[place:place] = text[place : place + value]
        elif kind == "word":  # from here to the next sign that ends a value in JSON or CSV
            stop = next((at for at in range(place, len(text)) if text[at] in b',:}]"\n'), len(text))
            text[place:stop] = value
        else:
            text[place:place] = value
    return bytes(text)


def check(target: Target, folder: Path, sample: bytes, edits: list) -> None:
    """Read one damaged file; anything but a result or a `ResiduaError` gets out."""
    place = target.write(folder, damaged(sample, edits))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            target.read(place)
        except ResiduaError as error:
            assert str(error), f"{type(error).__name__} says nothing"


def search(target: Target, folder: Path, *, examples: int, seed: int | None = None) -> None:
    """Try `examples` damaged files; Hypothesis raises what it found, shrunk."""
    folder = folder / f"{zlib.crc32(target.name.encode()):08x}"
    folder.mkdir(exist_ok=True)
    quiet = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )

    @quiet
    @given(st.sampled_from(target.samples), _EDITS)
    def attempt(sample: bytes, edits: list) -> None:
        check(target, folder, sample, edits)

    (attempt if seed is None else seeded(seed)(attempt))()


def make_run(folder: Path) -> Path:
    """A finished run on a few digits: evaluated, exported and with a report."""
    from residua.engines import KINDS
    from residua.runs.engines import export_run
    from residua.runs.evaluate import evaluate_run
    from residua.runs.fit import fit_run
    from residua.runs.learning.corrections import Correction
    from residua.runs.learning.record import LearningRecord, keep_record
    from residua.runs.report import report_run
    from residua.runs.trained_run import TrainedRun
    from residua.training.fitting.options import make_options

    options = make_options(
        **{
            "source": "digits",
            "job": "detect",
            "normal": ("0",),
            "recipe_options": {"latent": 2},
            "settings": {"epochs": 1, "batch_size": 64},
        }
    )
    run = fit_run(options, folder / "run").path
    evaluate_run(run)
    report_run(run, run / "report.html")
    export_run(run, KINDS["onnx"])
    said = Correction(path="a.png", label="defect", kind="scratch", pixels="0" * 32)
    facts = {"date": "2026-01-05", "parent": "run", "parent_weights": "0" * 64}
    record = LearningRecord(**facts, corrections=(said,), threshold_before=1, threshold_after=2)
    keep_record(TrainedRun(run), record)
    return run


def main() -> int:
    from measure import Results

    def number(flag: str, default: float) -> float:
        return float(sys.argv[sys.argv.index(flag) + 1]) if flag in sys.argv else default

    seconds, first = number("--seconds", 60), int(number("--seed", 0))
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else None
    results, failed = Results("fuzz"), 0
    with tempfile.TemporaryDirectory() as name:
        run = make_run(Path(name))
        for target in targets(run):
            if only is None or target.name in only:
                row = results.measure(
                    target.name, lambda t=target: hunted(t, Path(name), seconds, first)
                )
                failed += len(row["findings"])
    return int(failed > 0)


def hunted(target: Target, folder: Path, seconds: float, seed: int) -> dict:
    """Search for a time; findings by the place they came from, each once."""
    found: dict[str, str] = {}
    tried, until, seed_now = 0, time.process_time() + seconds, seed
    while time.process_time() < until:
        try:
            search(target, folder, examples=200, seed=seed_now)
        except Exception as error:  # noqa: BLE001  whatever a reader lets out is what is looked for
            for one in error.exceptions if isinstance(error, ExceptionGroup) else (error,):
                frames = traceback.extract_tb(one.__traceback__)
                last = next(
                    (frame for frame in reversed(frames) if "/residua/" in frame.filename),
                    frames[-1],
                )
                found.setdefault(
                    f"{type(one).__name__} at {Path(last.filename).name}:{last.lineno}",
                    str(one)[:300],
                )
        tried += 200
        seed_now += 1
    return {"files_tried": tried, "seconds": round(seconds), "findings": found}


if __name__ == "__main__":
    sys.exit(main())
