"""What whoever starts a server should know of the engine.

How far it was verified, and what a faster one would bring.
"""

from __future__ import annotations

from pathlib import Path

from residua.engines import KINDS, Card, parse_engine
from residua.engines.card import export_command
from residua.runs.open_run import is_wrapped, open_run
from residua.server.load import fresh_card

_RECOMMENDED = ("onnx", "openvino")  # float32, so that decisions are the run's


def advise_on_engine(run: str | Path, engine: str) -> str:
    """A line on the engine that a server was started with.

    How it was verified, or how to serve faster.
    """
    run, kind = Path(run), parse_engine(engine)
    if is_wrapped(run) and open_run(run).is_random:
        return (
            "Engine: the wrapped model itself, which is random: the same image gets another score"
            " each time, and may be decided otherwise. Wrap it with samples=16, or give the mean of"
            " the code, before it decides anything."
        )
    if is_wrapped(run):
        return (
            "Engine: the wrapped model itself, always in batches of one size, so that a score"
            " depends on its image alone."
        )
    card = fresh_card(run, kind)
    if card is not None:
        return (
            f"Engine {engine}: {_verified(card)}. It runs one image at a time, so that a score"
            " depends on its image alone."
        )
    own = f"Engine {engine}: one image costs a whole padded batch."
    cards = [
        found
        for found in (fresh_card(run, KINDS[name]) for name in _RECOMMENDED)
        if found is not None
    ]
    if not cards:
        command = export_command(KINDS[_RECOMMENDED[0]]).replace("RUN", str(run))
        return (
            f"{own} Faster with the same decisions: {command}, then serve with --engine"
            f" {_RECOMMENDED[0]}."
        )
    best = max(cards, key=lambda one: 0.0 if one.speed is None else one.speed.batch_1)
    return f"{own} Faster: --engine {best.engine}, which is there: {_verified(best)}{_speed(best)}."


def _verified(card: Card) -> str:
    deviation = card.deviation
    alike = deviation.n_images - deviation.different_decisions
    decided = (
        f"decided {alike:,} of {deviation.n_images:,} calibration images as the run's own model"
        " does"
    )
    return f"{decided}, scores at most {deviation.score:.1e} apart" + (
        "" if card.precision == "float32" else f"; {card.precision}, with a threshold of its own"
    )


def _speed(card: Card) -> str:
    if card.speed is None or not card.speed.reference_batch_1:
        return " (residua engines RUN measures its speed)"
    times = card.speed.batch_1 / card.speed.reference_batch_1
    return f", and {times:.0f} times as fast for one image when both were last measured"
