"""A run with several products: fit, evaluate, score, threshold, serve and export agree."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import InputError
from residua.evaluation.products import PRODUCTS
from residua.evaluation.report import write_html
from residua.evaluation.report.products import product_rows
from residua.evaluation.verification import verify_report
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.open_run import open_run
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.runs.threshold import change_threshold
from residua.training.bundle import load_bundle
from residua.training.fitting.options import make_options
from training_wing import blobs

SIZES = {"lens": 30, "tile": 30, "tube": 3}  # normal calibration images


def write(folder, sizes=SIZES, extra=()):
    """Blobs of other contrast a product; defects have a bright corner."""
    rows = []
    for place, (name, n) in enumerate(sizes.items()):
        good, bad = blobs(20 + n, seed=place), blobs(6, seed=50 + place)
        bad[:, :5, :5] = 255
        parts = ["train"] * 10 + ["calibration"] * n + ["test"] * 10 + ["test"] * 6
        for row, (image, part) in enumerate(zip([*good, *bad], parts, strict=True)):
            path = f"{name}_{row:03d}.png"
            Image.fromarray(image[..., 0] // (1 + place)).save(folder / path)
            rows.append((path, "good" if row < 20 + n else "bad", part, name))
    rows += list(extra)
    with (folder / "set.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split", "product"), *rows])
    return folder / "set.csv"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write(tmp_path_factory.mktemp("products"))


@pytest.fixture(scope="module")
def run(source, tmp_path_factory):
    options = make_options(
        "detect",
        source=str(source),
        normal=("good",),
        recipe="neighbours",
        product="product",
        policy="false-alarms<=0.15",
    )
    return fit_run(options, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def judged(run):
    return evaluate_run(run.path)


def test_each_product_has_a_threshold_and_the_graph_decides_nothing(run):
    bundle = load_bundle(run.bundle)
    products = bundle.config.products
    assert products.names == ("lens", "tile", "tube")
    assert products.threshold_of("lens") > 1.2 * products.threshold_of("tile")
    assert products.threshold_of("tube") is None
    assert bundle.graph.threshold.item() == float("inf")


def test_the_record_tells_each_product_and_what_was_left_out(judged, run):
    evaluation, evidence = judged
    told = evaluation.provenance[PRODUCTS]
    assert len(evidence.paths) == 32
    lens = told["each"]["lens"]
    assert (lens["n_normal"], lens["n_anomalous"]) == (10, 6)
    assert lens["metrics"]["recall"]["n"] == 6
    assert told["each"]["tube"]["reason"].startswith("tube: 3 normal calibration images can't")
    assert 0.5 < told["mean_roc_auc"]["low"] < told["mean_roc_auc"]["value"] <= 1
    left = next(one for one in evaluation.findings if one.code == "products-not-judged")
    assert (left.severity, left.measured["n_left_out"]) == ("error", 16)
    rows = dict(product_rows(evaluation))
    assert rows["tube (not decided)"][:3] == ["0", "0", "none"]
    caught = sum(one["metrics"]["recall"]["value"] * 6 for one in list(told["each"].values())[:2])
    assert evaluation.metrics["recall"].value * 12 == pytest.approx(caught)


def test_the_report_shows_products_and_its_figures_are_verified(judged, tmp_path):
    page = write_html(tmp_path / "report.html", "parts", [judged])
    assert "tube (not decided)" in page.read_text(encoding="utf-8")
    assert verify_report(page).differing == ()
    told = judged.evaluation.provenance[PRODUCTS]["each"]["lens"]
    for name, value in (("threshold", told["threshold"]), ("value", told["metrics"]["recall"])):
        number = value if name == "threshold" else value["value"]
        text = page.read_text(encoding="utf-8")
        place = text.index(f'"{name}":{number}', text.index('"each":{"lens"'))
        end = place + len(f'"{name}":{number}')
        other = tmp_path / "other.html"
        other.write_text(f'{text[:place]}"{name}":0.123{text[end:]}', encoding="utf-8")
        differing = [one.name for one in verify_report(other).differing]
        wanted = "mean threshold of products" if name == "threshold" else "Recall, over products"
        assert wanted in differing
    assert "each product" in [one.name for one in verify_report(page).not_carried]


def test_undecided_images_and_untested_drift_are_told(run, source, tmp_path):
    from typer.testing import CliRunner

    from residua.cli import app

    new = tmp_path / "new" / "disc"
    new.mkdir(parents=True)
    Image.fromarray(blobs(1, seed=4)[0][..., 0]).save(new / "1.png")
    out = tmp_path / "scores.csv"
    command = ["score", str(run.path), str(new.parent), "--product", "folder", "--out", str(out)]
    told = CliRunner().invoke(app, command)
    said = " ".join(told.output.split())
    assert told.exit_code == 0
    assert "Nothing is decided about 1 of 1 image" in said
    assert "does not know the product 'disc'" in said
    assert "drift is not tested of a run with products" in said
    own = CliRunner().invoke(app, ["score", str(run.path), str(source), "--out", str(out)])
    assert "drift is not tested" not in own.output


def score(run, source, out, **more):
    summary = score_run(run.path, str(source), out, **more)
    with out.open() as file:
        return summary, {row["path"]: row for row in csv.DictReader(file)}


def test_the_table_has_the_products_threshold_and_decides_like_evaluate(
    run, source, judged, tmp_path
):
    summary, rows = score(run, source, tmp_path / "scores.csv")
    products = load_bundle(run.bundle).config.products
    assert float(rows["lens_000.png"]["threshold"]) == products.threshold_of("lens")
    assert rows["tube_000.png"]["threshold"] == rows["tube_000.png"]["anomalous"] == ""
    assert rows["tube_000.png"]["score"] != ""
    assert rows["tube_000.png"]["undecided"] == products.why_not("tube")
    assert [one.code for one in summary.findings] == ["products-not-judged"]
    level = np.float32(judged.evaluation.operating_point.threshold)
    for path, one in zip(judged.evidence.paths, judged.evidence.scores, strict=True):
        assert rows[str(path)]["anomalous"] == str(bool(one > level)).lower()


def test_an_image_of_no_known_product_is_not_decided(run, source, tmp_path):
    folder = source.parent
    _, rows = score(run, folder, tmp_path / "bare.csv")
    assert {row["undecided"] for row in rows.values()} == {"the image has no product"}
    _, rows = score(run, folder, tmp_path / "other.csv", product="=cube")
    assert "does not know the product 'cube'" in rows["lens_000.png"]["undecided"]
    assert {row["anomalous"] for row in rows.values()} == {""}
    _, rows = score(run, folder, tmp_path / "named.csv", product=r"^(\w+)_")
    assert rows["lens_000.png"]["anomalous"] in ("true", "false")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_batch_is_decided_within_products(run, source, tmp_path, suffix):
    out = tmp_path / f"batch.{suffix}"
    summary = score_run(run.path, str(source), out, policy="fdr<=0.5")
    if suffix == "csv":
        with out.open() as file:
            rows = list(csv.DictReader(file))
    else:
        import pyarrow.parquet as pq

        rows = pq.read_table(out).to_pylist()
    flags = [str(row["anomalous"]).lower() == "true" for row in rows]
    most = summary.decision.p_value
    assert sum(flags) == summary.decision.n_flagged > 0
    assert flags == [float(row["p_value"] or 1) <= most for row in rows]


def test_another_policy_gives_every_product_another_threshold(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    before = load_bundle(run.bundle).config.products
    change_threshold(tmp_path / "run", "quantile:0.8")
    after = load_bundle(tmp_path / "run" / "bundle").config.products
    assert after.threshold_of("lens") < before.threshold_of("lens")
    assert after.policy == "quantile:0.8"
    again = evaluate_run(tmp_path / "run").evaluation
    assert again.operating_point.threshold == after.level


def test_a_fit_with_one_product_for_all_is_refused():
    with pytest.raises(InputError, match="tell the products of the images apart"):
        make_options("detect", source="parts", normal=("good",), product="=lens")


def test_a_product_that_the_run_did_not_know_is_told(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    notes: list[str] = []
    parts = tmp_path / "parts"
    parts.mkdir()
    for row, image in enumerate(blobs(30, seed=9)):
        Image.fromarray(image[..., 0]).save(parts / f"{row}.png")
    watcher = Watcher(on_note=notes.append)
    change_threshold(
        copy, "quantile:0.9", str(parts), product="=Lens", contamination=None, watcher=watcher
    )
    assert [one for one in notes if "did not know" in one and ": Lens." in one]
    assert open_run(copy).model().facts.products.names == ("Lens", "lens", "tile", "tube")


def test_corrections_are_refused(run):
    from residua.runs.learning.model import check_learns

    with pytest.raises(InputError, match="must have one threshold"):
        check_learns(load_bundle(run.bundle).config)


@pytest.mark.parametrize("policy", [None, "fdr<=0.5"])
def test_a_watched_line_tells_products_by_their_paths(run, source, tmp_path, policy):
    import pyarrow.parquet as pq

    from residua.runs.watching import WatchOptions, watch_run
    from residua.server import Line

    out = tmp_path / "watch.parquet"
    options = WatchOptions(
        out=out, once=True, settle=0, product=r"^(\w+)_", policy=policy, block=200, every="1d"
    )
    status = watch_run(run.path, str(source.parent), options)
    rows = {row["path"]: row for row in pq.read_table(out).to_pylist()}
    products = load_bundle(run.bundle).config.products
    if policy is None:
        assert rows["lens_000.png"]["threshold"] == products.threshold_of("lens")
        assert rows["tube_000.png"]["anomalous"] is None
        assert rows["tube_000.png"]["undecided"] == products.why_not("tube")
        (reported,) = (tmp_path / "watch.reports").glob("*.json")
        assert json.loads(reported.read_text())["n_undecided"] == status["n_undecided"] == 29
        line = Line(out).state()
        told = {one.path: one for one in line.images}["tube_028.png"]
        assert line.n_undecided == 29
        assert (told.product, told.undecided) == ("tube", products.why_not("tube"))
    _, table = score(run, source.parent, tmp_path / "s.csv", product=r"^(\w+)_", policy=policy)
    flags = {path: row["anomalous"] for path, row in table.items()}
    assert {
        p: "" if (f := r["anomalous"]) is None else str(f).lower() for p, r in rows.items()
    } == flags
    assert status["n_flagged"] == sum(flag == "true" for flag in flags.values()) > 0
    assert status["drift"]["needed"]["lens: score"] == 3 * 500


def test_a_column_cannot_tell_the_products_of_a_line(run, tmp_path):
    from residua.runs.watching import WatchOptions, watch_run

    with pytest.raises(InputError, match="the path of an image must tell its product"):
        watch_run(run.path, str(tmp_path), WatchOptions(out=tmp_path / "watch.parquet"))


def test_a_change_of_one_product_is_drift_of_that_product_alone():
    from residua.runs.watching.drift_of_products import DriftOfProducts

    rng = np.random.default_rng(0)
    names = np.repeat(np.array(["lens", "tile"], object), 100)
    scores = np.concatenate([rng.normal(1, 0.1, 100), rng.normal(9, 1, 100)])
    drift = DriftOfProducts.of(scores, names, {})
    for n in range(1, 601):  # products come in runs, which is no drift
        name = "lens" if n // 100 % 2 else "tile"
        value = rng.normal(1, 0.1) if name == "lens" else rng.normal(9, 1) - 2.5 * (n > 300)
        drift.add(n, "", {"score": value, "product": name}, "")
        drift = DriftOfProducts.from_state(drift.state()) if n == 300 else drift
        assert n > 300 or not drift.alarms
    assert set(drift.alarms) == {"tile: score"}
    assert drift.alarms["tile: score"]["words"].startswith("tile: scores of ordinary images")
    assert drift.add(601, "", {"score": 99.0, "product": None}, "") == []


def test_an_export_carries_the_table_and_decides_alike(run, source, judged):
    from residua.engines import parse_engine
    from residua.runs.engines import export_run

    card = export_run(run.path, parse_engine("onnx"))
    assert card.products == load_bundle(run.bundle).config.products
    assert card.deviation.different_decisions == 0
    again = evaluate_run(run.path, engine="onnx")
    level = np.float32(again.evaluation.operating_point.threshold)
    assert ((again.evidence.scores > level) == (judged.evidence.scores > level)).all()


def test_the_server_decides_by_product(run):
    from residua.server.answers import ImageFacts, RefusedError
    from residua.server.batcher import ImageResult
    from residua.server.model import ServedModel, Sight

    model = open_run(run.path).model()
    served = ServedModel("run", model)
    products = model.facts.products
    above = np.float32(products.threshold_of("tile") * 1.01)
    image = ImageResult(above, False, {}, None, None)
    facts = ImageFacts(width=12, height=12, channels=1, bits=8, format="PNG", converted=[])
    sight = Sight(served.warm_up_image(), facts, 0.5)
    tile, lens, bare, tube = (
        served.answer(sight, image, one) for one in ("tile", "lens", None, "tube")
    )
    assert (tile.anomalous, lens.anomalous, bare.anomalous) == (True, False, None)
    assert tile.threshold == products.threshold_of("tile")
    assert tile.p_value < 0.2
    assert bare.decision == "Not judged: the image has no product."
    assert tube.decision.startswith("Not judged: tube: 3 normal calibration images")
    assert tube.threshold is tube.anomalous is None
    with pytest.raises(RefusedError, match="It knows lens, tile, tube"):
        served.check_product("cube")


@pytest.fixture(scope="module")
def cubes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cube")
    for row, image in enumerate(blobs(48, seed=90)):
        Image.fromarray(255 - image[..., 0]).save(folder / f"cube_{row}.png")
    return folder


def test_a_new_product_is_learnt_and_the_others_stay(run, source, cubes, tmp_path):
    from residua.runs.learning.learn import undo_learning
    from residua.runs.learning.new_product import learn_product

    learnt = learn_product(run.path, str(cubes), tmp_path / "after", "cube")
    was, now = load_bundle(run.bundle), load_bundle(tmp_path / "after" / "bundle")
    assert learnt.n_normal == 24
    assert len(now.graph.scorer.network) == len(was.graph.scorer.network) + 24
    assert now.config.products.names == ("cube", "lens", "tile", "tube")
    for name in was.config.products.names:
        assert now.config.products.threshold_of(name) == was.config.products.threshold_of(name)
    names = now.config.products.at(now.calibration_products)
    assert names[:30].tolist() == ["lens"] * 30
    assert (names == "cube").sum() == learnt.n_normal
    _, old = score(run, source, tmp_path / "old.csv")
    _, new = score(open_run(tmp_path / "after"), source, tmp_path / "new.csv")
    assert all(float(new[path]["score"]) <= float(old[path]["score"]) + 1e-6 for path in old)
    after = open_run(tmp_path / "after")
    _, own = score(after, cubes, tmp_path / "own.csv", product="=cube")
    assert sum(row["anomalous"] == "true" for row in own.values()) <= 3
    left = evaluate_run(tmp_path / "after").evaluation.findings
    assert ["cube"] in [one.measured.get("missing") for one in left]
    undo_learning(tmp_path / "after")
    assert load_bundle(tmp_path / "after" / "bundle").config.products == was.config.products


def test_a_new_product_has_a_name_that_a_table_can_hold(run, cubes, tmp_path):
    from residua.runs.learning.new_product import learn_product

    notes: list[str] = []
    told = Watcher(on_note=notes.append)
    assert (
        learn_product(run.path, str(cubes), tmp_path / "a", " Lens ", watcher=told).name == "Lens"
    )
    assert [one for one in notes if one.startswith("products Lens and lens are taken for two")]
    for name in (" ", "lens "):
        with pytest.raises(InputError, match="must name a new product"):
            learn_product(run.path, str(cubes), tmp_path / "b", name)


def test_a_recipe_that_remembers_nothing_gives_a_new_product_a_threshold(
    run, cubes, tmp_path, monkeypatch
):
    from residua.runs.learning.new_product import learn_product
    from residua.training.scoring.neighbour_score import NeighbourScorer

    monkeypatch.delattr(NeighbourScorer, "remember")
    notes: list[str] = []
    watcher = Watcher(on_note=notes.append)
    learnt = learn_product(run.path, str(cubes), tmp_path / "after", "cube", watcher=watcher)
    assert learnt.n_normal == 48
    assert "learns nothing of cube but a threshold" in notes[-1]
    with pytest.raises(InputError, match="has the product 'lens' already"):
        learn_product(run.path, str(cubes), tmp_path / "again", "lens")


def test_a_dossier_tells_of_a_product_that_was_not_judged(run, judged):
    from residua.runs.dossier import make_dossier

    sample = next(one for one in make_dossier(run.path).headings if one.key == "sample")
    found = next(one for one in sample.checks if one.name == "no product is missing")
    assert (found.holds, found.said[-5:]) == (False, "tube.")


def test_an_estimator_needs_products_to_decide_and_not_to_score(run, source, judged):
    import residua

    detector = residua.OneClassDetector.load(run.path)
    images = residua.load_images(source, product="product", normal="good")
    known = images.test[np.flatnonzero(images.test.products != "tube")]
    level = judged.evaluation.operating_point.threshold
    flags = judged.evidence.scores > np.float32(level)
    assert (detector.predict(known) == np.where(flags, -1, 1)).all()
    assert ((detector.decision_function(known) < 0) == flags).all()
    assert detector.score(known) == judged.evaluation.metrics["roc_auc"].value
    assert len(detector.anomaly_scores(known.array())) == 32
    assert detector.p_values(known).min() == 1 / 31
    with pytest.raises(InputError, match="image 0: the image has no product"):
        detector.predict(known.array())
    with pytest.raises(InputError, match="tube: 3 normal calibration images"):
        detector.predict(images.test)
    point = detector.choose_threshold("quantile:0.8")
    assert point.policy == "quantile:0.8"
    assert detector.predict(known).sum() < 32 - 2 * flags.sum()


def test_an_address_takes_a_product_and_refuses_an_unknown_one(run, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "server"))
    from residua.server.model import ServedModel
    from serving import asking, encoded

    model = open_run(run.path).model()
    image = {"content": encoded(blobs(1, seed=90)[0])}
    with asking(ServedModel("run", model)) as client:
        told = client.post("/v1/score?product=lens", **image).json()
        assert told["product"] == "lens"
        assert told["threshold"] == model.facts.products.threshold_of("lens")
        refused = client.post("/v1/score?product=cube", **image)
        assert refused.status_code == 422
        assert "It knows lens, tile, tube" in refused.text
        known = client.get("/v1/model").json()
    assert known["threshold"] is None
    assert list(known["products"]) == ["lens", "tile", "tube"]
