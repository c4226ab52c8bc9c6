"""The site without a mouse: the way to everything is short, and it can be seen where one is."""

from __future__ import annotations

from tests.browser.conftest import Visit
from tests.browser.test_pages import PATHS, each_scheme
from tests.browser.visitor import TAB_STOPS
from tests.kit.tables import table

FOCUSED = """() => {
    const element = document.activeElement;
    const styles = [getComputedStyle(element), getComputedStyle(element, "::after")];
    const box = element.getBoundingClientRect();
    return {
        name: element.outerHTML.slice(0, 120),
        outlined: styles.some(style => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2),
        visible: box.width > 0 && box.height > 0 && box.left >= 0 && box.left < innerWidth,
        body: element === document.body,
    };
}"""


@table("path", PATHS)
def test_the_first_stop_skips_the_navigation(visit: Visit, path):
    """Tab, Enter: the next stop is inside of the content."""
    visitor = visit()
    visitor.goto(path)

    visitor.page.keyboard.press("Tab")
    assert "Skip to the content" == visitor.page.evaluate("document.activeElement.innerText")
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")

    assert visitor.page.evaluate("document.querySelector('main').contains(document.activeElement)")


@each_scheme
@table("path", PATHS)
def test_every_stop_can_be_seen(visit: Visit, path, scheme):
    """Wherever Tab leads, there is something in the window, with an outline around it."""
    visitor = visit(color_scheme=scheme)
    visitor.goto(path)
    stops = []
    for _ in range(TAB_STOPS):
        visitor.page.keyboard.press("Tab")
        stop = visitor.page.evaluate(FOCUSED)
        if stop["body"]:  # past the last one
            break
        stops.append(stop)

    assert len(stops) > len(PATHS)
    assert [] == [stop["name"] for stop in stops if not (stop["outlined"] and stop["visible"])]


@table("path", PATHS)
def test_headings_are_a_table_of_contents(visit: Visit, path):
    """One h1, then h2: what a screen reader lists is the page's outline."""
    visitor = visit()
    visitor.goto(path)

    levels = visitor.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => each.tagName)")
    assert ["H1"] == [*dict.fromkeys(levels)][:1]
    assert levels.count("H1") == 1
    assert set(levels) <= {"H1", "H2"}
