"""The status page: it shows the calls of the cache and no key, and it needs no cache."""

from __future__ import annotations

import re

from django.test import Client, override_settings

from django_momento.client.registry import clients
from example_project import status
from example_project.activity import CacheCall, Failure, activity
from example_project.figures import CHARTED
from tests.kit import aws as fixtures
from tests.kit.aws import V2_KEY, SecretsManager, shown_of
from tests.kit.tables import table

# pytest finds fixtures by the names of a module.
moto_server, aws_environment, aws = fixtures.moto_server, fixtures.aws_environment, fixtures.aws

OBSERVER = "example_project.activity.observe"


def text(response) -> str:
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_looking_asks_the_cache_nothing(site: Client):
    """The page counts no call of its own, and fetches no key."""
    clients.close(wait=True)
    page = words(text(site.get("/status/")))

    assert activity.snapshot().latest == []
    assert "No cache call yet." in page
    assert "fetched with the first cache call" in page


def test_counts_the_calls(site: Client):
    """A miss and a hit are two gets, a hit rate of half, and one chart with both."""
    for _ in range(2):
        site.get("/products/")

    page = text(site.get("/status/"))

    assert "Calls 3" in words(page)
    assert "Hit rate 50 % of keys: 1 hit, 1 miss" in words(page)
    assert [("miss", 1), ("done", 1), ("hit", 1)] == [
        (outcome, page.count(f'<use class="{outcome}"')) for outcome in ("miss", "done", "hit")
    ]


def test_the_chart_can_be_read_without_seeing_it(site: Client):
    """The drawing has a title and a description, and a table has a row for each of its marks."""
    for _ in range(3):
        site.get("/fragment/")

    page = text(site.get("/status/"))

    assert 'role="img" aria-labelledby="latency-title" aria-describedby="latency-description"' in page
    assert "Latency of the latest 4 calls" in page
    assert "2 hits, 1 misses, 0 errors, 1 others" in words(page)
    table = page[page.index('<tbody id="latest"') :].split("</tbody>")[0]
    assert ["get", "get", "set", "get"] == re.findall("<code>(.*?)</code>", table)


def test_says_where_the_key_came_from_and_shows_none_of_it(site: Client, aws: SecretsManager, momento):
    """Source, kind, endpoint and age of the credential are shown, and no run of characters of the key."""
    aws.create("Momento_Auth_Token", f'{{"api_key": "{V2_KEY}", "endpoint": "{momento.address}"}}')
    cache = {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": "tests",
        "OPTIONS": {
            "SECRET_ID": "Momento_Auth_Token",
            "REGION": "us-west-2",
            "CLIENT_TIMEOUT": 100,
            "OBSERVERS": OBSERVER,
        },
    }
    with override_settings(CACHES={"default": cache}):
        site.get("/products/")
        page = text(site.get("/status/"))

    assert "Secret &#x27;Momento_Auth_Token&#x27; in us-west-2" in page
    assert f"Kind v2 Endpoint {momento.address} Age" in words(page)
    assert re.search(r"Age \d+ seconds?, fetched at \d\d:\d\d:\d\d UTC", words(page))
    assert shown_of(V2_KEY, page) == []


def test_answers_while_the_cache_is_away(site: Client, unused_port):
    """An error is counted and explained, and the page works as before."""
    unreachable = {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": "example",
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": f"127.0.0.1:{unused_port}", "OBSERVERS": OBSERVER},
    }
    with override_settings(CACHES={"default": unreachable}):
        failed = site.get("/products/")
        response = site.get("/status/")

    assert (503, 200) == (failed.status_code, response.status_code)
    assert "1 error" in words(text(failed))
    assert "Errors 1" in words(text(response))
    assert "Last error: ServerUnavailable" in text(response)


def test_leads_to_the_operations_of_the_process(site: Client):
    """The page links the status page of the package, which everyone may see here, and its JSON."""
    site.get("/products/")

    page = text(site.get("/status/"))
    figures = site.get("/cache/status.json").json()["default"]

    assert 'href="/cache/"' in page
    assert "Costliest key groups" in text(site.get("/cache/"))
    assert figures["verbs"]["add"]["operations"] >= 1


def test_a_page_of_another_backend_links_no_operations(site: Client):
    """Without a Momento cache there is no figure to lead to."""
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        assert "/cache/" not in text(site.get("/status/"))


def test_an_error_that_is_past_no_longer_alarms(site: Client):
    """Once an error has left the chart it is still told, but quietly."""
    activity.record(
        CacheCall(1, "get", 1.0, error="CallTimedOut"), Failure(1, "CallTimedOut", "No.", "Wait.")
    )
    before = text(site.get("/status/"))
    for _ in range(CHARTED):
        activity.record(CacheCall(2, "get", 1.0, hits=1))

    after = text(site.get("/status/"))

    assert ["Last error: CallTimedOut" in page for page in (before, after)] == [True, True]
    assert ["failure panel past" in page for page in (before, after)] == [False, True]


def test_another_backend_is_named(site: Client):
    """On a cache that is not Momento's the page says so, instead of showing zeros as if they were true."""
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        page = text(site.get("/status/"))

    assert "the site uses LocMemCache" in page


def test_is_never_kept(site: Client):
    """No browser and no proxy shows yesterday's figures."""
    assert "no-store" in site.get("/status/").headers["Cache-Control"]


def test_an_expiry_is_counted_down(site: Client, monkeypatch):
    """A key that says when it ends is shown with the time that is left."""
    site.get("/products/")
    facts = {
        "credential_source": "a file",
        "credential_kind": "v1",
        "endpoint": "host",
        "credential_age": 3600.0,
        "credential_expires_in": 2 * 3600.0,
    }
    monkeypatch.setattr(status, "stats", lambda alias: facts)
    monkeypatch.setattr(status, "time", lambda: 1000.0 + 3600)

    page = words(text(site.get("/status/")))

    assert "Age 1 hour, fetched at 00:16:40 UTC Expires in 2 hours" in page


@table(
    ("seconds", "expected"),
    [
        (-1, "0 seconds"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (7199, "1 hour"),
        (3 * 86400, "3 days"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_unit(seconds, expected):
    """An age is to be read at a glance."""
    assert expected == status.in_words(seconds)
