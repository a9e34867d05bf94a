"""Photographs of parts with labels and masks, and the folders, files, masks and manifests in which
people keep them.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

Picture = np.ndarray


@dataclass(frozen=True)
class Part:
    """One photograph, grey bytes (h, w), its label, and the mask of its defect."""

    name: str
    label: str
    picture: Picture
    mask: Picture | None = None
    written: Picture | None = None

    @property
    def mask_as_written(self) -> Picture | None:
        """The mask that lies on disk: the true one unless somebody mixed them up."""
        return self.mask if self.written is None else self.written


@dataclass(frozen=True)
class Folder:
    """Parts, and how they are kept: layout, image files, pixels of masks, what lies beside, and a
    manifest's dialect.
    """

    parts: tuple[Part, ...]
    layout: str = "class folders"
    image: str = "png"
    mask: str = "0 and 255"
    beside: tuple[str, ...] = ()
    manifest: dict[str, str] = field(default_factory=dict)

    def write(self, place: Path) -> Path:
        """Write all files; gives the SOURCE to load."""
        for name in self.beside:
            BESIDE[name](place)
        return LAYOUTS[self.layout](self, place)


@dataclass(frozen=True)
class FolderDisguise:
    """One way to keep parts; `words`: one of them must stand where the reader or `check` names
    it.
    """

    name: str
    facet: str
    wear: Callable[[Folder], Folder]
    words: tuple[str, ...]


def draw_folder(random: np.random.Generator) -> Folder:
    """Fourteen good parts and ten with a crack: a grey ring on a plate, with a dark spot as
    defect.
    """
    side = int(random.choice([32, 40]))
    return Folder(tuple(_part(random, row, side, row >= 14) for row in range(24)))


def _part(random: np.random.Generator, row: int, side: int, is_bad: bool) -> Part:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    shift = random.uniform(-2, 2, 2)
    radius = np.hypot(y - shift[0], x - shift[1])
    picture = (
        110
        + 60 * np.exp(-(((radius - side * 0.3) / (side * 0.06)) ** 2))
        + random.normal(0, 6, (side, side))
    )
    mask = np.zeros((side, side), np.bool_)
    if is_bad:
        angle = random.uniform(0, 2 * np.pi)
        mask = np.hypot(y - side * 0.3 * np.sin(angle), x - side * 0.3 * np.cos(angle)) < side * 0.1
        picture[mask] = 20
    return Part(
        f"{row:03d}",
        "crack" if is_bad else "good",
        np.clip(picture, 0, 255).astype(np.uint8),
        mask if is_bad else None,
    )


# Files of images
# ----


def _save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


IMAGES: dict[str, tuple[str, Callable[[Picture], Image.Image]]] = {
    "png": (".png", Image.fromarray),
    "jpg": (".jpg", Image.fromarray),
    "capital JPG": (".JPG", Image.fromarray),
    "bmp": (".bmp", Image.fromarray),
    "colour": (".png", lambda x: Image.fromarray(np.repeat(x[..., None], 3, axis=2))),
    "opaque alpha": (".png", lambda x: Image.fromarray(np.dstack([x, x, x, np.full_like(x, 255)]))),
    "12 bits in 16": (
        ".tif",
        lambda x: Image.fromarray((x.astype(np.float64) * 4095 / 255).round().astype(np.uint16)),
    ),
    "10 bits in 16": (
        ".png",
        lambda x: Image.fromarray((x.astype(np.float64) * 1023 / 255).round().astype(np.uint16)),
    ),
    "16 bits": (".png", lambda x: Image.fromarray(x.astype(np.uint16) * 257)),
}


def _picture(folder: Folder, part: Part, stem: Path) -> Path:
    suffix, made = IMAGES[folder.image]
    return _save(
        made(part.picture),
        stem.with_name(stem.name + suffix),
        **({"quality": 95} if "jpg" in suffix.lower() else {}),
    )


# Masks
# ----


def _coloured(front: tuple[int, ...], back: tuple[int, ...]) -> Callable[[Picture], Image.Image]:
    return lambda mask: Image.fromarray(np.where(mask[..., None], np.uint8(front), np.uint8(back)))


MASKS: dict[str, tuple[str, Callable[[Picture], Image.Image]]] = {
    "0 and 255": (".png", lambda m: Image.fromarray(m.astype(np.uint8) * 255)),
    "0 and 1": (".png", lambda m: Image.fromarray(m.astype(np.uint8))),
    "red on black": (".png", _coloured((255, 0, 0), (0, 0, 0))),
    "red on white": (".png", _coloured((255, 0, 0), (255, 255, 255))),
    "black on white": (".png", lambda m: Image.fromarray((~m).astype(np.uint8) * 255)),
    "yellow on purple": (".png", _coloured((253, 231, 37), (68, 1, 84))),
    "paint on transparent": (
        ".png",
        lambda m: Image.fromarray(
            np.dstack([np.zeros((*m.shape, 3), np.uint8), m * np.uint8(255)])
        ),
    ),
    "jpeg fringe": (".jpg", lambda m: Image.fromarray(m.astype(np.uint8) * 255)),
    "16 bits": (".png", lambda m: Image.fromarray(m.astype(np.uint16) * 65535)),
    "floats": (".tif", lambda m: Image.fromarray(m.astype(np.float32))),
    "one bit": (".png", lambda m: Image.fromarray(m.astype(np.uint8) * 255).convert("1")),
    "half as large": (".png", lambda m: Image.fromarray(m.astype(np.uint8)[::2, ::2] * 255)),
    "empty": (".png", lambda m: Image.fromarray(m.astype(np.uint8) * 0)),
}


def _mask(folder: Folder, part: Part, stem: Path) -> Path | None:
    if part.mask is None:
        return None
    suffix, made = MASKS[folder.mask]
    return _save(made(part.mask_as_written), stem.with_name(stem.name + suffix))


# Layouts
# ----


def _class_folders(mask_folder: str | None) -> Callable[[Folder, Path], Path]:
    def write(folder: Folder, place: Path) -> Path:
        for part in folder.parts:
            _picture(folder, part, place / part.label / part.name)
            if mask_folder is not None:
                _mask(folder, part, place / mask_folder / part.label / part.name)
        return place

    return write


def _parts(good: str, bad: str, truth: str, suffix: str) -> Callable[[Folder, Path], Path]:
    """``train/good``, ``test/good``, ``test/crack`` and masks in a folder of their own."""

    def write(folder: Folder, place: Path) -> Path:
        for row, part in enumerate(folder.parts):
            side = "train" if row < 9 else "test"
            _picture(
                folder, part, place / side / (good if part.label == "good" else bad) / part.name
            )
            _mask(folder, part, place / truth / bad / (part.name + suffix))
        return place

    return write


def _several_masks(folder: Folder, place: Path) -> Path:
    for row, part in enumerate(folder.parts):
        _picture(folder, part, place / ("train" if row < 9 else "test") / part.label / part.name)
        if part.mask is not None:
            half = part.mask.shape[1] // 2
            for number, columns in enumerate((slice(0, half), slice(half, None))):
                piece = np.zeros_like(part.mask)
                piece[:, columns] = part.mask_as_written[:, columns]
                _mask(
                    folder,
                    replace(part, mask=piece, written=None),
                    place / "ground_truth" / part.label / part.name / f"{number:03d}",
                )
    return place


def _beside(suffix: str, in_classes: bool) -> Callable[[Folder, Path], Path]:
    def write(folder: Folder, place: Path) -> Path:
        for part in folder.parts:
            home = place / (part.label if in_classes else "all")
            _picture(folder, part, home / part.name)
            _mask(folder, part, home / (part.name + suffix))
        return place

    return write


def _dagm(folder: Folder, place: Path) -> Path:
    for row, part in enumerate(folder.parts):
        side = "Train" if row % 2 else "Test"
        _picture(folder, part, place / side / part.name)
        _mask(folder, part, place / side / "Label" / (part.name + "_label"))
    return place


def _visa(folder: Folder, place: Path) -> Path:
    for part in folder.parts:
        name = "Normal" if part.label == "good" else "Anomaly"
        _picture(folder, part, place / "Data" / "Images" / name / part.name)
        _mask(folder, part, place / "Data" / "Masks" / name / part.name)
    return place


def _manifest(folder: Folder, place: Path) -> Path:
    style = {
        "separator": ",",
        "path": "path",
        "label": "label",
        "mask": "mask",
        "encoding": "utf-8",
        **folder.manifest,
    }
    separator = style["separator"]
    rows = []
    for row, part in enumerate(folder.parts):
        image = _picture(folder, part, place / "img" / part.name).relative_to(place).as_posix()
        mask = _mask(folder, part, place / "masks" / part.name)
        told = [image, part.label, "" if mask is None else mask.relative_to(place).as_posix()]
        if style.get("slashes"):
            told = [cell.replace("/", "\\") for cell in told]
        rows.append([str(row), *told] if style.get("index") else told)
    if style.get("twice"):
        rows.append(rows[0])
    head = [style["path"], style["label"], style["mask"]]
    lines = [
        separator.join(cells) for cells in [["", *head] if style.get("index") else head, *rows]
    ]
    text = style.get("first", "") + "\n".join(lines) + "\n" + style.get("last", "")
    (place / "set.csv").write_bytes(text.encode(style["encoding"]))
    return place / "set.csv"


_MASK_FOLDERS = ("mask", "masks", "gt", "ground_truth", "labels", "annotations")
LAYOUTS: dict[str, Callable[[Folder, Path], Path]] = {
    "class folders": _class_folders(None),
    **{f"{name}/ beside the classes": _class_folders(name) for name in _MASK_FOLDERS},
    "MVTec": _parts("good", "crack", "ground_truth", "_mask"),
    "ok and ko": _parts("ok", "ko", "ground_truth", ""),
    "MVTec with masks/": _parts("good", "crack", "masks", ""),
    "several masks an image": _several_masks,
    "_label beside the image": _beside("_label", in_classes=True),
    "_GT beside the image": _beside("_GT", in_classes=False),
    "Train/Label": _dagm,
    "Images and Masks": _visa,
    "manifest": _manifest,
}


# What lies beside
# ----


def _tar(place: Path) -> None:
    inner = place / "inner.png"
    _save(Image.fromarray(np.zeros((8, 8), np.uint8)), inner)
    with tarfile.open(place / "old.tar", "w") as archive:
        archive.add(inner, "0.png")
    inner.unlink()


def _parquet(place: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"path": ["a"], "score": [1.0]}), place / "scores.parquet")


def _thumbnails(place: Path) -> None:
    _save(
        Image.fromarray(np.full((8, 8), 90, np.uint8)),
        place / "@eaDir" / "000.png" / "SYNOPHOTO_THUMB_M.jpg",
    )


BESIDE: dict[str, Callable[[Path], None]] = {
    "old.tar": _tar,
    "scores.parquet": _parquet,
    "features.npz": lambda place: np.savez(place / "features.npz", f=np.zeros((3, 4))),
    "a broken IDX file": (
        lambda place: (place / "train-images-idx3-ubyte").write_bytes(b"x" * 20) and None
    ),
    "@eaDir": _thumbnails,
    "notes and caches": lambda place: (
        [(place / name).write_bytes(b"x") for name in ("Thumbs.db", ".DS_Store", "README.md")]
        and None
    ),
}


def _in(**changes: object) -> Callable[[Folder], Folder]:
    return lambda folder: replace(folder, **changes)


def _mixed_up(change: Callable[[list[Picture]], list[Picture]]) -> Callable[[Folder], Folder]:
    """Other masks on disk than the true ones, in the MVTec layout unless another comes after."""

    def wear(folder: Folder) -> Folder:
        others = iter(change([part.mask for part in folder.parts if part.mask is not None]))
        parts = tuple(
            part if part.mask is None else replace(part, written=next(others))
            for part in folder.parts
        )
        return replace(folder, parts=parts)

    return wear


def _layout(name: str) -> FolderDisguise:
    return FolderDisguise(name, "layout", _in(layout=name), ("mask", "manifest", "label"))


def _dialect(name: str, **style: str) -> FolderDisguise:
    return FolderDisguise(
        f"manifest: {name}",
        "layout",
        _in(layout="manifest", manifest=style),
        ("column", "row", "twice", "path"),
    )


FOLDER_DISGUISES: tuple[FolderDisguise, ...] = (
    *(_layout(name) for name in LAYOUTS if name not in ("class folders", "manifest")),
    *(
        FolderDisguise(f"images: {name}", "image", _in(image=name), ("bit", "scale", "dark"))
        for name in IMAGES
        if name != "png"
    ),
    *(
        FolderDisguise(f"masks: {name}", "mask", _in(mask=name), ("mask",))
        for name in MASKS
        if name != "0 and 255"
    ),
    FolderDisguise(
        "masks: of the next image",
        "mask",
        _mixed_up(lambda masks: [*masks[1:], masks[0]]),
        ("mask",),
    ),
    FolderDisguise(
        "masks: mirrored",
        "mask",
        _mixed_up(lambda masks: [mask[:, ::-1] for mask in masks]),
        ("mask",),
    ),
    *(FolderDisguise(f"beside: {name}", "beside", _in(beside=(name,)), (name,)) for name in BESIDE),
    _dialect("plain"),
    _dialect("semicolons", separator=";"),
    _dialect("tabs", separator="\t"),
    _dialect("a byte order mark", encoding="utf-8-sig"),
    _dialect("UTF-16", encoding="utf-16", separator="\t"),
    _dialect("Excel's first line", first="sep=,\n"),
    _dialect("backslashes", slashes="yes"),
    _dialect("filename and class", path="filename", label="class", mask="mask_path"),
    _dialect("image_path and category", path="image_path", label="category"),
    _dialect("an index", index="yes"),
    _dialect("a row twice", twice="yes"),
    _dialect("blank rows", last=",,\n,,\n"),
)
