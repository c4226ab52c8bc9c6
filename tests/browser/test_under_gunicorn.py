"""The site under gunicorn, whose workers serve the async page too: as good as under uvicorn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from django_momento.local import LocalServer
from tests.browser.conftest import GUNICORN, Visit, serving
from tests.browser.test_pages import PATHS, obstacles, schemes
from tests.browser.visitor import shows
from tests.kit.aws import SecretsManager


@pytest.fixture(scope="module")
def served(
    cache_server: LocalServer, secrets_manager: SecretsManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the address of the site under gunicorn, in one worker with four threads."""
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with serving(cache_server, secrets_manager, log, GUNICORN) as address:
        yield address


@schemes
def test_every_page_fits_and_excludes_nobody(visit: Visit, scheme):
    """On a desktop and on phones, and the console has no error."""
    visitor = visit(color_scheme=scheme)
    for path in (*PATHS, "/cache/"):
        assert visitor.goto(path).status == 200
        assert (path, obstacles(visitor)) == (path, [])


def test_the_included_page_counts_the_calls_of_the_worker(visit: Visit, cache_server: LocalServer):
    """A miss that is stored and a hit, with the operations that the server has counted."""
    visitor = visit()
    visitor.goto("/status/")
    visitor.goto("/products/")
    cache_server.reset_calls()
    visitor.goto("/cache/")
    operations = visitor.page.get_by_role("region", name="Methods of default").locator("tfoot td").nth(1)
    before = int(operations.inner_text().replace(",", ""))
    visitor.goto("/products/")
    visitor.goto("/async/")
    visitor.goto("/cache/")

    expect(operations).to_have_text(f"{before + cache_server.operations.total():,}")
    shows(visitor, "closed; opened 0 times")
