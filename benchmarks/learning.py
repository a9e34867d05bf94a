"""What `residua learn` gains by labelled defects and by corrected false alarms, simulated on the
features of real images.

Magnetic tiles (grouped by tile, `memory`), commutators (`memory` at 448 px) and three classes of
Fashion-MNIST (`pca`). One kind of defect is labelled, 0 to 10 of its images, ten draws each: ROC
AUC of the other images of that kind and of all other kinds, beside the score as it was. Groups
with a labelled image are left out. Then twenty false alarms are corrected: good images with a drawn
smudge, half of the model's own false alarms, and, which is as hard as it gets, a whole kind of real
defects that is called good. Last, whether the promise of the threshold is kept on fresh good images
when the corrections are the model's own alarms.

The options were chosen on the tiles, but for two things: a fixed cutoff of likeness was dropped
after garments 5, and the weights of places were looked at on the commutators too. Features are
computed once and kept in ``--features FOLDER``; ``--data FOLDER`` says where the images lie,
``--sets NAMES`` which to take.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from measure import Results, rounded
from residua import load_images
from residua.images import ImageSet
from residua.metrics import roc_auc
from residua.thresholds import choose_threshold
from residua.training.fitting.fit import fit
from residua.training.fitting.options import make_options
from residua.training.scoring.engine import see_images
from residua.training.scoring.head_weight import net_found
from residua.training.scoring.learned_score import LearnedScorer, Learning, Reach, Seen
from tile_protocols import grouped, load_tiles

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
LABELLED, MIXED, DRAWS = (1, 3, 5, 10), (5, 10, 30), 10
CORRECTED, ALARM_DRAWS, SMUDGED = 20, 5, 90
KINDS_OF_GARMENTS = 3
ALARMS = 0.05
OFTEN = (0.05, 0.15)
REACHES: tuple[Reach, ...] = ("wide", "narrow")
MOST_MISSED = 0.02
Head: TypeAlias = Literal["wide", "narrow"] | None
BOUND, CALIBRATED, STREAM, PROMISE_DRAWS = "false-alarms<=0.05", 300, 400, 100
SETS = ("tiles", "commutators", "garments 0", "garments 4", "garments 5")


class Parts(NamedTuple):
    """Images that the model learns from, images it learns beside, and images it is judged on."""

    train: ImageSet
    calibration: ImageSet
    test: ImageSet


class Features(NamedTuple):
    """What the images of a set are learnt by; ``kinds`` are empty for good test images."""

    normals: Seen
    is_held_out: torch.Tensor
    calibration: Seen
    test: Seen
    smudged: Seen
    made: Seen
    kinds: NDArray[Any]
    groups: NDArray[Any]


def of_tiles(data: Path) -> Parts:
    images = load_tiles(data / "magnetic_tile")
    protocol = grouped(images, seed=0)
    return Parts(images[protocol.train], images[protocol.calibration], images[protocol.test])


def of_commutators(data: Path) -> Parts:
    images = load_images(str(data / "commutators" / "set.csv"), normal="normal")
    train, calibration = (
        part[np.flatnonzero(~part.is_anomalous)] for part in (images.train, images.calibration)
    )
    return Parts(train, calibration, images.test)


@cache
def garments(data: Path) -> ImageSet:
    return load_images(str(data / "fashion_mnist"), normal="0")


def of_garments(data: Path, normal: str) -> Parts:
    """A thousand good images to train on, and all later ones beside a thousand others to test."""
    images = garments(data).with_normal(normal)
    good, bad = np.flatnonzero(~images.is_anomalous), np.flatnonzero(images.is_anomalous)
    rng = np.random.default_rng(int(normal))
    good, bad = rng.permutation(good), rng.permutation(bad)
    train, calibration, test = good[:1000], good[1000:1300], [*good[1300:4300], *bad[:1500]]
    return Parts(images[train], images[calibration], images[np.array(test)])


def extracted(name: str, options: argparse.Namespace) -> Features:
    """The features of a set, computed unless they are kept."""
    kept = options.features / f"{name.replace(' ', '-')}.npz"
    if not kept.exists():
        options.features.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **computed(name, options.data))
    columns = np.load(kept, allow_pickle=False)
    seen = {
        part: Seen(*(torch.from_numpy(columns[f"{part}/{field}"]) for field in Seen._fields))
        for part in ("normals", "calibration", "test", "smudged", "made")
    }
    held_out = torch.from_numpy(columns["is_held_out"])
    return Features(
        seen["normals"],
        held_out,
        seen["calibration"],
        seen["test"],
        seen["smudged"],
        seen["made"],
        columns["kinds"],
        columns["groups"],
    )


def computed(name: str, data: Path) -> dict[str, Any]:
    makers = {"tiles": of_tiles, "commutators": of_commutators}
    parts = makers[name](data) if name in makers else of_garments(data, name.split()[1])
    recipe = "pca" if name.startswith("garments") else "memory"
    size = 448 if name == "commutators" else None
    started = time.process_time()
    fitted = fit(make_options("detect", recipe=recipe, size=size), parts.train, parts.calibration)
    bundle, held_out = fitted.bundle, fitted.parts["validation"]
    # `learn` takes 200 training images; `pca` holds none out and is lent half of calibration.
    learnt_from = fitted.parts["fitted"][:200]
    calibration = parts.calibration
    if len(held_out) < 20:
        held_out, calibration = calibration[1::2], calibration[::2]
    columns: dict[str, Any] = {"is_held_out": np.arange(200 + len(held_out)) >= len(learnt_from)}
    columns["is_held_out"] = columns["is_held_out"][: len(learnt_from) + len(held_out)]

    def of(images: ImageSet, made: str | None = None) -> Seen:
        return see_images(bundle.graph, images, batch_size=bundle.config.batch_size, made=made)

    def joined(*some: Seen) -> Seen:
        return Seen(*(torch.cat(parts) for parts in zip(*some, strict=True)))

    normals = joined(of(learnt_from), of(held_out))
    base = fitted.parts["validation"]
    base = (base if len(base) >= 32 else learnt_from)[:32]
    for part, seen in (
        ("normals", normals),
        ("calibration", of(calibration)),
        ("test", of(parts.test)),
        ("smudged", of(smudged(parts.test))),
        ("made", joined(of(base, "defect"), of(base, "warped"))),
    ):
        columns |= {f"{part}/{field}": v.numpy() for field, v in seen._asdict().items()}
    labels = [str(label) for label in parts.test.labels.tolist()]
    columns["kinds"] = np.where(parts.test.is_anomalous, labels, "").astype(str)
    groups = parts.test.groups
    columns["groups"] = np.arange(len(labels)).astype(str) if groups is None else groups.astype(str)
    print(f"{name}: features in {time.process_time() - started:.0f} processor seconds", flush=True)
    return columns


def smudged(images: ImageSet) -> ImageSet:
    """Good images, each with a dark, soft-edged smudge of its own size and place."""
    rng, made = np.random.default_rng(3), []
    for image in images[np.flatnonzero(~images.is_anomalous)[:SMUDGED]]:
        height, width = image.shape[:2]
        side = min(height, width)
        row, column = rng.uniform(0.2, 0.8, 2) * (height, width)
        rows, columns = np.arange(height)[:, None] - row, np.arange(width)[None] - column
        radius = side * rng.uniform(0.04, 0.08)
        shade = 1 - rng.uniform(0.4, 0.7) * np.exp(-(rows**2 + columns**2) / (2 * radius**2))
        made.append(np.rint(image * shade[..., None]).astype(image.dtype))
    return ImageSet.from_arrays(made, reading=images.reading)


def taught(
    features: Features, rows: NDArray[Any], *, good: bool = False, more: NDArray[Any] | None = None
) -> tuple[LearnedScorer, Learning]:
    """A scorer that has learnt from test images: from `rows` as defects (or as good ones), and
    from `more` as good ones.
    """
    named = np.unique(features.groups, return_inverse=True)[1]
    some = features.test.rows(torch.from_numpy(rows))
    more_seen = None if more is None else features.test.rows(torch.from_numpy(more))
    return learnt_from(
        features,
        good=some if good else more_seen,
        defects=None if good else some,
        groups=torch.from_numpy(named[rows]),
        good_groups=torch.from_numpy(named[rows if more is None else more]),
    )


def learnt_from(
    features: Features, *, groups: torch.Tensor | None = None, **corrected: Any
) -> tuple[LearnedScorer, Learning]:
    """A scorer that has learnt from corrected images, as far as `learn` would let it."""

    def learnt(head: Head, reach: Reach) -> tuple[LearnedScorer, Learning, float]:
        scorer = LearnedScorer(nn.Identity())
        with torch.inference_mode():
            learning = scorer.learn(
                features.normals,
                features.is_held_out,
                made=features.made,
                groups=groups,
                head=head,
                reach=reach,
                **corrected,
            )
        return scorer, learning, least_of(scorer.score_of(features.calibration).numpy())

    def found(one: tuple[LearnedScorer, Learning, float]) -> list[int]:
        scorer, learning, least = one
        asked = (learning.defects, scorer.score_of(features.made))
        return [int((scores > least).sum()) for scores in asked]

    reach: Reach = "wide"
    if corrected.get("good") is not None:
        was, reach = found(learnt(None, "none")), "none"
        for one in REACHES:
            now = found(learnt(None, one))
            if all(b - a <= MOST_MISSED * b for a, b in zip(now, was, strict=True)):
                reach = one
                break
    wide = learnt("wide", reach)
    if wide[1].head is None or not wide[1].head.weight:
        return wide[:2]
    best = without = learnt(None, reach)
    most, before = 0.0, without[1].defects > without[2]
    for one in (learnt("narrow", reach), wide):  # as `learn` asks at the threshold
        _, learning, least = one
        after, unraised = (scores > least for scores in (learning.defects, learning.unraised))
        net = net_found(before, after, unraised, groups)
        if learning.head is not None and learning.head.weight and net >= most:
            best, most = one, net
    return best[:2]


def least_of(calibration: NDArray[Any]) -> float:
    """The threshold that the highest 5% of calibration scores exceed."""
    return float(np.quantile(calibration, 1 - ALARMS))


def area(scores: NDArray[Any], good: NDArray[Any], bad: NDArray[Any]) -> float:
    chosen = good | bad
    return float(roc_auc(bad[chosen], scores[chosen]))


def draws_of(features: Features, n: int, draws: int) -> Iterator[tuple[str, NDArray[Any], Any]]:
    """Draws of `n` images of each kind, and which images share no group with them."""
    kinds = sorted(set(features.kinds.tolist()) - {""})
    for kind in kinds[:KINDS_OF_GARMENTS] if len(kinds) > 5 else kinds:
        of_kind = np.flatnonzero(features.kinds == kind)
        for draw in range(draws):
            rows = np.random.default_rng([n, draw]).permutation(of_kind)[:n]
            apart = ~np.isin(features.groups, features.groups[rows])
            if len(rows) == n and (apart & (features.kinds == kind)).sum() >= 5:
                yield kind, rows, apart


def with_defects(features: Features, n: int) -> dict[str, Any]:
    """ROC AUC before and after, of the labelled kind and of others."""
    before = features.test.score.numpy()
    gains, others, starts, weights = [], [], [], []
    recalls: dict[str, list[float]] = {}
    was_flagged = before > least_of(features.calibration.score.numpy())
    for kind, rows, apart in draws_of(features, n, DRAWS):
        scorer, learning = taught(features, rows)
        after = scorer.score_of(features.test).numpy()
        good, seen = (features.kinds == "") & apart, (features.kinds == kind) & apart
        other = (features.kinds != "") & (features.kinds != kind) & apart
        starts.append(area(before, good, seen))
        gains.append(area(after, good, seen) - starts[-1])
        if other.any():
            others.append(area(after, good, other) - area(before, good, other))
        is_flagged = after > least_of(scorer.score_of(features.calibration).numpy())
        for name, which in (("seen", seen), ("unseen", other)):
            for when, flags in (("before", was_flagged), ("after", is_flagged)):
                if which.any():
                    recalls.setdefault(f"{name}_recall_{when}", []).append(flags[which].mean())
        weights.append(learning.head.weight if learning.head else 0.0)
    hard = [gain for gain, start in zip(gains, starts, strict=True) if start < 0.9]
    told: dict[str, Any] = {
        "draws": len(gains),
        "seen_before": rounded(statistics.fmean(starts), 4),
        "seen_gain": rounded(statistics.fmean(gains)),
        "seen_gain_spread": rounded(statistics.pstdev(gains)),
        "seen_least": rounded(min(gains)),
        "share_worse": rounded(sum(gain < -1e-9 for gain in gains) / len(gains)),
        "share_with_a_head": rounded(sum(weight > 0 for weight in weights) / len(weights)),
    }
    told |= {name: rounded(statistics.fmean(map(float, some))) for name, some in recalls.items()}
    if hard:
        told |= {
            "draws_under_090": len(hard),
            "seen_gain_under_090": rounded(statistics.fmean(hard)),
        }
    if others:
        told |= {
            "unseen_gain": rounded(statistics.fmean(others)),
            "unseen_least": rounded(min(others)),
        }
    return told


def with_mixed(features: Features, n: int) -> dict[str, Any]:
    """ROC AUC of all defects that were not labelled, where those that were are of all kinds."""
    before, bad = features.test.score.numpy(), np.flatnonzero(features.kinds != "")
    gains, starts = [], []
    for draw in range(2 * DRAWS):
        rows = np.random.default_rng([3, n, draw]).permutation(bad)[:n]
        apart = ~np.isin(features.groups, features.groups[rows])
        scorer, _ = taught(features, rows)
        good, other = (features.kinds == "") & apart, (features.kinds != "") & apart
        starts.append(area(before, good, other))
        gains.append(area(scorer.score_of(features.test).numpy(), good, other) - starts[-1])
    return {
        "draws": len(gains),
        "before": rounded(statistics.fmean(starts), 4),
        "gain": rounded(statistics.fmean(gains)),
        "least": rounded(min(gains)),
        "share_worse": rounded(sum(gain < -1e-9 for gain in gains) / len(gains)),
    }


def with_alarms(features: Features, n_defects: int = 0) -> dict[str, Any]:
    """Alarms on one kind, twenty of which are called good, and recall of all others, of which
    `n_defects` are labelled.
    """
    before, was = features.test.score.numpy(), features.calibration.score.numpy()
    flagged = before > np.quantile(was, 1 - ALARMS)
    rows_of: list[dict[str, Any]] = []
    for kind in sorted(set(features.kinds.tolist()) - {""})[:5]:
        alarms = np.flatnonzero((features.kinds == kind) & flagged)
        for draw in range(ALARM_DRAWS):
            rows = np.random.default_rng([CORRECTED, draw]).permutation(alarms)[:CORRECTED]
            apart = ~np.isin(features.groups, features.groups[rows])
            like = (features.kinds == kind) & apart
            other = (features.kinds != "") & (features.kinds != kind) & apart
            if len(rows) < CORRECTED or like.sum() < 5 or not other.any():
                continue
            labelled = np.flatnonzero(other)
            rng = np.random.default_rng([n_defects, draw])
            labelled = rng.permutation(labelled)[:n_defects]
            if n_defects:
                scorer, _ = taught(features, labelled, more=rows)
                other &= ~np.isin(features.groups, features.groups[labelled])
            else:
                scorer, _ = taught(features, rows, good=True)
            now = scorer.score_of(features.test).numpy() > np.quantile(
                scorer.score_of(features.calibration).numpy(), 1 - ALARMS
            )
            rows_of.append(
                {
                    "alarms_before": flagged[like].mean(),
                    "alarms_after": now[like].mean(),
                    "recall_before": flagged[other].mean(),
                    "recall_after": now[other].mean(),
                }
            )
    told = {
        name: rounded(statistics.fmean(float(row[name]) for row in rows_of))
        for name in (rows_of[0] if rows_of else ())
    }
    if told:
        told["cut"] = rounded(1 - told["alarms_after"] / told["alarms_before"])
    return {"draws": len(rows_of), **told}


def with_smudges(features: Features) -> dict[str, Any]:
    """Twenty alarms on smudged good images are corrected: alarms on other smudged images, and
    recall of all defects.
    """
    was, bad = features.calibration.score.numpy(), features.kinds != ""
    least = np.quantile(was, 1 - ALARMS)
    flagged = features.smudged.score.numpy() > least
    recall = (features.test.score.numpy()[bad] > least).mean()
    rows_of = []
    for draw in range(ALARM_DRAWS):
        rows = np.random.default_rng([1, draw]).permutation(np.flatnonzero(flagged))[:CORRECTED]
        others = np.delete(np.arange(len(flagged)), rows)
        if len(rows) < CORRECTED // 2:
            continue
        scorer, _ = learnt_from(features, good=features.smudged.rows(torch.from_numpy(rows)))
        least_now = np.quantile(scorer.score_of(features.calibration).numpy(), 1 - ALARMS)
        rows_of.append(
            (
                flagged[others].mean(),
                (scorer.score_of(features.smudged).numpy()[others] > least_now).mean(),
                (scorer.score_of(features.test).numpy()[bad] > least_now).mean(),
            )
        )
    told: dict[str, Any] = {"draws": len(rows_of), "flagged": int(flagged.sum())}
    if rows_of:
        before, after, recall_after = (float(values.mean()) for values in np.array(rows_of).T)
        told |= {
            "alarms_before": rounded(before),
            "alarms_after": rounded(after),
            "cut": rounded(1 - after / before),
            "recall_before": rounded(float(recall)),
            "recall_after": rounded(recall_after),
        }
    return told


def with_false_alarms(features: Features, share: float) -> dict[str, Any]:
    """Half of the model's own false alarms on good test images are corrected, at most twenty: those
    that are left, and recall of all defects. `share` of the calibration images are flagged.
    """
    bad, before = features.kinds != "", features.test.score.numpy()
    flagged = before > np.quantile(features.calibration.score.numpy(), 1 - share)
    pool = np.flatnonzero(flagged & ~bad)
    rows_of = []
    for draw in range(2 * DRAWS if len(pool) >= 4 else 0):
        rows = np.random.default_rng([9, draw]).permutation(pool)
        rows, others = rows[: min(CORRECTED, len(pool) // 2)], rows[len(pool) // 2 :]
        apart = ~np.isin(features.groups, features.groups[rows])
        others = others[apart[others]]
        scorer, _ = taught(features, rows, good=True)
        now = scorer.score_of(features.test).numpy() > np.quantile(
            scorer.score_of(features.calibration).numpy(), 1 - share
        )
        rows_of.append(
            {
                "corrected": len(rows),
                "alarms_left": now[others].mean() if len(others) else 1.0,
                "good_before": flagged[~bad & apart].mean(),
                "good_after": now[~bad & apart].mean(),
                "recall_before": flagged[bad & apart].mean(),
                "recall_after": now[bad & apart].mean(),
            }
        )
    told: dict[str, Any] = {
        name: rounded(statistics.fmean(float(row[name]) for row in rows_of))
        for name in (rows_of[0] if rows_of else ())
    }
    if rows_of:
        changes = [float(row["recall_after"] - row["recall_before"]) for row in rows_of]
        told["recall_least"] = rounded(min(changes))
    return {"draws": len(rows_of), **told}


def with_own_alarms(features: Features) -> dict[str, Any]:
    """How often at most 5% of fresh good images are flagged, as is promised with 95% confidence.

    Calibration images are drawn anew each time; the corrections are the alarms among them and among
    a stream of good images, and ten defects. ``left`` is what it would be if corrected images left
    the calibration set, in place of counting as if they had taught nothing.
    """
    good = np.flatnonzero(features.kinds == "")
    bad = np.flatnonzero(features.kinds != "")
    kept: dict[str, int] = {"before": 0, "after": 0, "left": 0}
    rates: dict[str, list[float]] = {name: [] for name in kept}
    for draw in range(PROMISE_DRAWS):
        rng = np.random.default_rng([7, draw])
        order = rng.permutation(good)
        calibration, stream, fresh = np.split(order, [CALIBRATED, CALIBRATED + STREAM])
        plain = features.test.score.numpy()
        old = choose_threshold(BOUND, plain[calibration]).threshold
        own = calibration[plain[calibration] > old]
        alarms = np.concatenate([own, stream[plain[stream] > old][:CORRECTED]])
        kinds = sorted(set(features.kinds.tolist()) - {""})
        defects = bad[features.kinds[bad] == kinds[draw % len(kinds)]]
        scorer, learning = taught(features, rng.permutation(defects)[:10], more=alarms)
        scores = scorer.score_of(features.test).numpy()
        rest = np.setdiff1d(calibration, own)
        whole = np.concatenate([scores[rest], learning.good.numpy()[: len(own)]])
        for name, found, of_calibration in (
            ("before", plain, plain[calibration]),
            ("after", scores, whole),
            ("left", scores, scores[rest]),
        ):
            threshold = choose_threshold(BOUND, of_calibration).threshold
            rates[name].append(float((found[fresh] > threshold).mean()))
            kept[name] += rates[name][-1] <= ALARMS
    return {
        "draws": PROMISE_DRAWS,
        **{f"kept_{name}": n / PROMISE_DRAWS for name, n in kept.items()},
        **{f"mean_rate_{name}": rounded(statistics.fmean(some)) for name, some in rates.items()},
    }


def seconds_of(features: Features) -> dict[str, Any]:
    """Time of a step of learning, with 500 images corrected and features stored."""
    rows = np.resize(np.flatnonzero(features.kinds != ""), 500)
    started = time.perf_counter()
    taught(features, rows)
    return {"corrections": 500, "seconds": rounded(time.perf_counter() - started)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = Results("learning")
    for name in options.sets.split(","):
        features = extracted(name, options)
        for n in LABELLED:
            results.measure(f"{name}, {n} defects", lambda n=n, f=features: with_defects(f, n))
        if name != "commutators":  # they have one kind
            for n in MIXED:
                results.measure(f"{name}, {n} mixed", lambda n=n, f=features: with_mixed(f, n))
        results.measure(f"{name}, smudges", lambda f=features: with_smudges(f))
        for share in OFTEN:
            results.measure(
                f"{name}, false alarms at {share:g}",
                lambda share=share, f=features: with_false_alarms(f, share),
            )
        results.measure(f"{name}, a kind called good", lambda f=features: with_alarms(f))
        results.measure(
            f"{name}, a kind called good, 10 defects", lambda f=features: with_alarms(f, 10)
        )
        if name.startswith("garments"):
            results.measure(f"{name}, promise", lambda f=features: with_own_alarms(f))
        results.measure(f"{name}, seconds", lambda f=features: seconds_of(f))


if __name__ == "__main__":
    main()
