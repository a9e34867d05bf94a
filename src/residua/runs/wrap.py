"""Bring your own model: Keras, PyTorch, ONNX or any function, judged like our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from residua.engines.interface import ModelFacts
from residua.errors import InputError, LabelError
from residua.evaluation.report import write_html
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.images.loading import as_image_set
from residua.images.reading import AS_IT_SAYS, Reading
from residua.records import Assumption, Evaluation, Job, with_assumptions
from residua.runs.evaluate import evaluate_model
from residua.runs.judgement import Judgement
from residua.runs.model import Calibration, JudgedModel
from residua.runs.parts import compared
from residua.runs.wrapped.contract import Error, Layout, Told, agree
from residua.runs.wrapped.errors_in_numpy import error_maps
from residua.runs.wrapped.model import WrappedEngine
from residua.runs.wrapped.origins import look_at, opened
from residua.runs.wrapped.readings import look_at_readings
from residua.runs.wrapped.targets import targets_of


class WrappedModel(WrappedEngine):
    """A model from outside with a threshold, judged like our own. Made by `wrap`."""

    def as_judged(
        self,
        *,
        job: Job = "reconstruct",
        normal: tuple[str, ...] | None = None,
        classes: tuple[int | str, ...] | None = None,
        reading: Reading = AS_IT_SAYS,
        seed: int = 0,
    ) -> JudgedModel:
        """The model as judging and serving see it."""
        contract = self.contract
        provenance: dict[str, Any] = {
            "architecture": f"wrapped: {contract.origin}, {contract.layout}",
            "inputs": contract.inputs.words,
            "outputs": contract.outputs.words,
            "error": contract.error,
        }
        if contract.rebuilt is not None:
            provenance["output_size"] = [*contract.rebuilt, contract.channels]
        if self.is_random:
            provenance |= {"random": True, "samples": contract.samples}
        hashes = np.array(self.calibration_pixels_, object)
        return JudgedModel(
            facts=ModelFacts(
                job=job,
                recipe=f"wrapped {contract.origin} model",
                size=contract.size,
                channels=contract.channels,
                normal=normal,
                classes=classes or contract.classes,
                operating_point=self.operating_point_,
                reading=reading,
            ),
            engine=self,
            calibration=Calibration(
                self.calibration_scores_,
                self.calibration_is_anomalous_,
                hashes,
                self.calibration_images_,
                self.calibration_groups_,
            ),
            seed=seed,
            latent=contract.latent,
            provenance=provenance,
            output_size=contract.output_size,
            is_random=self.is_random,
            assumptions=self.assumptions,
            read_scales=partial(look_at_readings, self),
            error_maps=partial(error_maps, contract.error),
        )

    def evaluate(
        self,
        images: Any,
        labels: Any = None,
        *,
        normal: Any = None,
        targets: Any = None,
        job: Job | None = None,
        train: Any = None,
        seed: int = 0,
    ) -> Evaluation:
        """Judge the model on images it has not seen; see `judge`."""
        return self.judge(
            images, labels, normal=normal, targets=targets, job=job, train=train, seed=seed
        ).evaluation

    def judge(
        self,
        images: Any,
        labels: Any = None,
        *,
        normal: Any = None,
        targets: Any = None,
        job: Job | None = None,
        train: Any = None,
        seed: int = 0,
        split: str = "test",
        progress: Progress | None = None,
    ) -> Judgement:
        """The evaluation and the arrays behind it.

        Parameters
        ----------
        images : ImageSet or array
        labels : sequence, optional
            One per image, where `images` are arrays.
        normal : label or sequence of labels, optional
            Which labels mean normal.
        targets : SOURCE, ImageSet, array or function, optional
            What the model should give, where that is not its input; else the ones of `wrap`.
        job : str, optional
            ``detect`` where the images say what is normal, else ``classify`` where the model gives
            probabilities of labels that were passed here, else ``reconstruct``; always
            ``reconstruct`` with targets.
        train : ImageSet or array, optional
            What the model was trained on: baselines learn from it, it shows whether the model
            overfits, and copies of it among the judged images are found.

        Raises
        ------
        LabelError
            If labels are passed, and nothing says what they are for.
        """
        asked = _images_of(images, labels, normal)
        fitted_on = None if train is None else as_image_set(train)
        targets = self.targets if targets is None else targets
        job = _judged_job(asked, labels, targets, self.n_classes, job)
        judged = compared(asked, split, fitted_on)
        if targets is not None:
            judged = replace(judged, targets=targets_of(targets, asked))
        told = with_assumptions({}, labels_aside(asked, job))
        model = self.as_judged(job=job, normal=asked.normal, seed=seed)
        return evaluate_model(model, judged, job=job, progress=progress, provenance=told)

    def report(
        self,
        path: str | Path,
        images: Any,
        labels: Any = None,
        *,
        normal: Any = None,
        targets: Any = None,
        job: Job | None = None,
        train: Any = None,
    ) -> Path:
        """Judge the model, and write the report as one HTML file."""
        judged = self.judge(images, labels, normal=normal, targets=targets, job=job, train=train)
        jobs = [(judged.evaluation, judged.evidence)]
        return write_html(path, "residua: a wrapped model", jobs)

    def save(
        self,
        run: str | Path,
        *,
        source: str,
        normal: Any = None,
        policy: str | None = None,
        groups: str | None = None,
        seed: int = 0,
    ) -> Path:
        """Write a RUN that `evaluate`, `threshold`, `score` and `report` take, judged on `source`;
        see `residua.runs.wrapped_run`. `groups` say which images belong together, as in
        `load_images`.

        Raises
        ------
        InputError
            If the model cannot be stored as data: functions and PyTorch modules are code.
        """
        from residua.runs.wrapped_run import save_wrapped

        return save_wrapped(
            self, run, source=source, normal=normal, policy=policy, groups=groups, seed=seed
        )


def wrap(
    model: Any,
    *,
    layout: Layout | None = None,
    values: Any = None,
    inputs: Any = None,
    outputs: Any = None,
    size: Sequence[int] | None = None,
    channels: int | None = None,
    targets: Any = None,
    latent: int | None = None,
    classes: Sequence[int | str] | None = None,
    samples: int = 1,
    error: Error = "squared",
    batch_size: int | None = None,
) -> WrappedModel:
    """Take a model that somebody else trained, to be judged like our own, without training it
    again.

    Parameters
    ----------
    model : Keras model, torch.nn.Module, path of a ``.onnx`` or ``.keras`` file, or function
        Gives ``x_hat``, or ``(x_hat, probabilities)``; a mapping or further outputs are taken as
        well. A function gets float32 arrays (batch, height, width, channels) unless `layout` says
        otherwise; a module gets channels first.
    layout, size, channels
        How images go in and come out; see `residua.runs.wrapped.contract.Contract`. Read off the
        model where it says so, and asked for where it does not.
    inputs, outputs : str, mapping or pair
        The scales of what goes in and of what comes out: ``unit`` (0-1), ``symmetric`` (-1..1),
        ``bytes`` (0-255), or mean and deviation of images in [0, 1], such as ``{"mean": (0.5,),
        "std": (0.25,)}``; one number, or one per channel.
    values : str, mapping or pair
        Both at once.
    targets : SOURCE, ImageSet, array or function, optional
        What the model should give where that is not its input: clean images for a denoiser, by the
        names or the order of the judged ones; or a function of the judged `ImageSet`, such as
        ``lambda images: images`` for a super-resolver.
    latent : int, optional
        How many numbers the code has; measured where the network can be watched. PCA with as many
        stands beside the model.
    classes : sequence, optional
        What the columns of the probabilities mean, in their order.
    samples : int
        Of a model that is random: how many calls each reconstruction is the mean of.
    error : str
        What the score is the mean of: ``squared``, ``absolute``, ``ssim`` (its dissimilarity), or
        ``euclidean``.
    batch_size : int, optional
        How many images the model always sees at once, black ones filling up; its own where it has a
        fixed one, else 64. With 1 a single image, as a server gets it, does not pay for 64.

    Returns
    -------
    WrappedModel
        Its ``assumptions`` say what was read off the model because nobody told it.

    Raises
    ------
    ShapeError, RangeError, InputError
        If the layout, a scale or the size is open, or what comes out is not like what goes in.

    Examples
    --------
    >>> model = wrap(lambda x: x * 0.9, values="unit", size=(8, 8), channels=1)
    >>> model.anomaly_scores(np.full((1, 8, 8, 1), 255, np.uint8)).round(3)
    array([0.01], dtype=float32)
    """
    there = opened(model)
    known = look_at(there)
    told = Told(
        layout, values, inputs, outputs, size, channels, latent, classes, samples, error, batch_size
    )
    contract, assumed = agree(known, told)
    return WrappedModel(known, contract, there, assumptions=assumed, targets=targets)


def _judged_job(
    images: ImageSet, labels: Any, targets: Any, n_classes: int, job: Job | None
) -> Job:
    """What a model is judged as where nobody says."""
    if job is not None or targets is not None:
        return job or "reconstruct"
    if images.labels is not None and images.normal is not None:
        return "detect"
    if labels is None:
        return "reconstruct"
    if n_classes:
        return "classify"
    raise LabelError(
        "evaluate: the normal labels must be named. Got labels without normal=. "
        'Pass normal= to judge the scores, or job="reconstruct" to ignore the labels.'
    )


def _images_of(images: Any, labels: Any, normal: Any) -> ImageSet:
    """Judged images from what was passed: an `ImageSet`, or arrays with their labels."""
    if not isinstance(images, ImageSet):
        return as_image_set(images, labels, normal=normal)
    if labels is not None:
        raise InputError(
            "evaluate: an ImageSet has its own labels. Got others beside it. Leave them out, or"
            " pass arrays and labels."
        )
    return images if normal is None else images.with_normal(normal)


def labels_aside(images: ImageSet, job: Job) -> list[Assumption]:
    """The assumption that labels mean nothing, where nobody says what they are for."""
    if images.labels is None or images.normal is not None or job == "classify":
        return []
    return [
        Assumption(
            about="labels of the images",
            taken="ignored; the reconstructions are judged",
            because="nothing names the normal labels",
            to_tell='normal=, or job="classify" of a model that gives probabilities',
        )
    ]
