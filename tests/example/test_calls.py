"""The list of cache calls on each page: those of its own request, kept copies included."""

from __future__ import annotations

import re

from django.test import Client

from example_project.pages import PAGES
from tests.kit.tables import table


def calls(response) -> list[tuple[str, str]]:
    """Return the rows of the list: the call and its result."""
    html = response.content.decode()
    rows = html[html.index("Cache calls for this page") :].split("<tfoot>")[0].split("<tr>")[2:]
    cells = [[" ".join(re.sub("<[^>]+>", " ", cell).split()) for cell in row.split("<td")] for row in rows]
    return [(cell[0].replace("\N{MULTIPLICATION SIGN}", "x"), cell[1].lstrip("> ")) for cell in cells]


def test_lists_the_calls_of_the_request(site: Client):
    """A miss is a get and an add; the hit after it is a get."""
    assert [("get", "1 miss"), ("add", "stored")] == calls(site.get("/products/"))
    assert [("get", "1 hit")] == calls(site.get("/products/"))


def test_counts_calls_of_a_kind(site: Client):
    """Calls in a row of one verb are one line with their number."""
    site.get("/many/")

    assert [("get_many x 2", "101 hits"), ("get x 100", "100 hits")] == calls(site.get("/many/"))


def test_a_cached_page_lists_the_calls_of_its_visitor(site: Client):
    """A page from cache_page is shown with the calls that read it, not with those that stored it."""
    assert [("get", "1 miss"), ("set x 2", "stored")] == calls(site.get("/page/"))
    assert [("get x 2", "2 hits")] == calls(site.get("/page/"))


@table("name", [page.name for page in PAGES])
def test_every_page_has_the_list(site: Client, name):
    """No page keeps its calls to itself, and none shows the place that they are put into."""
    response = site.get(f"/{name}/")

    assert calls(response)
    assert b"<!--" not in response.content
    assert int(response.headers["Content-Length"]) == len(response.content)


def test_a_response_for_programs_has_no_list(site: Client):
    """A response for programs does not change."""
    assert b"Cache calls" not in site.get("/limit/?format=json").content
