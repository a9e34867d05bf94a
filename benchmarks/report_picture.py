"""The picture of a report in README.md, made anew.

It trains on bundled digits and takes a screenshot of the report.

    python benchmarks/report_picture.py docs/report.png

Needs the packages playwright and pillow, and Chromium on the path. Takes a minute.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1100  # CSS pixels
# What the picture leaves out, so that it fits a README: findings after the second, and all below
# the threshold.
LEFT_OUT = """
    .page-top, .finding:nth-child(n+3), .findings ~ details, .finding details, .panel {
        display: none }
    #job0-findings, #job0-scores { display: block; padding-bottom: 12px }
    #job0 { padding: 0 24px 24px }
    .operating, .by-policy, .pair, .strips { display: none }
"""
MOST_BYTES = 250_000  # a README should load fast
RECIPE = [
    "--normal",
    "0",
    "--recipe",
    "plain",
    "--family",
    "dense",
    "--latent",
    "4",
    "--epochs",
    "100",
]


def residua(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "residua", *arguments], check=True, stdout=subprocess.DEVNULL
    )


def write_report(folder: Path) -> Path:
    """A detector of digits that are not 0, judged; returns the path of its report."""
    run, report = str(folder / "digits"), folder / "report.html"
    residua("fit", "digits", *RECIPE, "--seed", "0", "--out", run, "--quiet")
    residua("evaluate", run, "--quiet")
    residua("report", run, "--out", str(report))
    return report


def photograph(report: Path, picture: Path) -> None:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        raise SystemExit(f"No browser on the path: install one of {', '.join(BROWSERS)}.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(report.as_uri())
        page.add_style_tag(content=LEFT_OUT)
        page.locator("#job0-scores").scroll_into_view_if_needed()
        page.wait_for_timeout(1500)  # the charts are drawn when they come into view
        page.locator("#job0").screenshot(path=str(picture))
        browser.close()


def shrink(picture: Path) -> None:
    """A palette of 128 colours: a third of the bytes, and no difference that an eye sees."""
    image = Image.open(picture).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)
    if picture.stat().st_size > MOST_BYTES:
        raise SystemExit(
            f"{picture} has {picture.stat().st_size:,} bytes; at most {MOST_BYTES:,} are wanted."
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path, nargs="?", default=Path("docs/report.png"))
    picture = parser.parse_args().picture
    with tempfile.TemporaryDirectory() as folder:
        photograph(write_report(Path(folder)), picture)
    shrink(picture)
    print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
