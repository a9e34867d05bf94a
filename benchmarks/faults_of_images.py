"""Faults of images, parts and files, planted at a strength; 0 plants nothing."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from planted_pictures import Pictures, as_bytes, as_set
from residua.evaluation.check import SCALES, image_statistics, measure_masks
from residua.findings import (
    find_class_balance,
    find_different_images,
    find_duplicates,
    find_leakage,
    find_mixed_scale,
    find_mixed_sizes,
    find_scale,
    find_shortcut,
    find_small_defects,
    find_source_changed,
    find_test_reused,
    find_too_few_images,
    find_torn_groups,
    find_ungrouped,
    find_unlike_calibration,
    find_unlike_parts,
    find_unreadable_files,
)
from residua.images import ImageSet, load_images, resize, search_duplicates
from residua.images.duplicates import leaks_of
from residua.images.group_names import groups_in_names
from residua.images.summary import brightness, looks_of
from residua.metrics import roc_auc_interval
from residua.records import Finding

Rng = np.random.Generator
_PLAIN = ("brightness", "contrast", "sharpness", "compression")


def leakage(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of a third of 600 images (tiles: all of one exposure) is training images, turned,
    or dimmed to 70%.
    """
    x = as_bytes(source.sample(rng, 600, once=True))
    x = x[np.unique(x.reshape(len(x), -1), axis=0, return_index=True)[1]]
    train, new = np.split(x, [2 * len(x) // 3])
    n = round(strength * len(new))
    if n:
        new[:n] = train[:n, ::-1]
        new[: n // 2] = np.rint(0.7 * train[: n // 2])
    images = ImageSet.from_arrays(np.concatenate([train, new]))
    leaks, _ = leaks_of(
        search_duplicates(images), np.arange(len(images)) < len(train), images.paths
    )
    return find_leakage(leaks)


def duplicates(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 400 images (tiles: all of one exposure) once more, a little brighter; a warning
    is due above a tenth.
    """
    x = source.sample(rng, 400, once=True)
    n = round(strength * len(x))
    images = as_set(np.concatenate([x, 0.8 * x[:n] + 0.05])) if n else as_set(x)
    return find_duplicates(search_duplicates(images).members(), images.paths)


def mixed_scale(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 500 images divided by 255 once more."""
    x = source.sample(rng, 500).copy()
    x[: round(len(x) * strength)] /= 255
    return find_mixed_scale(x.max(axis=(1, 2)), "float32")


def scale(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Reconstructions that many times as large as the images."""
    x = source.sample(rng, 100)
    rebuilt = np.clip(x + 0.02 * rng.normal(size=x.shape), 0, 1)
    return find_scale(x, rebuilt * strength if strength else rebuilt)


def mixed_sizes(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Half of the images stretched in width by that share."""
    height, width = source.images.shape[1:]
    sizes = np.repeat([[height, width], [height, round(width * (1 + strength))]], 50, axis=0)
    return find_mixed_sizes(sizes)


def small_defects(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 40 drawn lines is 1 pixel wide for the network, the rest 10."""
    x = resize(source.sample(rng, 40), (256, 256))
    rows, columns = np.mgrid[:256, :256] - 128
    masks = []
    for place in range(len(x)):
        angle = rng.uniform(0, np.pi)
        across = np.abs(np.sin(angle) * columns - np.cos(angle) * rows)
        along = np.abs(np.cos(angle) * columns + np.sin(angle) * rows)
        width = 4 if place < strength * len(x) else 40
        masks.append((across < width / 2) & (along < 60))
    found = measure_masks([ImageSet.from_arrays(as_bytes(x), masks=masks)])
    return find_small_defects(found.widths, found.sizes, (64, 64))


def class_balance(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That many of the classes have no image in test."""
    kinds, counts = np.unique(source.kinds, return_counts=True)
    train = dict(zip(kinds.tolist(), (counts // 2).tolist(), strict=True))
    test = {kind: 0 if row < strength else n for row, (kind, n) in enumerate(train.items())}
    return find_class_balance({"train": train, "test": test})


def shortcut_by_light(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """The images called anomalous are of the same class, and brighter by that much of the whole
    range.
    """
    x, labels = _two_kinds(source, rng)
    x[labels] = np.clip(x[labels] * (1 - strength) + strength, 0, 1)
    return _shortcut(as_set(x), labels)


def shortcut_by_dark(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """The images called anomalous are of the same class, and dimmed by that share."""
    x, labels = _two_kinds(source, rng)
    x[labels] *= 1 - strength
    return _shortcut(as_set(x), labels)


def shortcut_by_jpeg(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """The images called anomalous are of other classes than the normal one, stored as JPEG at a
    quality 100 less that.
    """
    normal = str(rng.choice(np.unique(source.kinds)))
    two = source.sample(rng, 200, kind=normal), source.sample(rng, 200, other_than=normal)
    x, labels = np.concatenate(two), np.repeat([False, True], [len(one) for one in two])
    several = list(as_bytes(x))
    several = [
        _encoded(one, round(100 - strength)) if bad and strength else one
        for one, bad in zip(several, labels, strict=True)
    ]
    return _shortcut(ImageSet.from_arrays(several), labels)


def shortcut_by_size(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of the images called anomalous is a pixel wider; all are of the same class."""
    x, labels = _two_kinds(source, rng)
    height, width = x.shape[1:]
    wider = labels & (rng.random(len(x)) < strength)
    several = [
        resize(one[..., np.newaxis], (height, width + int(more)))
        for one, more in zip(as_bytes(x), wider, strict=True)
    ]
    return _shortcut(ImageSet.from_arrays(several), labels)


def _two_kinds(source: Pictures, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    x = source.sample(rng, 300, kind=source.normal)
    return x, np.arange(len(x)) < len(x) // 3


def _shortcut(images: ImageSet, labels: np.ndarray) -> Finding | None:
    statistics = image_statistics(images)
    return find_shortcut(
        {name: column for name, column in statistics.items() if name not in SCALES}, labels
    )


def _encoded(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def unlike_parts_by_light(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """A test part dimmed by that share."""
    return _parts(source, rng, lambda test: (1 - strength) * test)


def unlike_parts_by_blur(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """A test part blurred by that many pixels, and a twentieth as much noise."""
    return _parts(
        source,
        rng,
        lambda test: (
            gaussian_filter(test, (0, strength, strength))
            + 0.05 * strength * rng.normal(size=test.shape)
        ),
    )


def _parts(source: Pictures, rng: Rng, change) -> Finding | None:  # type: ignore[no-untyped-def]
    train, calibration, test = source.normals(rng, 0.5, 0.25, 0.25)
    parts = {"train": train, "calibration": calibration, "test": np.clip(change(test), 0, 1)}
    columns = {part: image_statistics(as_set(x)) for part, x in parts.items()}
    return find_unlike_parts(
        {part: {name: found[name] for name in _PLAIN} for part, found in columns.items()}
    )


def unlike_calibration(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """One new image, brighter by that much of the whole range."""
    calibration, new = source.normals(rng, 0.7, 0.3)
    one = as_bytes(np.clip(new[0] * (1 - strength) + strength, 0, 1))[..., np.newaxis]
    height, width = one.shape[:2]
    shown = {"height": height, "width": width, "channels": 1, "brightness": brightness(one)}
    return find_unlike_calibration(shown, {**looks_of(as_set(calibration)), "channels": 1})


def test_reused(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of the judged images chose the threshold."""
    chosen_on, judged = _distinct(source, rng)
    n = round(strength * len(judged))
    judged[:n] = chosen_on[:n]
    sets = [ImageSet.from_arrays(one) for one in (chosen_on, judged)]
    return find_test_reused(sets[0].pixel_hashes, sets[1].pixel_hashes, sets[1].paths)


def source_changed(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """One pixel changed by one level in that share of the test images."""
    _, before = _distinct(source, rng)
    after = before.copy()
    after[: round(strength * len(after)), 0, 0] ^= 1
    sets = [ImageSet.from_arrays(one) for one in (before, after)]
    gone = len(set(sets[0].pixel_hashes.tolist()) - set(sets[1].pixel_hashes.tolist()))
    prints = (one.fingerprint for one in sets)
    return find_source_changed(*prints, n_missing=0, n_new=0, n_changed=gone)


def different_test_images(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of the test images differs between two runs."""
    n = 200
    shared = n - round(strength * n)
    return find_different_images(shared, {"a": n, "b": n})


def _distinct(source: Pictures, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    x = as_bytes(source.sample(rng, 450))
    x = x[np.unique(x.reshape(len(x), -1), axis=0, return_index=True)[1]][:400]
    return x[:200], x[200:]


def too_few_images(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 200 anomalous test images taken away."""
    return find_too_few_images({"normal": 200, "anomalous": 200 - round(200 * strength)})


def torn_groups(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 100 groups of four images with one image moved to the other side."""
    groups = np.repeat([f"object {i}" for i in range(100)], 4).astype(object)
    parts = np.repeat(["train"] * 70 + ["test"] * 30, 4).astype(object)
    parts[::4][: round(100 * strength)] = "test"
    return find_torn_groups(groups, parts)


def ungrouped(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """60 parts of five views by their names, and that share of the scores' variance of the part."""
    names = [f"part{part:02d}_view{view}.png" for part in range(60) for view in range(5)]
    suspected = groups_in_names(names)
    assert suspected is not None
    part, is_anomalous = suspected.codes, suspected.codes % 2 == 1
    scores = np.sqrt(strength) * rng.normal(size=60)[part] + is_anomalous
    scores += np.sqrt(1 - strength) * rng.normal(size=len(names))
    alone = roc_auc_interval(is_anomalous, scores)
    by_part = roc_auc_interval(is_anomalous, scores, groups=part)
    return find_ungrouped("roc_auc", alone, by_part, because=suspected.because)


def unreadable_files(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 50 PNG files cut off in the middle."""
    with tempfile.TemporaryDirectory() as folder:
        for row, image in enumerate(as_bytes(source.sample(rng, 50))):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            data = file.getvalue()
            Path(folder, f"{row:02d}.png").write_bytes(
                data[: len(data) // 2] if row < round(50 * strength) else data
            )
        images = load_images(folder)
    return find_unreadable_files(
        [(one.path, one.reason) for one in images.quarantined], len(images)
    )
