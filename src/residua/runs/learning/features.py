"""`features.npz`: what a run's normal images are learnt by, so that `learn` needs no source.

Written by every fit of a detector, within 64 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua._files import atomic_write, read_arrays
from residua._text import count
from residua.errors import BundleError
from residua.images import ImageSet
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder
from residua.training.bundle import Bundle
from residua.training.fitting.splits import sample_rows
from residua.training.scoring.engine import see_images
from residua.training.scoring.learned_score import Seen

MOST_BYTES = 64 * 2**20
_MOST, _KEPT = {"train": 200, "held out": 2000}, ("fitted", "validation")
"""Images of a part whose features are kept; of the calibration part all are."""
PARTS = ("train", "held out", "calibration", "good", "defect", "made", "shown")
_MADE_ON, _MADE = 32, ("defect", "warped")
"""Normal images on which defects are made, and kinds of these; see `make_anomalies`."""


@dataclass(frozen=True)
class StoredFeatures:
    """What images are learnt by, a row per image.

    ``parts`` name each image's use, one of `PARTS`; ``pixels`` are the hashes of its pixels;
    ``groups`` tell which corrected images belong together, by number; ``kinds`` name the kinds of
    defects, empty where nobody did. ``teaches`` has the shape of the scores: which tiles of a
    corrected image teach.
    """

    seen: Seen
    parts: NDArray[Any]
    pixels: NDArray[Any]
    groups: NDArray[np.int64]
    kinds: NDArray[Any]
    teaches: NDArray[np.bool_]

    @classmethod
    def of_images(
        cls,
        bundle: Bundle,
        images: ImageSet,
        part: str,
        *,
        made: str | None = None,
        by_masks: bool = False,
    ) -> StoredFeatures:
        """Those of `images`, computed by the model's graph; or of anomalies of the kind `made`
        on each of them, or on one tile of each; `by_masks` see `see_images`.
        """
        framing = bundle.config.framing
        cut = framing.cut_all(images)  # tiles, or the box around a region
        places = [framing.places(*size) for size in images.sizes.tolist()]
        rows = np.repeat(np.arange(len(images)), [len(some) for some in places])
        at = np.concatenate([*places, np.zeros(0)]).astype(np.int64)
        if made is not None and bundle.config.tiling is not None:
            first = np.searchsorted(rows, np.arange(len(images)))
            one = first + [row % len(some) for row, some in enumerate(places)]
            cut, rows, at = cut[one], rows[one], at[one]
        seen = see_images(
            bundle.graph,
            cut,
            batch_size=bundle.config.batch_size,
            made=made,
            by_masks=by_masks,
        )
        if bundle.config.tiling is not None:
            seen = _by_image(seen, rows, at, (len(images), framing.tiling.n_places))
        codes = images.group_codes
        groups = np.arange(len(images)) if codes is None else codes
        parts = np.full(len(images), part, object)
        kinds = np.full(len(images), "", object)
        teaches = ~np.isnan(seen.score.numpy())
        return cls(seen, parts, images.pixel_hashes.astype(object), groups, kinds, teaches)

    @classmethod
    def of_fit(cls, bundle: Bundle, parts: Mapping[str, ImageSet]) -> StoredFeatures:
        """Those of a fit's calibration and held-out images, of 200 training images and of defects
        that are made on some of them; `parts` are its parts by name.
        """
        named = {"train": "fitted", "held out": "validation", "calibration": "calibration"}
        there = {
            part: images[sample_rows(len(images), _most(bundle, part, len(images)), 0)]
            for part, name in named.items()
            if (images := parts.get(name)) is not None and len(images)
        }
        found = [cls.of_images(bundle, images, part) for part, images in there.items()]
        held = [there[part] for part in ("held out", "train") if part in there]
        if held:
            base = next((images for images in held if len(images) >= _MADE_ON), held[-1])[:_MADE_ON]
            found += [cls.of_images(bundle, base, "made", made=kind) for kind in _MADE]
        return joined(found)

    def __len__(self) -> int:
        return len(self.parts)

    def rows(self, chosen: NDArray[Any]) -> StoredFeatures:
        """These images alone, by a mask or by numbers."""
        seen = self.seen.rows(torch.from_numpy(chosen))
        columns = (self.parts, self.pixels, self.groups, self.kinds, self.teaches)
        return StoredFeatures(seen, *(column[chosen] for column in columns))

    def of(self, *parts: str) -> StoredFeatures:
        """The images of these parts, in order."""
        return self.rows(np.isin(self.parts.astype(str), parts))

    def as_part(self, part: str) -> StoredFeatures:
        """The same images under another use."""
        return replace(self, parts=np.full(len(self), part, object))

    def save(self, folder: RunFolder) -> None:
        """Write the file beside the bundle that it belongs to."""
        columns: dict[str, Any] = {
            **{name: values.numpy() for name, values in self.seen._asdict().items()},
            "part": np.array([PARTS.index(part) for part in self.parts], np.uint8),
            "pixels": self.pixels.astype(str),
            "groups": self.groups,
            "kinds": self.kinds.astype(str),
            "teaches": self.teaches,
            "weights": np.array(folder.weights_sha256()),
        }
        with atomic_write(_path(folder)) as file:
            np.savez(file, **columns)

    @classmethod
    def load(cls, folder: RunFolder) -> StoredFeatures | None:
        """What `save` wrote; None where there is nothing, or it is of another model.

        Raises
        ------
        BundleError
            If the file is damaged.
        """
        if not _path(folder).exists():
            return None
        columns = read_arrays(_path(folder))
        try:
            if str(columns["weights"]) != folder.weights_sha256():
                return None
            seen = Seen(*(torch.from_numpy(columns[name]) for name in Seen._fields))
            parts = np.array([PARTS[number] for number in columns["part"]], object)
            # Files of earlier versions have no kinds, and of whole images all is taught.
            kinds = columns.get("kinds", np.full(len(parts), "")).astype(object)
            teaches = columns.get("teaches", np.ones(seen.score.shape, np.bool_))
            pixels = columns["pixels"].astype(object)
            found = cls(seen, parts, pixels, columns["groups"], kinds, teaches)
        except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
            raise _damaged(folder) from error
        if not _holds(found):
            raise _damaged(folder)
        return found


def joined(some: list[StoredFeatures]) -> StoredFeatures:
    """All of them, one below the other; groups of one stay apart from those of another."""
    if not some:
        nothing = Seen(torch.zeros(0), torch.zeros(0, 1), torch.zeros(0, 1))
        none = np.zeros(0, object)
        return StoredFeatures(nothing, none, none, np.zeros(0, int), none, np.zeros(0, np.bool_))
    groups, first = [], 0
    for one in some:
        groups.append(one.groups + first)
        first += int(one.groups.max(initial=-1)) + 1
    return StoredFeatures(
        Seen(*(torch.cat(parts) for parts in zip(*(one.seen for one in some), strict=True))),
        np.concatenate([one.parts for one in some]),
        np.concatenate([one.pixels for one in some]),
        np.concatenate(groups),
        np.concatenate([one.kinds for one in some]),
        np.concatenate([one.teaches for one in some]),
    )


def _by_image(seen: Seen, rows: NDArray[Any], at: NDArray[Any], shape: tuple[int, int]) -> Seen:
    """Features of tiles, a row per image; NaN where no tile is seen."""

    def whole(values: torch.Tensor) -> torch.Tensor:
        filled = torch.full((*shape, *values.shape[1:]), torch.nan)
        filled[torch.from_numpy(rows), torch.from_numpy(at)] = values
        return filled

    return Seen(*map(whole, seen))


def _most(bundle: Bundle, part: str, n: int) -> int:
    """Images of a part whose features are kept; fewer where each has many tiles."""
    most = _MOST.get(part)
    return n if most is None else max(_MADE_ON, most // bundle.config.framing.tiling.n_places)


def joined_groups(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
    """Groups that hold together what either of two groupings holds together, by number.

    Examples
    --------
    >>> joined_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 3])).tolist()
    [0, 0, 0, 1]
    """
    groups = np.unique(first, return_inverse=True)[1]
    for _ in range(len(groups)):
        lowest = groups.copy()
        for codes in (first, second):
            places = np.unique(codes, return_inverse=True)[1]
            least = np.full(len(places), len(places))
            np.minimum.at(least, places, lowest)
            lowest = least[places]
        if np.array_equal(lowest, groups):
            break
        groups = lowest
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.int64)


def keep_features(
    folder: RunFolder, bundle: Bundle, parts: Mapping[str, ImageSet], watcher: Watcher
) -> None:
    """Compute and store the features of a detector's fit, unless they would take too much."""
    if bundle.config.job != "detect":
        return
    calibration = parts.get("calibration")
    if calibration is not None and len(calibration):
        one = StoredFeatures.of_images(bundle, calibration[:1], "calibration")
        n_images = len(calibration) + sum(
            min(_most(bundle, part, 0), len(parts[name]))
            for part, name in zip(_MOST, _KEPT, strict=True)
        )
        n_images += len(_MADE) * _MADE_ON
        n_bytes = 4 * sum(values[0].numel() for values in one.seen) * n_images
        if n_bytes > MOST_BYTES:
            watcher.note(
                f"the features of {count(n_images, 'image')} would take {n_bytes / 2**20:,.0f} MB"
                " and are not stored: `residua learn` will read the source"
            )
            return
    StoredFeatures.of_fit(bundle, parts).save(folder)


def _holds(found: StoredFeatures) -> bool:
    """Whether all columns are of the same images, and hold finite numbers of their kind."""
    named: list[Any] = [found.parts, found.pixels, found.groups, found.kinds, *found.seen]
    lengths = {len(column) for column in named}
    score, *vectors = found.seen
    is_seen = ~score.isnan()
    return (
        len(lengths) == 1
        and score.ndim in (1, 2)
        and all(v.shape[:-1] == score.shape for v in vectors)
        and all(v.dtype == torch.float32 for v in found.seen)
        and all(bool(v[is_seen].isfinite().all()) for v in found.seen)
        and found.teaches.shape == score.shape
        and found.teaches.dtype == np.bool_
        and bool(is_seen.any(-1).all())
        and found.pixels.ndim == found.kinds.ndim == 1
        and found.groups.ndim == 1
        and found.groups.dtype == np.int64
    )


def _path(folder: RunFolder) -> Path:
    return folder.path / "features.npz"


def _damaged(folder: RunFolder) -> BundleError:
    return BundleError(
        f"{_path(folder)}: must be what `residua fit` wrote. It is not. Delete it: `residua learn`"
        " then reads the source."
    )
