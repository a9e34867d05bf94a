"""What a release must pass: version, wheel, clean environments, container, notebooks, site.

python release/check.py [STEP ...]

Packages come from the index that pip is configured with, and from nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "build" / "dist"
CONSTRAINTS = ROOT / "constraints.txt"
OTHER_PYTHONS = ("3.12", "3.13", "3.14")
UNTRIED = "3.14"  # of which an interpreter is seldom at hand: its packages must resolve
TOKEN = "a-token-of-the-release-check"
JUDGED = """
import numpy as np, sys
rng = np.random.default_rng(0)
labels = np.repeat([0, 1], 100)
np.save("labels.npy", labels); np.save("scores.npy", rng.normal(labels * 2.0, 1.0))
import residua
residua.evaluate_detection(labels, np.load("scores.npy"))
assert "torch" not in sys.modules
"""


class FailedError(Exception):
    """A step that failed, in words."""


def run(*command: str | Path, folder: Path | None = None, seconds: int = 600) -> str:
    """Run a command away from the source tree; what it prints, or a `FailedError` with its end."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder or tempfile.gettempdir(),
            env={**clean, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"{shlex.join(map(str, command))}: took more than {seconds} s") from None
    if done.returncode:
        end = "\n".join(line for line in done.stdout.splitlines() if "is ignored" not in line)
        raise FailedError(
            f"{shlex.join(map(str, command))}: ended with {done.returncode}\n{end[-3000:]}"
        )
    return done.stdout


def install(python: Path, *packages: str) -> None:
    """Install packages, or say that the index could not give them."""
    try:
        run(
            sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile",
            "-c", CONSTRAINTS, *packages,
        )  # fmt: skip
    except FailedError as failure:
        lacking = ("Connection", "No matching distribution", "Max retries", "timed out")
        if any(word in str(failure) for word in lacking):
            raise FailedError(
                "the package index could not be reached, or lacks a package that is needed."
                f" Check pip's configuration and the network.\n{failure}"
            ) from None
        raise


def environment(folder: Path, python: str | Path = sys.executable) -> Path:
    """A clean environment, which our own pip fills; returns its interpreter."""
    run(python, "-m", "venv", "--without-pip", folder)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def wheel() -> Path:
    """The wheel, built once."""
    if not (found := sorted(DIST.glob("*.whl"))):
        DIST.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", DIST, ROOT)
        found = sorted(DIST.glob("*.whl"))
    return found[-1]


def pythons() -> dict[str, Path]:
    """Other interpreters at hand, by version."""
    found: dict[str, Path] = {}
    for version in OTHER_PYTHONS:
        places = [
            shutil.which(f"python{version}"),
            *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
        ]
        for place in filter(None, places):
            asked = subprocess.run(
                [place, "-c", "import venv, sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.stdout.strip() == version:
                found[version] = Path(place)
    return found


def check_version(_: Path) -> str:
    """One version in pyproject.toml, the changelog and the citation."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    cited = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    told = {"CHANGELOG.md": first and first[1], "CITATION.cff": cited and cited[1]}
    if wrong := {name: one for name, one in told.items() if one not in (version, "Unreleased")}:
        raise FailedError(f"pyproject.toml says {version}. Got {wrong}. Make them agree.")
    placeholder = ".example" in project["urls"]["Repository"]
    return version + " (set the address in pyproject.toml before you upload)" * placeholder


def check_wheel(_: Path) -> str:
    """The wheel holds what it must, and its page renders on an index."""
    shutil.rmtree(DIST, ignore_errors=True)
    with zipfile.ZipFile(wheel()) as archive:
        names = archive.namelist()
        metadata = next(one for one in names if one.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode("utf-8")
        size = sum(one.file_size for one in archive.infolist())
    for wanted in ("residua/py.typed", "LICENSE.d3", "LICENSE.plot", "report.js"):
        if not any(wanted in name for name in names):
            raise FailedError(f"{wheel().name}: {wanted} must be in it.")
    if strange := [name for name in names if not name.startswith("residua")]:
        raise FailedError(f"{wheel().name}: only residua belongs there. Got {strange[:5]}.")
    page = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    if relative := re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", page):
        raise FailedError(f"{wheel().name}: links must be whole addresses. Got {relative[:5]}.")
    if "requires-dist: torch" in text.lower().split("provides-extra")[0]:
        raise FailedError(f"{wheel().name}: the core must not require torch.")
    return f"{wheel().name}, {len(names)} files, {size / 1e6:.1f} MB"


def check_core(folder: Path) -> str:
    """The core alone, in a clean environment of each interpreter at hand."""
    tried = {"{}.{}".format(*sys.version_info[:2]): Path(sys.executable), **pythons()}
    for version, python in tried.items():
        clean = environment(folder / version, python)
        install(clean, str(wheel()))
        run(clean, "-c", JUDGED, folder=folder)
        page = folder / f"{version}.html"
        run(
            clean, "-m", "residua", "judge", "--scores", "scores.npy", "--labels", "labels.npy",
            "--html", page, folder=folder,
        )  # fmt: skip
        if page.stat().st_size < 10_000:
            raise FailedError(f"Python {version}: residua judge must write a report.")
    return ", ".join(f"Python {version}" for version in tried)


def check_resolution(folder: Path) -> str:
    """The packages of an interpreter that is not at hand exist for it."""
    if UNTRIED in pythons():
        return f"Python {UNTRIED} is at hand"
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--python-version", UNTRIED,
        "--only-binary", ":all:", "--target", folder / "none", f"{wheel()}[tables,serve,remote]",
    )  # fmt: skip
    return f"Python {UNTRIED}: the core and the extras tables, serve and remote"


def check_train(folder: Path) -> str:
    """The extra `train`, in a clean environment: the demo."""
    clean = environment(folder / "train")
    install(clean, f"{wheel()}[train]")
    printed = run(
        clean, "-m", "residua", "demo", "--out", folder / "demo", folder=folder, seconds=1500
    )
    report = Path(printed.strip().splitlines()[-1])
    if not report.exists():
        raise FailedError(f"residua demo: its last line must be the report. Got {report}.")
    return f"residua demo: a report of {report.stat().st_size / 1e6:.1f} MB"


def check_container(folder: Path) -> str:
    """The steps of the Dockerfile, in an empty folder instead of a container."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    source = folder / "src"
    kept = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    source.mkdir()
    for name in kept:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    clean = environment(folder / "container")
    for line in lines:
        if line.startswith("RUN pip"):
            words = shlex.split(line.removeprefix("RUN pip").replace("/src", str(source)))
            install(clean, *[word for word in words if word not in ("install", "--no-cache-dir")])
    run(sys.executable, "-m", "residua", "fit", "digits", "--normal", "0", "--family", "dense",
        "--latent", "4", "--epochs", "5", "--out", folder / "run", "--quiet")  # fmt: skip
    run(sys.executable, "-m", "residua", "export", folder / "run", "--format", "onnx", "--quiet")
    port = _free_port()
    command = json.loads(next(one for one in lines if one.startswith("CMD")).removeprefix("CMD"))
    command = [{"/run/model": str(folder / "run"), "8000": str(port)}.get(w, w) for w in command]
    serving = subprocess.Popen(
        [str(clean), "-m", *command],
        cwd=folder,
        env={**os.environ, "RESIDUA_TOKEN": TOKEN, "PYTHONPATH": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        return _ask(port, serving)
    finally:
        serving.terminate()
        serving.wait(30)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _ask(port: int, serving: subprocess.Popen[bytes]) -> str:
    """The score of an image, once the server answers."""
    from io import BytesIO

    from PIL import Image

    body = BytesIO()
    Image.new("L", (8, 8), 40).save(body, "PNG")
    for _ in range(120):
        if serving.poll() is not None:
            raise FailedError(f"the server ended with {serving.returncode} before it answered")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/score",
            body.getvalue(),
            {"Content-Type": "image/png", "Authorization": f"Bearer {TOKEN}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return f"answered with a score of {json.load(answer)['score']:.4g}"
        except urllib.error.HTTPError as refused:
            if refused.code == 503:  # it loads the model
                time.sleep(0.5)
                continue
            raise FailedError(f"the server refused an image: {refused.read()!r}") from None
        except OSError:
            time.sleep(0.5)
    raise FailedError("the server did not answer within a minute")


def check_notebooks(_: Path) -> str:
    """Every notebook runs."""
    shutil.rmtree(ROOT / "build" / "notebooks", ignore_errors=True)
    return run(sys.executable, ROOT / "release" / "notebooks.py").strip().replace("\n", ", ")


def check_site(_: Path) -> str:
    """The site is built, with every internal link, and loads nothing from elsewhere."""
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    run(sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", folder=ROOT)
    pages = sum(1 for _ in (ROOT / "site").rglob("*.html"))
    return f"{pages} pages in {ROOT / 'site'}"


STEPS: dict[str, Callable[[Path], str]] = {
    "version": check_version,
    "wheel": check_wheel,
    "core": check_core,
    "resolution": check_resolution,
    "train": check_train,
    "container": check_container,
    "notebooks": check_notebooks,
    "site": check_site,
}


def main(names: list[str]) -> None:
    """Run the named steps, or all; ends with 1 if one failed."""
    if unknown := [name for name in names if name not in STEPS]:
        raise SystemExit(f"steps are {', '.join(STEPS)}. Got {', '.join(unknown)}.")
    n_failed = 0
    for name in names or STEPS:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix=f"residua-{name}-") as folder:
            try:
                said = STEPS[name](Path(folder))
            except FailedError as failure:
                said, n_failed = f"FAILED. {failure}", n_failed + 1
        print(f"{name:11} {time.perf_counter() - start:4.0f} s  {said}", flush=True)
    if n_failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
