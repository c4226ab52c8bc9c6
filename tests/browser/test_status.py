"""The status page: it counts what was just done, follows it by itself, and stops when told to."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, shows
from tests.kit.aws import V2_KEY, shown_of

# Milliseconds. The page asks every two seconds; this is for machines that are busy.
PATIENCE = 60_000


def figures(visitor: Visitor) -> dict[str, int]:
    """Return calls, hits, misses and errors as the page shows them."""
    text = visitor.page.locator("#figures").inner_text()
    numbers = re.search(r"Calls\s+(\d+)\s.*?(\d+) hits?, (\d+) miss.*Errors\s+(\d+)", text, re.DOTALL)
    assert numbers, text
    return dict(zip(("calls", "hits", "misses", "errors"), map(int, numbers.groups()), strict=True))


def test_counts_what_was_just_done(visit: Visit):
    """A miss that is stored and a hit are three calls more, one hit more and one miss more."""
    visitor = visit()
    visitor.goto("/status/")
    before = figures(visitor)
    visitor.goto("/products/")
    visitor.goto("/products/")

    visitor.goto("/status/")

    assert {"calls": 3, "hits": 1, "misses": 1, "errors": 0} == {
        name: number - before[name] for name, number in figures(visitor).items()
    }


def test_the_table_has_the_numbers_of_the_chart(visit: Visit):
    """The unfolded table has a row for each mark of the chart, newest first: outcome, and result in words."""
    visitor = visit()
    visitor.goto("/products/")
    visitor.goto("/status/")
    visitor.page.get_by_role("button", name="Pause updates").click()

    visitor.page.get_by_text("The same numbers as a table").click()

    rows = visitor.page.locator("#latest tr .outcome").all()
    outcomes = [str(row.get_attribute("class")).removeprefix("outcome ") for row in rows]
    marks = visitor.page.locator("svg.latency use").all()
    assert outcomes[::-1] == [mark.get_attribute("class") for mark in marks]
    words = [row.inner_text().strip() for row in rows]
    assert {"Miss": "miss", "Stored": "done"}.items() <= dict(zip(words, outcomes, strict=True)).items()
    chart = visitor.page.get_by_role("img", name=f"Latency of the latest {len(rows)} calls")
    expect(chart).to_have_accessible_description(re.compile(r"Median [\d.]+ ms, slowest [\d.]+ ms"))


def test_follows_what_others_do(visit: Visit):
    """The figures change in an open window, without a reload, and what was unfolded stays so."""
    watcher, other = visit(), visit()
    other.goto("/products/")
    watcher.goto("/status/")
    watcher.page.get_by_text("The same numbers as a table").click()
    before = figures(watcher)["calls"]
    other.goto("/products/")

    calls = watcher.page.locator("#figures .figure").first
    expect(calls).to_have_text(str(before + 1), timeout=PATIENCE)
    expect(watcher.page.locator("details")).to_have_attribute("open", "")


def test_stands_still_when_it_is_paused(visit: Visit):
    """A paused page asks for nothing; resumed it catches up. Both by keyboard, and both are said."""
    watcher, other = visit(), visit()
    other.goto("/products/")
    watcher.page.clock.install()
    watcher.page.clock.pause_at(watcher.page.evaluate("Date.now()") + 1000)
    watcher.goto("/status/")
    watcher.press("button", "Pause updates")
    expect(watcher.page.get_by_role("status")).to_have_text("Updates are paused.")
    before, asked = figures(watcher)["calls"], len(watcher.addresses)
    other.goto("/products/")
    watcher.page.clock.run_for(60_000)

    assert asked == len(watcher.addresses)
    assert before == figures(watcher)["calls"]

    watcher.page.keyboard.press("Enter")
    expect(watcher.page.get_by_role("status")).to_be_empty()
    watcher.page.clock.run_for(3_000)
    expect(watcher.page.locator("#figures .figure").first).to_have_text(str(before + 1), timeout=PATIENCE)


def test_starts_paused_with_reduced_motion(visit: Visit):
    """Who asked for less motion is not shown a page that changes by itself until they want it."""
    visitor = visit(reduced_motion="reduce")
    visitor.goto("/status/")

    expect(visitor.page.get_by_role("button", name="Resume updates")).to_be_visible()
    shows(visitor, "Updates are paused.")


def test_without_scripts_there_is_a_link(visit: Visit):
    """The page is whole without scripts: no button that does nothing, and a link that reloads."""
    visitor = visit(java_script_enabled=False)
    visitor.goto("/products/")
    visitor.goto("/status/")
    before = figures(visitor)["calls"]
    visitor.goto("/products/")
    visitor.page.go_back()

    expect(visitor.page.get_by_role("button")).to_have_count(0)
    visitor.page.get_by_role("link", name="Reload").click()
    assert figures(visitor)["calls"] == before + 1


@pytest.mark.parametrize("path", ["/products/", "/status/"])
def test_shows_where_the_key_came_from_and_never_the_key(visit: Visit, path):
    """Secret, region, kind, endpoint and age are shown, and no part of the key is in any page."""
    visitor = visit()
    visitor.goto("/products/")
    visitor.goto(path)

    if path == "/status/":
        facts = visitor.page.get_by_role("region", name="API key").inner_text()
        assert "Secret 'Momento_Auth_Token' in us-west-2" in facts
        assert re.search(r"Kind\s+v2\s+Endpoint\s+127\.0\.0\.1:\d+\s+Age\s+\d+ \w+, fetched at", facts)
    assert [] == shown_of(V2_KEY, visitor.page.content())
