import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from report_samples import HOSTILE, classifier, detector, near, reconstructor

from residua.errors import InputError, OutputError
from residua.evaluation.evidence import Evidence, Gallery
from residua.evaluation.report import write_html
from residua.evaluation.report.figures import finding_figure
from residua.evaluation.report.page import job_titles, page, script_json
from residua.records import Evaluation

VOID = {"br", "hr", "img", "input", "link", "meta", "col"}


class Outline(HTMLParser):
    """Tags with their attributes, text by tag, the data of the page, and whatever is not well
    nested."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.stack, self.faults, self.scripts = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), []))

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1][1].append(data)
        else:
            self.texts.append(data)

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]

    @property
    def data(self):
        return next(
            json.loads("".join(text))
            for attrs, text in self.scripts
            if attrs.get("id") == "residua-data"
        )["jobs"]


@pytest.fixture(scope="module")
def full():
    return page(f"Digits {HOSTILE}", [detector(), reconstructor(), classifier()], subtitle=HOSTILE)


@pytest.fixture(scope="module")
def outline(full):
    return Outline(full)


def unpack(packed):
    return np.frombuffer(base64.b64decode(packed["data"]), packed["dtype"])


def test_the_page_is_well_nested_and_holds_every_section(outline):
    ids = outline.attributes("id")
    assert not outline.faults and not outline.stack
    assert len(ids) == len(set(ids))
    for name in (
        "findings",
        "metrics",
        "scores",
        "gallery",
        "baselines",
        "history",
        "table",
        "quarantined",
        "provenance",
    ):
        assert f"job0-{name}" in ids
    assert "job2-classes" in ids and "job1-findings" not in ids


def test_every_reference_inside_the_page_leads_somewhere(outline):
    ids = set(outline.attributes("id"))
    for name in ("aria-labelledby", "aria-controls", "aria-describedby", "for"):
        assert set(outline.attributes(name)) <= ids
    assert {href[1:] for href in outline.attributes("href") if href.startswith("#")} <= ids


def test_nothing_in_the_page_comes_from_elsewhere(full, outline):
    assert all(source.startswith("data:image/") for source in outline.attributes("src"))
    assert all(href.startswith(("#", "data:,")) for href in outline.attributes("href"))
    style = "".join(re.findall(r"<style>(.*?)</style>", full, re.S))
    assert "url(" not in style and "@import" not in style


def test_the_policy_in_the_page_forbids_the_network_and_foreign_scripts(outline):
    policy = next(
        attrs["content"]
        for tag, attrs in outline.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert "unsafe" not in rules["script-src"] and rules["script-src"].count("'sha256-") == 4


def test_text_from_outside_stays_text(full, outline):
    assert HOSTILE not in full
    assert "onerror" not in {name for _, attrs in outline.tags for name in attrs}
    assert len(outline.scripts) == 5
    assert any(HOSTILE in text for text in outline.texts)
    assert f"Neighbours win {HOSTILE}" in "".join(outline.texts)


def test_a_hostile_path_and_label_survive_as_data():
    record, evidence = classifier()
    paths = evidence.paths.astype(object)
    paths[:] = [f"{HOSTILE}{i}" for i in range(6)]
    labels = np.array([HOSTILE] * 6, dtype=object)
    read = Outline(page("x", [(record, Evidence(paths=paths, labels=labels))]))
    table = read.data["job0"]["table"]
    assert table["folder"] + table["paths"][3] == f"{HOSTILE}3"
    assert table["label_names"] == [HOSTILE] and not read.faults


def test_the_page_carries_the_scores_bit_for_bit(outline):
    _, evidence = detector()
    job = outline.data["job0"]
    assert unpack(job["scores"]).tobytes() == evidence.scores.astype("<f4").tobytes()
    truth = unpack(job["truth"])
    assert (truth[:5] == 2).all() and ((truth[5:] == 1) == evidence.is_anomalous[5:]).all()
    assert job["threshold"] == detector()[0].operating_point.threshold


def test_histograms_count_every_finite_image_once(outline):
    _, evidence = detector()
    drawn = outline.data["job0"]["histogram"]
    known = evidence.labelled
    assert sum(drawn["counts"]["normal"]) == (~evidence.is_anomalous & known).sum()
    assert sum(drawn["counts"]["abnormal"]) == (evidence.is_anomalous & known).sum()
    assert sum(drawn["counts"]["calibration"]) == len(evidence.calibration_scores)
    assert sum(drawn["counts"]["train"]) == len(evidence.train_scores)
    assert len(drawn["edges"]) == len(drawn["counts"]["normal"]) + 1


def test_curves_end_in_their_corners_and_stay_in_the_unit_square(outline):
    curves = outline.data["job0"]["curves"]
    assert curves["roc"][0] == [0, 0] and curves["roc"][-1] == [1, 1]
    assert all(
        0 <= value <= 1 for name in ("roc", "pr") for point in curves[name] for value in point
    )


def test_findings_are_ordered_by_severity_and_the_fine_ones_folded(full):
    first = (
        full.index("Neighbours win"),
        full.index("Few images."),
        full.index("Train and test errors are alike."),
    )
    assert list(first) == sorted(first)
    assert full.rindex("<details>", 0, first[2]) > first[1]


def test_a_finding_is_shown_with_its_pictures_and_its_histogram(full):
    finding = re.search(r'<li class="finding error">.*?</li>', full, re.S).group()
    assert finding.count('class="finding-figure-group"') == 10 and finding.count("<img") == 20
    assert finding.count("<details") == 2 and "Show 4 more" in finding and "Ten pairs." in finding
    label = re.search(r'class="small-histogram" role="img" aria-label="([^"]*)"', finding).group(1)
    assert re.match(
        r"score: train: \d+ values, the middle half between [\d.]+ and [\d.]+; test: 697 values",
        label,
    )


def test_pictures_of_findings_beyond_the_budget_are_counted_not_shown():
    _, evidence = detector()
    html, used = finding_figure(evidence.figures["worse"], 3000)
    shown = html.count('class="finding-figure-group"')
    assert 0 < shown < 10 and used <= 3000 and f"and {10 - shown} more that are not shown" in html


def test_a_metric_without_a_value_is_said_to_be_not_defined(full):
    assert (
        "not defined" in full
        and ">0.000<" in full.replace(" ", "")
        and "NaN" not in full.split("<script")[0]
    )


@pytest.mark.slow
def test_ten_thousand_images_and_a_large_gallery_stay_below_ten_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    n, k, side = 10_000, 40, 256
    noise = rng.integers(
        0, 256, (k, side, side, 3), dtype=np.uint8
    )  # the worst that compression can meet
    gallery = Gallery(np.arange(k), noise, noise, rng.random((k, side, side), dtype=np.float32))
    evidence = Evidence(
        paths=np.array([f"line {i % 7}/station/camera/part_{i:06d}.png" for i in range(n)]),
        scores=rng.random(n),
        is_anomalous=rng.random(n) < 0.1,
        labels=rng.integers(0, 10, n),
        per_image={name: rng.random(n) for name in ("mse", "mae", "psnr", "ssim")},
        gallery=gallery,
    )
    record = Evaluation(job="detect", n_images=n, split="test")
    path = write_html(tmp_path / "report.html", "Large", [(record, evidence)])
    assert 1_000_000 < path.stat().st_size < 10_000_000
    assert Outline(path.read_text(encoding="utf-8")).attributes("src")


def test_evidence_with_nothing_but_paths_makes_a_page():
    read = Outline(
        page(
            "Bare",
            [
                (
                    Evaluation(job="detect", n_images=1, split="test"),
                    Evidence(paths=np.array(["a.png"])),
                )
            ],
        )
    )
    assert not read.faults and read.data["job0"]["scores"] is None


@pytest.mark.parametrize(
    "scores", [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [1e-9, 1.0, 1e9], [-3.0, 0.0, 2.0]]
)
def test_constant_tiny_huge_and_negative_scores_are_drawn(scores):
    evidence = Evidence(
        paths=np.array(["a", "b", "c"]),
        scores=np.array(scores),
        is_anomalous=np.array([False, True, True]),
    )
    drawn = Outline(
        page("Odd", [(Evaluation(job="detect", n_images=3, split="test"), evidence)])
    ).data["job0"]["histogram"]
    assert sum(drawn["counts"]["normal"]) == 1 and sum(drawn["counts"]["abnormal"]) == 2
    assert np.all(np.diff(drawn["edges"]) > 0)


def test_one_class_only_leaves_out_the_curves():
    evidence = Evidence(
        paths=np.array(["a", "b"]),
        scores=np.array([0.1, 0.2]),
        is_anomalous=np.array([False, False]),
    )
    assert (
        Outline(page("One", [(Evaluation(job="detect", n_images=2, split="test"), evidence)])).data[
            "job0"
        ]["curves"]
        is None
    )


def test_confusions_are_counted_by_true_row_and_predicted_column(full):
    matrix = re.search(r'<table class="matrix"[^>]*>.*?</table>', full, re.S).group()
    cells = [
        re.sub("<[^>]+>", "", cell)
        for cell in re.findall(r'<td class="(?:right|wrong)".*?</td>', matrix, re.S)
    ]
    assert cells == ["1", "1", "·", "·", "2", "·", "·", "1", "·"]


def test_two_jobs_of_a_kind_get_different_titles():
    jobs = [detector(), detector(), reconstructor()]
    titles = job_titles(jobs)
    assert len(set(titles)) == 3 and titles[2] == "Reconstruction"


def test_no_job_is_refused(tmp_path):
    with pytest.raises(InputError, match="Got no jobs"):
        write_html(tmp_path / "x.html", "Nothing", [])


def test_a_place_that_cannot_be_written_is_said_so_and_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError):
        write_html(tmp_path / "taken", "x", [classifier()])
    with pytest.raises(OutputError):
        write_html(tmp_path / "absent" / "x.html", "x", [classifier()])
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]


def test_script_data_is_read_back_unchanged_and_holds_no_tag():
    value = {"a": [HOSTILE, "\u2028 <!-- ]]> é"], "b": None}
    text = script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028") & set(text)


def test_nan_in_the_data_of_a_page_is_refused_not_written():
    with pytest.raises(ValueError, match="Out of range"):
        script_json({"x": float("nan")})


def test_the_command_that_made_the_run_is_shown_as_recorded():
    record = Evaluation(
        job="detect",
        n_images=1,
        split="test",
        provenance={"source": "s", "command": "residua fit s --job detect"},
    )
    assert "residua fit s --job detect</code>" in page(
        "x", [(record, Evidence(paths=np.array(["a"])))]
    )


def test_baselines_are_told_to_be_better_or_worse_than_the_model(full):
    rows = re.findall(
        r"<tr><th scope=\"row\">(PCA|Mean brightness|Nearest neighbours on pixels)</th>.*?"
        r"/difference\">([^<]+)<.*?class=\"words (\w+)\"[^>]*>([\w, ]+)<",
        full,
        re.S,
    )
    assert rows == [
        ("Nearest neighbours on pixels", "-0.030 [-0.035, -0.025]", "bad", "better"),
        ("Mean brightness", "-0.010 [-0.015, -0.005]", "bad", "better, turned around"),
        ("PCA", "+0.350 [+0.345, +0.355]", "good", "worse"),
    ]
    assert "Each interval stands alone." in full
    assert near(0.5).low == 0.49
