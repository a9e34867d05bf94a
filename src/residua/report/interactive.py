"""The sections that the page's script brings to life: scores and threshold, curves, training, the per-image table."""

from __future__ import annotations

from residua.evaluation.evidence import Evidence
from residua.records import Evaluation
from residua.report import sections, words
from residua.report.markup import Html, element
from residua.report.payload import curves, histogram, shared_folder
from residua.report.tables import row, scroller, table

_QUICK = (("chosen", "As chosen"), ("all", "Catch all"), ("none", "No false alarm"), ("f1", "Best F1 here"))
_CELLS = (
    ("abnormal", (("tp", "caught", "good"), ("fn", "missed", "bad"))),
    ("normal", (("fp", "false alarms", "bad"), ("tn", "left alone", "good"))),
)
_RATES = (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"), ("alarms", "False-alarm rate"))


def scores(key: str, evaluation: Evaluation, evidence: Evidence) -> Html | None:
    """Score histogram with the threshold in it; for a detector also the slider, its counts and the two curves."""
    drawn = histogram(evaluation, evidence)
    if drawn is None:
        return None
    if evaluation.job != "detect":
        name = "Score" if drawn["quantity"] == "score" else words.metric_words(drawn["quantity"]).label
        return sections.panel(
            key, "scores", f"{name}, image by image", _chart("histogram", f"Histogram of the {name.lower()} of each image")
        )
    both = curves(evidence) is not None
    drawing = _chart("histogram", "Histogram of scores with the threshold")
    parts = [sections.operating_point(evaluation), drawing, _control(key, evaluation, both)]
    if both:
        roc = _titled("ROC curve", _chart("roc", "ROC curve with the threshold's point"))
        pr = _titled("Precision and recall", _chart("pr", "Precision-recall curve with the threshold's point"))
        parts += [_outcome(), element("div", roc, pr, class_="pair")]
    return sections.panel(key, "scores", "Scores and threshold", *parts, class_="threshold")


def _control(key: str, evaluation: Evaluation, both: bool) -> Html:
    quick = [
        one for one in _QUICK if (one[0] != "chosen" or evaluation.operating_point is not None) and (both or one[0] == "chosen")
    ]
    buttons = (element("button", title, type="button", data_go=name) for name, title in quick)
    slider = element(
        "input", type="range", id=f"{key}-slider", min=0, max=1, step=1, value=0, class_="slider", aria_describedby=f"{key}-words"
    )
    field = element("input", type="number", step="any", class_="exact", aria_label="Threshold, exactly")
    warning = (
        "Moving it explores the test images. A threshold picked by looking at them will seem better than it turns out to be; "
        "choose with calibration images instead."
    )
    return element(
        "div",
        element(
            "div",
            element("label", "Threshold", for_=f"{key}-slider"),
            field,
            element("span", buttons, class_="quick"),
            class_="control-head",
        ),
        slider,
        element("p", "", id=f"{key}-words", class_="outcome-words", role="status"),
        element("p", warning, class_="small"),
        class_="control",
        hidden=True,
    )


def _outcome() -> Html:
    rows = (row(title, *(_count(*cell) for cell in cells)) for title, cells in _CELLS)
    matrix = table(("", "flagged", "passed"), rows, class_="outcome", aria_label="Confusion matrix at the threshold")
    rates = (element("div", element("dt", title), element("dd", "–", data_rate=name)) for name, title in _RATES)
    return element("div", matrix, element("dl", rates, class_="rates"), class_="outcome-box", hidden=True)


def _count(name: str, word: str, tone: str) -> Html:
    return element("td", element("b", "–"), element("small", word), data_count=name, class_=tone)


def history(key: str, evidence: Evidence) -> Html | None:
    """The training and validation loss, an epoch a point."""
    losses = [name for name in ("train_loss", "validation_loss") if name in evidence.history and len(evidence.history[name])]
    if not losses:
        return None
    return sections.panel(key, "history", "How training went", _chart("history", "Loss by epoch, training and validation"))


def per_image(key: str, evidence: Evidence) -> Html:
    """The per-image table; the script fills it a page at a time."""
    folder = shared_folder([str(path) for path in evidence.paths])
    search = element("input", type="search", placeholder="Filter by path or label", aria_label="Filter images by path or label")
    verdicts = ("all", "All images"), ("missed", "Missed"), ("alarm", "False alarms"), ("caught", "Caught"), ("passed", "Passed")
    choice = element(
        "select", (element("option", title, value=value) for value, title in verdicts), aria_label="Which images", hidden=True
    )
    save = element("button", "Save as CSV", type="button", data_save=True)
    grid = scroller(element("table", element("thead", ""), element("tbody", ""), class_="images"), "Images")
    pager = element(
        "div", element("button", "Previous", type="button", data_page="-1"), element("span", "", role="status", class_="where"),
        element("button", "Next", type="button", data_page="1"), class_="pager",
    )  # fmt: skip
    lede = f"Paths are in {folder}" if folder else None
    tools = element("div", search, choice, save, class_="tools")
    return sections.panel(key, "table", "Image by image", tools, grid, pager, lede=lede, class_="images-panel")


def _chart(kind: str, label: str) -> Html:
    return element("div", "", class_="chart", data_chart=kind, role="img", aria_label=label)


def _titled(title: str, chart: Html) -> Html:
    return element("div", element("h4", title), chart)
