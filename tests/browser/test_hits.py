"""Hit and miss on every page, seen by a visitor who has nothing but a keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import DESKTOP, PHONE, shows


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    ("path", "button", "lookup", "made", "found"),
    [
        ("/products/", "Forget it", "get", "Miss", "Hit"),
        ("/fragment/", "Forget it", "get", "Miss", "Hit"),
        ("/visits/", "End this session", "get x 2", "New session", "Session found"),
        ("/async/", "Forget all four", "get x 4", "Miss", "All from the cache"),
    ],
)
def test_a_miss_a_hit_and_a_forgotten_answer(visit: Visit, window, path, button, lookup, made, found):
    """The first load is a miss and the next a hit; after the button, pressed by keyboard, it is so again."""
    visitor = visit(window)
    badge = visitor.page.locator(".badge")

    visitor.goto(path)
    for _ in range(2):
        expect(badge).to_have_text(made)
        assert "hit" not in visitor.calls.get(lookup, "")
        visitor.goto(path)
        expect(badge).to_have_text(found)
        assert "hit" in visitor.calls[lookup]
        visitor.press("button", button)
    # Its request must not store a value after the cache is emptied for the next test.
    expect(badge).to_have_text(made)


def test_a_kept_page_tells_who_kept_it(visit: Visit):
    """The second visitor sees the first one's time, and the badge and the calls of their own request."""
    times, badges = [], []
    for _ in range(2):
        visitor = visit()
        visitor.goto("/page/")
        times.append(visitor.page.locator(".figure time").get_attribute("datetime"))
        badges += visitor.badges

    assert ["Miss", "Hit"] == badges
    assert times[0] == times[1]
    assert {"get x 2": "2 hits"} == visitor.calls


def test_a_limit_runs_out(visit: Visit):
    """Each request of the window takes one; the sixth is told that there is none left."""
    visitor = visit()
    left = []
    for _ in range(6):
        visitor.goto("/limit/")
        left.append(visitor.page.locator(".figure").inner_text())

    assert [f"{number} of 5 left" for number in (4, 3, 2, 1, 0, 0)] == left
    shows(visitor, "429 Too many requests")


def test_some_of_many_are_forgotten(visit: Visit):
    """A hundred misses, a hundred hits, and with every third forgotten a part of each."""
    visitor = visit()
    visitor.goto("/many/")
    assert ["100 missing"] == visitor.badges

    visitor.goto("/many/")
    assert ["100 found"] == visitor.badges

    visitor.press("button", "Forget every third")
    expect(visitor.page.locator(".badge")).to_have_text(["66 found", "34 missing"])
    expect(visitor.page.locator(".tiles .made")).to_have_count(34)


def test_one_of_four_answers_is_forgotten(visit: Visit):
    """Each service has a button, named for it; the others' answers stay in the cache."""
    visitor = visit()
    visitor.goto("/async/")

    visitor.press("button", "Forget the rating")

    expect(visitor.page.locator(".badge")).to_have_text("Partly from the cache")
    rows = visitor.page.locator(".spans tbody tr").all_inner_texts()
    assert ["Hit", "Hit", "Miss", "Hit"] == [re.search("Hit|Miss", row)[0] for row in rows]


@pytest.mark.parametrize(
    ("path", "label", "chosen", "press", "outcome"),
    [
        ("/products/", "Cache the next list for", "10 seconds", "Forget it", "cached for 10 seconds"),
        ("/many/", "Tiles", "10", "Read", "10 keys by"),
    ],
)
def test_a_choice_is_made_by_keyboard(visit: Visit, path, label, chosen, press, outcome):
    """The fields have labels, and a choice typed into one is what happens."""
    visitor = visit()
    visitor.goto(path)

    visitor.tab_to("combobox", label)
    visitor.page.keyboard.press("Home")
    assert chosen == visitor.page.get_by_label(label).evaluate("select => select.selectedOptions[0].text")
    visitor.press("button", press)

    shows(visitor, outcome)


@pytest.mark.parametrize(
    ("path", "button", "made", "found"),
    [
        ("/products/", "Forget it", "Miss", "Hit"),
        ("/fragment/", "Forget it", "Miss", "Hit"),
        ("/visits/", "End this session", "New session", "Session found"),
        ("/async/", "Forget all four", "Miss", "All from the cache"),
    ],
)
def test_works_without_scripts(visit: Visit, path, button, made, found):
    """Everything but the status page's refreshing is plain HTML."""
    visitor = visit(java_script_enabled=False)
    badge = visitor.page.locator(".badge")

    visitor.goto(path)
    visitor.goto(path)
    expect(badge).to_have_text(found)
    visitor.page.get_by_role("button", name=button).click()
    expect(badge).to_have_text(made)
