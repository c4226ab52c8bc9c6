"""Every page in every window: it fits, it can be read by everybody, and it loads nothing from elsewhere."""

from __future__ import annotations

import pytest

from example_project.pages import PAGES, STATUS
from tests.browser.conftest import Visit
from tests.browser.visitor import WINDOWS, Visitor, shows
from tests.kit.tables import table

PATHS = ["/", *(f"/{page.name}/" for page in (*PAGES, STATUS))]

schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
# The same within one test, for pages that two visitors do not change.
each_scheme = table("scheme", ["light", "dark"])


def obstacles(visitor: Visitor) -> list[str]:
    """What keeps somebody from the page, in windows from a desktop's to the smallest phone's."""
    found = []
    for width, height in WINDOWS:
        visitor.page.set_viewport_size({"width": width, "height": height})
        if visitor.scrolls_sideways():
            found.append(f"{width} px: scrolls sideways")
        found += [f"{width} px: {barrier}" for barrier in visitor.barriers()]
    return found


@each_scheme
@table("path", PATHS)
def test_a_page_fits_and_excludes_nobody(visit: Visit, path, scheme):
    """A page answers 200, never scrolls sideways, has nothing for axe to find, and is the site's alone."""
    visitor = visit(color_scheme=scheme)

    assert visitor.goto(path).status == 200
    assert obstacles(visitor) == []
    # once more, for what a hit looks like
    assert visitor.goto(path).status == 200
    assert visitor.barriers() == []

    site = visitor.page.url.removesuffix(path)
    assert [url for url in visitor.addresses if not url.startswith((f"{site}/", "data:"))] == []


@schemes
def test_a_refusal_fits_and_excludes_nobody(visit: Visit, scheme):
    """The page of the sixth request, 429, is as good as the others."""
    visitor = visit(color_scheme=scheme)

    assert [200] * 5 + [429] == [visitor.goto("/limit/").status for _ in range(6)]
    assert obstacles(visitor) == []


@each_scheme
def test_an_unknown_address_fits_and_excludes_nobody(visit: Visit, scheme):
    """So is the page of an address that does not exist."""
    visitor = visit(color_scheme=scheme)

    assert visitor.goto("/no-such-page/").status == 404
    assert obstacles(visitor) == []


@each_scheme
def test_the_open_table_of_operations_fits_and_excludes_nobody(visit: Visit, scheme):
    """The status page's table, unfolded, is for every window too."""
    visitor = visit(color_scheme=scheme)
    visitor.goto("/many/")
    visitor.goto("/status/")

    visitor.page.get_by_text("The same numbers as a table").click()

    assert obstacles(visitor) == []


@each_scheme
def test_the_page_of_operations_is_linked_fits_and_excludes_nobody(visit: Visit, scheme):
    """The status page leads to the page that the package includes, which has the calls just made."""
    visitor = visit(color_scheme=scheme)
    visitor.goto("/products/")
    visitor.goto("/status/")

    visitor.page.get_by_role("link", name="The operations of this process").click()

    shows(visitor, "Costliest key groups")
    assert obstacles(visitor) == []


@table("path", PATHS)
def test_the_schemes_differ(visit: Visit, path):
    """Who asks for dark gets a dark page, and who does not a light one."""
    visitor = visit()
    visitor.goto(path)
    darker = {}
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        colours = visitor.page.evaluate(
            "['backgroundColor', 'color'].map(name => getComputedStyle(document.documentElement)[name])"
        )
        paper, ink = (sum(map(int, colour.strip("rgb()").split(","))) for colour in colours)
        darker[scheme] = "ink" if ink < paper else "paper"

    assert darker == {"light": "ink", "dark": "paper"}


@table("path", PATHS)
def test_nothing_moves_for_who_asked_for_it(visit: Visit, path):
    """With reduced motion no element of any page has an animation or a transition."""
    visitor = visit(reduced_motion="reduce")
    visitor.goto(path)

    moving = """[...document.querySelectorAll("*")].map(each => getComputedStyle(each)).filter(style =>
        style.animationName !== "none" || style.transitionDuration.split(", ").some(each => each !== "0s")
    ).length"""
    assert visitor.page.evaluate(moving) == 0
