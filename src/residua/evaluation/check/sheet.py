"""The pictures of a finding on one sheet, a group a row."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from residua.findings.figures import Figure

_CELL, _TEXT, _GAP = 132, 14, 6
_MOST_LETTERS = 22


def contact_sheet(figure: Figure) -> Image.Image:
    """Draw every group of `figure` as a row: its caption, and its pictures with theirs below.

    >>> from residua.findings.figures import Picture
    >>> pair = [Picture.of(np.zeros((8, 8)), "a"), Picture.of(np.ones((8, 8)), "b")]
    >>> contact_sheet(Figure.of([pair])).size
    (276, 184)
    """
    columns = max((len(group.pictures) for group in figure.groups), default=1)
    row_height = _CELL + 2 * _TEXT + 2 * _GAP
    sheet = Image.new(
        "RGB",
        (columns * _CELL + (columns + 1) * 4, max(1, len(figure.groups)) * row_height + _GAP + 6),
        "white",
    )
    pen = ImageDraw.Draw(sheet)
    for row, group in enumerate(figure.groups):
        top = _GAP + row * row_height
        pen.text((4, top), group.caption, fill="black")
        for column, picture in enumerate(group.pictures):
            left = 4 + column * (_CELL + 4)
            pixels = (
                np.repeat(picture.pixels, 3, axis=2)
                if picture.pixels.shape[2] == 1
                else picture.pixels
            )
            small = Image.fromarray(np.ascontiguousarray(pixels))
            enlarged = max(1, (_CELL - 4) // max(small.size))
            sheet.paste(
                small.resize(
                    (small.width * enlarged, small.height * enlarged), Image.Resampling.NEAREST
                ),
                (left, top + _TEXT),
            )
            pen.text((left, top + _TEXT + _CELL), picture.caption[-_MOST_LETTERS:], fill="gray")
    return sheet
