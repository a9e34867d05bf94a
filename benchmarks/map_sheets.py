"""Where the maps of the recipe `memory` are highest, beside the masks: figures, and 24 images a set
on a sheet to look at.

    python benchmarks/map_sheets.py --sheets FOLDER [--again] [CASE ...]
    python benchmarks/map_sheets.py --sheets FOLDER --picture docs/evidence/maps.webp

Of the defective test images with a mask, 24 are shown, evenly over the ranks of their scores. Most
of these photographs may not be passed on, so the picture holds the drawn sets alone. A map is right
if its highest place lies in the mask, or within 8 pixels where the longer side has 256, which is
one cell of the map. By chance: if it were the highest place of another defective image, of another
group, at the same shares of height and width.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import cKDTree

import residua
from measure import Results, rounded
from memory import division, told
from residua.engines import score_with
from residua.evaluation.detection import areas_of
from residua.evaluation.evidence import Gallery
from residua.evaluation.report.pictures import error_ceiling, heat_map, outlined
from residua.metrics.groups import Groups
from residua.metrics.intervals import share_interval
from residua.metrics.pixel_tally import PixelTally
from residua.runs.bundle_model import model_of_bundle
from residua.runs.pictures import make_gallery

Tiles = Literal["auto"] | None
Floats = NDArray[np.float64]

CASES: dict[str, tuple[str, Tiles]] = {
    "tiles, grouped 0": ("grouped 0", None),
    "commutators": ("commutators", None),
    "micro-lenses": ("micro-lenses", None),
    "micro-lenses, tiles auto": ("micro-lenses", "auto"),
    "drawn nut": ("drawn nut", None),
    "drawn cloth": ("drawn cloth", None),
}
NEAR = 8 / 256  # of the longer side
SHOWN, COLUMNS, SIDE, CAPTION = 24, 4, 128, 13
MOST_BYTES = 150_000
METRICS = ("roc_auc", "recall", "pixel_roc_auc", "aupro")


def measured(name: str, tiles: Tiles, sheet: Path) -> dict[str, Any]:
    """Fit, score, judge the maps, and draw the sheet."""
    train, calibration, test = division(name)
    started = time.process_time()
    detector = residua.OneClassDetector("memory", tiles=tiles, seed=0, threads=1)
    detector.fit(train, calibration=calibration)
    seconds = time.process_time() - started
    model, tally = model_of_bundle(detector.bundle_), PixelTally()
    highest = np.zeros((len(test), 2))  # in shares of height and width

    def see(row: int, seen: NDArray[np.float32]) -> None:
        highest[row] = (np.array(np.unravel_index(seen.argmax(), seen.shape)) + 0.5) / seen.shape
        if test.masks[row] is not None or not test.is_anomalous[row]:
            tally.add(test.masks[row], seen, row=row)

    scores, point = score_with(model.engine, test, on_map=see).score, detector.operating_point_
    record = residua.evaluate_detection(
        test.is_anomalous, scores, operating_point=point, pixels=tally, groups=test.groups
    )
    areas = areas_of(tally, len(test))
    marked = np.flatnonzero(areas > 0)
    apart = np.stack([distances(test.masks[row], highest[marked]) for row in marked.tolist()])
    right = np.diag(apart) <= NEAR
    names = np.asarray(test.paths if test.groups is None else test.groups).astype(str)[marked]
    others = np.where(names[:, np.newaxis] != names, apart <= NEAR, np.nan)
    kinds = test.labels.astype(str)[marked]
    order = np.argsort(scores[marked], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, SHOWN).round().astype(int)]
    captions = [
        f"{scores[marked[n]]:.1f} {'caught' if scores[marked[n]] > point.threshold else 'missed'},"
        f" {'right' if right[n] else 'elsewhere'}, {kinds[n]}"
        for n in chosen.tolist()
    ]
    draw(make_gallery(model, test, marked[chosen], None), captions, highest[marked[chosen]], sheet)
    edge, good = NEAR * test.sizes.max(1, keepdims=True) / test.sizes, ~test.is_anomalous
    return {
        "train": len(train),
        "test": len(test),
        "marked": len(marked),
        "mask_share_median": rounded(float(np.median((areas / test.sizes.prod(1))[marked]))),
        **{key: told(record.metrics[key]) for key in METRICS},
        "right": told(share_interval(right, Groups.read(names, len(names)))),
        "in_mask": rounded(float((np.diag(apart) < NEAR / 1000).mean())),
        "by_chance": rounded(float(np.nanmean(others))),
        "right_if_caught": share(right[scores[marked] > point.threshold]),
        "right_if_missed": share(right[scores[marked] <= point.threshold]),
        "kinds": {kind: share(right[kinds == kind]) for kind in sorted(set(kinds.tolist()))},
        "good_highest_at_border": share((np.minimum(highest, 1 - highest) < edge).any(1)[good]),
        "border_area": rounded(float((1 - (1 - 2 * edge[good]).prod(1)).mean())),
        "fit_processor_seconds": rounded(seconds),
    }


def distances(mask: NDArray[np.bool_], places: Floats) -> Floats:
    """Of places, in shares of height and width, to the nearest pixel of the mask: shares of the
    longer side.
    """
    points = np.floor(places * mask.shape)
    return cKDTree(np.argwhere(mask)).query(points)[0] / max(mask.shape)


def share(found: NDArray[np.bool_]) -> list[int]:
    """How many of how many."""
    return [int(found.sum()), len(found)]


def draw(gallery: Gallery, captions: list[str], highest: Floats, path: Path) -> None:
    """Each image beside its map under the report's colours, both with the edge of the mask; a cross
    marks the highest place.
    """
    ceiling = error_ceiling(gallery.error_maps)
    height, width = gallery.images.shape[1:3]
    times = SIDE / max(height, width)
    high, wide = round(height * times), round(width * times)
    rows = -(-len(captions) // COLUMNS)
    across = max(2 * wide + 10, 180)
    sheet = Image.new("RGB", (COLUMNS * across, rows * (high + CAPTION + 8)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for n, caption in enumerate(captions):
        left, top = n % COLUMNS * across, n // COLUMNS * (high + CAPTION + 8)
        for aside, seen in enumerate((gallery.images[n], heat_map(gallery.error_maps[n], ceiling))):
            shown = Image.fromarray(outlined(seen, gallery.masks[n]))
            sheet.paste(shown.resize((wide, high)), (left + aside * (wide + 2), top))
        y, x = top + highest[n, 0] * high, left + wide + 2 + highest[n, 1] * wide
        pen.line([(x - 4, y), (x + 4, y)], (0, 255, 0))
        pen.line([(x, y - 4), (x, y + 4)], (0, 255, 0))
        pen.text((left, top + high), caption, "black", font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def join(sheets: list[Path], picture: Path) -> None:
    """Sheets below each other in one small file."""
    parts = [Image.open(path) for path in sheets]
    whole = Image.new(
        "RGB", (max(part.width for part in parts), sum(part.height for part in parts)), "white"
    )
    for n, part in enumerate(parts):
        whole.paste(part, (0, sum(one.height for one in parts[:n])))
    for quality in (80, 65, 50, 35, 20):
        whole.save(picture, quality=quality, method=6)
        if picture.stat().st_size <= MOST_BYTES:
            return
    raise SystemExit(f"{picture} has {picture.stat().st_size:,} bytes; at most {MOST_BYTES:,}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="; ".join(CASES))
    parser.add_argument("--sheets", type=Path, required=True, help="folder for the sheets")
    parser.add_argument("--picture", type=Path, help="write the sheets of drawn sets here")
    parser.add_argument("--again", action="store_true", help="measure rows that are there")
    options = parser.parse_args()
    results = Results("map_sheets")
    sheets = {
        case: options.sheets / f"{case.replace(', ', '-').replace(' ', '-')}.png" for case in CASES
    }
    for case in options.cases or CASES:
        results.measure(case, partial(measured, *CASES[case], sheets[case]))
    if options.picture is not None:
        join([path for case, path in sheets.items() if case.startswith("drawn")], options.picture)


if __name__ == "__main__":
    main()
