"""The README's pictures: each run takes them, and ``make screenshots`` keeps them in docs/images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_momento.local import LocalServer
from tests.browser.conftest import Visit, serving
from tests.browser.visitor import DESKTOP, PHONE, Visitor, shows
from tests.kit.aws import SecretsManager

LARGEST = 150_000


def show_status(visitor: Visitor) -> None:
    """The status page, with something to tell."""
    use(visitor)
    visitor.goto("/status/")


def show_cache(visitor: Visitor) -> None:
    """The status page that the package includes, of the same site."""
    use(visitor)
    visitor.goto("/cache/")


def use(visitor: Visitor) -> None:
    for path in ("/products/", "/fragment/", "/async/", "/visits/", "/limit/", "/many/?count=10"):
        visitor.goto(path)
        visitor.goto(path)


def show_async(visitor: Visitor) -> None:
    """The async page, with three answers from the cache and one that had to be waited for."""
    visitor.goto("/async/")
    visitor.page.get_by_role("button", name="Forget the rating").click()
    shows(visitor, "Partly from the cache")


@pytest.fixture(scope="module")
def served(
    cache_server: LocalServer, secrets_manager: SecretsManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A site of its own: the figures of the other tests, with their outages, are no picture of it."""
    with serving(cache_server, secrets_manager, tmp_path_factory.mktemp("pictures") / "log") as address:
        yield address


@pytest.fixture
def images(tmp_path: Path) -> Path:
    directory = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("show", [show_status, show_async, show_cache], ids=["status", "async", "cache"])
def test_a_picture_is_taken(visit: Visit, images: Path, show, window, scheme):
    """The picture shows a page that is at work, in one window of one scheme, and is small."""
    visitor = visit(window, color_scheme=scheme)
    show(visitor)

    page = show.__name__.removeprefix("show_")
    path = images / f"{page}-{'desktop' if window == DESKTOP else 'phone'}-{scheme}.png"
    visitor.page.screenshot(path=path)

    assert 0 < path.stat().st_size < LARGEST
