"""The pages of the site, on the real backend: each keeps its promise."""

from __future__ import annotations

import datetime
import re
import time
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.test import Client

from example_project import recipes

HIT, MISS = "</span> Hit</strong>", "</span> Miss</strong>"


def text(response) -> str:
    return response.content.decode()


def rendered_at(response) -> str:
    return re.search(r'<time datetime="([^"]+)"', text(response))[1]


def test_products_miss_first_and_hit_next(site: Client):
    """The first load queries the database, and the second reads the cache."""
    assert MISS in text(site.get("/products/"))
    assert HIT in text(site.get("/products/"))


def test_forgotten_products_miss_again(site: Client):
    """Forgetting deletes the key and keeps the chosen seconds for the next list."""
    site.get("/products/")

    forgotten = site.post("/products/", {"seconds": "10"})

    assert forgotten.headers["Location"] == "/products/?seconds=10"
    page = text(site.get(forgotten.headers["Location"]))
    assert MISS in page
    assert "cached for 10 seconds" in page


def test_seconds_nobody_offered_are_the_default(site: Client):
    """A made-up number of seconds never reaches the cache."""
    assert "cached for 60 seconds" in text(site.get("/products/?seconds=31536000"))


def test_a_cached_page_stands_still(site: Client):
    """The second visitor gets the first one's copy, to the microsecond, and a badge and a header say so."""
    first, second = site.get("/page/"), Client().get("/page/")

    assert rendered_at(first) == rendered_at(second)
    assert MISS in text(first)
    assert HIT in text(second)
    assert [first.headers["X-Cache"], second.headers["X-Cache"]] == ["miss", "hit"]
    assert "no-cache" in second.headers["Cache-Control"]


def test_a_cached_page_is_rendered_anew_when_it_is_gone(site: Client):
    """Without the cached copy the page has a new time on it."""
    first = site.get("/page/")
    cache.clear()
    second = site.get("/page/")

    assert rendered_at(first) != rendered_at(second)
    assert second.headers["X-Cache"] == "miss"


def test_a_cached_fragment_stands_still_in_a_live_page(site: Client, monkeypatch):
    """Seven seconds later the fragment shows its old time beside the page's new one, and asks no database."""
    clock = SimpleNamespace(seconds=0)
    clock.now = lambda tz: datetime.datetime(2026, 1, 1, 10, 0, clock.seconds, tzinfo=tz)
    monkeypatch.setattr("django.template.defaulttags.datetime", clock)

    first = text(site.get("/fragment/"))
    clock.seconds = 7
    second = text(site.get("/fragment/"))

    assert re.findall(r"10:00:0\d", first) == ["10:00:00", "10:00:00"]
    assert re.findall(r"10:00:0\d", second) == ["10:00:00", "10:00:07"]
    assert MISS in first
    assert HIT in second


def test_a_forgotten_fragment_is_rendered_anew(site: Client):
    """Forgetting the fragment's key makes the next load ask the database."""
    site.get("/fragment/")

    site.post("/fragment/")

    assert MISS in text(site.get("/fragment/"))


def test_visits_are_counted_per_session(site: Client):
    """Each visitor has a counter, and nobody counts for another."""
    assert [site.get("/visits/").context["visits"] for _ in range(3)] == [1, 2, 3]
    assert Client().get("/visits/").context["visits"] == 1


def test_an_ended_session_counts_from_one(site: Client):
    """Ending the session removes the counter from the cache."""
    site.get("/visits/")

    site.post("/visits/")

    assert site.get("/visits/").context["visits"] == 1


def test_the_sixth_request_is_refused(site: Client):
    """Five requests of a window succeed. The next gets 429, Retry-After and a page that explains."""
    allowed = [site.get("/limit/") for _ in range(5)]
    refused = site.get("/limit/")

    assert [(200, remaining) for remaining in (4, 3, 2, 1, 0)] == [
        (response.status_code, response.context["turn"].remaining) for response in allowed
    ]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= recipes.WINDOW
    assert "<title>Too many requests" in text(refused)


def test_a_window_is_opened_once(site: Client):
    """The first request finds no counter, the next one does, and the page says which it was."""
    assert "</span> New window" in text(site.get("/limit/"))
    assert "</span> Counter found" in text(site.get("/limit/"))


def test_each_address_has_its_own_limit(site: Client):
    """One client's refusal is no other's."""
    for _ in range(6):
        site.get("/limit/")

    assert site.get("/limit/", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_asking_does_not_prolong_the_window(site: Client, monkeypatch):
    """A client that never stops is served again when the window ends."""
    monkeypatch.setattr(recipes, "WINDOW", 1)
    deadline = time.monotonic() + 20

    for awaited in (429, 200):
        while site.get("/limit/").status_code != awaited:
            assert time.monotonic() < deadline, f"no {awaited} came, although the window is one second"
            time.sleep(0.02)


@pytest.mark.parametrize(("query", "headers"), [("?format=json", {}), ("", {"Accept": "application/json"})])
def test_programs_get_json(site: Client, query, headers):
    """The limit can be watched with curl, by address or by content negotiation."""
    response = site.get(f"/limit/{query}", headers=headers)

    document = response.json()
    assert 1 <= document.pop("window_ends_in") <= recipes.WINDOW
    assert document == {"allowed": True, "limit": 5, "remaining": 4}
    assert "Accept" in response.headers["Vary"]


def test_many_stores_what_was_missing(site: Client):
    """The first load makes every tile, the second finds the same ones, and forgotten ones are made again."""
    made = site.get("/many/").context
    found = site.get("/many/").context
    site.post("/many/", {"count": "100"})
    refilled = site.get("/many/").context

    assert [(page["found"], page["made"]) for page in (made, found, refilled)] == [
        (0, 100),
        (100, 0),
        (66, 34),
    ]
    assert [tile["hue"] for tile in made["tiles"]] == [tile["hue"] for tile in found["tiles"]]


def test_many_reads_as_many_as_are_chosen(site: Client):
    """The number of tiles can be chosen, for accounts that allow few operations a second."""
    assert len(site.get("/many/?count=10").context["tiles"]) == 10
