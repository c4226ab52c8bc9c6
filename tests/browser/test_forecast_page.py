"""The page of ``momento_forecast`` in a real browser: whole without network, on a desktop and on phones."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, expect

from tests.browser.visitor import WINDOWS, Visitor
from tests.kit.traces import event, write_trace


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a trace with large values, long timeouts, long names of groups, and markup in a name."""
    folder = tmp_path_factory.mktemp("forecast")
    names = [
        "product",
        "<b>&\"'",
        "a-very-long-name-of-a-key-group-without-a-space-or-a-break-in-it",
        "\u00e9",
    ]
    events = []
    for second in range(0, 7200, 5):
        key, group = second % 7, names[second % 4]
        events.append(event(second, "get", key, group=group, hit=int(second > 40)))
        size, packed = (6 * 1024 * 1024, None) if second == 20 else (4000, 900)
        events.append(
            event(
                second + 1, "set", key, group=group, value_bytes=size, compressed_bytes=packed, timeout=None
            )
        )
    events += [event(3600, "get", number, group="burst", hit=0) for number in range(300)]
    trace = write_trace(folder / "trace.jsonl", sorted(events), sample=0.5)
    target = folder / "forecast.html"
    prices = {"price_per_million": 0.5, "ecpu_price_per_million": 0.0023, "gb_hour_price": 0.084}
    with (folder / "output").open("w") as output:
        call_command("momento_forecast", str(trace), html=str(target), stdout=output, **prices)
    return target


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", WINDOWS)
def test_the_page_is_whole_in_each_window_and_scheme(
    browser: Browser, page: Path, window: tuple[int, int], scheme: str
) -> None:
    """No barrier for axe, no sideways scrolling, no error, nothing loaded, and colours of the scheme."""
    width, height = window
    viewport = {"width": width, "height": height}
    with browser.new_context(viewport=viewport, color_scheme=scheme) as context:  # type: ignore[arg-type]  # a parameter of the test is any text
        visitor = Visitor(context.new_page())
        visitor.page.goto(page.as_uri())

        assert visitor.barriers() == []
        assert not visitor.scrolls_sideways()
        assert visitor.errors == []
        assert visitor.addresses == [page.as_uri()]
        background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, background.strip("rgb()").split(","))) > 384) is (scheme == "light")


def test_the_page_shows_verdict_plots_and_tables(browser: Browser, page: Path) -> None:
    with browser.new_context() as context:
        visitor = context.new_page()
        visitor.goto(page.as_uri())

        expect(visitor.get_by_role("heading", name="Do not switch")).to_be_visible()
        expect(visitor.get_by_role("img", name="Operations a second over 2.0 hours")).to_be_visible()
        for table in ("Key groups, the costliest first", "Each change alone", "Methods of the cache"):
            expect(visitor.get_by_role("table", name=table)).to_be_visible()
        groups = visitor.get_by_role("table", name="Key groups")
        expect(groups.get_by_role("rowheader", name="<b>&\"'")).to_be_visible()
        expect(visitor.get_by_role("listitem").filter(has_text="larger than 5 MiB").first).to_be_visible()
