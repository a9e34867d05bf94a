"""Exported files as engines: ONNX Runtime and OpenVINO. Neither loads torch."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_unit
from residua.engines.card import Card, check_fresh, read_card
from residua.engines.interface import Engine, Scores, check_channels
from residua.engines.kinds import parse_engine
from residua.engines.onnx_file import open_session
from residua.engines.tiled import whole
from residua.errors import BundleError, InputError, MissingExtraError
from residua.images.columns import grouped
from residua.images.resize import fit_to
from residua.metrics import mae, mse, ssim

_ALWAYS = ("score", "anomalous")
# Of one axis: a file makes them all, and with what makes them they take three times 256 MiB.
_MOST_WEIGHTS = 1 << 26
_MEASURED = ("mse", "mae", "ssim")


def load_engine(
    folder: str | Path, name: str, *, bundle: str | Path | None = None, threads: int | None = None
) -> Engine:
    """The engine called `name` from a folder of exports (``RUN/export``).

    With `bundle`, refused where it is out of date.

    Raises BundleError if it was not exported, is damaged or out of date. Raises MissingExtraError
    if its runtime is not installed. Raises InputError if there is no such engine, or it is one of
    PyTorch's, which has no file.
    """
    kind = parse_engine(name)
    if not kind.files:
        raise InputError(
            f"engine: must be one that is exported to a file. Got {name}. Name onnx or openvino."
        )
    card = read_card(Path(folder), kind)
    if bundle is not None:
        check_fresh(card, Path(bundle))
    return open_file(card, Path(folder) / kind.files[0], threads=threads)


def open_file(card: Card, path: Path, *, threads: int | None = None) -> Engine:
    """The engine of one file; it takes whole images, also where the file scores tiles of them."""
    engine = OnnxEngine if card.runtime == "onnx" else OpenVinoEngine
    return whole(engine(card, path, threads or free_threads()), card)


def free_threads() -> int:
    """Processors that nothing else wants just now, at least one and at most ``OMP_NUM_THREADS``.

    A score's last digits may depend on the number of threads; verification allows for that,
    training could not.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    asked = os.environ.get("OMP_NUM_THREADS", "")
    most = int(asked) if asked.isdigit() and int(asked) > 0 else cores
    return max(1, min(most, cores, round(cores - busy)))


class ExportedEngine(ABC):
    """An exported graph as an engine; images of one size go through together."""

    def __init__(self, card: Card) -> None:
        self.card, self.name, self.batch_size = card, card.engine, card.batch_size

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images; `columns` come from outside the graph, unless it has them."""
        check_channels((image.shape[-1] for image in images), self.card.channels)
        for height, width in {image.shape[:2] for image in images}:
            self._check_extent(height, width)
        wanted = self._wanted(maps=maps, reconstructions=reconstructions, columns=columns)
        groups, n, size = list(_rows_by_size(images, self.batch_size)), len(images), self.card.size
        made: dict[str, NDArray[Any]] = {}
        prepared = (
            np.zeros((n, *size, self.card.channels), np.float32)
            if columns and not self._measures
            else None
        )
        found: dict[int, NDArray[np.float32]] = {}
        for rows in groups:
            stack = self._entry(_stacked(images, rows))
            out = self.run(stack, wanted)
            found.update(zip(rows, out.pop("error_map", ()), strict=False))
            if len(groups) == 1:
                made = out
            for name, values in out.items() if len(groups) > 1 else ():
                made.setdefault(name, np.zeros((n, *values.shape[1:]), values.dtype))[rows] = values
            if prepared is not None:
                prepared[rows] = fit_to(stack, size, keep_aspect=self.card.aspect == "keep")
        rebuilt = made.get("reconstruction")
        if rebuilt is None and (
            columns or reconstructions
        ):  # as the reference says of a classifier without a decoder
            rebuilt = np.full((n, *size, self.card.channels), np.nan, np.float32)
        return Scores(
            made.get("score", np.zeros(0, np.float32)),
            made.get("anomalous", np.zeros(0, np.bool_)),
            self._columns(made, prepared, rebuilt) if columns else {},
            (
                [
                    found.get(row, np.full(image.shape[:2], np.nan, np.float32))
                    for row, image in enumerate(images)
                ]
                if maps
                else None
            ),
            rebuilt if reconstructions else None,
            made.get(
                "probabilities",
                None
                if self.card.columns is None
                else np.zeros((0, len(self.card.columns)), np.float32),
            ),
        )

    def _check_extent(self, height: int, width: int) -> None:
        """Refuse long sides at kept proportions: they would take gigabytes of weights."""
        area = self.card.size[0] * self.card.size[1]
        n_weights = max(height, width) ** 2 * (area / max(1, height * width)) ** 0.5
        if self.card.aspect == "area" and n_weights > _MOST_WEIGHTS:
            raise InputError(
                f"{self.name}: the exported model takes no image that is so long and so narrow. "
                f"Got {width:,} x {height:,} pixels. Score it with --engine torch, or cut it up."
            )

    @property
    def _measures(self) -> bool:
        """Whether the file gives the errors itself; those of stretched pictures are others."""
        return "mse" in self.card.outputs

    def _wanted(self, *, maps: bool, reconstructions: bool, columns: bool) -> list[str]:
        pictures = ["error_map"] * maps + ["reconstruction"] * (
            reconstructions or (columns and not self._measures)
        )
        asked = (*_ALWAYS, *pictures, *(_MEASURED if columns else ()), "probabilities")
        return [name for name in asked if name in self.card.outputs]

    def _columns(
        self,
        made: dict[str, NDArray[Any]],
        prepared: NDArray[np.float32] | None,
        rebuilt: NDArray[np.float32] | None,
    ) -> dict[str, NDArray[np.float32]]:
        return (
            error_columns(prepared, rebuilt)
            if prepared is not None and rebuilt is not None
            else {name: made.get(name, np.zeros(0, np.float32)) for name in _MEASURED}
        )

    @abstractmethod
    def run(self, images: NDArray[Any], wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The named outputs for images of one size, (n, h, w, c) of the entry's dtype."""

    def _entry(self, images: NDArray[Any]) -> NDArray[Any]:
        if self.card.entry == "float32":
            return as_unit(images)
        if images.dtype != np.uint8:
            raise InputError(
                f"{self.name}: the exported model takes 8-bit images. Got {images.dtype}. "
                "Export it again with --input float32, or score with --engine torch."
            )
        return images


class OnnxEngine(ExportedEngine):
    """A file in ONNX Runtime; threads wait asleep."""

    def __init__(self, card: Card, path: Path, threads: int) -> None:
        super().__init__(card)
        self._session = open_session(path, f"the engine {card.engine}", whole=True, threads=threads)
        self._running: Any = None

    def end(self) -> None:
        """End the run that is under way, between two of its nodes."""
        if self._running is not None:
            self._running.terminate = True

    def run(self, images: NDArray[Any], wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The named outputs; what leads to no other is not computed."""
        import onnxruntime

        options = onnxruntime.RunOptions()  # of this run alone: once ended, options stay so
        options.only_execute_path_to_fetches = True
        names, self._running = list(wanted), options
        return dict(zip(names, self._session.run(names, {"images": images}, options), strict=True))


class OpenVinoEngine(ExportedEngine):
    """A file in OpenVINO, compiled for the outputs that are asked for, when they first are."""

    def __init__(self, card: Card, path: Path, threads: int) -> None:
        super().__init__(card)
        try:
            import openvino
        except ModuleNotFoundError:
            raise MissingExtraError("openvino", "export", f"the engine {card.engine}") from None
        self._openvino: Any = openvino
        self._core: Any = openvino.Core()
        try:
            self._model = self._core.read_model(path)
        except RuntimeError as error:
            raise BundleError(
                f"{path}: must be an OpenVINO model. Got: {error}. Export again."
            ) from None
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if card.precision == "bfloat16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        self._requests: dict[tuple[str, ...], Any] = {}

    def run(self, images: NDArray[Any], wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The named outputs; what leads to no other is not part of the compiled model."""
        names = tuple(wanted)
        if names not in self._requests:
            self._requests[names] = self._compile(names)
        results = self._requests[names].infer({"images": images}, share_inputs=True)
        return {name: np.array(results[name]) for name in names}

    def end(self) -> None:
        """End the requests that are under way."""
        for request in self._requests.values():
            request.cancel()

    def _compile(self, names: tuple[str, ...]) -> Any:
        part = self._openvino.Model(
            [self._model.output(name).get_node() for name in names], self._model.get_parameters()
        )
        return self._core.compile_model(part, "CPU", self._options).create_infer_request()


def error_columns(
    prepared: NDArray[np.float32], rebuilt: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """mse, mae and ssim, float32 (n_images,) each, against images as the model saw them."""
    if not len(prepared) or np.isnan(rebuilt).all():
        return {name: np.full(len(prepared), np.nan, np.float32) for name in ("mse", "mae", "ssim")}
    rebuilt = np.clip(rebuilt, 0, 1)
    return {
        name: measure(prepared, rebuilt).astype(np.float32)
        for name, measure in (("mse", mse), ("mae", mae), ("ssim", ssim))
    }


def _stacked(images: Sequence[NDArray[Any]], rows: list[int]) -> NDArray[Any]:
    """Images of one size as one array; a single one is not copied."""
    return (
        images[rows[0]][np.newaxis] if len(rows) == 1 else np.stack([images[row] for row in rows])
    )


def _rows_by_size(images: Sequence[NDArray[Any]], most: int) -> Iterator[list[int]]:
    """Rows of images of one size and dtype, at most `most` together."""
    rows = grouped(((image.shape, image.dtype), row) for row, image in enumerate(images))
    for same in rows.values():
        for start in range(0, len(same), most):
            yield same[start : start + most]


__all__: list[str] = [
    "ExportedEngine",
    "OnnxEngine",
    "OpenVinoEngine",
    "free_threads",
    "load_engine",
    "open_file",
]
