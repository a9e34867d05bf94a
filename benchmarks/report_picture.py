"""The picture of a report in README.md and in the documentation, made anew.

It draws nuts with and without defects, trains a detector on the good ones, and takes a screenshot
of the report: the verdict, the scores, and maps of errors.

    python benchmarks/report_picture.py docs/report.png

Needs the packages playwright and pillow, and Chromium on the path. Takes two minutes on one core.
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

from drawn_surfaces import write_set

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1100  # CSS pixels
LEAVE_OUT = """() => {
    const seen = {}, shown = ["stain", "thread", "smear", "good"];
    for (const figure of document.querySelectorAll("#job0-gallery figure")) {
        const kind = figure.querySelector("figcaption").textContent.trim().split("/")[0];
        seen[kind] = (seen[kind] || 0) + (figure.offsetParent !== null);
        figure.classList.toggle("left-out", !shown.includes(kind) || seen[kind] !== 1);
    }
}"""
"""One picture of each of four kinds stays: the highest score comes first in the gallery."""
# What the picture leaves out, so that it fits a README.
LEFT_OUT = """
    .page-top, .job-top > :nth-child(n+4), .panel, #job0-scores > :nth-child(n+4),
    .operating, #job0-gallery .lede, #job0-gallery .chips, #job0-gallery > p,
    #job0-gallery button, .left-out { display: none }
    #job0-scores, #job0-gallery { display: block; padding-bottom: 12px }
    #job0 { padding: 0 24px 16px }
"""
MOST_BYTES = 250_000  # a README should load fast


def residua(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "residua", *arguments], check=True, stdout=subprocess.DEVNULL
    )


def write_report(folder: Path) -> Path:
    """A detector of drawn nuts, judged; returns the path of its report."""
    source, run, report = folder / "nuts", str(folder / "run"), folder / "report.html"
    write_set("nut", source)
    residua("fit", str(source), "--normal", "good", "--seed", "0", "--out", run, "--quiet")
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
        for part in ("#job0-scores", "#job0-gallery"):  # both are drawn when they come into view
            page.locator(part).scroll_into_view_if_needed()
            page.wait_for_timeout(1000)
        page.evaluate(LEAVE_OUT)
        page.locator("#job0").screenshot(path=str(picture))
        browser.close()


def shrink(picture: Path) -> None:
    """A palette of 256 colours: a third of the bytes, and no difference that an eye sees."""
    image = Image.open(picture).convert("RGB")
    image.quantize(256, kmeans=3, dither=Image.Dither.NONE).save(picture, optimize=True)
    if picture.stat().st_size > MOST_BYTES:
        raise SystemExit(
            f"{picture} has {picture.stat().st_size:,} bytes; at most {MOST_BYTES:,} are wanted."
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path, nargs="?", default=Path("docs/report.png"))
    parser.add_argument("--report", type=Path, help="a report that is there already")
    given = parser.parse_args()
    picture = given.picture
    with tempfile.TemporaryDirectory() as folder:
        photograph(given.report or write_report(Path(folder)), picture)
    shrink(picture)
    print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
