"""A run that `fit` or an estimator wrote.

Its files say what was judged and with which threshold; only what takes the model loads PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from residua._files import checksum, has_sha256, in_a_line, read_file, read_json, write_json
from residua._version import __version__
from residua.engines.card import check_fresh, read_card
from residua.engines.kinds import REFERENCE, parse_engine
from residua.errors import BundleError
from residua.records import OperatingPoint
from residua.runs.progress import Watcher
from residua.runs.run_folder import ModelMark, Run

if TYPE_CHECKING:
    from residua.engines import Engine
    from residua.runs.model import JudgedModel
    from residua.runs.origin import Origin
    from residua.runs.run_state import RunState
    from residua.thresholds.products import Products


class TrainedRun(Run):
    """A run whose model was trained here."""

    def read_state(self) -> RunState:
        """`run.json`, checked."""
        from residua.runs.run_state import RunState

        try:
            return RunState.model_validate_json(self._state())
        except ValidationError as error:
            raise self._not_written(in_a_line(error)) from None

    def read_finished(self) -> RunState:
        """`run.json` of a finished run; `BundleError` where training has not come to its end."""
        state = self.read_state()
        self._check_finished(is_finished=state.finished)
        return state

    def write_state(self, state: RunState) -> None:
        """Write `run.json`, atomically."""
        write_json(self.path / "run.json", state.model_dump(mode="json"))

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").exists()

    def origin(self) -> Origin:
        """Where the images of the finished run come from."""
        return self.read_finished().origin(self._test_fingerprint())

    def model(self, engine: str = REFERENCE, watcher: Watcher | None = None) -> JudgedModel:
        """The finished model, scored by `engine`."""
        from residua.runs.engines import open_trained

        return open_trained(self, engine, watcher or Watcher())

    def scorer(self) -> Engine:
        """The reference engine in one thread, as a worker has one processor."""
        import torch

        from residua.training.bundle import graph_engine, load_bundle

        torch.set_num_threads(1)
        return graph_engine(load_bundle(self.bundle))

    def model_files(self) -> list[Path]:
        """The files of the bundle."""
        return [path for path in sorted(self.bundle.iterdir()) if path.is_file()]

    def identity(self) -> str:
        """The checksum in the bundle's JSON, of both model and threshold."""
        path = self.bundle / "bundle.json"
        try:
            return str(read_json(path)["checksum"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._not_whole(in_a_line(error)) from error

    def mark(self, engine: str = REFERENCE) -> ModelMark:
        """What tells the model and its threshold from others; an export has its own threshold."""
        self._check_finished(is_finished=self._plain_state().get("finished") is True)
        body = self._bundle_json()
        try:
            point = body["config"]["operating_point"]
            mark = ModelMark(
                None if point is None else OperatingPoint.model_validate(point),
                str(body["files"]["model.safetensors"]["sha256"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise self._not_whole(in_a_line(error)) from error
        kind = parse_engine(engine)
        if kind.is_reference:
            return mark
        card = read_card(self.export, kind)
        check_fresh(card, self.bundle)
        return ModelMark(card.operating_point, mark.weights)

    def store(self, point: OperatingPoint, products: Products | None = None) -> None:
        """Give the bundle another operating point, or another one for each product."""
        from residua.training.bundle import load_bundle, save_operating_point

        save_operating_point(
            load_bundle(self.bundle).with_operating_point(point, products), self.bundle
        )

    def summary(self) -> dict[str, Any]:
        """`run.json`, and the facts of the bundle if it is finished."""
        state = self._plain_state()
        if state.get("finished") is not True:
            return {"run": str(self.path), **self.read_state().model_dump(mode="json")}
        body = self._bundle_json()
        files = body.get("files", {}).get("model.safetensors", {})
        is_whole = has_sha256(self.bundle / "model.safetensors", files.get("sha256"))
        is_of_now = body.get("residua_version") == __version__ and state["format_version"] == 2
        if is_whole and is_of_now:
            return {"run": str(self.path), **state, "bundle": body["config"]}
        from residua.training.bundle import load_bundle

        config = load_bundle(self.bundle).config  # of an earlier version, or damaged, which it says
        written = self.read_state().model_dump(mode="json")
        return {"run": str(self.path), **written, "bundle": config.model_dump(mode="json")}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second writer out, and delete what writers left that were killed."""
        from residua.training.bundle import clear_leftovers

        with super().locked():
            clear_leftovers(self.bundle)
            yield

    def _state(self) -> bytes:
        path = self.path / "run.json"
        try:
            return read_file(path)
        except FileNotFoundError:
            got = "a folder without run.json. Name one that `residua fit` wrote"
            if (self.path / "wrapped.json").is_file():
                got = (
                    "a wrapped model. The commands that take one are evaluate, threshold, score,"
                    " report, compare, serve and info"
                )
            raise BundleError(
                f"{self.path}: this takes a model that `residua fit` trained. Got {got}."
            ) from None
        except OSError as error:
            raise BundleError(
                f"{path}: must be readable. Got: {in_a_line(error)}. Name a folder that `residua"
                " fit` wrote."
            ) from error

    def _plain_state(self) -> dict[str, Any]:
        """`run.json` as it stands; its format alone is checked."""
        text = self._state()
        try:
            state = dict(json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise self._not_written(in_a_line(error)) from None
        if state.get("format") != "residua-run" or state.get("format_version") not in (1, 2):
            raise self._not_written("another format")
        return state

    def _bundle_json(self) -> dict[str, Any]:
        """`bundle.json`, whole and unedited."""
        try:
            body = dict(read_json(self.bundle / "bundle.json"))
            told = body.pop("checksum")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._not_whole(in_a_line(error)) from error
        if told != checksum(body):
            raise BundleError(
                f"{self.bundle / 'bundle.json'}: the checksum must match the content. It does not:"
                " the file was edited or damaged. Restore a copy, or change thresholds with"
                " `residua threshold`."
            )
        return body

    def _check_finished(self, *, is_finished: bool) -> None:
        if not is_finished:
            raise BundleError(
                f"{self.path}: the run must be finished. Its training was stopped or failed. "
                "Repeat the fit command with --resume, or fit again."
            )

    def _not_written(self, got: str) -> BundleError:
        return BundleError(
            f"{self.path / 'run.json'}: must be what `residua fit` wrote. Got: {got}. Train again."
        )

    def _not_whole(self, got: str) -> BundleError:
        return BundleError(
            f"{self.bundle / 'bundle.json'}: must be whole. Got: {got}. Train again."
        )

    def _test_fingerprint(self) -> str | None:
        try:
            found = read_json(self.bundle / "bundle.json")["config"]["fingerprints"].get("test")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # the bundle itself says what is wrong with it when it is loaded
        return None if found is None else str(found)
