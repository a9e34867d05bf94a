"""`residua demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Seed

if TYPE_CHECKING:
    from rich.console import Console


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write the runs and the report to.")
    ] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """Train, evaluate and report on bundled digits. The demo takes less than three
    minutes on two cores.

    Without the extra train it judges a PCA, in seconds.
    """
    from residua._text import terminal

    console = terminal()
    try:
        from residua.runs.demo import run_demo
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "lightning", "safetensors"):
            raise
        report = _judge_a_pca(out, console)
        console.print(
            "\nThis was the judging part. To train detectors and classifiers, and for the whole"
            " demo: pip install 'residua[train]'"
        )
    else:
        from residua.cli.progress import watching
        from residua.evaluation.report import print_evaluation

        with watching() as watcher:
            report, judged = run_demo(out, seed=seed, watcher=watcher)
        for one in judged:
            print_evaluation(one.evaluation, one.evidence, console=console)
    console.print("\nThe report, with pictures:")
    console.print(str(report.resolve()), soft_wrap=True)


def _judge_a_pca(out: Path, console: Console) -> Path:
    """A detector that needs no torch: how badly a PCA of the digit 0 redraws other digits."""
    from sklearn.decomposition import PCA

    from residua._files import ensure_folder
    from residua.evaluation.report import print_evaluation
    from residua.images import load_images
    from residua.runs.wrap import wrap

    path = ensure_folder(out, where="demo --out") / "report.html"
    digits = load_images("digits", normal="0")
    train = digits.train[~digits.train.is_anomalous]
    pca = PCA(8, random_state=0).fit(train.array().reshape(len(train), -1) / 255)
    model = wrap(
        lambda flat: pca.inverse_transform(pca.transform(flat)),
        layout="flat",
        values="unit",
        size=(8, 8),
        channels=1,
        latent=8,
    )
    model.choose_threshold("quantile:0.95", digits.calibration)
    print_evaluation(model.evaluate(digits.test, train=train), console=console)
    return model.report(path, digits.test, train=train)
