"""The review page in headless Chromium: by keyboard, by a second reviewer on a phone, and on after
the server has died."""

from __future__ import annotations

from collections import Counter

import pytest

from chromium import BROWSER

pytestmark = BROWSER


class Reviewer:
    """Somebody at the page."""

    def __init__(self, browser, address: str, name: str, **options) -> None:
        self.complaints: list[str] = []
        context = browser.new_context(viewport={"width": 1100, "height": 900}, **options)
        self.page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{address}/review")
        self.page.fill("#reviewer", name)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("body[data-shown] #work:not([hidden])")

    def _hear(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    @property
    def shown(self) -> str:
        return self.page.get_attribute("body", "data-shown")

    def then(self, act) -> None:
        """Do something after which another image is shown."""
        before = self.shown
        act()
        self.page.wait_for_selector(f"body:not([data-shown='{before}'])")

    def press(self, *keys: str) -> None:
        for key in keys[:-1]:
            self.page.keyboard.press(key)
        self.then(lambda: self.page.keyboard.press(keys[-1]))


@pytest.fixture
def work(reopen, reviewing, browser):
    review = reopen()
    with reviewing(review) as client:
        yield review, str(client.base_url).rstrip("/"), browser


def test_images_are_reviewed_by_keyboard_and_a_second_reviewer_disagrees_on_a_phone(work):
    review, address, browser = work
    anna = Reviewer(browser, address, "anna", color_scheme="dark")
    anna.page.wait_for_function("() => document.getElementById('map').naturalWidth > 0")
    first, scale = anna.shown, anna.page.inner_text("#brightest")
    assert "the same for every image" in scale
    anna.press("g")
    anna.press("k", *"corner", "Enter")
    anna.press("1")
    anna.press("n", *"odd", "Enter", "d")
    anna.press("s")
    said = {path: answers["anna"] for path, answers in review.book.answers.items()}
    assert Counter(one.answer for one in said.values()) == {"defect": 3, "good": 1, "skip": 1}
    assert sorted(one.kind or "" for one in said.values()) == ["", "", "", "corner", "corner"]
    assert "odd" in {one.note for one in said.values()}
    anna.press("u")
    assert len(review.book.answers) == 4
    anna.press("ArrowRight")
    anna.press("ArrowLeft")
    assert len(review.book.answers) == 4

    phone = {"is_mobile": True, "has_touch": True, "screen": {"width": 375, "height": 740}}
    ben = Reviewer(browser, address, "ben", **phone)
    ben.page.set_viewport_size({"width": 375, "height": 740})
    ben.then(lambda: ben.page.select_option("#view", "second"))
    assert ben.shown == first
    assert ben.page.inner_text("#said") == ""
    ben.then(lambda: ben.page.tap("[data-answer=defect]"))
    ben.then(lambda: ben.page.select_option("#view", "disagree"))
    assert ben.page.inner_text("#said").splitlines() == ["anna: good", "ben: defect"]
    assert ben.page.evaluate("document.documentElement.scrollWidth") <= 375
    assert ben.page.eval_on_selector_all(
        ".actions button", "all => all.every(e => e.offsetHeight >= 44)"
    )
    assert ben.page.inner_text("#badge") == "Flagged"
    assert anna.complaints == ben.complaints == []
