"""The pages of the site, named once: for the navigation, the overview and each page's own heading.

``PAGES`` each show one thing that the cache does, and need it; ``STATUS`` shows the cache, and does without.
"""

from typing import NamedTuple

from django.http import HttpRequest


class Page(NamedTuple):
    """``name`` is its URL's name, ``label`` its name in the navigation, ``uses`` what of Django it shows."""

    name: str
    label: str
    title: str
    look_for: str
    uses: str


PAGES = (
    Page(
        "products",
        "Products",
        "A slow query, asked once",
        "The first load waits for the database. Reload, and the cache answers instead.",
        "cache.get_or_set",
    ),
    Page(
        "page",
        "Page",
        "A whole page, kept as it was",
        "The time on the page stands still for twenty seconds, however often you reload.",
        "@cache_page",
    ),
    Page(
        "fragment",
        "Fragment",
        "A piece of a page",
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
        "Five loads are answered, the sixth is refused until the window ends.",
        "cache.incr",
    ),
    Page(
        "many",
        "Many",
        "Many keys at once",
        "The same keys read together in one call, and one after the other.",
        "cache.get_many",
    ),
    Page(
        "async",
        "Async",
        "Four slow answers, awaited at once",
        "The page waits only for the slowest of four services. Reload, and the cache answers for all.",
        "await cache.aget_or_set",
    ),
)
STATUS = Page(
    "status",
    "Status",
    "What the cache is doing now",
    "Operations, hits and misses, latency, and where the API key came from.",
    "ObservedCache",
)


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context processor: every page, and the one that is being shown (none on an unknown address)."""
    match = request.resolver_match
    current = match.url_name if match else None
    return {
        "pages": (*PAGES, STATUS),
        "current": current,
        "page": next((page for page in (*PAGES, STATUS) if page.name == current), None),
    }
