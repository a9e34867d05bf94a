"""Sets of parts and surfaces that no recipe was designed on: four drawn in colour, three cut from
photographs.

The defects, of twelve kinds, are drawn with Pillow's pen and by other means than those that
`inspect` trains on. The photographs (bricks, gravel, grass) are scikit-image's: good images are cut
from their upper part for training, test images from the lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

N_TRAIN, N_GOOD, N_OF_EACH = 100, 60, 12
_FINER = 3  # drawn at so many times the size, then reduced
_CUT, _LOWER = (
    168,
    330,
)  # pixels of a photograph: the side of a piece, and where the part for tests begins
_LEAST_CHANGE = 8  # grey levels from which on a pixel belongs to the defect
_FONT = 34

Rng = np.random.Generator
Picture = Image.Image


class Canvas:
    """A picture at three times its size, and where on it a defect may lie: a circle around a
    centre.
    """

    def __init__(self, width: int, height: int, colour: tuple[int, int, int]) -> None:
        self.picture = Image.new("RGB", (width * _FINER, height * _FINER), colour)
        self.centre, self.reach = (width / 2, height / 2), 0.42 * min(width, height)

    @property
    def pen(self) -> Pen:
        return Pen(ImageDraw.Draw(self.picture))

    def somewhere(self, rng: Rng) -> tuple[float, float]:
        """A place within reach of the centre, every one as likely."""
        angle, away = rng.uniform(0, 2 * math.pi), self.reach * math.sqrt(rng.uniform())
        return self.centre[0] + away * math.cos(angle), self.centre[1] + away * math.sin(angle)

    def colour_at(self, place: tuple[float, float]) -> NDArray[np.int64]:
        return np.array(
            self.picture.getpixel((int(place[0] * _FINER), int(place[1] * _FINER))), np.int64
        )


class Pen:
    """Pillow's drawing in pixels of the final picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def box(
        self, left: float, top: float, right: float, bottom: float, fill: tuple[int, ...] | int
    ) -> None:
        self._draw.rectangle(_finer(left, top, right, bottom), fill=fill)

    def rounded(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        radius: float,
        fill: tuple[int, ...],
    ) -> None:
        self._draw.rounded_rectangle(_finer(left, top, right, bottom), radius * _FINER, fill=fill)

    def disc(
        self, x: float, y: float, radius: float, fill: tuple[int, ...] | int, squeezed: float = 1.0
    ) -> None:
        self._draw.ellipse(
            _finer(x - radius, y - radius * squeezed, x + radius, y + radius * squeezed), fill=fill
        )

    def polygon(self, points: list[tuple[float, float]], fill: tuple[int, ...]) -> None:
        self._draw.polygon([(x * _FINER, y * _FINER) for x, y in points], fill=fill)

    def line(self, points: list[tuple[float, float]], fill: tuple[int, ...], width: float) -> None:
        self._draw.line(
            [(x * _FINER, y * _FINER) for x, y in points],
            fill=fill,
            width=round(width * _FINER),
            joint="curve",
        )

    def text(self, x: float, y: float, words: str, fill: tuple[int, ...]) -> None:
        self._draw.text(
            (x * _FINER, y * _FINER), words, fill=fill, font=ImageFont.load_default(_FONT * _FINER)
        )


def _finer(*lengths: float) -> tuple[float, ...]:
    return tuple(length * _FINER for length in lengths)


def nut(rng: Rng, fault: str | None, *, is_test: bool) -> Canvas:
    """A metal nut at any angle; ``edges``: five of them; ``off-centre``: its hole."""
    canvas = Canvas(280, 280, (38, 36, 40))
    x, y = 140 + rng.uniform(-6, 6), 140 + rng.uniform(-6, 6)
    turn, edges = rng.uniform(0, math.pi / 3), 5 if fault == "edges" else 6
    corners = [turn + edge * 2 * math.pi / edges for edge in range(edges)]
    canvas.pen.polygon(
        [(x + 105 * math.cos(angle), y + 105 * math.sin(angle)) for angle in corners],
        (150, 146, 140),
    )
    canvas.pen.disc(x, y, 80, (170, 166, 160))
    aside = rng.uniform(9, 14) * rng.choice([-1, 1]) if fault == "off-centre" else 0
    for ring, grey in enumerate((150, 130, 110, 30)):
        canvas.pen.disc(x + aside, y, 57 - 4 * ring, (grey, grey, grey))
    seen = np.asarray(canvas.picture, np.float64)
    canvas.picture = _picture(seen + _grain(rng, seen.shape, 4, 7) * (seen[..., :1] > 90))
    canvas.centre, canvas.reach = (x, y), 80
    return canvas


def board(rng: Rng, fault: str | None, *, is_test: bool) -> Canvas:
    """A circuit board; one component is ``missing``, ``turned`` or of another ``colour``."""
    canvas, always = Canvas(330, 250, (20, 85, 45)), np.random.default_rng(5)
    for _ in range(26):
        x, y, along, down = (
            always.uniform(0, 330),
            always.uniform(0, 250),
            always.uniform(-90, 90),
            always.uniform(-60, 60),
        )
        canvas.pen.line([(x, y), (x + along, y), (x + along, y + down)], (45, 125, 70), 2)
    spoilt = int(rng.integers(12)) if fault else -1
    for number in range(12):
        x, y = (
            60 + 75 * (number // 3) + rng.uniform(-1.5, 1.5),
            55 + 70 * (number % 3) + rng.uniform(-1.5, 1.5),
        )
        width, height = (26, 14) if number % 3 else (16, 22)
        colour = ((25, 25, 28), (190, 150, 90), (120, 40, 35))[number % 3]
        if number == spoilt:
            width, height = (height, width) if fault == "turned" else (width, height)
            colour = (60, 70, 150) if fault == "colour" else colour
        canvas.pen.box(
            x - width - 5, y - height / 2, x + width + 5, y + height / 2, (195, 195, 185)
        )
        if number == spoilt and fault == "missing":
            canvas.pen.box(
                x - width, y - height / 2 - 1, x + width, y + height / 2 + 1, (20, 85, 45)
            )
            continue
        canvas.pen.box(x - width, y - height, x + width, y + height, colour)
        canvas.pen.disc(x - width + 6, y - height + 6, 2.5, (210, 210, 210))
    return canvas


def capsule(rng: Rng, fault: str | None, *, is_test: bool) -> Canvas:
    """A capsule of two colours with a number printed on it; ``print``: another number."""
    canvas = Canvas(300, 200, (225, 222, 215))
    x, y = 150 + rng.uniform(-5, 5), 100 + rng.uniform(-5, 5)
    canvas.pen.rounded(x - 110, y - 48, x + 110, y + 48, 48, (240, 225, 190))
    canvas.pen.rounded(x - 110, y - 48, x + 10, y + 48, 48, (205, 60, 50))
    canvas.pen.box(x - 40, y - 48, x + 10, y + 48, (205, 60, 50))
    canvas.pen.rounded(x - 85, y - 36, x + 85, y - 26, 5, (250, 200, 190))
    words = rng.choice(["50", "5O0", "300"]) if fault == "print" else "500"
    canvas.pen.text(x - 75 + rng.uniform(-3, 3), y - 16, str(words), (250, 240, 235))
    canvas.centre, canvas.reach = (x, y), 46
    return canvas


def cloth(rng: Rng, fault: str | None, *, is_test: bool) -> Canvas:
    """Plain weave of two colours, shifted and tilted a little."""
    canvas = Canvas(240, 240, (0, 0, 0))
    down, across = np.mgrid[0 : 240 * _FINER, 0 : 240 * _FINER] / _FINER
    tilt, shifts = rng.uniform(-0.06, 0.06), rng.uniform(0, 12, 2)
    warp = across * math.cos(tilt) + down * math.sin(tilt) + shifts[0]
    weft = down * math.cos(tilt) - across * math.sin(tilt) + shifts[1]
    is_over = np.sin(2 * np.pi * warp / 12) * np.sin(2 * np.pi * weft / 12) > 0
    height = np.where(
        is_over, np.abs(np.sin(2 * np.pi * warp / 6)), np.abs(np.sin(2 * np.pi * weft / 6))
    )
    colours = np.where(is_over[..., np.newaxis], (170, 120, 80), (110, 80, 140))
    canvas.picture = _picture(
        colours * (0.55 + 0.45 * height[..., np.newaxis]) + _grain(rng, colours.shape, 3, 8)
    )
    return canvas


def photographed(name: str) -> Callable[..., Canvas]:
    """Pieces of one photograph, half of them mirrored; those for tests from its lower part
    alone.
    """

    def cut(rng: Rng, fault: str | None, *, is_test: bool) -> Canvas:
        left = int(rng.integers(512 - _CUT))
        top = (
            int(rng.integers(_LOWER, 512 - _CUT + 1))
            if is_test
            else int(rng.integers(_LOWER - _CUT))
        )
        piece = _photograph(name).crop((left, top, left + _CUT, top + _CUT))
        if rng.uniform() < 0.5:
            piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        canvas = Canvas(_CUT, _CUT, (0, 0, 0))
        canvas.picture = piece.convert("RGB").resize(canvas.picture.size, Image.Resampling.BICUBIC)
        return canvas

    return cut


@cache
def _photograph(name: str) -> Picture:
    from skimage import data

    return Image.fromarray(getattr(data, name)()).convert("L")


SETS: dict[str, tuple[Callable[..., Canvas], tuple[str, ...]]] = {
    "nut": (nut, ("edges", "off-centre")),
    "board": (board, ("missing", "turned", "colour")),
    "capsule": (capsule, ("print",)),
    "cloth": (cloth, ()),
    "brick": (photographed("brick"), ()),
    "gravel": (photographed("gravel"), ()),
    "grass": (photographed("grass"), ()),
}


def scratch(rng: Rng, canvas: Canvas) -> Picture:
    """A bent line, much brighter or darker than what it begins on."""
    place, angle = canvas.somewhere(rng), rng.uniform(0, 2 * math.pi)
    colour = _other(rng, canvas.colour_at(place))
    points = [place]
    for _ in range(rng.integers(6, 14)):
        angle += rng.normal(0, 0.25)
        points.append((points[-1][0] + 5 * math.cos(angle), points[-1][1] + 5 * math.sin(angle)))
    drawn = canvas.picture.copy()
    Pen(ImageDraw.Draw(drawn)).line(points, colour, rng.uniform(1, 2.5))
    return Image.blend(canvas.picture, drawn, rng.uniform(0.6, 1))


def stain(rng: Rng, canvas: Canvas) -> Picture:
    """A soft blot of any colour that lets half of the surface through."""
    (x, y), size = canvas.somewhere(rng), rng.uniform(6, 18)
    where = Image.new("L", canvas.picture.size)
    for _ in range(5):
        Pen(ImageDraw.Draw(where)).disc(
            x + rng.normal(0, size / 2),
            y + rng.normal(0, size / 2),
            size * rng.uniform(0.3, 0.8),
            140,
        )
    colour = Image.new("RGB", where.size, tuple(int(level) for level in rng.integers(0, 256, 3)))
    return Image.composite(
        colour, canvas.picture, where.filter(ImageFilter.GaussianBlur(2 * _FINER))
    )


def smear(rng: Rng, canvas: Canvas) -> Picture:
    """A patch out of focus."""
    (x, y), where = canvas.somewhere(rng), Image.new("L", canvas.picture.size)
    Pen(ImageDraw.Draw(where)).disc(x, y, rng.uniform(14, 26), 255, squeezed=0.7)
    blurred = canvas.picture.filter(ImageFilter.GaussianBlur(4 * _FINER))
    return Image.composite(
        blurred, canvas.picture, where.filter(ImageFilter.GaussianBlur(3 * _FINER))
    )


def dent(rng: Rng, canvas: Canvas) -> Picture:
    """One side of a round place brighter, the other darker, as a slope under a lamp."""
    (x, y), size = canvas.somewhere(rng), rng.uniform(5, 10)
    seen = np.asarray(canvas.picture, np.float64)
    down, across = (np.mgrid[0 : seen.shape[0], 0 : seen.shape[1]] / _FINER) - np.array(
        [y, x]
    ).reshape(2, 1, 1)
    slope = np.exp(-(down**2 + across**2) / (2 * size**2)) * (down + across) / size
    return _picture(seen + 35 * slope[..., np.newaxis])


def thread(rng: Rng, canvas: Canvas) -> Picture:
    """A long curved hair of any colour that lies on top."""
    points, along = (
        np.array([canvas.somewhere(rng) for _ in range(4)]),
        np.linspace(0, 1, 60)[:, np.newaxis],
    )
    weights = np.hstack(
        [(1 - along) ** 3, 3 * along * (1 - along) ** 2, 3 * along**2 * (1 - along), along**3]
    )
    drawn = canvas.picture.copy()
    colour = tuple(int(level) for level in rng.integers(0, 256, 3))
    Pen(ImageDraw.Draw(drawn)).line([(x, y) for x, y in weights @ points], colour, 1.5)
    return drawn


def chip(rng: Rng, canvas: Canvas) -> Picture:
    """A piece broken out, flat, of another brightness."""
    (x, y), size, drawn = canvas.somewhere(rng), rng.uniform(5, 11), canvas.picture.copy()
    angles = np.linspace(0, 2 * math.pi, 8)[:-1]
    reach = size * rng.uniform(0.5, 1.3, (len(angles), 2))
    corners = np.stack([x + reach[:, 0] * np.cos(angles), y + reach[:, 1] * np.sin(angles)], axis=1)
    Pen(ImageDraw.Draw(drawn)).polygon(
        [tuple(corner) for corner in corners], _other(rng, canvas.colour_at((x, y)))
    )
    return drawn


SURFACE_FAULTS: dict[str, Callable[[Rng, Canvas], Picture]] = {
    one.__name__: one for one in (scratch, stain, smear, dent, thread, chip)
}


def write_set(name: str, place: Path) -> None:
    """Write a set in MVTec's layout: train/good, test/good and each kind of defect, ground_truth
    where something was drawn on.
    """
    draw, faults = SETS[name]
    rng = np.random.default_rng(list(name.encode()))
    for number in range(N_TRAIN):
        _save(
            _lit(rng, draw(rng, None, is_test=False).picture, name),
            place / "train" / "good" / f"{number:03d}.png",
        )
    for number in range(N_GOOD):
        _save(
            _lit(rng, draw(rng, None, is_test=True).picture, name),
            place / "test" / "good" / f"{number:03d}.png",
        )
    for fault in faults:
        for number in range(N_OF_EACH):
            _save(
                _lit(rng, draw(rng, fault, is_test=True).picture, name),
                place / "test" / fault / f"{number:03d}.png",
            )
    for fault, spoil in SURFACE_FAULTS.items():
        for number in range(N_OF_EACH):
            canvas = draw(rng, None, is_test=True)
            spoilt = spoil(rng, canvas)
            _save(_lit(rng, spoilt, name), place / "test" / fault / f"{number:03d}.png")
            before, after = (
                np.asarray(_reduced(one), np.int64) for one in (canvas.picture, spoilt)
            )
            is_changed = np.abs(after - before).max(2) >= _LEAST_CHANGE
            _save(
                Image.fromarray(np.uint8(255) * is_changed),
                place / "ground_truth" / fault / f"{number:03d}_mask.png",
            )


def _lit(rng: Rng, picture: Picture, name: str) -> Picture:
    """At its final size, under uneven light, with a camera's noise; the photographs are grey."""
    seen = np.asarray(_reduced(picture), np.float64)
    down, across = np.mgrid[0 : seen.shape[0], 0 : seen.shape[1]]
    level, slope_x, slope_y = rng.uniform(-0.12, 0.12, 3)
    light = (
        1
        + level
        + slope_x * (across / seen.shape[1] - 0.5)
        + slope_y * (down / seen.shape[0] - 0.5)
    )
    noise = rng.normal(0, 2.5, (*light.shape, 1 if name in ("brick", "gravel", "grass") else 3))
    photograph = _picture(seen * light[..., np.newaxis] + noise)
    return photograph.convert("L") if noise.shape[2] == 1 else photograph


def _other(rng: Rng, colour: NDArray[np.int64]) -> tuple[int, ...]:
    """A colour 50 to 90 levels brighter or darker, whichever there is room for."""
    way = rng.choice([-1, 1])
    way = -way if not 50 <= colour.mean() + 50 * way <= 205 else way
    return tuple(int(level) for level in (colour + way * rng.uniform(50, 90)).clip(0, 255))


def _grain(rng: Rng, shape: tuple[int, ...], size: int, strength: float) -> NDArray[np.float64]:
    """Noise of one grey level in squares of so many fine pixels, (height, width, 1)."""
    rough = rng.normal(0, strength, (-(-shape[0] // size), -(-shape[1] // size)))
    return np.kron(rough, np.ones((size, size)))[: shape[0], : shape[1], np.newaxis]


def _reduced(picture: Picture) -> Picture:
    return picture.resize(
        (picture.width // _FINER, picture.height // _FINER), Image.Resampling.LANCZOS
    )


def _picture(levels: NDArray[np.float64]) -> Picture:
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def _save(picture: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
