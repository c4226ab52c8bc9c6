"""The pages of the site, for the navigation, the overview and the heading of each page.

Each of ``PAGES`` shows one use of the cache and needs it. ``STATUS`` shows the cache and works without it.
"""

from typing import NamedTuple

from django.http import HttpRequest


class Page(NamedTuple):
    """``name`` is the name of the URL, ``label`` the text in the navigation, ``uses`` the API of Django."""

    name: str
    label: str
    title: str
    look_for: str
    uses: str


PAGES = (
    Page(
        "products",
        "Products",
        "A slow query, sent once",
        "The first load waits for the database. Reload, and the list comes from the cache.",
        "cache.get_or_set",
    ),
    Page(
        "page",
        "Page",
        "A whole page, cached",
        "The time on the page does not change for twenty seconds, however often you reload.",
        "@cache_page",
    ),
    Page(
        "fragment",
        "Fragment",
        "A part of a page",
        "Two clocks side by side: one is inside a cached fragment, the other is not.",
        "{% cache %}",
    ),
    Page(
        "visits",
        "Visits",
        "Sessions without a database",
        "Each load adds one to a counter in your session, and your session lives in the cache.",
        "SESSION_ENGINE",
    ),
    Page(
        "limit",
        "Limit",
        "A limit on requests",
        "Five loads succeed, and the sixth is refused until the window ends.",
        "cache.incr",
    ),
    Page(
        "many",
        "Many",
        "Many keys at once",
        "The same keys are read in one call, and one after the other.",
        "cache.get_many",
    ),
    Page(
        "async",
        "Async",
        "Four slow services, awaited at once",
        "The page waits only for the slowest of four services. Reload, and all replies come from the cache.",
        "await cache.aget_or_set",
    ),
)
STATUS = Page(
    "status",
    "Status",
    "The cache calls of this process",
    "Calls, keys found, latency, and the source of the API key.",
    "OBSERVERS",
)


def navigation(request: HttpRequest) -> dict[str, object]:
    """Return every page and the current one, if there is one, as a context processor."""
    match = request.resolver_match
    current = match.url_name if match else None
    return {
        "pages": (*PAGES, STATUS),
        "current": current,
        "page": next((page for page in (*PAGES, STATUS) if page.name == current), None),
    }
