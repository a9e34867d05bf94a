"""The five strategies on Fashion-MNIST: all labels, equal processor time, and few labels with the
rest unlabelled.

``--part best``: the strongest classifier, one run. ``--part strategies``: each strategy with all
labels in the same processor time. ``--part few``: 10, 100 and 1,000 labels a class, the other
training images unlabelled. One thread. ``--seconds`` is the budget of a fit and becomes epochs by
processor seconds an image that are measured once and kept (row "rates"), so that a busy machine
changes no result. Nothing is chosen on test: its 10,000 images are asked once a fit, at the end.
``--data FOLDER`` says where fashion_mnist lies, ``--seeds 0,1,2`` which trainings, ``--out FOLDER``
where a fit that was stopped keeps its state.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from measure import Results
from residua import evaluate_classification, load_images
from residua.images import ImageSet
from residua.training.bundle import score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import ClassifyOptions
from residua.training.fitting.session import FitSession
from residua.training.fitting.targets import LabelledSet, read_targets
from residua.training.loop.augmentation import augment
from residua.training.loop.settings import TrainingSettings
from residua.training.networks import ImageShape
from residua.training.recipes.base import LabelledBatch
from residua.training.strategies import STRATEGIES, make_strategy

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
LABELS = (10, 1000, 100)
METRICS = ("accuracy", "log_loss", "expected_calibration_error")
BATCH = 128


@cache
def parts(folder: Path) -> tuple[ImageSet, ImageSet]:
    """All 60,000 training images, those that the source sets aside for calibration too, and the
    test images.
    """
    images = load_images(str(folder / "fashion_mnist"))
    return images[np.flatnonzero(images.splits != "test")], images.test


def few_labels(labels: NDArray[Any], n_each: int | None, seed: int) -> NDArray[Any]:
    """`labels` with `n_each` of each class left, None elsewhere."""
    if n_each is None:
        return labels
    kept = np.full(len(labels), None, object)
    rng = np.random.default_rng([seed, n_each])
    for name in np.unique(labels):
        rows = rng.choice(np.flatnonzero(labels == name), n_each, replace=False)
        kept[rows] = labels[rows]
    return kept


def seconds_an_image(name: str, width: int, *, n_steps: int = 12) -> dict[str, float]:
    """Median processor seconds an image and training step of each phase, in bfloat16 on one
    thread.
    """
    strategy = make_strategy(name, n_classes=10, width=width)
    network: Any = (
        strategy.build_network(ImageShape(28, 28, 1)).to(memory_format=torch.channels_last).train()
    )
    images, targets = torch.rand(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))
    found = {}
    for phase in strategy.phases():
        phase.begin(network)
        optimiser = torch.optim.AdamW(
            [one for one in network.parameters() if one.requires_grad], lr=1e-4, fused=True
        )
        seconds = []
        for step in range(n_steps):
            started = time.process_time()
            generator = torch.Generator().manual_seed(step)
            batch = LabelledBatch(augment(images, ("flip", "crop"), generator), targets)
            with torch.autocast("cpu", torch.bfloat16):
                loss = phase.loss(network, batch, generator)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            seconds.append(time.process_time() - started)
        found[phase.name] = float(np.median(seconds[n_steps // 3 :])) / BATCH
    return found


def n_steps_for(seconds: float, name: str, rates: dict[str, float]) -> int:
    """Steps in all that take `seconds` of the processor, each phase at its own rate."""
    phases = make_strategy(name, n_classes=10).phases()
    return max(1, int(seconds / BATCH / sum(phase.share * rates[phase.name] for phase in phases)))


def fit_and_judge(
    name: str,
    options: argparse.Namespace,
    *,
    n_each: int | None,
    n_steps: int,
    width: int,
    seed: int,
) -> dict[str, Any]:
    train, test = parts(options.data)
    targets = read_targets(few_labels(np.asarray(train.labels), n_each, seed), len(train))
    strategy = make_strategy(name, n_classes=10)
    known = int(targets.labelled.sum())
    seen = known if strategy.phases()[0].uses == "labelled" else len(train)
    per_epoch = max(1, round(0.95 * (seen if seen == known else 2 * (seen - known)) / BATCH))
    settings = TrainingSettings(
        epochs=max(1, round(n_steps / per_epoch)),
        batch_size=BATCH,
        threads=1,
        seed=seed,
        augment=tuple(options.augment.split(",")),
    )
    checkpoint = options.out / f"{options.part}-{name}-{n_each}-{width}-{seed}.ckpt"
    started, wall = time.process_time(), time.perf_counter()
    weighted = "weight" in STRATEGIES[name].model_fields
    network = {"width": width, **({"weight": options.weight} if weighted else {})}
    fitted = fit(
        ClassifyOptions(strategy=name, recipe_options=network, settings=settings),
        LabelledSet(train, targets),
        None,
        FitSession(checkpoint=checkpoint, checkpoint_seconds=60, resume=True, on_note=print),
    )
    seconds = time.process_time() - started
    probabilities = score_set(fitted.bundle, test).probabilities
    record = evaluate_classification(test.labels, probabilities, classes=list(targets.classes))
    checkpoint.unlink(missing_ok=True)
    right = np.asarray(probabilities).argmax(axis=1) == np.asarray(test.labels)
    training = fitted.bundle.config.training
    return {
        "strategy": name,
        "labels_a_class": n_each or 6000,
        "seed": seed,
        "width": width,
        "epochs": len(fitted.trained.history["epoch"]),
        "steps": n_steps,
        "augment": list(settings.augment),
        "parameters": training.parameters,
        "fitted_on": training.images,
        "labelled": training.labelled_images,
        "processor_seconds": round(seconds, 1),
        "seconds": round(time.perf_counter() - wall, 1),
        "notes": list(fitted.notes),
        **{metric: record.metrics[metric].model_dump() for metric in METRICS},
        "right": np.packbits(right).tobytes().hex(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("best", "strategies", "few"), required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path("runs/classification"))
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--weight", type=float, default=0.8)
    parser.add_argument("--strategy", default=",".join(STRATEGIES))
    parser.add_argument("--augment", default="auto")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results(f"classification_{options.part}")
    names = options.strategy.split(",")
    rates = results.measure(
        f"rates, width {options.width}",
        lambda: {name: seconds_an_image(name, options.width) for name in names},
    )
    for seed in map(int, filter(None, options.seeds.split(","))):
        for n_each in LABELS if options.part == "few" else (None,):
            for name in names:
                n_steps = n_steps_for(options.seconds, name, rates[name])
                key = (
                    f"{name}, {n_each or 'all'} labels a class, width {options.width}, seed {seed}"
                )
                results.measure(
                    key,
                    lambda name=name, n_each=n_each, n_steps=n_steps, seed=seed: fit_and_judge(
                        name,
                        options,
                        n_each=n_each,
                        n_steps=n_steps,
                        width=options.width,
                        seed=seed,
                    ),
                )


if __name__ == "__main__":
    main()
