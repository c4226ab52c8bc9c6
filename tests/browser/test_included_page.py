"""The status page that a site includes: who sees it, before any call, at work and in an outage."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import expect

from django_momento.local import LocalServer
from tests.browser.conftest import Visit
from tests.browser.test_pages import obstacles, schemes
from tests.browser.visitor import PHONE, Visitor
from tests.kit.aws import V2_KEY, shown_of
from tests.kit.processes import Server, environment
from tests.kit.waiting import patience
from tests.processes.requests import wait_until_open

PAGE = "/cache/"


class Prepared(NamedTuple):
    """The environment of the site's processes, and the session keys of its users by name."""

    variables: dict[str, str]
    sessions: dict[str, str]


@pytest.fixture(scope="module")
def prepared(cache_server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    directory = tmp_path_factory.mktemp("staffed")
    (directory / "key").write_text(f'{{"api_key": "{V2_KEY}", "endpoint": "{cache_server.address}"}}')
    variables = {
        "DJANGO_SETTINGS_MODULE": "tests.browser.staffed.settings",
        "DATABASE": str(directory / "database"),
        "KEY_FILE": str(directory / "key"),
    }
    printed = subprocess.run(
        [sys.executable, "-m", "tests.browser.staffed.prepare"],
        env=environment(cache_server.address, **variables),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return Prepared(variables, dict(line.split() for line in printed.splitlines()))


@pytest.fixture
def site(prepared: Prepared, cache_server: LocalServer, tmp_path: Path) -> Iterator[str]:
    """Return the address of the site, in a process that has made no cache call."""
    uvicorn = ("uvicorn", "tests.browser.staffed.asgi:application", "--port", "0", "--lifespan", "off")
    cache_server.reset_calls()
    with Server(*uvicorn, log=tmp_path / "log", address=cache_server.address, **prepared.variables) as server:
        address = server.printed(r"running on (http://\S+)")
        wait_until_open(address)
        yield address
        cache_server.fail()
        assert server.terminate() in (0, -signal.SIGTERM)
        assert V2_KEY not in server.output


@pytest.fixture
def staff(visit: Visit, prepared: Prepared, site: str) -> Visit:
    """Open windows of a member of staff. Keyword arguments are those of ``visit``."""

    def open_window(*arguments, **options) -> Visitor:
        visitor = visit(*arguments, **options)
        sign_in(visitor, prepared.sessions["anna"], site)
        return visitor

    return open_window


def sign_in(visitor: Visitor, session: str, site: str) -> None:
    visitor.page.context.add_cookies([{"name": "sessionid", "value": session, "url": site}])


def texts(visitor: Visitor, region: str) -> list[list[str]]:
    """Return the cells of the rows of a table, without its head."""
    rows = visitor.page.get_by_role("region", name=region).locator("tbody tr, tfoot tr").all()
    return [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]


def fact(visitor: Visitor, alias: int, name: str) -> str:
    """Return the text beside a name, in the section of the first or a later alias."""
    section = visitor.page.locator("section").nth(alias)
    return section.locator(f".facts dt:text-is('{name}') + dd").inner_text()


def test_nobody_but_staff_sees_it(visit: Visit, prepared: Prepared, site: str):
    """Neither the page nor its JSON, signed in or not."""
    stranger, customer, member = visit(), visit(), visit()
    sign_in(customer, prepared.sessions["carl"], site)
    sign_in(member, prepared.sessions["anna"], site)

    for path in (PAGE, f"{PAGE}status.json"):
        statuses = [visitor.goto(path).status for visitor in (stranger, customer, member)]
        assert statuses == [403, 403, 200]
    assert "Figures of process" not in customer.page.content()


@schemes
def test_before_any_call_it_says_so(staff: Visit, cache_server: LocalServer, scheme):
    """Each alias has its section, and looking makes no call and fetches no key."""
    visitor = staff(color_scheme=scheme)

    assert visitor.goto(PAGE).status == 200
    assert ["default", "reports"] == visitor.page.locator("h2").all_inner_texts()
    assert [["No calls yet."]] == texts(visitor, "Methods of default")
    assert [["No operations yet."]] == texts(visitor, "Key groups of default")
    assert "not fetched yet; replaced 0 times" == fact(visitor, 0, "API key")
    assert "no call yet" == fact(visitor, 0, "Endpoint")
    assert "closed; opened 0 times" == fact(visitor, 0, "Circuit breaker")
    assert obstacles(visitor) == []
    assert cache_server.calls.total() == 0


@schemes
def test_at_work_it_shows_what_the_server_has_counted(
    staff: Visit, cache_server: LocalServer, prepared: Prepared, site: str, scheme
):
    """Operations by method and key group, the key's source and age, and no part of the key."""
    visitor = staff(color_scheme=scheme)
    visitor.goto("/shop/")
    visitor.goto(PAGE)
    visitor.goto("/shop/")
    visitor.page.go_back()
    with visitor.page.expect_navigation():
        visitor.page.get_by_role("link", name="Reload").click()

    expect(visitor.page.locator(".figures dd").first).to_have_text("10")
    *methods, total = texts(visitor, "Methods of default")
    assert ["delete", "get", "get_many", "set"] == [row[0] for row in methods]
    assert ["all", "10", str(cache_server.operations.total())] == total[:3]
    groups = texts(visitor, "Key groups of default")
    assert "product" == groups[0][0]
    assert int(groups[0][1]) > int(groups[1][1])
    assert f"File '{prepared.variables['KEY_FILE']}', fetched " in fact(visitor, 0, "API key")
    assert "v2" == fact(visitor, 0, "Kind of key")
    assert cache_server.address == fact(visitor, 0, "Endpoint")
    assert "of 100, the limit on demand" in fact(visitor, 0, "Operations a second")
    assert sum(int(row[1]) for row in texts(visitor, "Latency of default")) == 10
    assert obstacles(visitor) == []
    assert [] == shown_of(V2_KEY, visitor.page.content())
    assert [] == [url for url in visitor.addresses if not url.startswith(site)]


@schemes
def test_in_an_outage_it_shows_the_breaker_and_the_errors(staff: Visit, cache_server: LocalServer, scheme):
    """Also those that the cache hides, and the probes that find out whether the outage is over."""
    visitor = staff(color_scheme=scheme)
    visitor.goto("/report/")
    cache_server.fail("unavailable")
    for _ in patience():
        visitor.goto("/report/")
        visitor.goto(PAGE)
        if fact(visitor, 1, "Circuit breaker").startswith("open"):
            break

    assert fact(visitor, 1, "Circuit breaker") == "open; opened 1 time"
    incidents = dict(texts(visitor, "Errors and events of reports"))
    assert int(incidents["ServerUnavailable"]) >= 1
    assert int(incidents["ignored_exceptions"]) == sum(
        int(count) for name, count in incidents.items() if name in ("ServerUnavailable", "CircuitOpen")
    )
    assert obstacles(visitor) == []


def test_a_wide_table_is_scrolled_by_keyboard_on_a_phone(staff: Visit):
    """The window stays where it is, and the name of the row stays in sight."""
    visitor = staff(PHONE)
    visitor.goto("/shop/")
    visitor.goto(PAGE)
    region = visitor.page.get_by_role("region", name="Methods of default")
    name = region.locator("tbody th").first
    left = (name.bounding_box() or {})["x"]
    region.focus()
    for _ in patience():
        visitor.page.keyboard.press("ArrowRight")
        if region.evaluate(
            "table => table.scrollLeft > 0 && table.scrollLeft + table.clientWidth >= table.scrollWidth"
        ):
            break

    assert left == (name.bounding_box() or {})["x"]
    expect(region.get_by_role("columnheader", name="p95 ms")).to_be_in_viewport()
    assert not visitor.scrolls_sideways()
