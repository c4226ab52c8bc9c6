"""The site as it is built: without a warning, complete, and without asking another server for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from django_momento.conf.options import OPTIONS
from django_momento.exceptions import MomentoCacheError
from tests.docs.pages import PAGES, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("site")
    command = [
        "--fail-on-warning",
        "--keep-going",
        "--quiet",
        "-d",
        str(output / ".doctrees"),
        "docs",
        str(output),
    ]
    subprocess.run([sys.executable, "-m", "sphinx", *command], cwd=ROOT, check=True, timeout=300)
    return output


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """Whoever opens the first page finds all others beside it."""
    index = (site / "index.html").read_text()
    pages = [name.removeprefix("docs/").replace(".md", ".html") for name in PAGES if name.startswith("docs/")]
    assert [] == [page for page in pages if f'href="{page}"' not in index and page != "index.html"]


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    """No fonts, scripts, styles or pictures of another server: no reader is told on."""
    loaded = re.compile(r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)"')
    assert [] == [url for page in site.rglob("*.html") for url in loaded.findall(page.read_text())]
    styles = [
        path for path in site.rglob("*.css") if re.search(r"url\(\s*['\"]?(https?:)?//", path.read_text())
    ]
    assert [] == styles


def test_code_and_tables_can_be_scrolled_with_the_keyboard(site: Path) -> None:
    """Code and wide tables can be focused, on every page."""
    scrolling = re.compile(r'<(?:pre|div class="table-wrapper[^"]*")>')
    assert [] == [str(page) for page in site.rglob("*.html") if scrolling.search(page.read_text())]


def test_every_option_and_error_has_an_anchor(site: Path) -> None:
    """A page, a message or a colleague can point at it."""
    options = (site / "reference/options.html").read_text()
    assert [] == [name for name in OPTIONS if f'id="confval-{name}"' not in options]
    errors = (site / "reference/exceptions.html").read_text()
    names = [error.__name__ for error in subclasses(MomentoCacheError)]
    assert [] == [name for name in names if f'id="django_momento.exceptions.{name}"' not in errors]


def test_every_option_is_documented_with_the_words_of_its_declaration(site: Path) -> None:
    """Its help, its default and its allowed values stand on the page as they stand in the code."""
    page = (site / "reference/options.html").read_text()
    text = " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split()).casefold()
    for option in OPTIONS.values():
        for words in (option.help, option.default, option.type.allowed.replace("'", "")):
            plain = " ".join(words.replace("`", "").split()).casefold()
            assert plain.replace("'", "\u2019") in text.replace("'", "\u2019"), option.name


def subclasses(error: type[Exception]) -> list[type[Exception]]:
    return [error, *(below for direct in error.__subclasses__() for below in subclasses(direct))]


def test_commands_show_their_arguments(site: Path) -> None:
    """From their parsers."""
    commands = (site / "reference/commands.html").read_text()
    for argument in ("momento_check-json", "momento_local-admin-port", "momento_local-on-demand"):
        assert f'id="cmdoption-{argument}"' in commands
