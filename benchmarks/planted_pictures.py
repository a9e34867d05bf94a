"""Real pictures for planting faults into: clothes, tiles and digits, each at one small size, and
cheap scores for them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from residua.images import ImageSet, load_images, resize

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
_TILE = (48, 32)


@dataclass(frozen=True)
class Pictures:
    """Images of one source, float32 in [0, 1], (n, height, width), their classes, and which class
    is taken for normal.

    ``is_once`` holds each object once: of the tiles, those of one exposure, since every other one
    is a photograph of the same.
    """

    name: str
    images: np.ndarray
    kinds: np.ndarray
    normal: str
    is_once: np.ndarray

    def sample(
        self,
        rng: np.random.Generator,
        n: int,
        *,
        kind: str | None = None,
        other_than: str | None = None,
        once: bool = False,
    ) -> np.ndarray:
        """So many different images, or as many as there are, of one class, of all but one, or of
        all; each object `once`.
        """
        kept = self.is_once.copy() if once else np.ones(len(self.images), np.bool_)
        kept &= True if kind is None else self.kinds == kind
        kept &= self.kinds != other_than
        rows = np.flatnonzero(kept)
        return self.images[rng.choice(rows, min(n, len(rows)), replace=False)]

    def normals(self, rng: np.random.Generator, *shares: float) -> list[np.ndarray]:
        """Normal images cut into parts of these shares; no image is in two."""
        x = self.sample(rng, 900, kind=self.normal)
        return np.split(x, np.rint(np.cumsum(shares)[:-1] * len(x)).astype(int))

    @property
    def n_latent(self) -> int:
        return min(30, self.images[0].size // 4)


@cache
def pictures(name: str) -> Pictures:
    if name == "tiles":
        files = sorted((DATA / "magnetic_tile").glob("MT_*/Imgs/*.jpg"))
        kinds = np.array([file.parts[-3].removeprefix("MT_") for file in files])
        opened = (np.asarray(Image.open(file).convert("L"))[..., np.newaxis] for file in files)
        images = np.stack([resize(image, _TILE)[..., 0] for image in opened])
        return Pictures(
            name,
            images.astype(np.float32) / 255,
            kinds,
            "Free",
            np.array(["exp6" in file.stem for file in files]),
        )
    images = (
        load_images("digits") if name == "digits" else load_images(str(DATA / "fashion_mnist")).test
    )
    x = images.array()[..., 0].astype(np.float32) / 255
    return Pictures(
        name,
        x,
        np.array([str(label) for label in images.labels.tolist()]),
        "3" if name == "digits" else "6",
        np.ones(len(x), np.bool_),
    )


def as_set(x: np.ndarray) -> ImageSet:
    return ImageSet.from_arrays(as_bytes(x))


def as_bytes(x: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8)


def rebuild(train: np.ndarray, k: int, x: np.ndarray) -> np.ndarray:
    """What a linear autoencoder of k numbers, fitted on `train`, makes of `x`."""
    model = PCA(k, svd_solver="randomized", random_state=0).fit(train.reshape(len(train), -1))
    return model.inverse_transform(model.transform(x.reshape(len(x), -1))).reshape(x.shape)


def pca_errors(train: np.ndarray, k: int, *others: np.ndarray) -> list[np.ndarray]:
    model = PCA(k, svd_solver="randomized", random_state=0).fit(train.reshape(len(train), -1))
    flat = [one.reshape(len(one), -1) for one in others]
    return [
        np.square(one - model.inverse_transform(model.transform(one))).mean(axis=1) for one in flat
    ]


def neighbour_scores(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Distance to the nearest training image."""
    model = NearestNeighbors(n_neighbors=1).fit(train.reshape(len(train), -1))
    return [model.kneighbors(one.reshape(len(one), -1))[0][:, 0] for one in others]


def ranks(scores: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(scores)) / len(scores)
