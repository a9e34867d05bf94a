"""The page in headless Chromium: no error, no request, and the script's numbers are NumPy's."""

import csv
import dataclasses

import numpy as np
import pytest
from report_samples import HOSTILE, classifier, detector, detectors, reconstructor

from chromium import BROWSER
from residua.evaluation.report import write_html
from residua.thresholds import PValues, choose_threshold, is_flagged

# A canvas is read through a copy: Chromium warns of a canvas of the page that is read more than
# once, as waiting does.
PIXELS = """one => { const copy = Object.assign(document.createElement("canvas"), {width: one.width, height: one.height});
    const drawing = copy.getContext("2d", {willReadFrequently: true});
    drawing.drawImage(one, 0, 0);
    return drawing.getImageData(0, 0, one.width, one.height).data; }"""
ARE_DRAWN = f"""([chosen, least]) => {{ const all = [...document.querySelectorAll(chosen)];
    return all.length >= least && all.every(one => ({PIXELS})(one).some(value => value)); }}"""
pytestmark = BROWSER


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    _, evidence = detector()
    paths = np.array([f"digits/test/{i:04d}" for i in range(len(evidence.scores))], dtype=object)
    paths[7], paths[9] = f"digits/test/{HOSTILE}", "digits/test/=1+1"
    jobs = [detector(paths=paths), reconstructor(), classifier()]
    return write_html(tmp_path_factory.mktemp("report") / "report.html", f"Digits {HOSTILE}", jobs)


@pytest.fixture
def open_page(browser, report):
    """Open the report; on the way out, no error was logged and nothing but the file was asked
    for."""
    contexts, complaints, requests = [], [], []

    def opened(file=report, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def by_numpy(evidence, threshold):
    known = evidence.labelled
    flagged, anomalous = is_flagged(evidence.scores[known], threshold), evidence.is_anomalous[known]
    tp, fp = int((flagged & anomalous).sum()), int((flagged & ~anomalous).sum())
    fn, tn = int((~flagged & anomalous).sum()), int((~flagged & ~anomalous).sum())
    rates = {
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "alarms": (fp, fp + tn),
    }
    ratios = {name: part / whole if whole else None for name, (part, whole) in rates.items()}
    return {"tp": tp, "fp": fp, "fn": fn, "tn": tn, **ratios}


def shown(page):
    cells = page.eval_on_selector_all(
        "#job0 [data-count]",
        "all => all.map(c => [c.dataset.count, c.querySelector('b').textContent])",
    )
    rates = page.eval_on_selector_all(
        "#job0 [data-rate]", "all => all.map(c => [c.dataset.rate, c.textContent])"
    )
    return {name: int(text.replace(",", "")) for name, text in cells}, dict(rates)


def test_script_counts_equal_numpys_at_every_threshold_that_matters(open_page):
    page, (record, evidence) = open_page(), detector()
    values = np.unique(evidence.scores.astype(np.float64))
    thresholds = [
        *values[::23],
        *np.nextafter(values[::41], 0),
        *np.nextafter(values[::41], 9),
        record.operating_point.threshold,
        -1,
        9,
    ]
    found = page.evaluate(
        "all => all.map(t => residua.jobs[0].rates(t))", [float(one) for one in thresholds]
    )
    assert found == [by_numpy(evidence, one) for one in thresholds]


def test_the_slider_moves_the_confusion_matrix_the_rates_and_the_words(open_page):
    page, (_, evidence) = open_page(), detector()
    seen = set()
    for share in (0, 0.2, 0.5, 0.9, 1):
        page.eval_on_selector(
            "#job0-slider",
            "(s, share) => { s.value = Math.round(s.max * share); s.dispatchEvent(new"
            " Event('input')); }",
            share,
        )
        threshold = page.evaluate("residua.jobs[0].threshold")
        expected = by_numpy(evidence, threshold)
        counts, rates = shown(page)
        seen.add(threshold)
        assert counts == {name: expected[name] for name in ("tp", "fp", "fn", "tn")}
        for name, text in rates.items():
            assert text == ("not defined" if expected[name] is None else f"{expected[name]:.3f}")
        assert f"{expected['tp']} are caught and {expected['fn']} missed" in page.inner_text(
            "#job0-words"
        )
    assert len(seen) == 5


def test_the_page_opens_at_the_chosen_threshold_and_arrow_keys_move_it_by_one_step(open_page):
    page, (record, _) = open_page(), detector()
    assert page.evaluate("residua.jobs[0].threshold") == record.operating_point.threshold
    page.focus("#job0-slider")
    before = int(page.input_value("#job0-slider"))
    page.keyboard.press("ArrowRight")
    assert int(page.input_value("#job0-slider")) == before + 1
    assert page.evaluate(
        "residua.jobs[0].threshold ==="
        " residua.jobs[0].candidates[+document.getElementById('job0-slider').value]"
    )


def test_the_points_on_both_curves_follow_the_threshold(open_page):
    page, (_, evidence) = open_page(), detector()
    place = """kind => { const dot = document.querySelector(`#job0 [data-chart=${kind}] .operating-dot`);
        return [+dot.getAttribute('cx'), +dot.getAttribute('cy')]; }"""
    threshold = float(np.median(evidence.scores))
    expected = by_numpy(evidence, threshold)
    page.evaluate("t => residua.jobs[0].move(t)", -1.0)
    corners = page.evaluate(place, "roc")
    page.evaluate("t => residua.jobs[0].move(t)", 9.0)
    origin = page.evaluate(place, "roc")
    page.evaluate("t => residua.jobs[0].move(t)", threshold)
    x, y = page.evaluate(place, "roc")
    assert (x - origin[0]) / (corners[0] - origin[0]) == pytest.approx(expected["alarms"], abs=1e-6)
    assert (y - origin[1]) / (corners[1] - origin[1]) == pytest.approx(expected["recall"], abs=1e-6)


def test_dragging_in_the_histogram_moves_the_threshold(open_page):
    page = open_page()
    before = page.evaluate("residua.jobs[0].threshold")
    grip = page.locator("#job0 .grip")
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 100)
    page.mouse.up()
    moved = page.evaluate("residua.jobs[0].threshold")
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 100)
    assert moved > before and page.evaluate("residua.jobs[0].threshold") == moved


def test_the_quick_buttons_do_what_they_say(open_page):
    page, (record, evidence) = open_page(), detector()
    known = evidence.labelled
    page.click("#job0 [data-go=all]")
    assert shown(page)[0]["fn"] == 0
    assert (
        page.evaluate("residua.jobs[0].threshold")
        < evidence.scores[known & evidence.is_anomalous].min()
    )
    page.click("#job0 [data-go=none]")
    assert shown(page)[0]["fp"] == 0
    assert (
        page.evaluate("residua.jobs[0].threshold")
        == evidence.scores[known & ~evidence.is_anomalous].max()
    )
    page.click("#job0 [data-go=f1]")
    best = max(by_numpy(evidence, one)["f1"] for one in [-1, *evidence.scores])
    assert page.evaluate("residua.jobs[0].rates().f1") == best
    assert page.locator("#job0 .reset").is_visible()
    page.click("#job0 .reset")
    assert page.evaluate("residua.jobs[0].threshold") == record.operating_point.threshold


def test_the_gallery_says_what_is_caught_and_missed_and_filters_by_it(open_page):
    page, (_, evidence) = open_page(), detector()
    page.evaluate("residua.jobs[0].move(9)")
    shown_anomalies = int((evidence.is_anomalous & evidence.labelled)[evidence.gallery.index].sum())
    page.click("#job0 .chips [data-verdict=missed]")
    assert page.locator("#job0 figure[data-index]:visible").count() == shown_anomalies > 0
    page.click("#job0 .chips [data-verdict=caught]")
    assert page.locator("#job0 figure[data-index]:visible").count() == 0
    assert page.locator("#job0 .none-here").is_visible()


def test_what_is_flagged_or_missed_is_saved_as_a_list_that_a_review_reads(open_page, tmp_path):
    page, (record, evidence) = open_page(), detector()
    known, flagged = evidence.labelled, evidence.scores > record.operating_point.threshold
    with page.expect_download() as download:
        page.click("#job0 .save-list")
    download.value.save_as(tmp_path / "review.csv")
    with (tmp_path / "review.csv").open(newline="") as file:
        found = {row["path"]: row["label"] for row in csv.DictReader(file)}
    wanted = flagged | (known & evidence.is_anomalous)
    assert len(found) == wanted.sum()
    words = np.where(known, np.where(evidence.is_anomalous, "defect", "good"), "")
    for row, path in enumerate(evidence.paths.tolist()):
        if row not in (7, 9):  # named otherwise in the page
            assert found.get(path) == (words[row] if wanted[row] else None)
    page.click("#job0 .chips [data-verdict=missed]")
    n_missed = int((known & evidence.is_anomalous & ~flagged).sum())
    if n_missed:
        assert page.inner_text("#job0 .save-list") == f"Save missed as CSV ({n_missed})"


def pictured(page, strip):
    """The images of a strip by row number, every one unfolded."""
    root = page.locator(f"#job0-strip-{strip}")
    root.scroll_into_view_if_needed()
    if root.locator(".count").inner_text() != "0":
        root.locator("[role=listitem]").first.wait_for()
    more = root.locator(".more")
    while more.is_visible():
        more.click()
    return root.locator("[role=listitem]").evaluate_all("all => all.map(one => +one.dataset.image)")


def test_the_rows_of_thumbnails_hold_what_numpy_says_is_missed_and_caught(open_page):
    page, (_, evidence) = open_page(), detector()
    scores, anomalous = evidence.scores, evidence.is_anomalous
    for threshold in (float(np.quantile(scores, 0.3)), float(np.quantile(scores, 0.02))):
        page.evaluate("t => residua.jobs[0].move(t)", threshold)
        page.wait_for_timeout(50)
        flagged, known = is_flagged(scores, threshold), evidence.labelled
        verdicts = {
            "missed": anomalous & ~flagged,
            "alarm": ~anomalous & flagged,
            "passed": ~anomalous & ~flagged,
        }
        for strip, wanted in verdicts.items():
            images = np.flatnonzero(wanted & known)
            shown_images = pictured(page, strip)
            assert sorted(shown_images) == images.tolist()
            order = scores[shown_images] if strip == "missed" else -scores[shown_images]
            assert (np.diff(order) >= 0).all()
            assert page.inner_text(f"#job0-strip-{strip} .count") == f"{len(images):,}"


def test_a_thumbnail_is_the_picture_of_its_image(open_page):
    page, (_, evidence) = open_page(), detector()
    images = pictured(page, "missed")[:5]
    page.wait_for_function(ARE_DRAWN, arg=["#job0-strip-missed canvas", len(images)])
    for image in images:
        canvas = page.locator(f"#job0-strip-missed [data-image='{image}'] canvas")
        drawn = canvas.evaluate(f"one => [...({PIXELS})(one)].filter((_, i) => i % 4 === 0)")
        wanted = evidence.thumbnails.pixels[image, :, :, 0].astype(float)
        assert np.abs(np.array(drawn).reshape(8, 8) - wanted).mean() < 25  # compressed


def test_a_closer_look_opens_turns_its_pages_and_closes_by_keyboard(open_page):
    page, (_, evidence) = open_page(), detector()
    images = pictured(page, "missed")
    page.locator(f"#job0-strip-missed [data-image='{images[0]}'] button").focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.look")
    assert (
        dialog.is_visible()
        and evidence.paths[images[0]] in dialog.inner_text()
        and "missed" in dialog.inner_text()
    )
    page.keyboard.press("ArrowRight")
    assert (
        evidence.paths[images[1]] in dialog.inner_text()
        and f"2 of {len(images)}" in dialog.inner_text()
    )
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.closest('[data-image]').dataset.image") == str(
        images[0]
    )


def test_policies_are_marks_on_the_slider_and_put_the_threshold_where_they_say(open_page):
    page, (record, evidence) = open_page(), detector()
    buttons = page.locator("#job0 .policies button")
    assert page.locator("#job0 .ticks i").count() == buttons.count() == 2
    point = choose_threshold("quantile:0.95", evidence.calibration_scores)
    buttons.nth(1).click()
    assert page.evaluate("residua.jobs[0].threshold") == point.threshold
    assert (
        buttons.nth(1).get_attribute("aria-pressed") == "true"
        and buttons.nth(0).get_attribute("aria-pressed") == "false"
    )
    lefts = page.eval_on_selector_all(
        "#job0 .ticks i", "all => all.map(one => one.getBoundingClientRect().x)"
    )
    ranks = [
        (evidence.scores > one).sum() for one in (record.operating_point.threshold, point.threshold)
    ]
    assert (lefts[0] < lefts[1]) == (ranks[0] > ranks[1])


def test_print_stands_at_the_stored_threshold_and_the_slider_comes_back(open_page):
    page, (record, evidence) = open_page(), detector()
    page.evaluate("residua.jobs[0].move(9)")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expected = by_numpy(evidence, record.operating_point.threshold)
    assert shown(page)[0] == {name: expected[name] for name in ("tp", "fp", "fn", "tn")}
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("residua.jobs[0].threshold") == 9


def test_thumbnails_are_drawn_before_anyone_scrolls_so_that_they_print(open_page):
    page = open_page()
    assert (
        page.evaluate("document.querySelector('#job0 .strips').getBoundingClientRect().top") > 2000
    )
    page.wait_for_function(ARE_DRAWN, arg=["#job0 .strips canvas", 21])


def test_a_finger_drags_the_threshold(browser, report):
    context = browser.new_context(
        viewport={"width": 375, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(report.as_uri())
    grip = page.locator("#job0 .grip")
    grip.scroll_into_view_if_needed()
    box, session = grip.bounding_box(), context.new_cdp_session(page)
    seen = []
    y = box["y"] + box["height"] / 2
    for kind, share in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.8)):
        points = [{"x": box["x"] + box["width"] * share, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        seen.append(page.evaluate("residua.jobs[0].threshold"))
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert seen == sorted(seen) and len(set(seen)) == 3
    context.close()


def test_a_long_gallery_shows_its_ends_until_asked_for_all(open_page):
    page = open_page()
    figures = page.locator("#job0 figure[data-index]:visible")
    assert figures.count() == 18
    page.click("#job0-gallery .more")
    assert figures.count() == 22 and not page.locator("#job0-gallery .more").is_visible()
    page.click("#job0 .chips [data-verdict=all]")
    assert figures.count() == 18


def column(page, number):
    return page.eval_on_selector_all(
        f"#job0 .images tbody tr td:nth-child({number})", "all => all.map(cell => cell.textContent)"
    )


def test_the_table_sorts_both_ways_filters_and_turns_its_pages(open_page):
    page, (_, evidence) = open_page(), detector()
    assert page.get_attribute("#job0 .images th:nth-child(2)", "aria-sort") == "descending"
    order = np.argsort(-evidence.scores, kind="stable")[:25]
    assert [float(text) for text in column(page, 2)] == [
        float(f"{evidence.scores[i]:.4g}") for i in order
    ]
    page.click("#job0 .images th:nth-child(2) button")
    assert float(column(page, 2)[0]) == float(f"{evidence.scores.min():.4g}")
    assert page.get_attribute("#job0 .images th:nth-child(2)", "aria-sort") == "ascending"
    page.click("#job0 .images th:nth-child(1) button")
    page.click("#job0 [data-page='1']")
    assert "26 to 50 of 697" in page.inner_text("#job0 .where")
    page.fill("#job0 input[type=search]", "0123")
    assert column(page, 1) == ["0123"] and "1 to 1 of 1" in page.inner_text("#job0 .where")
    page.fill("#job0 input[type=search]", "nothing like it")
    assert column(page, 1) == []


def test_the_table_filters_by_verdict(open_page):
    page, (record, evidence) = open_page(), detector()
    page.select_option("#job0 .tools select", "missed")
    expected = by_numpy(evidence, record.operating_point.threshold)["fn"]
    assert page.inner_text("#job0 .where").endswith(f"of {expected}")


def test_the_saved_table_holds_every_row_and_disarms_formulas(open_page):
    page, (_, evidence) = open_page(), detector()
    with page.expect_download() as waiting:
        page.click("#job0 [data-save]")
    lines = waiting.value.path().read_bytes().decode().split("\r\n")
    assert len(lines) == 1 + len(evidence.scores)
    expected = PValues.of(evidence.calibration_scores)(evidence.scores)[
        np.argsort(-evidence.scores, kind="stable")
    ]
    assert lines[0].split(",")[2] == '"p-value"'
    np.testing.assert_array_equal([float(line.split(",")[2]) for line in lines[1:]], expected)
    assert float(lines[1].split(",")[1]) == float(evidence.scores.max())
    assert any(line.startswith('"\'=1+1"') for line in lines)


def test_the_p_values_of_the_page_count_groups_once(open_page, tmp_path):
    record, evidence = detector()
    groups = np.arange(len(evidence.calibration_scores)) // 3 % 20
    evidence = dataclasses.replace(evidence, calibration_groups=groups)
    page = open_page(write_html(tmp_path / "groups.html", "Groups", [(record, evidence)]))
    with page.expect_download() as waiting:
        page.click("#job0 [data-save]")
    lines = waiting.value.path().read_bytes().decode().split("\r\n")[1:]
    reference = PValues.of(evidence.calibration_scores, groups)
    expected = reference(evidence.scores)[np.argsort(-evidence.scores, kind="stable")]
    np.testing.assert_allclose([float(line.split(",")[2]) for line in lines], expected, rtol=1e-12)
    assert reference.by_groups


def test_tabs_show_one_job_and_follow_the_arrow_keys(open_page):
    page = open_page()
    visible = "[...document.querySelectorAll('.job')].map(job => !job.hidden)"
    assert page.evaluate(visible) == [True, False, False]
    page.focus("#job0-tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(visible) == [False, True, False]
    page.locator("#job1 [data-chart=histogram] svg").wait_for()
    page.keyboard.press("End")
    assert page.evaluate(visible) == [False, False, True]


def test_hostile_text_is_shown_and_does_nothing(open_page):
    page = open_page()
    assert HOSTILE in page.inner_text("h1")
    page.fill("#job0 input[type=search]", "alert")
    assert column(page, 1) == [HOSTILE]
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("width", [375, 320, 768])
def test_nothing_scrolls_sideways_on_a_narrow_screen(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    for tab in page.query_selector_all("[role=tab]"):
        tab.click()
        page.wait_for_timeout(60)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark_have_enough_contrast_and_every_control_a_name(open_page):
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        ratio = page.evaluate("""() => {
            const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
            const luminance = colour => { const c = colour.match(/[\\d.]+/g).slice(0, 3).map(v => linear(v / 255));
                return .2126 * c[0] + .7152 * c[1] + .0722 * c[2]; };
            const muted = getComputedStyle(document.querySelector(".card .small")).color;
            const surface = getComputedStyle(document.querySelector(".panel")).backgroundColor;
            const [a, b] = [luminance(muted), luminance(surface)].sort((x, y) => y - x);
            return (a + .05) / (b + .05); }""")
        assert ratio >= 4.5
        nameless = page.evaluate(
            """[...document.querySelectorAll('button, input, select')].filter(one =>
            !one.textContent.trim() && !one.getAttribute('aria-label') && !(one.labels && one.labels.length)).length"""
        )
        assert nameless == 0


def test_print_shows_every_job_with_its_charts(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(
        "[...document.querySelectorAll('.job')].every(job => job.offsetHeight > 0)"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('[data-chart]')].every(holder =>"
        " holder.querySelector('svg'))"
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_a_script_the_findings_numbers_and_pictures_are_there(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".job:visible").count() == 3
    assert page.locator(".card:visible").count() >= 3 and page.locator("figure:visible").count() > 8
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_runs_in_one_page_are_compared_and_each_keeps_its_own_threshold(
    open_page, tmp_path, scheme
):
    jobs = detectors()
    file = write_html(tmp_path / "both.html", "Two runs", jobs, names=["before", "after"])
    page = open_page(file, color_scheme=scheme)
    assert "after beats before" in page.inner_text("[data-figure='comparison/sentence']")
    page.evaluate("residua.jobs[0].move(9)")
    assert page.evaluate("residua.jobs[1].threshold") == 0.04
    page.focus("#job0-tab")
    page.keyboard.press("ArrowRight")
    page.locator("#job1 [data-chart=histogram] svg").wait_for()
    assert page.evaluate("residua.jobs[1].rates().tp") == by_numpy(jobs[1][1], 0.04)["tp"]
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
