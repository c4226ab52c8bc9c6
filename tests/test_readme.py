"""The README is short, and its links work wherever it is shown."""

from __future__ import annotations

import re
from pathlib import Path

from django_momento.conf.options import OPTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAX_WORDS = 700
REPOSITORY = "https://github.com/django-momento/django-momento/blob/main/"
PICTURES = "https://raw.githubusercontent.com/django-momento/django-momento/main/"
DOCS = "https://django-momento.readthedocs.io/en/latest/"


def links() -> list[str]:
    """Return the targets of all links and pictures."""
    return [
        *re.findall(r"\]\(([^)]+)\)", README),
        *re.findall(r"^\[[^]]+\]: (\S+)$", README, re.MULTILINE),
        *re.findall(r'(?:src|srcset)="([^"]+)"', README),
    ]


def test_every_link_is_absolute() -> None:
    """PyPI shows the README without the files beside it."""
    assert links()
    assert [] == [link for link in links() if not link.startswith("https://")]


def test_every_link_into_the_project_has_a_target() -> None:
    """A link to a file of the repository names an existing one, and a link to the docs an existing page."""
    files = [
        link.removeprefix(prefix) for link in links() for prefix in (REPOSITORY, PICTURES) if prefix in link
    ]
    pages = [link.removeprefix(DOCS) for link in links() if link.startswith(DOCS)]
    paths = [*files, *(f"docs/{page.replace('.html', '.md')}" for page in pages)]
    assert len(paths) > 5
    assert [] == [path for path in paths if not (ROOT / path).is_file()]


def test_every_link_by_a_name_has_one_definition() -> None:
    """And each definition is used."""
    defined = re.findall(r"^\[([^]]+)\]: ", README, re.MULTILINE)
    used = [" ".join(name.split()) for name in re.findall(r"\]\[([^]]+)\]", README)]
    assert sorted(defined) == sorted(set(used))


def test_it_is_short() -> None:
    """Tables and details are in docs/."""
    assert len(README.split()) <= MAX_WORDS
    assert "\n|" not in README


def test_it_names_no_option_that_does_not_exist() -> None:
    """Each upper-case name in a code span is a setting of Django, an option, or a part of ``CACHES``."""
    named = {name for name in re.findall(r"`([A-Z][A-Z_]+)\b[^`]*`", README) if name != "CACHES"}
    assert named <= OPTIONS.keys()
