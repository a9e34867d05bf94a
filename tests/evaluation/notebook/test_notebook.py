"""What notebooks show of records and image sets: everything escaped, in the report's look, and
nothing around it changed."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import residua
from chromium import BROWSER
from residua.errors import InputError, MissingExtraError
from residua.evaluation import Evidence
from residua.evaluation.comparison import Contestant, compare_models
from residua.evaluation.notebook.html import SHOWN, scoped, style

HOSTILE = "</style><script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def images():
    return residua.load_images("digits")[:400]


@pytest.fixture(scope="module")
def detection(images):
    scores = images.array().reshape(len(images), -1).std(axis=1)
    return residua.evaluate_detection(images.labels != 1, scores, operating_point=85.0)


@pytest.fixture(scope="module")
def reconstruction(images):
    x = images.array()[:60] / 255
    return residua.evaluate_reconstruction(x, np.clip(x + 0.1, 0, 1))


@pytest.fixture(scope="module")
def classification():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    return residua.evaluate_classification(
        ["a", HOSTILE, HOSTILE, "a"], probabilities, classes=("a", HOSTILE)
    )


@pytest.fixture(scope="module")
def comparison(detection, images):
    evidence = Evidence(
        paths=np.arange(len(images)).astype(str),
        scores=detection.evidence.scores,
        is_anomalous=detection.evidence.is_anomalous,
        pixel_hashes=images.pixel_hashes,
    )
    names = ("first", HOSTILE)
    return compare_models([Contestant(name, detection, evidence) for name in names])


@pytest.fixture
def everything(images, detection, reconstruction, classification, comparison):
    hostile = residua.ImageSet.from_arrays(
        np.zeros((3, 8, 8, 3), np.uint8), labels=[HOSTILE, "b", None], source=HOSTILE
    )
    estimate = residua.Estimate(value=0.5, low=0.25, high=0.75, n=9, caveat=HOSTILE)
    undefined = residua.Estimate(value=None)
    finding = residua.Finding(
        code="odd", severity="error", measured={HOSTILE: 1}, meaning=HOSTILE, what_to_do=HOSTILE
    )
    records = [detection, reconstruction, classification, comparison, detection.operating_point]
    return [images, hostile, *records, estimate, undefined, finding]


class _Tags(HTMLParser):
    """Open and closed tags in balance, and no script."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_everything_is_shown_escaped_and_self_contained(everything):
    assert {type(one) for one in everything} == set(SHOWN)
    for one in everything:
        html = one._repr_html_()
        tags = _Tags()
        tags.feed(html)
        tags.close()
        assert tags.open == []
        assert "script" not in tags.seen
        assert "http" not in html.replace("http://www.w3.org", "")
        assert len(html) < 60_000


def test_a_record_shows_its_verdict_its_numbers_and_its_findings(detection):
    html = detection._repr_html_()
    area = detection.metrics["roc_auc"]
    assert f"{area.value:.3f}" in html
    assert f"{area.low:.3f} to {area.high:.3f}" in html
    assert detection.verdict.word.capitalize() in html
    assert all(one.code in html for one in detection.findings)
    assert "An image is flagged when its score exceeds 85" in html


def test_a_set_shows_an_image_of_each_label_and_counts_by_part(images):
    html = images._repr_html_()
    assert html.count("<img") == 12
    shown = re.findall(r"</span>|<span>(\d)</span>", html)
    assert set(filter(None, shown)) == set("0123456789")
    assert f"{len(images):,} images of 8 x 8 pixels, grey" in html
    assert images[:0]._repr_html_().count("<img") == 0


def test_every_rule_of_the_style_is_bounded_to_what_residua_shows():
    bare = re.sub(r"@media[^{]*\{", "", style())
    selectors = re.findall(r"([^{}]+)\{[^{}]*\}", bare)
    assert len(selectors) > 50
    for several in selectors:
        for one in re.split(r",(?![^(]*\))", several):
            assert ".residua" in one, one
    assert scoped("a:is(b, c) { d: e; }") == ".residua.residua a:is(b, c) { d: e; }"


def test_the_report_inside_a_notebook_is_a_closed_frame_of_bounded_size(detection, reconstruction):
    for record in (detection, reconstruction):
        shown = record.show(height=321)
        html = shown._repr_html_()
        assert 'sandbox="allow-scripts"' in html
        assert "height: 321px" in html
        assert html.count("<") == 2  # the page stands inside an attribute
        assert len(shown.html) < 2_500_000
        assert "MB, shown by notebooks" in repr(shown)


def test_a_record_from_a_file_has_no_arrays_and_says_how_to_add_them(detection):
    read = residua.Evaluation.model_validate_json(detection.model_dump_json())
    assert read.evidence is None
    assert read == detection
    assert "Anomaly detection" in read._repr_html_()
    for wanted in (read.show, lambda: read.to_frame("images"), lambda: read.plot("roc")):
        with pytest.raises(InputError, match=r"with_evidence\(Evidence.load"):
            wanted()
    assert read.with_evidence(detection.evidence).show().height == 640
    assert "evidence" not in detection.model_dump_json()


def test_a_record_alone_is_enough_for_a_report_and_for_a_comparison(
    detection, images, comparison, tmp_path
):
    page = residua.write_html(tmp_path / "report.html", "Digits", [detection]).read_text()
    assert "residua-data" in page
    with pytest.raises(InputError, match="hashes of their images"):
        residua.compare_models({"a": detection, "b": detection})
    evidence = replace(detection.evidence, pixel_hashes=images.pixel_hashes)
    both = {name: detection.with_evidence(evidence) for name in ("first", HOSTILE)}
    assert residua.compare_models(both) == comparison
    bare = residua.Evaluation(job="detect", n_images=0, split="test")
    with pytest.raises(InputError, match="write_html: arrays must lie behind"):
        residua.write_html(tmp_path / "none.html", "none", [bare])


def test_arrays_stay_behind_a_record_that_is_pickled(detection):
    again = pickle.loads(pickle.dumps(detection))
    np.testing.assert_array_equal(again.evidence.scores, detection.evidence.scores)


def test_frames_hold_what_the_record_says(detection, classification, reconstruction, comparison):
    metrics = detection.to_frame()
    assert metrics.loc["roc_auc", "value"] == detection.metrics["roc_auc"].value
    assert list(metrics.index) == list(detection.metrics)
    each = detection.to_frame("images")
    assert len(each) == detection.n_images
    assert each.flagged.sum() == round(detection.metrics["flagged_rate"].value * detection.n_images)
    assert list(detection.to_frame("findings").index) == [one.code for one in detection.findings]
    named = classification.to_frame("images")
    assert list(named.predicted) == ["a", HOSTILE, "a", HOSTILE]
    assert list(named[f"probability[{HOSTILE}]"]) == [0.1, 0.8, 0.4, 0.7]
    assert reconstruction.to_frame("images").mse.mean() == pytest.approx(
        reconstruction.metrics["mse"].value
    )
    assert comparison.to_frame().loc[("roc_auc", "first", HOSTILE), "value"] == 0
    assert len(comparison.to_frame("models")) == 2 * len(comparison.standings[0].metrics)
    assert len(residua.Evaluation(job="detect", n_images=0, split="test").to_frame()) == 0
    with pytest.raises(InputError, match="metrics, baselines, findings, images"):
        detection.to_frame("pictures")


@pytest.mark.parametrize(
    ("package", "extra", "ask"),
    [("pandas", "frames", "to_frame"), ("matplotlib", "plot", "plot")],
)
def test_a_missing_package_is_named_with_the_line_that_mends_it(
    detection, monkeypatch, package, extra, ask
):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    monkeypatch.setitem(__import__("sys").modules, f"{package}.pyplot", None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'residua\[{extra}\]'"):
        getattr(detection, ask)()


@BROWSER[0]
@BROWSER[1]
@BROWSER[2]
def test_a_notebook_keeps_its_own_look_and_lends_its_theme(detection, browser):
    page_of = """<body data-jp-theme-light="{light}"><table><tr><th id="own">own</th></tr></table>
    <h2 id="title">own</h2>{shown}</body>"""
    look = """id => { const s = getComputedStyle(document.querySelector(id));
    return [s.color, s.padding, s.fontSize, s.margin, s.backgroundColor].join("|"); }"""
    page = browser.new_page(color_scheme="dark")
    backgrounds, own = [], set()
    for light, shown in (("true", ""), ("true", "x"), ("false", "x")):
        html = detection._repr_html_() if shown else ""
        page.set_content(page_of.format(light=light, shown=html))
        own.add(page.evaluate(look, "#own") + page.evaluate(look, "#title"))
        if shown:
            backgrounds.append(page.evaluate(look, ".residua").rsplit("|", 1)[1])
    page.close()
    assert len(own) == 1
    assert backgrounds == ["rgb(250, 250, 248)", "rgb(20, 23, 26)"]
