"""The page in headless Chromium: an image in, its score, map and words out; a text file is turned
away politely."""

from __future__ import annotations

import httpx
import pytest

from chromium import BROWSER
from serving import asking, encoded
from training_wing import blobs

TOKEN = "a-token-of-some-length"
pytestmark = BROWSER


@pytest.fixture
def open_page(browser, client):
    """Open the page; on the way out, no error was logged and nobody but this server was asked."""
    contexts, complaints, requests = [], [], []

    def opened(address: str = str(client.base_url), **options):
        context = browser.new_context(
            **{"viewport": {"width": 1100, "height": 900}, "reduced_motion": "reduce", **options}
        )
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
        page.goto(address)
        page.locator("#name:has-text('run'), #token-form:visible").first.wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    refused = (
        "status of 415",
        "status of 401",
        "status of 422",
    )  # the browser itself logs what is not a success
    assert [text for text in complaints if not any(status in text for status in refused)] == []
    assert [
        url for url in requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))
    ] == []


def choose(page, name: str, data: bytes, kind: str = "image/png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": data})


def test_a_chosen_image_is_scored_and_shown(open_page, client, good):
    page = open_page()
    choose(page, "part <b>7</b>.png", good)
    page.wait_for_selector("#result:not([hidden])")
    answer = client.post("/v1/score", content=good, headers={"content-type": "image/png"}).json()
    assert page.inner_text("#decision").lower() == answer["decision"].replace(": ", " ", 1).lower()
    assert page.inner_text("#file-name") == "part <b>7</b>.png"
    for picture in ("image", "overlay", "map", "reconstruction"):
        page.wait_for_function("id => document.getElementById(id).naturalWidth === 12", arg=picture)
    assert page.locator("#histogram .bar").count() == sum(
        n > 0 for n in client.get("/v1/model").json()["calibration"]["counts"]
    )
    assert page.locator("#histogram .threshold").count() == 1
    assert f"higher than {answer['rank']['n_below']} of them" in page.inner_text("#histogram-words")


def test_the_slider_lays_the_errors_over_the_image_and_keys_move_it(open_page, good):
    page = open_page()
    choose(page, "a.png", good)
    page.wait_for_selector("#result:not([hidden])")
    page.focus("#opacity")
    page.keyboard.press("Home")
    assert page.eval_on_selector("#overlay", "e => getComputedStyle(e).opacity") == "0"
    page.keyboard.press("End")
    assert page.eval_on_selector("#overlay", "e => getComputedStyle(e).opacity") == "1"
    assert page.inner_text("#opacity-value") == "100%"


def test_an_anomaly_is_called_one(open_page, model):
    odd = blobs(1, seed=9)[0]
    odd[:7, :7] = 255 - odd[:7, :7]
    page = open_page()
    choose(page, "odd.png", encoded(odd))
    page.wait_for_selector("#badge.anomalous")
    assert page.inner_text("#badge") == "Anomalous"


def test_an_image_can_be_dropped(open_page, good):
    page = open_page()
    page.evaluate(
        """bytes => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
        const place = document.getElementById("drop"), told = {dataTransfer: data, bubbles: true, cancelable: true};
        place.dispatchEvent(new DragEvent("dragenter", told));
        place.dispatchEvent(new DragEvent("drop", told));
        }""",
        list(good),
    )
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#file-name") == "dropped.png"
    assert not page.eval_on_selector("#drop", "e => e.classList.contains('over')")


def test_a_text_file_is_turned_away_politely_and_the_next_image_is_welcome(open_page, good):
    page = open_page()
    choose(page, "notes.txt", b"only words", "text/plain")
    page.wait_for_selector("#status.problem")
    assert (
        "notes.txt: This is not an image in a format that is decoded: PNG, JPEG"
        in page.inner_text("#status")
    )
    assert page.is_hidden("#result")
    choose(page, "a.png", good)
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#status") == ""


def test_with_a_token_the_page_asks_for_it_and_goes_on(open_page, model, good):
    with asking(model, token=TOKEN) as locked:
        page = open_page(str(locked.base_url))
        page.wait_for_selector("#token-form:not([hidden])")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        page.locator("#name", has_text="run").wait_for()
        choose(page, "a.png", good)
        page.wait_for_selector("#result:not([hidden])")
        assert TOKEN not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(open_page, good, scheme):
    page = open_page(
        viewport={"width": 375, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    assert page.is_visible("#photograph")
    choose(page, "a-rather-long-name-" * 6 + ".png", good)
    page.wait_for_selector("#result:not([hidden])")
    page.click("summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.eval_on_selector_all(
        "button", "all => all.every(e => e.hidden || !e.offsetHeight || e.offsetHeight >= 44)"
    )


def test_by_keyboard_alone_the_file_dialog_opens(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.eval_on_selector(
        "#file",
        "e => e.addEventListener('click', event => { event.preventDefault(); e.dataset.opened ="
        " 'yes'; })",
    )
    page.keyboard.press("Enter")
    assert page.get_attribute("#file", "data-opened") == "yes"


def test_a_server_that_has_gone_is_said_in_words(browser, model, good):
    with asking(model) as client:
        page = browser.new_page()
        page.goto(str(client.base_url))
        page.locator("#name", has_text="run").wait_for()
    with pytest.raises(httpx.ConnectError):
        httpx.get(client.base_url, trust_env=False)
    choose(page, "a.png", good)
    page.wait_for_selector("#status.problem")
    assert "does not answer" in page.inner_text("#status")
    page.close()
