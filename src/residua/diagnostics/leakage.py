"""Images that the model was trained on, among those it is judged on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.records import Finding

CODE = "leakage"


def find_leakage(train_hashes: NDArray[Any], hashes: NDArray[Any], paths: NDArray[Any]) -> Finding | None:
    """Say which judged images have exactly the pixels of a training image; hashes as `ImageSet.pixel_hashes` gives them.

    Examples
    --------
    >>> seen = np.array(["a1", "b2"], object)
    >>> find_leakage(seen, np.array(["b2", "c3"], object), np.array(["x.png", "y.png"], object)).measured["n_leaked"]
    1
    """
    if len(hashes) == 0 or len(train_hashes) == 0:
        return None
    leaked = np.isin(hashes.astype(str), train_hashes.astype(str))
    n_leaked = int(leaked.sum())
    if n_leaked == 0:
        return Finding(
            code=CODE,
            severity="ok",
            measured={"n_leaked": 0, "n_images": len(hashes)},
            meaning=f"None of the {len(hashes):,} images judged here has exactly the pixels of a training image.",
            what_to_do="",
        )
    return Finding(
        code=CODE,
        severity="error" if n_leaked > 0.01 * len(hashes) else "warning",
        measured={"n_leaked": n_leaked, "n_images": len(hashes), "examples": [str(path) for path in paths[leaked][:5]]},
        meaning=f"{n_leaked:,} of the {len(hashes):,} images judged here have exactly the pixels of a training image: "
        "on those the model is asked what it was told, so errors look lower than they will be.",
        what_to_do="Take the copies out of one of the parts, or name a group for them in a manifest, and fit again.",
    )
