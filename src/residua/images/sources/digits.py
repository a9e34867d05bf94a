"""The word ``digits``: scikit-learn's bundled 1,797 handwritten digits, 8x8.

Nothing is downloaded.
"""

from __future__ import annotations

import numpy as np

from residua.images.listing import Listing

WORD = "digits"


def read() -> Listing:
    """The digits with 17 grey levels spread over 0 to 255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return Listing(
        kind="bundled digits (scikit-learn)",
        names=[f"digits[{index}]" for index in range(len(pixels))],
        content=pixels,
        labels=bunch.target.astype(np.int64),
        notes=["17 grey levels (0 to 16) were spread over 0 to 255"],
    )
